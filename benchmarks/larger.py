"""Simulated experiments of any size: one crystal's reflections, spread over a lattice as fine as need be."""

import sys
from itertools import product
from pathlib import Path

import gemmi
import numpy as np

BASE = {"images": 720, "seed": 1}
COLUMNS = {"BATCH": "B", "I": "J", "SIGI": "Q", "XDET": "R", "YDET": "R", "ROT": "R", "LP": "R"}
MULTIPLICATIVE_ERROR = 0.03


def division(ratio):
    """Into how many parts to divide each axis of the cell, for about so many times the reflections.

    Parameters
    ----------
    ratio : float

    Returns
    -------
    tuple of int, [3]
        Whose product is as near as it can be without axes of very different lengths.
    """
    most = int(np.ceil(2 * np.cbrt(ratio)))
    triples = np.array([t for t in product(range(1, most + 1), repeat=3) if t == tuple(sorted(t))])
    off = np.abs(np.log(triples.prod(axis=1) / ratio)) + 0.02 * np.log(triples.max(axis=1) / triples.min(axis=1))
    return tuple(int(n) for n in triples[np.argmin(off)])


def spread(hkl, parts, tile):
    """Indices in the larger cell of one tile's reflections: each index times its parts, and the tile's offset.

    Parameters
    ----------
    hkl : array of int, [N, 3]
        In the asymmetric unit of P 2₁ 2₁ 2₁, where no index is negative.
    parts : tuple of int
        From `division`.
    tile : int
        0 … the product of parts − 1.

    Returns
    -------
    array of int, [N, 3]
        In the asymmetric unit too; different reflections for different tiles.
    """
    return hkl * np.array(parts) + np.array(np.unravel_index(tile, parts))


def write(path, size):
    """Write unmerged reflections as FILE.mtz and the true amplitudes as FILE_truth.mtz.

    Each tile has the same images, positions, scales and amplitudes, and errors of its own, as a crystal with a larger
    cell has more reflections on each image: multiplicity and images are those of every size, and the number of
    reflections grows with that of the observations.

    Parameters
    ----------
    path : path
    size : float
        About so many observations.

    Returns
    -------
    int
        The number of observations.
    """
    from vimerge.simulation import simulate
    from vimerge.simulation.indices import to_asu

    simulation = simulate(**BASE)
    base, true = simulation.observations, simulation.true_intensity
    parts = division(size / len(base))
    tiles = int(np.prod(parts))
    hkl = to_asu(base.get_hkls(), simulation.isym, base.spacegroup)
    columns = np.column_stack([simulation.isym, *(base[name].to_numpy(np.float32) for name in COLUMNS)])
    sigma = np.hypot(base["SIGI"].to_numpy(np.float64), MULTIPLICATIVE_ERROR * true)
    rng = np.random.default_rng(0)
    table = np.empty((tiles, len(base), 4 + len(COLUMNS)), np.float32)
    for tile in range(tiles):
        table[tile, :, :3] = spread(hkl, parts, tile)
        table[tile, :, 3:] = columns
        table[tile, :, 4 + list(COLUMNS).index("I")] = true + sigma * rng.standard_normal(len(base))
    cell = gemmi.UnitCell(*(n * x for n, x in zip(parts, base.cell.parameters[:3], strict=True)), 90, 90, 90)
    mtz = _mtz(cell, base.spacegroup, {"M/ISYM": "Y", **COLUMNS})
    mtz.set_data(table.reshape(-1, table.shape[-1]))
    mtz.write_to_file(str(path))
    _write_truth(Path(path), simulation.truth, parts, tiles, cell)
    return tiles * len(base)


def _write_truth(path, truth, parts, tiles, cell):
    names = {"F": "F", "F(+)": "G", "F(-)": "G"}
    mtz = _mtz(cell, truth.spacegroup, names)
    hkl, values = truth.get_hkls(), np.column_stack([truth[name].to_numpy(np.float32) for name in names])
    mtz.set_data(np.concatenate([np.column_stack([spread(hkl, parts, i), values]) for i in range(tiles)]))
    mtz.write_to_file(str(path.with_name(f"{path.stem}_truth.mtz")))


def _mtz(cell, spacegroup, columns):
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = spacegroup
    mtz.add_dataset("simulation")
    mtz.set_cell_for_all(cell)
    for name, kind in columns.items():
        mtz.add_column(name, kind)
    return mtz


if __name__ == "__main__":
    print(f"{write(sys.argv[1], float(sys.argv[2])):,} observations")
