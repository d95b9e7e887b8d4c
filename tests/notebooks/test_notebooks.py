"""The notebooks run from start to end."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# The others take more than half a minute.
QUICK = {"quickstart", "vi_against_conventional"}


# The kernel's own machinery, not the notebooks', leaves sockets behind.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in NOTEBOOKS],
)
def test_the_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    results = {name: value for cell in notebook.cells if cell.cell_type == "code" for name, value in texts(cell)}
    assert results
    if path.stem == "quickstart":
        agreement = ast.literal_eval(next(text for text in results if text.startswith("{'CC of merged and true F (")))
        amplitudes, differences = agreement.values()
        assert amplitudes > 0.99
        assert differences > 0.6
    if path.stem == "vi_against_conventional":
        # "CC of merged and true F", "… F(+) - F(-)" and the error of scales: a row each, a column for each method.
        table = next(text for text in results if "rms error of relative scales" in text)
        amplitudes, differences, scales = ([float(x) for x in row.split()[-2:]] for row in table.splitlines()[1:])
        assert min(amplitudes) > 0.99
        assert min(differences) > 0.8
        assert scales[0] < 2.0
    if path.stem == "time_resolved_laue":
        overlaps = numbers(next(text for text in results if "observations of several harmonics" in text))
        assert overlaps["observations of several harmonics"][0] > 100
        cc_half = numbers(next(text for text in results if text.split()[:2] == ["off", "on"]))
        truth = numbers(next(text for text in results if "weighted CC" in text))
        heading, *_ = around = next(text for text in results if "maximum_atom" in text).splitlines()
        best = f"{float(heading.split()[-1]):.4f}"
        # Columns of the truth: CC, weighted CC, rms error, and what is inside the intervals.
        assert truth[best][0] > truth["0.0000"][0] + 0.05
        assert truth[best][3:] == pytest.approx([0.5, 0.683, 0.954], abs=0.06)
        # Too high a correlation: halves agree as well as they do with the right one, and the differences are wrong.
        assert all(one > other for one, other in zip(cc_half["0.9998"], cc_half["0.0000"], strict=True))
        assert cc_half["0.9998"] == pytest.approx(cc_half["0.9900"], abs=0.005)
        assert truth["0.9998"][0] < truth[best][0] - 0.05
        assert truth["0.9998"][3] < 0.3
        rms = next(line for line in around if line.startswith("rms"))
        assert min(map(float, rms.split()[1:])) > 5
        peaks = next(text for text in results if "near" in text).splitlines()[2:]
        assert [line.split()[-1] for line in peaks[:6]] == 6 * ["True"]


def numbers(table):
    """The rows of a printed table whose cells are all numbers, by their names."""
    rows = {}
    for line in table.splitlines():
        words = re.split(r"\s{2,}", line.strip())
        try:
            rows[words[0]] = [float(word) for word in words[1:]]
        except ValueError:
            continue
    return rows


def texts(cell):
    for output in cell.outputs:
        text = output.get("data", {}).get("text/plain")
        if text is not None:
            yield text, cell


def test_notebooks_are_kept_without_output():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells), path
