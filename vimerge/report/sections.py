"""The sections of a report about the merged data: Table 1, by resolution, posterior, and folder against folder."""

import numpy as np

from vimerge.report import curves, densities, tables
from vimerge.report.definitions import DEFINITIONS
from vimerge.report.page import Cell, Section, Table, heading, number, plain
from vimerge.report.style import SERIES, text
from vimerge.statistics import sigma_calibration, wilson_plot

__all__ = ["pairs", "posterior", "resolution", "summary"]

# Keys of the cards at the top.
CARD = (
    "unique",
    "completeness",
    "multiplicity",
    "mean_i_over_sigma",
    "cc_half",
    "cc_anom",
    "ccpred_test",
    "robust_z_test",
)

BY_SHELL = {
    "cc_half": ("CC½", "Agreement of intensities merged from random halves of the images; the band holds 95 %."),
    "cc_anom": ("CCanom", "Agreement of F(+) − F(−) from the halves; noise is centred on nought."),
    "mean_i_over_sigma": ("⟨I/σ(I)⟩", "Mean signal to noise of the merged intensities, by their own uncertainties."),
    "anomalous_signal": ("⟨|ΔF|/σ(ΔF)⟩", "Size of anomalous differences in their σ; 0.8 where there is no signal."),
    "r_meas": ("R_meas", "Disagreement of equivalent observations once they are on one scale."),
    "r_pim": ("R_pim", "What is left of it in the means."),
    "completeness": ("Completeness", "What was observed of what could have been, Friedel mates together."),
    "multiplicity": ("Multiplicity", "Observations merged into one unique reflection."),
}


def summary(study):
    """Table 1, with the cards' numbers apart."""
    numbers = {}
    for r in study.results:
        numbers[r.name] = tables.overall(r, study.by_shell.get(r.name), study.residuals.get(r.name))
    keys = [key for key in DEFINITIONS if any(key in found for found in numbers.values())]
    rows = [[heading(key), *(number(key, *numbers[n].get(key, (None,))) for n in study.names)] for key in keys]
    head = [plain("Statistic", header=True), *(plain(name, header=True) for name in study.names)]
    outer = " In brackets: the shell of highest resolution." if study.by_shell else ""
    section = Section("summary", "Summary", "Summary")
    section.tables.append(Table("Table 1", head, rows, f"Overall values.{outer}"))
    cards = [
        (name, [(heading(key), number(key, numbers[name][key][0])) for key in CARD if key in numbers[name]])
        for name in study.names
    ]
    return section, cards


def resolution(study):
    """Quality by resolution, folders overlaid, and a table for each."""
    if not study.by_shell:
        return None
    section = Section(
        "resolution",
        "By resolution",
        "Resolution",
        "The shells are the same for all: equal numbers of the merged reflections of all folders together.",
    )
    for column, (title, caption) in BY_SHELL.items():
        having = [n for n, table in study.by_shell.items() if column in table and table[column].notna().any()]
        if not having:
            continue

        def paint(_, axes, column=column, title=title):
            curves.by_shell(axes, study.by_shell, column, title, percent=column == "completeness")

        section.add(title, caption, paint, having)
    wilson = {r.name: wilson_plot(r.merged) for r in study.merged}
    wilson = {name: table for name, table in wilson.items() if table["observed"].notna().any()}
    if wilson:
        section.add(
            "Wilson plot",
            "Mean intensity over that of atoms at rest; the slope of the line is −B/2.",
            lambda _, axes: curves.wilson(axes, wilson),
            list(wilson),
        )
    for name, table in study.by_shell.items():
        keys = [key for key in tables.SHELL_COLUMNS if key in table]
        rows = []
        for shell, row in table.iterrows():
            label = "overall" if shell == "overall" else tables.shell_label(row)
            rows.append([Cell(label, DEFINITIONS["shell"].text, header=True), *(number(k, row[k]) for k in keys)])
        section.tables.append(Table(f"{name}: by shell", [heading("shell"), *map(heading, keys)], rows, folded=True))
    return section


def posterior(study):
    """Standard deviations of the merged amplitudes against the amplitudes."""
    section = Section(
        "posterior",
        "Uncertainty of F",
        "σ(F)",
        "Standard deviation of each merged amplitude against the amplitude, both logarithmic; the line is the running "
        "median. Weak amplitudes are held from below by nought and their prior.",
    )
    for r in study.merged:
        f, sd = (r.merged[c].to_numpy(np.float64) for c in ("F", "SIGF"))
        usable = np.isfinite(f) & np.isfinite(sd) & (f > 0) & (sd > 0)
        if usable.sum() < 2:
            continue

        def paint(_, axes, f=f[usable], sd=sd[usable], name=r.name):
            axes.set(xlabel="F", ylabel="σ(F)")
            return f"{densities.log_density(axes, f, sd, _color(study, name)):,}"

        section.add(r.name, f"{usable.sum():,} reflections; the darkest cell holds {{}}.", paint)
    halves = {
        r.name: sigma_calibration(r.half_datasets, study.shells) for r in study.merged if r.half_datasets is not None
    }
    if halves:
        section.add(
            "Differences of the halves",
            "Root mean square of (I₁ − I₂)/√(σ₁² + σ₂²) of the half data sets: one if σ(I) is right, less where a "
            "prior draws both halves the same way.",
            lambda _, axes: curves.by_shell(axes, halves, "deviation_sd", "rms difference / σ", reference=1.0),
            list(halves),
        )
    return section if section.pictures else None


def pairs(study):
    """Merged amplitudes of each folder against those of the others."""
    if not study.pairs:
        return None
    section = Section(
        "pairs",
        "Folder against folder",
        "Pairs",
        "Amplitudes of reflections that both have, the second brought onto the scale and fall-off of the first.",
    )
    labels = [" · ".join(pair.names) for pair in study.pairs]
    shells = dict(zip(labels, (pair.shells for pair in study.pairs), strict=True))
    for column, title in (("cc_f", "CC of F"), ("cc_difference", "CC of F(+) − F(−)")):
        having = [name for name, table in shells.items() if column in table]
        if having:

            def paint(_, axes, column=column, title=title):
                curves.by_shell(axes, shells, column, title)

            section.add(f"{title} by resolution", DEFINITIONS[column].text, paint, having, columns=1)
    for label, pair in zip(labels, study.pairs, strict=True):

        def paint(_, axes, pair=pair):
            x, y = map(text, pair.names)
            axes.set(xlabel=f"F, {x}", ylabel=f"F, {y} (scaled)")
            return f"{densities.log_density(axes, *pair.amplitudes, _color(study, pair.names[1]), diagonal=True):,}"

        caption = f"{pair.numbers['common']:,.0f} common reflections; the darkest cell holds {{}}."
        section.add(label, caption, paint, square=True)
    keys = [key for key in DEFINITIONS if any(key in pair.numbers for pair in study.pairs)]
    rows = [
        [plain(label, header=True), *(number(key, pair.numbers.get(key)) for key in keys)]
        for label, pair in zip(labels, study.pairs, strict=True)
    ]
    section.tables.append(Table("Agreement", [plain("Folders", header=True), *map(heading, keys)], rows))
    return section


def _color(study, name):
    return SERIES[study.number(name) % len(SERIES)]
