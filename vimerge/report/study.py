"""What all sections of a report draw on, worked out once."""

from functools import cached_property

from vimerge.report.images import by_image
from vimerge.report.pairs import pairs_of
from vimerge.report.residuals import corrected_sigma, normalised_residuals, rejected
from vimerge.statistics import common_shells, merging_table

__all__ = ["Study"]


class Study:
    """Folders side by side.

    Parameters
    ----------
    results : list of Results
    shells : int
        Number of resolution shells.
    """

    def __init__(self, results, shells=10):
        self.results = results
        merged = [r.tables for r in self.merged]
        self.shells = common_shells(merged, shells) if merged else None

    @property
    def names(self):
        """What the folders are called."""
        return [r.name for r in self.results]

    def number(self, name):
        """The number of a folder's series, which fixes its colour."""
        return self.names.index(name)

    @cached_property
    def predicted(self):
        """The folders that have predictions, a list of Results."""
        return [r for r in self.results if r.predictions is not None]

    @cached_property
    def merged(self):
        """The folders that have merged reflections, a list of Results."""
        return [r for r in self.results if r.merged is not None]

    @cached_property
    def by_shell(self):
        """Tables by resolution shell of the folders with merged reflections, a dict by name."""
        return {r.name: merging_table(r.tables, self.shells) for r in self.merged}

    @cached_property
    def sigma(self):
        """Standard deviations of observations and whose they are, a dict by name of (array [M], str)."""
        return {r.name: corrected_sigma(r.predictions, r.learned) for r in self.predicted}

    @cached_property
    def residuals(self):
        """Normalised residuals, a dict by name of array [M]."""
        return {r.name: normalised_residuals(r.predictions, self.sigma[r.name][0]) for r in self.predicted}

    @cached_property
    def by_image(self):
        """Tables by image of what was not rejected, a dict by name."""
        used = {r.name: ~rejected(r.predictions) for r in self.predicted}
        return {
            r.name: by_image(r.predictions[used[r.name]], self.residuals[r.name][used[r.name]]) for r in self.predicted
        }

    @cached_property
    def pairs(self):
        """Folders against each other, a list of Pair."""
        return pairs_of(self.merged, self.shells) if self.shells is not None else []
