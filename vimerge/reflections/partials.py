"""Partially recorded reflections: parts on neighbouring images are summed, and what stays incomplete is judged."""

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.errors import OptionError

__all__ = ["PARTIALS", "Summed", "has_partials", "sum_partials"]

logger = logging.getLogger("vimerge")

PARTIALS = ("sum", "scale", "single")
# Calculated fractions add up to 1 within a few per cent, as orientations are refined from image to image; beyond, a
# part is missing or there are too many.
COMPLETE = 0.95
EXCESS = 1.05


class Summed(NamedTuple):
    """
    Observations after the sum over their parts.

    Parameters
    ----------
    reflections : Reflections
        One row for each sum, with the image and the metadata of its largest part.
    fraction : np.ndarray
        ``[M]``: the calculated fraction that was recorded, by which intensities were divided if it was incomplete.
    parts : np.ndarray
        ``[M]``: the number of images added up.
    """

    reflections: object
    fraction: np.ndarray
    parts: np.ndarray


def sum_partials(reflections, how="sum", minimum=0.5):
    """
    Add up reflections that MOSFLM and its like recorded on neighbouring images.

    Parts are the same observed index on consecutive images of a file, numbered 1 … n by MPART_I and MPART_N or, where
    there are no such columns, with a FRACTIONCALC of less than 0.95. A sum is complete if all its parts are there or
    if their fractions add up to 0.95 … 1.05. Its variance is the sum of the parts'.

    Parameters
    ----------
    reflections : Reflections
        With any of MPART_N, MPART_I and FRACTIONCALC among its metadata; without them all are taken to be full.
    how : {"sum", "scale", "single"}
        "sum" rejects incomplete sums; "scale" divides them by their fraction if it is at least `minimum`, and rejects
        the others; "single" adds nothing up and divides each part by its own fraction in the same way.
    minimum : float
        The least fraction to scale.

    Returns
    -------
    Summed

    Raises
    ------
    OptionError
        If `how` is unknown or the minimum is not in (0, 1], or nothing is left.
    """
    if how not in PARTIALS:
        raise OptionError(f"Partials cannot be treated as {how!r}; choose --partials from {', '.join(PARTIALS)}.")
    if not 0 < minimum <= 1:
        raise OptionError(f"The least fraction to scale must be in (0, 1], not {minimum:g}; correct --min-fraction.")
    fraction = _column(reflections, "FRACTIONCALC")
    number, part = _column(reflections, "MPART_N"), _column(reflections, "MPART_I")
    if fraction is None and number is None:
        ones = np.ones(len(reflections))
        return Summed(reflections, ones, ones.astype(np.int32))
    full = number == 0 if number is not None else fraction >= COMPLETE
    fraction = np.where(full, 1.0, 1.0 if fraction is None else fraction)
    if how == "single":
        return _judge(reflections, fraction, np.ones(len(reflections), np.int32), full, "scale", minimum)

    order, first = _chains(reflections, full, part)
    size = np.diff(np.append(first, len(order)))
    total = np.add.reduceat(fraction[order], first)
    # The part that holds most stands for the sum; the earliest among equals.
    largest = order[first + _argmax(fraction[order], first, size)]
    whole = full[order][first] | (
        (total >= COMPLETE) & (total <= EXCESS) & (_column(reflections, "FRACTIONCALC") is not None)
    )
    if number is not None:
        whole |= size == number[order][first]
    iobs = np.add.reduceat(reflections.iobs[order].astype(np.float64), first)
    variance = np.add.reduceat(np.square(reflections.sigiobs[order], dtype=np.float64), first)
    back = np.argsort(largest, kind="stable")
    summed = replace(
        reflections[largest[back]],
        iobs=iobs[back].astype(np.float32),
        sigiobs=np.sqrt(variance[back]).astype(np.float32),
    )
    if len(summed) < len(reflections):
        logger.info("%s observations are sums of %s parts", f"{len(summed):,}", f"{len(reflections):,}")
    return _judge(summed, total[back], size[back].astype(np.int32), whole[back], how, minimum)


def has_partials(reflections):
    """Whether the metadata tell of parts of reflections, bool."""
    number, fraction = _column(reflections, "MPART_N"), _column(reflections, "FRACTIONCALC")
    return bool(number is not None and np.any(number > 0)) or bool(
        number is None and fraction is not None and np.any(fraction < COMPLETE)
    )


def _column(reflections, name):
    """A column of the metadata as float64, or None."""
    keys = reflections.metadata_keys
    return reflections.metadata[:, keys.index(name)].astype(np.float64) if name in keys else None


def _chains(reflections, full, part):
    """An order of the observations in which the parts of a reflection follow each other, and where each begins."""
    image = reflections.images["image"].to_numpy()[reflections.image_id]
    key = miller.pack(reflections.hkl)
    order = np.lexsort((image, key, reflections.file_id))
    key, image, file_id, full = key[order], image[order], reflections.file_id[order], full[order]
    follows = (key[1:] == key[:-1]) & (image[1:] == image[:-1] + 1) & (file_id[1:] == file_id[:-1])
    follows &= ~full[1:] & ~full[:-1]
    if part is not None:
        # A new first part begins another passage through the Ewald sphere.
        follows &= part[order][1:] != 1
    return order, np.flatnonzero(np.append(True, ~follows))


def _argmax(values, first, size):
    """Position of the maximum within each run."""
    top = np.repeat(np.maximum.reduceat(values, first), size)
    position = np.arange(len(values)) - np.repeat(first, size)
    return np.minimum.reduceat(np.where(values == top, position, len(values)), first)


def _judge(reflections, fraction, parts, whole, how, minimum):
    incomplete = ~whole
    keep = whole.copy()
    if how == "scale":
        keep |= (fraction >= minimum) & (fraction <= EXCESS)
    divisor = np.where(incomplete & (fraction < COMPLETE), np.maximum(fraction, 1e-6), 1.0)
    if not keep.any():
        raise OptionError("No reflection is recorded completely; choose --partials scale or single.")
    lost = np.count_nonzero(~keep)
    if lost:
        logger.info("%s incomplete observations rejected", f"{lost:,}")
    if scaled := np.count_nonzero(keep & (divisor != 1)):
        logger.info("%s incomplete observations divided by the fraction recorded", f"{scaled:,}")
    changed = replace(
        reflections,
        iobs=(reflections.iobs / divisor).astype(np.float32),
        sigiobs=(reflections.sigiobs / divisor).astype(np.float32),
    )
    return Summed(changed[keep], fraction[keep], parts[keep])
