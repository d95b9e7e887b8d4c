"""A prior that knows of amplitudes from a model or from an earlier data set."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions import ByCentricity, FoldedNormal, Rice, Squared
from vimerge.priors.log_linear import noise_of, reflection_means
from vimerge.priors.packing import pack, unpack
from vimerge.priors.sigma_a import HIGHEST, SigmaA
from vimerge.priors.smooth_estimate import smooth_falloff
from vimerge.priors.wilson import Wilson, per_reflection


@keras.saving.register_keras_serializable(package="vimerge.priors")
class Reference(Wilson):
    """Amplitudes about those of a reference, as far as the two are correlated.

    The structure factor is normally distributed, complex or where it is centric real, about σ_A E_ref √(εΣ) times the
    phase factor of the reference, with the variance εΣ (1 − σ_A²) [1]_ [2]_ [3]_. Of its phase nothing is known
    afterwards: acentric amplitudes have a Rice distribution and centric ones a folded normal distribution. Averaged
    over references they have Wilson's, as they have where σ_A = 0 or there is no reference.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections.
    amplitudes : array_like, [R]
        The reference's amplitudes on any scale, NaN where there is none; see `reflections.reference_amplitudes`. They
        are normalised to E_ref by their own smooth fall-off.
    sigma_a : "learned", SigmaA, array_like [R] or float
        σ_A from 0 to 0.999: learned with the model and estimated from the data before, or as given.
    falloff, modulation
        See `Wilson`.

    Raises
    ------
    ValueError
        If the amplitudes or σ_A are out of range, or their number is not that of the reflections.

    References
    ----------
    .. [1] Sim, G. A. (1959). Acta Cryst. 12, 813–815.
    .. [2] Srinivasan, R. & Ramachandran, G. N. (1965). Acta Cryst. 19, 1008–1014.
    .. [3] Read, R. J. (1986). Acta Cryst. A42, 140–149.
    """

    def __init__(self, asu, amplitudes, sigma_a="learned", falloff="smooth", modulation=None, **kwargs):
        super().__init__(asu, falloff=falloff, modulation=modulation, **kwargs)
        self._amplitudes = per_reflection(self.asu, amplitudes, "amplitudes")
        normalised = normalised_amplitudes(self.asu, self._amplitudes)
        self._missing = np.isnan(normalised)
        self._reference = np.where(self._missing, 0.0, normalised).astype(np.float32)
        self.sigma_a, self._given = self._make_sigma_a(sigma_a)
        self._known = tf.constant(~self._missing, tf.float32)
        self._reference_of_all = tf.constant(self._reference)

    def _make_sigma_a(self, sigma_a):
        """A SigmaA and None, or None and the given values as they were given."""
        if isinstance(sigma_a, str):
            if sigma_a != "learned":
                raise ValueError(f"sigma_a is 'learned', a SigmaA, or given by numbers; there is no {sigma_a!r}.")
            sigma_a = SigmaA()
        if isinstance(sigma_a, SigmaA):
            sigma_a.bind(self.asu)
            return sigma_a, None
        given = np.asarray(sigma_a, np.float32)
        if given.shape != ():
            given = per_reflection(self.asu, given, "sigma_a")
        if not np.all((given >= 0) & (given <= np.float32(HIGHEST))):
            raise ValueError(f"sigma_a must be between 0 and {HIGHEST} everywhere.")
        self._given_of_all = tf.constant(np.broadcast_to(given, len(self.asu)))
        return None, given

    @property
    def reference(self):
        """E_ref of each reflection, array [R]; NaN where there is none."""
        return np.where(self._missing, np.nan, self._reference)

    def parameters(self):
        """Learned numbers by their usual names: those of the fall-off and of σ_A."""
        return {**super().parameters(), **({} if self.sigma_a is None else self.sigma_a.parameters())}

    def _adapt(self, reflections):
        super()._adapt(reflections)
        if self.sigma_a is None:
            return
        refl_id, s2 = reflections.refl_id, np.asarray(self.asu.s2)
        unit = self._expected_unit.astype(np.float64)[refl_id]
        intensity, sigma = reflections.iobs / unit, reflections.sigiobs / unit
        # By their own fall-off, as the reference, whatever the prior's is: it may be on another scale.
        falloff = smooth_falloff(s2[refl_id], intensity, s2)
        reference = self._reference.astype(np.float64) ** 2
        # The strongest that the reference foresees is no outlier.
        highest = falloff * np.maximum(1.0, reference)
        means = reflection_means(refl_id, intensity, noise_of(s2[refl_id], intensity, sigma), highest)
        weight = np.where((means.number > 0) & ~self._missing, 1.0 / (1.0 + means.variance / falloff**2), 0.0)
        self.sigma_a.estimate(means.mean / falloff, reference, weight)

    def _sigma_a(self, refl_id):
        values = tf.gather(self._given_of_all, refl_id) if self.sigma_a is None else self.sigma_a(refl_id)
        return values * tf.gather(self._known, refl_id)

    def _distribution(self, refl_id, centric, over):
        root, sigma_a = tf.sqrt(self._expected(refl_id)), self._sigma_a(refl_id)
        loc = sigma_a * tf.gather(self._reference_of_all, refl_id) * root
        scale = root * tf.sqrt((1.0 - sigma_a) * (1.0 + sigma_a))
        # A real number has the whole variance, each part of a complex one has half.
        if_centric, if_acentric = FoldedNormal(loc, scale), Rice(loc, np.float32(np.sqrt(0.5)) * scale)
        if over == "intensity":
            if_centric, if_acentric = Squared(if_centric), Squared(if_acentric)
        return ByCentricity(centric, if_centric, if_acentric)

    def get_config(self):
        """Arguments that make this layer again."""
        if self.sigma_a is not None:
            sigma_a = keras.saving.serialize_keras_object(self.sigma_a)
        else:
            sigma_a = pack(self._given) if self._given.ndim else float(self._given)
        return {**super().get_config(), "amplitudes": pack(self._amplitudes), "sigma_a": sigma_a}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = dict(config)
        if isinstance(config.get("sigma_a"), dict):
            config["sigma_a"] = keras.saving.deserialize_keras_object(config["sigma_a"])
        config |= {name: unpack(config[name]) for name in ("amplitudes", "sigma_a")}
        return super().from_config(config)


def normalised_amplitudes(asu, amplitudes):
    """Amplitudes E whose squares are one on average at each resolution.

    Parameters
    ----------
    asu : ReciprocalASU
    amplitudes : array, [R]
        F on any scale, NaN where it is missing.

    Returns
    -------
    array, float64 [R]
        F/√(εΣ), Σ being the smooth fall-off of F²/ε.

    Raises
    ------
    ValueError
        If an amplitude is negative or infinite, or none is above zero.
    """
    amplitudes = np.asarray(amplitudes, np.float64)
    known = ~np.isnan(amplitudes)
    if not np.all((amplitudes[known] >= 0) & np.isfinite(amplitudes[known])):
        raise ValueError("The amplitudes of a reference must be finite and not negative, and NaN where there is none.")
    if not np.any(amplitudes[known] > 0):
        raise ValueError(
            "There is no amplitude of the reference above zero: check that it is of this crystal, cell and space group."
        )
    intensity, s2 = amplitudes**2 / asu.epsilon, np.asarray(asu.s2)
    return np.sqrt(intensity / smooth_falloff(s2[known], intensity[known], s2))
