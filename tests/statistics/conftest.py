import gemmi
import numpy as np
import pytest
import reciprocalspaceship as rs

from vimerge.reflections.tables import make_table
from vimerge.simulation import Crystal, related_crystal
from vimerge.statistics.atomic_models import read_model
from vimerge.statistics.difference_coefficients import difference_coefficients
from vimerge.statistics.difference_maps import DifferenceMap
from vimerge.statistics.difference_tables import difference_table
from vimerge.statistics.phases import phases

CELL, SPACE_GROUP = gemmi.UnitCell(40, 50, 60, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
TYPES = {"F": "F", "I": "J", "N": "I", "half": "I", "repeat": "I", "test": "I", "image_id": "I"}
DMIN = 1.9  # of the crystals whose difference is known


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


@pytest.fixture(scope="session")
def ground():
    """A crystal with three anomalous scatterers."""
    return Crystal.random(space_group="P 31 2 1", cell=(30.0, 30.0, 38.0, 90.0, 90.0, 120.0), n_anomalous=3, seed=4)


@pytest.fixture(scope="session")
def excited(ground):
    """The same where ten of its atoms have moved in two fifths of the cells."""
    return related_crystal(ground, atoms=10, shift=1.5, fraction=0.4, seed=1)


def merged(crystal, noise=0.0, seed=0):
    """Amplitudes with a σ, and that noise if it is not zero."""
    truth = crystal.structure_factors(DMIN)
    rng = np.random.default_rng(seed)
    f = truth["F"].to_numpy(float)
    sigma = (noise or 0.01) * f.mean() / np.sqrt(rng.integers(1, 9, len(f)) / 4)
    measured = np.abs(f + (noise > 0) * sigma * rng.normal(size=len(f)))
    hkl = truth.reset_index()[["H", "K", "L"]].to_numpy()
    return make_table(hkl, {"F": measured, "SIGF": sigma}, {"F": "F", "SIGF": "Q"}, truth.cell, truth.spacegroup)


@pytest.fixture(scope="session")
def model(ground):
    """The atoms of the first, as `read_model` reads them."""
    first = merged(ground)
    return read_model(ground.structure, first.cell, first.spacegroup)


@pytest.fixture(scope="session")
def differences(ground, excited):
    """What differs between the two, without noise."""
    return difference_table(merged(ground), merged(excited))


@pytest.fixture(scope="session")
def phased(differences, model):
    """The first's phases for them."""
    return phases(differences, model)


@pytest.fixture(scope="session")
def true_map(differences, phased):
    """The map of all the difference, unweighted."""
    return DifferenceMap.from_coefficients(difference_coefficients(differences, phased, weights="none", reject=None))


def moved(excited):
    """The atoms that moved: where they were, with what is left of them, and where they went."""
    pairs = [tuple(residue) for chain in excited.structure[0] for residue in chain if len(residue) == 2]
    return [one for one, _ in pairs], [other for _, other in pairs]
