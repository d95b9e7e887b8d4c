"""Numbers of the report's tables, by the keys of `definitions`."""

import numpy as np

from vimerge.report.residuals import rejected
from vimerge.statistics import overall_numbers, prediction_correlations

__all__ = ["SHELL_COLUMNS", "overall", "shell_label"]

# Columns of `merging_table` that are shown, in their order.
SHELL_COLUMNS = (
    "unique",
    "completeness",
    "multiplicity",
    "mean_i_over_sigma",
    "r_meas",
    "r_pim",
    "cc_half",
    "cc_star",
    "cc_half_f",
    "cc_half_sigma_tau",
    "r_split",
    "completeness_anomalous",
    "multiplicity_anomalous",
    "cc_anom",
    "cc_anom_weighted",
    "anomalous_signal",
)


def overall(results, table=None, residuals=None):
    """The numbers of Table 1 for one folder.

    Parameters
    ----------
    results : Results
    table : pandas.DataFrame, optional
        Of `merging_table`.
    residuals : np.ndarray, optional
        ``[M]``: normalised residuals of the predictions.

    Returns
    -------
    dict
        Value and outer-shell value (None where there is none) by key of `DEFINITIONS`; what is not known is left out.
    """
    numbers = {}
    if table is not None:
        numbers |= _of_whole(overall_numbers(results.tables)) | _of_shells(table)
    if results.predictions is not None:
        numbers |= _of_predictions(results.predictions, residuals)
    if "wall_seconds" in results.run:
        numbers["wall_seconds"] = (results.run["wall_seconds"], None)
    return numbers


def shell_label(row):
    """The limits of a shell, such as "2.56–2.45"."""
    return f"{row['dmax']:.2f}–{row['dmin']:.2f}"


def _of_whole(found):
    numbers = {"space_group": found["space_group"]}
    numbers["lengths"] = " ".join(f"{x:.2f}" for x in found["cell"][:3])
    numbers["angles"] = " ".join(f"{x:.6g}" for x in found["cell"][3:])
    numbers["resolution"] = f"{found['dmax']:.2f}–{found['dmin']:.2f}"
    numbers |= {key: found[key] for key in ("wilson_b", "mean_abs_l") if key in found}
    limit = found.get("d_cc_half_0.3", np.nan)
    if np.isfinite(limit):
        numbers["d_cc_half_0.3"] = f"{limit:.2f}" if found["reached"] else f"beyond {limit:.2f}"
    return {key: (value, None) for key, value in numbers.items()}


def _of_shells(table):
    # The last shell where this folder has anything: another one's data may go further.
    shells = table.drop(index="overall")
    outer = shells[shells["unique"] > 0].iloc[-1]
    total = table.loc["overall"]
    numbers = {name: (total[name], outer[name]) for name in SHELL_COLUMNS if name in table}
    numbers = {name: values for name, values in numbers.items() if np.isfinite(values).any()}
    return {"outer": (shell_label(outer), None)} | numbers


def _of_predictions(predictions, residuals):
    numbers = {"observations": len(predictions), "images": predictions["image_id"].nunique()}
    agreement = prediction_correlations(predictions)
    if "train" in agreement.index:
        numbers["ccpred_train"] = agreement.loc["train", "pearson"]
    if "test" in agreement.index:
        row = agreement.loc["test"]
        for suffix, column in (("", "pearson"), ("_weighted", "weighted"), ("_rank", "spearman")):
            numbers[f"ccpred_test{suffix}"] = row[column]
    if residuals is not None:
        test = predictions["test"].to_numpy(bool)
        for name, mask in (("train", ~test & ~rejected(predictions)), ("test", test)):
            z = residuals[mask]
            z = z[np.isfinite(z)]
            if len(z):
                numbers[f"rms_z_{name}"] = float(np.sqrt(np.mean(z**2)))
                numbers[f"robust_z_{name}"] = float(1.4826 * np.median(np.abs(z)))
    return {key: (value, None) for key, value in numbers.items()}
