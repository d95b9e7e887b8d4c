"""A simulation's files: unmerged MTZ with batch headers, the truth, and a model."""

from pathlib import Path

import gemmi
import numpy as np

from vimerge.reflections.writing import write_together
from vimerge.simulation.geometry import AXIS, BEAM
from vimerge.simulation.indices import to_asu
from vimerge.simulation.laue import LaueExperiment

_DATASET_ID = 1


def write_simulation(simulation, path):
    """Write the observations, and beside them ``<stem>_truth.mtz`` and ``<stem>_sites.pdb`` (Laue: ``_model.pdb``).

    The unmerged MTZ has indices in the asymmetric unit with M/ISYM, and a batch header for each image with cell,
    orientation, rotation range and wavelength. All three files are written under temporary names first and renamed
    into place once complete.

    Parameters
    ----------
    simulation : Simulation
        What to write.
    path : str or path-like
        Name of the unmerged MTZ, ending in ``.mtz``.

    Returns
    -------
    tuple of pathlib.Path
        The unmerged MTZ, the truth and the sites or the model.

    Raises
    ------
    ValueError
        If the name does not end in ``.mtz`` or its folder does not exist.
    """
    path = checked_path(path)
    writers = {
        path: unmerged_mtz(simulation).write_to_file,
        path.with_name(f"{path.stem}_truth.mtz"): simulation.truth.write_mtz,
    }
    for name, structure in simulation.models.items():
        writers[path.with_name(f"{path.stem}_{name}.pdb")] = structure.write_pdb
    write_together(writers)
    return tuple(writers)


def checked_path(path):
    """Return the path of an MTZ file to write; a ``ValueError`` if its name or its folder will not do."""
    path = Path(path)
    if path.suffix.lower() != ".mtz":
        raise ValueError(f"{path} must end in .mtz, the format of the observations.")
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written because its folder does not exist; create it first.")
    return path


def unmerged_mtz(simulation):
    """Convert the observations to gemmi's unmerged MTZ.

    Parameters
    ----------
    simulation : Simulation
        What to convert.

    Returns
    -------
    gemmi.Mtz
    """
    observations, crystal = simulation.observations, simulation.crystal
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = f"Simulated {'Laue' if _is_laue(simulation) else 'rotation'} experiment"
    mtz.spacegroup = crystal.space_group
    mtz.add_dataset("simulation")
    mtz.set_cell_for_all(crystal.cell)
    for dataset in mtz.datasets:
        # The base too: readers that take the first data set's wavelength should find it.
        dataset.wavelength = simulation.experiment.wavelength
    mtz.add_column("M/ISYM", "Y", dataset_id=0)
    for name in observations.columns:
        dataset_id = 0 if name == "BATCH" else _DATASET_ID
        mtz.add_column(name, observations[name].dtype.mtztype, dataset_id=dataset_id)
    hkl = to_asu(observations.get_hkls(), simulation.isym, crystal.space_group)
    values = [observations[name].to_numpy(dtype=np.float32) for name in observations.columns]
    mtz.set_data(np.column_stack([hkl, simulation.isym, *values]).astype(np.float32))
    for batch in _batches(simulation):
        mtz.batches.append(batch)
    # H, K, L, M/ISYM, BATCH: the order in which the observations already are.
    mtz.sort_order = [1, 2, 3, 4, 5]
    return mtz


def _batches(simulation):
    """Batch headers, laid out as CCP4's library defines them and filled in as DIALS does."""
    experiment, cell = simulation.experiment, simulation.crystal.cell
    orientation = mosflm_orientation(experiment.orientation, cell)
    detector = experiment.detector
    for image in range(1, experiment.images + 1):
        batch = gemmi.Mtz.Batch()
        batch.number = image
        batch.title = f"Batch {image}"
        batch.dataset_id = _DATASET_ID
        batch.cell = cell
        batch.wavelength = experiment.wavelength
        batch.axes = ["AXIS"]
        data_type = 3 if _is_laue(simulation) else 2  # Laue, or three-dimensional
        ints = {12: 1, 14: data_type, 15: 1, 17: 1, 19: 1}  # one crystal, … , axis 1 of 1, one detector
        for position, value in ints.items():
            batch.ints[position] = value
        begin, end = experiment.angles(image)
        floats = {
            6: orientation.T.ravel(),  # column by column
            21: [0.0 if _is_laue(simulation) else experiment.mosaicity],
            36: [begin, end],
            38: AXIS,
            43: [1.0],  # batch scale
            47: [0.0 if _is_laue(simulation) else experiment.oscillation],
            59: AXIS,
            80: -BEAM,  # towards the source, idealised
            83: -BEAM,  # and as it is
            87: [_dispersion(experiment) if _is_laue(simulation) else 0.0],
            111: [detector.distance],
            113: [0, detector.pixels, 0, detector.pixels],
        }
        for first, numbers in floats.items():
            for i, number in enumerate(numbers):
                batch.floats[first + i] = float(number)
        yield batch


def _is_laue(simulation):
    return isinstance(simulation.experiment, LaueExperiment)


def _dispersion(experiment):
    """Δλ/λ."""
    return (experiment.wavelength_max - experiment.wavelength_min) / experiment.wavelength


def mosflm_orientation(orientation, cell):
    """U that goes with the B matrix of Busing & Levy (Acta Cryst. 22, 457, 1967), as batch headers want it.

    Parameters
    ----------
    orientation : ndarray, shape [3, 3]
        U that goes with gemmi's and the PDB's Cartesian frame.
    cell : gemmi.UnitCell
        The unit cell.

    Returns
    -------
    ndarray, shape [3, 3]
    """
    reciprocal = cell.reciprocal()
    beta, gamma = np.deg2rad([reciprocal.beta, reciprocal.gamma])
    busing_levy = np.array(
        [
            [reciprocal.a, reciprocal.b * np.cos(gamma), reciprocal.c * np.cos(beta)],
            [0, reciprocal.b * np.sin(gamma), -reciprocal.c * np.sin(beta) * np.cos(np.deg2rad(cell.alpha))],
            [0, 0, 1 / cell.c],
        ]
    )
    return np.asarray(orientation) @ np.array(cell.frac.mat).T @ np.linalg.inv(busing_levy)
