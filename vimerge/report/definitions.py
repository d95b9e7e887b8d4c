"""What each number of the report is, and how it is written."""

from numbers import Real
from typing import NamedTuple

__all__ = ["DEFINITIONS", "Definition", "format_number"]


class Definition(NamedTuple):
    """What a number is.

    Parameters
    ----------
    label : str
        What it is called in tables.
    text : str
        What it means, in a sentence or two.
    form : str
        How it is written, for `str.format`.
    """

    label: str
    text: str
    form: str = "{:.3f}"


DEFINITIONS = {
    "space_group": Definition("Space group", "The space group that the reflections were merged in.", "{}"),
    "lengths": Definition("a, b, c (Å)", "Lengths of the unit cell.", "{}"),
    "angles": Definition("α, β, γ (°)", "Angles of the unit cell.", "{}"),
    "resolution": Definition("Resolution (Å)", "Largest and smallest d of the merged reflections.", "{}"),
    "outer": Definition(
        "Outer shell (Å)", "The shell of highest resolution, of which the numbers in brackets are.", "{}"
    ),
    "observations": Definition("Observations", "Measured intensities, held-out ones included.", "{:,.0f}"),
    "images": Definition("Images", "Images with at least one observation.", "{:,.0f}"),
    "unique": Definition("Unique reflections", "Merged reflections, Friedel mates together.", "{:,.0f}"),
    "multiplicity": Definition("Multiplicity", "Merged observations for each unique reflection.", "{:.2f}"),
    "completeness": Definition(
        "Completeness",
        "Unique reflections over those possible within the limits of the shells, Friedel mates together and systematic "
        "absences left out.",
        "{:.1%}",
    ),
    "mean_i_over_sigma": Definition("⟨I/σ(I)⟩", "Mean of merged intensities over their standard deviations.", "{:.1f}"),
    "r_meas": Definition(
        "R_meas",
        "Σ √(n/(n−1)) |I − ⟨I⟩| / Σ I of what was merged, brought onto one scale, Friedel mates together, without "
        "rejected and held-out observations (Diederichs & Karplus, 1997).",
    ),
    "r_pim": Definition("R_pim", "R_meas with √(1/(n−1)): of the means rather than of single observations."),
    "cc_half": Definition(
        "CC½", "Pearson's correlation of intensities merged from two random halves of the images, mates counted singly."
    ),
    "cc_half_f": Definition("CC½ of F", "Pearson's correlation of amplitudes from the two halves."),
    "cc_star": Definition(
        "CC*",
        "√(2 CC½ / (1 + CC½)): the estimated correlation of the merged intensities with the true ones "
        "(Karplus & Diederichs, 2012).",
    ),
    "cc_half_sigma_tau": Definition(
        "CC½ (σ-τ)", "CC½ found from variances, without random halves (Assmann et al., 2016)."
    ),
    "r_split": Definition("R_split", "√2 Σ|I₁ − I₂| / Σ(I₁ + I₂) of the two halves (White et al., 2012)."),
    "d_cc_half_0.3": Definition(
        "CC½ = 0.3 at (Å)",
        "Where a curve ½(1 − tanh((1/d − s₀)/r)) through CC½ falls to 0.3; beyond the data's limit if it does not.",
        "{}",
    ),
    "wilson_b": Definition("Wilson B (Å²)", "Fall-off of the mean intensity against that of atoms at rest.", "{:.1f}"),
    "mean_abs_l": Definition(
        "⟨|L|⟩",
        "Mean of |I₁ − I₂|/(I₁ + I₂) of neighbouring reflections: 0.5 untwinned, 0.375 perfectly twinned "
        "(Padilla & Yeates, 2003).",
    ),
    "completeness_anomalous": Definition(
        "Anomalous completeness", "Acentric reflections of which both mates were observed, of those possible.", "{:.1%}"
    ),
    "multiplicity_anomalous": Definition("Anomalous multiplicity", "Merged observations for each mate.", "{:.2f}"),
    "cc_anom": Definition(
        "CCanom", "Pearson's correlation of F(+) − F(−) from the two halves, acentric reflections only."
    ),
    "cc_anom_weighted": Definition(
        "CCanom, weighted", "CCanom with each difference weighted by the inverse of its variance."
    ),
    "anomalous_signal": Definition(
        "⟨|ΔF|/σ(ΔF)⟩",
        "Mean size of anomalous differences in their standard deviations; 0.8 if there is no signal.",
        "{:.2f}",
    ),
    "ccpred_train": Definition(
        "CCpred, training",
        "Pearson's correlation of Iobs and Ipred of what was trained on, or scaled by and not rejected.",
    ),
    "ccpred_test": Definition(
        "CCpred, held out", "Pearson's correlation of Iobs and Ipred of observations that had no part in the merge."
    ),
    "ccpred_test_weighted": Definition(
        "CCpred, held out, weighted", "CCpred of held-out observations, each weighted by 1/SIGIobs²."
    ),
    "ccpred_test_rank": Definition(
        "CCpred, held out, rank", "Spearman's rank correlation of Iobs and Ipred of held-out observations."
    ),
    "rms_z_train": Definition(
        "Rms z, training",
        "Root mean square of the normalised residuals of what was trained on; 1 if the uncertainties are right.",
        "{:.2f}",
    ),
    "rms_z_test": Definition(
        "Rms z, held out",
        "Root mean square of the normalised residuals of held-out observations; 1 if the uncertainties are right.",
        "{:.2f}",
    ),
    "robust_z_train": Definition(
        "Robust z, training", "1.4826 times the median of |z|, which a few outliers do not move.", "{:.2f}"
    ),
    "robust_z_test": Definition(
        "Robust z, held out", "1.4826 times the median of |z|, which a few outliers do not move.", "{:.2f}"
    ),
    "wall_seconds": Definition("Time (s)", "Wall-clock seconds of reading, scaling and merging.", "{:,.1f}"),
    "shell": Definition("Resolution (Å)", "Limits of the resolution shell.", "{}"),
    "z": Definition(
        "z",
        "Normalised residual (Iobs − Ipred)/√(σ² ± SIGIpred²): + for observations held out or rejected, − for those "
        "trained on, which have drawn the prediction towards themselves.",
        "{:+.1f}",
    ),
    "hkl": Definition("h\N{NO-BREAK SPACE}k\N{NO-BREAK SPACE}l", "The Miller index as it was observed.", "{}"),
    "d": Definition("d (Å)", "Resolution of the reflection.", "{:.2f}"),
    "image": Definition("Image", "Number of the image in the order of the input, from 1.", "{:.0f}"),
    "Iobs": Definition("Iobs", "Observed intensity.", "{:,.1f}"),
    "Ipred": Definition("Ipred", "Predicted intensity: scale times the merged intensity.", "{:,.1f}"),
    "sigma": Definition(
        "σ", "Standard deviation of the observation, by the error model where there is one.", "{:,.1f}"
    ),
    "SIGIpred": Definition("SIGIpred", "Standard deviation of the predicted intensity.", "{:,.1f}"),
    "set": Definition("Set", "Whether the observation was trained on, held out, or rejected as an outlier.", "{}"),
    "SdFac": Definition("SdFac", "Factor of all standard deviations (Evans, 2011).", "{:.3f}"),
    "SdB": Definition("SdB", "Variance that grows with the intensity, as SdB · I; unit of an intensity.", "{:.3g}"),
    "SdAdd": Definition("SdAdd", "Error that is a fraction of the intensity.", "{:.4f}"),
    "a": Definition("a", "Factor of all variances in the error model of XDS.", "{:.3f}"),
    "b": Definition("b", "Squared fraction of the intensity in the error model of XDS.", "{:.3g}"),
    "common": Definition("Common reflections", "Reflections that both folders have.", "{:,.0f}"),
    "cc_f": Definition("CC of F", "Pearson's correlation of the amplitudes of the two folders.", "{:.4f}"),
    "cc_i": Definition("CC of I", "Pearson's correlation of the intensities of the two folders.", "{:.4f}"),
    "cc_difference": Definition(
        "CC of F(+) − F(−)", "Pearson's correlation of anomalous differences, acentric reflections only.", "{:.3f}"
    ),
    "k": Definition("k", "Scale of the second folder's amplitudes that brings them onto the first's.", "{:.4g}"),
    "delta_b": Definition(
        "ΔB (Å²)",
        "Difference of fall-off between the folders: F of the first is k F exp(−ΔB/4d²) of the second.",
        "{:+.2f}",
    ),
    "r_iso": Definition(
        "R_iso", "Σ|F₁ − F₂| / ½Σ(F₁ + F₂), with F₂ brought onto the first's scale and fall-off.", "{:.3f}"
    ),
}


def format_number(key, value):
    """Write a number the way its definition says; an en dash for what is not known."""
    if value is None or value != value:
        return "–"
    form = DEFINITIONS[key].form if key in DEFINITIONS else "{:.4g}"
    text = form.format(value)
    # A hyphen is not a minus; text has its own.
    return text.replace("-", "−") if isinstance(value, Real) else text
