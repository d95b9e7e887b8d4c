"""A sum of scaling models."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.scaling.base import Scaling


@keras.saving.register_keras_serializable(package="vimerge.scaling")
class Sum(Scaling):
    """A scaling model whose log Σ is the sum of those of its parts: the product of their scales.

    Every parameter of the posterior is the sum of the parts'. The posterior of the sum is the only one: those of the
    parts are not used. A part can be frozen by itself, with `part.trainable = False`, and stays as it is; the sum still
    starts at the mean scale of the data.

    Parameters
    ----------
    parts : sequence of Scaling
        Of the same metadata and the same family of posterior.
    posterior : ScalePosterior or str, optional
        See `Scaling`; by default as the first part's.

    Raises
    ------
    ValueError
        If there is no part, or they do not go together.
    TypeError
        If one is no scaling model.

    Examples
    --------
    >>> keys = reflections.metadata_keys
    >>> Sum([ImageScale(keys, reflections.n_images), Detector(keys)])
    """

    def __init__(self, parts, posterior=None, **kwargs):
        parts = list(parts)
        _check_parts(parts)
        if posterior is None:
            config = parts[0].posterior.get_config()
            config.pop("name")
            posterior = type(parts[0].posterior).from_config(config)
        super().__init__(posterior, **kwargs)
        if type(self.posterior) is not type(parts[0].posterior):
            raise ValueError(
                f"The parts have a {type(parts[0].posterior).__name__} posterior and the sum a "
                f"{type(self.posterior).__name__} one: give all the same."
            )
        for part in parts:
            # Its weights were made by its constructor; Keras would warn that it was not built.
            part.built = True
        self.parts = parts
        self.metadata_keys = next((part.metadata_keys for part in parts if part.metadata_keys is not None), None)
        self._start = self._fixed("log_mean_scale")

    def parameters(self):
        """The parts' learned numbers by the names of their classes, numbered if there are several of one."""
        learned, seen = {}, {}
        for part in self.parts:
            name = type(part).__name__
            seen[name] = seen.get(name, 0) + 1
            if numbers := part.parameters():
                learned[name if seen[name] == 1 else f"{name} {seen[name]}"] = numbers
        return learned

    def _check(self, reflections):
        for part in self.parts:
            part._check(reflections)

    def _adapt(self, reflections, mean_scale):
        for part in self.parts:
            part.adapt(reflections)
        start = np.log(mean_scale)
        frozen = [part for part in self.parts if not part.trainable]
        if frozen:
            # What they say of these data already, the mean scale of those they were trained on included.
            batch = {"metadata": tf.constant(reflections.metadata), "image_id": tf.constant(reflections.image_id)}
            log_scale = np.asarray(tf.add_n([part._parameters(batch)[:, 0] for part in frozen]), np.float64)
            start -= log_scale.max() + np.log(np.exp(log_scale - log_scale.max()).mean())
        self._start.assign(float(start))

    def _parameters(self, batch):
        raw = tf.add_n([part._parameters(batch) for part in self.parts])
        return raw + tf.one_hot(0, self.posterior.n_parameters) * self._start

    def get_config(self):
        """Arguments that make this layer again."""
        config = super().get_config()
        config.pop("metadata_keys", None)
        return {**config, "parts": [keras.saving.serialize_keras_object(part) for part in self.parts]}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        parts = [keras.saving.deserialize_keras_object(p) if isinstance(p, dict) else p for p in config["parts"]]
        return super().from_config({**config, "parts": parts})


def _check_parts(parts):
    if not parts:
        raise ValueError("A sum needs one scaling model at least.")
    for part in parts:
        if not isinstance(part, Scaling):
            raise TypeError(f"The parts of a sum must be scaling models, not {type(part).__name__}.")
    for what, members in (("part", parts), ("posterior", [part.posterior for part in parts])):
        if len({id(member) for member in members}) < len(members):
            raise ValueError(f"The same {what} is in the sum twice: make one for each.")
    families = sorted({type(part.posterior).__name__ for part in parts})
    if len(families) > 1:
        raise ValueError(f"The parts of a sum have posteriors of several families, {', '.join(families)}: choose one.")
    keys = {part.metadata_keys for part in parts if part.metadata_keys is not None}
    if len(keys) > 1:
        raise ValueError("The parts of a sum were made for different metadata: give all the same metadata_keys.")
