"""Atomic models in the cell and the space group of data."""

import os
from pathlib import Path

import gemmi
import numpy as np

from vimerge.reflections.errors import SymmetryError, UnreadableFileError
from vimerge.reflections.reference import MODEL_SUFFIXES
from vimerge.reflections.symmetry import CELL_SPREAD

# Finer than gemmi's defaults, so that amplitudes are good to a part in a thousand.
_RATE, _CUTOFF = 2.0, 1e-7


def is_model(source):
    """Whether it is a gemmi.Structure, or a path whose suffix is that of PDB or mmCIF files."""
    if isinstance(source, gemmi.Structure):
        return True
    return Path(os.fspath(source).lower().removesuffix(".gz")).suffix in MODEL_SUFFIXES


def read_model(source, cell, spacegroup):
    """Read a model into the cell and the space group of data.

    Its cell may be a little different: atoms keep their orthogonal coordinates, so that distances stay what they were
    refined to.

    Parameters
    ----------
    source : path or gemmi.Structure
        PDB or mmCIF file; of several models in it the first is used.
    cell : gemmi.UnitCell
        The data's, which the model's may differ from by 3 % and 3°.
    spacegroup : gemmi.SpaceGroup
        The data's.

    Returns
    -------
    gemmi.Structure
        Its own copy, with strict noncrystallographic symmetry expanded and symmetry images set up.

    Raises
    ------
    UnreadableFileError
        If it cannot be read or has no atoms.
    SymmetryError
        If cell or space group are others.
    """
    if isinstance(source, gemmi.Structure):
        name, structure = source.name or "The model", source.clone()
    else:
        name = os.fspath(source)
        if not Path(name).is_file():
            raise UnreadableFileError(f"{name}: there is no such file; check the path.")
        try:
            structure = gemmi.read_structure(name)
        except (RuntimeError, ValueError) as error:
            raise UnreadableFileError(f"{name}: the model cannot be read ({error}); copy or write it again.") from error
    if not len(structure) or not structure[0].count_atom_sites():
        raise UnreadableFileError(f"{name}: there are no atoms in it; give a PDB or mmCIF file of a model.")
    _check_symmetry(name, structure, cell, spacegroup)
    structure.cell, structure.spacegroup_hm = cell, spacegroup.xhm()
    structure.expand_ncs(gemmi.HowToNameCopiedChain.Dup)
    structure.setup_cell_images()
    return structure


def atoms_factors(structure, hkl):
    """Structure factors of a model's atoms, by gemmi's X-ray form factors and fast Fourier transform.

    Parameters
    ----------
    structure : gemmi.Structure
        The model.
    hkl : array of int32, [N, 3]
        Miller indices.

    Returns
    -------
    array of complex128, [N]
        In electrons.
    """
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min = _dmin(structure.cell, hkl)
    calculator.rate, calculator.cutoff = _RATE, _CUTOFF
    calculator.set_grid_cell_and_spacegroup(structure)
    calculator.set_refmac_compatible_blur(structure[0])
    calculator.put_model_density_on_grid(structure[0])
    transform = gemmi.transform_map_to_f_phi(calculator.grid)
    return np.asarray(transform.get_value_by_hkl(_indices(hkl), unblur=calculator.blur), np.complex128)


def solvent_factors(structure, hkl):
    """Structure factors of one electron per Å³ in the solvent region, outside atoms of the radii that Phenix uses [1]_.

    Parameters
    ----------
    structure : gemmi.Structure
        The model.
    hkl : array of int32, [N, 3]
        Miller indices.

    Returns
    -------
    array of complex128, [N]

    References
    ----------
    .. [1] Jiang, J.-S. & Brünger, A. T. (1994). J. Mol. Biol. 243, 100–115.
    """
    masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx)
    mask = gemmi.FloatGrid()
    mask.setup_from(structure, spacing=min(0.6, _dmin(structure.cell, hkl) / 3))
    masker.put_mask_on_float_grid(mask, structure[0])
    return np.asarray(gemmi.transform_map_to_f_phi(mask).get_value_by_hkl(_indices(hkl)), np.complex128)


def _check_symmetry(name, structure, cell, spacegroup):
    own, wanted = np.array(structure.cell.parameters), np.array(cell.parameters)
    if not structure.cell.is_crystal():
        raise SymmetryError(f"{name}: the model has no unit cell; write one into it.")
    if np.any(np.abs(own - wanted) > [*(CELL_SPREAD * wanted[:3]), 3.0, 3.0, 3.0]):
        its, theirs = (" ".join(f"{x:.6g}" for x in parameters) for parameters in (own, wanted))
        raise SymmetryError(
            f"{name}: its cell {its} differs by more than 3 % from that of the data, {theirs}; give a model of an "
            "isomorphous crystal."
        )
    found = structure.find_spacegroup()
    if found is None or found.operations() != spacegroup.operations():
        what = "it has no space group" if found is None else f"its space group is {found.xhm()}"
        raise SymmetryError(
            f"{name}: {what}, but that of the data is {spacegroup.xhm()}; give a model in this one, or merge the data "
            "in the other."
        )


def _dmin(cell, hkl):
    """A little beyond the last reflection."""
    return 0.999 / float(np.sqrt(cell.calculate_1_d2_array(_indices(hkl)).max()))


def _indices(hkl):
    return np.ascontiguousarray(hkl, np.int32)
