"""Crystals, rotation and Laue experiments with known truth.

`simulate` and `simulate_laue` do it all in one call, `simulate_pair` does it twice, on crystals that differ by a known
little; `collect` and `collect_laue` measure a `Crystal` of your own with an experiment, `Effects` and `Noise` of your
own.
"""

from vimerge.simulation.crystal import Crystal
from vimerge.simulation.detector import Detector
from vimerge.simulation.effects import Effects
from vimerge.simulation.experiment import RotationExperiment
from vimerge.simulation.laue import LaueExperiment
from vimerge.simulation.laue_measurement import LaueSimulation, collect_laue
from vimerge.simulation.measurement import Simulation, collect
from vimerge.simulation.noise import Noise
from vimerge.simulation.pair import Pair, simulate_pair
from vimerge.simulation.related import correlated_crystal, related_crystal
from vimerge.simulation.simulate import simulate, simulate_laue
from vimerge.simulation.spectrum import Spectrum

__all__ = [
    "Crystal",
    "Detector",
    "Effects",
    "LaueExperiment",
    "LaueSimulation",
    "Noise",
    "Pair",
    "RotationExperiment",
    "Simulation",
    "Spectrum",
    "collect",
    "collect_laue",
    "correlated_crystal",
    "related_crystal",
    "simulate",
    "simulate_laue",
    "simulate_pair",
]
