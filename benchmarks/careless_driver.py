"""careless with a given test set and a clock around its training; runs in careless's own environment.

    python careless_driver.py HELD_OUT.npz TIMES.json mono …

careless draws its test set anew in each run and takes no list. Here `DataManager.split_data_by_refl` takes that list
in place of its random numbers, so that all contestants are judged by the same observations; the rest is careless
as it is, with the command line that follows.
"""

import sys

if __name__ == "__main__":
    # The folder of this script comes first, and some of its modules are called as other packages' are.
    sys.path.pop(0)

import json
import time
from functools import wraps

import numpy as np


def keys(iobs, sigiobs):
    """A number for each observation, by the bits of its intensity and its sigma."""
    bits = [np.ascontiguousarray(a, np.float32).ravel().view(np.uint32).astype(np.uint64) for a in (iobs, sigiobs)]
    return bits[0] << np.uint64(32) | bits[1]


def chosen(all_keys, held):
    """A mask of which observations are held out; of those that are equal, the first ones, as many as are listed."""
    order = np.argsort(all_keys, kind="stable")
    ordered = all_keys[order]
    nth = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    listed, number = np.unique(held, return_counts=True)
    place = np.minimum(np.searchsorted(listed, ordered), len(listed) - 1)
    mask = np.zeros(len(all_keys), bool)
    mask[order] = (listed[place] == ordered) & (nth < number[place])
    return mask


def given_split(path, times):
    """A method in place of `DataManager.split_data_by_refl`."""
    with np.load(path) as held:
        held = keys(held["iobs"], held["sigiobs"])

    def split_data_by_refl(self, test_fraction=None):
        from careless.models.base import BaseModel

        iobs, sigma = BaseModel.get_intensities(self.inputs), BaseModel.get_uncertainties(self.inputs)
        laue = BaseModel.is_laue(self.inputs)
        if laue:
            harmonic_id = BaseModel.get_harmonic_id(self.inputs)
            # Intensities are padded to the number of predictions.
            iobs, sigma = (a[: harmonic_id.max() + 1] for a in (iobs, sigma))
        test = chosen(keys(iobs, sigma), held)
        times["observations"], times["held_out"] = len(test), int(test.sum())
        return self.split_laue_data_by_mask(test[harmonic_id]) if laue else self.split_mono_data_by_mask(test)

    return split_data_by_refl


def clocked(method, times):
    """A method in place of `VariationalMergingModel.train_model`, with the seconds of each call."""

    @wraps(method)
    def train_model(self, data, steps, *args, **kwargs):
        cpu, wall = time.process_time(), time.perf_counter()
        history = method(self, data, steps, *args, **kwargs)
        times["training"].append(
            {
                "what": kwargs.get("message"),
                "steps": len(next(iter(history.values()))),
                "cpu_seconds": time.process_time() - cpu,
                "wall_seconds": time.perf_counter() - wall,
            }
        )
        return history

    return train_model


def main():
    held_out, output, *arguments = sys.argv[1:]
    sys.argv = ["careless", *arguments]
    from careless.parser import parser

    parsed = parser.parse_args()
    # Only now: the parser has to set TensorFlow up before it is imported.
    from careless.careless import run_careless
    from careless.io.manager import DataManager
    from careless.models.merging.variational import VariationalMergingModel

    times = {"training": []}
    DataManager.split_data_by_refl = given_split(held_out, times)
    VariationalMergingModel.train_model = clocked(VariationalMergingModel.train_model, times)
    run_careless(parsed)
    with open(output, "w") as stream:
        json.dump(times, stream, indent=1)


if __name__ == "__main__":
    main()
