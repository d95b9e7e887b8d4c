"""Rice–Woolfson surrogate posterior."""

import keras
import numpy as np

from vimerge.distributions import ByCentricity, FoldedNormal, Rice
from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.location_scale import FOLDED_NORMAL, RICE, invert_moments


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class RiceWoolfson(Surrogate):
    """Rice posterior of acentric amplitudes and folded normal posterior of centric ones.

    These are the amplitude of a structure factor whose complex value (acentric) or real value (centric) is normally
    distributed about a mean [1]_; with loc = 0 they are the Wilson distributions.

    References
    ----------
    .. [1] Sim, G. A. (1959). Acta Cryst. 12, 813–815; Woolfson, M. M. (1956). Acta Cryst. 9, 804–810.
    """

    parameter_names = ("loc", "scale")

    def _distribution(self, centric, *, loc, scale):
        return ByCentricity(centric, FoldedNormal(loc, scale), Rice(loc, scale))

    def _parameters_from_moments(self, mean, sd, centric):
        loc_c, scale_c = invert_moments(FOLDED_NORMAL, mean, sd)
        loc_a, scale_a = invert_moments(RICE, mean, sd)
        return {"loc": np.where(centric, loc_c, loc_a), "scale": np.where(centric, scale_c, scale_a)}
