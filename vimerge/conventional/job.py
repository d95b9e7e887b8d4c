"""A whole conventional merge, from files to a folder of results."""

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import reciprocalspaceship as rs

from vimerge.conventional import tables
from vimerge.conventional.intensities import combine_intensities
from vimerge.conventional.laue import has_harmonics
from vimerge.conventional.merging import merge_observations
from vimerge.conventional.reading import read_for_scaling
from vimerge.conventional.scaling import Scaling, ScalingOptions, scale_reflections
from vimerge.conventional.wilson import mean_intensity
from vimerge.reflections import OptionError, Reflections
from vimerge.reflections.free_flags import add_free_flags
from vimerge.reflections.partials import sum_partials
from vimerge.reflections.splits import half_datasets, holdout
from vimerge.reflections.tables import file_digest, versions
from vimerge.reflections.writing import write_together

__all__ = ["ConventionalJob", "ConventionalResult"]

log = logging.getLogger("vimerge")

PACKAGES = ("vimerge", "numpy", "scipy", "pandas", "gemmi", "reciprocalspaceship")
# Bins of intensity in the record of normalised deviations.
_BINS = 10


@dataclass(frozen=True)
class ConventionalJob:
    """
    What to merge and how; the fields are the options of `vimerge conventional`.

    Parameters
    ----------
    files : sequence of path
        Unmerged reflection files.
    reading : dict
        Options of `reading.read_for_scaling`.
    partials : dict
        Options of `reflections.sum_partials`.
    combine : dict or None
        Options of `intensities.combine_intensities`; None takes the intensities as they are.
    scaling : ScalingOptions
        Options of `scaling.scale_reflections`; with a wavelength_key, overlaps of Laue harmonics are rejected.
    merging : dict
        `robust` and `internal` of `merging.merge_observations`.
    test_fraction : float
        The fraction of the observations to hold out.
    half_datasets : int
        How many random divisions into half data sets to merge.
    seed : int
        Fixes the random choices.
    free_flags : dict or None
        `fraction`, `reference` and `column` of `reflections.free_flags.add_free_flags`; None adds no flags.
    """

    files: tuple
    reading: dict = field(default_factory=dict)
    partials: dict = field(default_factory=dict)
    combine: dict | None = None
    scaling: ScalingOptions = field(default_factory=ScalingOptions)
    merging: dict = field(default_factory=dict)
    test_fraction: float = 0.05
    half_datasets: int = 1
    seed: int = 0
    free_flags: dict | None = None

    def inputs(self):
        """All files that are read: the observations, and the reference of free flags."""
        reference = (self.free_flags or {}).get("reference")
        return [*self.files, *([] if reference is None else [reference])]

    def run(self):
        """
        Read, scale and merge.

        Held-out observations, chosen among sums over partials, have no part in scaling, merging or half data sets.

        Returns
        -------
        ConventionalResult
        """
        started, clock, cpu = time.time(), time.perf_counter(), time.process_time()
        extra = [name for key, name in (self.combine or {}).items() if key != "imid" and name is not None]
        wavelength_key = self.scaling.wavelength_key
        extra += [] if wavelength_key is None else [wavelength_key]
        reflections = read_for_scaling(list(self.files), extra=extra, **self.reading)
        log.info("%r", reflections)
        read = len(reflections)
        imid = None
        if self.combine is not None:
            reflections, imid = combine_intensities(reflections, **self.combine)
        reflections = sum_partials(reflections, **self.partials).reflections
        if wavelength_key is not None:
            reflections = _without_harmonics(reflections, wavelength_key)
        test = holdout(reflections, self.test_fraction, self.seed)
        log.info("scaling by %s observations, with %s held out", f"{np.sum(~test):,}", f"{np.sum(test):,}")
        scaling = scale_reflections(reflections, ~test, self.scaling)
        merged = tables.merged_table(reflections, scaling.sigma, scaling.scale, scaling.used, **self.merging)
        if self.free_flags is not None:
            merged = add_free_flags(merged, **self.free_flags, seed=self.seed)
        halves = self._halves(reflections, scaling) if self.half_datasets else None
        by_intensity = scaling.deviations_by_intensity(_BINS)
        facts = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.perf_counter() - clock, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "observations_read": read,
            "observations": len(reflections),
            "held_out": int(test.sum()),
            "rejected": int(scaling.rejected.sum()),
            "metadata": list(reflections.metadata_keys),
            "scaling_terms": sorted({name for names in scaling.model.names for name in names}),
            "parameters": scaling.model.size,
            "imid": imid,
            "learned": scaling.learned(),
            "sd_of_deviations_by_intensity": by_intensity.round(4).to_dict("list"),
        }
        return ConventionalResult(
            self, reflections, scaling, merged, self._predict(reflections, scaling, test), halves, facts
        )

    def _predict(self, reflections, scaling, test):
        """Ipred = g ⟨I⟩ of the observations used; of the Friedel mate, or by Wilson statistics, where none was."""
        asu = reflections.asu
        means = merge_observations(
            reflections.refl_id, len(asu), reflections.iobs, scaling.sigma, scaling.scale, scaling.used, **self.merging
        )
        known = means.number > 0
        expected = mean_intensity(np.nan_to_num(means.intensity), asu.epsilon, asu.s2, known)
        # Wilson: an acentric intensity varies by its mean, a centric one by √2 of it.
        sd = expected * np.where(asu.centric, np.sqrt(2.0), 1.0)
        mean, sigma = np.where(known, means.intensity, expected), np.where(known, means.sigma, sd)
        mate = np.flatnonzero(~known & (asu.friedel_mate >= 0))
        mate = mate[known[asu.friedel_mate[mate]]]
        if len(mate):
            other = asu.friedel_mate
            mean[mate], sigma[mate] = means.intensity[other[mate]], means.sigma[other[mate]]
            # By how much mates differ, as a fraction of the mean intensity, from where both are known.
            pair = np.flatnonzero(known & (other >= 0) & (other != np.arange(len(asu))) & known[other])
            if len(pair):
                difference = np.square(means.intensity[pair] - means.intensity[other[pair]])
                noise = np.square(means.sigma[pair]) + np.square(means.sigma[other[pair]])
                anomalous = max(np.mean((difference - noise) / expected[pair] ** 2), 0.0)
                sigma[mate] = np.sqrt(sigma[mate] ** 2 + anomalous * expected[mate] ** 2)
        mean, sigma = mean[reflections.refl_id], sigma[reflections.refl_id]
        sigipred = np.hypot(scaling.scale * sigma, scaling.sigscale * mean)
        return tables.predictions_table(
            reflections, scaling.scale * mean, sigipred, scaling.scale, scaling.sigscale, test, scaling.rejected
        )

    def _halves(self, reflections, scaling):
        """Half data sets with the scales, errors and outliers of the whole."""
        log.info("merging half data sets with the scaling fixed")
        used = np.flatnonzero(scaling.used)
        part = reflections[used]
        found = []
        for repeat, *halves in half_datasets(part, self.seed, self.half_datasets):
            for half, mask in enumerate(halves):
                table = tables.merged_table(part, scaling.sigma[used], scaling.scale[used], mask, **self.merging)
                for name, value in (("half", half), ("repeat", repeat)):
                    table[name] = rs.DataSeries([value] * len(table), index=table.index, dtype="I")
                found.append(table)
        return rs.concat(found)


@dataclass(frozen=True)
class ConventionalResult:
    """
    What came out of a conventional merge.

    Parameters
    ----------
    job : ConventionalJob
    reflections : Reflections
        What was scaled: sums over partials.
    scaling : Scaling
        Scales, corrected errors and outliers of its observations.
    merged, predictions : rs.DataSet
        See `tables`.
    half_datasets : rs.DataSet or None
        As merged, with `half` (0, 1) and `repeat`.
    facts : dict
        Times, counts and learned numbers.
    """

    job: ConventionalJob
    reflections: Reflections
    scaling: Scaling
    merged: rs.DataSet
    predictions: rs.DataSet
    half_datasets: rs.DataSet | None
    facts: dict

    @property
    def history(self):
        """pandas.DataFrame: a row a cycle of scaling."""
        return self.scaling.history

    def write(self, folder):
        """
        Write the folder of results; each file is complete or not there.

        Parameters
        ----------
        folder : path
            Made if it is not there.

        Returns
        -------
        list of pathlib.Path
            What was written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        writers = {
            folder / "merged.mtz": self.merged.write_mtz,
            folder / "predictions.mtz": self.predictions.write_mtz,
            folder / "history.csv": self.history.to_csv,
            folder / "run.json": lambda path: Path(path).write_text(json.dumps(self.run_record(), indent=1) + "\n"),
        }
        if self.half_datasets is not None:
            writers[folder / "half_datasets.mtz"] = self.half_datasets.write_mtz
        write_together(writers)
        return list(writers)

    def run_record(self):
        """What this run was: options, versions, seed, digests of the inputs, and what was learned."""
        options = asdict(self.job) | {"files": [str(path) for path in self.job.files]}
        return {
            "options": options,
            "versions": versions(PACKAGES),
            "inputs": {str(path): {"sha256": file_digest(path)} for path in self.job.inputs()},
            **self.facts,
        }


def _without_harmonics(reflections, key):
    if key not in reflections.metadata_keys:
        raise OptionError(
            f"The column {key} is the same throughout, so that no wavelength is normalised; leave --wavelength-key out."
        )
    wavelength = reflections.metadata[:, reflections.metadata_keys.index(key)]
    overlap = has_harmonics(reflections.hkl, wavelength, reflections.d)
    log.info("%s observations rejected as overlaps of harmonics", f"{overlap.sum():,}")
    return reflections[~overlap]
