"""Profile-fitted and summed intensities: one of them, or both, weighted by strength."""

from dataclasses import replace

import numpy as np

from vimerge.reflections.errors import MissingColumnError

__all__ = ["combine_intensities"]


def combine_intensities(reflections, summation, sigma, lp=None, imid=None):
    """
    Combine profile-fitted with summed intensities.

    Profiles are better for weak reflections and sums for strong ones:
    I = w I_profile + (1 − w) I_sum with w = 1/(1 + (I_raw/I_mid)³), where I_raw is the profile-fitted intensity before
    the Lorentz–polarisation correction [1]_. The two share their counts, so that the variance is interpolated too.

    Parameters
    ----------
    reflections : Reflections
        With the profile-fitted intensities.
    summation, sigma : str
        Names of the summed intensities and their standard deviations among the metadata.
    lp : str, optional
        Name of the correction's factor among the metadata; if it is not given, I_raw is I.
    imid : float, optional
        Where both weigh the same; by default the mean of I_raw.

    Returns
    -------
    reflections : Reflections
        With the combined intensities.
    imid : float

    Raises
    ------
    MissingColumnError
        If a column is not among the metadata.

    References
    ----------
    .. [1] Evans, P. R. & Murshudov, G. N. (2013). Acta Cryst. D69, 1204–1214.
    """

    def column(name):
        if name not in reflections.metadata_keys:
            raise MissingColumnError(
                f"{', '.join(reflections.files)}: there is no column {name} to combine intensities with; name "
                "others with --combine, or leave it out."
            )
        return reflections.metadata[:, reflections.metadata_keys.index(name)].astype(np.float64)

    profile, sigma_profile = reflections.iobs.astype(np.float64), reflections.sigiobs.astype(np.float64)
    raw = profile / column(lp) if lp is not None else profile
    imid = float(raw.mean()) if imid is None else float(imid)
    # Cubed as a ratio no larger than needed: w is 0 long before it overflows.
    weight = 1.0 / (1.0 + np.clip(raw / imid, 0.0, 1e4) ** 3)
    intensity = weight * profile + (1 - weight) * column(summation)
    variance = weight * sigma_profile**2 + (1 - weight) * column(sigma) ** 2
    changed = replace(reflections, iobs=intensity.astype(np.float32), sigiobs=np.sqrt(variance).astype(np.float32))
    return changed, imid
