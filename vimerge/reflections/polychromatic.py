"""From observations at many wavelengths to predictions: the expansion into harmonics, its limits and its counts."""

import logging
from typing import NamedTuple

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.columns import missing_column
from vimerge.reflections.errors import OptionError, ReflectionDataError
from vimerge.reflections.harmonics import Harmonics, harmonics_within, orders

__all__ = ["Expansion", "Wavelengths", "expand", "log_expansion"]

logger = logging.getLogger("vimerge")


class Wavelengths(NamedTuple):
    """
    Where the wavelengths are, and the limits of the beam's.

    Parameters
    ----------
    key : str
        The column, in Å.
    least, most : float or None
        Limits in Å, inclusive; those of the observations if None.
    """

    key: str
    least: float | None = None
    most: float | None = None

    @classmethod
    def checked(cls, key, least, most):
        """The options `wavelength_key`, `wavelength_min` and `wavelength_max`, or None for monochromatic data."""
        if key is None:
            if least is not None or most is not None:
                raise OptionError(
                    "Limits of the wavelength need the column with the wavelengths; name it with --wavelength-key "
                    "(wavelength_key=)."
                )
            return None
        for name, value in (("min", least), ("max", most)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise OptionError(
                    f"A wavelength must be a positive number of Å, not {value:g}; correct --wavelength-{name} "
                    f"(wavelength_{name}=)."
                )
        if least is not None and most is not None and least > most:
            raise OptionError(
                f"The shortest wavelength, {least:g} Å, is beyond the longest, {most:g} Å; exchange --wavelength-min "
                "(wavelength_min=) and --wavelength-max (wavelength_max=)."
            )
        return cls(key, least, most)

    def of(self, raws):
        """The wavelengths of all observations, float64 ``[M]``, from their sources."""
        for raw in raws:
            if self.key not in raw.columns:
                raise missing_column(raw.path, self.key, raw.columns, "--wavelength-key (wavelength_key=)")
        return np.concatenate([np.asarray(raw.columns[self.key], dtype=np.float64) for raw in raws])

    def remove_unusable(self, cuts, wavelength, source):
        """Cut what has no wavelength; refuse a column that has hardly any."""
        bad = ~np.isfinite(wavelength) | (wavelength <= 0)
        count = np.count_nonzero(bad)
        if count > len(bad) / 2:
            raise ReflectionDataError(
                f"{source}: {count:,} of {len(bad):,} values of {self.key} are not positive numbers; name the column "
                "of wavelengths with --wavelength-key (wavelength_key=)."
            )
        cuts.remove(bad, f"with a {self.key} that is not a positive number")

    def limits(self, wavelength):
        """The limits, (float, float), from the data where they were not given."""
        least = wavelength.min() if self.least is None else float(self.least)
        return least, wavelength.max() if self.most is None else float(self.most)


class Expansion(NamedTuple):
    """
    The predictions (N) for observations (M).

    Parameters
    ----------
    harmonics : Harmonics
    hkl : np.ndarray
        ``[N, 3]`` int32: the index of each harmonic, as observed.
    wavelength : np.ndarray
        ``[N]`` float64, Å.
    mapped, plus : np.ndarray
        ``[N, 3]`` and ``[N]``: what `hkl.to_asu` makes of the indices.
    limits : (float, float, float)
        Wavelengths and resolution, Å.
    """

    harmonics: Harmonics
    hkl: np.ndarray
    wavelength: np.ndarray
    mapped: np.ndarray
    plus: np.ndarray
    limits: tuple


def expand(hkl, wavelength, cell, spacegroup, wavelengths, dmin, cuts):
    """
    Expand observations into all the harmonics within the limits, without the systematically absent ones.

    Parameters
    ----------
    hkl : np.ndarray
        ``[M, 3]`` int32 observed indices, those cut included.
    wavelength : np.ndarray
        ``[M]``, Å.
    cell : gemmi.UnitCell
    spacegroup : gemmi.SpaceGroup
    wavelengths : Wavelengths
        The limits.
    dmin : float or None
        Of harmonics, Å; the smallest of the observed indices if None.
    cuts : Cuts
        What is left so far; observations that have no harmonic are removed.

    Returns
    -------
    Expansion or None
        None if no observation is left.
    """
    kept = np.flatnonzero(cuts.keep)
    if not len(kept):
        return None
    with np.errstate(divide="ignore"):
        d = 1.0 / np.sqrt(np.asarray(cell.calculate_1_d2_array(hkl[kept])))
    low, high = wavelengths.limits(wavelength[kept])
    limits = (low, high, d.min() if dmin is None else dmin)
    spot, order, own = harmonics_within(hkl[kept], wavelength[kept], d, limits[:2], limits[2])
    observed = orders(hkl[kept])
    index = (hkl[kept] // observed[:, np.newaxis])[spot] * order[:, np.newaxis]
    mapped, plus = miller.to_asu(index, spacegroup)
    distinct, inverse = miller.unique(mapped)
    absent = np.asarray(spacegroup.operations().systematic_absences(distinct), dtype=bool)[inverse]

    some, present = (np.bincount(spot[rows], minlength=len(kept)) > 0 for rows in (slice(None), ~absent))
    why = f"without a harmonic between {low:.5g} and {high:.5g} Å to {limits[2]:.4g} Å"
    for bad, reason in ((~some, why), (some & ~present, "systematically absent with all harmonics")):
        removed = np.zeros(len(hkl), dtype=bool)
        removed[kept[bad]] = True
        cuts.remove(removed, reason)

    spot, order, index, own, mapped, plus = (x[~absent] for x in (spot, order, index, own, mapped, plus))
    harmonic_id = (np.cumsum(present) - 1)[spot]
    harmonics = Harmonics(harmonic_id, order, _principal(harmonic_id, order == observed[spot]), int(absent.sum()))
    return Expansion(harmonics, index, own, mapped, plus, limits)


def _principal(harmonic_id, is_observed):
    """The row of the index that was observed or, where it is not there, of the lowest order."""
    principal = np.flatnonzero(np.diff(harmonic_id, prepend=-1))
    principal[harmonic_id[is_observed]] = np.flatnonzero(is_observed)
    return principal


def log_expansion(expansion, refl_id, number):
    """
    Tell how much the harmonics matter.

    Parameters
    ----------
    expansion : Expansion
    refl_id : np.ndarray
        ``[N]``: the reflection of each prediction.
    number : int
        Number of reflections.
    """
    harmonics, counts = expansion.harmonics, expansion.harmonics.counts
    alone = np.bincount(refl_id[counts[harmonics.harmonic_id] == 1], minlength=number)
    logger.info(
        "%s observations are of %s harmonics between %.5g and %.5g Å to %.4g Å: %s are overlaps, %s systematically "
        "absent harmonics are left out, and %s of %s reflections are never observed alone",
        f"{len(counts):,}",
        f"{len(refl_id):,}",
        *expansion.limits,
        f"{np.count_nonzero(counts > 1):,}",
        f"{harmonics.absent:,}",
        f"{np.count_nonzero(alone == 0):,}",
        f"{number:,}",
    )
