"""Which columns hold the intensities, their standard deviations and the image numbers."""

import difflib
from typing import NamedTuple

from vimerge.reflections.errors import AmbiguousColumnError, MissingColumnError

__all__ = ["Keys", "choose_keys", "is_sigma_of", "missing_column"]


class Keys(NamedTuple):
    """The names of the columns to merge."""

    intensity: str
    uncertainty: str
    image: str


def is_sigma_of(name, intensity):
    """
    Whether a column is named as the standard deviation of another: SIGI, SigI, sig_I or SIGMA(I) of I.

    Parameters
    ----------
    name, intensity : str
        Column names.

    Returns
    -------
    bool
    """
    name, intensity = name.lower(), intensity.lower()
    return name in {prefix + intensity for prefix in ("sig", "sig_", "sigma", "sigma_")} | {f"sigma({intensity})"}


def missing_column(path, name, available, option, what="column"):
    """
    Make the error for a column that is not there, with the closest name that is.

    Parameters
    ----------
    path : str
        The file.
    name : str
        The name that was given.
    available : iterable of str
        The names there are.
    option : str
        How the name was given, such as ``"--image-key (image_key=)"``.
    what : str, optional
        What was looked for.

    Returns
    -------
    MissingColumnError
    """
    available = list(available)
    lower = {key.lower(): key for key in available}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    hint = f"did you mean {lower[close[0]]}, for {option}?" if close else f"choose another one with {option}."
    return MissingColumnError(
        f"{path}: there is no {what} {name!r} (there are {', '.join(available) or 'no columns'}); {hint}"
    )


def choose_keys(raw, intensity_key=None, uncertainty_key=None, image_key=None):
    """
    Find the columns to merge, by their MTZ types and names where they were not given.

    Parameters
    ----------
    raw : RawObservations
        The source.
    intensity_key, uncertainty_key, image_key : str, optional
        Column names, if known.

    Returns
    -------
    Keys

    Raises
    ------
    MissingColumnError
        If a column is not there.
    AmbiguousColumnError
        If there are several that it could be.
    """
    for key, option in (
        (intensity_key, "--intensity-key (intensity_key=)"),
        (uncertainty_key, "--uncertainty-key (uncertainty_key=)"),
        (image_key, "--image-key (image_key=)"),
    ):
        if key is not None and key not in raw.columns:
            raise missing_column(raw.path, key, raw.columns, option)
    intensity, uncertainty = _intensity_and_uncertainty(raw, intensity_key, uncertainty_key)
    return Keys(intensity, uncertainty, image_key or _image(raw))


def _of_type(raw, letter):
    return [name for name in raw.columns if raw.types.get(name) == letter]


def _intensity_and_uncertainty(raw, intensity, uncertainty):
    if intensity is not None and uncertainty is not None:
        return intensity, uncertainty
    intensities = [intensity] if intensity is not None else _of_type(raw, "J")
    if not intensities:
        raise MissingColumnError(
            f"{raw.path}: there is no intensity column (MTZ type J) among {', '.join(raw.columns) or 'no columns'}; "
            "name one with --intensity-key (intensity_key=)."
        )
    # A sigma is known by its name even where a program wrote it with another type.
    pairs = [
        (i, s)
        for i in intensities
        for s in ([uncertainty] if uncertainty is not None else raw.columns)
        if is_sigma_of(s, i)
    ]
    if not pairs and len(intensities) == 1:
        if uncertainty is not None:
            return intensities[0], uncertainty
        sigmas = _of_type(raw, "Q")
        if len(sigmas) == 1 and not any(is_sigma_of(sigmas[0], other) for other in raw.columns):
            return intensities[0], sigmas[0]
    if not pairs:
        if uncertainty is not None:
            raise AmbiguousColumnError(
                f"{raw.path}: {uncertainty} could belong to any of the intensity columns {', '.join(intensities)}; "
                "name one with --intensity-key (intensity_key=)."
            )
        raise MissingColumnError(
            f"{raw.path}: there is no column with the standard deviations of {' or '.join(intensities)} (such as "
            f"SIG{intensities[0]}) among {', '.join(raw.columns)}; name one with --uncertainty-key (uncertainty_key=)."
        )
    if len(pairs) > 1:
        named = ", ".join(f"{i} with {s}" for i, s in pairs)
        if len({i for i, _ in pairs}) == 1:
            fix = f"--uncertainty-key {pairs[0][1]} (uncertainty_key={pairs[0][1]!r})"
        else:
            fix = " or ".join(f"--intensity-key {i} (intensity_key={i!r})" for i, _ in pairs)
        raise AmbiguousColumnError(
            f"{raw.path}: several intensity columns could be merged ({named}); choose with {fix}."
        )
    return pairs[0]


def _image(raw):
    images = _of_type(raw, "B")
    if not images:
        raise MissingColumnError(
            f"{raw.path}: there is no column of image numbers (MTZ type B, usually BATCH) among "
            f"{', '.join(raw.columns)}; name one with --image-key (image_key=)."
        )
    if len(images) > 1:
        raise AmbiguousColumnError(
            f"{raw.path}: several columns could be the image number ({', '.join(images)}); choose with --image-key "
            f"{images[0]} (image_key={images[0]!r})."
        )
    return images[0]
