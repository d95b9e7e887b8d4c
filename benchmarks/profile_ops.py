"""What a training step spends its time in, by TensorFlow's profiler.

    python -m benchmarks.profile_ops FILE.mtz OUT.json [--anomalous] [--intensity-key COLUMN] …

The profiler's trace is read without further packages: the events of each thread that are kernels, each less the
kernels that run within it on the same thread.
"""

import argparse
import json
import re
import tempfile
from collections import defaultdict
from pathlib import Path

OP = re.compile(r"^(?P<name>[^:]+):(?P<type>[A-Z_]\w*)$")


def main(arguments=None):
    """Train, trace an epoch and write the seconds by type of operation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("output", type=Path)
    parser.add_argument("--anomalous", action="store_true")
    parser.add_argument("--intensity-key")
    parser.add_argument("--uncertainty-key")
    parser.add_argument("--objective")
    parser.add_argument("--epochs", type=int, default=4, help="of which the middle one is traced")
    options = parser.parse_args(arguments)

    from vimerge.cli.quiet import import_tensorflow

    import_tensorflow()

    from vimerge import Reflections
    from vimerge.merging import recipe, set_seed

    reading = {name: getattr(options, name) for name in ("anomalous", "intensity_key", "uncertainty_key")}
    reflections = Reflections.read(options.file, **reading)
    set_seed(0)
    model = recipe.make_model(reflections, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        tracer = _tracer(folder, options.epochs // 2)
        recipe.train(model, reflections, epochs=options.epochs, objective=options.objective, callbacks=[tracer])
        found = by_operation(next(Path(folder).rglob("*.xplane.pb")))
    result = {"steps": tracer.steps, "seconds": tracer.seconds, "operations": found}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def _tracer(folder, which):
    """A callback that traces one epoch; it knows the CPU seconds of its steps and their number."""
    import time

    import tensorflow as tf
    from keras.callbacks import Callback

    class Tracer(Callback):
        steps, seconds, tracing = 0, 0.0, False

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == which:
                tf.profiler.experimental.start(folder)
                self.tracing = True
                self.steps = -int(self.model.optimizer.iterations)

        def on_train_batch_begin(self, batch, logs=None):
            self._began = time.process_time()

        def on_train_batch_end(self, batch, logs=None):
            if self.tracing:
                self.seconds += time.process_time() - self._began

        def on_epoch_end(self, epoch, logs=None):
            if self.tracing:
                tf.profiler.experimental.stop()
                self.tracing = False
                # Keras may take several steps for one.
                self.steps += int(self.model.optimizer.iterations)

    return Tracer()


def by_operation(path):
    """Seconds and counts by type of operation, from a trace of TensorFlow's profiler.

    Parameters
    ----------
    path : path
        The .xplane.pb file.

    Returns
    -------
    dict of dict
        By type: `seconds` less those of operations within it, and `count`.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(Path(path).read_bytes())
    found = defaultdict(lambda: {"seconds": 0.0, "count": 0})
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {key: OP.match(value.name) for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            events = [
                (e.offset_ps, e.duration_ps, names[e.metadata_id].group("type"))
                for e in line.events
                if names[e.metadata_id]
            ]
            for kind, picoseconds in own_times(events):
                found[kind]["seconds"] += picoseconds * 1e-12
                found[kind]["count"] += 1
    return dict(sorted(found.items(), key=lambda item: -item[1]["seconds"]))


def own_times(events):
    """The duration of each event of a thread less those of the events within it.

    Parameters
    ----------
    events : sequence of (start, duration, kind)

    Returns
    -------
    list of (kind, duration)
    """
    own, stack = [], []
    for start, duration, kind in sorted(events, key=lambda event: (event[0], -event[1])):
        while stack and stack[-1][0] <= start:
            stack.pop()
        own.append([kind, duration])
        if stack:
            own[stack[-1][1]][1] -= duration
        stack.append((start + duration, len(own) - 1))
    return [(kind, duration) for kind, duration in own]


if __name__ == "__main__":
    main()
