"""A crystal whose structure factors correlate with those of others, and the model that its data are drawn from."""

import gemmi
import numpy as np

from vimerge import VariationalMergingModel, likelihoods, scaling, surrogates
from vimerge.reflections import Reflections

MEAN = 10.0
CELL, SPACEGROUP = gemmi.UnitCell(50, 60, 70, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")


class Crystal:
    """Reflections to some resolution, and normalised structure factors that are correlated with others."""

    def __init__(self, dmin, seed):
        self.rng = np.random.default_rng(seed)
        self.hkl = gemmi.make_miller_array(CELL, SPACEGROUP, dmin)
        operations = SPACEGROUP.operations()
        self.centric = np.asarray(operations.centric_flag_array(self.hkl))
        self.epsilon = np.asarray(operations.epsilon_factor_without_centering_array(self.hkl), float)
        self.s2 = CELL.calculate_1_d2_array(self.hkl)

    def draw(self, parent=0.0, r=0.0):
        real, imaginary = self.rng.normal(size=(2, len(self.hkl)))
        return r * parent + np.sqrt(1 - r**2) * np.where(self.centric, real, (real + 1j * imaginary) / np.sqrt(2))

    def observe(self, e, hkl=None, anomalous=False):
        """Four observations of each, with errors of a tenth of the mean intensity, on twenty images."""
        rows = np.repeat(np.arange(len(e)), 4)
        epsilon = np.resize(self.epsilon, len(e)) if hkl is None else np.ones(len(e))
        sigma = np.full(len(rows), 0.1 * MEAN)
        intensity = MEAN * epsilon[rows] * np.abs(e[rows]) ** 2 + sigma * self.rng.normal(size=len(rows))
        image = self.rng.integers(0, 20, len(rows))
        return _table(self.hkl if hkl is None else hkl, rows, intensity, sigma, image, anomalous)

    def observe_unevenly(self, e, hkl=None, epsilon=None, anomalous=False):
        """One to five observations of each, weak to strong; a tenth of them are missing."""
        rng, n = self.rng, len(e)
        epsilon = self.epsilon if epsilon is None else epsilon
        rows = np.repeat(np.arange(n), rng.integers(1, 6, n) * (rng.random(n) < 0.9))
        sigma = MEAN * np.exp(rng.uniform(np.log(0.05), np.log(1.0), n))[rows]
        intensity = MEAN * epsilon[rows] * np.abs(e[rows]) ** 2 + sigma * rng.normal(size=len(rows))
        image = rng.integers(0, 20, len(rows))
        return _table(self.hkl if hkl is None else hkl, rows, intensity, sigma, image, anomalous)


def _table(hkl, rows, intensity, sigma, image, anomalous):
    return Reflections.from_arrays(
        hkl[rows], intensity, sigma, image, cell=CELL, spacegroup=SPACEGROUP, anomalous=anomalous, metadata={}
    )


def model_of(reflections, prior):
    model = VariationalMergingModel(
        surrogates.FoldedNormal(reflections.asu),
        prior,
        scaling.MLP(reflections.metadata_keys, width=2, depth=0),
        likelihoods.Normal(),
        seed=1,
    )
    model.initialize(reflections)
    model.scaling.adapt(reflections, 1.0)
    return model
