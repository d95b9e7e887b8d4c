"""What a table of statistics is made from: folders of results, and reflection files of this and other programs."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import reciprocalspaceship as rs

from vimerge.reflections import Reflections
from vimerge.reflections import hkl as miller
from vimerge.reflections.columns import missing_column
from vimerge.reflections.errors import (
    MergedDataError,
    MissingColumnError,
    ReflectionDataError,
    SymmetryError,
    UnreadableFileError,
)
from vimerge.reflections.readers import mtz as mtz_reader
from vimerge.reflections.tables import AMPLITUDE, FRIEDEL
from vimerge.statistics.labels import NAMES, centric, with_own_names
from vimerge.statistics.unmerged import merge_random_halves, merge_scaled, observations_table, scaled_observations

log = logging.getLogger("vimerge")

# What other programs call the columns, in the order of preference, in lower case.
_GUESSES = {
    "I": ("i", "imean", "iobs", "i-obs", "i_obs", "intensity"),
    "F": ("f", "fp", "fobs", "f-obs", "f_obs", "fmean", "f_infl"),
    "I(+)": ("i(+)", "iobs(+)", "i-obs(+)", "iplus"),
    "I(-)": ("i(-)", "iobs(-)", "i-obs(-)", "iminus"),
    "F(+)": ("f(+)", "fobs(+)", "f-obs(+)", "fplus"),
    "F(-)": ("f(-)", "fobs(-)", "f-obs(-)", "fminus"),
    "N": ("n", "multiplicity", "nobs"),
}
_SIGMA = ("sig{}", "sigma{}", "sig_{}", "sigma({})", "sig({})")


@dataclass(frozen=True)
class ResultTables:
    """The tables of one merge, each None where it is not there.

    Parameters
    ----------
    name : str
        For headings.
    merged : rs.DataSet, optional
        Indexed by H, K, L in the asymmetric unit, with the columns of `merged.mtz`.
    observations : rs.DataSet, optional
        Unmerged, on the merged scale: indexed by the observed H, K, L, with I, SIGI, image_id.
    half_datasets : rs.DataSet, optional
        As `half_datasets.mtz`.
    predictions : rs.DataSet, optional
        As `predictions.mtz`.
    """

    name: str
    merged: rs.DataSet | None = None
    observations: rs.DataSet | None = None
    half_datasets: rs.DataSet | None = None
    predictions: rs.DataSet | None = None

    @property
    def reflections(self):
        """rs.DataSet: the table that tells which reflections there are."""
        return next(t for t in (self.merged, self.half_datasets, self.observations) if t is not None)


def read_results(folder):
    """Read the tables of a folder that `vimerge merge` or `vimerge conventional` wrote.

    Parameters
    ----------
    folder : path
        With merged.mtz, or merged_<name>.mtz for each of several data sets, and beside it predictions.mtz and
        half_datasets.mtz (or predictions_<name>.mtz …), as far as they are there.

    Returns
    -------
    list of ResultTables
        One for each data set.

    Raises
    ------
    UnreadableFileError
        If there is no merged file.
    """
    folder = Path(folder)
    found = sorted(path for path in folder.glob("merged*.mtz") if path.stem == "merged" or path.stem[6] == "_")
    if not found:
        raise UnreadableFileError(f"{folder}: there is no merged.mtz in it; give a folder that a merge has written.")

    def table(name, suffix):
        path = folder / f"{name}{suffix}.mtz"
        return _read(path) if path.is_file() else None

    results = []
    for path in found:
        suffix = path.stem.removeprefix("merged")
        predictions, halves = (table(name, suffix) for name in ("predictions", "half_datasets"))
        observations = None if predictions is None else scaled_observations(predictions)
        name = folder.name or str(folder)
        results.append(ResultTables(name + suffix.replace("_", " "), _read(path), observations, halves, predictions))
    return results


def read_source(path, intensity_key=None, uncertainty_key=None, image_key=None, anomalous=None, repeats=1, seed=0):
    """Read whatever statistics can be made of.

    Parameters
    ----------
    path : path
        A folder of results; an MTZ file, merged (intensities or amplitudes) or of half data sets (with columns half and
        repeat in any case, as careless writes them); or scaled but unmerged observations, in an MTZ file with M/ISYM or
        any other format that `Reflections.read` knows.
    intensity_key, uncertainty_key : str, optional
        Columns of intensities or amplitudes and their standard deviations; found by name and type if not given.
    image_key : str, optional
        Image numbers of unmerged files.
    anomalous : bool, optional
        Whether to keep the Friedel mates of unmerged files apart, as is done by default.
    repeats, seed : int, optional
        Random halves of the images of unmerged files: how many, and which.

    Returns
    -------
    list of ResultTables

    Raises
    ------
    ReflectionDataError
        With a sentence that names the file and the fix.
    """
    path = Path(path)
    if path.is_dir():
        return read_results(path)
    if not path.is_file():
        raise UnreadableFileError(f"{path}: there is no such file or folder; check the path.")
    with open(path, "rb") as stream:
        is_mtz = mtz_reader.matches(path, stream.read(4))
    if is_mtz and {"half", "repeat"} <= {c.label.lower() for c in mtz_reader._open(str(path)).columns}:
        return [ResultTables(path.name, half_datasets=_read(path))]
    try:
        keys = {"intensity_key": intensity_key, "uncertainty_key": uncertainty_key, "image_key": image_key}
        reflections = Reflections.read(path, anomalous=anomalous is not False, metadata=[], **keys)
    except MergedDataError:
        table = _merged_of_any_program(_read(path), str(path), intensity_key, uncertainty_key)
        return [ResultTables(path.name, merged=table)]
    halves = merge_random_halves(reflections, repeats, seed) if repeats and reflections.n_images > 1 else None
    return [ResultTables(path.name, merge_scaled(reflections), observations_table(reflections), halves)]


def _read(path):
    table = rs.read_mtz(str(path))
    if table.spacegroup is None or table.cell is None or not table.cell.is_crystal():
        raise SymmetryError(f"{path}: the file has no cell or no space group; write them into its header.")
    return table


def _merged_of_any_program(table, path, value_key, sigma_key):
    columns = _choose(table, path, value_key, sigma_key)
    own = rs.DataSet({name: table[source] for name, source in columns.items()}, index=table.index)
    own.cell, own.spacegroup, own.merged = table.cell, table.spacegroup, True
    own = _in_asu(own, path)
    own = with_own_names(own)
    if "I" not in own:
        own = _mean_of_mates(own)
    return own[own["I"].notna().to_numpy()]


def _choose(table, path, value_key, sigma_key):
    """Columns of the file by vimerge's names."""
    lower = {name.lower(): name for name in table.columns}
    for key, option in ((value_key, "--intensity-key"), (sigma_key, "--uncertainty-key")):
        if key is not None and key not in table:
            raise missing_column(path, key, table.columns, option)
    if value_key is not None:
        amplitude = table[value_key].dtype.mtztype in "FG" if hasattr(table[value_key].dtype, "mtztype") else False
        sigma = sigma_key or _sigma(lower, value_key)
        if sigma is None:
            raise MissingColumnError(
                f"{path}: which column is the standard deviation of {value_key}? Name it with --uncertainty-key."
            )
        return {"F": value_key, "SIGF": sigma} if amplitude else {"I": value_key, "SIGI": sigma}
    chosen = {}
    for name, guesses in _GUESSES.items():
        for guess in guesses:
            source = lower.get(guess)
            sigma = None if source is None else _sigma(lower, source)
            if name == "N" and source is not None:
                chosen[name] = source
                break
            if sigma is not None:
                chosen |= {name: source, f"SIG{name}": sigma}
                break
    chosen |= {name: lower[name.lower()] for name in ("N(+)", "N(-)") if name.lower() in lower}
    if not {"I", "F", "I(+)", "F(+)"} & set(chosen):
        raise MissingColumnError(
            f"{path}: no column of intensities or amplitudes with standard deviations is known by its name among "
            f"{', '.join(table.columns)}; name them with --intensity-key and --uncertainty-key."
        )
    return {name: chosen[name] for name in NAMES.values() if name in chosen}


def _sigma(lower, name):
    return next((lower[s.format(name.lower())] for s in _SIGMA if s.format(name.lower()) in lower), None)


def _in_asu(table, path):
    """Map the indices to the asymmetric unit, with Friedel mates exchanged where an inversion is needed."""
    hkl = table.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
    mapped, plus = miller.to_asu(np.ascontiguousarray(hkl), table.spacegroup)
    if len(miller.unique(mapped)[0]) < len(mapped):
        raise ReflectionDataError(
            f"{path}: reflections that are equivalent are there more than once, as in no merged file of the space "
            f"group {table.spacegroup.xhm()}; merge it in that group."
        )
    swap = ~plus & ~centric(table)
    result = table.copy()
    for name in [name for name in table.columns if name.endswith("(+)")]:
        other = name.replace("(+)", "(-)")
        if other in table:
            for one, two in ((name, other), (other, name)):
                values = np.where(swap, table[two].to_numpy(np.float64), table[one].to_numpy(np.float64))
                result[one] = rs.DataSeries(values.astype(np.float32), index=table.index, dtype=table[one].dtype)
    result = result.reset_index()
    for i, name in enumerate("HKL"):
        result[name] = rs.DataSeries(mapped[:, i], dtype="H")
    absent = np.asarray(table.spacegroup.operations().systematic_absences(mapped), bool)
    if absent.any():
        log.info("%s: %s systematically absent reflections left out", path, f"{absent.sum():,}")
    return result[~absent].set_index(["H", "K", "L"]).sort_index()


def _mean_of_mates(table):
    """Add I and SIGI, the mates' mean by inverse variance; that of a centric reflection is either's."""
    values = np.stack([table[f"I({sign})"].to_numpy(np.float64) for sign in "+-"])
    sigma = np.stack([table[f"SIGI({sign})"].to_numpy(np.float64) for sign in "+-"])
    known = np.isfinite(values) & (sigma > 0)
    known[1] &= ~(centric(table) & known[0])
    weight = np.where(known, np.where(known, sigma, 1.0) ** -2.0, 0.0)
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = {"I": (weight * np.nan_to_num(values)).sum(axis=0) / total, "SIGI": total**-0.5}
    types = AMPLITUDE | FRIEDEL
    result = table.copy()
    for name, value in mean.items():
        value = np.where(total > 0, value, np.nan).astype(np.float32)
        result[name] = rs.DataSeries(value, index=table.index, dtype=types[name])
    return result
