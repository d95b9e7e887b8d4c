"""The notebooks run from start to end."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


# The kernel's own machinery, not the notebooks', leaves sockets behind.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
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


def texts(cell):
    for output in cell.outputs:
        text = output.get("data", {}).get("text/plain")
        if text is not None:
            yield text, cell


def test_notebooks_are_kept_without_output():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells), path
