"""The observed part of reciprocal space: Miller index <-> refl_id, with what symmetry says of each reflection."""

import base64
import zlib
from functools import cached_property

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.errors import ReflectionDataError

__all__ = ["ReciprocalASU"]


class ReciprocalASU:
    """
    The distinct reflections of a data set, numbered by refl_id = 0 … R-1.

    Friedel mates are one reflection, or with `anomalous` two. The Friedel-minus member of an acentric reflection (an
    even ISYM in an MTZ file) is then stored as the negated index (-h, -k, -l), so that a Miller index still names one
    reflection. Centric reflections are always stored as plus.

    Parameters
    ----------
    miller_index : array_like
        Distinct representatives in CCP4's asymmetric unit, ``[R, 3]``; negated for Friedel-minus reflections.
    cell : gemmi.UnitCell
        The unit cell (Å and degrees).
    spacegroup : gemmi.SpaceGroup
        The space group.
    anomalous : bool, optional
        Whether Friedel mates are kept apart.

    Attributes
    ----------
    miller_index : np.ndarray
        ``[R, 3]`` int32.
    centric : np.ndarray
        ``[R]`` bool.
    epsilon : np.ndarray
        ``[R]`` float32: the multiplicity ε, by which the mean intensity exceeds that of a general reflection; without
        the factor due to lattice centring, which is the same for all.
    s2 : np.ndarray
        ``[R]`` float64: 1/d² in Å⁻².
    d : np.ndarray
        ``[R]`` float64: the resolution in Å.
    friedel_minus : np.ndarray
        ``[R]`` bool: whether the reflection is the Friedel-minus member of its pair.
    friedel_mate : np.ndarray
        ``[R]`` int32: refl_id of the Friedel mate, -1 where it was not observed; the reflection's own for centric
        reflections and when mates are not kept apart.

    Raises
    ------
    ReflectionDataError
        If an index is no representative, or is repeated.
    """

    def __init__(self, miller_index, cell, spacegroup, anomalous=False):
        hkl = miller.as_hkl(miller_index).copy()
        self.cell = cell
        self.spacegroup = spacegroup
        self.anomalous = bool(anomalous)
        mapped, plus = miller.to_asu(hkl, spacegroup)
        operations = spacegroup.operations()
        self.miller_index = hkl
        self.centric = np.asarray(operations.centric_flag_array(hkl), dtype=bool)
        self.epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float32)
        self.s2 = np.asarray(cell.calculate_1_d2_array(hkl), dtype=np.float64)
        with np.errstate(divide="ignore"):
            self.d = 1.0 / np.sqrt(self.s2)
        self.friedel_minus = ~plus & ~self.centric
        expected = np.where(self.friedel_minus[:, None], -mapped, mapped)
        if not np.array_equal(expected, hkl) or (not self.anomalous and self.friedel_minus.any()):
            raise ReflectionDataError(
                "These Miller indices are not in the asymmetric unit; use ReciprocalASU.from_observed, which maps them."
            )
        keys = miller.pack(hkl)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._keys = keys[self._order]
        if np.any(self._keys[1:] == self._keys[:-1]):
            raise ReflectionDataError(
                "A Miller index is repeated; use ReciprocalASU.from_observed, which takes the distinct ones."
            )
        own = np.arange(len(hkl), dtype=np.int32)
        self.friedel_mate = np.where(self.centric, own, self._find(-hkl)) if self.anomalous else own
        for name in ("miller_index", "centric", "epsilon", "s2", "d", "friedel_minus", "friedel_mate"):
            getattr(self, name).flags.writeable = False

    @classmethod
    def from_observed(cls, hkl, cell, spacegroup, anomalous=False):
        """
        Collect the distinct reflections among observed Miller indices, in lexicographic order.

        Parameters
        ----------
        hkl : array_like
            Observed Miller indices, ``[N, 3]``, in any asymmetric unit.
        cell : gemmi.UnitCell
            The unit cell.
        spacegroup : gemmi.SpaceGroup
            The space group.
        anomalous : bool, optional
            Whether to keep Friedel mates apart.

        Returns
        -------
        ReciprocalASU
        """
        mapped, plus = miller.to_asu(miller.as_hkl(hkl), spacegroup)
        return cls._from_mapped(mapped, plus, cell, spacegroup, anomalous)[0]

    @classmethod
    def _from_mapped(cls, mapped, plus, cell, spacegroup, anomalous):
        """`from_observed` and the refl_id of each index, where the mapping to the asymmetric unit is known."""
        distinct, inverse = miller.unique(mapped)
        if not anomalous:
            return cls(distinct, cell, spacegroup, False), inverse.astype(np.int32)
        acentric = ~np.asarray(spacegroup.operations().centric_flag_array(distinct), dtype=bool)
        signed, inverse = miller.unique(np.where((~plus & acentric[inverse])[:, None], -mapped, mapped))
        return cls(signed, cell, spacegroup, True), inverse.astype(np.int32)

    def __len__(self):
        return len(self.miller_index)

    def __repr__(self):
        kind = "Friedel mates apart" if self.anomalous else "Friedel mates together"
        return f"<ReciprocalASU: {len(self):,} reflections, {self.spacegroup.xhm()}, {kind}>"

    def _find(self, hkl):
        """Refl_id of representatives, -1 where there is none."""
        if not len(self):
            return np.full(len(hkl), -1, dtype=np.int32)
        keys = miller.pack(hkl)
        position = np.minimum(np.searchsorted(self._keys, keys), len(self) - 1)
        return np.where(self._keys[position] == keys, self._order[position], np.int32(-1)).astype(np.int32)

    def refl_id(self, hkl):
        """
        Find the number of the reflection that each observed Miller index belongs to.

        Parameters
        ----------
        hkl : array_like
            Observed Miller indices, ``[N, 3]``, in any asymmetric unit.

        Returns
        -------
        np.ndarray
            ``[N]`` int32, -1 where the reflection is not in this ASU.
        """
        hkl = miller.as_hkl(hkl)
        mapped, plus = miller.to_asu(hkl, self.spacegroup)
        ids = self._find(mapped)
        if self.anomalous and len(self):
            # Where the plus member is there, its flag is at hand; the mate of an acentric reflection may still be
            # missing, and a minus member may be there alone.
            minus = np.flatnonzero(~plus)
            mate = self._find(-mapped[minus])
            centric = (ids[minus] >= 0) & self.centric[ids[minus]]
            ids[minus] = np.where(centric, ids[minus], mate)
        return ids

    def matches(self, other):
        """
        Whether another ASU numbers the same reflections in the same way.

        Parameters
        ----------
        other : ReciprocalASU
            The ASU to compare with.

        Returns
        -------
        bool
        """
        return (
            self.anomalous == other.anomalous
            and self.spacegroup.xhm() == other.spacegroup.xhm()
            and np.allclose(self.cell.parameters, other.cell.parameters, rtol=1e-6)
            and np.array_equal(self.miller_index, other.miller_index)
        )

    @cached_property
    def _dmin(self):
        return float(self.d.min()) if len(self) else np.inf

    def number_possible(self, dmin=None, dmax=None, anomalous=None):
        """
        Count the reflections that could have been observed, for the completeness.

        Systematic absences are not counted.

        Parameters
        ----------
        dmin : float, optional
            High-resolution limit in Å (inclusive); that of the observed reflections by default.
        dmax : float, optional
            Low-resolution limit in Å (inclusive); none by default.
        anomalous : bool, optional
            Whether to count the Friedel mates of acentric reflections as two; as this ASU does by default.

        Returns
        -------
        int
        """
        dmin = self._dmin if dmin is None else float(dmin)
        if not np.isfinite(dmin):
            return 0
        anomalous = self.anomalous if anomalous is None else anomalous
        # A little wider than asked, for a limit is often one reflection's own d. To gemmi, 0 means no limit.
        widest = 0.0 if dmax is None or np.isinf(dmax) else dmax * (1 + 1e-9)
        hkl = gemmi.make_miller_array(self.cell, self.spacegroup, dmin * (1 - 1e-9), widest)
        acentric = 0
        if anomalous:
            acentric = len(hkl) - np.count_nonzero(self.spacegroup.operations().centric_flag_array(hkl))
        return int(len(hkl) + acentric)

    def to_config(self):
        """
        Describe the ASU in JSON's types, for a saved model to carry.

        Returns
        -------
        dict
        """
        # Differences down the columns of a sorted list are mostly 0 and 1, and compress far better than the indices.
        steps = np.diff(self.miller_index.T, axis=1, prepend=0)
        packed = zlib.compress(steps.astype("<i4").tobytes(), 6)
        return {
            "miller_index": base64.b64encode(packed).decode("ascii"),
            "cell": [float(x) for x in self.cell.parameters],
            "spacegroup": self.spacegroup.xhm(),
            "anomalous": self.anomalous,
        }

    @classmethod
    def from_config(cls, config):
        """
        Rebuild an ASU from `to_config`.

        Parameters
        ----------
        config : dict
            What `to_config` gave.

        Returns
        -------
        ReciprocalASU
            A JoinedASU if it was one.
        """
        if "asus" in config:
            from vimerge.reflections.joined import JoinedASU

            return JoinedASU.from_config(config)
        steps = np.frombuffer(zlib.decompress(base64.b64decode(config["miller_index"])), dtype="<i4").reshape(3, -1)
        hkl = np.cumsum(steps, axis=1).T
        spacegroup = gemmi.find_spacegroup_by_name(config["spacegroup"])
        return cls(hkl, gemmi.UnitCell(*config["cell"]), spacegroup, config["anomalous"])
