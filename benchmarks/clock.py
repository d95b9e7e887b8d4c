"""Where a process's time goes: stages that may be within each other."""

import inspect
import time
from contextlib import contextmanager
from functools import wraps


class Clock:
    """CPU and wall seconds of named stages; what a stage within another takes is not the outer's.

    Attributes
    ----------
    spent : dict of list
        [CPU, wall] by name, in the order of their first beginning.
    """

    def __init__(self):
        self.spent = {}
        self._open = []

    @contextmanager
    def stage(self, name, whole=False):
        """Count the time within this context.

        Parameters
        ----------
        name : str
        whole : bool
            Whether stages within this one are a part of it.
        """
        self.begin(name, whole)
        try:
            yield
        finally:
            self.end()

    def begin(self, name, whole=False):
        """Open a stage."""
        hidden = bool(self._open) and self._open[-1]["whole"]
        if not hidden:
            self.spent.setdefault(name, [0.0, 0.0])
        self._open.append({"name": name, "whole": whole or hidden, "hidden": hidden, "at": _now(), "inner": [0.0, 0.0]})

    def end(self):
        """Close the stage that was opened last."""
        ended = self._open.pop()
        total = [after - before for after, before in zip(_now(), ended["at"], strict=True)]
        if ended["hidden"]:
            return
        for i in (0, 1):
            self.spent[ended["name"]][i] += total[i] - ended["inner"][i]
            if self._open:
                self._open[-1]["inner"][i] += total[i]

    def wrap(self, owner, attribute, name, whole=False):
        """Count the time of a function of a module, or of a method of a class, as a stage."""
        function = getattr(owner, attribute)

        @wraps(function)
        def timed(*args, **kwargs):
            with self.stage(name, whole):
                return function(*args, **kwargs)

        bound = isinstance(inspect.getattr_static(owner, attribute), classmethod | staticmethod)
        setattr(owner, attribute, staticmethod(timed) if bound else timed)


def _now():
    return time.process_time(), time.perf_counter()
