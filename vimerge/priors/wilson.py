"""Wilson's prior."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vimerge.distributions import ByCentricity
from vimerge.priors.b_factor import AnisotropicFallOff, IsotropicFallOff
from vimerge.priors.base import Prior
from vimerge.priors.falloff import FallOff, FlatFallOff, GivenFallOff
from vimerge.priors.packing import pack, unpack
from vimerge.priors.smooth import SmoothFallOff

tfd = tfp.distributions

FALLOFFS = {
    "flat": FlatFallOff,
    "isotropic": IsotropicFallOff,
    "anisotropic": AnisotropicFallOff,
    "smooth": SmoothFallOff,
}


@keras.saving.register_keras_serializable(package="vimerge.priors")
class Wilson(Prior):
    """Amplitudes of a crystal of many randomly placed atoms [1]_.

    With Σ(d) the mean of F²/ε at that resolution, an acentric intensity is exponential with mean εΣ and a centric one
    is εΣ times a χ² of one degree of freedom.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections.
    falloff : {"flat", "isotropic", "anisotropic", "smooth"}, FallOff, array_like [R] or float
        Σ(d): by name or as a layer it is 1 until `adapt` estimates it from data, and is learned further if the layer
        was made with `learn=True`; as a number or one for each reflection it stays as given.
    modulation : array_like, [R], optional
        What multiplies Σ of each reflection, as `tncs_modulation` for translational pseudosymmetry; positive.

    References
    ----------
    .. [1] Wilson, A. J. C. (1949). Acta Cryst. 2, 318–321.
    """

    def __init__(self, asu, falloff="smooth", modulation=None, **kwargs):
        super().__init__(asu, **kwargs)
        self.falloff = make_falloff(falloff)
        self.falloff.bind(self.asu)
        self._modulation = None if modulation is None else per_reflection(self.asu, modulation, "modulation")
        if self._modulation is not None and not np.all(self._modulation > 0):
            raise ValueError("The modulation of a fall-off must be positive everywhere.")
        unit = 1.0 if self._modulation is None else self._modulation
        self._expected_unit = np.asarray(self.asu.epsilon * unit, np.float32)
        self._unit = tf.constant(self._expected_unit)

    @property
    def mean_intensity(self):
        """Σ(d) of each reflection, its modulation included, float32 [R]."""
        sigma = self.falloff.mean_intensity()
        return sigma if self._modulation is None else sigma * self._modulation

    def parameters(self):
        """Learned numbers by their usual names: those of the fall-off."""
        return self.falloff.parameters()

    def _adapt(self, reflections):
        self.falloff.adapt(reflections, self._expected_unit)

    def _expected(self, refl_id):
        """εΣ, the mean intensity, of the reflections `refl_id`, float32 [N]."""
        return self.falloff.mean_intensity(refl_id) * tf.gather(self._unit, refl_id)

    def _distribution(self, refl_id, centric, over):
        expected = self._expected(refl_id)
        if over == "intensity":
            shape = tf.where(centric, 0.5, 1.0)
            return tfd.Gamma(shape, shape / expected)
        root = tf.sqrt(expected)
        return ByCentricity(centric, tfd.HalfNormal(root), tfd.Weibull(tf.constant(2.0), root))

    def get_config(self):
        """Arguments that make this layer again."""
        falloff = keras.saving.serialize_keras_object(self.falloff)
        modulation = None if self._modulation is None else pack(self._modulation)
        return {**super().get_config(), "falloff": falloff, "modulation": modulation}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("falloff"), dict):
            config["falloff"] = keras.saving.deserialize_keras_object(config["falloff"])
        config["modulation"] = unpack(config.get("modulation"))
        return cls(**config)


def make_falloff(falloff):
    """Make a fall-off from its name or its values; a FallOff stays as it is.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if isinstance(falloff, FallOff):
        return falloff
    if not isinstance(falloff, str):
        return GivenFallOff(falloff)
    if falloff not in FALLOFFS:
        raise ValueError(f"There is no fall-off {falloff!r}; there are: {', '.join(FALLOFFS)}.")
    return FALLOFFS[falloff]()


def per_reflection(asu, values, name, dtype=np.float32):
    """The values as an array [R], float32 if no other type is asked for.

    Raises
    ------
    ValueError
        If there is not one for each reflection.
    """
    values = np.asarray(values, dtype)
    if values.shape != (len(asu),):
        raise ValueError(
            f"{name} needs a number for each of the {len(asu)} reflections, not an array of shape {values.shape}."
        )
    return values
