"""What is done reflection by reflection needs reflections that are independent."""

from vimerge.merging.trees import correlated


def check_independent(model):
    """Raise a ValueError if the prior ties reflections together."""
    if correlated(model.prior):
        raise ValueError(
            "The prior correlates reflections, which have no posterior of their own: use posterior_of_trees of "
            "vimerge.merging.trees, which integrates them together, or the bounds elbo and importance."
        )
