"""The look of every figure: one palette, one set of matplotlib settings, one size of panel."""

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind can tell
# apart; the order keeps neighbours different in lightness too, for print without colours.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
PURPLE, SKY = "#CC79A7", "#56B4E9"
INK, GRID = "#262626", "#C9CDD2"

SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)), (0, (8, 2)))

# What each colour is called in the page's style sheet, and how it looks on a dark ground.
THEME = {
    INK: ("ink", "#E6E8EB"),
    GRID: ("grid", "#4A5057"),
    GREY: ("grey", "#9AA0A6"),
    BLUE: ("blue", "#4DA9E8"),
    RED: ("red", "#F58A4B"),
    GREEN: ("green", "#3CC79F"),
    PURPLE: ("purple", "#E5A3C7"),
    ORANGE: ("orange", "#F2B93B"),
    SKY: ("sky", "#9AD4FA"),
}

STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "grid.alpha": 0.6,
    "lines.linewidth": 1.4,
    "font.size": 9,
    "legend.frameon": False,
    "legend.fontsize": "small",
    "svg.fonttype": "none",
    "svg.hashsalt": "vimerge",
}

# Inches. A page's column shows it at a third more, a telephone at a quarter more.
PANEL = (4.1, 3.0)
# The left margin: it has room for ticks such as −0.025, and the label beyond.
LEFT = 0.68


def panels(rows, columns, size=(4.4, 3.5)):
    """Make a figure of several panels in the common style; no display is needed.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : array of matplotlib.axes.Axes, [rows * columns]
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
    return figure, axes


def panel(legend_rows=0, square=False):
    """Make one panel of a page, with room above the axes for so many rows of a legend.

    The margins are fixed: axes of neighbouring panels line up, and no time goes into a layout engine.

    Parameters
    ----------
    legend_rows : int
    square : bool
        Whether both axes are of one length, for plots of a quantity against itself.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
    """
    width, height = PANEL
    if square:
        height = width
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height + 0.17 * legend_rows))
        axes = figure.subplots()
        total = figure.get_size_inches()[1]
        figure.subplots_adjust(
            left=LEFT / width, right=1 - 0.1 / width, bottom=0.48 / total, top=1 - (0.1 + 0.17 * legend_rows) / total
        )
    axes.yaxis.set_label_coords(-0.52 / (width - LEFT - 0.1), 0.5)
    return figure, axes


def legend(figure, axes, columns=2):
    """Put a legend of what has a label above the axes."""
    handles, labels = axes.get_legend_handles_labels()
    with mpl.rc_context(STYLE):
        figure.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(LEFT / PANEL[0] - 0.02, 1.0),
            ncols=columns,
            borderaxespad=0.1,
            borderpad=0.1,
            labelspacing=0.25,
            columnspacing=1.2,
            handlelength=2.2,
        )


def series(i):
    """Colour, marker and dashes of the i-th of what is compared; dashes tell the seventh from the first."""
    return {"color": SERIES[i % len(SERIES)], "linestyle": DASHES[(i + i // len(SERIES)) % len(DASHES)]}


def marker(i):
    """The i-th marker."""
    return MARKERS[i % len(MARKERS)]


def context():
    """Matplotlib's settings for drawing in this style, as a context manager."""
    return mpl.rc_context(STYLE)


def text(name):
    """A name as matplotlib takes it literally: no mathematics, and in the legend though it begin with "_"."""
    name = name.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name
