"""The demonstration's comparison with the truth."""

import matplotlib as mpl
import numpy as np

from vimerge.reflections.writing import write_together
from vimerge.report import figures
from vimerge.statistics import half_dataset_correlations, pearson


def truth_correlations(merged, truth, least=3):
    """Correlate merged amplitudes and anomalous differences with the true ones.

    Parameters
    ----------
    merged, truth : rs.DataSet
        Indexed by H, K, L, with F(+) and F(-); `merged` also N(+) and N(-).
    least : int
        The least multiplicity of what is compared.

    Returns
    -------
    dict of float
    """
    columns = ["F(+)", "F(-)"]
    both = merged.join(truth[columns], rsuffix=" true", how="inner")
    number = both[["N(+)", "N(-)"]].to_numpy(float)
    inferred, true = (both[[c + suffix for c in columns]].to_numpy(float) for suffix in ("", " true"))
    enough = (number >= least) & np.isfinite(inferred)
    pairs = enough.all(axis=1) & (inferred[:, 0] != inferred[:, 1])
    differences = [(x[:, 0] - x[:, 1])[pairs] for x in (inferred, true)]
    return {
        f"CC of merged and true F (multiplicity {least} or more)": pearson(inferred[enough], true[enough]),
        "CC of merged and true F(+) - F(-), acentric": pearson(*differences),
    }


def demo_figure(result, truth, path):
    """Draw training, F against the truth, CC1/2 and the scale, into one PNG.

    Parameters
    ----------
    result : MergeResult
    truth : rs.DataSet
        True F(+) and F(-), indexed by H, K, L.
    path : path
        Where to write.

    Returns
    -------
    path
    """
    both = result.merged.join(truth[["F(+)", "F(-)"]], rsuffix=" true", how="inner")
    true, inferred = (
        np.concatenate([both[f"F(+){suffix}"].to_numpy(float), both[f"F(-){suffix}"].to_numpy(float)])
        for suffix in (" true", "")
    )
    correlation = next(iter(truth_correlations(result.merged, truth).values()))
    with mpl.rc_context(figures.STYLE):
        figure, axes = figures.panels(2, 2)
        figures.training_history(axes[0], result.history)
        figures.against_truth(axes[1], true, inferred, "F", f"Merged amplitudes: CC {correlation:.4f}")
        figures.by_resolution(
            axes[2],
            half_dataset_correlations(result.half_datasets),
            {"cc_half": "CC1/2", "cc_anom_weighted": "CCanom, weighted"},
            "Half data sets",
        )
        figures.scale_by_image(axes[3], result.predictions)
        write_together({path: lambda part: figure.savefig(part, dpi=150)})
    return path
