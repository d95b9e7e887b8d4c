"""From raw columns to a validated table: choose columns, agree on the symmetry, make the cuts, number everything."""

import logging

import numpy as np

from vimerge.reflections import hkl as miller
from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.columns import choose_keys
from vimerge.reflections.errors import NoObservationsError, OptionError, ReflectionDataError, UncertaintyError
from vimerge.reflections.metadata import COMPUTED, FILE, choose_metadata, metadata_matrix
from vimerge.reflections.symmetry import common_cell, common_spacegroup

__all__ = ["assemble"]

logger = logging.getLogger("vimerge")


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
):
    """
    Make the fields of a `Reflections` from raw columns.

    Parameters
    ----------
    raws : sequence of RawObservations
        One or more sources.
    anomalous, dmin, space_group, intensity_key, uncertainty_key, image_key, metadata
        As for `Reflections.read`.

    Returns
    -------
    dict
        The arguments of `Reflections`.
    """
    dmin = _checked_dmin(dmin)
    keys = [choose_keys(raw, intensity_key, uncertainty_key, image_key) for raw in raws]
    names = choose_metadata(raws, keys, metadata)
    spacegroup = common_spacegroup(raws, space_group)
    cell = common_cell(raws)

    hkl = np.concatenate([raw.hkl for raw in raws])
    file_id = np.repeat(np.arange(len(raws), dtype=np.int32), [len(raw) for raw in raws])
    iobs = _concatenate(raws, [key.intensity for key in keys])
    sigiobs = _concatenate(raws, [key.uncertainty for key in keys])
    image = np.concatenate([_image_numbers(raw, key.image) for raw, key in zip(raws, keys, strict=True)])

    mapped, plus = miller.to_asu(hkl, spacegroup)
    keep = np.ones(len(hkl), dtype=bool)
    cuts = []

    def cut(bad, why):
        count = np.count_nonzero(bad & keep)
        if count:
            cuts.append(f"{count:,} {why}")
            logger.info("%s of %s observations removed: %s", f"{count:,}", f"{len(hkl):,}", why)
        np.logical_and(keep, ~bad, out=keep)

    distinct, inverse = miller.unique(mapped)
    s2 = np.asarray(cell.calculate_1_d2_array(distinct))
    absent = np.asarray(spacegroup.operations().systematic_absences(distinct), dtype=bool) | (s2 == 0)
    cut(absent[inverse], "systematically absent")
    if dmin is not None:
        # The tolerance keeps reflections at the limit itself, whatever the rounding of the cell.
        cut((s2 > (1 + 1e-6) / dmin**2)[inverse], f"beyond {dmin:g} Å")
    _check_uncertainties(raws, keys, file_id, keep, iobs, sigiobs)
    cut(~np.isfinite(sigiobs) | (sigiobs <= 0), f"with a {keys[0].uncertainty} that is not a positive number")
    cut(~np.isfinite(iobs), f"with an {keys[0].intensity} that is not a finite number")
    if not keep.any():
        files = ", ".join(raw.path for raw in raws)
        reason = f" after removing {', '.join(cuts)}" if cuts else ", for there was none to begin with"
        raise NoObservationsError(
            f"{files}: no observation is left{reason}; check the file, --space-group (space_group=) and --dmin (dmin=)."
        )

    all_kept = keep.all()
    rows = slice(None) if all_kept else np.flatnonzero(keep)
    asu, refl_id = ReciprocalASU._from_mapped(mapped[rows], plus[rows], cell, spacegroup, anomalous)
    image_id, images = _number_images(file_id[rows], image[rows], [raw.path for raw in raws])
    kept_hkl = np.ascontiguousarray(hkl[rows])

    def column(name):
        if name == "dHKL":
            return asu.s2[refl_id]
        if name in COMPUTED:
            return kept_hkl[:, COMPUTED.index(name) - 1]
        if name == FILE:
            return file_id[rows]
        return np.concatenate([np.asarray(raw.columns[name], dtype=np.float32) for raw in raws])[rows]

    matrix, metadata_keys = metadata_matrix(names, column, explicit=metadata is not None)
    return {
        "asu": asu,
        "hkl": kept_hkl,
        "refl_id": refl_id,
        "image_id": image_id,
        "file_id": file_id[rows],
        "iobs": iobs[rows].astype(np.float32),
        "sigiobs": sigiobs[rows].astype(np.float32),
        "metadata": matrix,
        "metadata_keys": metadata_keys,
        "images": images,
        "files": tuple(raw.path for raw in raws),
    }


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
