"""Folded normal surrogate posterior."""

import keras
import numpy as np

from vimerge.distributions import FoldedNormal as FoldedNormalDistribution
from vimerge.surrogates.base import Surrogate
from vimerge.surrogates.location_scale import FOLDED_NORMAL, invert_moments


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class FoldedNormal(Surrogate):
    """Folded normal posterior of the amplitude, |N(loc, scale²)|, for centric and acentric reflections alike."""

    parameter_names = ("loc", "scale")

    def _distribution(self, centric, *, loc, scale):
        return FoldedNormalDistribution(loc, scale)

    def _parameters_from_moments(self, mean, sd, centric):
        loc, scale = invert_moments(FOLDED_NORMAL, np.asarray(mean), np.asarray(sd))
        return {"loc": loc, "scale": scale}
