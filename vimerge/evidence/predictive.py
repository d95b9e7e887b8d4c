"""The density of observations that a model was not trained on."""

import numpy as np
import tensorflow as tf

from vimerge.evidence.monte_carlo import no_nan
from vimerge.merging.joint import CELLS


def log_predictive(model, reflections, samples=1000, seed=0):
    """Log posterior predictive density of each observation, to compare models on held-out data [1]_.

        log p(I_i | D) ≈ log ∫∫ p(I_i | Σ_i F²_h(i), σ_i) q(F) q(Σ) dF dΣ

    by the mean over samples of q(F) and q(Σ), the ΣF² of an observation's harmonics added up. The density is in the
    units of the file: a difference between two models has none. With K samples its logarithm is too small by
    v/(2K) on average, v being the relative variance of the density over q, some 0.7 sd(ΣF²)/σ where that is large.

    Parameters
    ----------
    model : VariationalMergingModel
        Trained. A surrogate or a scale that is a point gives the plug-in density.
    reflections : Reflections
        Observations of the model's ASU, those held out, say; of single wavelengths or of several harmonics.
    samples : int, optional
        K, of each reflection and each scale.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    array, float64 [M]
        In nats, −∞ where no sample gives the observation a density.

    Raises
    ------
    ReflectionDataError
        If the reflections are not those of the model, or if there are none.
    ValueError
        If there are no samples.

    References
    ----------
    .. [1] Gelman, A., Hwang, J. & Vehtari, A. (2014). Stat. Comput. 24, 997–1016.
    """
    if samples < 1:
        raise ValueError(f"The number of samples must be 1 or more, not {samples}.")
    model.check(reflections)
    batches = reflections.dataset(batch_size=max(1, CELLS // samples), shuffle=False)
    return np.concatenate([_of_batch(model, batch, samples, (seed, i)) for i, batch in enumerate(batches)])


def _of_batch(model, batch, samples, seed):
    surrogate = model.surrogate
    # One set of samples for each reflection: its observations do not depend on it, and the harmonics of one differ.
    refl_id, row = tf.unique(batch["refl_id"])
    of_f, of_scale = (tf.constant((2 * seed[0] + i, seed[1]), tf.int32) for i in (0, 1))
    f = surrogate.sample(surrogate.distribution(refl_id), samples, of_f)
    scale = model.scaling.distribution(batch).sample(samples, seed=of_scale)
    ipred = scale * tf.gather(surrogate.intensity(f), row, axis=1)
    log_density = no_nan(model.likelihood(ipred, batch).numpy().astype(np.float64))
    return np.logaddexp.reduce(log_density, axis=0) - np.log(samples)
