"""Where the beams ran in the crystal, from the batch headers of an unmerged MTZ file."""

import logging

import gemmi
import numpy as np

__all__ = ["GEOMETRY", "Batches", "beam_columns", "read_batches", "s0_and_s1"]

logger = logging.getLogger("vimerge")

GEOMETRY = ("S0X", "S0Y", "S0Z", "S1X", "S1Y", "S1Z")

# Where CCP4's library keeps what in a batch header (mtzdata.h, struct bathead): integers, then reals.
_SCAN_AXIS, _NUMBER_OF_AXES = 15, 17
_U, _DATUM, _PHI, _SCAN_VECTOR, _AXES, _SOURCE_IDEAL, _SOURCE, _WAVELENGTH = 6, 33, 36, 38, 59, 80, 83, 86
# How far the points may be from the Ewald sphere: the median over the observations, radians as seen from the origin.
# Images of 1° put them 0.004 away at most on the whole; a wrong orientation, about 0.3.
TOLERANCE = 0.02


class Batches:
    """
    The geometry in batch headers.

    Parameters
    ----------
    mtz : gemmi.Mtz
        With batch headers; the data are not needed.

    Attributes
    ----------
    number : np.ndarray
        ``[B]`` int64: batch numbers, ascending.
    u : np.ndarray
        ``[B, 3, 3]``: crystal orientation, from the crystal's Cartesian frame (x along a*, y in the plane of a* and
        b*; Busing & Levy, Acta Cryst. 22, 457, 1967) to the laboratory's with the goniostat at zero.
    b : np.ndarray
        ``[B, 3, 3]``: reciprocal axes in the crystal's frame as columns, Å⁻¹.
    phi : np.ndarray
        ``[B, 2]``: start and end of the scan, radians.
    scan_vector : np.ndarray
        ``[B, 3]``: unit vector of the scan axis, the other axes being at their datum.
    before : np.ndarray
        ``[B, 3, 3]``: rotation by the goniostat's axes that the scan axis carries.
    s0 : np.ndarray
        ``[B, 3]``: the incident beam, of length 1/λ, in the laboratory frame.

    Raises
    ------
    ValueError
        If the headers lack the orientation, the axis, the beam or the wavelength.
    """

    def __init__(self, mtz):
        batches = sorted(mtz.batches, key=lambda batch: batch.number)
        if not batches:
            raise ValueError("there are no batch headers")
        floats = np.array([list(batch.floats)[:120] for batch in batches], dtype=np.float64)
        ints = np.array([list(batch.ints)[:21] for batch in batches], dtype=np.int64)
        self.number = np.array([batch.number for batch in batches], dtype=np.int64)
        # The file has U column by column.
        self.u = floats[:, _U : _U + 9].reshape(-1, 3, 3).transpose(0, 2, 1)
        if np.abs(self.u @ self.u.transpose(0, 2, 1) - np.eye(3)).max() > 1e-2:
            raise ValueError("the orientation matrices are no rotations")
        self.b = np.array([_busing_levy(batch.cell) for batch in batches])
        self.phi = np.deg2rad(floats[:, _PHI : _PHI + 2])
        self.scan_vector, self.before = _goniostat(floats, ints)
        self.s0 = _incident(floats, mtz)

    def __len__(self):
        return len(self.number)

    def find(self, number):
        """
        Rows of batch numbers.

        Parameters
        ----------
        number : np.ndarray
            ``[M]`` batch numbers.

        Returns
        -------
        np.ndarray
            ``[M]``.

        Raises
        ------
        ValueError
            If there is no header for one.
        """
        row = np.minimum(np.searchsorted(self.number, number), len(self) - 1)
        if not np.array_equal(self.number[row], number):
            raise ValueError("there are images without a batch header")
        return row


def read_batches(path):
    """
    Read the geometry from a file's batch headers.

    Parameters
    ----------
    path : str
        An MTZ file.

    Returns
    -------
    Batches

    Raises
    ------
    ValueError
        If the file is no MTZ file, or the geometry is not in it.
    """
    try:
        mtz = gemmi.read_mtz_file(path, with_data=False)
    except (RuntimeError, OSError):
        raise ValueError("there is no MTZ file to read batch headers from") from None
    return Batches(mtz)


def s0_and_s1(batches, hkl, image, rotation=None):
    """
    Unit vectors of the incident and the diffracted beam of each observation, in the crystal's Cartesian frame.

    With the scan at φ, the reciprocal-lattice point is r = R(φ) G U B h in the laboratory, and s1 = s0 + r; both are
    turned back by (R(φ) G U)⁻¹.

    Parameters
    ----------
    batches : Batches
        The headers.
    hkl : np.ndarray
        ``[M, 3]`` observed Miller indices.
    image : np.ndarray
        ``[M]`` batch numbers.
    rotation : np.ndarray, optional
        ``[M]`` rotation angles at which they were observed, degrees; by default the middle of the image.

    Returns
    -------
    s0, s1 : np.ndarray
        ``[M, 3]``.
    residual : np.ndarray
        ``[M]``: (|s0 + r| − |s0|) / |r|, zero where the diffraction condition is met; about the angle in radians by
        which the point r is short of the Ewald sphere.

    Raises
    ------
    ValueError
        If an image has no header.
    """
    row = batches.find(image)
    phi = batches.phi.mean(axis=1)[row] if rotation is None else np.deg2rad(np.asarray(rotation, dtype=np.float64))
    # In the crystal's frame it is the beam that turns: (R(φ) G U)⁻¹ s0 = Uᵀ G⁻¹ R(−φ) s0.
    to_crystal = np.einsum("bij,bik->bjk", batches.u, np.linalg.inv(batches.before))
    s0 = np.einsum("nij,nj->ni", to_crystal[row], _turn(batches.s0[row], batches.scan_vector[row], -phi))
    r = np.einsum("nij,nj->ni", batches.b[row], np.asarray(hkl, dtype=np.float64))
    s1 = s0 + r
    length0, length1, length = (np.linalg.norm(x, axis=1) for x in (s0, s1, r))
    return s0 / length0[:, None], s1 / length1[:, None], (length1 - length0) / length


def beam_columns(raw, image_key):
    """
    S0X … S1Z, the beams' unit vectors in the crystal's frame, if the file's headers tell them.

    Parameters
    ----------
    raw : RawObservations
        The source; its path has to be that of an MTZ file.
    image_key : str
        The column of batch numbers.

    Returns
    -------
    dict of str to np.ndarray
        Each ``[M]`` float32.

    Raises
    ------
    ValueError
        If the geometry is unknown: no headers, or headers that do not put the observations on the Ewald sphere. The
        message says which.
    """
    batches = read_batches(raw.path)
    image = np.asarray(raw.columns[image_key], dtype=np.float64)
    candidates = {"the middle of the image": None}
    # Some programs write angles of their own in ROT, so the better of the two is taken.
    rotation = np.asarray(raw.columns["ROT"], dtype=np.float64) if "ROT" in raw.columns else None
    if rotation is not None and np.isfinite(rotation).all():
        candidates["ROT"] = rotation
    beams = {name: s0_and_s1(batches, raw.hkl, image, angle) for name, angle in candidates.items()}
    error = {name: np.median(np.abs(beam[2])) for name, beam in beams.items()}
    best = min(error, key=error.get)
    if not error[best] < TOLERANCE:
        raise ValueError(
            f"the batch headers put the observations {np.rad2deg(error[best]):.1f}° off the Ewald sphere on average"
        )
    logger.info(
        "%s: beams by the batch headers with φ from %s, %.2f° off the Ewald sphere on average",
        *(raw.path, best, np.rad2deg(error[best])),
    )
    s0, s1, _ = beams[best]
    return dict(zip(GEOMETRY, np.concatenate([s0, s1], axis=1).T.astype(np.float32), strict=True))


def _busing_levy(cell):
    reciprocal = cell.reciprocal()
    beta, gamma = np.deg2rad([reciprocal.beta, reciprocal.gamma])
    return np.array(
        [
            [reciprocal.a, reciprocal.b * np.cos(gamma), reciprocal.c * np.cos(beta)],
            [0, reciprocal.b * np.sin(gamma), -reciprocal.c * np.sin(beta) * np.cos(np.deg2rad(cell.alpha))],
            [0, 0, 1 / cell.c],
        ]
    )


def _goniostat(floats, ints):
    """The scan axis in the laboratory, [B, 3], and the rotation by the axes it carries, [B, 3, 3], at their datum."""
    count = np.clip(ints[:, _NUMBER_OF_AXES], 1, 3)
    scan = np.clip(ints[:, _SCAN_AXIS], 1, count)
    axes = floats[:, _AXES : _AXES + 9].reshape(-1, 3, 3)
    none = np.abs(axes[np.arange(len(axes)), scan - 1]).sum(axis=1) == 0
    axes[none, scan[none] - 1] = floats[none, _SCAN_VECTOR : _SCAN_VECTOR + 3]
    length = np.linalg.norm(axes, axis=2)
    if np.any(length[np.arange(len(axes)), scan - 1] < 0.5):
        raise ValueError("the batch headers have no rotation axis")
    datum = np.deg2rad(floats[:, _DATUM : _DATUM + 3])
    outside = np.tile(np.eye(3), (len(axes), 1, 1))
    before = outside.copy()
    # The first axis carries the second, and the second the third.
    for i in range(3):
        used = (i < count) & (length[:, i] > 0.5)
        unit = axes[:, i] / np.where(length[:, i, None] > 0.5, length[:, i, None], 1.0)
        turned = _matrix(unit, datum[:, i])
        outside = np.where((used & (i + 1 < scan))[:, None, None], outside @ turned, outside)
        before = np.where((used & (i + 1 > scan))[:, None, None], before @ turned, before)
    unit = axes[np.arange(len(axes)), scan - 1]
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    # R = O T(φ) G = T'(φ) O G, where T' turns about the scan axis as the outer axes hold it.
    return np.einsum("bij,bj->bi", outside, unit), outside @ before


def _incident(floats, mtz):
    source = floats[:, _SOURCE : _SOURCE + 3]
    missing = np.linalg.norm(source, axis=1) < 0.5
    source = np.where(missing[:, None], floats[:, _SOURCE_IDEAL : _SOURCE_IDEAL + 3], source)
    length = np.linalg.norm(source, axis=1, keepdims=True)
    wavelength = floats[:, _WAVELENGTH : _WAVELENGTH + 1]
    known = [dataset.wavelength for dataset in mtz.datasets if dataset.wavelength > 0]
    if known:
        wavelength = np.where(wavelength > 0, wavelength, known[-1])
    if np.any(length < 0.5) or np.any(wavelength <= 0):
        raise ValueError("the batch headers have no beam direction or no wavelength")
    # The header's vector points to the source.
    return -source / length / wavelength


def _turn(vector, axis, angle):
    """Rodrigues' formula: vectors [N, 3] about unit axes [N, 3] by angles [N]."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = np.einsum("ni,ni->n", vector, axis)[:, None] * axis
    return along + cosine * (vector - along) + sine * np.cross(axis, vector)


def _matrix(axis, angle):
    """Rotation matrices, [N, 3, 3]."""
    return np.stack([_turn(np.tile(e, (len(axis), 1)), axis, angle) for e in np.eye(3)], axis=2)
