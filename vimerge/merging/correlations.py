"""Which correlations the data want: the r of most evidence, for each relation in shells of resolution."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from vimerge.merging.relations import shells_of_relations
from vimerge.merging.start import single_harmonics
from vimerge.merging.trees import correlated, posterior_of_trees
from vimerge.priors import ChosenCorrelation
from vimerge.reflections.errors import OptionError

log = logging.getLogger("vimerge")

SHELLS = 5
MOST_CHILDREN = 1000  # of a shell, whose evidence knows log(1 − r) to about 0.07 where differences are measured well
# In log(1 − r), in which the evidence of r is near to a parabola; r = 0.9999 is the highest.
FIRST, HIGHEST, DECADE = np.log([1.0, 0.1, 0.01, 0.001]), np.log(1e-4), np.log(10.0)
MOST_REFINEMENTS, LEAST_STEP, WIDEST = 6, 0.2, 1.0
AGAIN = 0.5
GOOD, ENOUGH = 0.03, 0.25  # errors of the maximum: in log(1 − r), and in standard errors


class ChosenCorrelations(NamedTuple):
    """The correlations of most evidence."""

    correlation: np.ndarray  # r of each reflection with its parent, float64 [R]; of roots zero
    table: pd.DataFrame  # a row for each relation and shell; see `choose_correlations`


def choose_correlations(model, reflections, shells=SHELLS, chosen=None, most=MOST_CHILDREN, seed=0, **options):
    """Find the correlation of most evidence for each relation in shells of resolution.

    A relation is a child data set and its parent, or Friedel mates. Given the mean scales, the evidence is the product
    of that of the trees, so that each shell, which has whole trees, has its own maximum. r is tried at 0, 0.9, 0.99 and
    0.999, where it is wanted up to 0.9999, then a few times at the maximum of a parabola in log(1 − r) through the best
    of those tried and its neighbours, until the maximum is known better than the data know r. Relations that share
    trees are taken in turn, each with the others at their present best, twice.

    Parameters
    ----------
    model : VariationalMergingModel
        Its scales trained, with a prior that correlates reflections. It is left as it was.
    reflections : Reflections
        What it was trained on.
    shells : int
        Of each relation, of equal numbers of children; fewer where they would have less than 100.
    chosen : array_like, bool [R], optional
        The children whose r to choose; of the others it is the prior's. All by default.
    most : int
        Enough children for a shell: of more, those of random trees are taken, and single harmonics alone.
    seed : int
        For the choice of trees.
    **options
        Further arguments of `posterior_of_trees`.

    Returns
    -------
    ChosenCorrelations
        `correlation` is for `priors.ChosenCorrelation.assign`, or for `posterior_of_trees`. The columns of `table` are
        `relation`; `d_max` and `d_min` in Å; `children`, the number taken, which were observed with their parents;
        `correlation`; `error`, of log(1 − r), from the curvature of the evidence, NaN where it is at an end of the
        range; and `log_evidence`, over that of r = 0, in nats.

    Raises
    ------
    OptionError
        If the prior correlates nothing, none is chosen that has a parent, or the number of shells is not positive.
    """
    if not correlated(model.prior):
        raise OptionError("The prior correlates no reflections; merge with --correlate, or priors.MultivariateWilson.")
    if shells < 1:
        raise OptionError(f"Correlations are of one shell of resolution or more, not of {shells}.")
    parents = np.asarray(model.prior.parents)
    chosen = (parents >= 0) & (True if chosen is None else np.asarray(chosen, bool))
    if not chosen.any():
        raise OptionError("None of the chosen reflections has a parent; leave out chosen= for all that have one.")
    found = shells_of_relations(model.asu, parents, chosen, reflections.multiplicity, shells, most, seed)
    n = reflections.multiplicity
    if np.any((chosen & (n > 0) & (n[parents] > 0))[~found.some]):
        reflections = single_harmonics(reflections)
        reflections = reflections[found.some[reflections.refl_id]]
    complement = model.prior.correlation.complement(np.arange(len(parents))).numpy().astype(np.float64)
    # r itself has lost digits in single precision where it is near one.
    fixed = np.where((parents >= 0) & ~chosen, np.sqrt(1.0 - complement), 0.0)

    def values(x):
        """Correlations of all reflections, [R], where log(1 − r) = x in the shells, [K]."""
        return np.where(chosen, _r(x)[found.shell], fixed)

    def evidence(x):
        return found.sums(posterior_of_trees(model, reflections, values(x), only=found.some, **options).log_evidence)

    best = np.zeros((3, len(found.table)))
    for again in (False, True) if len(found.turns) > 1 else (False,):
        for turn in found.turns:
            best[:, turn] = _in_turn(evidence, best[0], turn, again)
            # Without data all r are alike.
            best[:, turn[found.table["children"].to_numpy()[turn] == 0]] = np.array([[0.0], [np.nan], [0.0]])
    x, error, gain = best
    return ChosenCorrelations(values(x), found.table.assign(correlation=_r(x), error=error, log_evidence=gain))


def settle_correlations(model, reflections, **options):
    """Choose what the prior's `ChosenCorrelation` leaves open, if it has one, and log it.

    Parameters
    ----------
    model, reflections, **options
        See `choose_correlations`.
    """
    correlation = getattr(model.prior, "correlation", None)
    if not isinstance(correlation, ChosenCorrelation) or not np.any(correlation.open & (model.prior.parents >= 0)):
        return
    found = choose_correlations(model, reflections, chosen=correlation.open, **options)
    correlation.assign(found.correlation, found.table.drop(columns="error").to_dict("records"))
    log.info("correlations of most evidence\n%s", in_words(found.table))


def chosen_rows(model):
    """What was chosen or assigned for a model, rows as `ChosenCorrelation.table` has them; none if nothing was."""
    correlation = getattr(model.prior, "correlation", None)
    return correlation.table if isinstance(correlation, ChosenCorrelation) else []


def in_words(table):
    """A table of `choose_correlations` as text."""
    forms = {"d_max": "{:.2f}", "d_min": "{:.2f}", "correlation": "{:.5f}", "error": "{:.2f}", "log_evidence": "{:.1f}"}
    return table.to_string(index=False, formatters={name: form.format for name, form in forms.items()})


def _r(x):
    return 0.0 - np.expm1(x)


def _in_turn(evidence, x, turn, again):
    """Maxima over some of the x, [k], the others as they are: place, error and what is gained over x = 0."""

    def of_turn(own):
        tried = x.copy()
        tried[turn] = own
        return evidence(tried)[turn]

    if not again:
        return _maximise(of_turn, [np.full(len(turn), start) for start in FIRST], MOST_REFINEMENTS)
    # What was best for the others' first r is near.
    middle = np.clip(x[turn], HIGHEST + AGAIN, -2.0 * AGAIN)
    return _maximise(of_turn, [np.zeros(len(turn)), middle + AGAIN, middle, middle - AGAIN], refinements=0)


def _maximise(evidence, tried, refinements):
    """Maxima of K functions of x at once: x, the error of each and the value over that at zero, [K] each."""
    values = [evidence(x) for x in tried]
    for left in range(refinements, -1, -1):
        at, x, y = _three(np.array(tried), np.array(values))
        place, height, error = _parabola(x, y)
        gaps = np.diff(x, axis=0)
        # Where the third derivative is about the second, that of a parabola is off by so much.
        good = (gaps.prod(axis=0) / 6.0 < np.fmax(GOOD, ENOUGH * error)) & (gaps.max(axis=0) < WIDEST)
        if not left or np.all(np.where(at == 1, good, gaps[0] < WIDEST / 4.0)):
            break
        tried.append(_next(at, x, place))
        values.append(evidence(tried[-1]))
    # The best at an end of what was tried is itself the answer.
    inside, column = at == 1, np.arange(len(at))
    place, height = np.where(inside, place, x[at, column]), np.where(inside, height, y[at, column])
    return place, np.where(inside, error, np.nan), height - values[0]


def _next(at, x, place):
    """Where to try next, given the best and its neighbours and the parabola's maximum."""
    # Beside a place that was tried, the wider gap is what there is more to learn from.
    side = np.where(x[2] - x[1] > x[1] - x[0], 1.0, -1.0)
    near = np.abs(place - x[1]) < LEAST_STEP
    place = np.where(near, x[1] + side * np.minimum(LEAST_STEP, 0.5 * np.maximum(x[2] - x[1], x[1] - x[0])), place)
    # At an end that is no limit, on; at a limit, half way back.
    place = np.where(at == 2, 0.5 * (x[1] + x[2]), place)
    on = np.maximum(x[0] - DECADE, HIGHEST)
    return np.where(at == 0, np.where(x[0] > HIGHEST, on, 0.5 * (x[0] + x[1])), place)


def _three(x, y):
    """The best of each column and its neighbours, or the last three at an end: which is best, and x and y, [3, K]."""
    order = np.argsort(x, axis=0)
    x, y = np.take_along_axis(x, order, 0), np.take_along_axis(y, order, 0)
    best = y.argmax(axis=0)
    middle = np.clip(best, 1, len(x) - 2)
    rows, columns = middle + np.array([[-1], [0], [1]]), np.arange(x.shape[1])
    return best - middle + 1, x[rows, columns], y[rows, columns]


def _parabola(x, y):
    """Place and height of the top of a parabola through three points, [3, K], and the error that its curvature is."""
    rise = np.diff(y, axis=0) / np.diff(x, axis=0)
    half = np.diff(rise, axis=0)[0] / (x[2] - x[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.where(half < 0, 0.5 * (x[0] + x[1]) - rise[0] / (2.0 * half), x[1])
        error = np.where(half < 0, (-2.0 * half) ** -0.5, np.nan)
    height = y[1] + (place - x[1]) * (rise[0] + half * (place - x[0]))
    return place, height, error
