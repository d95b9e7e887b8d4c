"""A trained model's posterior in the form that ArviZ reads."""

import warnings

import numpy as np

from vimerge.evidence.monte_carlo import draw
from vimerge.evidence.pareto import psis
from vimerge.merging.joint import LogJoint


def to_inference_data(model, reflections, samples=500, seed=0):
    """Samples of the posterior, the prior and the data as an ArviZ `InferenceData` of one chain.

    Parameters
    ----------
    model : VariationalMergingModel
        Trained.
    reflections : Reflections
        Observations of the model's ASU, monochromatic.
    samples : int, optional
        Draws of each reflection.
    seed : int, optional
        Fixes the samples.

    Returns
    -------
    arviz.InferenceData
        `posterior` and `prior`: F of each `reflection`, named "h k l"; `sample_stats`: `log_weight`, the normalised and
        smoothed importance weight of each sample; `observed_data`: iobs, sigiobs and refl_id of each `observation`;
        `constant_data`: khat, h, k, l of each reflection.

    Raises
    ------
    ImportError
        If ArviZ is not installed.
    """
    try:
        with warnings.catch_warnings():
            # ArviZ announces its next major version whenever it is imported.
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
    except ImportError as error:
        raise ImportError("to_inference_data needs ArviZ: pip install 'arviz<1'.") from error

    joint = LogJoint(model, reflections)
    ids = np.arange(joint.number)
    draws = draw(joint, ids, samples, (seed, 0))
    log_weight, khat = psis(draws.log_weight)
    f = draws.x if model.surrogate.over == "amplitude" else np.sqrt(draws.x)
    prior = model.prior.distribution(ids.astype(np.int32)).sample(samples, seed=(seed, 1)).numpy()
    hkl = np.asarray(model.asu.miller_index)
    return arviz.from_dict(
        posterior={"F": f[np.newaxis]},
        prior={"F": prior[np.newaxis]},
        sample_stats={"log_weight": log_weight[np.newaxis]},
        observed_data={name: getattr(reflections, name) for name in ("iobs", "sigiobs", "refl_id")},
        constant_data={"khat": khat, **dict(zip("hkl", hkl.T, strict=True))},
        coords={"reflection": [" ".join(map(str, index)) for index in hkl], "observation": np.arange(len(reflections))},
        dims={
            **{name: ["reflection"] for name in ("F", "log_weight", "khat", "h", "k", "l")},
            **{name: ["observation"] for name in ("iobs", "sigiobs", "refl_id")},
        },
    )
