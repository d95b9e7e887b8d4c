"""Densities of many points: a small image whose size does not depend on how many there are."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from vimerge.report.style import INK

__all__ = ["density", "log_density", "signed_density", "surface"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def density(axes, x, y, color, x_limits, y_limits):
    """Draw how many points fall on each place, darker for more on a logarithmic scale.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x, y : np.ndarray
        ``[N]``.
    color : str
    x_limits, y_limits : pair of float
        What the axes show; points beyond are not drawn.

    Returns
    -------
    int
        The number of points in the fullest cell.
    """
    # Fewer cells for fewer points, so that each is a dot that can be seen.
    cells = int(np.clip(2.5 * np.sqrt(len(x)), 90, 170))
    counts, *_ = np.histogram2d(y, x, bins=cells, range=(y_limits, x_limits))
    top = counts.max(initial=1.0)
    image = np.empty((*counts.shape, 4))
    image[..., :3] = to_rgb(color)
    image[..., 3] = np.where(counts > 0, 0.3 + 0.7 * np.log1p(counts) / np.log1p(top), 0.0)
    axes.imshow(
        (image * 255).round().astype(np.uint8),
        extent=(*x_limits, *y_limits),
        origin="lower",
        aspect="auto",
        interpolation="none",
        zorder=2,
    )
    axes.set(xlim=x_limits, ylim=y_limits)
    return int(top)


def signed_density(axes, x, y, color, unit, limits):
    """Density of intensities on axes that are linear within ±unit and logarithmic beyond, with the diagonal.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x, y : np.ndarray
        ``[N]``.
    color : str
    unit : float
        Such as a typical standard deviation.
    limits : pair of float
        Of both axes.

    Returns
    -------
    int
        The number of points in the fullest cell.
    """
    low, high = np.arcsinh(np.asarray(limits) / unit)
    margin = 0.02 * (high - low)
    ends = (low - margin, high + margin)
    top = density(axes, np.arcsinh(x / unit), np.arcsinh(y / unit), color, ends, ends)
    decades = 10.0 ** np.arange(np.ceil(np.log10(1.5 * unit)), np.floor(np.log10(max(*limits, 10 * unit))) + 1)
    values = np.concatenate([-decades[::-1], [0.0], decades])
    ticks = np.arcsinh(values / unit)
    inside = (ticks >= ends[0]) & (ticks <= ends[1])
    _decades(axes, ticks[inside], values[inside], "xy")
    axes.axline((0, 0), slope=1, color=INK, lw=0.8, zorder=3)
    return top


def log_density(axes, x, y, color, diagonal=False):
    """Density of positive numbers on logarithmic axes, and its running median unless the diagonal is asked for.

    Returns
    -------
    int
        The number of points in the fullest cell.
    """
    x, y = np.log10(x), np.log10(y)
    limits = [(v.min() - 0.02 * np.ptp(v) - 1e-6, v.max() + 0.02 * np.ptp(v) + 1e-6) for v in (x, y)]
    if diagonal:
        limits = [(min(a[0] for a in limits), max(a[1] for a in limits))] * 2
    top = density(axes, x, y, color, *limits)
    if diagonal:
        axes.axline((0, 0), slope=1, color=INK, lw=0.8, zorder=3)
    else:
        parts = np.array_split(np.argsort(x, kind="stable"), max(1, min(30, len(x) // 20)))
        axes.plot(*(np.array([np.median(v[p]) for p in parts]) for v in (x, y)), color=INK, lw=1.2, zorder=3)
    for name, (low, high) in zip("xy", limits, strict=True):
        exponents = np.arange(np.ceil(low), np.floor(high) + 1)
        ticks = exponents
        if len(exponents) < 3:
            decades = np.arange(np.floor(low), np.ceil(high))
            ticks = (decades[:, None] + np.log10([1, 2, 5])).ravel()
            ticks = ticks[(ticks >= low) & (ticks <= high)]
        _decades(axes, ticks, 10.0**ticks, name)
    return top


def surface(figure, axes, x, y, z, label, bins=24, least=5):
    """Medians of z over x and y, with a bar that tells its colours.

    Parameters
    ----------
    figure, axes
    x, y, z : np.ndarray
        ``[N]``.
    label : str
        What z is.
    bins, least : int
        So many along each side, or fewer if that leaves not twice as many points for each as it needs; those with fewer
        stay empty.
    """
    from scipy.stats import binned_statistic_2d

    bins = int(np.clip(np.sqrt(len(z) / (2 * least)), 1, bins))
    median, _, _, _ = binned_statistic_2d(y, x, z, "median", bins)
    count, _, _, _ = binned_statistic_2d(y, x, z, "count", bins)
    median[count < least] = np.nan
    low, high = np.nanquantile(median, [0.01, 0.99]) if np.isfinite(median).any() else (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    mapped = colormaps["cividis"](np.clip((median - low) / (high - low), 0, 1), bytes=True)
    mapped[~np.isfinite(median), 3] = 0
    extent = (x.min(), x.max(), y.min(), y.max())
    axes.imshow(mapped, extent=extent, origin="lower", aspect="equal", interpolation="none")
    axes.grid(visible=False)
    bar = axes.inset_axes([1.03, 0.0, 0.05, 1.0])
    gradient = colormaps["cividis"](np.linspace(0, 1, 64), bytes=True)[:, None]
    bar.imshow(gradient, extent=(0, 1, low, high), origin="lower", aspect="auto", interpolation="none")
    bar.grid(visible=False)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_ylabel(label)
    figure.subplots_adjust(right=0.8)


def _decades(axes, ticks, values, which):
    labels = [_power(value) for value in values]
    for name in which:
        getattr(axes, f"set_{name}ticks")(ticks, labels)


def _power(value):
    """0, 2, 50 or −10³: small numbers in full, powers of ten as such."""
    if value == 0:
        return "0"
    size = abs(value)
    sign = "−" if value < 0 else ""
    exponent = int(np.floor(np.log10(size) + 1e-9))
    mantissa = round(size / 10.0**exponent)
    if -2 <= exponent <= 2:
        return f"{sign}{size:.4g}"
    power = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return f"{sign}{power}" if mantissa == 1 else f"{sign}{mantissa}·{power}"
