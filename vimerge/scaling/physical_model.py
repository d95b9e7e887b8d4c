"""The usual physical scaling model of a rotation experiment."""

import logging

from vimerge.reflections.metadata import detector_position
from vimerge.scaling.absorption import Absorption
from vimerge.scaling.detector import Detector
from vimerge.scaling.smooth import Smooth
from vimerge.scaling.sum import Sum

log = logging.getLogger("vimerge")

ROTATION = "ROT"


def physical(
    reflections, *, rotation=None, spacing=10.0, directions=None, degree=4, position=None, nodes=5, posterior="delta"
):
    """Make the physical model that the metadata allow: rotation, absorption and detector [1]_.

    Parameters
    ----------
    reflections : Reflections
        What will be scaled.
    rotation : str, optional
        The column along which k and B are smooth, "ROT" where there is one; see `Smooth`.
    spacing : float
        The distance between nodes at most, in its units.
    directions : sequence of str, optional
        Three columns with the direction of the diffracted beam in the crystal's frame; see `Absorption`. Without them
        there is no absorption.
    degree : int
        The highest degree of its spherical harmonics.
    position : sequence of str, optional
        Two columns with the position on the detector, "XDET" and "YDET", or "X" and "Y", where there are both; see
        `Detector`.
    nodes : int or (int, int)
        How many nodes along x and y.
    posterior : str
        The family of q(Σ) by its name.

    Returns
    -------
    Sum

    Raises
    ------
    ValueError
        If a column that was named is not there, or there is none for any part.

    References
    ----------
    .. [1] Evans, P. R. (2006). Acta Cryst. D62, 72–82.
    """
    keys = reflections.metadata_keys
    parts = []
    if rotation is not None or ROTATION in keys:
        parts.append(Smooth.from_reflections(reflections, rotation or ROTATION, spacing=spacing, posterior=posterior))
    if directions is not None:
        parts.append(Absorption(keys, directions, degree, posterior=posterior))
    position = position or detector_position(keys)
    if position is not None:
        parts.append(Detector(keys, position, nodes, posterior=posterior))
    if not parts:
        raise ValueError(
            f"A physical scaling model needs the metadata {ROTATION}, or XDET and YDET, or X and Y, or columns named "
            f"with rotation=, directions= or position=; there are {', '.join(keys) or 'none'}."
        )
    log.info("physical scaling model of %s", ", ".join(type(part).__name__ for part in parts))
    return Sum(parts)
