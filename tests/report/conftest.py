"""Two small folders of results, and the page about them."""

import shutil

import numpy as np
import pytest


@pytest.fixture(scope="session")
def observations(simulation, tmp_path_factory):
    """The simulation as an unmerged MTZ."""
    return simulation.write(tmp_path_factory.mktemp("simulated") / "simulated.mtz")[0]


@pytest.fixture(scope="session")
def results(observations, tmp_path_factory):
    """Two folders: "evans", with all that a merge writes, and "plain", to a lower resolution without an error model."""
    from vimerge.conventional import ConventionalJob, ModelOptions, ScalingOptions

    parent = tmp_path_factory.mktemp("results")
    model = ModelOptions(absorption=0)
    for name, reading, errors in (("evans", {}, True), ("plain", {"dmin": 3.0}, False)):
        scaling = ScalingOptions(model=model, error_model=errors, cycles=3)
        job = ConventionalJob(files=(observations,), reading={"anomalous": True, **reading}, scaling=scaling)
        job.run().write(parent / name)
        (parent / name / "log.txt").write_text(f"scaled & merged <{name}>\n", encoding="utf-8")
    return parent


@pytest.fixture(scope="session")
def page(results):
    """The report on both, a path."""
    from vimerge.report.html import write_report

    return write_report([results / "evans", results / "plain"], results / "report.html")


@pytest.fixture
def folder(results, tmp_path):
    """A copy of "evans" to take files from."""
    return shutil.copytree(results / "evans", tmp_path / "copy")


@pytest.fixture
def linear():
    """Observations of a Gaussian model with its exact predictions: I = θ + σ e, θ from a prior of variance 4."""
    import pandas as pd

    rng = np.random.default_rng(2)
    reflections, each = 4000, 5
    sigma = rng.uniform(0.5, 3.0, (reflections, each))
    iobs = rng.normal(0, 2, (reflections, 1)) + sigma * rng.normal(size=sigma.shape)
    weight = sigma**-2.0
    weight[:, -1] = 0.0  # held out
    variance = 1 / (0.25 + weight.sum(axis=1, keepdims=True))
    ipred = variance * (weight * iobs).sum(axis=1, keepdims=True)
    test = np.broadcast_to(np.arange(each) == each - 1, sigma.shape)
    columns = {"Iobs": iobs, "SIGIobs": sigma, "Ipred": ipred, "SIGIpred": np.sqrt(variance), "test": test}
    return pd.DataFrame({name: np.broadcast_to(x, sigma.shape).ravel() for name, x in columns.items()})
