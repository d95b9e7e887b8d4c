"""Import TensorFlow as the command line wants it: silent, and with the threads that small operations want."""

import os
import sys
from contextlib import contextmanager


@contextmanager
def silent_stderr():
    """Drop what is written to the process's standard error by other means than Python's `sys.stderr`."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextmanager
def without(*names):
    """Let modules that have not been imported appear not to be installed."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def import_tensorflow():
    """Import TensorFlow and say nothing unless it fails; exceptions pass.

    A training step is some three hundred small operations, one after the other. Threads that wait to run two of them at
    once cost twice the processor time and save none, so there is one, unless TF_NUM_INTEROP_THREADS says otherwise;
    within a large operation there are as many as there are cores.

    Keras imports what it would plot images with, half a second and 30 MB, unless it is not there.
    """
    # Before the import: TensorFlow reports a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    with silent_stderr(), without("matplotlib", "IPython"):
        import tensorflow

        # The first question about devices prints too.
        tensorflow.config.list_physical_devices()
