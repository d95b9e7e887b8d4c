"""Checks of surrogate posteriors q(F)."""

from functools import cached_property

import numpy as np
import tensorflow as tf

from vimerge.surrogates import Surrogate
from vimerge.testing import density as densities
from vimerge.testing import layers
from vimerge.testing import surrogate_checks as checks
from vimerge.testing.running import run
from vimerge.testing.subject import SAMPLES_SEED, Subject

SEED = tf.constant(SAMPLES_SEED)


class SurrogateSubject(Subject):
    """A surrogate, with means over two orders of magnitude and mean/sd from 2 to 30."""

    base, takes = Surrogate, "an asu"
    over = None

    def make(self):
        """Make it for the kit's reflections."""
        return self.member(self.asu) if self.over is None else self.member(self.asu, over=self.over)

    @property
    def name(self):
        """The class and the variate."""
        return f"{super().name} over {self.layer.over}" if self.is_made else super().name

    @cached_property
    def wanted(self):
        """Mean and sd that it is set to, each [R]."""
        r = np.arange(len(self.asu))
        mean = 10.0 ** (r % 5 / 2)
        return mean, mean / 2.0 ** (1.0 + 4.0 * (r * 7 % 11) / 11)

    def start(self, layer):
        """Set its moments."""
        layer.assign_moments(*self.wanted)

    def disturb(self, layer):
        """Leave it: its moments are away from where it started."""

    @cached_property
    def density(self):
        """Some of its reflections as samples and densities."""
        return self.density_of(self.ids)

    def density_of(self, ids):
        """Reflections as samples and densities, in the layer's present state."""
        return densities.Density(
            lambda: self.layer.distribution(ids),
            lambda distribution, n, seed: self.layer.sample(distribution, n, seed),
            [f"refl_id {i}" for i in ids],
        )

    @cached_property
    def is_point(self):
        """Whether it is a point mass."""
        return densities.is_point(self.layer.distribution(self.ids))

    def objective(self, layer):
        """The density of some reflections, or the points."""
        distribution = layer.distribution(self.ids)
        if self.is_point:
            return {"mean": distribution.mean()}
        return {"log_prob": distribution.log_prob(self.density.points)}

    def beside(self, layer):
        """Their moments."""
        return {f"moments().{name}": value for name, value in layer.moments(self.ids)._asdict().items()}

    def draw(self, layer):
        """Samples of the same reflections."""
        return {"samples": layer(self.ids, mc_samples=2, seed=SEED)}

    def parts(self, layer):
        """It is the model's surrogate."""
        return {"surrogate": layer}


CHECKS = (
    layers.construction,
    layers.registration,
    checks.shapes_and_dtypes,
    layers.weights,
    checks.gathering,
    checks.support,
    checks.assigned_moments,
    checks.normalisation,
    checks.samples,
    checks.moments,
    checks.gradient_of_the_density,
    checks.gradient_of_the_samples,
    checks.divergence,
    checks.narrow_posteriors,
    checks.extreme_parameters,
    layers.minibatches,
    layers.configuration,
    layers.saving,
    layers.training,
    layers.compilation,
)


def check_surrogate(surrogate, *, reflections=None, skip=(), report=False):
    """Check a surrogate posterior against what its family has agreed on.

    Parameters
    ----------
    surrogate : Surrogate or callable
        A factory, called with an asu, such as the class; of a class every variate that it allows is checked. Or an
        instance, which is checked on its own reflections and left as it was.
    reflections : Reflections
        Observations to check it on; the kit's own, `vimerge.testing.reflections()`, by default.
    skip : sequence of str
        Names of checks to leave out, as the report has them.
    report : bool
        Return a table of all checks instead of raising at the first failure.

    Returns
    -------
    pandas.DataFrame or None
        With `report`, a row a check: member, check, passed (<NA> where it does not apply), message.

    Raises
    ------
    ConformanceError
        If a check fails: what is wrong, where, and what to do, in a sentence.

    Examples
    --------
    >>> check_surrogate(MySurrogate)
    >>> check_surrogate(lambda asu: MySurrogate(asu, over="intensity"), report=True)
    """
    subjects = [SurrogateSubject(surrogate, reflections)]
    if isinstance(surrogate, type) and issubclass(surrogate, Surrogate):
        subjects = []
        for over in surrogate.allowed_over:
            subjects.append(SurrogateSubject(surrogate, reflections))
            subjects[-1].over = over
    return run(subjects, CHECKS, skip=skip, report=report)
