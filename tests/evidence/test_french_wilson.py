"""One observation and Wilson's prior: the posterior of French & Wilson (1978)."""

from pathlib import Path

import gemmi
import keras
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vimerge import VariationalMergingModel, likelihoods, priors, scaling, surrogates
from vimerge.evidence import exact
from vimerge.reflections import Reflections

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "french_wilson"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data are absent")


def observed_once(iobs, sigiobs, mean_intensity, centric, surrogate=surrogates.Gamma, over=None):
    """A model of scale 1, the reflections, and the refl_id of each row."""
    n = np.arange(len(iobs))
    hkl = np.stack([1 + n // 50, 1 + n % 50, np.where(centric, 0, 1)], axis=1)  # hk0 is centric in P 4
    cell = gemmi.UnitCell(100, 100, 100, 90, 90, 90)
    reflections = Reflections.from_arrays(
        hkl, iobs, sigiobs, n % 4, cell=cell, spacegroup=gemmi.SpaceGroup("P 4"), anomalous=False, metadata={}
    )
    row = reflections.refl_id
    assert len(np.unique(row)) == len(n)
    np.testing.assert_array_equal(reflections.asu.centric[row], centric)
    expected = np.empty(len(n))
    expected[row] = mean_intensity
    model = VariationalMergingModel(
        surrogate(reflections.asu, over=over),
        priors.Wilson(reflections.asu, expected),
        scaling.MLP(reflections.metadata_keys, width=2, depth=0),
        likelihoods.Normal(),
    )
    model.scaling.adapt(reflections, 1.0)
    return model, reflections, row


def posterior(iobs, sigiobs, mean_intensity, centric):
    """The exact posterior of each row, observed once."""
    model, reflections, row = observed_once(iobs, sigiobs, mean_intensity, centric)
    found = exact(model, reflections)
    return type(found)(*(x[row] for x in found))


def test_acentric_intensities_are_a_truncated_normal():
    iobs = np.array([-4.0, -3.0, -1.0, 0.0, 0.5, 2.0, 4.0, 50.0])
    found = posterior(iobs, np.ones(8), 20.0, np.zeros(8, bool))
    mean = iobs - 1 / 20.0
    expected = stats.truncnorm(-mean, np.inf, mean, 1.0)
    np.testing.assert_allclose(found.I, expected.mean(), rtol=2e-5)
    np.testing.assert_allclose(found.SIGI, expected.std(), rtol=2e-5)
    evidence = -np.log(20.0) - iobs / 20.0 + 0.5 / 20.0**2 + stats.norm.logcdf(mean)
    np.testing.assert_allclose(found.log_evidence, evidence, atol=1e-5)


@needs_data
def test_moments_by_mcmc():
    data = pd.read_csv(DATA / "fw_mcmc_data.csv")
    found = posterior(*(data[name].to_numpy() for name in ("I", "SigI", "Sigma", "CENTRIC")))
    # The chains are of the order of 1e5 independent samples long, fewer where they mix slowly.
    for name, sd in (("F", found.SIGF), ("I", found.SIGI)):
        error = (data[f"FW-{name}"] - getattr(found, name)) / sd
        assert np.sqrt(np.mean(error**2)) < 0.004
        assert abs(error.mean()) < 2e-4
        assert np.abs(error).max() < 0.02
        relative = data[f"FW-Sig{name}"] / sd - 1
        assert np.sqrt(np.mean(relative**2)) < 0.004
        assert abs(relative.mean()) < 2e-4
        assert np.abs(relative).max() < 0.03


@needs_data
@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
def test_the_table_of_1978(centric):
    table = pd.read_csv(DATA / "fw1978.csv")
    # Its intensities are of Σ = 20: the strongest acentric one is 1/20 below the observation.
    found = posterior(table.I.to_numpy(), np.ones(len(table)), 20.0, np.full(len(table), centric))
    kind = "Centric" if centric else "Acentric"
    error = {
        name: np.abs(getattr(found, field) - table[f"{kind} {name}"].to_numpy())
        for name, field in (("E(J|I)", "I"), ("sigma(J|I)", "SIGI"), ("E(F|I)", "F"), ("sigma(F|I)", "SIGF"))
    }
    weak, strong = table.I.to_numpy() < 4, table.I.to_numpy() >= 10
    if not centric:
        # Three digits, of which the last is not always rounded; the closed form above says the same of the sd.
        assert error["E(J|I)"].max() < 6e-4
        assert error["sigma(J|I)"].max() < 3e-3
        assert max(error["E(F|I)"][weak].max(), error["sigma(F|I)"][weak].max()) < 1e-3
        # From I = 4σ on the table has √E(J) for the amplitude, not its mean.
        np.testing.assert_allclose(np.sqrt(found.I[~weak]), table[f"{kind} E(F|I)"][~weak], atol=6e-4)
        return
    # Its own integrals are good to some 0.003 (and one entry, E(J|4) = 3.91, between 2.757 and 4.868, is misprinted).
    misprint = table.I.to_numpy() == 4
    assert error["E(J|I)"][~misprint].max() < 3e-3
    assert error["sigma(J|I)"].max() < 8e-3
    assert max(error["E(F|I)"].max(), error["sigma(F|I)"].max()) < 4e-3
    assert max(error[name][strong].max() for name in ("E(J|I)", "E(F|I)", "sigma(F|I)")) < 6e-4


FAMILIES = [
    (surrogates.RiceWoolfson, "amplitude"),
    (surrogates.FoldedNormal, "amplitude"),
    (surrogates.TruncatedNormal, "amplitude"),
    (surrogates.TruncatedNormal, "intensity"),
    (surrogates.Gamma, "amplitude"),
    (surrogates.Gamma, "intensity"),
]
# The posterior of a weak centric amplitude does not vanish at zero, as these do. A log-normal leaves zero too slowly
# for a weak acentric one besides, and a narrow Weibull leans to the left.
NOT_CENTRIC = [(surrogates.TruncatedNormal, "intensity"), (surrogates.Gamma, "amplitude")]


@pytest.mark.parametrize(
    ("surrogate", "over"),
    [FAMILIES[0], *(pytest.param(*pair, marks=pytest.mark.slow) for pair in FAMILIES[1:])],
    ids=[f"{family.__name__}-{over}" for family, over in FAMILIES],
)
def test_the_elbo_finds_the_posterior_of_one_observation(surrogate, over):
    iobs, centric = np.tile(np.linspace(-3.0, 9.0, 25), 2), np.arange(50) >= 25
    model, reflections, row = observed_once(iobs, np.ones(50), 5.0, centric, surrogate, over)
    model.scaling.trainable = False
    model.initialize(reflections)
    model.mc_samples = 64
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 200, alpha=1e-3)))
    model.fit(reflections.dataset(shuffle=False).repeat(200), steps_per_epoch=200, verbose=0)
    found, truth = model.surrogate.moments(), exact(model, reflections)
    for rows in [row[:25]] + [row[25:]] * ((surrogate, over) not in NOT_CENTRIC):
        for name, limit in (("F", 0.02), ("SIGF", 0.05)):
            error = getattr(found, name).numpy()[rows] / getattr(truth, name)[rows] - 1.0
            assert np.median(np.abs(error)) < limit
