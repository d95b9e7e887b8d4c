"""What a merge and a prediction give."""

import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge import likelihoods
from vimerge.merging.results import predictions
from vimerge.reflections import Reflections

MEAN = ["F", "SIGF", "I", "SIGI", "N"]
FRIEDEL = ["F(+)", "SIGF(+)", "F(-)", "SIGF(-)", "I(+)", "SIGI(+)", "I(-)", "SIGI(-)", "N(+)", "N(-)"]
DANO = ["DANO", "SIGDANO"]


@pytest.fixture(scope="module")
def model(reflections, make_model):
    return make_model(reflections)


@pytest.fixture(scope="module")
def merged(model, reflections):
    return model.merge(reflections)


@pytest.fixture(scope="module")
def together(simulation):
    return Reflections.from_dataset(simulation.observations)


def types(table):
    return "".join(table[name].dtype.mtztype for name in table.columns)


def test_columns_without_friedel_mates(together, make_model):
    model = make_model(together)
    table = model.merge(together)
    assert list(table.columns) == MEAN
    assert types(table) == "FQJQI"
    assert table.index.names == ["H", "K", "L"]
    assert table.merged
    assert table.spacegroup.xhm() == together.spacegroup.xhm()
    assert table.cell.parameters == pytest.approx(together.cell.parameters)
    assert len(table) == len(together.asu)
    ids = together.asu.refl_id(table.get_hkls())
    for name, values in model.surrogate.moments()._asdict().items():
        np.testing.assert_array_equal(table[name].to_numpy(), values.numpy()[ids])
    np.testing.assert_array_equal(table["N"].to_numpy(), together.multiplicity[ids])


def test_columns_with_friedel_mates(merged):
    assert list(merged.columns) == MEAN + FRIEDEL + DANO
    assert types(merged) == "FQJQI" + "GLGLKMKMII" + "DQ"
    assert merged.index.is_unique
    assert merged.index.is_monotonic_increasing


def test_indices_are_in_the_asymmetric_unit(merged):
    mapped, _ = rs.utils.hkl_to_asu(merged.get_hkls(), merged.spacegroup)
    np.testing.assert_array_equal(mapped, merged.get_hkls())


def test_each_mate_has_its_own_posterior(model, merged, reflections):
    hkl, moments = merged.get_hkls(), model.surrogate.moments()
    for sign, index in (("+", hkl), ("-", -hkl)):
        ids = reflections.asu.refl_id(index)
        there = merged[f"N({sign})"].to_numpy() > 0
        assert np.all(ids[there] >= 0)
        for name, values in moments._asdict().items():
            np.testing.assert_array_equal(merged[f"{name}({sign})"].to_numpy()[there], values.numpy()[ids[there]])
        number = np.where(ids >= 0, reflections.multiplicity[ids], 0)
        np.testing.assert_array_equal(merged[f"N({sign})"].to_numpy(), number)


def test_centric_reflections_are_their_own_mates(merged):
    centric = merged.label_centrics()["CENTRIC"].to_numpy()
    assert centric.sum() > 50
    table = merged[centric]
    for name in ("F", "SIGF", "I", "SIGI", "N"):
        np.testing.assert_array_equal(table[f"{name}(+)"].to_numpy(), table[f"{name}(-)"].to_numpy())
        np.testing.assert_allclose(table[f"{name}(+)"].to_numpy(), table[name].to_numpy(), rtol=1e-6)


def test_a_mate_that_was_not_observed_is_missing(model, reflections):
    merged = model.merge(reflections[reflections.image_id < 20])
    for sign, other in ("+-", "-+"):
        missing = merged[f"N({sign})"].to_numpy() == 0
        assert missing.any()
        for name in ("F", "SIGF", "I", "SIGI"):
            assert np.isnan(merged[f"{name}({sign})"].to_numpy()[missing]).all()
            assert np.isfinite(merged[f"{name}({sign})"].to_numpy()[~missing]).all()
            np.testing.assert_allclose(
                merged[name].to_numpy()[missing], merged[f"{name}({other})"].to_numpy()[missing], rtol=1e-6
            )
    assert np.isfinite(merged[MEAN].to_numpy(np.float64)).all()


def test_the_mean_of_mates_is_weighted_by_inverse_variance(merged):
    both = ((merged["N(+)"] > 0) & (merged["N(-)"] > 0) & ~merged.label_centrics()["CENTRIC"]).to_numpy()
    table = merged[both].astype(np.float64)
    for name in ("F", "I"):
        w, v = 1 / table[f"SIG{name}(+)"] ** 2, 1 / table[f"SIG{name}(-)"] ** 2
        np.testing.assert_allclose(
            table[name], (w * table[f"{name}(+)"] + v * table[f"{name}(-)"]) / (w + v), rtol=1e-5
        )
        np.testing.assert_allclose(table[f"SIG{name}"], 1 / np.sqrt(w + v), rtol=1e-5)


def test_every_observation_is_counted_once(merged, reflections):
    assert merged["N"].sum() == len(reflections)
    acentric = ~merged.label_centrics()["CENTRIC"].to_numpy()
    np.testing.assert_array_equal(merged["N"][acentric], (merged["N(+)"] + merged["N(-)"])[acentric])


def test_only_observed_reflections_are_in(model, reflections, merged):
    part = reflections[:500]
    table = model.merge(part)
    assert len(table) < len(merged)
    assert (table["N"] > 0).all()
    assert table["N"].sum() == 500


def test_mtz_round_trip(merged, tmp_path):
    merged.write_mtz(str(tmp_path / "merged.mtz"))
    again = rs.read_mtz(str(tmp_path / "merged.mtz"))
    assert list(again.columns) == list(merged.columns)
    assert types(again) == types(merged)
    assert again.spacegroup.xhm() == merged.spacegroup.xhm()
    np.testing.assert_array_equal(again.get_hkls(), merged.get_hkls())
    np.testing.assert_array_equal(again.to_numpy(np.float32), merged.to_numpy(np.float32))


def test_predictions_are_in_the_order_of_the_observations(model, reflections):
    whole, batched = (model.predict(reflections.dataset(size, shuffle=False), verbose=0) for size in (None, 1000))
    assert set(whole) == {"Ipred", "SIGIpred", "scale", "SIGscale"}
    for name, values in whole.items():
        assert values.shape == (len(reflections),)
        np.testing.assert_allclose(batched[name], values, rtol=1e-5)
    moments = model.surrogate.moments()
    expected = whole["scale"] * moments.I.numpy()[reflections.refl_id]
    np.testing.assert_allclose(whole["Ipred"], expected, rtol=1e-5)
    np.testing.assert_allclose(whole["SIGIpred"], whole["scale"] * moments.SIGI.numpy()[reflections.refl_id], rtol=1e-5)
    np.testing.assert_array_equal(whole["SIGscale"], 0.0)
    np.testing.assert_array_equal(model(next(iter(reflections.dataset(shuffle=False)))), whole["Ipred"])


def test_uncertain_scales_widen_the_predictions(reflections, make_model):
    model = make_model(reflections, posterior="log-normal")
    batch = next(iter(reflections.dataset(100, shuffle=False)))
    predicted = {name: value.numpy() for name, value in model.predicted(batch).items()}
    scale = model.scaling.distribution(batch).sample(20_000, seed=1).numpy()
    intensity = model.surrogate.intensity(model.surrogate(batch["refl_id"], mc_samples=20_000, seed=2)).numpy()
    np.testing.assert_allclose(predicted["SIGscale"] / predicted["scale"], np.sqrt(np.expm1(0.05**2)), rtol=1e-3)
    np.testing.assert_allclose((scale * intensity).mean(axis=0), predicted["Ipred"], rtol=0.03)
    np.testing.assert_allclose((scale * intensity).std(axis=0), predicted["SIGIpred"], rtol=0.06)


def test_predictions_of_harmonics_add_up(reflections, make_model):
    import tensorflow as tf

    model = make_model(reflections, likelihood=likelihoods.StudentT())
    batch = dict(next(iter(reflections[:100].dataset(shuffle=False))))
    single = {name: value.numpy() for name, value in model.predicted(batch).items()}
    batch["harmonic_id"] = tf.range(100) // 2
    batch |= {name: batch[name][:50] for name in ("iobs", "sigiobs", "weight")}
    pairs = {name: value.numpy() for name, value in model.predicted(batch).items()}
    np.testing.assert_allclose(pairs["Ipred"], single["Ipred"].reshape(50, 2).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        pairs["SIGIpred"], np.sqrt((single["SIGIpred"].reshape(50, 2) ** 2).sum(axis=1)), rtol=1e-5
    )
    assert pairs["scale"].shape == (100,)


def test_table_of_predictions(model, reflections, tmp_path):
    predicted = model.predict(reflections.dataset(shuffle=False), verbose=0)
    test = np.arange(len(reflections)) % 10 == 0
    table = predictions(reflections, predicted, test)
    assert not table.merged
    columns = ["Iobs", "SIGIobs", "Ipred", "SIGIpred", "scale", "SIGscale", "image_id", "test"]
    where = [name for name in reflections.metadata_keys if name in ("ROT", "XDET", "YDET")]
    assert len(where) == 3
    assert list(table.columns) == [*columns, *where]
    np.testing.assert_array_equal(table["ROT"], reflections.metadata[:, reflections.metadata_keys.index("ROT")])
    np.testing.assert_array_equal(table.get_hkls(), reflections.hkl)
    np.testing.assert_array_equal(table["Iobs"], reflections.iobs)
    np.testing.assert_array_equal(table["Ipred"], predicted["Ipred"])
    np.testing.assert_array_equal(table["image_id"], reflections.image_id)
    np.testing.assert_array_equal(table["test"], test.astype(int))
