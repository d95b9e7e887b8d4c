"""Raw observations from what is in memory: arrays, or a DataSet of reciprocalspaceship."""

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.errors import MergedDataError, ReflectionDataError
from vimerge.reflections.raw import RawObservations
from vimerge.reflections.symmetry import resolve_spacegroup

__all__ = ["raw_from_dataset", "raws_from_arrays"]


def raws_from_arrays(hkl, iobs, sigiobs, image, cell, spacegroup, metadata=None, file_id=None, files=None):
    """
    Wrap arrays as raw observations, one for each file; see `Reflections.from_arrays`.

    Returns
    -------
    list of RawObservations
    """
    hkl = miller.as_hkl(hkl)
    cell = cell if isinstance(cell, gemmi.UnitCell) else gemmi.UnitCell(*cell)
    spacegroup = resolve_spacegroup(spacegroup, cell)
    columns = {"I": iobs, "SIGI": sigiobs, "BATCH": image, **(metadata or {})}
    columns = {name: np.asarray(column) for name, column in columns.items()}
    for name, column in columns.items():
        if column.shape != (len(hkl),):
            raise ReflectionDataError(
                f"The array {name} has the shape {list(column.shape)}; give one value for each of the {len(hkl)} "
                "Miller indices."
            )
    types = dict.fromkeys(columns, "R") | {"I": "J", "SIGI": "Q", "BATCH": "B"}
    file_id = np.zeros(len(hkl), dtype=int) if file_id is None else np.asarray(file_id)
    count = int(file_id.max()) + 1 if file_id.size else 1
    files = [f"arrays {i}" if count > 1 else "arrays" for i in range(count)] if files is None else list(files)
    if isinstance(files, str) or len(files) < count or (file_id.size and file_id.min() < 0):
        raise ReflectionDataError(
            f"There are {count} files in file_id, but {len(files)} names in files; give one each."
        )
    raws = []
    for i, name in enumerate(files):
        rows = file_id == i
        mine = {key: column[rows] for key, column in columns.items()}
        raws.append(RawObservations(str(name), hkl[rows], mine, types, cell, spacegroup))
    return raws


def raw_from_dataset(dataset, name="dataset"):
    """
    Wrap an unmerged DataSet as raw observations.

    Parameters
    ----------
    dataset : reciprocalspaceship.DataSet
        The observations.
    name : str, optional
        What to call it in messages.

    Returns
    -------
    RawObservations

    Raises
    ------
    MergedDataError
        If the DataSet says that it is merged.
    """
    if dataset.merged:
        raise MergedDataError(
            f"{name}: the DataSet is merged (its attribute merged is True); give the unmerged observations."
        )
    isym = dataset.get_m_isym_keys()
    if isym:
        dataset = dataset.hkl_to_observed(isym[0])
    columns = dataset.reset_index() if dataset.index.names != [None] else dataset
    hkl = miller.as_hkl(columns[["H", "K", "L"]].to_numpy(dtype=np.int32))
    values, types = {}, {}
    for key in columns.columns:
        if key in ("H", "K", "L"):
            continue
        dtype = columns[key].dtype
        # Plain NumPy columns have no MTZ type of their own.
        types[key] = getattr(dtype, "mtztype", {"i": "I", "u": "I", "f": "R"}.get(getattr(dtype, "kind", ""), ""))
        if types[key]:
            values[key] = columns[key].to_numpy(dtype=np.float64, na_value=np.nan)
    return RawObservations(name, hkl, values, types, dataset.cell, dataset.spacegroup)
