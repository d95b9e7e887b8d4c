"""Tables in Markdown, which also read well on a terminal."""

import math

import numpy as np


def markdown(header, rows):
    """A table with padded columns; numbers to the right.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str

    Returns
    -------
    str
    """
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]

    def line(cells):
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f" {'-' * (w - 1)}: " if r else f" {'-' * w} " for w, r in zip(widths, right, strict=True))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def _is_number(cell):
    return not cell or cell[0] in "+-−0123456789"


def number(value, unit=""):
    """A number with as many digits as it deserves; bytes as MB.

    Parameters
    ----------
    value : float
    unit : str
        As of `metrics.Metric`.

    Returns
    -------
    str
        "—" for NaN and None.
    """
    if value is None or not math.isfinite(value):
        return "—"
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    if unit == "s":
        return f"{value:,.0f} s" if abs(value) >= 100 else f"{value:.1f} s"
    if unit in ("ratio", "×"):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return f"{value:.3f}"


def spread(values, unit=""):
    """The mean of several and, if they are more than one, their range.

    Parameters
    ----------
    values : sequence of float
    unit : str

    Returns
    -------
    str
    """
    values = np.asarray([v for v in values if v is not None], np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return "—"
    if len(values) == 1:
        return number(values[0], unit)
    ends = [number(v, unit).removesuffix(" s").removesuffix(" MB") for v in (values.min(), values.max())]
    return f"{number(values.mean(), unit)} ({ends[0]} … {ends[1]})"
