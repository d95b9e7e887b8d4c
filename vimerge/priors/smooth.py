"""A fall-off that is any smooth function of resolution."""

import keras
import numpy as np
import tensorflow as tf
from scipy.interpolate import BSpline

from vimerge.priors.falloff import LogLinear
from vimerge.priors.smooth_estimate import smooth_falloff

SPLINES = 6


@keras.saving.register_keras_serializable(package="vimerge.priors")
class SmoothFallOff(LogLinear):
    """Σ(d) as the data have it: a smoothing spline through the logarithms of the means in resolution shells.

    With `learn`, six cubic B-splines in 1/d² are added to log Σ and trained with the model. Their mean over the ASU's
    reflections is kept at zero, so that the geometric mean of Σ stays as it was estimated, because an overall factor
    cannot be told from the scaling model's; nor can the splines, if the scaling model depends on resolution.

    Parameters
    ----------
    learn : bool
        Whether a correction to the estimate is trained with the model.
    """

    def _bind(self, asu):
        super()._bind(asu)
        self._estimate = self.add_weight(name="log_estimate", shape=(len(asu),), initializer="zeros", trainable=False)

    def _functions(self, asu):
        return b_splines(asu.s2) if self.learn else np.empty((len(asu), 0))

    def _log_sigma(self, refl_id):
        return super()._log_sigma(refl_id) + tf.gather(tf.convert_to_tensor(self._estimate), refl_id)

    def _adapt(self, refl_id, intensity, sigma):
        s2 = np.asarray(self.asu.s2)
        estimate = np.log(smooth_falloff(s2[refl_id], intensity, s2))
        self._estimate.assign(estimate - estimate.mean())
        self._assign(estimate.mean(), np.zeros(SPLINES))

    def parameters(self):
        """Learned numbers by their usual names: Sigma at the resolutions Sigma_d (Å)."""
        if not self.learn:
            return {}
        s2, first = np.unique(self.asu.s2, return_index=True)
        nodes = np.linspace(s2[0], s2[-1], SPLINES)
        sigma = np.interp(nodes, s2, self.mean_intensity(first.astype(np.int32)).numpy())
        return {"Sigma": sigma.tolist(), "Sigma_d": (nodes**-0.5).tolist()}


def b_splines(s2):
    """Cubic B-splines on equal intervals of 1/d².

    Parameters
    ----------
    s2 : array, [R]
        1/d² (Å⁻²).

    Returns
    -------
    array, [R, SPLINES]
        They add up to one everywhere.
    """
    low, width = s2.min(), max(np.ptp(s2), 1e-9)
    inner = np.linspace(0.0, 1.0, SPLINES - 2)
    knots = np.r_[np.zeros(3), inner, np.ones(3)]
    return BSpline.design_matrix(np.clip((s2 - low) / width, 0.0, 1.0), knots, 3).toarray()
