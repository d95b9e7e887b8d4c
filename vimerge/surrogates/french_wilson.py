"""The surrogate posterior of French & Wilson's problem."""

import keras
import numpy as np

from vimerge.distributions import ByCentricity, FoldedNormal, Squared
from vimerge.distributions import TruncatedNormal as TruncatedNormalDistribution
from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.location_scale import TRUNCATED_NORMAL, invert_moments


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class FrenchWilson(Surrogate):
    """Truncated normal posterior of acentric intensities, squared folded normal posterior of centric ones.

    Given its scale, normal errors and Wilson's prior, the posterior of an acentric intensity is a normal distribution
    truncated at zero [1]_. That of a centric one has a density that is infinite at zero, as has the square of a normal
    variate, which contains Wilson's centric prior. An acentric location may be negative: it is held as `peak` m and
    `scale` s with ``loc = m − s²/m``, as in `TruncatedNormal`; a centric amplitude is normal about `peak` with `scale`
    before it is folded and squared.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections to infer.

    References
    ----------
    .. [1] French, S. & Wilson, K. (1978). Acta Cryst. A34, 517–525.
    """

    parameter_names = ("peak", "scale")
    allowed_over = ("intensity",)

    def _distribution(self, centric, *, peak, scale):
        if_acentric = TruncatedNormalDistribution(peak - scale * (scale / peak), scale)
        return ByCentricity(centric, Squared(FoldedNormal(peak, scale)), if_acentric)

    def _parameters_from_moments(self, mean, sd, centric):
        loc, scale = invert_moments(TRUNCATED_NORMAL, mean, sd)
        # The positive root of m² − loc m − s² = 0, in the form that does not cancel for a negative loc.
        root = np.hypot(loc, 2.0 * scale)
        peak = np.where(loc > 0.0, 0.5 * (root + loc), 2.0 * scale**2 / (root + np.abs(loc)))
        # The moments of z², z normal: E = l² + s² and var = 2s⁴ + 4l²s², so s² = E − √(E² − var/2) without cancelling.
        half = np.minimum(0.5 * sd**2, mean**2)
        square = half / (mean + np.sqrt(np.maximum(mean**2 - half, 0.0)))
        loc_squared = np.maximum(mean - square, 1e-4 * mean)
        narrow = np.sqrt(np.minimum(square, mean - loc_squared))
        return {
            "peak": np.where(centric, np.sqrt(loc_squared), peak),
            "scale": np.where(centric, narrow, scale),
        }
