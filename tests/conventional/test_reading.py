import gemmi
import numpy as np

from vimerge.conventional import read_for_scaling


def test_all_that_scales_can_depend_on_is_read(measured):
    path, _ = measured
    table = read_for_scaling(path, anomalous=True)
    beams = ("S1X", "S1Y", "S1Z")
    # FRACTIONCALC says that all are full, or nearly.
    assert table.metadata_keys == ("ROT", "XDET", "YDET", "FRACTIONCALC", *beams)


def _changed(path, folder, change):
    mtz = gemmi.read_mtz_file(str(path))
    change(mtz)
    mtz.write_to_file(str(folder / "changed.mtz"))
    return folder / "changed.mtz"


def _add(mtz, **columns):
    data = np.array(mtz.array)
    for name, kind in zip(columns, "IRJQ", strict=False):
        mtz.add_column(name, kind if name not in ("IPR", "SIGIPR") else {"IPR": "J", "SIGIPR": "Q"}[name])
    mtz.set_data(np.column_stack([data, *columns.values()]).astype(np.float32))


def test_what_mosflm_flagged_is_left_out(measured, tmp_path):
    path, table = measured
    # Overloaded, at the edge, a high peak ratio (which is no reason), several at once.
    flags = np.zeros(len(table))
    flags[:5] = 16, 32, 2, 36, 3
    columns = {"FLAG": flags, "BGPKRATIOS": np.arange(len(table)) % 7}
    changed = _changed(path, tmp_path, lambda mtz: _add(mtz, **columns))
    assert len(read_for_scaling(changed)) == len(table) - 3
    alone = _changed(path, tmp_path, lambda mtz: _add(mtz, FLAG=flags))
    assert len(read_for_scaling(alone)) == len(table), "another program's flags may mean something else"


def test_of_several_intensities_the_profile_fitted_are_taken(measured, tmp_path):
    path, table = measured
    profile = np.linspace(1, 2, len(table))
    changed = _changed(path, tmp_path, lambda mtz: _add(mtz, IPR=profile, SIGIPR=profile / 10))
    np.testing.assert_allclose(np.sort(read_for_scaling(changed).iobs), profile, rtol=1e-6)
    assert read_for_scaling(changed, intensity_key="I").iobs.max() > 2


def test_without_headers_there_is_no_direction(measured, tmp_path):
    changed = _changed(measured[0], tmp_path, lambda mtz: mtz.batches.clear())
    assert "S1X" not in read_for_scaling(changed).metadata_keys
