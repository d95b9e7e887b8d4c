"""Read and train on one file, and write what each part of it took; started by `python -m benchmarks scale`.

python -m benchmarks.scale_one FILE.mtz OUT.json [--epochs N] [--objective NAME]
"""

import argparse
import json
import statistics
import time
from pathlib import Path


def main(arguments=None):
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--objective")
    options = parser.parse_args(arguments)

    import reciprocalspaceship as rs

    from benchmarks.metrics import against_truth
    from vimerge import Reflections, crossvalidation
    from vimerge.cli.quiet import import_tensorflow

    started = time.perf_counter()
    reflections = Reflections.read(options.file, anomalous=True)
    reading = time.perf_counter() - started
    import_tensorflow()
    train, _ = crossvalidation.train_test_split(reflections, 0.05, seed=0)
    observations = len(reflections)
    del reflections
    model, facts = trained(train, options.epochs, options.objective)
    truth = rs.read_mtz(str(options.file.with_name(f"{options.file.stem}_truth.mtz")))
    facts |= {
        "observations": observations,
        "training_observations": len(train),
        "reflections": int((train.multiplicity > 0).sum()),
        "reading_seconds": reading,
        "cc_truth": against_truth(model.merge(train), truth)["cc_truth"],
    }
    options.output.write_text(json.dumps(facts, indent=1) + "\n")


def trained(reflections, epochs, objective):
    """A trained model with the recipe's defaults, and what it took.

    Returns
    -------
    model : VariationalMergingModel
    dict
        start_cpu_seconds; epoch_cpu_seconds, the median of all epochs but the first, which traces; and those of all
        conditioning and of the whole training.
    """
    from keras.callbacks import Callback

    from benchmarks.clock import Clock
    from vimerge.merging import VariationalMergingModel, recipe, set_seed

    class Epochs(Callback):
        """CPU seconds at the beginning and the end of each epoch, conditioning apart."""

        def __init__(self):
            super().__init__()
            self.seconds, self.steps = [], 0

        def on_epoch_begin(self, epoch, logs=None):
            self._began = time.process_time(), conditioning()

        def on_epoch_end(self, epoch, logs=None):
            cpu, other = self._began
            self.seconds.append(time.process_time() - cpu - (conditioning() - other))
            self.steps = int(self.model.optimizer.iterations)

    def conditioning():
        return clock.spent.get("conditioning", [0.0])[0]

    clock = Clock()
    set_seed(0)
    started = time.process_time()
    model = recipe.make_model(reflections, seed=0)
    start = time.process_time() - started
    clock.wrap(VariationalMergingModel, "condition", "conditioning")
    each = Epochs()
    started = time.process_time()
    recipe.train(model, reflections, epochs=epochs, objective=objective, callbacks=[each])
    training = time.process_time() - started
    return model, {
        "start_cpu_seconds": start,
        "epoch_cpu_seconds": statistics.median(each.seconds[1:] or each.seconds),
        "first_epoch_cpu_seconds": each.seconds[0],
        "conditioning_cpu_seconds": conditioning(),
        "training_cpu_seconds": training,
        "epochs": len(each.seconds),
        "steps": each.steps,
    }


if __name__ == "__main__":
    main()
