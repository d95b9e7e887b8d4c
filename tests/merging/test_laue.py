"""Polychromatic data and several data sets, from the files to the results."""

import json

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.cli import main
from vimerge.merging import crossvalidation, recipe
from vimerge.merging.collapsed import collapsed_elbo
from vimerge.merging.joint import LogJoint
from vimerge.merging.start import conditional_moments, moments_on_grid
from vimerge.reflections import Reflections, read_datasets

LIMITS = {"wavelength_key": "Wavelength", "wavelength_min": 0.7, "wavelength_max": 1.4}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A Laue pump-probe pair with many harmonics: the pair, and its files by name."""
    from vimerge.simulation import simulate_pair

    made = simulate_pair(
        cell=(30.0, 34.0, 40.0, 90.0, 90.0, 90.0),
        dmin=2.2,
        images=24,
        step=7.5,
        wavelength_min=0.7,
        wavelength_max=1.4,
        seed=2,
    )
    folder = tmp_path_factory.mktemp("pair")
    made.write(str(folder / "x.mtz"))
    return made, {name: (str(folder / f"x_{name}.mtz"),) for name in ("off", "on")}


@pytest.fixture(scope="module")
def off(pair):
    """The dark data, with harmonics."""
    data = Reflections.read(pair[1]["off"], **LIMITS)
    assert data.n_predictions > len(data) + 50
    return data


def test_a_narrow_band_is_monochromatic_data(reflections, make_model, simulation):
    """The same table, read as polychromatic with no other harmonic in the band, has the same objective."""
    table = simulation.observations.copy()
    table["Wavelength"] = rs.DataSeries(np.full(len(table), 1.0), index=table.index, dtype="R")
    keys = list(reflections.metadata_keys)
    laue = Reflections.from_dataset(
        table, anomalous=True, metadata=keys, wavelength_key="Wavelength", wavelength_min=0.999, wavelength_max=1.001
    )
    assert laue.is_laue
    assert laue.n_predictions == len(reflections)
    ours, theirs = make_model(reflections), make_model(laue)
    theirs.set_weights(ours.get_weights())
    for by, bound in (("observation", lambda m, b: m.elbo(b)), ("reflection", collapsed_elbo)):
        batches = (data.dataset(by=by, shuffle=False) for data in (reflections, laue))
        terms = [bound(model, next(iter(b))) for model, b in zip((ours, theirs), batches, strict=True)]
        np.testing.assert_allclose(terms[0], terms[1], rtol=1e-6)
    for one, other in zip(conditional_moments(ours, reflections), conditional_moments(theirs, laue), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_an_overlap_tells_each_harmonic_what_the_others_leave(off, make_model):
    model = make_model(off)
    mean, sd = conditional_moments(model, off)
    alone = moments_on_grid(LogJoint(model, off[~off.overlapped]), model.surrogate.over)
    with pytest.raises(ValueError, match="several harmonics"):
        LogJoint(model, off)
    touched = np.unique(off.refl_id[off.overlapped[off.harmonic_id]])
    untouched = np.setdiff1d(np.flatnonzero(off.multiplicity), touched)
    # Others are as if there were no overlap; those in one are known better for it, or as well.
    np.testing.assert_allclose(mean[untouched], alone[0][untouched], rtol=1e-6)
    assert np.median(sd[touched] / alone[1][touched]) < 1.0
    assert np.mean(sd[touched]) < np.mean(alone[1][touched])


@pytest.mark.slow
def test_polychromatic_data_are_trained_by_either_objective(off):
    for objective in ("collapsed", "elbo"):
        model = recipe.make_model(off, seed=1)
        history = recipe.train(model, off, objective=objective, epochs=4, batch_size=1500)
        assert history["skipped"].sum() == 0
        assert history["elbo"].iloc[-1] > history["elbo"].iloc[0]


def test_the_truth_is_recovered(off, pair):
    model = recipe.make_model(off, seed=1)
    recipe.train(model, off)
    truth = pair[0].truth["F_OFF"].astype(float)
    merged = model.merge(off).join(truth, how="inner")
    assert np.corrcoef(merged["F"], merged["F_OFF"])[0, 1] > 0.97
    # The fall-off is that of F, not of intensities, whose Lorentz factor d² is three times as large at low resolution.
    # Polarisation and absorption depend on the angle too, by a tenth or two.
    strong = merged["F"] > 5 * merged["SIGF"]
    ratio = (merged["F"] / merged["F_OFF"])[strong]
    low = merged.compute_dHKL()["dHKL"][strong] > 3.5
    assert 0.8 < np.median(ratio[low]) / np.median(ratio[~low]) < 1.25
    halves = crossvalidation.half_datasets(model, off, seed=1)
    assert set(halves["half"]) == {0, 1}


def test_data_sets_are_scaled_together_and_merged_apart(pair, tmp_path):
    files = [f"--dataset={name}={paths[0]}" for name, paths in pair[1].items()]
    limits = ["--wavelength-key=Wavelength", "--wavelength-min=0.7", "--wavelength-max=1.4", "--dmin=3"]
    options = ["--epochs=3", "--batch-size=3000", "--seed=1", "--correlate=on~off=0.9", "--shared-errors=0"]
    options += ["--surrogate=gamma", "--half-datasets=1"]
    assert main(["merge", *files, *limits, *options, "--quiet", "-o", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"{kind}_{x}.mtz" for kind in ("merged", "predictions", "half_datasets") for x in ("off", "on")} <= names
    assert {"report.html", "model.keras", "run.json"} <= names
    data = read_datasets(pair[1], dmin=3.0, **LIMITS)
    for name in ("off", "on"):
        own = data.of(name)
        merged = rs.read_mtz(str(tmp_path / f"merged_{name}.mtz"))
        predicted = rs.read_mtz(str(tmp_path / f"predictions_{name}.mtz"))
        assert len(predicted) == len(own)
        np.testing.assert_allclose(predicted["Iobs"], own.iobs)
        assert merged["N"].sum() <= own.n_predictions
    run = json.loads((tmp_path / "run.json").read_text())
    assert set(run["options"]["datasets"]) == {"off", "on"}
    assert len(run["inputs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "No file was given"),
        (["a.mtz", "--dataset", "on=b.mtz"], "Give either files"),
        (["one/a.mtz", "two/a.mtz", "--separate"], "Two files have the same name"),
        (["--dataset", "on=a.mtz", "--dataset", "on=b.mtz"], "named twice"),
        (["a.mtz", "--reindex", "on=k,h,-l"], "--reindex is for one of several"),
    ],
)
def test_what_cannot_be_is_told(arguments, message, tmp_path, capsys):
    assert main(["merge", *arguments, "-o", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
