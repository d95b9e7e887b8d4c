"""Scaling in cycles: fit the scales, reject outliers, refine the errors, until nothing changes."""

import logging
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from vimerge.conventional.cycles import State, columns
from vimerge.conventional.errors import ErrorModel, deviations_by_intensity
from vimerge.conventional.model import ModelOptions, ScaleModel
from vimerge.conventional.sweeps import find_sweeps
from vimerge.reflections.errors import OptionError

__all__ = ["Scaling", "ScalingOptions", "scale_reflections"]

log = logging.getLogger("vimerge")


@dataclass(frozen=True)
class ScalingOptions:
    """
    How to scale.

    Parameters
    ----------
    model : ModelOptions
        The parts of the scaling model.
    outlier_limit : float
        The largest normalised deviation from the other equivalents that is accepted.
    friedel_limit : float
        The same from equivalents and Friedel mates together, where the latter are kept apart.
    e_limit : float
        The largest |E|.
    error_model : bool
        Whether to refine SdFac, SdB and SdAdd; otherwise the file's sigmas stay as they are.
    cycles : int
        At most so many.
    tolerance : float
        End when log scales change by less from cycle to cycle, root mean square.
    wavelength_key : str, optional
        The metadata with the wavelength of each observation, in Laue data.

    Raises
    ------
    OptionError
        If a value makes no sense.
    """

    model: ModelOptions = field(default_factory=ModelOptions)
    outlier_limit: float = 6.0
    friedel_limit: float = 10.0
    e_limit: float = 10.0
    error_model: bool = True
    cycles: int = 10
    tolerance: float = 1e-3
    wavelength_key: str | None = None

    def __post_init__(self):
        for name in ("outlier_limit", "friedel_limit", "e_limit", "tolerance"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be positive; correct --{name.replace('_', '-')}.")
        if self.cycles < 1:
            raise OptionError("There must be one cycle of scaling at least; correct --cycles.")


@dataclass(frozen=True)
class Scaling:
    """
    The outcome of scaling M observations, in their order.

    Parameters
    ----------
    scale, sigscale : np.ndarray
        ``[M]``: g, and its standard deviation.
    sigma : np.ndarray
        ``[M]``: σ', the corrected standard deviation of I.
    used : np.ndarray
        ``[M]`` bool: neither held out nor rejected.
    rejected : np.ndarray
        ``[M]`` bool: outliers.
    deviation : np.ndarray
        ``[M]``: normalised deviation from the mean of the equivalents, NaN where there is none; nor of pairs that
        disagree by more than the limit.
    freedom : np.ndarray
        ``[M]``: what the fits of mean and scale have left of the variance of each deviation; 0 where there is none.
    expected : np.ndarray
        ``[M]``: g ⟨I⟩.
    sweep : np.ndarray
        ``[M]``.
    errors : ErrorModel
        By sweep.
    model : ScaleModel
    theta : np.ndarray
        Its parameters.
    history : pandas.DataFrame
        A row a cycle.
    """

    scale: np.ndarray
    sigscale: np.ndarray
    sigma: np.ndarray
    used: np.ndarray
    rejected: np.ndarray
    deviation: np.ndarray
    freedom: np.ndarray
    expected: np.ndarray
    sweep: np.ndarray
    errors: ErrorModel
    model: ScaleModel
    theta: np.ndarray
    history: pd.DataFrame

    def learned(self):
        """SdFac, SdB and SdAdd on average and by sweep, and the widths of the restraints, as a dict for JSON."""
        last = self.history.iloc[-1]
        average = {name: float(last[name]) for name in ("SdFac", "SdB", "SdAdd")}
        sweeps = {f"{name}_by_sweep": x.tolist() for name, x in zip(average, self.errors, strict=True)}
        return average | sweeps | {f"tau_{name}": value for name, value in self.model.tau.items()}

    def deviations_by_intensity(self, bins=20):
        """Spread of the normalised deviations; see `errors.deviations_by_intensity`."""
        return deviations_by_intensity(self.expected, self.deviation, self.freedom, bins)


def scale_reflections(reflections, use=None, options=None):
    """
    Scale observations by least squares.

    Parameters
    ----------
    reflections : Reflections
        M observations. Of their metadata ROT, S1X S1Y S1Z, and XDET YDET or X Y are used where they are.
    use : np.ndarray, optional
        ``[M]`` bool: which to scale by; the others get scales, but have no influence.
    options : ScalingOptions, optional

    Returns
    -------
    Scaling
    """
    options = ScalingOptions() if options is None else options
    rotation = columns(reflections, "ROT")
    rotation = rotation[:, 0] if rotation is not None else None
    sweep = find_sweeps(reflections, rotation)
    state = State(reflections, sweep, rotation, use, options)
    rows, previous = [], None
    for cycle in range(1, options.cycles + 1):
        rows.append(state.cycle(cycle) | {"cycle": cycle})
        row = rows[-1]
        log.info(
            "cycle %d: χ²/n %.3f, %s rejected, SdFac %.3f SdB %.3g SdAdd %.4f, scales moved by %.2g",
            *(row[k] for k in ("cycle", "chi2_per_observation")),
            f"{row['rejected']:,}",
            *(row[k] for k in ("SdFac", "SdB", "SdAdd", "shift")),
        )
        settled = previous is not None and abs(row["rejected"] - previous["rejected"]) <= 1e-4 * len(reflections)
        if settled and cycle > 2 and row["shift"] < options.tolerance and state.errors_settled:
            break
        previous = row
    return Scaling(**state.finish(pd.DataFrame(rows).set_index("cycle")))
