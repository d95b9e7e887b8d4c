"""Gamma surrogate posterior."""

import keras
import numpy as np

from vimerge.distributions import Gamma as GammaDistribution
from vimerge.surrogates.base import Surrogate


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class Gamma(Surrogate):
    """Gamma posterior of the amplitude or of the intensity.

    Held as mean μ and concentration α (rate α/μ), which are orthogonal: E = μ, sd = μ/√α. Over intensity it contains
    both Wilson priors exactly (α = 1 acentric, ½ centric), with a closed-form KL.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections to infer.
    over : {"intensity", "amplitude"}
        What is Gamma distributed.
    """

    parameter_names = ("mean", "concentration")
    allowed_over = ("intensity", "amplitude")

    def _distribution(self, centric, *, mean, concentration):
        return GammaDistribution(concentration, concentration / mean)

    def _parameters_from_moments(self, mean, sd, centric):
        return {"mean": mean, "concentration": np.clip((mean / sd) ** 2, 1e-2, 1e8)}
