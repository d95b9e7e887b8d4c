"""Run a family's checks on a member of it."""

import pandas as pd

from vimerge.testing.errors import ConformanceError, Fault, NotApplicable, describe

COLUMNS = {"member": "str", "check": "str", "passed": "boolean", "message": "str"}


def name_of(check):
    """The readable name of a check, which is that of its function."""
    return check.__name__.replace("_", " ")


def run(subjects, checks, *, skip=(), report=False):
    """Run every check on every subject.

    Parameters
    ----------
    subjects : sequence of Subject
        What is checked: one member, or each variate of one.
    checks : sequence of callable
        Each takes a subject, and raises a Fault or NotApplicable.
    skip : sequence of str
        Names of checks to leave out.
    report : bool
        Whether to return a table instead of raising.

    Returns
    -------
    pandas.DataFrame or None
        A row a check: member, check, passed (<NA> where it does not apply), message.

    Raises
    ------
    ConformanceError
        At the first failure, unless there is a report.
    ValueError
        If there is no check of a name in `skip`.
    """
    names = [name_of(check) for check in checks]
    skip = [skip] if isinstance(skip, str) else list(skip)
    unknown = sorted(set(skip) - set(names))
    if unknown:
        raise ValueError(f"There is no check {unknown[0]!r}; there are: {', '.join(names)}.")
    chosen = [(check, name) for check, name in zip(checks, names, strict=True) if name not in skip]
    rows = []
    for subject in subjects:
        try:
            rows += _rows(subject, chosen, report)
        finally:
            subject.restore()
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS) if report else None


def _rows(subject, checks, report):
    rows = []
    for check, name in checks:
        passed, message = True, ""
        try:
            _run(subject, check, name)
        except NotApplicable as reason:
            passed, message = pd.NA, str(reason)
        except ConformanceError as error:
            if not report:
                raise
            passed, message = False, str(error)
        rows.append((subject.name, name, passed, message))
        if not subject.is_made:
            break
    return rows


def _run(subject, check, name):
    try:
        check(subject)
    except NotApplicable:
        raise
    except Fault as fault:
        raise ConformanceError(subject.name, name, str(fault)) from None
    except Exception as error:
        raise ConformanceError(subject.name, name, describe(error)) from error
