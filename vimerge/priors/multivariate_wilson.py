"""Wilson's prior of related crystals, whose structure factors are correlated."""

import keras
import numpy as np
import tensorflow as tf

from vimerge.distributions import ByCentricity, FoldedNormal, Rice, Squared
from vimerge.priors.amplitude_density import log_amplitude_density
from vimerge.priors.chosen_correlation import ChosenCorrelation
from vimerge.priors.correlation import Correlation, GivenCorrelation
from vimerge.priors.correlation_by_resolution import CorrelationByResolution
from vimerge.priors.forest import check_parents
from vimerge.priors.packing import pack, unpack
from vimerge.priors.wilson import Wilson
from vimerge.reflections.relations import friedel_parents


@keras.saving.register_keras_serializable(package="vimerge.priors")
class MultivariateWilson(Wilson):
    """Amplitudes of related crystals, or of Friedel mates, on a forest of parents and children [1]_ [2]_.

    The structure factor of a child, E_c = F_c/√(εΣ_c), is normally distributed, complex or where it is centric real,
    about r E_p, that of its parent, with the variance 1 − r². Phases are unknown. Given its parent's amplitude, the
    child's has therefore a Rice distribution of location r F_p √(εΣ_c/εΣ_p) and scale √(εΣ_c (1 − r²)/2) where it is
    acentric, a folded normal distribution of the same location and scale √(εΣ_c (1 − r²)) where it is centric.

    A rotation of all the phases of a tree changes nothing, so that what a child adds depends on its parent's amplitude
    alone. The joint density of the amplitudes is then the product over the forest

        p(F) = Π_roots p(F_h) Π_children p(F_h | F_parent(h)),

    in which each amplitude by itself has Wilson's distribution: that is what `distribution` gives, as it does in
    `Wilson`. A child of a child is correlated with the first by the product of the two r.

    Parameters
    ----------
    asu : ReciprocalASU
        The reflections, R of them, of all the data sets.
    parents : array_like, int [R]
        The refl_id of each reflection's parent, as `reflections.dataset_parents` finds it; −1 for roots, as for
        reflections that the parent's data set lacks.
        A child of a centric reflection must be centric, and of an acentric one acentric.
    correlation : float, array_like [R], "auto" or Correlation
        r from 0 to 0.99999: one number, one for each reflection with its parent, or a layer, such as
        `CorrelationByResolution`. "auto" is a `ChosenCorrelation`, which the evidence chooses once scales are known.
    falloff, modulation
        See `Wilson`. A child's Σ may differ from its parent's.
    learn : bool
        Whether r is learned with the model, starting from the number given: one for all, by
        ``CorrelationByResolution(initial=correlation)``.

    Attributes
    ----------
    parents : array, int32 [R]
    correlation : Correlation

    Raises
    ------
    ValueError
        If the parents are no forest or the correlations are out of range.

    References
    ----------
    .. [1] Srinivasan, R. & Ramachandran, G. N. (1965). Acta Cryst. 19, 1008–1014.
    .. [2] Pannu, N. S., McCoy, A. J. & Read, R. J. (2003). Acta Cryst. D59, 1801–1808.
    """

    def __init__(self, asu, parents, correlation=0.99, falloff="smooth", modulation=None, learn=False, **kwargs):
        super().__init__(asu, falloff=falloff, modulation=modulation, **kwargs)
        self.parents = check_parents(self.asu, parents)
        self.correlation = make_correlation(correlation, learn)
        self.correlation.bind(self.asu)
        self._known_of_all = tf.constant(self.parents >= 0)
        self._parent_or_self = tf.constant(
            np.where(self.parents >= 0, self.parents, np.arange(len(self.asu))), tf.int32
        )

    @classmethod
    def friedel(cls, asu, correlation=0.99, **options):
        """Tie the Friedel mates of one data set together, the minus mate being the child of the plus mate.

        Parameters
        ----------
        asu : ReciprocalASU
            Friedel mates apart.
        correlation, **options
            As of the class.

        Returns
        -------
        MultivariateWilson
        """
        return cls(asu, friedel_parents(asu), correlation, **options)

    def conditional(self, refl_id, parent_amplitude, over="amplitude"):
        """The prior of some reflections given the amplitudes of their parents.

        Parameters
        ----------
        refl_id : tensor, int32 [N]
            Which reflections.
        parent_amplitude : tensor, float32 [..., N]
            F of the parent of each; what is given for a root makes no difference.
        over : {"amplitude", "intensity"}
            Whether the distribution is of F or of F².

        Returns
        -------
        tfd.Distribution
            Batch shape [..., N]; of roots, Wilson's.
        """
        if over not in ("amplitude", "intensity"):
            raise ValueError(f"A prior is over 'amplitude' or 'intensity', not over {over!r}.")
        refl_id, parent_amplitude = tf.convert_to_tensor(refl_id), tf.convert_to_tensor(parent_amplitude, tf.float32)
        return self._conditional(refl_id, tf.gather(self._centric, refl_id), parent_amplitude, over)

    def log_marginal(self, refl_id, f):
        """Log density of amplitudes by themselves, Wilson's, in double precision.

        Parameters
        ----------
        refl_id : array, int [N]
        f : array, [..., N]

        Returns
        -------
        array, float64 [..., N]
        """
        expected = self._expected(refl_id).numpy()
        return log_amplitude_density(f, 0.0, expected, self.asu.centric[refl_id])

    def log_conditional(self, refl_id, f, parent_amplitude):
        """Log density of amplitudes given those of their parents, in double precision.

        Parameters
        ----------
        refl_id : array, int [N]
        f : array, [..., N]
            F of each reflection.
        parent_amplitude : array, [..., N]
            F of its parent; what is given for a root makes no difference. It broadcasts with `f`.

        Returns
        -------
        array, float64 [..., N]
        """
        known, expected, r, complement, ratio = (x.numpy() for x in self._pair(refl_id))
        loc = np.where(known, parent_amplitude, 0.0) * (r.astype(np.float64) * ratio)
        variance = expected.astype(np.float64) * complement
        return log_amplitude_density(f, loc, variance, self.asu.centric[refl_id])

    def parameters(self):
        """Learned numbers by their usual names: those of the fall-off and of the correlation."""
        return {**super().parameters(), **self.correlation.parameters()}

    def _adapt(self, reflections):
        super()._adapt(reflections)
        self.correlation.adapt(reflections)

    def _pair(self, refl_id):
        """Whether there is a parent, εΣ, r, 1 − r² and √(εΣ_c/εΣ_p), each [N]; of roots as if uncorrelated."""
        known, expected = tf.gather(self._known_of_all, refl_id), self._expected(refl_id)
        ratio = tf.sqrt(expected / self._expected(tf.gather(self._parent_or_self, refl_id)))
        r, complement = self.correlation(refl_id), self.correlation.complement(refl_id)
        return known, expected, tf.where(known, r, 0.0), tf.where(known, complement, 1.0), ratio

    def _conditional(self, refl_id, centric, parent_amplitude, over):
        known, expected, r, complement, ratio = self._pair(refl_id)
        loc = tf.where(known, parent_amplitude, 0.0) * (r * ratio)
        scale = tf.sqrt(expected) * tf.sqrt(complement)
        # A real number has the whole variance, each part of a complex one has half.
        if_centric, if_acentric = FoldedNormal(loc, scale), Rice(loc, np.float32(np.sqrt(0.5)) * scale)
        if over == "intensity":
            if_centric, if_acentric = Squared(if_centric), Squared(if_acentric)
        return ByCentricity(centric, if_centric, if_acentric)

    def get_config(self):
        """Arguments that make this layer again."""
        correlation = keras.saving.serialize_keras_object(self.correlation)
        return {**super().get_config(), "parents": pack(self.parents, "<i4"), "correlation": correlation}

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        config = {**config, "parents": unpack(config["parents"], "<i4")}
        config["correlation"] = keras.saving.deserialize_keras_object(config["correlation"])
        return super().from_config(config)


def make_correlation(correlation, learn=False):
    """Make a correlation from a number, from one for each reflection or from "auto"; a Correlation stays as it is.

    Raises
    ------
    ValueError
        If one for each reflection is to be learned, a Correlation is told whether to learn, or it is another word.
    """
    if isinstance(correlation, Correlation):
        if learn:
            raise ValueError(
                f"A {type(correlation).__name__} knows by itself whether it is learned: leave out learn=True."
            )
        return correlation
    if isinstance(correlation, str):
        if correlation != "auto" or learn:
            raise ValueError(f'A correlation is a number, or "auto" to be chosen and not learned, not {correlation!r}.')
        return ChosenCorrelation()
    if not learn:
        return GivenCorrelation(correlation)
    if np.ndim(correlation):
        raise ValueError(
            "A correlation for each reflection cannot be learned: give CorrelationByResolution(edges=...) instead, "
            "which learns one for each edge."
        )
    return CorrelationByResolution(initial=correlation)
