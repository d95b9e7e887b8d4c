from pathlib import Path

import gemmi
import numpy as np
import pytest

from vimerge.reflections import Reflections

CELL = (50.0, 50.0, 80.0, 90.0, 90.0, 90.0)
OTHER = (50.5, 50.5, 81.0, 90.0, 90.0, 90.0)
SPACEGROUP = "P 43 21 2"


@pytest.fixture(scope="session")
def real_data():
    """Folder of real data beside the repository."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data are not there")
    return folder


@pytest.fixture
def observed():
    """Arrays of a small experiment in P 43 21 2: no absences, all of space, two intensity scales over 6 images."""
    rng = np.random.default_rng(7)
    spacegroup = gemmi.SpaceGroup(SPACEGROUP)
    hkl = rng.integers(-9, 10, (600, 3)).astype(np.int32)
    hkl = hkl[~spacegroup.operations().systematic_absences(hkl) & hkl.any(axis=1)]
    hkl = np.concatenate([hkl, -hkl[:20]])
    count = len(hkl)
    return {
        "hkl": hkl,
        "I": rng.gamma(1.0, 100.0, count),
        "SIGI": rng.uniform(1, 5, count),
        "BATCH": np.sort(rng.integers(11, 17, count)),
        "XDET": rng.uniform(0, 2000, count),
        "ROT": rng.uniform(0, 90, count),
    }


@pytest.fixture
def write_mtz(tmp_path):
    """Write an unmerged MTZ file as data reduction programs do: indices in the asymmetric unit, with M/ISYM."""
    types = {"I": "J", "SIGI": "Q", "IPR": "J", "SIGIPR": "Q", "BATCH": "B", "M/ISYM": "Y", "FLAG": "I"}

    def write(columns, name="unmerged.mtz", cell=CELL, spacegroup=SPACEGROUP, isym=True, **changed_types):
        spacegroup = gemmi.SpaceGroup(spacegroup)
        hkl = columns["hkl"]
        others = {k: np.asarray(v) for k, v in columns.items() if k != "hkl"}
        if isym:
            asu, operations = gemmi.ReciprocalAsu(spacegroup), spacegroup.operations()
            mapped = [asu.to_asu(h, operations) for h in hkl.tolist()]
            hkl = np.array([h for h, _ in mapped])
            # Every third is a partial.
            flags = np.where(np.arange(len(hkl)) % 3 == 0, 256, 0)
            others = {"M/ISYM": np.array([i for _, i in mapped]) + flags, **others}
        mtz = gemmi.Mtz(with_base=True)
        mtz.spacegroup = spacegroup
        mtz.set_cell_for_all(gemmi.UnitCell(*cell))
        mtz.add_dataset("data")
        for key in others:
            mtz.add_column(key, changed_types.get(key, types.get(key, "R")))
        mtz.set_data(np.column_stack([hkl, *others.values()]).astype(np.float32))
        path = tmp_path / name
        mtz.write_to_file(str(path))
        return path

    return write


@pytest.fixture
def without_headers():
    """Rewrite an MTZ file without the header records that begin with the given words."""

    def rewrite(path, *words):
        data = path.read_bytes()
        start = 4 * (int.from_bytes(data[4:8], "little") - 1)
        records = [data[i : i + 80] for i in range(start, len(data), 80)]
        kept = [record for record in records if not record.startswith(tuple(word.encode() for word in words))]
        path.write_bytes(data[:start] + b"".join(kept))
        return path

    return rewrite


def table_of(observed, rows=slice(None), cell=CELL, spacegroup=SPACEGROUP, laue=False, anomalous=True, **extra):
    """Some rows of an experiment as a table of two files, with Friedel mates apart unless told otherwise."""
    part = {name: values[rows] for name, values in observed.items()}
    count = len(part["hkl"])
    wavelength = np.random.default_rng(count).uniform(0.8, 1.7, count)
    return Reflections.from_arrays(
        *(part[name] for name in ("hkl", "I", "SIGI", "BATCH")),
        cell=cell,
        spacegroup=spacegroup,
        anomalous=anomalous,
        metadata={"ROT": part["ROT"], "LAMBDA": wavelength, **extra},
        wavelength_key="LAMBDA" if laue else None,
        file_id=np.arange(count) % 2,
        files=[f"{count}_a.mtz", f"{count}_b.mtz"],
    )


@pytest.fixture
def parts(observed):
    """Two data sets of one experiment that have some observations in common."""
    return [table_of(observed, slice(None, None, 2)), table_of(observed, slice(100, 420), cell=OTHER)]


@pytest.fixture
def joined(parts):
    """Both in one table."""
    return Reflections.concatenate(parts, ["off", "on"])
