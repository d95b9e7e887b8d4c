"""Amplitudes from merged files and from models, for the reflections of an ASU."""

import gemmi
import numpy as np
import pytest

from vimerge.reflections import (
    AmbiguousColumnError,
    MissingColumnError,
    ReciprocalASU,
    ReflectionDataError,
    SymmetryError,
    UnreadableFileError,
    reference_amplitudes,
)

CELL, SPACEGROUP = (20.0, 20.0, 30.0, 90.0, 90.0, 90.0), "P 43 21 2"
DMIN = 2.5


def make_asu(anomalous=False, cell=CELL, spacegroup=SPACEGROUP, dmin=DMIN):
    cell, spacegroup = gemmi.UnitCell(*cell), gemmi.SpaceGroup(spacegroup)
    hkl = gemmi.make_miller_array(cell, spacegroup, dmin)
    return ReciprocalASU.from_observed(np.concatenate([hkl, -hkl]), cell, spacegroup, anomalous)


@pytest.fixture
def write(tmp_path):
    """Write a merged MTZ file of columns {label: (type, values)} for Miller indices."""

    def make(hkl, columns, name="merged.mtz", cell=CELL, spacegroup=SPACEGROUP):
        mtz = gemmi.Mtz(with_base=True)
        mtz.spacegroup = gemmi.SpaceGroup(spacegroup)
        mtz.set_cell_for_all(gemmi.UnitCell(*cell))
        mtz.add_dataset("data")
        for label, (kind, _) in columns.items():
            mtz.add_column(label, kind)
        mtz.set_data(np.column_stack([hkl, *(values for _, values in columns.values())]).astype(np.float32))
        path = tmp_path / name
        mtz.write_to_file(str(path))
        return path

    return make


@pytest.fixture
def merged():
    """Miller indices in CCP4's asymmetric unit, and an amplitude of each."""
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup(SPACEGROUP), DMIN)
    return hkl, np.random.default_rng(0).uniform(1.0, 100.0, len(hkl)).astype(np.float32)


@pytest.fixture
def structure():
    """Twenty atoms in a general position."""
    rng = np.random.default_rng(1)
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = gemmi.UnitCell(*CELL), SPACEGROUP
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNK", gemmi.SeqId("1")
    for number, element in enumerate(["C", "N", "O", "S", "C"] * 4):
        atom = gemmi.Atom()
        atom.name, atom.element = f"{element}{number}", gemmi.Element(element)
        atom.b_iso, atom.pos = rng.uniform(8, 20), gemmi.Position(*rng.uniform(0, 15, 3).round(3))
        residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    return structure


def of_index(asu, hkl, values):
    """What the amplitudes of the ASU should be, one by one."""
    expected = np.full(len(asu), np.nan)
    expected[asu.refl_id(hkl)] = values
    return expected


def test_amplitudes_of_a_merged_file_are_found_by_index(write, merged):
    hkl, f = merged
    keep = np.arange(len(hkl)) % 5 > 0
    f = np.where(np.arange(len(hkl)) % 7 > 0, f, np.nan)
    path = write(hkl[keep][::-1], {"F": ("F", f[keep][::-1]), "SIGF": ("Q", f[keep]), "FC": ("F", 9 * f[keep])})
    asu = make_asu()
    found = reference_amplitudes(asu, path)
    np.testing.assert_allclose(found, of_index(asu, hkl[keep], f[keep]), rtol=1e-6)
    assert np.isnan(found).any()


def test_another_asymmetric_unit_is_mapped(write, merged):
    hkl, f = merged
    op = gemmi.SpaceGroup(SPACEGROUP).operations().sym_ops[3]
    moved = np.array([op.apply_to_hkl(h) for h in (-hkl).tolist()])
    found = reference_amplitudes(make_asu(), write(moved, {"FP": ("F", f)}))
    np.testing.assert_allclose(found, of_index(make_asu(), hkl, f), rtol=1e-6)


def test_friedel_mates_have_their_own_amplitudes_where_there_are_any(write, merged):
    hkl, f = merged
    asu = make_asu(anomalous=True)
    centric = np.asarray(asu.spacegroup.operations().centric_flag_array(hkl), bool)
    plus, minus = 1.1 * f, np.where(centric | (np.arange(len(hkl)) % 3 == 0), np.nan, 0.9 * f)
    columns = {"F": ("F", f), "SIGF": ("Q", f), "F(+)": ("G", plus), "F(-)": ("G", minus)}
    found = reference_amplitudes(asu, write(hkl, columns))
    np.testing.assert_allclose(found[asu.refl_id(hkl)], plus, rtol=1e-6)
    expected = np.where(centric, plus, np.where(np.isnan(minus), f, minus))
    np.testing.assert_allclose(found[asu.refl_id(-hkl)], expected, rtol=1e-6)
    # Without them, both have the mean.
    found = reference_amplitudes(asu, write(hkl, {"F": ("F", f), "SIGF": ("Q", f)}))
    for signed in (hkl, -hkl):
        np.testing.assert_allclose(found[asu.refl_id(signed)], f, rtol=1e-6)


def test_mates_are_averaged_where_there_is_no_mean_and_they_are_one_reflection(write, merged):
    hkl, f = merged
    minus = np.where(np.arange(len(hkl)) % 3, 0.8 * f, np.nan)
    columns = {"F(+)": ("G", 1.2 * f), "SIGF(+)": ("L", f), "F(-)": ("G", minus), "SIGF(-)": ("L", f)}
    expected = np.where(np.isnan(minus), 1.2 * f, f)
    for column in (None, "F(+)"):
        found = reference_amplitudes(make_asu(), write(hkl, columns), column)
        np.testing.assert_allclose(found, of_index(make_asu(), hkl, expected), rtol=1e-6)


def test_screw_axes_make_no_difference_to_a_merged_file(write, merged):
    hkl, f = merged
    found = reference_amplitudes(make_asu(), write(hkl, {"F": ("F", f)}, spacegroup="P 41 21 2"))
    np.testing.assert_allclose(found, of_index(make_asu(), hkl, f), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize("anomalous", [False, True])
def test_amplitudes_of_a_model_are_those_of_its_atoms(structure, tmp_path, suffix, anomalous):
    path = tmp_path / f"model{suffix}"
    structure.write_pdb(str(path)) if suffix == ".pdb" else structure.make_mmcif_document().write_file(str(path))
    asu = make_asu(anomalous)
    found = reference_amplitudes(asu, path)
    # By summation over the atoms and their symmetry mates.
    structure = gemmi.read_structure(str(path))
    structure.setup_cell_images()
    direct = gemmi.StructureFactorCalculatorX(structure.cell)
    some = np.arange(0, len(asu), 7)
    expected = [abs(direct.calculate_sf_from_model(structure[0], h)) for h in asu.miller_index[some].tolist()]
    np.testing.assert_allclose(found[some], expected, rtol=2e-3, atol=2e-3 * np.mean(expected))


def test_a_model_in_a_slightly_different_cell_keeps_its_fractions(structure, tmp_path):
    path = tmp_path / "model.pdb"
    structure.write_pdb(str(path))
    exact = reference_amplitudes(make_asu(), path)
    asu = make_asu(cell=(20.1, 20.1, 29.9, 90, 90, 90))
    shared = np.array([np.flatnonzero((make_asu().miller_index == h).all(axis=1)).sum() for h in asu.miller_index])
    known = (make_asu().miller_index[shared] == asu.miller_index).all(axis=1)
    found = reference_amplitudes(asu, path)
    np.testing.assert_allclose(found[known], exact[shared[known]], rtol=1e-2, atol=1e-2)


def test_copies_by_strict_symmetry_scatter_too(structure, tmp_path):
    paths = [tmp_path / name for name in ("operation.pdb", "atoms.pdb")]
    shift = gemmi.NcsOp(
        gemmi.Transform(gemmi.Mat33([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), gemmi.Vec3(3, 4, 5)), "1", False
    )
    structure.ncs.append(shift)
    structure.write_pdb(str(paths[0]))
    structure.expand_ncs(gemmi.HowToNameCopiedChain.Short)
    structure.write_pdb(str(paths[1]))
    operation, atoms = (reference_amplitudes(make_asu(), path) for path in paths)
    assert len(gemmi.read_structure(str(paths[0]))[0]) < len(gemmi.read_structure(str(paths[1]))[0])
    np.testing.assert_allclose(operation, atoms, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("columns", "column", "error", "message"),
    [
        ({"I": "J", "SIGI": "Q"}, None, MissingColumnError, "no column of amplitudes .* among H, K, L, I, SIGI; name"),
        ({"I": "J"}, "I", MissingColumnError, "the column I has the MTZ type J, which is not of amplitudes"),
        ({"F": "F"}, "FP", MissingColumnError, "there is no column 'FP' .* did you mean F, for column=?"),
        ({"FC": "F", "FWT": "F"}, None, AmbiguousColumnError, r"\(FC, FWT\); choose with column='FC'"),
        ({"F": "F", "BATCH": "B"}, None, ReflectionDataError, "its reflections are unmerged; merge them first"),
    ],
)
def test_a_file_without_one_column_of_amplitudes_is_refused(write, merged, columns, column, error, message):
    hkl, f = merged
    path = write(hkl, {label: (kind, f) for label, kind in columns.items()})
    with pytest.raises(error, match=f"merged.mtz: .*{message}"):
        reference_amplitudes(make_asu(), path, column)


def test_unmerged_files_are_refused_by_their_repeated_indices(write, merged):
    hkl, f = merged
    path = write(np.concatenate([hkl, hkl[:3]]), {"F": ("F", np.concatenate([f, f[:3]]))})
    with pytest.raises(ReflectionDataError, match="unmerged; merge them first, and give the merged file"):
        reference_amplitudes(make_asu(), path)


def test_other_crystals_are_refused(write, merged, structure, tmp_path):
    hkl, f = merged
    with pytest.raises(SymmetryError, match="its cell 21 21 30 90 90 90 differs by more than 3 %"):
        reference_amplitudes(make_asu(), write(hkl, {"F": ("F", f)}, cell=(21, 21, 30, 90, 90, 90)))
    with pytest.raises(SymmetryError, match="its space group is P 43, but that of the reflections is P 43 21 2; give"):
        reference_amplitudes(make_asu(), write(hkl, {"F": ("F", f)}, spacegroup="P 43"))
    structure.spacegroup_hm = "P 41 21 2"
    structure.write_pdb(str(tmp_path / "model.pdb"))
    with pytest.raises(SymmetryError, match="its space group is P 41 21 2, but that of the reflections is P 43 21 2"):
        reference_amplitudes(make_asu(), tmp_path / "model.pdb")
    far = hkl[-3:] + np.array([30, 0, 0])
    with pytest.raises(ReflectionDataError, match=r"it has none of the .* reflections"):
        reference_amplitudes(make_asu(), write(far, {"F": ("F", f[:3])}))


def test_files_that_are_no_reference_are_refused(tmp_path, structure):
    asu = make_asu()
    with pytest.raises(UnreadableFileError, match="no such file; check the path"):
        reference_amplitudes(asu, tmp_path / "absent.mtz")
    (tmp_path / "data.csv").write_text("1,2,3\n")
    with pytest.raises(UnreadableFileError, match="neither an MTZ file nor a model"):
        reference_amplitudes(asu, tmp_path / "data.csv")
    (tmp_path / "empty.pdb").write_text("REMARK nothing\n")
    with pytest.raises(UnreadableFileError, match="there are no atoms in it"):
        reference_amplitudes(asu, tmp_path / "empty.pdb")
    (tmp_path / "bad.cif").write_text("not a cif\n")
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        reference_amplitudes(asu, tmp_path / "bad.cif")
    structure.write_pdb(str(tmp_path / "model.pdb"))
    with pytest.raises(MissingColumnError, match="a model has no columns; leave out column='F'"):
        reference_amplitudes(asu, tmp_path / "model.pdb", "F")


def test_a_real_model_agrees_with_the_amplitudes_of_its_crystal(real_data):
    from vimerge.reflections import Reflections

    reflections = Reflections.read(real_data / "pyp" / "off.mtz", dmin=2.5)
    f = reference_amplitudes(reflections.asu, real_data / "pyp" / "off.pdb")
    assert np.all(f > 0)
    # Uncorrected for their scale, single intensities are still those of this crystal.
    assert np.corrcoef(f[reflections.refl_id] ** 2, reflections.iobs)[0, 1] > 0.5


def test_amplitudes_of_a_conventional_merge_are_found(real_data):
    path = real_data / "french_wilson" / "phenix_fw_ref.mtz"
    mtz = gemmi.read_mtz_file(str(path))
    hkl = mtz.make_miller_array()
    asu = ReciprocalASU.from_observed(hkl, mtz.cell, mtz.spacegroup)
    expected = of_index(asu, hkl, mtz.column_with_label("F").array)
    np.testing.assert_array_equal(reference_amplitudes(asu, path), expected)
