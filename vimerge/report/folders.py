"""Folders of results, read back."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import reciprocalspaceship as rs

from vimerge.reflections import OptionError, UnreadableFileError
from vimerge.statistics import ResultTables, read_results

__all__ = ["Results", "read_folders"]


@dataclass(frozen=True)
class Results:
    """What a merge wrote into a folder; what is not there is None.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
        What to call it.
    tables : ResultTables
        Merged reflections, half data sets and predictions.
    history : pandas.DataFrame or None
        Of `history.csv`, indexed by epoch or cycle.
    run : dict
        Of `run.json`; empty if it is not there.
    log : str
        Of `log.txt`; empty if it is not there.
    """

    folder: Path
    name: str
    tables: ResultTables
    history: pd.DataFrame | None = None
    run: dict = field(default_factory=dict)
    log: str = ""

    @property
    def merged(self):
        """Merged reflections indexed by H, K, L, rs.DataSet or None."""
        return self.tables.merged

    @property
    def predictions(self):
        """Observations and their predictions, indexed by the observed H, K, L, rs.DataSet or None."""
        return self.tables.predictions

    @property
    def half_datasets(self):
        """Half data sets, rs.DataSet or None."""
        return self.tables.half_datasets

    @property
    def anomalous(self):
        """Whether Friedel mates were kept apart."""
        return self.merged is not None and "F(+)" in self.merged

    @property
    def learned(self):
        """Learned numbers by name, a flat dict of floats and lists of floats; numbers of parts as `part.name`."""
        return _flatten(self.run.get("learned") or {})


def read_folders(folders, names=None):
    """Read folders of results.

    Parameters
    ----------
    folders : sequence of path
        Written by `vimerge merge` or `vimerge conventional`.
    names : sequence of str, optional
        What to call them; by default as the folders are called, or by their paths where that is not enough.

    Returns
    -------
    list of Results
        One for each folder, or several for one that holds several data sets.

    Raises
    ------
    OptionError
        If there is no folder, or not a name of its own for each.
    UnreadableFileError
        If a folder is not there or has neither merged reflections nor predictions, or a file cannot be read.
    """
    folders = [Path(folder) for folder in folders]
    if not folders:
        raise OptionError("A report needs a folder of results; name one or more.")
    if names is None:
        names = [folder.resolve().name for folder in folders]
        names = [name if names.count(name) == 1 else str(f) for name, f in zip(names, folders, strict=True)]
    if len(names) != len(folders) or len(set(names)) != len(names):
        raise OptionError(
            f"{len(folders)} folders need as many different names, not {', '.join(names)}; name each once."
        )
    return [found for folder, name in zip(folders, names, strict=True) for found in _read(folder, name)]


def _read(folder, name):
    if not folder.is_dir():
        raise UnreadableFileError(f"There is no folder {folder}; name one that a merge has written.")
    history = folder / "history.csv"
    shared = {
        "history": pd.read_csv(history, index_col=0) if history.exists() else None,
        "run": _read_json(folder / "run.json"),
        "log": _read_text(folder / "log.txt"),
    }
    sets = _read_tables(folder)
    called = [name if len(sets) == 1 else name + tables.name.removeprefix(folder.name) for tables in sets]
    return [Results(folder, each, tables, **shared) for each, tables in zip(called, sets, strict=True)]


def _read_tables(folder):
    """The folder's data sets; without merged reflections what there is besides."""
    try:
        if any(folder.glob("merged*.mtz")):
            return [_usable(tables) for tables in read_results(folder)]
        predictions = folder / "predictions.mtz"
        if not predictions.exists():
            raise UnreadableFileError(
                f"{folder} has neither merged.mtz nor predictions.mtz; name a folder that a merge has written."
            )
        return [ResultTables(folder.name, predictions=rs.read_mtz(str(predictions)))]
    except RuntimeError as error:
        raise UnreadableFileError(f"A file in {folder} cannot be read as MTZ ({error}); merge again.") from error


def _usable(tables):
    """Without half data sets that have no reflection in common, as those of very few data: nothing can be said."""
    if tables.half_datasets is None:
        return tables
    half = tables.half_datasets["half"].to_numpy()
    halves = [tables.half_datasets.index[half == i] for i in (0, 1)]
    return tables if len(halves[0].intersection(halves[1])) else replace(tables, half_datasets=None)


def _read_json(path):
    try:
        return json.loads(_read_text(path) or "{}")
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"{path} is not JSON ({error}); merge again, or remove it.") from error


def _read_text(path):
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _flatten(numbers, prefix=""):
    flat = {}
    for name, value in numbers.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
