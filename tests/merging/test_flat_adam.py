"""Adam on all weights as one vector."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vimerge.merging.flat_adam import FlatAdam

SHAPES = [(), (3,), (4, 2), (1,)]


def _weights():
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape).astype(np.float32)) for shape in SHAPES]


def _gradients(number):
    rng = np.random.default_rng(1)
    # Of very different sizes, and one weight that has none.
    return [
        [tf.constant(rng.normal(scale=10.0**k, size=shape) * (k < 3), tf.float32) for k, shape in enumerate(SHAPES)]
        for _ in range(number)
    ]


@pytest.mark.parametrize("rate", [0.1, keras.optimizers.schedules.CosineDecay(0.1, 20)])
def test_its_steps_are_those_of_keras(rate):
    ours, theirs = _weights(), _weights()
    flat, separate = FlatAdam(rate, beta_1=0.8, beta_2=0.95), keras.optimizers.Adam(rate, beta_1=0.8, beta_2=0.95)
    for gradients in _gradients(20):
        flat.apply(gradients, ours)
        separate.apply(gradients, theirs)
        for own, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=2e-6, atol=2e-7)
    assert int(flat.iterations) == 20
    assert float(flat.learning_rate) == pytest.approx(float(separate.learning_rate))


def test_compiled_steps_are_those_without():
    eager, compiled = _weights(), _weights()
    one, other = FlatAdam(0.1), FlatAdam(0.1)
    other.build(compiled)
    step = tf.function(lambda gradients: other.apply(gradients), jit_compile=True)
    for gradients in _gradients(3):
        one.apply(gradients, eager)
        step(gradients)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6, atol=2e-7)


def test_it_is_made_again_from_its_configuration():
    optimizer = FlatAdam(keras.optimizers.schedules.CosineDecay(0.1, 20), beta_1=0.8, beta_2=0.95, epsilon=1e-6)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, FlatAdam)
    assert again.get_config() == optimizer.get_config()
