"""The model of log scales: ln g = k(φ) − B(φ) s²/2 + absorption + what each image has of its own."""

from dataclasses import dataclass

import numpy as np

from vimerge.conventional.blocks import Dense, Spline, spline_basis
from vimerge.conventional.harmonics import real_harmonics
from vimerge.reflections.errors import OptionError

__all__ = ["Coordinates", "ModelOptions", "ScaleModel"]

# Learned standard deviations stay within these limits.
_TAU = (1e-4, 30.0)


@dataclass(frozen=True)
class ModelOptions:
    """
    The parts of the scaling model.

    Parameters
    ----------
    scale_spacing, b_spacing : float
        Greatest distance in degrees between the knots of the scale and of B along the rotation.
    absorption : int
        Highest degree of the spherical harmonics; 0 for none.
    detector : int
        Intervals of the detector's surface along each side; 0 for none. It replaces the harmonics where the geometry
        is unknown.
    image_scales : bool
        Whether each image has a scale of its own about the smooth one.
    wavelength : int
        Intervals of the curve over the wavelength in Laue data.

    Raises
    ------
    OptionError
        If a value makes no sense.
    """

    scale_spacing: float = 10.0
    b_spacing: float = 20.0
    absorption: int = 4
    detector: int = 3
    image_scales: bool = True
    wavelength: int = 12

    def __post_init__(self):
        for name, least in (("absorption", 0), ("detector", 0), ("wavelength", 1)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} must be {least} or more, not {getattr(self, name)}; correct --{name}.")
        for name in ("scale_spacing", "b_spacing"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be positive; correct --{name.replace('_', '-')}.")


@dataclass(frozen=True)
class Coordinates:
    """
    What a scale depends on, for each of M observations.

    Parameters
    ----------
    s2 : np.ndarray
        ``[M]`` 1/d², Å⁻².
    image_id : np.ndarray
        ``[M]``.
    n_images : int
    rotation : np.ndarray, optional
        ``[M]`` degrees; None for stills.
    direction : np.ndarray, optional
        ``[M, 3]`` unit vectors of the diffracted beams in the crystal's frame.
    detector : np.ndarray, optional
        ``[M, 2]`` positions.
    wavelength : np.ndarray, optional
        ``[M]`` Å, of Laue data.
    """

    s2: np.ndarray
    image_id: np.ndarray
    n_images: int
    rotation: np.ndarray | None = None
    direction: np.ndarray | None = None
    detector: np.ndarray | None = None
    wavelength: np.ndarray | None = None

    def take(self, rows):
        """Select observations."""
        per_row = {k: v[rows] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return Coordinates(**(vars(self) | per_row))


class ScaleModel:
    """
    Columns of the linear model, by sweep, and those of the images.

    Every sweep has cubic B-splines of the scale and of B along the rotation, and absorption: spherical harmonics in
    the direction of the diffracted beam in the crystal's frame if it is known, else tensor B-splines over the
    detector. Laue data have a curve over the wavelength. An image has a scale of its own, restrained to zero; in
    stills B too.

    Parameters
    ----------
    layout : Layout
        The order of the observations.
    coordinates : Coordinates
        In that order.
    options : ModelOptions

    Attributes
    ----------
    size : int
        Number of parameters P: those of the sweeps, one after the other, then those of image 0, image 1 …
    n_smooth : int
        How many of them are the sweeps'.
    tau : dict of str to float
        Standard deviations of the restraints that `learn` adapts.
    """

    def __init__(self, layout, coordinates, options=None):
        options = ModelOptions() if options is None else options
        self.layout, self.options = layout, options
        self.rows = [np.flatnonzero(layout.sweep == s) for s in range(layout.n_sweeps)]
        self.stills = coordinates.rotation is None
        self.tau, self.blocks, self.names = {}, [], []
        for rows in self.rows:
            names, blocks = self._sweep(coordinates.take(rows))
            self.names.append(names)
            self.blocks.append(blocks)
        widths = [sum(block.size for block in blocks) for blocks in self.blocks]
        ends = np.cumsum(widths).astype(int)
        self.spans = [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
        self.n_smooth = int(ends[-1])
        self._images(coordinates)
        self.size = self.n_smooth + self.image_width * self.n_images
        self.gauge = self._gauge()

    def _sweep(self, c):
        blocks, options = {}, self.options
        if c.rotation is not None:
            blocks["scale"] = Spline(c.rotation, options.scale_spacing, tie=0.2, ridge=5.0)
            blocks["b"] = Spline(c.rotation, options.b_spacing, factor=-c.s2 / 2, tie=2.0, ridge=20.0)
        if c.wavelength is not None:
            spacing = float(np.ptp(c.wavelength)) / options.wavelength
            blocks["wavelength"] = Spline(c.wavelength, max(spacing, 1e-9), tie=1.0, ridge=5.0)
        if options.absorption and c.direction is not None:
            values = real_harmonics(c.direction, options.absorption)
            degree = np.repeat(np.arange(1, options.absorption + 1), 2 * np.arange(1, options.absorption + 1) + 1)
            # Absorption is smooth: a coefficient is expected to fall off with its degree.
            blocks["absorption"] = Dense(values, np.diag(degree.astype(np.float64) ** 2))
            self.tau.setdefault("absorption", 0.3)
        elif options.detector and c.detector is not None:
            blocks["detector"] = _surface(c.detector, options.detector)
            self.tau.setdefault("detector", 0.3)
        return list(blocks), list(blocks.values())

    def _images(self, c):
        self.image_id, self.n_images = c.image_id, c.n_images
        columns = []
        if self.options.image_scales or self.stills:
            columns.append(np.ones(len(c.s2)))
            self.tau["image"] = 1.0 if self.stills else 0.05
        if self.stills:
            columns.append(-c.s2 / 2)
            self.tau["image_b"] = 10.0
        self.image_values = np.array(columns, dtype=np.float64).reshape(len(columns), len(c.s2)).T
        self.image_width = len(columns)

    def log_scale(self, theta):
        """Log scales ``[M]`` of parameters ``[P]``."""
        total = np.zeros(len(self.layout.group))
        for rows, span, blocks in zip(self.rows, self.spans, self.blocks, strict=True):
            start, part = span.start, np.zeros(len(rows))
            for block in blocks:
                part += block.dot(theta[start : start + block.size])
                start += block.size
            total[rows] = part
        if self.image_width:
            own = theta[self.n_smooth :].reshape(self.n_images, self.image_width)
            total += np.einsum("nq,nq->n", self.image_values, own[self.image_id])
        return total

    def columns(self, sweep, rows):
        """Columns ``[n, width]`` of a slice of a sweep's own rows, float64."""
        blocks = self.blocks[sweep]
        values = np.zeros((rows.stop - rows.start, sum(block.size for block in blocks)))
        start = 0
        for block in blocks:
            block.fill(values[:, start : start + block.size], rows)
            start += block.size
        return values

    def _penalised(self):
        """Blocks with learned restraints: name, slice of the parameters, penalty at unit standard deviation."""
        for names, span, blocks in zip(self.names, self.spans, self.blocks, strict=True):
            start = span.start
            for name, block in zip(names, blocks, strict=True):
                yield name, slice(start, start + block.size), block.penalty
                start += block.size

    def smooth_penalty(self):
        """Penalty matrix ``[n_smooth, n_smooth]`` of the sweeps' parameters."""
        penalty = np.zeros((self.n_smooth, self.n_smooth))
        for name, span, unit in self._penalised():
            penalty[span, span] = unit / self.tau[name] ** 2 if name in self.tau else unit
        return penalty

    def image_penalty(self):
        """Diagonal penalty ``[n_images × image_width]`` of the images' parameters."""
        per_image = [self.tau[name] ** -2 for name in ("image", "image_b")[: self.image_width]]
        return np.tile(per_image, self.n_images)

    def learn(self, theta, smooth_covariance, image_covariance):
        """
        Adapt the standard deviations of the restraints to the parameters [1]_.

        τ² = θᵀ P θ / γ with γ = K − tr(C P)/τ², the number of well-determined ones among K parameters.

        Parameters
        ----------
        theta : np.ndarray
            ``[P]``.
        smooth_covariance : np.ndarray
            ``[n_smooth, n_smooth]``.
        image_covariance : np.ndarray
            ``[n_images, image_width, image_width]``.

        References
        ----------
        .. [1] MacKay, D. J. C. (1992). Neural Comput. 4, 415–447.
        """
        power = dict.fromkeys(self.tau, 0.0)
        determined = dict.fromkeys(self.tau, 0.0)
        for name, span, unit in self._penalised():
            if name in self.tau:
                power[name] += theta[span] @ unit @ theta[span]
                determined[name] += span.stop - span.start
                determined[name] -= np.sum(smooth_covariance[span, span] * unit) / self.tau[name] ** 2
        own = theta[self.n_smooth :].reshape(-1, max(self.image_width, 1))
        used = np.bincount(self.image_id, minlength=self.n_images) > 0
        for i, name in enumerate(("image", "image_b")[: self.image_width]):
            power[name] += np.sum(own[used, i] ** 2)
            determined[name] += np.sum(1 - image_covariance[used, i, i] / self.tau[name] ** 2)
        for name in self.tau:
            self.tau[name] = float(np.clip(np.sqrt(power[name] / max(determined[name], 1e-3)), *_TAU))

    def _gauge(self):
        """Rows ``[G, P]`` whose products with the parameters are to vanish: mean log scale, and mean B."""
        scale, b = np.zeros(self.size), np.zeros(self.size)
        for names, span, blocks in zip(self.names, self.spans, self.blocks, strict=True):
            start = span.start
            for name, block in zip(names, blocks, strict=True):
                here = slice(start, start + block.size)
                scale[here] += block.total
                if name == "b":
                    b[here] += block.unscaled_total
                start += block.size
        if self.image_width:
            own = slice(self.n_smooth, self.size)
            sums = [np.bincount(self.image_id, v, minlength=self.n_images) for v in self.image_values.T]
            scale[own] += np.stack(sums, axis=1).ravel()
            if self.image_width > 1:
                number = np.bincount(self.image_id, minlength=self.n_images)
                b[own] += np.stack([np.zeros(self.n_images), number], axis=1).ravel()
        rows = [row for row in (scale, b) if row.any()]
        return np.array(rows).reshape(len(rows), self.size) / len(self.layout.group)


def _surface(position, intervals):
    """Tensor product of cubic B-splines over the detector."""
    bases = [spline_basis(x, x.min(), x.max(), intervals) for x in position.T]
    width = intervals + 3
    values = np.zeros((len(position), width * width), dtype=np.float32)
    row = np.arange(len(position))
    for i in range(4):
        for j in range(4):
            (first_x, x), (first_y, y) = bases
            values[row, (first_x + i) * width + first_y + j] = x[:, i] * y[:, j]
    difference = np.diff(np.eye(width), axis=0)
    tie = difference.T @ difference
    # Neighbours in either direction are tied to each other four times as strongly as each is to zero.
    return Dense(values, np.eye(width * width) + 4 * (np.kron(tie, np.eye(width)) + np.kron(np.eye(width), tie)))
