"""The columns of merged and half data sets, under the names that vimerge gives them."""

import numpy as np
import reciprocalspaceship as rs

from vimerge.reflections.tables import AMPLITUDE, FRIEDEL

NAMES = {name.lower(): name for name in (*AMPLITUDE, *FRIEDEL, "half", "repeat")}


def with_own_names(table):
    """Name columns as vimerge does, whatever their case, and work out intensities where there are only amplitudes.

    F and SIGF are the mean and the standard deviation of an amplitude, so that its intensity is on average

        I = E[F²] = F² + SIGF²,  with  SIGI = √(4 F² SIGF² + 2 SIGF⁴)

    the latter exact if F's distribution is normal.

    Parameters
    ----------
    table : rs.DataSet
        Half data sets of other programs, say, with F, SigF, half, repeat.

    Returns
    -------
    rs.DataSet
        The same if nothing has to be done.
    """
    renamed = {name: NAMES[name.lower()] for name in table.columns if name.lower() in NAMES}
    if len(set(renamed.values())) == len(renamed) and any(old != new for old, new in renamed.items()):
        table = table.rename(columns=renamed)
    missing = [
        sign
        for sign in ("", "(+)", "(-)")
        if f"I{sign}" not in table and f"F{sign}" in table and f"SIGF{sign}" in table
    ]
    if missing:
        table = table.copy()
    for sign in missing:
        f, sigma = (table[f"{name}{sign}"].to_numpy(np.float64) for name in ("F", "SIGF"))
        values = {"I": f**2 + sigma**2, "SIGI": np.sqrt(4 * (f * sigma) ** 2 + 2 * sigma**4)}
        types = {"I": "K" if sign else "J", "SIGI": "M" if sign else "Q"}
        for name, value in values.items():
            table[f"{name}{sign}"] = rs.DataSeries(value.astype(np.float32), index=table.index, dtype=types[name])
    return table


def centric(table):
    """Which rows of an `rs.DataSet` indexed by H, K, L are centric, bool [N]."""
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    return np.asarray(table.spacegroup.operations().centric_flag_array(np.ascontiguousarray(hkl)), bool)
