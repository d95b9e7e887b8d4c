"""The sections of a report about the observations: images, detector, predictions, residuals and outliers."""

import numpy as np
import pandas as pd

from vimerge.reflections.metadata import detector_position
from vimerge.report import curves, densities
from vimerge.report.definitions import DEFINITIONS
from vimerge.report.page import Cell, Section, Table, heading, number
from vimerge.report.residuals import outliers as largest
from vimerge.report.residuals import quantiles, rejected, spread_by
from vimerge.report.style import SERIES
from vimerge.statistics import resolution

__all__ = ["detector", "images", "outliers", "predictions", "residuals"]

BY_IMAGE = {
    "median": ("Scale", "relative scale", "Median over the median of all; the band holds the middle half.", None),
    "cc": ("CC of Iobs with Ipred", "CC", "Pearson's correlation in each image; one that dips is worth a look.", None),
    "r": ("R of Iobs with Ipred", "R", "Σ|Iobs − Ipred| / Σ|Iobs| in each image.", None),
    "mean_z": ("Mean of z", "mean z", "Mean normalised residual; a trend is a scale that was not found.", 0.0),
    "rms_z": ("Root mean square of z", "rms z", "One if the uncertainties of the image are right.", 1.0),
}

OUTLIER_KEYS = ("hkl", "d", "image", "Iobs", "sigma", "Ipred", "SIGIpred", "set", "z")


def images(study):
    """Scale and agreement against image, folders overlaid."""
    if not study.predicted:
        return None
    section = Section(
        "images",
        "By image",
        "Images",
        "Scale, agreement of observed and predicted intensities, and normalised residuals z, of which more below.",
    )
    for column, (title, label, caption, reference) in BY_IMAGE.items():

        def paint(_, axes, column=column, label=label, reference=reference):
            band = ("low", "high") if column == "median" else None
            curves.against_image(axes, study.by_image, column, label, band, reference)
            if column == "median":
                axes.set_ylim(0, None)

        section.add(title, caption, paint, list(study.by_image))
    return section


def detector(study):
    """The scale over the detector, of the folders whose predictions say where observations were."""
    section = Section(
        "detector",
        "Over the detector",
        "Detector",
        "Medians over the face of the detector of the scale, relative to the median of its image, and of z.",
    )
    for r in study.predicted:
        position = detector_position(r.predictions.columns)
        if position is None:
            continue
        x, y = (r.predictions[c].to_numpy(np.float64) for c in position)
        scale = r.predictions["scale"].to_numpy(np.float64)
        image = r.predictions["image_id"].to_numpy(int)
        relative = scale / pd.Series(scale).groupby(image).transform("median").to_numpy()
        for title, values in (("relative scale", relative), ("z", study.residuals[r.name])):
            usable = np.isfinite(values) & np.isfinite(x) & np.isfinite(y)

            def paint(figure, axes, x=x[usable], y=y[usable], z=values[usable], title=title, position=position):
                densities.surface(figure, axes, x, y, z, title)
                axes.set(xlabel=position[0], ylabel=position[1])

            section.add(f"{r.name}: {title}", f"{usable.sum():,} observations.", paint)
    return section if section.pictures else None


def predictions(study):
    """Observed against predicted intensities, in training and held out."""
    section = Section(
        "predictions",
        "Observed against predicted",
        "Predictions",
        "Axes are linear around nought, within a typical standard deviation, and logarithmic beyond, so that negative "
        "intensities are shown too. Darkness is the logarithm of the number of observations.",
        paired=True,
    )
    for r in study.predicted:
        table = r.predictions
        iobs, ipred = (table[c].to_numpy(np.float64) for c in ("Iobs", "Ipred"))
        unit = float(np.median(table["SIGIobs"].to_numpy(np.float64)))
        limits = (min(iobs.min(), ipred.min()), max(iobs.max(), ipred.max()))
        test = table["test"].to_numpy(bool)
        for kind, mask in (("training", ~test & ~rejected(table)), ("held out", test)):
            if not mask.any():
                continue

            def paint(_, axes, x=ipred[mask], y=iobs[mask], unit=unit, limits=limits, name=r.name):
                axes.set(xlabel="predicted intensity Ipred", ylabel="observed intensity Iobs")
                color = SERIES[study.number(name) % len(SERIES)]
                return f"{densities.signed_density(axes, x, y, color, unit, limits):,}"

            caption = f"{mask.sum():,} observations; the darkest cell holds {{}}."
            section.add(f"{r.name}: {kind}", caption, paint, square=True)
    return section if section.pictures else None


def residuals(study):
    """Normalised residuals: whether they are normal, and of the right size everywhere."""
    if not study.predicted:
        return None
    whose = "; ".join(f"{name}: {study.sigma[name][1]}" for name in study.sigma)
    intro = f"{DEFINITIONS['z'].text} Standard deviations σ of the observations: {whose}."
    left_out = {r.name: rejected(r.predictions) for r in study.predicted}
    if any(mask.any() for mask in left_out.values()):
        intro += " What was rejected is not in the figures."
    section = Section("residuals", "Normalised residuals", "Residuals", intro, paired=True)
    test = {r.name: r.predictions["test"].to_numpy(bool) for r in study.predicted}
    for kind, chosen in (("training", {n: ~mask & ~left_out[n] for n, mask in test.items()}), ("held out", test)):
        found = [(study.number(n), n, *quantiles(study.residuals[n][mask])) for n, mask in chosen.items()]
        found = [curve for curve in found if len(curve[2])]
        if found:
            section.add(
                f"Quantiles, {kind}",
                "On the diagonal if residuals are normal with unit variance; ends that bend away are outliers. "
                "Cut off at |z| = 8.",
                lambda _, axes, found=found: curves.quantile_plot(axes, found),
                [curve[1] for curve in found],
            )
    by = {"intensity": ("predicted intensity over its median", True), "resolution": ("resolution (Å)", False)}
    for kind, (label, log) in by.items():
        z = {name: np.where(mask, np.nan, study.residuals[name]) for name, mask in left_out.items()}
        found = {r.name: spread_by(z[r.name], _abscissa(r, kind)) for r in study.predicted}
        found = {name: table for name, table in found.items() if len(table)}
        if found:
            section.add(
                f"Spread by {kind}",
                "Lines: root mean square. Open markers: robust spread, from the median of |z|. One if σ is right.",
                lambda _, axes, found=found, label=label, log=log: curves.spread(axes, found, label, log),
                list(found),
            )
    return section


def outliers(study, number_of=20):
    """The largest residuals of each folder."""
    section = Section(
        "outliers", "Outliers", "Outliers", f"The {number_of} observations with the largest normalised residuals."
    )
    for r in study.predicted:
        z = study.residuals[r.name]
        worst = largest(r.predictions, z, study.sigma[r.name][0], number_of)
        if not len(worst):
            continue
        hkl = worst.reset_index()[["H", "K", "L"]].to_numpy(np.int32)
        d = resolution(worst)
        rows, gone = [], rejected(worst)
        for i, (_, row) in enumerate(worst.iterrows()):
            kind = "held out" if row["test"] else "rejected" if gone[i] else "training"
            values = {"d": d[i], "image": row["image_id"] + 1, "set": kind}
            index = Cell(
                "\N{NO-BREAK SPACE}".join(map(str, hkl[i])).replace("-", "−"), DEFINITIONS["hkl"].text, header=True
            )
            rows.append([index, *(number(k, values.get(k, row.get(k))) for k in OUTLIER_KEYS[1:])])
        beyond = int(np.sum(np.abs(z[np.isfinite(z)]) > 5))
        note = f"{beyond:,} of {len(z):,} observations are beyond |z| = 5."
        if "rejected" in r.predictions:
            note += f" {int(rejected(r.predictions).sum()):,} were rejected."
        section.tables.append(Table(r.name, [heading(key) for key in OUTLIER_KEYS], rows, note, folded=True))
    return section if section.tables else None


def _abscissa(results, kind):
    if kind == "intensity":
        ipred = results.predictions["Ipred"].to_numpy(np.float64)
        # Where it is not positive a logarithm has no place for it.
        positive = ipred > 0
        return np.where(positive, ipred / np.median(ipred[positive]), np.nan) if positive.any() else ipred * np.nan
    return resolution(results.predictions) ** -2
