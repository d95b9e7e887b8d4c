"""What a page is made of: sections of figures and tables, with numbers that know their definitions."""

import warnings
from dataclasses import dataclass, field

from vimerge.report import style
from vimerge.report.definitions import DEFINITIONS, format_number
from vimerge.report.svg import to_svg

__all__ = ["Cell", "Picture", "Section", "Table", "draw", "heading", "number", "plain"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table, or a number in words.

    Parameters
    ----------
    text : str
    definition : str
        What it is; "" where it says so itself.
    header : bool
        Whether it is a heading of its row or column.
    """

    text: str
    definition: str = ""
    header: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a heading for each column and, first in it, for each row.

    Parameters
    ----------
    title : str
    head : list of Cell
    rows : list of list of Cell
    note : str
    folded : bool
        Whether it is shown only when it is asked for.
    """

    title: str
    head: list
    rows: list
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure: what it is, what to see in it, and the SVG."""

    title: str
    caption: str
    svg: str


@dataclass
class Section:
    """A section of the page.

    Parameters
    ----------
    key : str
        Its id.
    title : str
    short : str
        What the navigation calls it.
    intro : str
    pictures : list of Picture
    tables : list of Table
    paired : bool
        Whether pictures belong together two by two.
    """

    key: str
    title: str
    short: str
    intro: str = ""
    pictures: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    paired: bool = False

    def add(self, title, caption, paint, names=(), square=False, columns=2):
        """Draw a panel into this section.

        Parameters
        ----------
        title, caption : str
        paint : callable
            Is given the figure and its axes, and may return what takes the place of ``{}`` in the caption.
        names : sequence of str
            What the legend will list; none, or one, for no legend.
        square : bool
        columns : int
            Of the legend.
        """
        self.pictures.append(
            draw(f"{self.key}-{len(self.pictures) + 1}", title, caption, paint, names, square, columns)
        )


def draw(prefix, title, caption, paint, names=(), square=False, columns=2):
    """Draw a panel; see `Section.add`. `prefix` begins the ids in its SVG."""
    if any(len(name) > 18 for name in names):
        columns = 1
    rows = -(-len(names) // columns) if len(names) > 1 else 0
    figure, axes = style.panel(rows, square)
    with style.context(), warnings.catch_warnings():
        # The text is set by the browser, in whatever font has the letters of a name.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        found = paint(figure, axes)
        if rows:
            style.legend(figure, axes, columns)
        svg = to_svg(figure, prefix, title)
    return Picture(title, caption.format(found), svg)


def heading(key):
    """The heading of a column or row that holds what `DEFINITIONS` has under this key."""
    definition = DEFINITIONS[key]
    return Cell(definition.label, definition.text, header=True)


def number(key, value, outer=None):
    """A number with its definition; that of the outer shell follows in brackets."""
    text = format_number(key, value)
    if outer is not None:
        text += f" ({format_number(key, outer)})"
    return Cell(text, DEFINITIONS[key].text if key in DEFINITIONS else "")


def plain(text, header=False):
    """A cell that needs no definition."""
    return Cell(str(text), header=header)
