"""Which columns of the files a conventional merge works with."""

import logging
import os

from vimerge.reflections import Reflections
from vimerge.reflections.assemble import assemble
from vimerge.reflections.columns import choose_keys
from vimerge.reflections.errors import AmbiguousColumnError
from vimerge.reflections.geometry import beam_columns
from vimerge.reflections.readers import read_raw

__all__ = ["DETECTOR", "DIRECTION", "PROFILE", "ROTATION", "read_for_scaling"]

log = logging.getLogger("vimerge")

ROTATION = "ROT"
DETECTOR = ("XDET", "YDET", "X", "Y")
DIRECTION = ("S1X", "S1Y", "S1Z")
PROFILE = ("IPR", "SIGIPR")
_PARTIALITY = ("FRACTIONCALC", "MPART_N", "MPART_I")
# Only MOSFLM writes both: bits for bad backgrounds, overloaded pixels and spots at the edge. (Its limits on
# the background and peak ratios, the lowest two bits, are no reason to reject.)
_FLAGS, _RATIOS = "FLAG", "BGPKRATIOS"
_BAD = ~3


def read_for_scaling(
    paths, *, space_group=None, intensity_key=None, uncertainty_key=None, image_key=None, extra=(), **options
):
    """
    Read observations with what scales can depend on, as far as all files have it.

    Parameters
    ----------
    paths : sequence of path
        Unmerged reflection files.
    space_group, intensity_key, uncertainty_key, image_key
        As for `Reflections.read`; of several intensities in a file, profile-fitted ones (IPR) are taken.
    extra : sequence of str
        Further columns to read, which have to be there.
    **options
        `anomalous` and `dmin` of `Reflections.read`.

    Returns
    -------
    Reflections
        Its metadata are ROT, XDET and YDET (or X and Y), the beams' directions S1X S1Y S1Z if batch headers tell them,
        columns that tell of partials, and `extra`. What MOSFLM flagged as overloaded, at the detector's edge or with a
        bad background is left out.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    raws = [read_raw(path, space_group=space_group) for path in paths]
    keys = {"intensity_key": intensity_key, "uncertainty_key": uncertainty_key, "image_key": image_key}
    if intensity_key is None and uncertainty_key is None and all(_has_profile(raw, keys) for raw in raws):
        keys |= dict(zip(("intensity_key", "uncertainty_key"), PROFILE, strict=True))
        log.info("profile-fitted intensities %s are taken; choose others with --intensity-key", PROFILE[0])
    names = [name for name in (ROTATION, *DETECTOR, *_PARTIALITY) if all(name in raw.columns for raw in raws)]
    try:
        for raw in raws:
            if not all(name in raw.columns for name in DIRECTION):
                raw.columns.update(beam_columns(raw, choose_keys(raw, **keys).image))
        names += DIRECTION
    except ValueError as error:
        log.info("the beams' directions in the crystal are not known: %s", error)
    if flagged := all(name in raw.columns for raw in raws for name in (_FLAGS, _RATIOS)):
        names.append(_FLAGS)
    names += [name for name in extra if name not in names]
    reflections = Reflections(**assemble(raws, space_group=space_group, metadata=names, **keys, **options))
    return _without_flagged(reflections) if flagged else reflections


def _without_flagged(reflections):
    if _FLAGS not in reflections.metadata_keys:
        return reflections
    bad = (reflections.metadata[:, reflections.metadata_keys.index(_FLAGS)].astype(int) & _BAD) != 0
    if bad.any() and not bad.all():
        log.info("%s observations rejected that MOSFLM flagged as overloaded, at the edge or badly fitted", bad.sum())
        reflections = reflections[~bad]
    return reflections


def _has_profile(raw, keys):
    """Whether the choice of an intensity is open, and profile-fitted ones are among them."""
    try:
        choose_keys(raw, **keys)
    except AmbiguousColumnError:
        return all(name in raw.columns for name in PROFILE)
    return False
