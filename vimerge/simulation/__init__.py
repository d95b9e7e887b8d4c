"""Crystals and rotation experiments with known truth.

`simulate` does it all in one call; `collect` measures a `Crystal` of your own with a `RotationExperiment`, `Effects`
and `Noise` of your own.
"""

from vimerge.simulation.crystal import Crystal
from vimerge.simulation.detector import Detector
from vimerge.simulation.effects import Effects
from vimerge.simulation.experiment import RotationExperiment
from vimerge.simulation.measurement import Simulation, collect
from vimerge.simulation.noise import Noise
from vimerge.simulation.simulate import simulate

__all__ = ["Crystal", "Detector", "Effects", "Noise", "RotationExperiment", "Simulation", "collect", "simulate"]
