"""Matplotlib's figures as SVG that several of can stand in one page, light or dark."""

import io
import re

import matplotlib as mpl

from vimerge.report.style import STYLE, THEME

_ATTRIBUTE_ID = re.compile(r'\sid="([^"]*)"')
_REFERENCE = re.compile(r'(?:url\(#|href="#)([^)"]*)')
_NOISE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>", re.S)
_FONT = re.compile(r"font: ([\d.]+)px [^;\"]*")


def to_svg(figure, prefix, label, dpi=150):
    """Draw a figure as an SVG element to be set into a page.

    Ids are unique in the page if prefixes are; the palette's colours become custom properties of the style sheet, so
    that they follow its theme; text stays text, in the page's font; the ground is transparent.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    prefix : str
        What the figure's ids begin with.
    label : str
        What the figure shows, for those who cannot see it.
    dpi : int
        Of what is rasterised.

    Returns
    -------
    str
    """
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", transparent=True, dpi=dpi, metadata={"Date": None})
    text = _NOISE.sub("", stream.getvalue())
    text = _unique_ids(text, prefix)
    text = _FONT.sub(r"font-size: \1px", text)
    for color, (name, _) in THEME.items():
        text = text.replace(color.lower(), f"var(--{name})")
    return _open(text.strip(), label)


def _unique_ids(text, prefix):
    """Drop the ids that nothing refers to, and prefix the others."""
    used = set(_REFERENCE.findall(text))
    text = _ATTRIBUTE_ID.sub(lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    return _REFERENCE.sub(lambda m: m[0][: len(m[0]) - len(m[1])] + f"{prefix}-{m[1]}", text)


def _open(text, label):
    """Replace the opening tag: the size comes from the page, and the namespaces from HTML."""
    from markupsafe import escape

    tag, rest = text.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', tag)[1]
    rest = rest.replace("xlink:href", "href")
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(label)}">{rest}'
