"""Callbacks for `fit`."""

import keras

from vimerge.merging.correlations import settle_correlations
from vimerge.merging.error_correlation import settle_shared_errors


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


class ConditionSurrogate(keras.callbacks.Callback):
    """Now and then, set q(F) to the exact posterior of each F given the scales learned so far.

    The parameters of q(F) are local: an optimiser that suits the scaling network moves them too slowly, their widths
    above all. Between conditionings the ELBO is maximised over everything as ever; with F integrated out, q(F) is set
    in no other way.

    Parameters
    ----------
    reflections : Reflections
        What the model is trained on.
    epochs : sequence of int
        After which epochs, counted from 1.
    test : Reflections, optional
        Held-out observations, whose terms of the ELBO are logged after each conditioning, as Keras logs `val_elbo` …
    """

    def __init__(self, reflections, epochs, test=None):
        super().__init__()
        self.reflections, self.epochs = reflections, frozenset(epochs)
        self.test = next(iter(test.dataset(shuffle=False))) if test is not None and len(test) else None

    def on_epoch_end(self, epoch, logs=None):
        """Condition where it is due."""
        if epoch + 1 not in self.epochs:
            return
        self.model.condition(self.reflections)
        if self.test is not None:
            # Once or twice a training, the test's operations run sooner than they are traced.
            terms = self.model.elbo(self.test)
            terms = {"loss": self.model.loss_of(terms), **terms._asdict()}
            logs.update({f"val_{name}": float(value) for name, value in terms.items()})


class Settle(keras.callbacks.Callback):
    """After an epoch, choose the correlations that prior and likelihood leave to the evidence, given the scales.

    Those of shared errors first, on which those of the structure factors depend more than they on these.

    Parameters
    ----------
    reflections : Reflections
        What the model is trained on.
    epoch : int
        After which, counted from 1.
    """

    def __init__(self, reflections, epoch):
        super().__init__()
        self.reflections, self.epoch = reflections, epoch

    def on_epoch_end(self, epoch, logs=None):
        """Choose when it is due."""
        if epoch + 1 == self.epoch:
            settle(self.model, self.reflections)


def settle(model, reflections):
    """Choose what is left to the evidence; see `Settle`."""
    settle_shared_errors(model, reflections)
    settle_correlations(model, reflections)


class ProgressBar(keras.callbacks.Callback):
    """One line that shows how far training is, with the ELBO per observation.

    Parameters
    ----------
    stream : file-like, optional
        Where to; standard error by default.
    """

    def __init__(self, stream=None):
        super().__init__()
        self.stream, self.bar = stream, None

    def on_train_begin(self, logs=None):
        """Draw the line."""
        from tqdm import tqdm

        self.bar = tqdm(total=self.params["epochs"], desc="training", unit="epoch", file=self.stream, leave=False)

    def on_epoch_end(self, epoch, logs=None):
        """Advance the line."""
        self.bar.set_postfix_str(f"ELBO {logs['elbo']:.3f}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        """Take the line away."""
        self.bar.close()


class Record(keras.callbacks.Callback):
    """Keep what is logged each epoch, as `rows`: what is logged only now and then is missing in between."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def on_epoch_end(self, epoch, logs=None):
        """Keep a row."""
        self.rows.append({"epoch": epoch + 1, **logs})
