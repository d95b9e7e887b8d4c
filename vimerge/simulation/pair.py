"""Two data sets of related crystals, such as before and after a pump pulse, with the true difference."""

from dataclasses import dataclass

import reciprocalspaceship as rs

from vimerge.reflections.writing import write_together
from vimerge.simulation.measurement import Simulation
from vimerge.simulation.related import correlated_crystal, related_crystal
from vimerge.simulation.simulate import simulate, simulate_laue
from vimerge.simulation.writing import checked_path, unmerged_mtz


@dataclass(frozen=True, eq=False)
class Pair:
    """Two simulations to one resolution limit.

    Parameters
    ----------
    off, on : Simulation
        The data sets of the ground state and of the other.
    """

    off: Simulation
    on: Simulation

    @property
    def truth(self):
        """rs.DataSet: ``F_OFF``, ``F_ON`` (electrons), ``PHI_OFF`` and ``PHI_ON`` (°), of every unique reflection.

        They are ``F`` and ``PHI(+)`` of `Crystal.structure_factors`.
        """
        off, on = self.off.truth, self.on.truth
        table = rs.DataSet(
            {
                "F_OFF": off["F"],
                "F_ON": on["F"].reindex(off.index),
                "PHI_OFF": off["PHI(+)"],
                "PHI_ON": on["PHI(+)"].reindex(off.index),
            }
        )
        table.cell, table.spacegroup, table.merged = off.cell, off.spacegroup, True
        return table

    def write(self, path):
        """Write ``<stem>_off.mtz``, ``<stem>_on.mtz``, ``<stem>_truth.mtz``, ``<stem>_off.pdb`` and ``<stem>_on.pdb``.

        The models have all atoms, with alternative conformers where a part of the crystal is excited. A PDB file keeps
        two digits of an occupancy.

        Parameters
        ----------
        path : str or path-like
            ``<stem>.mtz``, the name that the files' names are made from.

        Returns
        -------
        tuple of pathlib.Path

        Raises
        ------
        ValueError
            If the name does not end in ``.mtz`` or its folder does not exist.
        """
        path = checked_path(path)
        writers = {
            "off.mtz": unmerged_mtz(self.off).write_to_file,
            "on.mtz": unmerged_mtz(self.on).write_to_file,
            "truth.mtz": self.truth.write_mtz,
            "off.pdb": self.off.crystal.structure.write_pdb,
            "on.pdb": self.on.crystal.structure.write_pdb,
        }
        writers = {path.with_name(f"{path.stem}_{name}"): write for name, write in writers.items()}
        write_together(writers)
        return tuple(writers)


def simulate_pair(*, laue=True, moved_atoms=12, shift=1.5, fraction=0.3, correlation=None, **options):
    """Simulate interleaved exposures of a crystal of random atoms with and without a change of known size.

    Orientation, absorption, illumination, decay and detector are one crystal's; the images' jitter and the noise are
    each data set's own.

    Parameters
    ----------
    laue : bool, optional
        Whether the beam is polychromatic; otherwise the crystal is rotated in a monochromatic one.
    moved_atoms : int, optional
        Neighbouring atoms that the change moves.
    shift : float, optional
        Distance (Å) that each moves. None: they leave, as a ligand does.
    fraction : float, optional
        Fraction of the cells that is changed.
    correlation : float, optional
        Instead of moving atoms, draw a crystal whose normalised structure factors have this correlation with the
        first one's, in the complex plane.
    **options
        As for `simulate_laue` or `simulate`.

    Returns
    -------
    Pair

    Raises
    ------
    ValueError
        If an argument is out of range, or nothing would be recorded.
    """
    off = (simulate_laue if laue else simulate)(**options)
    if correlation is None:
        crystal = related_crystal(off.crystal, atoms=moved_atoms, shift=shift, fraction=fraction, seed=off.seed)
    else:
        crystal = correlated_crystal(off.crystal, correlation, seed=off.seed)
    return Pair(off, off.repeat(crystal))
