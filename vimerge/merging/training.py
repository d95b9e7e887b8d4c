"""What Keras calls in training: the steps, their metrics, and what guards them."""

import logging

import keras
import tensorflow as tf

from vimerge.merging.callbacks import NonFiniteGuard
from vimerge.merging.collapsed import collapsed_elbo
from vimerge.merging.elbo import ELBO

log = logging.getLogger("vimerge")

OBJECTIVES = ("elbo", "collapsed")


class _Mean(keras.metrics.Mean):
    """A mean that is NaN when there is nothing to average: zero would be the best loss of all."""

    def result(self):
        return self.total / self.count


class TrainedByELBO(keras.Model):
    """How `VariationalMergingModel` is trained: it adds the bound itself, `elbo`, and the parts it is of.

    A subclass of that class may have an `elbo` and a `loss_of` of its own, and need not know of what is here.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._means = {name: _Mean(name=name) for name in ("loss", *ELBO._fields, "grad_norm")}
        self._skipped = keras.metrics.Sum(name="skipped")
        self._skipped_in_a_row = self.add_weight(
            name="skipped_in_a_row", shape=(), dtype="int32", initializer="zeros", trainable=False
        )
        self._initialized = False

    @property
    def objective(self):
        """What `fit` maximises, "elbo" or "collapsed".

        "elbo" is the Monte Carlo ELBO with the surrogate's q(F). "collapsed" is the same bound with q(F) the exact
        posterior given the scales: F is integrated out. Its gradient is free of F's sampling noise and knows how F
        follows the scales, so that the scaling model and the likelihood are trained in a fraction of the steps; the
        surrogate is not trained, and takes its posterior from `condition` in the end. It needs batches of whole
        reflections, ``reflections.dataset(..., by="reflection")``, of single harmonics. Compile again after a change.

        Where the prior correlates reflections, "elbo" bounds the evidence under their joint distribution, from which
        it is further the closer they are correlated, for q(F) leaves them independent: by 0.25 nats for each pair of
        r = 0.99 in our tests. "collapsed" is the bound of each reflection by itself under its marginal prior, Wilson's:
        the scaling model is trained as if they were independent, a correlation is not learned, and `condition` brings
        it in.
        """
        return self._objective

    @objective.setter
    def objective(self, value):
        if value not in OBJECTIVES:
            raise ValueError(f"There is no objective {value!r}; there are: {', '.join(OBJECTIVES)}.")
        if value == "collapsed" and not self.collapsible:
            raise ValueError(
                f"{type(self).__name__} has an objective of its own or weights its KLs: train it with the 'elbo'."
            )
        self._objective = value
        self.train_function = None

    @property
    def trainable_variables(self):
        """What `fit` trains: all but the surrogate's variables if F is integrated out."""
        variables = super().trainable_variables
        if getattr(self, "_objective", "elbo") == "elbo":
            return variables
        local = {id(variable) for variable in self.surrogate.trainable_variables}
        return [variable for variable in variables if id(variable) not in local]

    def train_step(self, batch):
        """One step of the optimiser; a gradient that is not finite is skipped and counted."""
        with tf.GradientTape() as tape:
            terms = self.elbo(batch, training=True) if self.objective == "elbo" else collapsed_elbo(self, batch)
            loss = self.loss_of(terms)
        variables = self.trainable_variables
        gradients = [_dense(g, v) for g, v in zip(tape.gradient(loss, variables), variables, strict=True)]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        tf.cond(finite, lambda: self._apply(gradients, variables), lambda: tf.constant(False))
        skipped = 1 - tf.cast(finite, tf.int32)
        self._skipped_in_a_row.assign(skipped * (self._skipped_in_a_row + 1))
        self._skipped.update_state(skipped)
        # The skipped step is counted; its values would make the epoch's means meaningless.
        weight = tf.cast(finite, tf.float32)
        terms = ELBO(*(_finite(term) for term in terms))
        self._update(terms, _finite(loss), weight)
        self._means["grad_norm"].update_state(_finite(norm), sample_weight=weight)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, batch):
        """The terms of the ELBO on data that is not trained on."""
        terms = self.elbo(batch)
        loss = self.loss_of(terms)
        self._update(terms, loss, tf.ones([]))
        return {name: self._means[name].result() for name in ("loss", *ELBO._fields)}

    @property
    def metrics(self):
        """The metrics that are reset each epoch."""
        return [*self._means.values(), self._skipped]

    def fit(self, *args, callbacks=None, **kwargs):
        """Train with Keras's `fit`, whose arguments and callbacks these are; give it `Reflections.dataset(...)`.

        Logged each epoch: `elbo`, `log_likelihood`, `kl_f`, `kl_scale` (nats per observation), `loss`, `grad_norm`,
        and `skipped`, the number of steps skipped because their gradient was not finite.

        Raises
        ------
        NonFiniteGradientError
            If many steps in a row had to be skipped.
        """
        if not self._initialized:
            log.warning(
                "The model was not started from the data: model.initialize(reflections) before fit standardises the "
                "metadata and saves most of the training."
            )
        callbacks = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
        callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or [])
        kwargs.setdefault("shuffle", False)  # a tf.data.Dataset shuffles itself, and Keras warns if asked to
        if self.optimizer is not None and not self.optimizer.built:
            # Made inside the step, its variables would have the step traced twice.
            self.optimizer.build(self.trainable_variables)
        return super().fit(*args, callbacks=[*callbacks, NonFiniteGuard()], **kwargs)

    def _apply(self, gradients, variables):
        self.optimizer.apply(gradients, variables)
        return tf.constant(True)

    def _update(self, terms, loss, weight):
        self._means["loss"].update_state(loss, sample_weight=weight)
        for name, value in terms._asdict().items():
            self._means[name].update_state(value, sample_weight=weight)


def _dense(gradient, variable):
    """A gather's gradient as a dense tensor, zero for a variable that the loss does not depend on."""
    if gradient is None:
        return tf.zeros(variable.shape, variable.dtype)
    if isinstance(gradient, tf.IndexedSlices):
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])
    return gradient


def _finite(x):
    return tf.where(tf.math.is_finite(x), x, tf.zeros_like(x))
