"""Whole experiments from plain arguments."""

from vimerge.simulation.checks import check_count
from vimerge.simulation.crystal import Crystal
from vimerge.simulation.effects import Effects
from vimerge.simulation.experiment import RotationExperiment
from vimerge.simulation.laue import LaueExperiment
from vimerge.simulation.laue_measurement import collect_laue
from vimerge.simulation.measurement import collect
from vimerge.simulation.noise import Noise

# What both kinds of experiment have in common, under the names that `simulate` and `simulate_laue` give it as well.
_EFFECTS = ("absorption", "decay", "illumination", "damage", "jitter", "sensitivity")
_NOISE = ("signal", "background", "gain", "multiplicative_error", "outliers")


def simulate(
    *,
    space_group="P 21 21 21",
    cell=(34.0, 45.0, 55.0, 90.0, 90.0, 90.0),
    dmin=2.0,
    images=360,
    oscillation=0.6,
    wavelength=0.9790,
    atoms=None,
    anomalous_scatterers=3,
    element="Se",
    signal=500.0,
    background=60.0,
    gain=1.0,
    absorption=0.10,
    decay=0.20,
    illumination=0.10,
    damage=3.0,
    jitter=0.03,
    sensitivity=0.02,
    multiplicative_error=0.03,
    outliers=0.003,
    seed=0,
):
    """Simulate a rotation experiment on a crystal of random atoms.

    Parameters
    ----------
    space_group : str, int or gemmi.SpaceGroup, optional
        The space group.
    cell : sequence of 6 (or 3) floats, optional
        Cell lengths (Å) and angles (°).
    dmin : float, optional
        Resolution limit (Å), which the edges of the detector reach.
    images : int, optional
        Number of images.
    oscillation : float, optional
        Rotation in each (°).
    wavelength : float, optional
        Wavelength (Å).
    atoms : int, optional
        Light atoms in the asymmetric unit. None: as many as a protein crystal of that volume has.
    anomalous_scatterers : int, optional
        Anomalous scatterers in the asymmetric unit.
    element : str, optional
        Their element.
    signal : float, optional
        Mean photons in a reflection.
    background : float, optional
        Photons of background under a peak near the beam.
    gain : float, optional
        Detector counts for each photon.
    absorption, decay, illumination, damage, jitter, sensitivity : float, optional
        Variation of the scale; see `Effects`.
    multiplicative_error, outliers : float, optional
        Errors that SIGI does not include; see `Noise`.
    seed : int, optional
        Fixes everything.

    Returns
    -------
    Simulation

    Raises
    ------
    ValueError
        If an argument is out of range, or nothing would be recorded.
    """
    seed = check_count("seed", seed, low=0)
    # Small objects first: a bad argument should not wait for structure factors.
    effects, noise = _effects_and_noise(locals())
    experiment = RotationExperiment.random(
        dmin=dmin, wavelength=wavelength, images=images, oscillation=oscillation, seed=seed
    )
    crystal = Crystal.random(
        space_group=space_group,
        cell=cell,
        n_atoms=atoms,
        n_anomalous=anomalous_scatterers,
        anomalous_element=element,
        wavelength=wavelength,
        seed=seed,
    )
    return collect(crystal, dmin=dmin, experiment=experiment, effects=effects, noise=noise, seed=seed)


def simulate_laue(
    *,
    space_group="P 21 21 21",
    cell=(34.0, 45.0, 55.0, 90.0, 90.0, 90.0),
    dmin=2.0,
    images=40,
    step=4.5,
    wavelength_min=1.00,
    wavelength_max=1.25,
    atoms=None,
    signal=2000.0,
    background=200.0,
    gain=1.0,
    absorption=0.10,
    decay=0.20,
    illumination=0.10,
    damage=3.0,
    jitter=0.03,
    sensitivity=0.02,
    multiplicative_error=0.03,
    outliers=0.003,
    seed=0,
):
    """Simulate a Laue experiment on a crystal of random atoms, none of them anomalous.

    Parameters
    ----------
    space_group : str, int or gemmi.SpaceGroup, optional
        The space group.
    cell : sequence of 6 (or 3) floats, optional
        Cell lengths (Å) and angles (°).
    dmin : float, optional
        Resolution limit (Å), which the edges of the detector reach.
    images : int, optional
        Number of stills.
    step : float, optional
        Rotation between them (°).
    wavelength_min, wavelength_max : float, optional
        Limits of the band (Å), within which the spectrum rises and falls.
    atoms : int, optional
        Atoms in the asymmetric unit. None: as many as a protein crystal of that volume has.
    signal : float, optional
        Mean photons in a spot.
    background : float, optional
        Photons of background under a peak near the beam.
    gain : float, optional
        Detector counts for each photon.
    absorption, decay, illumination, damage, jitter, sensitivity : float, optional
        Variation of the scale; see `Effects`.
    multiplicative_error, outliers : float, optional
        Errors that SIGI does not include; see `Noise`.
    seed : int, optional
        Fixes everything.

    Returns
    -------
    LaueSimulation

    Raises
    ------
    ValueError
        If an argument is out of range, or nothing would be recorded.
    """
    seed = check_count("seed", seed, low=0)
    effects, noise = _effects_and_noise(locals())
    experiment = LaueExperiment.random(
        dmin=dmin, wavelength_min=wavelength_min, wavelength_max=wavelength_max, images=images, step=step, seed=seed
    )
    crystal = Crystal.random(space_group=space_group, cell=cell, n_atoms=atoms, n_anomalous=0, seed=seed)
    return collect_laue(crystal, dmin=dmin, experiment=experiment, effects=effects, noise=noise, seed=seed)


def _effects_and_noise(arguments):
    """The scale's variation and the noise from the arguments of an experiment, a dict by name."""
    effects = Effects(**{name: arguments[name] for name in _EFFECTS})
    return effects, Noise(**{name: arguments[name] for name in _NOISE})
