"""The state of scaling from cycle to cycle: scales, errors and outliers."""

import numpy as np

from vimerge.conventional.errors import ErrorModel, deviations, refine_errors
from vimerge.conventional.fit import fit_scales, group_means, scale_leverage, scale_variance
from vimerge.conventional.layout import make_layout
from vimerge.conventional.model import Coordinates, ScaleModel
from vimerge.conventional.outliers import disagreeing, less_likely, too_strong, undecided
from vimerge.conventional.wilson import mean_intensity
from vimerge.reflections.errors import OptionError
from vimerge.reflections.metadata import detector_position

__all__ = ["State", "columns"]

# From this cycle on what is rejected stays so, or cycles might go on for ever.
_LAST_PARDON = 5
# By then weights have settled, and how much of each residual the scales take up.
_LAST_LEVERAGE = 3
# The first cycles see scales and errors that are still wrong, and should not take that for outliers.
_FIRST_LIMIT = 2.0


def columns(reflections, *names):
    """Metadata as float64 ``[M, len(names)]``, or None if one is not there."""
    keys = reflections.metadata_keys
    if not all(name in keys for name in names):
        return None
    return reflections.metadata[:, [keys.index(name) for name in names]].astype(np.float64)


class State:
    """
    What changes from cycle to cycle, in the layout's order.

    Parameters
    ----------
    reflections : Reflections
        M observations.
    sweep : np.ndarray
        ``[M]``.
    rotation : np.ndarray or None
        ``[M]`` degrees.
    use : np.ndarray or None
        ``[M]`` bool: which to scale by.
    options : ScalingOptions
    """

    def __init__(self, reflections, sweep, rotation, use, options):
        asu, self.options = reflections.asu, options
        # Friedel mates scale together: they lie far apart in the crystal, and differ by little.
        mate = asu.friedel_mate
        own = np.arange(len(asu))
        group = np.where((mate >= 0) & (mate < own), mate, own)[reflections.refl_id]
        group = np.unique(group, return_inverse=True)[1]
        self.layout = layout = make_layout(group, sweep)
        wavelength = columns(reflections, options.wavelength_key) if options.wavelength_key else None
        wavelength = wavelength[:, 0] if wavelength is not None else None
        order = layout.order
        position = detector_position(reflections.metadata_keys)
        coordinates = Coordinates(
            s2=asu.s2[reflections.refl_id],
            image_id=reflections.image_id,
            n_images=reflections.n_images,
            rotation=rotation,
            direction=columns(reflections, "S1X", "S1Y", "S1Z"),
            detector=None if position is None else columns(reflections, *position),
            wavelength=wavelength,
        )
        self.model = ScaleModel(layout, coordinates.take(order), options.model)
        self.asu, self.refl_id = asu, reflections.refl_id[order]
        self.iobs = reflections.iobs[order].astype(np.float64)
        self.raw = np.square(reflections.sigiobs[order].astype(np.float64))
        self.use = np.ones(len(order), dtype=bool) if use is None else np.asarray(use, dtype=bool)[order]
        if not self.use.any():
            raise OptionError("Every observation is held out; make --test-fraction smaller.")
        self.keep = self.use.copy()
        self.theta = np.zeros(self.model.size)
        self.errors = ErrorModel.start(layout.n_sweeps, 0.03 if options.error_model else 0.0)
        self.scale, self.variance = np.ones(len(order)), self.raw
        if self.model.stills:
            self._start_images()
        self._expect()
        self.errors_settled = not options.error_model
        self.leverage = 0.0

    def _start_images(self):
        """Rough scales of still images, which may differ by orders of magnitude, each from the others in turn."""
        image, count = self.model.image_id, self.model.n_images
        weight = np.where(self.keep, 1.0 / self.raw, 0.0)
        positive = np.where(self.keep, np.maximum(self.iobs, 0.0), 0.0)
        k = np.bincount(image, positive, minlength=count) / np.maximum(np.bincount(image, self.keep, count), 1)
        floor = 1e-6 * k.max()
        for _ in range(10):
            k = np.maximum(k, floor)
            k /= np.exp(np.mean(np.log(k[np.unique(image)])))
            scale = k[image]
            mean = group_means(self.layout, self.iobs, weight, scale)[0][self.layout.group]
            below = np.bincount(image, weight * mean**2, minlength=count)
            above = np.bincount(image, weight * mean * self.iobs, minlength=count)
            k = np.where(below > 0, above / np.where(below > 0, below, 1.0), 1.0)
        own = self.theta[self.model.n_smooth :].reshape(count, -1)
        own[:, 0] = np.log(np.maximum(k, floor))
        self.scale = np.exp(self.model.log_scale(self.theta))

    def _expect(self):
        """Variances by the error model about the intensities that all the equivalents expect."""
        for _ in range(2):
            weight = np.where(self.keep, 1.0 / self.variance, 0.0)
            precision = np.bincount(self.refl_id, weight * self.scale**2, minlength=len(self.asu))
            total = np.bincount(self.refl_id, weight * self.scale * self.iobs, minlength=len(self.asu))
            known = precision > 0
            self.mean = np.divide(total, precision, out=np.zeros_like(total), where=known)
            # Nothing measured: what Wilson statistics expect at that resolution.
            wilson = mean_intensity(self.mean, self.asu.epsilon, self.asu.s2, known)
            self.wilson = wilson
            self.expected = self.scale * np.where(known, self.mean, wilson)[self.refl_id]
            self.variance = self.errors.variance(self.layout.sweep, self.raw, self.expected)

    def cycle(self, number):
        """Fit, reject and refine once; gives the row of the history."""
        options = self.options
        weight = np.where(self.keep, 1.0 / self.variance, 0.0)
        fit = fit_scales(self.model, self.iobs, weight, self.theta, steps=3 if number > 1 else 6)
        self.fit, self.theta, before = fit, fit.theta, np.log(self.scale)
        self.model.learn(fit.theta, fit.smooth_covariance, fit.image_covariance)
        self.scale = np.exp(self.model.log_scale(self.theta))
        self._expect()
        self._reject(options.outlier_limit * (_FIRST_LIMIT if number == 1 else 1.0), final=number >= _LAST_PARDON)
        self._expect()
        if number <= _LAST_LEVERAGE:
            curvature = np.where(self.keep, self.expected**2 / self.variance, 0.0)
            self.leverage = scale_leverage(self.model, fit, self.refl_id, curvature)
        if options.error_model:
            self._refine()
        self.deviation, self.freedom = self._deviations()
        shift = np.sqrt(np.mean(np.square(np.log(self.scale) - before)[self.use]))
        learned = {f"tau_{name}": value for name, value in self.model.tau.items()}
        kept = np.isfinite(self.deviation)
        return {
            "target": fit.value,
            "chi2_per_observation": fit.value / max(np.count_nonzero(weight), 1),
            "rejected": int(np.count_nonzero(self.use & ~self.keep)),
            "shift": float(shift),
            **self._mean_errors(),
            "sd_of_deviations": self._sd(kept),
            **learned,
        }

    def _sd(self, kept):
        """Standard deviation of the normalised deviations, each degree of freedom counted once."""
        if not kept.any():
            return np.nan
        return float(np.sqrt(np.average(self.deviation[kept] ** 2, weights=self.freedom[kept])))

    def _mean_errors(self):
        number = np.bincount(self.layout.sweep[self.keep], minlength=self.layout.n_sweeps)
        means = [float(np.average(x, weights=number)) for x in self.errors]
        return dict(zip(("SdFac", "SdB", "SdAdd"), means, strict=True))

    def _reject(self, limit, final=False):
        options, data = self.options, (self.iobs, self.variance, self.scale)
        # Decided anew each time, at first: what was rejected under worse scales may come back.
        bad = self.use & ~self.keep if final else np.zeros(len(self.use), dtype=bool)
        bad |= disagreeing(self.refl_id, *data, self.use & ~bad, limit)
        if self.asu.anomalous:
            bad |= disagreeing(self.layout.group, *data, self.use & ~bad, max(options.friedel_limit, limit))
        sigma = np.sqrt(self.variance)
        expected = self.wilson[self.refl_id]
        bad |= self.use & too_strong(self.iobs / self.scale, sigma / self.scale, expected, options.e_limit)
        pairs = undecided(self.refl_id, *data, self.use & ~bad, limit)
        bad |= less_likely(self.refl_id, self.iobs / self.scale, expected, self.asu.centric[self.refl_id], pairs)
        self.keep = self.use & ~bad
        # Of other pairs that disagree both are merged, unsure as that makes them; errors are not refined by them.
        self.sound = self.keep & ~undecided(self.refl_id, *data, self.keep, limit)

    def _refine(self):
        previous = self.errors
        for _ in range(3):
            deviation, freedom = self._deviations()
            self.errors = refine_errors(
                self.errors, self.layout.sweep, self.raw, self.expected, deviation, freedom, self.variance
            )
            self._expect()
        typical = np.median(self.raw) / max(np.mean(np.abs(self.iobs)), 1e-30)
        change = [np.abs(new - old).max() for new, old in zip(self.errors, previous, strict=True)]
        self.errors_settled = change[0] < 0.01 and change[1] < 0.02 * typical + 0.02 * self.errors.sdb.max()
        self.errors_settled &= change[2] < 1e-3

    def _deviations(self):
        return deviations(self.refl_id, self.iobs, self.variance, self.scale, self.sound, self.leverage)

    def finish(self, history):
        """What makes a `Scaling`, in the observations' own order."""
        back = np.empty(len(self.layout.order), dtype=np.int64)
        back[self.layout.order] = np.arange(len(back))
        sigscale = self.scale * np.sqrt(scale_variance(self.model, self.fit))
        per_row = {
            "scale": self.scale,
            "sigscale": sigscale,
            "sigma": np.sqrt(self.variance),
            "used": self.keep,
            "rejected": self.use & ~self.keep,
            "deviation": self.deviation,
            "freedom": self.freedom,
            "expected": self.expected,
            "sweep": self.layout.sweep,
        }
        per_row = {name: value[back] for name, value in per_row.items()}
        return {**per_row, "errors": self.errors, "model": self.model, "theta": self.theta, "history": history}
