"""The members of the priors' contract: every public prior and fall-off, in each of their variants."""

import numpy as np
import pytest

from vimerge import priors

SIGMA = np.geomspace(1e-3, 1e6, 60)


def amplitudes(asu):
    """A reference on a scale of its own, without every seventh reflection."""
    f = 30.0 * np.sqrt(asu.epsilon * np.random.default_rng(1).exponential(size=len(asu)))
    f[::7] = np.nan
    return f


def reference(sigma_a, **options):
    return lambda asu: priors.Reference(asu, amplitudes(asu), sigma_a, **options)


MEMBERS = {
    "wilson-given": lambda asu: priors.Wilson(asu, SIGMA),
    "wilson-flat": lambda asu: priors.Wilson(asu, "flat"),
    "wilson-isotropic": lambda asu: priors.Wilson(asu, "isotropic"),
    "wilson-anisotropic": lambda asu: priors.Wilson(asu, "anisotropic"),
    "wilson-smooth": lambda asu: priors.Wilson(asu),
    "wilson-isotropic-learned": lambda asu: priors.Wilson(asu, priors.IsotropicFallOff(learn=True)),
    "wilson-anisotropic-learned": lambda asu: priors.Wilson(asu, priors.AnisotropicFallOff(learn=True)),
    "wilson-smooth-learned": lambda asu: priors.Wilson(asu, priors.SmoothFallOff(learn=True)),
    "wilson-modulated": lambda asu: priors.Wilson(
        asu, 3.0, modulation=priors.tncs_modulation(asu, (0.5, 0.5, 0.48), 0.8)
    ),
    "reference-given": reference(0.9, falloff=SIGMA),
    "reference-given-each": reference(np.linspace(0.0, 0.999, 60)),
    "reference-estimated": reference(priors.SigmaA(2, learn=False)),
    "reference-learned": reference("learned", falloff=SIGMA),
    "reference-all-learned": lambda asu: reference(
        priors.SigmaA(3), falloff=priors.AnisotropicFallOff(learn=True), modulation=np.linspace(0.5, 1.5, 60)
    )(asu),
}
CLASSES = {priors.Wilson, priors.Reference}


@pytest.fixture(params=MEMBERS)
def prior(request, asu):
    return MEMBERS[request.param](asu)
