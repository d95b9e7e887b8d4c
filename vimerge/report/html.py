"""Results folders side by side on one page that needs nothing else."""

import json
from importlib.metadata import version
from pathlib import Path

from vimerge.reflections.writing import write_together
from vimerge.report import observations, sections
from vimerge.report.definitions import DEFINITIONS
from vimerge.report.folders import read_folders
from vimerge.report.study import Study
from vimerge.report.style import SERIES, THEME
from vimerge.report.training import training

__all__ = ["render", "write_report"]

SECTIONS = (
    sections.resolution,
    sections.pairs,
    observations.images,
    observations.detector,
    observations.predictions,
    observations.residuals,
    sections.posterior,
    training,
    observations.outliers,
)
# Lines of a log that the page shows, from its end.
LOG_LINES = 200


def write_report(folders, path, names=None, shells=10):
    """Write a page about one folder of results, or about several side by side.

    Parameters
    ----------
    folders : sequence of path, or path
        Written by `vimerge merge` or `vimerge conventional`.
    path : path
        The page, complete or not there.
    names : sequence of str, optional
        What to call the folders; by default as they are called.
    shells : int
        Number of resolution shells.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    OptionError
        If there is no folder, not one name for each, or no shell.
    UnreadableFileError
        If a folder is not one of results, or a file in it cannot be read.
    """
    folders = [folders] if isinstance(folders, str | Path) else folders
    path = Path(path)
    page = render(Study(read_folders(folders, names), shells))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_together({path: lambda part: Path(part).write_text(page, encoding="utf-8")})
    return path


def render(study):
    """Make the page.

    Parameters
    ----------
    study : Study

    Returns
    -------
    str
        HTML, with everything in it. The same results give the same page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vimerge.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary, cards = sections.summary(study)
    found = [section for section in (make(study) for make in SECTIONS) if section is not None]
    return environment.get_template("report.html").render(
        title=_title(study.names),
        cards=[(name, THEME[SERIES[i % len(SERIES)]][0], rows) for i, (name, rows) in enumerate(cards)],
        sections=[summary, *found],
        definitions=[d for key, d in DEFINITIONS.items() if _mentioned(d, [summary, *found])],
        provenance=[_provenance(r) for r in study.results],
        theme=[(name, light, dark) for light, (name, dark) in THEME.items()],
        version=version("vimerge"),
    )


def _title(names):
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} and {len(names) - 1} more"


def _mentioned(definition, found):
    """Whether a table has this number: the glossary explains nothing that is not there."""
    return any(
        cell.definition == definition.text
        for section in found
        for table in section.tables
        for row in [table.head, *table.rows[:1], *([r[0]] for r in table.rows)]
        for cell in row
    )


def _provenance(results):
    run = results.run
    log = results.log.splitlines()
    return {
        "name": results.name,
        "folder": str(results.folder),
        "started": run.get("started"),
        "seed": (run.get("options") or {}).get("seed"),
        "versions": run.get("versions") or {},
        "inputs": {path: entry.get("sha256", "") for path, entry in (run.get("inputs") or {}).items()},
        "options": json.dumps(run["options"], indent=1, ensure_ascii=False) if "options" in run else "",
        "log": "\n".join(log[-LOG_LINES:]),
        "omitted": max(len(log) - LOG_LINES, 0),
    }
