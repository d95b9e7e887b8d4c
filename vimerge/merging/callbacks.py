"""Callbacks for `fit`."""

import keras


class NonFiniteGradientError(RuntimeError):
    """Training stopped because many gradients in a row were not finite."""


class NonFiniteGuard(keras.callbacks.Callback):
    """Stop training when many steps in a row were skipped because their gradient was not finite.

    Parameters
    ----------
    limit : int
        How many steps in a row are too many.
    """

    def __init__(self, limit=20):
        super().__init__()
        self.limit = limit

    def on_train_begin(self, logs=None):
        """Count anew."""
        self.model._skipped_in_a_row.assign(0)

    def on_train_batch_end(self, batch, logs=None):
        """Look at the count."""
        count = int(self.model._skipped_in_a_row)
        if count >= self.limit:
            raise NonFiniteGradientError(
                f"{count} steps in a row had a gradient that is not finite: try a lower learning rate, clip the "
                "gradient (keras.optimizers.Adam(..., global_clipnorm=1.0)), or look for extreme intensities, sigmas "
                "or metadata in the data."
            )
