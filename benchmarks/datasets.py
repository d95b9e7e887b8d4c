"""The data sets that merges are compared on, and what each program has to be told of them."""

from dataclasses import dataclass, field
from pathlib import Path

REAL = ("hypf", "pyp")
TITLES = {
    "hypf": "HypF: R3, 57,725 observations on 84 images, parts of reflections, anomalous",
    "pyp": "photoactive yellow protein in the dark: P6₃, Laue, 48,069 observations on 20 images",
    "simulated-1e5": "simulated: P2₁2₁2₁, Se at its edge, 1.0·10⁵ observations on 720 images",
    "simulated-4e5": "simulated: P4₃2₁2, the cell of lysozyme, S at 1.9 Å, 4.0·10⁵ observations on 1,440 images",
}
SIMULATIONS = {
    "simulated-1e5": {"images": 720, "seed": 1},
    "simulated-4e5": {
        "space_group": "P 43 21 2",
        "cell": (79.3, 79.3, 37.9, 90.0, 90.0, 90.0),
        "element": "S",
        "anomalous_scatterers": 10,
        "wavelength": 1.9,
        "dmin": 1.8,
        "images": 1440,
        "oscillation": 0.32,
        "seed": 1,
    },
}
NAMES = (*REAL, *SIMULATIONS)


@dataclass(frozen=True)
class DataSet:
    """Unmerged reflections.

    Parameters
    ----------
    name, title : str
    files : tuple of pathlib.Path
    reading : dict
        Options of `Reflections.read`, and of `vimerge merge`.
    metadata : tuple of str
        The metadata for a program that has to be told; vimerge finds them by itself.
    truth : pathlib.Path, optional
        A merged file with F, F(+), F(-) that are true.
    """

    name: str
    title: str
    files: tuple
    reading: dict = field(default_factory=dict)
    metadata: tuple = ()
    truth: Path | None = None

    @property
    def laue(self):
        """Whether they are polychromatic."""
        return "wavelength_key" in self.reading


def get(name, folder, scratch, **reading):
    """A data set by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`, or the path of an unmerged MTZ file.
    folder : path
        Where the real data are: hypf/hypf_unmerged.mtz and pyp/off.mtz.
    scratch : path
        Where simulated ones are kept; what is not there is simulated.
    **reading
        Options of `Reflections.read` for a file that is not known here, None for those that are not needed.

    Returns
    -------
    DataSet

    Raises
    ------
    FileNotFoundError
        If the files are not there.
    """
    if name in SIMULATIONS:
        return _simulated(name, Path(scratch))
    geometry = ("XDET", "YDET", "ROT")
    if name == "hypf":
        found = DataSet(
            name,
            TITLES[name],
            (Path(folder) / "hypf" / "hypf_unmerged.mtz",),
            {"anomalous": True, "intensity_key": "IPR", "uncertainty_key": "SIGIPR"},
            ("BATCH", *geometry, "LP", "FRACTIONCALC", "MPART", "WIDTH", "dHKL", "Hobs", "Kobs", "Lobs"),
        )
    elif name == "pyp":
        metadata = ("X", "Y", "Wavelength", "dHKL", "Hobs", "Kobs", "Lobs")
        files = (Path(folder) / "pyp" / "off.mtz",)
        found = DataSet(name, TITLES[name], files, {"wavelength_key": "Wavelength"}, metadata)
    else:
        path = Path(name)
        given = {key: value for key, value in reading.items() if value is not None}
        found = DataSet(path.stem, str(path), (path,), {"anomalous": True, **given}, ())
    for path in found.files:
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no file {path}; name the folder of the data with --data-dir, or as --data one of "
                f"{', '.join(NAMES)} or an unmerged MTZ file."
            )
    return found if found.metadata else _with_metadata(found)


def _with_metadata(data):
    """With the metadata that vimerge would take, for a program that has to be told."""
    from vimerge import Reflections

    keys = Reflections.read(list(data.files), **data.reading).metadata_keys
    return DataSet(data.name, data.title, data.files, data.reading, keys)


def _simulated(name, scratch):
    path = scratch / f"{name}.mtz"
    truth = scratch / f"{name}_truth.mtz"
    if not (path.is_file() and truth.is_file()):
        from vimerge.simulation import simulate

        scratch.mkdir(parents=True, exist_ok=True)
        simulate(**SIMULATIONS[name]).write(path)
    # The pattern of hypf, of the columns that there are and that vary.
    metadata = ("BATCH", "XDET", "YDET", "ROT", "LP", "dHKL", "Hobs", "Kobs", "Lobs")
    return DataSet(name, TITLES[name], (path,), {"anomalous": True}, metadata, truth=truth)
