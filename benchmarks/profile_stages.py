"""`vimerge` with a clock at each of its stages.

    python -m benchmarks.profile_stages OUT.json merge …

The stages are functions of vimerge that are called in turn; the command line is the plain one.
"""

import json
import sys
import time

from benchmarks.clock import Clock

START, IMPORT = "Python and the command line", "import TensorFlow"
OTHERS, OWN = "import Keras, TFP, reciprocalspaceship", "import vimerge"
FIRST, STEPS, FIT = "first steps, traced", "steps", "between steps: batches, callbacks"


def main(arguments=None):
    """Run a command line and write [CPU, wall] seconds by stage."""
    clock = Clock()
    # What Python took to get here is in the CPU time of the process, but on no clock of its own.
    clock.spent[START] = [time.process_time(), time.process_time()]
    output, *arguments = sys.argv[1:] if arguments is None else arguments
    with clock.stage(START):
        from vimerge.cli import main as command_line
        from vimerge.cli.quiet import import_tensorflow
    with clock.stage(IMPORT):
        import_tensorflow()
    with clock.stage(OTHERS):
        import keras  # noqa: F401
        import reciprocalspaceship  # noqa: F401
        import tensorflow_probability  # noqa: F401
    with clock.stage(OWN):
        import vimerge.merging.job
    with clock.stage("report"):
        import vimerge.report.html  # noqa: F401
    _wrap(clock)
    with clock.stage("all else"):
        status = command_line(arguments)
    # In the order in which they end.
    for name in ("report", "all else"):
        clock.spent[name] = clock.spent.pop(name)
    with open(output, "w") as stream:
        json.dump(clock.spent, stream, indent=1)
    return status


def _wrap(clock):
    from keras.callbacks import Callback

    from vimerge.merging import crossvalidation, job, model, recipe, results
    from vimerge.reflections import Reflections
    from vimerge.report import html

    class Steps(Callback):
        """Opens a stage at each step."""

        first = True

        def on_train_batch_begin(self, batch, logs=None):
            clock.begin(FIRST if Steps.first else STEPS)
            Steps.first = False

        def on_train_batch_end(self, batch, logs=None):
            clock.end()

    train = recipe.train
    recipe.train = lambda *args, callbacks=(), **kwargs: train(*args, callbacks=[*callbacks, Steps()], **kwargs)
    merging = model.VariationalMergingModel
    for owner, attribute, name, whole in (
        (Reflections, "read", "reading and indexing", True),
        (recipe, "make_model", "making and starting the model", True),
        (recipe, "train", "making batches, compiling", False),
        (merging, "fit", FIT, False),
        (merging, "condition", "conditioning q(F)", True),
        (merging, "evaluate", "held-out terms", True),
        (results, "predict", "predictions", True),
        (results, "predictions_by_dataset", "predictions", True),
        (results, "merged_by_dataset", "merged table", True),
        (crossvalidation, "half_datasets", "half data sets", True),
        (job.MergeResult, "write", "writing", True),
        (html, "write_report", "report", True),
    ):
        clock.wrap(owner, attribute, name, whole)


if __name__ == "__main__":
    sys.exit(main())
