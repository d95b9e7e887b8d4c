"""Recorded Laue spots and the harmonics on them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LaueSpots:
    """The N harmonics on M recorded spots. Arrays have the shape [N] unless said otherwise, sorted by spot and order.

    Parameters
    ----------
    index : ndarray of int64
        Which of the candidate Miller indices.
    spot : ndarray of int64
        Which of the spots, 0 … M − 1, the harmonic falls on.
    order : ndarray of int64
        Order n of the harmonic n·h₁ of the primitive index h₁.
    named : ndarray of int64, shape [M]
        Row of the harmonic whose index and wavelength stand for the spot.
    wavelength : ndarray
        Wavelength (Å) at which the harmonic diffracts.
    image : ndarray of int32
        Image number, from 1.
    phi : ndarray
        Spindle angle (°).
    x, y : ndarray
        Position on the detector (pixels).
    beam : ndarray
        Spectrum · λ⁴/(2 sin²θ) · polarisation · quantum efficiency: photons for unit |F|², but for a constant.
    direction : ndarray, shape [N, 3]
        Unit vector of the diffracted beam in the crystal's frame, in which the crystal stands as it does at φ = 0.
    s2 : ndarray
        1/d² (1/Å²).
    overlaps : int
        Spots left out because another was too near.
    """

    index: np.ndarray
    spot: np.ndarray
    order: np.ndarray
    named: np.ndarray
    wavelength: np.ndarray
    image: np.ndarray
    phi: np.ndarray
    x: np.ndarray
    y: np.ndarray
    beam: np.ndarray
    direction: np.ndarray
    s2: np.ndarray
    overlaps: int = 0

    def __len__(self):
        return len(self.named)

    def take(self, selection):
        """Select spots with all their harmonics, by integers or booleans, as new `LaueSpots`."""
        spots = np.arange(len(self))[selection]
        counts = np.bincount(self.spot, minlength=len(self))
        first = np.cumsum(counts) - counts
        size, begin = counts[spots], np.cumsum(counts[spots]) - counts[spots]
        rows = np.arange(size.sum()) + np.repeat(first[spots] - begin, size)
        per_row = {k: v[rows] for k, v in vars(self).items() if k not in ("spot", "named", "overlaps")}
        return LaueSpots(
            **per_row,
            spot=np.repeat(np.arange(len(spots)), size),
            named=self.named[spots] - first[spots] + begin,
            overlaps=self.overlaps,
        )
