"""Phases for the reflections of a table, from a file or calculated from a model."""

import logging
import os
from pathlib import Path

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.columns import is_sigma_of, missing_column
from vimerge.reflections.errors import (
    AmbiguousColumnError,
    MissingColumnError,
    ReflectionDataError,
    SymmetryError,
    UnreadableFileError,
)
from vimerge.reflections.readers import mtz as mtz_reader
from vimerge.reflections.symmetry import CELL_SPREAD
from vimerge.reflections.tables import make_table
from vimerge.statistics.atomic_models import atoms_factors, is_model, read_model, solvent_factors

log = logging.getLogger("vimerge")

# What programs call phases of the whole structure, solvent included, in the order of preference.
_PHASES = ("PHIC_ALL", "PHIF-MODEL", "PHIFMODEL", "PHIC", "PHI", "PHIB", "PHIM", "PHWT", "PH2FOFCWT")
_MERITS = ("FOM", "FOMC", "FOMM", "FOMB")
# Beyond this there is no solvent in crystals: density (e/Å³) and B (Å²).
_K_LIMIT, _B_LIMIT = 0.8, 200.0
# No bulk solvent, and that of most protein crystals (Fokine & Urzhumtsev, Acta Cryst. D58, 1387, 2002).
_USUAL = [(0.0, 46.0), (0.35, 46.0)]
# k and B go together, so that there may be two minima.
_STARTS = [(0.35, 46.0), (0.5, 80.0)]


def phases(table, source, column=None, merit=None):
    """Find or calculate the phases of a table's reflections.

    Parameters
    ----------
    table : rs.DataSet
        Indexed by H, K, L in the asymmetric unit. For a model's scale its first column of amplitudes with a standard
        deviation is used, or the mean of F(+) and F(-).
    source : path or gemmi.Structure
        A merged MTZ file with phases, or a model: a PDB or mmCIF file, or a structure.
    column, merit : str, optional
        The MTZ columns of phases (type P) and of their figures of merit (type W); found by type and name if not given.

    Returns
    -------
    rs.DataSet
        With the table's index: `PHIC` (°), `FOM` (1 where there is none), and of a model `FC` (electrons) and `SCALE`,
        what the table's amplitudes have to be divided by to be in electrons. PHIC is NaN where there is no phase.

    Raises
    ------
    ReflectionDataError
        With a sentence that names the file, the column and the fix.
    """
    if is_model(source):
        if column is not None or merit is not None:
            raise MissingColumnError(f"{source}: a model has no columns; leave out the names of columns.")
        return model_phases(table, source)
    return mtz_phases(table, source, column, merit)


def mtz_phases(table, path, column=None, merit=None):
    """Find phases in a merged MTZ file; parameters, result and errors as of `phases`."""
    path = os.fspath(path)
    if not Path(path).is_file():
        raise UnreadableFileError(f"{path}: there is no such file; check the path.")
    with open(path, "rb") as stream:
        if not mtz_reader.matches(Path(path), stream.read(4)):
            raise UnreadableFileError(f"{path}: phases come from an MTZ file or a model (.pdb, .cif); this is neither.")
    mtz = mtz_reader._open(path)
    _check_isomorphous(path, mtz, table)
    types = {one.label: one.type for one in mtz.columns}
    column = _choose(path, types, "P", _PHASES, column, "phases", required=True)
    merit = _choose(path, types, "W", _MERITS, merit, "figures of merit", required=False)
    # Shifts phases as the translations of the operations demand.
    mtz.ensure_asu()
    hkl = miller.as_hkl(mtz.make_miller_array())
    keys, first = np.unique(miller.pack(hkl), return_index=True)
    if len(keys) < len(hkl):
        raise ReflectionDataError(f"{path}: its reflections are unmerged; give the phases of merged ones.")
    wanted = miller.pack(_indices(table))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = keys[place] == wanted
    values = {
        name: np.where(known, np.array(mtz.column_with_label(label).array, np.float64)[first[place]], np.nan)
        for name, label in (("PHIC", column), ("FOM", merit))
        if label is not None
    }
    if not np.isfinite(values["PHIC"]).any():
        raise ReflectionDataError(f"{path}: it has none of the {len(table):,} reflections' phases; give one that does.")
    values.setdefault("FOM", np.ones(len(table)))
    return _table(table, values, {"PHIC": "P", "FOM": "W"})


def model_phases(table, source):
    """Calculate phases from a model's atoms and bulk solvent.

    F_c = F_atoms + k_sol exp(−B_sol s²/4) F_mask, with k_sol and B_sol fitted to the amplitudes together with an
    overall anisotropic scale, by gemmi. Where the fit leaves what is physically possible, as where there are no data at
    low resolution, the better is taken of no solvent and the usual one, 0.35 e/Å³ with 46 Å². The figure of merit is 1.

    Parameters and result as of `phases`.
    """
    structure = read_model(source, table.cell, table.spacegroup)
    hkl = _indices(table)
    s2 = table.cell.calculate_1_d2_array(hkl)
    observed, sigma = _amplitudes(table)
    atoms, solvent = atoms_factors(structure, hkl), solvent_factors(structure, hkl)
    use = np.isfinite(observed) & (observed > 0) & (sigma > 0)
    fits = [_fit(table, hkl, observed, sigma, use, atoms, solvent, start) for start in _STARTS]
    trials = [(f.k_sol, f.b_sol) for f in fits if 0 <= f.k_sol <= _K_LIMIT and 0 <= f.b_sol <= _B_LIMIT]
    found = []
    for k, b in trials or _USUAL:
        total = atoms + k * np.exp(-b * s2 / 4) * solvent
        fit = _fit(table, hkl, observed, sigma, use, total)
        scale = np.asarray(fit.get_overall_scale_factor(hkl), np.float64)
        r = np.abs(observed - scale * np.abs(total))[use].sum() / observed[use].sum()
        found.append((r, k, b, total, scale))
    r, k, b, total, scale = min(found, key=lambda one: one[0])
    log.info("Model phases: bulk solvent %.2f e/Å³, B %.0f Å²; R of amplitudes %.3f", k, b, r)
    values = {
        "FC": np.abs(total),
        "PHIC": np.angle(total, deg=True),
        "FOM": np.ones(len(table)),
        "SCALE": scale,
    }
    return _table(table, values, {"FC": "F", "PHIC": "P", "FOM": "W", "SCALE": "R"})


def _fit(table, hkl, observed, sigma, use, calculated, solvent=None, start=(0.0, 0.0)):
    """A gemmi.Scaling of calculated structure factors to amplitudes."""
    if use.sum() < 20:
        raise ReflectionDataError(
            f"Only {use.sum()} reflections have amplitudes, too few to scale a model to; give phases in an MTZ file."
        )

    def data(kind, values, dtype):
        made = kind(table.cell, table.spacegroup, hkl[use], np.ascontiguousarray(values[use], dtype))
        made.ensure_sorted()
        return made

    scaling = gemmi.Scaling(table.cell, table.spacegroup)
    scaling.use_solvent = solvent is not None
    scaling.k_sol, scaling.b_sol = start
    measured = data(gemmi.ValueSigmaAsuData, np.stack([observed, sigma], axis=1), np.float32)
    complex_data = [data(gemmi.ComplexAsuData, f, np.complex64) for f in (calculated, solvent) if f is not None]
    scaling.prepare_points(complex_data[0], measured, *complex_data[1:])
    scaling.fit_isotropic_b_approximately()
    scaling.fit_parameters()
    return scaling


def _amplitudes(table):
    """Amplitudes and standard deviations to scale a model to."""
    types = {name: getattr(dtype, "mtztype", "") for name, dtype in table.dtypes.items()}
    # A difference may have the type of an amplitude.
    for name in [name for name, kind in types.items() if kind == "F" and name != "DF"]:
        sigma = next((other for other in table.columns if is_sigma_of(other, name)), None)
        if sigma is not None:
            return table[name].to_numpy(np.float64), table[sigma].to_numpy(np.float64)
    if {"F(+)", "SIGF(+)", "F(-)", "SIGF(-)"} <= set(table.columns):
        f, s = (np.stack([table[f"{kind}({sign})"].to_numpy(np.float64) for sign in "+-"]) for kind in ("F", "SIGF"))
        known = np.isfinite(f) & (s > 0)
        number = known.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known, f, 0.0).sum(axis=0) / number
            return mean, np.sqrt(np.where(known, s**2, 0.0).sum(axis=0)) / number
    raise MissingColumnError(
        f"There are no amplitudes with standard deviations to scale the model to among {', '.join(table.columns)}; "
        "add F and SIGF."
    )


def _choose(path, types, letter, preferred, name, what, required):
    """The name of the column of a type, or None."""
    if name is not None:
        if name not in types:
            raise missing_column(path, name, [key for key, kind in types.items() if kind == letter], "its label", what)
        if types[name] != letter:
            raise MissingColumnError(
                f"{path}: the column {name} has the MTZ type {types[name]}, which is not of {what} ({letter}); "
                "give another label."
            )
        return name
    candidates = [label for label, kind in types.items() if kind == letter]
    upper = {label.upper(): label for label in reversed(candidates)}
    for guess in preferred:
        if guess in upper:
            return upper[guess]
    if not required:
        return None
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise AmbiguousColumnError(
            f"{path}: several columns could be the {what} ({', '.join(candidates)}); choose one by its label."
        )
    raise MissingColumnError(
        f"{path}: there is no column of {what} (MTZ type {letter}) among {', '.join(types)}; give a file that has one, "
        "or a model."
    )


def _check_isomorphous(path, mtz, table):
    if mtz.spacegroup is None or mtz.spacegroup.operations() != table.spacegroup.operations():
        found = "no space group" if mtz.spacegroup is None else f"the space group {mtz.spacegroup.xhm()}"
        raise SymmetryError(
            f"{path}: it has {found}, but that of the data is {table.spacegroup.xhm()}; give phases in this one."
        )
    own, wanted = (np.array(cell.parameters) for cell in (mtz_reader._cell(mtz) or gemmi.UnitCell(), table.cell))
    if np.any(np.abs(own - wanted) > [*(CELL_SPREAD * wanted[:3]), 3.0, 3.0, 3.0]):
        raise SymmetryError(f"{path}: its cell differs by more than 3 % from that of the data; reindex it first.")


def _indices(table):
    return np.ascontiguousarray(table.reset_index()[["H", "K", "L"]].to_numpy(np.int32))


def _table(table, values, types):
    made = make_table(_indices(table), values, types, table.cell, table.spacegroup)
    return made.reindex(table.index) if not made.index.equals(table.index) else made
