"""Correlations of structure factors that are chosen once the scales are known."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.priors.correlation import Correlation, in_range
from vimerge.priors.packing import pack, unpack
from vimerge.priors.wilson import per_reflection


@keras.saving.register_keras_serializable(package="vimerge.priors")
class ChosenCorrelation(Correlation):
    """r that the evidence of the data chooses, or that anyone may assign.

    The scales can be trained with each amplitude's marginal prior, in which r has no part; given the scales the
    evidence of every r follows by quadrature. `vimerge.merging.choose_correlations` finds the r of most evidence in
    shells of resolution, and `merging.recipe.train` assigns it here before q(F) is set for the last time. Until then
    what is to be chosen is zero, as if the data said nothing of each other.

    Parameters
    ----------
    values : array_like, [R], optional
        r from 0 to 0.99999 of each reflection with its parent where it is given, NaN where it is to be chosen; a
        root's is not used. By default all are to be chosen.
    table : list of dict, optional
        What was assigned, in words and numbers: rows of the table of `choose_correlations`.

    Attributes
    ----------
    open : array, bool [R]
        Where r is to be chosen, whether or not it has been.
    table : list of dict
        What was assigned; empty before.

    Raises
    ------
    ValueError
        If a correlation is out of range.
    """

    def __init__(self, values=None, table=(), **kwargs):
        super().__init__(**kwargs)
        self.values = None if values is None else np.asarray(values, np.float64)
        self.table = [dict(row) for row in table]
        if self.values is not None:
            in_range(self.values[~np.isnan(self.values)])

    def assign(self, values, table=()):
        """Set the correlations.

        Parameters
        ----------
        values : float or array_like, [R]
            r of each reflection with its parent.
        table : list of dict, optional
            See the class.

        Raises
        ------
        ValueError
            If a correlation is out of range.
        """
        self._set(np.broadcast_to(in_range(np.asarray(values, np.float64)), len(self.asu)))
        self.table = [dict(row) for row in table]

    def _bind(self, asu):
        values = np.full(len(asu), np.nan) if self.values is None else self.values
        values = per_reflection(asu, values, "correlation", np.float64)
        self.open = np.isnan(values)
        # A variable: a step of training that was traced before r is chosen sees it.
        self._log_of_all = self.add_weight(name="log_r", shape=(len(asu),), initializer="zeros", trainable=False)
        self._set(np.where(self.open, 0.0, values))

    def _set(self, values):
        with np.errstate(divide="ignore"):
            self._log_of_all.assign(np.log(values))

    def _log(self, refl_id):
        return tf.gather(tf.convert_to_tensor(self._log_of_all), refl_id)

    def get_config(self):
        """Arguments that make this layer again."""
        values = None if self.values is None else pack(self.values, "<f8")
        return {**super().get_config(), "values": values, "table": self.table}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        return cls(**{**config, "values": unpack(config.get("values"), "<f8")})
