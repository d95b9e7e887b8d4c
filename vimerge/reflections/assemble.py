"""From raw columns to a validated table: choose columns, agree on the symmetry, make the cuts, number everything."""

from typing import NamedTuple

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.columns import choose_keys
from vimerge.reflections.cuts import Cuts
from vimerge.reflections.errors import NoObservationsError, OptionError, ReflectionDataError, UncertaintyError
from vimerge.reflections.metadata import COMPUTED, FILE, choose_metadata, metadata_matrix
from vimerge.reflections.polychromatic import Wavelengths, expand, log_expansion
from vimerge.reflections.symmetry import common_cell, common_spacegroup

__all__ = ["assemble"]


def assemble(
    raws,
    *,
    anomalous=False,
    dmin=None,
    space_group=None,
    intensity_key=None,
    uncertainty_key=None,
    image_key=None,
    metadata=None,
    wavelength_key=None,
    wavelength_min=None,
    wavelength_max=None,
    drop_constant=True,
):
    """
    Make the fields of a `Reflections` from raw columns.

    Parameters
    ----------
    raws : sequence of RawObservations
        One or more sources.
    anomalous, dmin, space_group, intensity_key, uncertainty_key, image_key, metadata
        As for `Reflections.read`.
    wavelength_key, wavelength_min, wavelength_max
        As for `Reflections.read`.
    drop_constant : bool, optional
        Whether to leave out metadata that are the same throughout; those of one data set of several may differ from
        the others'.

    Returns
    -------
    dict
        The arguments of `Reflections`.
    """
    dmin = _checked_dmin(dmin)
    wavelengths = Wavelengths.checked(wavelength_key, wavelength_min, wavelength_max)
    keys = [choose_keys(raw, intensity_key, uncertainty_key, image_key) for raw in raws]
    names = choose_metadata(raws, keys, metadata)
    if wavelengths is not None and metadata is None and wavelengths.key not in names:
        names = [wavelengths.key, *names]
    spacegroup = common_spacegroup(raws, space_group)
    cell = common_cell(raws)

    observed = _Observed.of(raws, keys)
    cuts = Cuts(len(observed.hkl))
    if wavelengths is None:
        laue, (mapped, plus) = None, _monochromatic(observed.hkl, cell, spacegroup, dmin, cuts)
        _cut_unusable(raws, keys, observed, cuts)
    else:
        wavelength = _wavelengths(raws, wavelengths, observed.hkl, cuts)
        _cut_unusable(raws, keys, observed, cuts)
        laue = expand(observed.hkl, wavelength, cell, spacegroup, wavelengths, dmin, cuts)
    files = tuple(raw.path for raw in raws)
    if not cuts.keep.any():
        raise NoObservationsError(
            f"{', '.join(files)}: no observation is left{cuts}; check the file, --space-group (space_group=) and "
            "--dmin (dmin=)."
        )

    rows = cuts.rows
    observed = observed.kept(rows)
    of_predictions = (mapped[rows], plus[rows]) if laue is None else (laue.mapped, laue.plus)
    asu, refl_id = ReciprocalASU._from_mapped(*of_predictions, cell, spacegroup, anomalous)
    image_id, images = _number_images(observed.file_id, observed.image, files)
    if laue is not None:
        log_expansion(laue, refl_id, len(asu))
    columns = _metadata_columns(raws, rows, observed, asu.s2[refl_id], wavelengths, laue)
    matrix, metadata_keys = metadata_matrix(names, columns, explicit=metadata is not None, drop_constant=drop_constant)
    return {
        "asu": asu,
        "hkl": observed.hkl,
        "refl_id": refl_id,
        "image_id": image_id,
        "file_id": observed.file_id,
        "iobs": observed.iobs,
        "sigiobs": observed.sigiobs,
        "metadata": matrix,
        "metadata_keys": metadata_keys,
        "images": images,
        "files": files,
        "harmonics": None if laue is None else laue.harmonics,
    }


class _Observed(NamedTuple):
    """What is merged, of M observations from all sources."""

    hkl: np.ndarray  # as observed, [M, 3]
    file_id: np.ndarray  # int32 [M]
    iobs: np.ndarray  # [M]
    sigiobs: np.ndarray  # [M]
    image: np.ndarray  # the image's number in its file, [M]

    @classmethod
    def of(cls, raws, keys):
        """One after the other, intensities in double precision."""
        return cls(
            np.concatenate([raw.hkl for raw in raws]),
            np.repeat(np.arange(len(raws), dtype=np.int32), [len(raw) for raw in raws]),
            _concatenate(raws, [key.intensity for key in keys]),
            _concatenate(raws, [key.uncertainty for key in keys]),
            np.concatenate([_image_numbers(raw, key.image) for raw, key in zip(raws, keys, strict=True)]),
        )

    def kept(self, rows):
        """Some of them, intensities in single precision."""
        hkl, file_id, iobs, sigiobs, image = (values[rows] for values in self)
        return _Observed(np.ascontiguousarray(hkl), file_id, iobs.astype(np.float32), sigiobs.astype(np.float32), image)


def _monochromatic(hkl, cell, spacegroup, dmin, cuts):
    """Map the indices to the asymmetric unit, and cut absences and what is beyond the limit."""
    mapped, plus = miller.to_asu(hkl, spacegroup)
    distinct, inverse = miller.unique(mapped)
    s2 = np.asarray(cell.calculate_1_d2_array(distinct))
    absent = np.asarray(spacegroup.operations().systematic_absences(distinct), dtype=bool) | (s2 == 0)
    cuts.remove(absent[inverse], "systematically absent")
    if dmin is not None:
        # The tolerance keeps reflections at the limit itself, whatever the rounding of the cell.
        cuts.remove((s2 > (1 + 1e-6) / dmin**2)[inverse], f"beyond {dmin:g} Å")
    return mapped, plus


def _wavelengths(raws, wavelengths, hkl, cuts):
    """The wavelength of each observation; cut what has none, and what has no direction."""
    values = wavelengths.of(raws)
    cuts.remove(~hkl.any(axis=1), "of the index 0 0 0")
    wavelengths.remove_unusable(cuts, values, ", ".join(raw.path for raw in raws))
    return values


def _cut_unusable(raws, keys, observed, cuts):
    """Cut observations without an intensity or a standard deviation."""
    iobs, sigiobs = observed.iobs, observed.sigiobs
    _check_uncertainties(raws, keys, observed.file_id, cuts.keep, iobs, sigiobs)
    cuts.remove(~np.isfinite(sigiobs) | (sigiobs <= 0), f"with a {keys[0].uncertainty} that is not a positive number")
    cuts.remove(~np.isfinite(iobs), f"with an {keys[0].intensity} that is not a finite number")


def _metadata_columns(raws, rows, observed, s2, wavelengths, laue):
    """A function that gives the values of a name, [N], of each prediction for the observations that are left."""

    def column(name):
        if laue is not None and name == wavelengths.key:
            return laue.wavelength
        if name == "dHKL":
            return s2
        if name in COMPUTED:
            return (observed.hkl if laue is None else laue.hkl)[:, COMPUTED.index(name) - 1]
        if name == FILE:
            values = observed.file_id
        else:
            values = np.concatenate([np.asarray(raw.columns[name], dtype=np.float32) for raw in raws])[rows]
        return values if laue is None else values[laue.harmonics.harmonic_id]

    return column


def _checked_dmin(dmin):
    if dmin is None:
        return None
    dmin = float(dmin)
    if not (np.isfinite(dmin) and dmin > 0):
        raise OptionError(f"The resolution limit must be a positive number of Å, not {dmin:g}; correct --dmin (dmin=).")
    return dmin


def _concatenate(raws, names):
    return np.concatenate(
        [np.asarray(raw.columns[name], dtype=np.float64) for raw, name in zip(raws, names, strict=True)]
    )


def _image_numbers(raw, name):
    image = np.asarray(raw.columns[name], dtype=np.float64)
    if not np.isfinite(image).all() or not np.array_equal(np.rint(image), image):
        raise ReflectionDataError(
            f"{raw.path}: the column {name} has values that are no image numbers; name the right column with "
            "--image-key (image_key=)."
        )
    return image.astype(np.int64)


def _number_images(file_id, image, files):
    """Give the images numbers 0, 1, 2 … over all files, where they have observations."""
    import pandas as pd

    low = image.min()
    span = int(image.max() - low) + 1
    distinct, image_id = np.unique(file_id.astype(np.int64) * span + (image - low), return_inverse=True)
    images = pd.DataFrame(
        {
            "file_id": (distinct // span).astype(np.int32),
            "file": [files[i] for i in distinct // span],
            "image": distinct % span + low,
        },
        index=pd.RangeIndex(len(distinct), name="image_id"),
    )
    return image_id.astype(np.int32), images


def _check_uncertainties(raws, keys, file_id, keep, iobs, sigiobs):
    """Refuse a file where most intensities or standard deviations are unusable: the wrong column, most likely."""
    with np.errstate(over="ignore"):
        bad_sigma = ~np.isfinite(sigiobs.astype(np.float32)) | (sigiobs <= 0)
        bad_intensity = ~np.isfinite(iobs.astype(np.float32))
    for i, (raw, key) in enumerate(zip(raws, keys, strict=True)):
        mine = keep & (file_id == i)
        total = np.count_nonzero(mine)
        for bad, name, what, option in (
            (bad_sigma, key.uncertainty, "positive", "--uncertainty-key (uncertainty_key=)"),
            (bad_intensity, key.intensity, "finite", "--intensity-key (intensity_key=)"),
        ):
            count = np.count_nonzero(bad & mine)
            if count > total / 2:
                raise UncertaintyError(
                    f"{raw.path}: {count:,} of {total:,} values of {name} are not {what} numbers; name the right "
                    f"column with {option}."
                )
