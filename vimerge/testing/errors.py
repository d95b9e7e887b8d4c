"""What a check says when it fails."""

import re


class ConformanceError(AssertionError):
    """A member of a family does not keep to what its family has agreed on.

    Parameters
    ----------
    member : str
        Name of the member.
    check : str
        Name of the check that failed.
    fault : str
        What is wrong, where, and what to do.
    """

    def __init__(self, member, check, fault):
        super().__init__(member, check, fault)
        self.member, self.check, self.fault = member, check, fault

    def __str__(self):
        return f"{self.member} fails '{self.check}': {self.fault}"


class Fault(Exception):
    """Raised within a check: what is wrong, where, and what to do, in one sentence that has the member as subject."""


class NotApplicable(Exception):
    """Raised within a check that has nothing to check: why not."""


def describe(error):
    """Say in one sentence what an unexpected exception was."""
    return f"it raises {type(error).__name__}: {reason(error)}."


def reason(error):
    """The one line of an exception's message that says most."""
    # Keras emphasises the original message.
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    line = lines[0]
    if line.startswith("in user code"):
        # Of what is raised while tracing the last line is the original message.
        line = lines[-1].removeprefix(f"{type(error).__name__}: ")
    elif line.startswith("Exception encountered when calling"):
        line = lines[min(1, len(lines) - 1)]
    for other in lines:
        if other.startswith("Exception encountered: "):
            line = other.removeprefix("Exception encountered: ")
    return (line if len(line) <= 400 else line[:400] + "…").rstrip(".")
