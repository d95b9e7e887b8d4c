"""Adam for models of many small weights."""

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="vimerge.merging")
class FlatAdam(keras.optimizers.Optimizer):
    """Adam [1]_ on all weights as one vector.

    The steps are those of `keras.optimizers.Adam`. That one has a dozen operations for each weight, which in a scaling
    model of some twenty small ones take longer than their arithmetic, and longest of all to be described to TensorFlow
    before the first step; here there are three for each and a dozen for all of them.

    Parameters
    ----------
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
    beta_1, beta_2 : float
        How much of the running means of gradients and of their squares is kept in each step.
    epsilon : float
        Added to the root of the latter.

    References
    ----------
    .. [1] Kingma, D. P. & Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.
    """

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, name="adam"):
        super().__init__(learning_rate=learning_rate, name=name)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def build(self, variables):
        """Make the running means for these weights."""
        if self.built:
            return
        super().build(variables)
        size = sum(math.prod(variable.shape) for variable in variables)
        self.mean = self.add_variable((size,), name="mean")
        self.mean_square = self.add_variable((size,), name="mean_square")

    def apply(self, grads, trainable_variables=None):
        """Make a step: `grads` are of the weights that the optimiser was built for, and in their order."""
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        gradient = tf.concat([tf.reshape(g, [-1]) for g in grads], 0)
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = self.learning_rate * tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        mean = self.mean + (1.0 - self.beta_1) * (gradient - self.mean)
        mean_square = self.mean_square + (1.0 - self.beta_2) * (tf.square(gradient) - self.mean_square)
        self.mean.assign(mean)
        self.mean_square.assign(mean_square)
        change = rate * mean / (tf.sqrt(mean_square) + self.epsilon)
        parts = tf.split(change, [math.prod(variable.shape) for variable in variables])
        for variable, part in zip(variables, parts, strict=True):
            variable.assign_sub(tf.reshape(part, variable.shape))
        self.iterations.assign_add(1)

    def get_config(self):
        """Arguments that make this optimiser again."""
        config = super().get_config()
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {"name": config["name"], "learning_rate": config["learning_rate"], **own}
