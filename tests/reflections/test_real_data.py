import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import MergedDataError, Reflections, dataset_parents, read_datasets

FILES = {
    "hypf/hypf_unmerged.mtz": "IPR",
    "brap/brap_pk_6A.mtz": "IPR",
    "pyp/off.mtz": None,
    "formats/conventional.mtz": "I",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("anomalous", [False, True])
@pytest.mark.filterwarnings("ignore:Mtz contains multiple datasets")
def test_agrees_with_reciprocalspaceship(real_data, name, anomalous):
    path = real_data / name
    r = Reflections.read(path, intensity_key=FILES[name], anomalous=anomalous)
    ds = rs.read_mtz(str(path)).remove_absences()
    if not name.startswith("brap"):
        # There the file lists its symmetry operations, which M/ISYM counts, in an order of its own.
        np.testing.assert_array_equal(r.hkl, ds.get_hkls())
    np.testing.assert_array_equal(r.iobs, ds[FILES[name] or "I"].to_numpy())
    np.testing.assert_allclose(r.d, ds.compute_dHKL()["dHKL"], rtol=1e-5)
    ds = ds.hkl_to_asu().label_centrics().reset_index()
    keys = ["H", "K", "L"]
    if anomalous:
        ds["minus"] = (ds["M/ISYM"] % 2 == 0) & ~ds["CENTRIC"]
        keys.append("minus")
    groups = ds.groupby(keys, sort=False).ngroup().to_numpy()
    assert len(r.asu) == groups.max() + 1
    assert len(set(zip(groups.tolist(), r.refl_id.tolist(), strict=True))) == len(r.asu)
    np.testing.assert_array_equal(r.asu.centric[r.refl_id], ds["CENTRIC"].to_numpy(dtype=bool))
    assert r.n_images == ds["BATCH"].nunique()


def test_hypf(real_data):
    r = Reflections.read(real_data / "hypf/hypf_unmerged.mtz", intensity_key="IPR", anomalous=True)
    assert len(r) == 57725
    assert r.n_images == 84
    assert r.spacegroup.xhm() == "R 3:H"
    assert r.metadata_keys[:8] == ("BATCH", "FRACTIONCALC", "XDET", "YDET", "ROT", "WIDTH", "LP", "MPART")
    code, number, which = (r.metadata[:, r.metadata_keys.index(key)] for key in ("MPART", "MPART_N", "MPART_I"))
    np.testing.assert_array_equal(code, 100 * number + which)
    assert (which <= number).all()
    mtz = gemmi.read_mtz_file(str(real_data / "hypf/hypf_unmerged.mtz"))
    odd = mtz.column_with_label("M/ISYM").array.astype(int) % 2 == 1
    acentric = ~r.asu.centric[r.refl_id]
    np.testing.assert_array_equal(r.asu.friedel_minus[r.refl_id][acentric], ~odd[acentric])
    intensities = gemmi.Intensities()
    hkl, iobs, sigiobs = (np.array(x) for x in (r.hkl, r.iobs, r.sigiobs))
    intensities.set_data(r.cell, r.spacegroup, hkl, iobs, sigiobs)
    intensities.merge_in_place(gemmi.DataType.Anomalous)
    assert len(intensities.value_array) == len(r.asu)


def test_three_wavelengths_together(real_data):
    paths = [real_data / f"brap/brap_{name}_6A.mtz" for name in ("pk", "ip", "rm")]
    r = Reflections.read(paths, intensity_key="I")
    assert r.n_images == 540
    assert len(r) == sum(len(Reflections.read(path, intensity_key="I")) for path in paths)


def test_photoactive_yellow_protein_has_few_overlaps(real_data):
    r = Reflections.read(real_data / "pyp/off.mtz", wavelength_key="Wavelength")
    # A band of 1.02 to 1.18 Å is narrower than the ratio of neighbouring orders below 7.
    assert (len(r), r.n_predictions, r.overlapped.sum(), r.never_alone.sum()) == (48069, 48208, 119, 61)
    assert r.harmonics.order[r.overlapped[r.harmonic_id]].min() >= 6
    np.testing.assert_array_equal(r.harmonic_hkl[r.principal], r.hkl)
    wavelength = r.metadata[:, r.metadata_keys.index("Wavelength")]
    assert wavelength.min() >= 1.02 - 1e-6
    assert wavelength.max() <= 1.18 + 1e-6
    # All harmonics of a spot are of one direction: λ/d is the same but for rounding.
    ratio = wavelength / r.asu.d[r.refl_id]
    np.testing.assert_allclose(ratio, ratio[r.principal][r.harmonic_id], rtol=1e-6)


def test_photoactive_yellow_protein_before_and_after_the_pump(real_data):
    files = {"off": real_data / "pyp/off.mtz", "2ms": real_data / "pyp/2ms.mtz"}
    r = read_datasets(files, wavelength_key="Wavelength")
    assert len(r) == 96124
    for name, path in files.items():
        alone = Reflections.read(path, wavelength_key="Wavelength")
        assert r.of(name).asu.matches(alone.asu)
        np.testing.assert_array_equal(r.of(name).refl_id, alone.refl_id)
        np.testing.assert_array_equal(r.of(name).metadata, alone.metadata)
    parents = r.asu.split(dataset_parents(r.asu, {"2ms": "off"}))["2ms"]
    assert np.count_nonzero(parents >= 0) == 12151


@pytest.mark.parametrize("name", ["HEWL_SSAD_24IDC.mtz", "phenix_fw_ref.mtz"])
def test_merged_files_are_refused(real_data, name):
    with pytest.raises(MergedDataError, match=name):
        Reflections.read(real_data / "french_wilson" / name)
