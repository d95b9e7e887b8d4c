"""What is checked: a member of a family, with the observations it is checked on."""

import random
from contextlib import contextmanager
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from vimerge import likelihoods, priors, scaling, surrogates
from vimerge.merging import VariationalMergingModel
from vimerge.testing import data
from vimerge.testing.errors import Fault
from vimerge.testing.gradients import gradients

MOST = 400
SAMPLES_SEED = (8, 21)


class Subject:
    """A member of a family.

    A subclass says how the member is made and started, and what of it is computed and compared.

    Parameters
    ----------
    member : Layer or callable
        An instance, or a factory: what makes one, such as its class.
    reflections : Reflections, optional
        What it is checked on; observations of the kit's own by default. Of many, some hundreds are taken.
    """

    base: type = keras.layers.Layer
    takes = ""

    def __init__(self, member, reflections=None):
        self.member, self.given = member, reflections
        self.is_instance = isinstance(member, self.base)
        if not self.is_instance and not callable(member):
            raise TypeError(
                f"Give a {self.base.__name__} or what makes one from {self.takes or 'nothing'}, such as its class, not "
                f"{type(member).__name__}."
            )

    @property
    def name(self):
        """What messages call the member."""
        if self.is_made:
            return type(self.part).__name__
        return getattr(self.member, "__name__", type(self.member).__name__)

    @property
    def is_made(self):
        """Whether there is an instance, started from the data."""
        return "layer" in self.__dict__

    @cached_property
    def reflections(self):
        """The observations it is checked on."""
        given = data.reflections() if self.given is None else data.some_of(self.given, MOST)
        asu = self.member.asu if self.is_instance and hasattr(self.member, "asu") else None
        if asu is None or asu.matches(given.asu):
            return given
        if self.given is not None:
            raise TypeError(f"The {self.base.__name__} and the reflections must be of the same asu.")
        return data.some_of(data.observations(asu), MOST)

    @property
    def asu(self):
        """The reflections' ASU."""
        return self.reflections.asu

    @cached_property
    def ids(self):
        """Some of the ASU's reflections, evenly spread, int32 [N]."""
        count = len(self.asu)
        return np.unique(np.linspace(0, count - 1, min(count, 40)).astype(np.int32))

    @cached_property
    def batch(self):
        """All the observations as one batch."""
        return data.whole(self.reflections)

    @cached_property
    def part(self):
        """The member itself."""
        part = self.member if self.is_instance else _with_seed(self.make)
        if not isinstance(part, self.base):
            raise Fault(
                f"what was given makes a {type(part).__name__}, which is no {self.base.__name__}: subclass "
                f"vimerge.{self.base.__module__.split('.')[1]}.{self.base.__name__}."
            )
        return part

    @cached_property
    def layer(self):
        """The member, in the state that most checks see: started from the data, and moved away a little."""
        layer = self.wrap(self.part)
        self.found = layer.get_weights()
        self.start(layer)
        self.started = layer.get_weights()
        self.disturb(layer)
        return layer

    @contextmanager
    def fresh(self):
        """The member as it is started from the data, in a context after which it is as it was."""
        layer, before = self.layer, self.layer.get_weights()
        try:
            layer.set_weights(self.started)
            yield layer
        finally:
            layer.set_weights(before)

    def restore(self):
        """Put an instance that was given back into the state in which it came."""
        if self.is_instance and self.is_made:
            self.layer.set_weights(self.found)

    # --- what a family has to say ------------------------------------------------------------------------------------

    def make(self):
        """Make a member by its factory."""
        return self.member()

    def wrap(self, part):
        """The layer of a model that the member is, or is a part of."""
        return part

    def start(self, layer):
        """Start it from the data, as a model does."""

    def disturb(self, layer):
        """Move trained weights away from where they start, at which many a gradient is zero."""
        rng = np.random.default_rng(17)
        for weight in layer.trainable_variables:
            weight.assign(weight.numpy() + rng.normal(0.0, 0.2, weight.shape))

    def objective(self, layer):
        """What of it training differentiates, a dict of float32 tensors."""
        raise NotImplementedError

    def beside(self, layer):
        """What it computes besides, a dict of float32 tensors."""
        return {}

    def draw(self, layer):
        """Reparameterized samples of it, if it has any, as a dict of tensors."""
        return {}

    def parts(self, layer):
        """The arguments of a merging model of which it is one."""
        raise NotImplementedError

    # --- what they share ---------------------------------------------------------------------------------------------

    def evaluate(self, layer):
        """All that it computes: what must be the same when it is saved or compiled."""
        return self.beside(layer) | self.objective(layer)

    def model(self, layer, seed=1):
        """A merging model with the layer and with simple partners, not yet started from the data."""
        parts = {
            "surrogate": lambda: surrogates.Gamma(self.asu),
            "prior": lambda: priors.Wilson(self.asu),
            "scaling": lambda: scaling.MLP(self.reflections.metadata_keys, width=2, depth=0),
            "likelihood": likelihoods.Normal,
        }
        own = self.parts(layer)
        made = {name: own[name] if name in own else _with_seed(make) for name, make in parts.items()}
        return VariationalMergingModel(**made, mc_samples=2, seed=seed)

    def gradients(self, layer):
        """What training differentiates, and the gradient of its sum in every trained weight."""
        with tf.GradientTape() as tape:
            values = self.objective(layer)
            total = tf.add_n([tf.reduce_sum(v) for v in values.values()])
        weights = layer.trainable_variables
        return values | {
            f"the gradient in {w.path}": g for w, g in zip(weights, gradients(tape, total, weights), strict=True)
        }


def _with_seed(make):
    """Call a function that may initialise weights at random, for which Keras draws seeds from Python's generator."""
    state = random.getstate()
    random.seed(12)
    try:
        return make()
    finally:
        random.setstate(state)
