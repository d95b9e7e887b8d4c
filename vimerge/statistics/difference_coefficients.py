"""Coefficients of difference maps."""

import logging
from typing import NamedTuple

import numpy as np
import reciprocalspaceship as rs

from vimerge.reflections.errors import MissingColumnError, NoObservationsError, OptionError
from vimerge.reflections.tables import make_table
from vimerge.statistics.difference_weights import WEIGHTS, expected_multiple, q_weights, shrinkage_weights
from vimerge.statistics.labels import centric
from vimerge.statistics.shells import Shells, resolution

log = logging.getLogger("vimerge")

# Coot opens both by themselves as difference maps.
LABELS = {False: ("DELFWT", "PHDELWT"), True: ("FAN", "PHAN")}
_SHELLS = 10


def difference_coefficients(
    table, phases, *, anomalous=False, weights="q", alpha=0.05, reject=5.0, electrons=True, dmax=None, dmin=None
):
    """Make the coefficients m w ΔF exp(iφ) of a difference map, or m w ΔF exp(i(φ − 90°)) of an anomalous one.

    Parameters
    ----------
    table : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with DF and SIGDF. If anomalous, DANO and SIGDANO; centric
        reflections, which have no anomalous difference, are left out.
    phases : rs.DataSet
        As of `phases`: PHIC (°) and FOM, m. Reflections without a phase are left out.
    anomalous : bool, optional
        Whether the map shows anomalous scatterers. f″ turns their contribution by 90°, so that F(+) − F(-) is the
        component of 2 i f″ along F.
    weights : {"q", "shrinkage", "none"}, optional
        w; see `q_weights` and `shrinkage_weights`.
    alpha : float, optional
        That of the q-weights.
    reject : float or None, optional
        Differences of more than this many times the root mean square of their resolution shell have no weight: in a
        Fourier sum one gross outlier is a wave through the whole map.
    electrons : bool, optional
        Whether to put differences on the absolute scale, by `phases`' SCALE if there is one; the density is then in
        e/Å³ and has the fall-off and anisotropy of the model rather than of the data.
    dmax, dmin : float, optional
        Resolution limits (Å).

    Returns
    -------
    rs.DataSet
        `DF SIGDF W PHIC FOM` with `DELFWT PHDELWT`, or `DANO SIGDANO W PHIC FOM` with `FAN PHAN`: labels that Coot
        knows. Amplitudes are not negative, phases in −180° … 180°.

    Raises
    ------
    ReflectionDataError
        If a column is missing, an option makes no sense, or nothing is left.
    """
    name = "DANO" if anomalous else "DF"
    for column in (name, f"SIG{name}"):
        if column not in table:
            raise MissingColumnError(f"There is no {column} among {', '.join(table.columns)}; work it out first.")
    if weights not in WEIGHTS:
        raise OptionError(f"weights={weights!r} is not known; choose one of {', '.join(WEIGHTS)}.")
    found = _Phased.of(table, phases.reindex(table.index), name, electrons)
    use = found.complete & (found.d <= (dmax or np.inf)) & (found.d >= (dmin or 0.0))
    if anomalous:
        use &= ~found.centric
    if not use.any():
        raise NoObservationsError("No reflection has a difference with a standard deviation and a phase; check them.")
    found = _Phased(*(values[use] for values in found))
    kept = _inliers(found.df, found.d, reject)
    log.info("Differences of %s reflections; %s outliers rejected", f"{len(kept):,}", f"{(~kept).sum():,}")
    w = _weights(weights, found, kept, table.spacegroup, alpha)
    turned = found.phi + np.where(found.df < 0, 180.0, 0.0) - (90.0 if anomalous else 0.0)
    amplitude, phase = LABELS[anomalous]
    columns = {
        name: found.df,
        f"SIG{name}": found.sigma,
        "W": w,
        "PHIC": found.phi,
        "FOM": found.merit,
        amplitude: found.merit * w * np.abs(found.df),
        phase: (turned + 180.0) % 360.0 - 180.0,
    }
    own = getattr(table[name].dtype, "mtztype", "D" if anomalous else "R")
    types = (own, "Q", "W", "P", "W", "F", "P")
    return make_table(found.hkl, columns, dict(zip(columns, types, strict=True)), table.cell, table.spacegroup)


class _Phased(NamedTuple):
    """Differences and the phases that go with them, of N reflections."""

    hkl: np.ndarray  # int32 [N, 3]
    df: np.ndarray  # [N], as all others
    sigma: np.ndarray
    phi: np.ndarray  # degrees
    merit: np.ndarray
    d: np.ndarray  # Å
    centric: np.ndarray

    @classmethod
    def of(cls, table, phases, name, electrons):
        """From the column of that name, on the scale of the phases if it is known and wanted."""
        df, sigma, phi, merit = (
            source[column].to_numpy(np.float64)
            for source, column in ((table, name), (table, f"SIG{name}"), (phases, "PHIC"), (phases, "FOM"))
        )
        if electrons and "SCALE" in phases:
            scale = phases["SCALE"].to_numpy(np.float64)
            df, sigma = df / scale, sigma / scale
        hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
        return cls(hkl, df, sigma, phi, merit, resolution(table), centric(table))

    @property
    def complete(self):
        """Which have all that a coefficient is made of."""
        return np.isfinite(self.df) & (self.sigma > 0) & np.isfinite(self.phi) & np.isfinite(self.merit)


def _weights(kind, found, kept, spacegroup, alpha):
    """The weight of each difference, zero for outliers, which have no say in the others' either."""
    w = np.zeros(len(kept))
    df, sigma = found.df[kept], found.sigma[kept]
    if kind == "none":
        w[kept] = 1.0
    elif kind == "q":
        w[kept] = q_weights(df, sigma, alpha)
    else:
        multiple = expected_multiple(found.hkl, spacegroup, found.centric)
        w[kept] = shrinkage_weights(df, sigma, found.d[kept] ** -2.0, multiple[kept])
    return w


def anomalous_differences(merged):
    """Work out anomalous differences from the amplitudes of Friedel mates, taken to be independent.

    Parameters
    ----------
    merged : rs.DataSet
        Indexed by H, K, L in the asymmetric unit, with F(+), SIGF(+), F(-), SIGF(-).

    Returns
    -------
    rs.DataSet
        The table with DANO = F(+) − F(-) and SIGDANO, NaN where a mate is missing and for centric reflections.

    Raises
    ------
    MissingColumnError
        If the columns are not there.
    """
    names = ("F(+)", "SIGF(+)", "F(-)", "SIGF(-)")
    if not set(names) <= set(merged.columns):
        raise MissingColumnError(
            f"There is no {', '.join(names)} among {', '.join(merged.columns)}; merge with Friedel mates apart."
        )
    plus, s_plus, minus, s_minus = (merged[name].to_numpy(np.float64) for name in names)
    alone = centric(merged)
    result = merged.copy()
    for name, values, kind in (("DANO", plus - minus, "D"), ("SIGDANO", np.hypot(s_plus, s_minus), "Q")):
        values = np.where(alone, np.nan, values).astype(np.float32)
        result[name] = rs.DataSeries(values, index=merged.index, dtype=kind)
    return result


def _inliers(df, d, limit):
    """Which differences are within so many times the root mean square of their shell."""
    if limit is None:
        return np.ones(len(df), bool)
    if not limit > 0:
        raise OptionError(f"reject must be positive, but is {limit!r}; 5 is usual, and None keeps all.")
    shells = Shells(d, min(_SHELLS, len(d)))
    shell = shells.assign(d)
    square = np.bincount(shell, df**2, minlength=len(shells)) / np.maximum(np.bincount(shell, minlength=len(shells)), 1)
    return np.abs(df) <= limit * np.sqrt(square)[shell]
