"""Scale and agreement image by image."""

import numpy as np
import pandas as pd

__all__ = ["MOST_IMAGES", "by_image"]

# More images than this are taken in groups of neighbours: a panel is not wider than that in pixels.
MOST_IMAGES = 360
ROTATION = "ROT"


def by_image(predictions, z, most=MOST_IMAGES):
    """Tabulate scale and agreement of each image, or of neighbouring images together.

    Parameters
    ----------
    predictions : DataFrame
        Columns `image_id`, `scale`, `Iobs`, `Ipred`, and perhaps the rotation angle `ROT` (°).
    z : np.ndarray
        ``[M]``: normalised residuals; NaNs are left out.
    most : int
        The most rows.

    Returns
    -------
    pandas.DataFrame
        A row an image: `image` (counted from 1; the mean of a group), `rotation` where it is known, `observations`,
        `low`, `median`, `high`, the quartiles of the scale over the median of all; `cc` of Iobs with Ipred,
        `r` = Σ|Iobs − Ipred| / Σ|Iobs|, and mean and root mean square of the residuals, `mean_z` and `rms_z`.
    """
    image = predictions["image_id"].to_numpy(int)
    width = int(np.ceil((image.max() + 1) / most))
    iobs, ipred, scale = (predictions[c].to_numpy(np.float64) for c in ("Iobs", "Ipred", "scale"))
    group = pd.Series(image // width)
    number = group.value_counts(sort=False).sort_index()
    scales = pd.Series(scale / np.median(scale)).groupby(group)
    table = pd.DataFrame(
        {
            "image": pd.Series(image + 1.0).groupby(group).mean(),
            "observations": number,
            "low": scales.quantile(0.25),
            "median": scales.median(),
            "high": scales.quantile(0.75),
            "cc": _correlation(iobs, ipred, group),
            "r": _sums(np.abs(iobs - ipred), group) / _sums(np.abs(iobs), group),
            "mean_z": pd.Series(z).groupby(group).mean(),
            "rms_z": np.sqrt(pd.Series(z**2).groupby(group).mean()),
        }
    )
    if ROTATION in predictions:
        table["rotation"] = pd.Series(predictions[ROTATION].to_numpy(np.float64)).groupby(group).mean()
    return table


def _sums(x, group):
    return pd.Series(x).groupby(group).sum()


def _correlation(x, y, group):
    """Pearson's coefficient in each group; NaN for fewer than three observations, or no spread."""
    # Sums of deviations from the group's own means: sums of squares would cancel.
    dx, dy = (v - pd.Series(v).groupby(group).transform("mean").to_numpy() for v in (x, y))
    spread = np.sqrt(_sums(dx**2, group) * _sums(dy**2, group))
    enough = (pd.Series(x).groupby(group).size() >= 3) & (spread > 0)
    return (_sums(dx * dy, group) / spread.where(enough)).where(enough)
