"""How the mean intensity falls off with resolution: what every fall-off shares, and the two simplest."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions.positive import Positive
from vimerge.priors.log_linear import fit_log_linear, noise_of
from vimerge.priors.packing import pack, unpack
from vimerge.priors.smooth_estimate import smooth_falloff


class FallOff(keras.layers.Layer):
    """Σ, the mean of F²/ε, of every reflection of an ASU.

    The prior that it is given to tells it the reflections with `bind`, once. A subclass makes its weights in `_bind`,
    returns log Σ in `_log_sigma`, and estimates it from data in `_adapt`. Before that it is 1.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asu = None

    def bind(self, asu):
        """Make the weights for the reflections of an ASU.

        Parameters
        ----------
        asu : ReciprocalASU
            R reflections.

        Raises
        ------
        ValueError
            If it has other reflections already.
        """
        if self.asu is not None:
            if not self.asu.matches(asu):
                raise ValueError(f"This {type(self).__name__} is of other reflections: make one for each prior.")
            return
        self.asu = asu
        self._bind(asu)
        self.built = True  # Every weight exists by now.

    def mean_intensity(self, refl_id=None):
        """Σ of some reflections.

        Parameters
        ----------
        refl_id : tensor, int32 [N], optional
            Which reflections; all R of them if not given.

        Returns
        -------
        tensor, float32 [N]
        """
        return tf.exp(self._log_sigma(tf.range(len(self.asu)) if refl_id is None else refl_id))

    def call(self, refl_id):
        """Σ of some reflections, float32 [N]."""
        return self.mean_intensity(refl_id)

    def adapt(self, reflections, expected=None):
        """Estimate Σ from the data.

        Parameters
        ----------
        reflections : Reflections
            Observations of the ASU.
        expected : array, [R], optional
            What an intensity of each reflection is on average in units of Σ: ε by default.

        Raises
        ------
        ValueError
            If the mean of all the intensities is not positive.
        """
        refl_id = reflections.refl_id
        unit = np.asarray(self.asu.epsilon if expected is None else expected, np.float64)[refl_id]
        self._adapt(refl_id, reflections.iobs / unit, reflections.sigiobs / unit)

    def parameters(self):
        """Learned numbers by their usual names, a dict of floats and lists of floats; empty if none is learned."""
        return {}

    def _bind(self, asu):
        raise NotImplementedError

    def _log_sigma(self, refl_id):
        """Log Σ, float32 [N], of the reflections `refl_id`, int32 [N]."""
        raise NotImplementedError

    def _adapt(self, refl_id, intensity, sigma):
        """Estimate Σ from observations of I/ε, their `refl_id` and errors, arrays [M]."""


@keras.saving.register_keras_serializable(package="vimerge.priors")
class GivenFallOff(FallOff):
    """Σ as it is given, whatever the data.

    Parameters
    ----------
    values : array_like, [R] or float
        Σ of each reflection, positive.
    """

    def __init__(self, values, **kwargs):
        super().__init__(**kwargs)
        self.values = np.asarray(values, np.float32)

    def _bind(self, asu):
        if self.values.shape not in ((), (len(asu),)):
            raise ValueError(
                f"A fall-off needs one number, or one for each of the {len(asu)} reflections, not an array of shape "
                f"{self.values.shape}."
            )
        self._sigma = Positive(self, "mean_intensity", self.values, shape=(len(asu),), trainable=False)

    def _log_sigma(self, refl_id):
        return tf.gather(tf.convert_to_tensor(self._sigma.log), refl_id)

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "values": pack(self.values) if self.values.ndim else float(self.values)}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        return cls(**{**config, "values": unpack(config["values"])})


class LogLinear(FallOff):
    """Log Σ as a sum of known functions of the reflection with unknown coefficients.

        log Σ_h = log G + Σ_j w_j (φ_j(h) − ⟨φ_j⟩)

    An overall factor of Σ cannot be told from the scaling model's. The functions are therefore centred, so that G is
    the geometric mean of Σ over the reflections of the ASU whatever the w. `adapt` estimates both; with `learn` the w
    are trained with the model from there, and G stays.

    A scaling model that depends on resolution, or for a fall-off that depends on the direction on the indices, can
    take up any change of the w just as well. To learn them, leave these out of its metadata.

    Parameters
    ----------
    learn : bool
        Whether the coefficients are trained.
    """

    def __init__(self, learn=False, **kwargs):
        super().__init__(**kwargs)
        self.learn = bool(learn)

    def _bind(self, asu):
        functions = np.asarray(self._functions(asu), np.float64).reshape(len(asu), -1)
        self._mean = functions.mean(axis=0)
        self._centred = functions - self._mean
        self._functions_of_all = tf.constant(self._centred, tf.float32)
        self._level = self.add_weight(name="log_level", shape=(), initializer="zeros", trainable=False)
        self._coefficients = None
        if functions.shape[1]:
            self._coefficients = self.add_weight(
                name="coefficients", shape=(functions.shape[1],), initializer="zeros", trainable=self.learn
            )

    def _log_sigma(self, refl_id):
        if self._coefficients is None:
            return tf.fill(tf.shape(refl_id), tf.convert_to_tensor(self._level))
        functions = tf.gather(self._functions_of_all, refl_id)
        return tf.linalg.matvec(functions, tf.convert_to_tensor(self._coefficients)) + self._level

    def _adapt(self, refl_id, intensity, sigma):
        s2 = np.asarray(self.asu.s2)
        start = smooth_falloff(s2[refl_id], intensity, s2)
        noise = noise_of(s2[refl_id], intensity, sigma)
        level, w = fit_log_linear(self._centred, start, np.asarray(self.asu.centric), refl_id, intensity, noise)
        self._assign(level, w)

    def _assign(self, level, coefficients):
        self._level.assign(level)
        if self._coefficients is not None:
            self._coefficients.assign(coefficients)

    @property
    def coefficients(self):
        """The coefficients w, array [P]."""
        return self._coefficients.numpy().astype(np.float64)

    def _functions(self, asu):
        """Evaluate the functions φ, each of the order of one, of the reflections: array [R, P]."""
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this layer again."""
        return {**super().get_config(), "learn": self.learn}


@keras.saving.register_keras_serializable(package="vimerge.priors")
class FlatFallOff(LogLinear):
    """The same Σ for all reflections, as of normalised amplitudes E; its level is estimated from the data."""

    def __init__(self, **kwargs):
        super().__init__(learn=False, **kwargs)

    def _functions(self, asu):
        return np.empty((len(asu), 0))

    def get_config(self):
        """Arguments that make this layer again."""
        config = super().get_config()
        del config["learn"]
        return config
