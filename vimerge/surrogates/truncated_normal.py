"""Truncated normal surrogate posterior."""

import keras
import numpy as np

from vimerge.distributions import TruncatedNormal as TruncatedNormalDistribution
from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.location_scale import TRUNCATED_NORMAL, invert_moments


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class TruncatedNormal(Surrogate):
    """Normal posterior of the amplitude or of the intensity, truncated to positive values.

    Over intensity it contains the exact posterior of an acentric reflection given its scale, normal errors and
    Wilson's prior [1]_. Its location before truncation may be negative; it is held as two positive parameters, `peak` m
    and `scale` s, with ``loc = m - s²/m``. m is close to the mean at either end, for the distribution tends to a
    normal about m where m ≫ s, and to an exponential of mean m where m ≪ s.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections to infer.
    over : {"amplitude", "intensity"}
        What is normal before truncation.

    References
    ----------
    .. [1] French, S. & Wilson, K. (1978). Acta Cryst. A34, 517–525.
    """

    parameter_names = ("peak", "scale")
    allowed_over = ("amplitude", "intensity")

    def _distribution(self, centric, *, peak, scale):
        return TruncatedNormalDistribution(peak - scale * (scale / peak), scale)

    def _parameters_from_moments(self, mean, sd, centric):
        loc, scale = invert_moments(TRUNCATED_NORMAL, mean, sd)
        # The positive root of m² - loc m - s² = 0, in the form that does not cancel for a negative loc.
        root = np.hypot(loc, 2.0 * scale)
        peak = np.where(loc > 0.0, 0.5 * (root + loc), 2.0 * scale**2 / (root + np.abs(loc)))
        return {"peak": peak, "scale": scale}
