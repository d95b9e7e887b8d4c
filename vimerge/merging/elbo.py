"""The terms of the objective."""

from typing import NamedTuple

import tensorflow as tf


class ELBO(NamedTuple):
    """The terms of the evidence lower bound, each a scalar in nats per observation."""

    elbo: tf.Tensor
    log_likelihood: tf.Tensor
    kl_f: tf.Tensor
    kl_scale: tf.Tensor
