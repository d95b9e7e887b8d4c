"""Combinations of gamma functions that lose all their digits when written out."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import digamma, gammaln

from vimerge.distributions.gamma_functions import log_half_power_excess


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_the_excess_of_a_half_power_keeps_its_relative_precision(dtype, tolerance):
    alpha = np.logspace(-6, 8, 200).astype(dtype)
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(alpha))
        value = log_half_power_excess(x)
    gradient = tape.gradient(value, x).numpy()
    a = alpha.astype(np.float64)
    # Written out in float64 where that has the digits, and by the first terms of its series (DLMF 5.11.8) beyond.
    small, large = a < 30.0, a > 300.0
    direct = gammaln(a + 0.5) - gammaln(a) - 0.5 * np.log(a)
    slope = digamma(a + 0.5) - digamma(a) - 0.5 / a
    np.testing.assert_allclose(value.numpy()[small], direct[small], rtol=tolerance)
    np.testing.assert_allclose(gradient[small], slope[small], rtol=tolerance)
    np.testing.assert_allclose(value.numpy()[large], (-1 / (8 * a) + 1 / (192 * a**3))[large], rtol=tolerance)
    np.testing.assert_allclose(gradient[large], (1 / (8 * a**2) - 1 / (64 * a**4))[large], rtol=tolerance)
