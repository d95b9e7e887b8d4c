import gemmi
import numpy as np
import pytest

from vimerge.reflections import (
    MissingColumnError,
    NoObservationsError,
    OptionError,
    ReflectionDataError,
    Reflections,
    half_datasets,
    holdout,
)

CUBE = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)
TETRAGONAL = {"cell": (50.0, 50.0, 80.0, 90.0, 90.0, 90.0), "spacegroup": "P 43 21 2"}


def cube(hkl, wavelength, iobs=None, **options):
    count = len(hkl)
    iobs = np.arange(1.0, count + 1) if iobs is None else iobs
    options = {"cell": CUBE, "spacegroup": "P 1", "wavelength_key": "LAMBDA", **options}
    return Reflections.from_arrays(
        hkl, iobs, np.ones(count), np.arange(count), metadata={"LAMBDA": wavelength}, **options
    )


def tetragonal(observed, wavelength, **options):
    arrays = (observed[name] for name in ("hkl", "I", "SIGI", "BATCH"))
    metadata = {"LAMBDA": wavelength, "ROT": observed["ROT"]}
    return Reflections.from_arrays(*arrays, metadata=metadata, **TETRAGONAL, **options)


@pytest.fixture
def wavelength(observed):
    return np.random.default_rng(3).uniform(0.8, 1.7, len(observed["hkl"]))


@pytest.fixture
def laue(observed, wavelength):
    """Some 560 observations, half of which are overlaps."""
    return tetragonal(observed, wavelength, wavelength_key="LAMBDA")


def test_two_axes_by_hand(caplog):
    with caplog.at_level("INFO", "vimerge"):
        r = cube([[2, 0, 0], [1, 1, 0], [-1, 0, 0]], [1.0, 0.8, 1.9], wavelength_min=0.6, wavelength_max=2.0, dmin=3.0)
    assert (len(r), r.n_predictions, r.is_laue) == (3, 7, True)
    np.testing.assert_array_equal(r.harmonic_id, [0, 0, 0, 1, 2, 2, 2])
    np.testing.assert_array_equal(r.principal, [1, 3, 4])
    np.testing.assert_array_equal(r.harmonic_hkl[:, 0], [1, 2, 3, 1, -1, -2, -3])
    np.testing.assert_array_equal(r.hkl, [[2, 0, 0], [1, 1, 0], [-1, 0, 0]])
    # Friedel mates together: h00 and -h00 are one reflection.
    np.testing.assert_array_equal(r.refl_id[:3], r.refl_id[4:])
    np.testing.assert_allclose(r.asu.d[r.refl_id[:4]], [10, 5, 10 / 3, 10 / np.sqrt(2)])
    np.testing.assert_allclose(r.d, [5, 10 / np.sqrt(2), 10])
    by_name = dict(zip(r.metadata_keys, r.metadata.T, strict=True))
    np.testing.assert_allclose(by_name["LAMBDA"], [2, 1, 2 / 3, 0.8, 1.9, 0.95, 1.9 / 3], rtol=1e-6)
    np.testing.assert_allclose(by_name["dHKL"], [0.01, 0.04, 0.09, 0.02, 0.01, 0.04, 0.09], rtol=1e-6)
    np.testing.assert_array_equal(by_name["Hobs"], [1, 2, 3, 1, -1, -2, -3])
    np.testing.assert_array_equal(by_name["BATCH"], [0, 0, 0, 1, 2, 2, 2])
    np.testing.assert_allclose(r.column("LAMBDA"), [1.0, 0.8, 1.9], rtol=1e-6)
    np.testing.assert_array_equal(r.multiplicity, np.bincount(r.refl_id))
    assert r.alone.sum() == 1
    assert r.never_alone.sum() == 3
    np.testing.assert_array_equal(r.overlapped, [True, False, True])
    assert (
        "3 observations are of 7 harmonics between 0.6 and 2 Å to 3 Å: 2 are overlaps, 0 systematically absent "
        "harmonics are left out, and 3 of 4 reflections are never observed alone" in caplog.messages
    )
    assert "3 observations as 7 harmonics of 4 reflections" in repr(r)


def test_limits_are_those_of_the_data_if_not_given():
    r = cube([[2, 0, 0], [0, 1, 0], [3, 2, 1]], [1.0, 2.0, 0.7])
    # From 0.7 to 2 Å and to the d of 3 2 1.
    np.testing.assert_array_equal(r.harmonic_hkl, [[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 2, 0], [3, 2, 1]])


def test_absent_harmonics_are_left_out_and_counted(caplog):
    with caplog.at_level("INFO", "vimerge"):
        r = Reflections.from_arrays(
            [[0, 0, 4], [3, 0, 0], [5, 0, 0], [1, 2, 3]],
            [1.0, 2.0, 3.0, 4.0],
            np.ones(4),
            [1, 1, 1, 1],
            metadata={"LAMBDA": [1.0, 1.0, 0.9, 0.9]},
            wavelength_key="LAMBDA",
            wavelength_min=0.5,
            wavelength_max=1.0,
            dmin=8.0,
            **TETRAGONAL,
        )
    # 0 0 l is there for l = 4n, h 0 0 for h = 2n. To 8 Å: l = 4 … 10, of which 4 to 8 are in the band; of 3 0 0 in the
    # band 3 … 6, of 5 0 0 (4.5 Å / h) 5 and 6.
    np.testing.assert_array_equal(r.harmonic_hkl, [[0, 0, 4], [0, 0, 8], [4, 0, 0], [6, 0, 0], [6, 0, 0], [1, 2, 3]])
    np.testing.assert_array_equal(r.harmonic_id, [0, 0, 1, 1, 2, 3])
    # 3 0 0 and 5 0 0 themselves are absent; the lowest order stands for them.
    np.testing.assert_array_equal(r.principal, [0, 2, 4, 5])
    assert r.harmonics.absent == 6
    assert any("6 systematically absent harmonics" in message for message in caplog.messages)


def test_observations_whose_harmonics_are_all_absent_are_removed(observed, caplog):
    observed["hkl"][0] = [3, 0, 0]
    observed["hkl"][1] = [0, 0, 0]
    with caplog.at_level("INFO", "vimerge"):
        r = tetragonal(observed, np.full(len(observed["hkl"]), 1.0), wavelength_key="LAMBDA")
    np.testing.assert_array_equal(r.hkl, observed["hkl"][2:])
    assert any("1 of" in m and "absent with all harmonics" in m for m in caplog.messages)
    assert any("0 0 0" in m for m in caplog.messages)


def test_which_order_the_file_gives_makes_no_difference(observed, wavelength):
    options = {"wavelength_key": "LAMBDA", "wavelength_min": 0.8, "wavelength_max": 1.7, "dmin": 5.0}
    one = tetragonal(observed, wavelength, **options)
    order = np.random.default_rng(5).integers(1, 4, len(wavelength))
    prime = observed["hkl"] // np.gcd.reduce(observed["hkl"], axis=1)[:, np.newaxis]
    first = wavelength * np.gcd.reduce(observed["hkl"], axis=1)
    other = tetragonal({**observed, "hkl": prime * order[:, np.newaxis]}, first / order, **options)
    assert one.asu.matches(other.asu)
    for name in ("refl_id", "harmonic_id", "harmonic_hkl", "iobs", "image_id"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.metadata, other.metadata, rtol=1e-6)


@pytest.mark.parametrize("anomalous", [False, True])
def test_in_a_narrow_band_the_table_is_the_monochromatic_one(observed, wavelength, anomalous):
    narrow = 1 + 0.001 * wavelength
    mono = tetragonal(observed, narrow, anomalous=anomalous)
    laue = tetragonal(observed, narrow, anomalous=anomalous, wavelength_key="LAMBDA")
    assert laue.is_laue
    assert not mono.is_laue
    assert laue.asu.matches(mono.asu)
    assert laue.metadata_keys == mono.metadata_keys
    for name in ("hkl", "refl_id", "image_id", "file_id", "iobs", "sigiobs", "metadata", "harmonic_id", "principal"):
        np.testing.assert_array_equal(getattr(laue, name), getattr(mono, name), err_msg=name)
        assert getattr(laue, name).dtype == getattr(mono, name).dtype
    for name in ("multiplicity", "alone", "never_alone", "overlapped", "d", "harmonic_hkl"):
        np.testing.assert_array_equal(getattr(laue, name), getattr(mono, name), err_msg=name)
    pd = pytest.importorskip("pandas")
    pd.testing.assert_frame_equal(laue.images, mono.images)
    for by in ("observation", "reflection", "image"):
        ours, theirs = (r.dataset(50, seed=4, by=by) for r in (laue, mono))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.pop("principal"), np.arange(len(a["iobs"])))
            assert a.keys() == b.keys()
            for key in a:
                np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_with_a_constant_wavelength_the_column_is_left_out(observed):
    one = np.ones(len(observed["hkl"]))
    mono, laue = tetragonal(observed, one), tetragonal(observed, one, wavelength_key="LAMBDA")
    assert laue.metadata_keys == mono.metadata_keys
    np.testing.assert_array_equal(laue.metadata, mono.metadata)


@pytest.mark.parametrize("which", ["mask", "rows", "slice", "row", "none"])
def test_selection_keeps_all_harmonics(laue, which):
    rows = {
        "mask": laue.iobs > 80,
        "rows": np.array([5, 3, 3, 200]),
        "slice": slice(10, 40, 2),
        "row": 7,
        "none": [],
    }[which]
    part = laue[rows]
    numbers = np.atleast_1d(np.arange(len(laue))[np.asarray(rows, int) if which == "none" else rows])
    assert len(part) == len(part.principal) == len(numbers)
    assert part.n_predictions == laue.harmonics.counts[numbers].sum()
    for i, row in enumerate(numbers[:50]):
        mine, before = part.harmonic_id == i, laue.harmonic_id == row
        np.testing.assert_array_equal(part.refl_id[mine], laue.refl_id[before])
        np.testing.assert_array_equal(part.metadata[mine], laue.metadata[before])
        np.testing.assert_array_equal(part.harmonic_hkl[mine], laue.harmonic_hkl[before])
        assert part.refl_id[part.principal[i]] == laue.refl_id[laue.principal[row]]
    np.testing.assert_array_equal(part.iobs, laue.iobs[numbers])


def test_as_monochromatic_is_the_table_of_the_principal_harmonics(observed, wavelength, laue):
    principal = laue.as_monochromatic()
    plain = tetragonal(observed, wavelength)
    assert not principal.is_laue
    np.testing.assert_array_equal(principal.asu.miller_index[principal.refl_id], plain.asu.miller_index[plain.refl_id])
    np.testing.assert_array_equal(principal.metadata, plain.metadata)
    assert plain.as_monochromatic() is plain


def test_splits_are_of_observations(laue):
    test = holdout(laue, 0.2)
    assert test.shape == (len(laue),)
    train = laue[~test]
    assert train.n_predictions + laue[test].n_predictions == laue.n_predictions
    _, half0, half1 = next(half_datasets(laue))
    assert not set(laue[half0].image_id) & set(laue[half1].image_id)
    assert len(laue[half0]) + len(laue[half1]) == len(laue)


def test_friedel_mates_of_harmonics_are_those_of_the_spot(observed, wavelength):
    r = tetragonal(observed, wavelength, wavelength_key="LAMBDA", anomalous=True)
    np.testing.assert_array_equal(r.asu.refl_id(r.harmonic_hkl), r.refl_id)
    sign = r.asu.friedel_minus[r.refl_id] | r.asu.centric[r.refl_id]
    acentric = ~r.asu.centric[r.refl_id]
    mates = sign[r.principal][r.harmonic_id]
    both = acentric & acentric[r.principal][r.harmonic_id]
    np.testing.assert_array_equal(sign[both], mates[both])


def test_observations_without_a_wavelength_are_removed(observed, wavelength, caplog):
    wavelength[:3] = [np.nan, 0.0, -1.0]
    with caplog.at_level("INFO", "vimerge"):
        r = tetragonal(observed, wavelength, wavelength_key="LAMBDA")
    np.testing.assert_array_equal(r.hkl, observed["hkl"][3:])
    assert any("3 of" in m and "LAMBDA" in m for m in caplog.messages)


def test_reading_a_file_is_the_same_as_from_arrays(observed, wavelength, write_mtz):
    wavelength = wavelength.astype(np.float32).astype(float)
    path = write_mtz({**observed, "LAMBDA": wavelength})
    options = {"wavelength_key": "LAMBDA", "wavelength_min": 0.8, "wavelength_max": 1.7, "metadata": ["LAMBDA", "dHKL"]}
    r = Reflections.read(path, **options)
    options["metadata_keys"] = options.pop("metadata")
    expected = tetragonal(observed, wavelength, **options)
    for name in ("hkl", "refl_id", "harmonic_id", "principal", "metadata"):
        np.testing.assert_array_equal(getattr(r, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"wavelength_key": None, "wavelength_min": 1.0}, OptionError, "--wavelength-key"),
        ({"wavelength_min": 0.0}, OptionError, "--wavelength-min"),
        ({"wavelength_max": float("nan")}, OptionError, "--wavelength-max"),
        ({"wavelength_min": 1.2, "wavelength_max": 1.1}, OptionError, "exchange"),
        ({"wavelength_key": "LAMDA"}, MissingColumnError, r"did you mean LAMBDA, for --wavelength-key"),
        ({"wavelength_min": 3.0, "wavelength_max": 4.0}, NoObservationsError, "between 3 and 4 Å"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        cube([[1, 2, 3], [3, 2, 1]], [1.0, 1.1], **options)


def test_a_column_without_wavelengths_is_refused():
    with pytest.raises(ReflectionDataError, match=r"LAMBDA.*--wavelength-key"):
        cube([[1, 2, 3], [3, 2, 1], [1, 1, 1]], [0.0, 0.0, 1.1])


def test_harmonics_are_the_same_after_the_cell_is_rounded():
    # The limits are inclusive for the observation that sets them.
    rng = np.random.default_rng(1)
    hkl = rng.integers(-20, 21, (2000, 3))
    hkl = hkl[hkl.any(axis=1)]
    wavelength = rng.uniform(1.02, 1.18, len(hkl)).astype(np.float32)
    cell = gemmi.UnitCell(66.9, 66.9, 40.9552, 90, 90, 120)
    r = Reflections.from_arrays(
        hkl,
        np.ones(len(hkl)),
        np.ones(len(hkl)),
        np.zeros(len(hkl)),
        metadata={"L": wavelength},
        wavelength_key="L",
        cell=cell,
        spacegroup="P 1",
    )
    assert len(r) == len(hkl)
    np.testing.assert_array_equal(r.harmonic_hkl[r.principal], r.hkl)
