"""Simulated experiments of any size."""

import numpy as np
import pytest
import reciprocalspaceship as rs

from benchmarks import larger
from vimerge import Reflections


@pytest.mark.parametrize("ratio", [1, 2, 9.7, 50, 96.7])
def test_a_division_has_about_the_size_that_is_wanted(ratio):
    parts = larger.division(ratio)
    assert np.prod(parts) == pytest.approx(ratio, rel=0.05)
    assert max(parts) <= 3 * min(parts) or ratio < 10


def test_tiles_have_different_reflections():
    hkl = np.array([[0, 0, 2], [1, 2, 3], [4, 0, 1]])
    parts = (2, 3, 4)
    spread = np.concatenate([larger.spread(hkl, parts, tile) for tile in range(24)])
    assert len(np.unique(spread, axis=0)) == len(spread)
    assert (spread >= 0).all()


def test_a_larger_crystal_has_the_multiplicity_of_the_small_one_and_its_truth(tmp_path, monkeypatch, simulation):
    small = {"cell": (26.0, 30.0, 34.0, 90.0, 90.0, 90.0), "dmin": 2.5, "images": 90, "oscillation": 2.0, "seed": 3}
    monkeypatch.setattr(larger, "BASE", small)
    path = tmp_path / "larger.mtz"
    count = larger.write(path, 4 * len(simulation.observations))
    reflections = Reflections.read(path, anomalous=True)
    base = Reflections.from_dataset(simulation.observations, anomalous=True)
    # Some indices become those of systematic absences.
    assert 0.99 * count < len(reflections) <= count == 4 * len(base)
    # With an index of zero a reflection may be its own mate, which its images in the larger cell are not.
    parts = larger.division(4)
    ours, theirs = (
        np.sort(r.multiplicity[(np.abs(r.asu.miller_index) >= least).all(axis=1)])
        for r, least in ((reflections, parts), (base, 1))
    )
    assert np.array_equal(ours, np.repeat(theirs, 4))
    assert reflections.n_images == base.n_images
    assert reflections.metadata_keys[:3] == ("BATCH", "XDET", "YDET")

    truth = rs.read_mtz(str(tmp_path / "larger_truth.mtz"))
    asu = reflections.asu
    mean = np.bincount(reflections.refl_id, reflections.iobs, len(asu)) / reflections.multiplicity
    seen = {tuple(h): m for h, m in zip(asu.miller_index.tolist(), mean, strict=True)}
    pairs = []
    for plus, row in zip(truth.get_hkls().tolist(), truth.to_dict("records"), strict=True):
        mates = tuple(plus), tuple(-i for i in plus)
        if all(mate in seen for mate in mates):
            pairs.append((seen[mates[0]] - seen[mates[1]], row["F(+)"] ** 2 - row["F(-)"] ** 2))
    assert len(pairs) > 1000
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.5
