"""From a crystal and a Laue experiment to an unmerged data set whose harmonics are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from vimerge.simulation.checks import check_count
from vimerge.simulation.crystal import truth_table
from vimerge.simulation.effects import Effects
from vimerge.simulation.indices import equivalents
from vimerge.simulation.laue import LaueExperiment
from vimerge.simulation.measurement import Simulation, observation_table
from vimerge.simulation.noise import Noise

# The exposure (photons) of a typical Laue spot: a pulse of many photons on a background of all wavelengths.
NOISE = {"signal": 2000.0, "background": 200.0}


@dataclass(frozen=True, eq=False)
class LaueSimulation(Simulation):
    """Simulated Laue spots with everything that is true of them.

    What differs from `Simulation`: each observation is a spot, with the columns ``BATCH X Y Wavelength I SIGI``, and
    its index and wavelength are those of the lowest order it holds. ``I`` and ``SIGI`` are detector counts, corrected
    for nothing, since neither the spectrum nor the share of each harmonic is known to an integration program.

    Parameters
    ----------
    true_scale : ndarray, shape [M]
        Expected counts over true |F|² of the named harmonic alone.
    true_intensity : ndarray, shape [M]
        The expected I: the sum over all harmonics of scale times |F|².
    harmonics : pandas.DataFrame
        One row for each of the N harmonics, in the order of the observations and then of the harmonics: ``H K L``
        (observed), ``harmonic_id`` (row of the observation), ``order``, ``Wavelength`` and ``dHKL`` (Å), ``F`` (true
        |F(+)| or |F(−)|, whichever was measured), ``scale`` (expected counts over F²) and ``named``.
    overlaps : int
        Spots left out because another was too near.
    """

    harmonics: pd.DataFrame
    overlaps: int

    @property
    def models(self):
        """What is written beside the observations as PDB files: gemmi.Structure by name."""
        return {"model": self.crystal.structure}

    def repeat(self, crystal=None, series=1):
        """Expose again, as the next of several interleaved series on one mounted crystal; see `Simulation.repeat`."""
        return collect_laue(self.crystal if crystal is None else crystal, **self._conditions(), series=series)


def collect_laue(crystal, *, dmin=2.0, experiment=None, effects=None, noise=None, seed=0, series=0):
    """Measure a crystal by the Laue method.

    A spot's photons are Poisson about K Σ_n effects · spectrum(λ_n) · λ_n⁴/(2 sin²θ) · P · QE · |F(n h₁)|², with K set
    by the mean signal, above a background. Each harmonic is absorbed as its wavelength is, and fades by radiation
    damage as its resolution does; f′ and f″ are the crystal's at every wavelength.

    Parameters
    ----------
    crystal : Crystal
        What to measure.
    dmin : float, optional
        Resolution limit (Å), beyond which nothing diffracts.
    experiment : LaueExperiment, optional
        How. None: a random orientation and otherwise the defaults.
    effects : Effects, optional
        What the scale varies with; its absorption is that in the middle of the band.
    noise : Noise, optional
        Exposure and errors. None: the defaults with 2000 photons in a mean spot and 200 beneath it.
    seed : int, optional
        Fixes orientation, effects and noise.
    series : int, optional
        Number of the series of exposures, each with jitter and noise of its own; see `Simulation.repeat`.

    Returns
    -------
    LaueSimulation

    Raises
    ------
    ValueError
        If nothing is recorded.
    """
    seed, series = check_count("seed", seed, low=0), check_count("series", series, low=0)
    experiment = LaueExperiment.random(dmin=dmin, seed=seed) if experiment is None else experiment
    effects = Effects() if effects is None else effects
    noise = Noise(**NOISE) if noise is None else noise

    hkl_asu, plus, minus = crystal.complex_structure_factors(dmin)
    hkl, asu_id, isym = equivalents(hkl_asu, crystal.space_group)
    spots = experiment.spots(hkl, crystal.cell)
    if len(spots) == 0:
        raise ValueError("No spot is recorded; choose more images, a wider band or a smaller dmin.")
    # The file's order: unique reflection, then symmetry operation, then image.
    named = spots.index[spots.named]
    spots = spots.take(np.lexsort((spots.image[spots.named], isym[named], asu_id[named])))
    named = spots.index[spots.named]

    of_plus = isym[spots.index] % 2 == 1
    amplitude = np.abs(np.where(of_plus, plus[asu_id[spots.index]], minus[asu_id[spots.index]]))
    attenuation = experiment.attenuation(spots.wavelength)
    relative = spots.beam * effects.scale(spots, experiment, seed, attenuation=attenuation, series=series)
    photons = np.bincount(spots.spot, relative * amplitude**2, minlength=len(spots))
    exposure = noise.signal / photons.mean()
    counts = noise.record(exposure * photons, spots.s2[spots.named], seed, series=series)
    scale = noise.gain * exposure * relative

    truth = truth_table(hkl_asu, plus, minus, crystal.cell, crystal.space_group)
    truth.wavelength = experiment.wavelength
    return LaueSimulation(
        observations=_observations(hkl[named], spots, counts, crystal, experiment),
        truth=truth,
        true_scale=scale[spots.named],
        true_intensity=noise.gain * exposure * photons,
        isym=isym[named],
        outlier=counts.outlier,
        crystal=crystal,
        experiment=experiment,
        dmin=dmin,
        effects=effects,
        noise=noise,
        seed=seed,
        harmonics=_harmonics(hkl[spots.index], spots, amplitude, scale),
        overlaps=spots.overlaps,
    )


def _observations(hkl, spots, counts, crystal, experiment):
    columns = {
        "BATCH": (spots.image[spots.named], "B"),
        "X": (spots.x[spots.named], "R"),
        "Y": (spots.y[spots.named], "R"),
        "Wavelength": (spots.wavelength[spots.named], "R"),
        "I": (counts.intensity, "J"),
        "SIGI": (counts.sigma, "Q"),
    }
    return observation_table(hkl, columns, crystal, experiment)


def _harmonics(hkl, spots, amplitude, scale):
    named = np.zeros(len(hkl), dtype=bool)
    named[spots.named] = True
    columns = {
        "harmonic_id": spots.spot,
        "order": spots.order,
        "Wavelength": spots.wavelength,
        "dHKL": 1 / np.sqrt(spots.s2),
        "F": amplitude,
        "scale": scale,
        "named": named,
    }
    return pd.DataFrame({"H": hkl[:, 0], "K": hkl[:, 1], "L": hkl[:, 2]} | columns)
