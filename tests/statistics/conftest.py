import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

CELL, SPACE_GROUP = gemmi.UnitCell(40, 50, 60, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
TYPES = {"F": "F", "I": "J", "N": "I", "half": "I", "repeat": "I", "test": "I", "image_id": "I"}


@pytest.fixture(scope="session")
def make():
    """Make an rs.DataSet: make(hkl, merged=True, cell=…, space_group=…, **columns); Friedel mates as I_plus …"""

    def make(hkl, merged=True, cell=CELL, space_group=SPACE_GROUP, **columns):
        columns = {k.replace("_plus", "(+)").replace("_minus", "(-)"): v for k, v in columns.items()}
        data = {
            name: rs.DataSeries(np.asarray(v, np.float32), dtype=TYPES.get(name, "Q" if "SIG" in name else "R"))
            for name, v in columns.items()
        }
        data |= {name: rs.DataSeries(np.asarray(hkl)[:, i], dtype="H") for i, name in enumerate("HKL")}
        return rs.DataSet(data, cell=cell, spacegroup=space_group, merged=merged).set_index(["H", "K", "L"])

    return make


@pytest.fixture(scope="session")
def crystal():
    """All reflections to 2.01 Å: hkl, 1/d², ε, centric, and acentric or centric random intensities of mean 1."""
    hkl = gemmi.make_miller_array(CELL, SPACE_GROUP, 2.01)
    operations, rng = SPACE_GROUP.operations(), np.random.default_rng(1)
    centric = np.asarray(operations.centric_flag_array(hkl), bool)
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), float)
    relative = np.where(centric, rng.normal(size=len(hkl)) ** 2, rng.exponential(size=len(hkl)))
    return hkl, CELL.calculate_1_d2_array(hkl), epsilon, centric, relative
