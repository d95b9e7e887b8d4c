"""From a crystal and an experiment to an unmerged data set of known truth."""

from dataclasses import dataclass

import numpy as np
import reciprocalspaceship as rs

from vimerge.simulation.checks import check_count
from vimerge.simulation.crystal import Crystal, truth_table
from vimerge.simulation.effects import Effects
from vimerge.simulation.experiment import RotationExperiment
from vimerge.simulation.indices import equivalents
from vimerge.simulation.noise import Noise
from vimerge.simulation.writing import write_simulation


@dataclass(frozen=True, eq=False)
class Simulation:
    """Simulated observations with everything that is true of them.

    Parameters
    ----------
    observations : rs.DataSet
        Unmerged, [N] rows indexed by the observed H, K, L, with DIALS's columns ``BATCH I SIGI BG SIGBG FRACTIONCALC
        XDET YDET ROT LP QE``: as ``rs.read_mtz`` returns the written file, rows in the same order. ``I`` and ``SIGI``
        are corrected for Lorentz, polarisation and quantum efficiency, that is multiplied by ``LP / QE``; ``BG`` and
        ``SIGBG``, the background beneath the peak in detector counts, are not. ``XDET`` and ``YDET`` are in pixels,
        ``ROT`` in degrees.
    truth : rs.DataSet
        Merged, one row for each unique reflection to the resolution limit, measured or not; see
        `Crystal.structure_factors`.
    true_scale : ndarray, shape [N]
        Expected I over true |F|², for observations that are not outliers.
    true_intensity : ndarray, shape [N]
        The expected I itself: ``true_scale`` times |F(+)|² or |F(−)|², whichever was measured.
    isym : ndarray of int, shape [N]
        ISYM of M/ISYM: odd for F(+), even for F(−).
    outlier : ndarray of bool, shape [N]
        Which observations were spoilt.
    crystal : Crystal
        The crystal.
    experiment : RotationExperiment
        How it was measured.
    dmin : float
        Resolution limit (Å).
    effects : Effects
        What the scale varied with.
    noise : Noise
        Exposure and errors.
    seed : int
        What fixed it.
    """

    observations: rs.DataSet
    truth: rs.DataSet
    true_scale: np.ndarray
    true_intensity: np.ndarray
    isym: np.ndarray
    outlier: np.ndarray
    crystal: Crystal
    experiment: RotationExperiment
    dmin: float
    effects: Effects
    noise: Noise
    seed: int

    @property
    def sites(self):
        """gemmi.Structure: the anomalous scatterers."""
        return self.crystal.sites

    @property
    def models(self):
        """What is written beside the observations as PDB files: gemmi.Structure by name."""
        return {"sites": self.sites}

    def repeat(self, crystal=None, series=1):
        """Expose again, as the next of several interleaved series on one mounted crystal.

        Orientation, absorption, illumination, decay and detector stay; jitter and noise are new.

        Parameters
        ----------
        crystal : Crystal, optional
            What the crystal has become. None: it has not changed.
        series : int, optional
            Number of the series.

        Returns
        -------
        Simulation
        """
        return collect(self.crystal if crystal is None else crystal, **self._conditions(), series=series)

    def _conditions(self):
        return {name: getattr(self, name) for name in ("dmin", "experiment", "effects", "noise", "seed")}

    def write(self, path):
        """Write the observations, the truth and the sites; see `write_simulation`."""
        return write_simulation(self, path)


def collect(crystal, *, dmin=2.0, experiment=None, effects=None, noise=None, seed=0, series=0):
    """Measure a crystal.

    An observation's photons are Poisson about K · effects · |F(±)|² · QE / LP, with K set by the mean signal, above a
    background; I is the estimated signal in detector counts, multiplied by LP / QE.

    Parameters
    ----------
    crystal : Crystal
        What to measure.
    dmin : float, optional
        Resolution limit (Å).
    experiment : RotationExperiment, optional
        How. None: a random orientation and otherwise the defaults.
    effects : Effects, optional
        What the scale varies with.
    noise : Noise, optional
        Exposure and errors.
    seed : int, optional
        Fixes orientation, effects and noise.
    series : int, optional
        Number of the series of exposures, each with jitter and noise of its own; see `Simulation.repeat`.

    Returns
    -------
    Simulation

    Raises
    ------
    ValueError
        If nothing is recorded.
    """
    seed, series = check_count("seed", seed, low=0), check_count("series", series, low=0)
    experiment = RotationExperiment.random(dmin=dmin, seed=seed) if experiment is None else experiment
    effects = Effects() if effects is None else effects
    noise = Noise() if noise is None else noise

    hkl_asu, plus, minus = crystal.complex_structure_factors(dmin)
    hkl, asu_id, isym = equivalents(hkl_asu, crystal.space_group)
    spots = experiment.spots(hkl, crystal.cell)
    if len(spots) == 0:
        raise ValueError("No reflection is recorded whole; choose more images, a wider oscillation or a smaller dmin.")
    # The file's order: unique reflection, then symmetry operation, then rotation.
    spots = spots.take(np.lexsort((spots.phi, isym[spots.index], asu_id[spots.index])))
    hkl, asu_id, isym = hkl[spots.index], asu_id[spots.index], isym[spots.index]

    f_squared = np.where(isym % 2 == 1, np.abs(plus[asu_id]) ** 2, np.abs(minus[asu_id]) ** 2)
    correction = spots.lp / spots.efficiency
    relative = effects.scale(spots, experiment, seed, series=series)
    photons = relative * f_squared / correction
    exposure = noise.signal / photons.mean()
    counts = noise.record(exposure * photons, spots.s2, seed, series=series)
    true_scale = noise.gain * exposure * relative

    truth = truth_table(hkl_asu, plus, minus, crystal.cell, crystal.space_group)
    truth.wavelength = experiment.wavelength
    return Simulation(
        observations=_observations(hkl, spots, counts, correction, crystal, experiment),
        truth=truth,
        true_scale=true_scale,
        true_intensity=true_scale * f_squared,
        isym=isym,
        outlier=counts.outlier,
        crystal=crystal,
        experiment=experiment,
        dmin=dmin,
        effects=effects,
        noise=noise,
        seed=seed,
    )


def _observations(hkl, spots, counts, correction, crystal, experiment):
    columns = {
        "BATCH": (spots.image, "B"),
        "I": (counts.intensity * correction, "J"),
        "SIGI": (counts.sigma * correction, "Q"),
        "BG": (counts.background, "R"),
        "SIGBG": (counts.background_sigma, "R"),
        "FRACTIONCALC": (spots.fraction, "R"),
        "XDET": (spots.x, "R"),
        "YDET": (spots.y, "R"),
        "ROT": (spots.phi, "R"),
        "LP": (spots.lp, "R"),
        "QE": (spots.efficiency, "R"),
    }
    return observation_table(hkl, columns, crystal, experiment)


def observation_table(hkl, columns, crystal, experiment):
    """Make an unmerged table from observed indices, [N, 3], and columns given as name: (values, MTZ type)."""
    columns = {name: (hkl[:, i], "H") for i, name in enumerate("HKL")} | columns
    table = rs.DataSet({name: rs.DataSeries(values, dtype=kind) for name, (values, kind) in columns.items()})
    table.cell, table.spacegroup, table.merged = crystal.cell, crystal.space_group, False
    table.wavelength = experiment.wavelength
    return table.set_index(["H", "K", "L"])
