import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections import MergedDataError, Reflections

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


@pytest.mark.parametrize("name", ["HEWL_SSAD_24IDC.mtz", "phenix_fw_ref.mtz"])
def test_merged_files_are_refused(real_data, name):
    with pytest.raises(MergedDataError, match=name):
        Reflections.read(real_data / "french_wilson" / name)
