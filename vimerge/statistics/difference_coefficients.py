"""Coefficients of difference maps."""

import logging

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
    phases = phases.reindex(table.index)
    df, sigma, phi, merit = (
        source[column].to_numpy(np.float64)
        for source, column in ((table, name), (table, f"SIG{name}"), (phases, "PHIC"), (phases, "FOM"))
    )
    if electrons and "SCALE" in phases:
        scale = phases["SCALE"].to_numpy(np.float64)
        df, sigma = df / scale, sigma / scale
    d, is_centric = resolution(table), centric(table)
    use = np.isfinite(df) & (sigma > 0) & np.isfinite(phi) & np.isfinite(merit)
    use &= (d <= (dmax or np.inf)) & (d >= (dmin or 0.0))
    if anomalous:
        use &= ~is_centric
    if not use.any():
        raise NoObservationsError("No reflection has a difference with a standard deviation and a phase; check them.")
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)[use]
    df, sigma, phi, merit, d = df[use], sigma[use], phi[use], merit[use], d[use]
    kept = _inliers(df, d, reject)
    log.info("Differences of %s reflections; %s outliers rejected", f"{len(df):,}", f"{(~kept).sum():,}")
    multiple = expected_multiple(hkl, table.spacegroup, is_centric[use])
    w = np.zeros(len(df))
    if weights == "none":
        w[kept] = 1.0
    elif weights == "q":
        w[kept] = q_weights(df[kept], sigma[kept], alpha)
    else:
        w[kept] = shrinkage_weights(df[kept], sigma[kept], d[kept] ** -2.0, multiple[kept])
    turned = phi + np.where(df < 0, 180.0, 0.0) - (90.0 if anomalous else 0.0)
    amplitude, phase = LABELS[anomalous]
    columns = {
        name: df,
        f"SIG{name}": sigma,
        "W": w,
        "PHIC": phi,
        "FOM": merit,
        amplitude: merit * w * np.abs(df),
        phase: (turned + 180.0) % 360.0 - 180.0,
    }
    own = getattr(table[name].dtype, "mtztype", "D" if anomalous else "R")
    types = (own, "Q", "W", "P", "W", "F", "P")
    return make_table(hkl, columns, dict(zip(columns, types, strict=True)), table.cell, table.spacegroup)


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
