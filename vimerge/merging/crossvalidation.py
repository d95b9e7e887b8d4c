"""Held-out observations and half data sets."""

import reciprocalspaceship as rs

from vimerge.merging.results import merged_by_dataset
from vimerge.reflections.splits import half_datasets as half_masks
from vimerge.reflections.splits import holdout


def train_test_split(reflections, fraction, seed=0):
    """Hold out a random fraction of the observations.

    Parameters
    ----------
    reflections : Reflections
    fraction : float
        Between 0 and 1, 1 excluded.
    seed : int
        Fixes the choice.

    Returns
    -------
    train, test : Reflections
        Of the same ASU.
    """
    test = holdout(reflections, fraction, seed)
    return reflections[~test], reflections[test]


def half_datasets(model, reflections, repeats=1, seed=0):
    """Merge random halves of the data with the trained scaling frozen.

    The images are divided at random. With the scales known, each reflection's posterior is integrated exactly and the
    surrogate takes its mean and sd, starting from nothing that the other half has seen. The model is left as it was.

    Parameters
    ----------
    model : VariationalMergingModel
        A trained model.
    reflections : Reflections
        What it was trained on.
    repeats : int
        How many random divisions.
    seed : int
        Fixes the divisions.

    Returns
    -------
    rs.DataSet
        The columns of `model.merge`, with `half` (0, 1) and `repeat` (0, 1 …). Of several data sets a dict of them, by
        name.
    """
    trained = model.surrogate.get_weights()
    tables = {name: [] for name in reflections.dataset_names}
    try:
        for repeat, *halves in half_masks(reflections, seed, repeats):
            for half, mask in enumerate(halves):
                part = reflections[mask]
                model.condition(part)
                for name, table in merged_by_dataset(model.asu, model.surrogate.moments(), part.multiplicity).items():
                    table["half"] = rs.DataSeries([half] * len(table), index=table.index, dtype="I")
                    table["repeat"] = rs.DataSeries([repeat] * len(table), index=table.index, dtype="I")
                    tables[name].append(table)
    finally:
        model.surrogate.set_weights(trained)
    tables = {name: rs.concat(parts) for name, parts in tables.items()}
    return tables if len(tables) > 1 or "" not in tables else tables[""]
