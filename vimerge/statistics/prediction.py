"""Agreement of observed and predicted intensities."""

import numpy as np
import pandas as pd

from vimerge.statistics.correlation import pearson, spearman, weighted_pearson


def prediction_correlations(predictions):
    """CCpred: correlation of observed and predicted intensities, in training and held out.

    Parameters
    ----------
    predictions : DataFrame
        Columns `Iobs`, `SIGIobs`, `Ipred`, `test`, as in `predictions.mtz`, and perhaps `rejected`: outliers, which are
        in no training set.

    Returns
    -------
    pandas.DataFrame
        Rows "train" and, if any observation was held out, "test": `observations`, `pearson`, `weighted` (by
        1/SIGIobs²) and `spearman`.
    """
    test = predictions["test"].to_numpy(bool)
    rejected = predictions["rejected"].to_numpy(bool) if "rejected" in predictions else np.zeros(len(test), bool)
    rows = {}
    for name, mask in (("train", ~test & ~rejected), ("test", test)):
        if not mask.any():
            continue
        iobs, sigma, ipred = (predictions[c].to_numpy(np.float64)[mask] for c in ("Iobs", "SIGIobs", "Ipred"))
        rows[name] = {
            "observations": int(mask.sum()),
            "pearson": pearson(iobs, ipred),
            "weighted": weighted_pearson(iobs, ipred, sigma**-2.0),
            "spearman": spearman(iobs, ipred),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
