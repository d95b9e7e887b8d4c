"""The model: the four families composed into one Monte Carlo ELBO."""

import keras
import tensorflow as tf

from vimerge.distributions import kl_divergence
from vimerge.merging.elbo import ELBO
from vimerge.merging.start import conditional_moments, start_from_data
from vimerge.merging.training import OBJECTIVES, TrainedByELBO
from vimerge.merging.trees import correlated, posterior_of_trees
from vimerge.reflections.errors import ReflectionDataError

__all__ = ["OBJECTIVES", "VariationalMergingModel"]

PARTS = ("surrogate", "prior", "scaling", "likelihood")


@keras.saving.register_keras_serializable(package="vimerge")
class VariationalMergingModel(TrainedByELBO):
    """Scaling and merging as one variational inference.

        ELBO = E_q(F)q(Σ) [ Σ_i log p(I_i | Σ_i F²_h(i), σ_i) ] − KL[q(F) || p(F)] − KL[q(Σ) || p(Σ)]

    is maximised by `fit` with reparameterized samples [1]_. Every term is reported per observation, so that its size
    does not depend on the batch.

    Parameters
    ----------
    surrogate : vimerge.surrogates.Surrogate
        q(F).
    prior : vimerge.priors.Prior
        p(F), of the same reflections as the surrogate.
    scaling : vimerge.scaling.Scaling
        q(Σ | metadata).
    likelihood : vimerge.likelihoods.Likelihood
        p(I | ΣF², σ).
    mc_samples : int
        Samples for each expectation.
    kl_weight : float
        What multiplies both KLs in the loss; 1 is Bayes' theorem.
    seed : int, optional
        Fixes the samples. Initial weights and batches have seeds of their own: `vimerge.set_seed` fixes all.
    objective : {"elbo", "collapsed"}
        What `fit` maximises; see the attribute.

    References
    ----------
    .. [1] Dalton, K. M., Greisman, J. B. & Hekstra, D. R. (2022). Nat. Commun. 13, 7764.
    """

    def __init__(
        self, surrogate, prior, scaling, likelihood, mc_samples=1, kl_weight=1.0, seed=None, objective="elbo", **kwargs
    ):
        super().__init__(**kwargs)
        if not surrogate.asu.matches(prior.asu):
            raise ValueError("The surrogate and the prior must be of the same reflections: give both the same asu.")
        if mc_samples < 1:
            raise ValueError(f"mc_samples must be 1 or more, not {mc_samples}.")
        self.surrogate, self.prior, self.scaling, self.likelihood = surrogate, prior, scaling, likelihood
        self.mc_samples, self.kl_weight, self.seed = int(mc_samples), float(kl_weight), seed
        self._samples_seed = keras.random.SeedGenerator(seed)
        self._has_data = None
        if self.correlated:
            self._parents = tf.constant(prior.parents, tf.int32)
            self._has_data = self.add_weight(
                name="has_data", shape=(len(prior.asu),), dtype="bool", initializer="ones", trainable=False
            )
        self.objective = objective
        # Every weight exists by now; Keras would otherwise build the model on a symbolic batch.
        for layer in self._flatten_layers():
            layer.built = True

    @property
    def asu(self):
        """The reflections that are merged, a ReciprocalASU."""
        return self.surrogate.asu

    @property
    def correlated(self):
        """Whether the prior ties reflections together, as `priors.MultivariateWilson` does."""
        return correlated(self.prior)

    @property
    def collapsible(self):
        """Whether "collapsed" is the objective of this class with F integrated out: it has none of its own."""
        ours = VariationalMergingModel
        return type(self).elbo is ours.elbo and type(self).train_step is ours.train_step and self.kl_weight == 1.0

    # --- the objective ------------------------------------------------------------------------------------------

    def elbo(self, batch, training=False):
        """Estimate the evidence lower bound from a batch.

        Parameters
        ----------
        batch : dict of tensors
            From `Reflections.dataset`.
        training : bool
            Whether the estimate is for training; for subclasses.

        Returns
        -------
        ELBO
            Named terms in nats per observation: `elbo` is the log-likelihood less both KLs, unweighted.
        """
        refl_id = batch["refl_id"]
        posterior = self.surrogate.distribution(refl_id)
        sample = self.surrogate.sample(posterior, self.mc_samples, self.next_seed())
        scale_posterior = self.scaling.distribution(batch)
        scale = scale_posterior.sample(self.mc_samples, seed=self.next_seed())

        log_likelihood = self.likelihood(scale * self.surrogate.intensity(sample), batch)
        kl_f = self._kl_of_f(refl_id, posterior, sample)
        kl_scale = self.scaling.kl_divergence(scale_posterior, scale)

        # The observation's weight makes the batch's sum an estimate of the mean over all observations; a reflection's
        # KL is shared among its predictions.
        weight = batch["weight"]
        weight_n = tf.gather(weight, batch["harmonic_id"])
        log_likelihood = tf.reduce_sum(weight * tf.reduce_mean(log_likelihood, axis=0))
        kl_f = tf.reduce_sum(weight_n * batch["kl_share"] * kl_f)
        kl_scale = tf.reduce_sum(weight_n * kl_scale)
        return ELBO(log_likelihood - kl_f - kl_scale, log_likelihood, kl_f, kl_scale)

    def _kl_of_f(self, refl_id, posterior, sample):
        """KL of q(F) and the prior for each prediction [N]; of a child the mean over its parent's q(F)."""
        over = self.surrogate.over
        kl = kl_divergence(posterior, self.prior.distribution(refl_id, over=over), sample)
        if not self.correlated:
            return kl
        parent = tf.gather(self._parents, refl_id)
        # Nothing would hold the posterior of a parent that was not observed; without it a child is a root.
        known = (parent >= 0) & tf.gather(self._has_data, tf.maximum(parent, 0))
        parent = tf.where(known, parent, refl_id)
        of_parent = self.surrogate.sample(self.surrogate.distribution(parent), self.mc_samples, self.next_seed())
        if over == "intensity":
            of_parent = tf.sqrt(of_parent)
        given = kl_divergence(posterior, self.prior.conditional(refl_id, of_parent, over), sample)
        # A closed form is of each of the parent's samples, a Monte Carlo estimate is the mean over them.
        given = given if given.shape.rank == 1 else tf.reduce_mean(given, axis=0)
        return tf.where(known, given, kl)

    def loss_of(self, terms):
        """The loss that `fit` minimises, given the terms of the ELBO; Keras's regularisation losses are added."""
        loss = self.kl_weight * (terms.kl_f + terms.kl_scale) - terms.log_likelihood
        return tf.add_n([loss, *self.losses]) if self.losses else loss

    def next_seed(self):
        """A new seed for samples, a tensor."""
        return tf.cast(self._samples_seed.next(), tf.int32)

    # --- before and after training -------------------------------------------------------------------------------

    def initialize(self, reflections):
        """Start from quick conventional estimates instead of from nothing.

        The prior takes its fall-off from the data, the scaling model its standardisation and the mean scale, and the
        surrogate of each reflection the mean of its observations, shrunk towards the prior. If the scaling model is
        frozen, as one that was trained before and is used again, the prior's fall-off is that of the scaled
        intensities, and the surrogate starts at its posterior.

        Parameters
        ----------
        reflections : Reflections
            What the model will be trained on.
        """
        self.check(reflections)
        if self.correlated:
            self._has_data.assign(reflections.multiplicity > 0)
        start_from_data(self, reflections)
        self._initialized = True

    def condition(self, reflections):
        """Set q(F) to the mean and sd of the exact posterior of each F given the present scales.

        With the scale known, reflections are independent and their posteriors one-dimensional: they are integrated by
        quadrature, for any likelihood and prior. Where the prior correlates reflections, the joint posterior of each
        tree of them is integrated, and q(F) has the mean and sd of its marginals.

        Parameters
        ----------
        reflections : Reflections
            The observations to use, of the model's ASU.
        """
        self.check(reflections)
        if not self.correlated:
            self.surrogate.assign_moments(*conditional_moments(self, reflections))
            return
        joint = posterior_of_trees(self, reflections)
        over_amplitude = self.surrogate.over == "amplitude"
        self.surrogate.assign_moments(*((joint.F, joint.SIGF) if over_amplitude else (joint.I, joint.SIGI)))

    def predicted(self, batch):
        """Predict the observations of a batch.

        Returns
        -------
        dict of tensors
            `Ipred`, `SIGIpred` [M]: mean and sd of ΣF², summed over harmonics, under the posterior (the noise of
            measuring it is not in SIGIpred); `scale`, `SIGscale` [N].
        """
        f = self.surrogate.moments(batch["refl_id"])
        scale_posterior = self.scaling.distribution(batch)
        scale, variance = scale_posterior.mean(), scale_posterior.variance()
        spread = variance * tf.square(f.I) + (variance + tf.square(scale)) * tf.square(f.SIGI)
        total, total_variance = (self.likelihood.sum_harmonics(x[tf.newaxis], batch)[0] for x in (scale * f.I, spread))
        return {"Ipred": total, "SIGIpred": tf.sqrt(total_variance), "scale": scale, "SIGscale": tf.sqrt(variance)}

    def predict_step(self, batch):
        """Means and standard deviations of the intensity and the scale of each observation; see `predict`."""
        return self.predicted(batch)

    def call(self, batch):
        """Mean predicted intensity of each observation of a batch, float32 [M]."""
        return self.predicted(batch)["Ipred"]

    def merge(self, reflections, moments=None):
        """Merged amplitudes and intensities of the reflections that were observed.

        Parameters
        ----------
        reflections : Reflections
            The observations that the model was trained on, whose number is reported.
        moments : Moments, optional
            E[F], sd(F), E[F²] and sd(F²) of each reflection, [R] each, in place of the surrogate's; those of
            `vimerge.evidence.corrected_moments`, say.

        Returns
        -------
        rs.DataSet
            `F SIGF I SIGI N`, and with Friedel mates apart the columns of each; see `merging.results.merged`. Of
            several data sets a dict of them, by name.
        """
        from vimerge.merging.results import merged_by_dataset

        self.check(reflections)
        moments = self.surrogate.moments() if moments is None else moments
        tables = merged_by_dataset(self.asu, moments, reflections.multiplicity)
        return tables.get("", tables)

    def parameters(self):
        """Learned numbers that have names, a dict by part of the model of dicts by name.

        The parts are "prior", "scaling" and "likelihood"; one that has learned nothing with a name is left out.
        """
        parts = {name: getattr(self, name).parameters() for name in ("prior", "scaling", "likelihood")}
        return {name: numbers for name, numbers in parts.items() if numbers}

    def check(self, reflections):
        """Raise a ReflectionDataError if these reflections are not numbered as the model's are."""
        if not self.asu.matches(reflections.asu):
            raise ReflectionDataError(
                "These reflections are not those that the model was made for: read the same files with the same "
                "options, and split or select what they give."
            )

    # --- saving --------------------------------------------------------------------------------------------------

    def get_config(self):
        """Arguments that make this model again."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        numbers = {"mc_samples": self.mc_samples, "kl_weight": self.kl_weight, "seed": self.seed}
        numbers["objective"] = self.objective
        return {"name": self.name, **parts, **numbers}

    @classmethod
    def from_config(cls, config):
        """Make the model from its configuration."""
        config = dict(config)
        for name in PARTS:
            config[name] = keras.saving.deserialize_keras_object(config[name])
        model = cls(**config)
        # Its weights are about to be loaded.
        model._initialized = True
        return model
