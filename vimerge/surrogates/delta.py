"""A point in place of a posterior."""

import keras
import tensorflow_probability as tfp

from vimerge.surrogates.base import Surrogate

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="vimerge.surrogates")
class Delta(Surrogate):
    """The maximum a posteriori estimate of each amplitude: all the mass of q(F) is at one point.

    Its KL to the prior is −log p(F), up to a constant that is infinite. There is no uncertainty in it: its standard
    deviations are zero, and merged files leave them out.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections to infer.
    """

    parameter_names = ("amplitude",)

    def _distribution(self, centric, *, amplitude):
        return tfd.Deterministic(amplitude)

    def _parameters_from_moments(self, mean, sd, centric):
        return {"amplitude": mean}
