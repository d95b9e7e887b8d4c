"""Small data that several folders share. TensorFlow is imported only by the tests that ask for a model."""

import os
import random

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker is one of as many as there are cores: a thread for each core in each of them waits most of its time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gemmi
import numpy as np
import pytest


@pytest.fixture(scope="session")
def simulation():
    """A rotation experiment of some 7,000 observations on 90 images, with every effect and error switched on."""
    from vimerge.simulation import simulate

    return simulate(cell=(26.0, 30.0, 34.0, 90.0, 90.0, 90.0), dmin=2.5, images=90, oscillation=2.0, seed=3)


@pytest.fixture(scope="session")
def reflections(simulation):
    """The simulation's observations, Friedel mates apart: some 1,800 reflections."""
    from vimerge.reflections import Reflections

    return Reflections.from_dataset(simulation.observations, anomalous=True)


@pytest.fixture(scope="session")
def asu():
    """Sixty reflections in P 4, where hk0 is centric and 00l has ε = 4."""
    from vimerge.reflections import ReciprocalASU

    cell, spacegroup = gemmi.UnitCell(20, 20, 30, 90, 90, 90), gemmi.SpaceGroup("P 4")
    hkl = gemmi.make_miller_array(cell, spacegroup, 3.0)
    axial, plane = (hkl[:, :2] == 0).all(axis=1), hkl[:, 2] == 0
    hkl = np.concatenate([hkl[axial][:5], hkl[plane][:20], hkl[~axial & ~plane][:35]])
    asu = ReciprocalASU.from_observed(hkl, cell, spacegroup)
    assert (asu.centric.sum(), (asu.epsilon == 4).sum(), len(asu)) == (20, 5, 60)
    return asu


@pytest.fixture(scope="session")
def table():
    """Make `Reflections` from refl_ids of an ASU: table(asu, refl_id, iobs, sigiobs, image=..., **metadata)."""
    from vimerge.reflections import Reflections

    def make(asu, refl_id, iobs, sigiobs, image=None, **metadata):
        refl_id = np.asarray(refl_id)
        made = Reflections.from_arrays(
            asu.miller_index[refl_id],
            iobs,
            np.broadcast_to(sigiobs, refl_id.shape),
            np.arange(len(refl_id)) % 4 if image is None else image,
            cell=asu.cell,
            spacegroup=asu.spacegroup,
            anomalous=asu.anomalous,
            metadata=metadata,
        )
        assert made.asu.matches(asu), "every reflection of the ASU has to be observed"
        return made

    return make


@pytest.fixture(scope="session")
def make_model():
    """Make a small model, started from the data: make_model(reflections, surrogate, over, likelihood, posterior)."""
    from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates

    def make(reflections, surrogate=surrogates.Gamma, over=None, likelihood=None, posterior="delta", **options):
        options = {"seed": 1, **options}
        if options["seed"] is not None:
            random.seed(options["seed"])  # from which Keras seeds the network's weights: each run tests the same model
        model = VariationalMergingModel(
            surrogate(reflections.asu, over=over),
            options.pop("prior", None) or priors.Wilson(reflections.asu),
            scaling.MLP(reflections.metadata_keys, width=8, depth=1, posterior=posterior),
            likelihood or likelihoods.Normal(),
            **options,
        )
        model.initialize(reflections)
        return model

    return make
