"""The other program in an environment of its own."""

import json
import subprocess
import sys
from pathlib import Path

# careless 0.5.4 asks for tf-keras and tensorflow-probability by the version of TensorFlow; NumPy 2.0 is what
# TensorFlow 2.18 allows.
REQUIREMENTS = (
    "careless==0.5.4",
    "tensorflow==2.18.0",
    "tf-keras==2.18.0",
    "tensorflow-probability==0.25.0",
    "numpy==2.0.2",
    "pandas==2.3.3",
    "reciprocalspaceship==1.0.8",
    "gemmi==0.7.5",
    "scipy==1.17.1",
)
DEFAULT = Path.home() / ".cache" / "vimerge-benchmarks" / "careless"


def ensure(folder=None):
    """The Python of careless's environment, made if it is not there.

    Parameters
    ----------
    folder : path, optional
        The virtual environment; ~/.cache/vimerge-benchmarks/careless if not given.

    Returns
    -------
    pathlib.Path
    """
    folder = Path(DEFAULT if folder is None else folder).expanduser()
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {REQUIREMENTS[0]} into {folder} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    subprocess.run([folder / "bin" / "careless", "mono", "--help"], check=True, capture_output=True)
    return python


def versions(python):
    """Versions of what was pinned, as they are in that environment."""
    names = [requirement.split("==")[0] for requirement in REQUIREMENTS]
    code = f"import json; from importlib.metadata import version; print(json.dumps({{n: version(n) for n in {names}}}))"
    return json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)
