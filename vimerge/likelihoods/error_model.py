"""What every error model shares."""

import contextvars

from vimerge.distributions.positive import Positive
from vimerge.likelihoods.parameters import Parametric

# The group of each observation while an error model with groups is called. Hooks read `.value` as if there were one
# number; a context variable lets them, and keeps replicas that are traced in threads of their own apart.
_group = contextvars.ContextVar("group", default=None)


class _Grouped(Positive):
    """A positive number for each group; within a call of its error model, the number of each observation."""

    @property
    def value(self):
        group = _group.get()
        return super().value if group is None else self.gather(group)


class ErrorModel(Parametric):
    """σ of an observation given the σ of integration and the predicted intensity.

    A subclass makes its parameters in `__init__` with `add_positive` and fills one hook, `_sigma`.

    Parameters
    ----------
    n_groups : int, optional
        How many sets of its parameters there are; given by `PerGroup`, which says to which group an observation
        belongs. None is one set for all observations.
    """

    def __init__(self, n_groups=None, **kwargs):
        super().__init__(**kwargs)
        self.n_groups = n_groups

    def add_positive(self, name, initial=1.0, shape=()):
        """Add a positive parameter, learned with the rest; its `.value` is a tensor."""
        if self.n_groups is None:
            return super().add_positive(name, initial, shape)
        if shape != ():
            self._refuse_groups(name)
        return self._add(_Grouped(self, name, initial, (self.n_groups,)))

    def add_fraction(self, name, initial):
        """Add a parameter between 0 and 1, learned with the rest; `PerGroup` has no use for it."""
        self._refuse_groups(name)
        return super().add_fraction(name, initial)

    def add_real(self, name, shape=(), initializer="zeros"):
        """Add an unconstrained parameter, learned with the rest; `PerGroup` has no use for it."""
        self._refuse_groups(name)
        return super().add_real(name, shape, initializer)

    def call(self, ipred, batch, group=None):
        """The errors of the observations.

        Parameters
        ----------
        ipred : tensor, float32 [S, M]
            Predicted intensities of the observations.
        batch : dict of tensors
            A batch; `sigiobs` [M] is used.
        group : tensor, int32 [M], optional
            The group of each observation, for an error model with groups.

        Returns
        -------
        tensor, float32
            σ, which broadcasts to [S, M].
        """
        token = _group.set(group)
        try:
            return self._sigma(batch["sigiobs"], ipred, batch)
        finally:
            _group.reset(token)

    def adapt(self, reflections):
        """Take what is needed from the data before training: units, above all."""
        self._adapt(reflections)

    def with_groups(self, n_groups):
        """The same error model, with as many sets of its parameters, all of them as they are now."""
        made = self.from_config({**self.get_config(), "n_groups": n_groups})
        if made.n_groups != n_groups or len(made._learned) != len(made.trainable_variables):
            raise TypeError(
                f"{type(self).__name__} cannot have groups: its constructor must pass **kwargs on, and every weight "
                "that it trains must come from add_positive."
            )
        for name, parameter in self._learned.items():
            made._learned[name].assign(parameter.value)
        return made

    def _refuse_groups(self, name):
        if self.n_groups is not None:
            raise TypeError(
                f"{type(self).__name__} cannot have groups: {name} is not a single positive number; use one error "
                "model for all observations."
            )

    def _adapt(self, reflections):
        pass

    def _sigma(self, sigiobs, ipred, batch):
        """Make σ, positive, from `sigiobs` [M] and `ipred` [S, M]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        groups = {} if self.n_groups is None else {"n_groups": self.n_groups}
        return {**super().get_config(), **groups}
