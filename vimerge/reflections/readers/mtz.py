"""Unmerged MTZ files, from any program."""

import logging

import gemmi
import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.errors import MergedDataError, SymmetryError, UnreadableFileError
from vimerge.reflections.raw import RawObservations
from vimerge.reflections.symmetry import resolve_spacegroup

__all__ = ["matches", "read"]

logger = logging.getLogger("vimerge")

_ISYM_NAMES = ("M/ISYM", "M_ISYM")


def matches(path, head):
    """Whether a file is an MTZ file, by its first bytes or else by its name."""
    return head.startswith(b"MTZ ") or path.suffix.lower() == ".mtz"


def read(path, space_group=None):
    """
    Read an unmerged MTZ file.

    The indices in the file are those of the asymmetric unit; M/ISYM (256 is added to it for partials) says which
    operation leads back to the observed ones.

    Parameters
    ----------
    path : str
        The file.
    space_group : str, int or gemmi.SpaceGroup, optional
        Used where the file has none.

    Returns
    -------
    RawObservations

    Raises
    ------
    UnreadableFileError
        If the file is no MTZ file, or truncated.
    MergedDataError
        If its reflections are merged.
    """
    mtz = _open(path)
    cell = _cell(mtz)
    spacegroup = mtz.spacegroup
    known = spacegroup if space_group is None else resolve_spacegroup(space_group, cell, path)
    labels = [column.label for column in mtz.columns]
    if labels[:3] != ["H", "K", "L"]:
        raise UnreadableFileError(f"{path}: the first columns are not H, K and L; write the MTZ file again.")
    hkl = mtz.make_miller_array()
    isym = next((c for c in mtz.columns if c.type == "Y" and c.label in _ISYM_NAMES), None)
    has_images = any(column.type == "B" for column in mtz.columns)
    if isym is not None and (has_images or _repeated(hkl)):
        hkl = _observed(mtz, isym, path, known)
    elif isym is None and _unmerged_without_isym(hkl, known, has_images):
        logger.warning("%s: no M/ISYM column, so the Miller indices are taken to be the observed ones", path)
    else:
        raise MergedDataError(
            f"{path}: the reflections are merged (there is no M/ISYM column, or no BATCH column and no reflection "
            "twice); give the unmerged file that the merging started from."
        )
    others = [column for column in mtz.columns if column.idx > 2 and column is not isym]
    others = [column for column in others if not (column.type == "Y" and column.label in _ISYM_NAMES)]
    columns = {column.label: np.array(column.array) for column in others}
    types = {column.label: column.type for column in others}
    for name, values in _parts(columns.get("MPART")).items():
        columns[name], types[name] = values, "I"
    return RawObservations(path, miller.as_hkl(hkl), columns, types, cell, spacegroup)


def _parts(mpart):
    """Split MOSFLM's code of a partial, 100 × (number of images it is on) + (which of them): two facts in one number.

    `MPART_N` is the number of images and `MPART_I` which of them; fully recorded reflections are coded 0.
    """
    if mpart is None or not np.isfinite(mpart).all():
        return {}
    return {"MPART_N": np.floor(mpart / 100), "MPART_I": np.mod(mpart, 100)}


def _open(path):
    try:
        mtz = gemmi.read_mtz_file(path)
    except (RuntimeError, ValueError, OSError) as error:
        with open(path, "rb") as stream:
            is_mtz = stream.read(4) == b"MTZ "
        what = "the MTZ file is truncated or damaged" if is_mtz else "this is no MTZ file, whatever its name"
        raise UnreadableFileError(f"{path}: {what}; copy or write it again.") from error
    # The text headers come last: a file cut there still opens, with columns or symmetry missing.
    with open(path, "rb") as stream:
        stream.seek(0, 2)
        stream.seek(-min(stream.tell(), 80 * 4), 2)
        ends_well = b"MTZENDOFHEADERS" in stream.read()
    if not (ends_well or _has_end_of_headers(path)):
        raise UnreadableFileError(f"{path}: the MTZ file is truncated; copy or write it again.")
    return mtz


def _has_end_of_headers(path):
    """Whether the closing record is anywhere: a little may follow it."""
    with open(path, "rb") as stream:
        return b"MTZENDOFHEADERS" in stream.read()


def _cell(mtz):
    """Take the file's cell, or its data set's, or else the mean of the batch headers'."""
    candidates = [mtz.cell, *(dataset.cell for dataset in reversed(mtz.datasets))]
    for cell in candidates:
        # A cell of 1 1 1 90 90 90 is how programs write none.
        if cell.is_crystal() and cell.volume > 10:
            return cell
    cells = [batch.cell for batch in mtz.batches if batch.cell.is_crystal()]
    return gemmi.UnitCell(*np.mean([cell.parameters for cell in cells], axis=0)) if cells else None


def _repeated(hkl):
    keys = miller.pack(hkl)
    return len(np.unique(keys)) < len(keys)


def _unmerged_without_isym(hkl, spacegroup, has_images):
    if _repeated(hkl):
        return True
    # Observed indices seldom repeat on their own, but their equivalents in the asymmetric unit do.
    return has_images and spacegroup is not None and _repeated(miller.to_asu(hkl, spacegroup)[0])


def _observed(mtz, isym, path, spacegroup):
    """Undo the mapping to the asymmetric unit, by the operations that the file lists or else the space group's."""
    values = np.asarray(isym.array)
    stored = mtz.make_miller_array().copy()
    finite = np.isfinite(values).all()
    # MOSFLM and others add 256 times a partiality flag.
    number = values.astype(np.int64) % 256 if finite else np.zeros(len(values), dtype=np.int64)
    if finite and number.size and number.min() >= 1:
        isym.label = _ISYM_NAMES[0]
        try:
            mtz.switch_to_original_hkl()
            return mtz.make_miller_array()
        except IndexError:
            # The file lists fewer operations (or none).
            if spacegroup is None:
                raise SymmetryError(
                    f"{path}: the file has no space group; give one with --space-group (space_group=)."
                ) from None
        rotations = np.array([op.inverse().rot for op in spacegroup.operations().sym_ops]) // gemmi.Op.DEN
        if number.max() <= 2 * len(rotations):
            observed = np.einsum("ni,nij->nj", stored, rotations[(number - 1) // 2])
            return np.where((number % 2 == 1)[:, None], observed, -observed)
    raise UnreadableFileError(
        f"{path}: the column {isym.label} has values for which there is no symmetry operation; give the right space "
        "group with --space-group (space_group=) or write the MTZ file again."
    )
