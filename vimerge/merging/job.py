"""A whole merge, from files to a folder of results."""

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import reciprocalspaceship as rs

from vimerge.merging import crossvalidation, recipe, results
from vimerge.merging.model import VariationalMergingModel
from vimerge.merging.seed import set_seed
from vimerge.reflections import OptionError, Reflections
from vimerge.reflections.free_flags import add_free_flags
from vimerge.reflections.partials import has_partials, sum_partials
from vimerge.reflections.splits import holdout
from vimerge.reflections.tables import file_digest, versions
from vimerge.reflections.writing import write_together

log = logging.getLogger("vimerge")

PARTIALS = ("separate", "sum")
PACKAGES = (
    "vimerge",
    "tensorflow",
    "tensorflow-probability",
    "keras",
    "numpy",
    "pandas",
    "gemmi",
    "reciprocalspaceship",
)


@dataclass(frozen=True)
class MergeJob:
    """What to merge and how; the fields are the options of `vimerge merge`.

    Parameters
    ----------
    files : sequence of path
        Unmerged reflection files.
    reading : dict
        Options of `Reflections.read`.
    partials : {"separate", "sum"}
        Whether the parts of a reflection on neighbouring images are observations of their own, or are added up first by
        `reflections.sum_partials`.
    modelling : dict
        Options of `merging.recipe.make_model`.
    training : dict
        Options of `merging.recipe.train`.
    test_fraction : float
        The fraction of the observations to hold out.
    half_datasets : int
        How many random divisions into half data sets to merge.
    free_flags : dict or None
        `fraction`, `reference` and `column` of `reflections.free_flags.add_free_flags`; None adds no flags.
    seed : int
        Fixes everything.
    """

    files: tuple
    reading: dict = field(default_factory=dict)
    partials: str = "separate"
    modelling: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    test_fraction: float = 0.05
    half_datasets: int = 1
    free_flags: dict | None = None
    seed: int = 0

    def run(self, callbacks=(), moments=None):
        """Read, train and merge.

        Parameters
        ----------
        callbacks : sequence of keras.callbacks.Callback
            Further callbacks for training.
        moments : callable, optional
            Takes the trained model and the training set, and gives the moments F, SIGF, I, SIGI to merge, such as
            `vimerge.evidence.corrected_moments`; those of the surrogate by default.

        Returns
        -------
        MergeResult
        """
        started, clock, cpu = time.time(), time.perf_counter(), time.process_time()
        set_seed(self.seed)
        reflections = self._read()
        log.info("%r", reflections)
        held_out = holdout(reflections, self.test_fraction, self.seed)
        train, test = reflections[~held_out], reflections[held_out]
        model = recipe.make_model(train, **self.modelling, seed=self.seed)
        log.info("training on %s observations, with %s held out", f"{len(train):,}", f"{len(test):,}")
        history = recipe.train(model, train, test, **self.training, seed=self.seed, callbacks=callbacks)
        if skipped := int(history["skipped"].sum()):
            log.warning("%d steps were skipped because their gradient was not finite.", skipped)
        predicted = model.predict(reflections.dataset(65536, shuffle=False), verbose=0)
        predictions = results.predictions(reflections, predicted, held_out)
        merged = model.merge(train, None if moments is None else moments(model, train))
        if self.free_flags is not None:
            merged = add_free_flags(merged, **self.free_flags, seed=self.seed)
        halves = None
        if self.half_datasets:
            log.info("merging half data sets with the scaling frozen")
            halves = crossvalidation.half_datasets(model, reflections, self.half_datasets, self.seed)
        facts = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.perf_counter() - clock, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "observations": len(reflections),
            "held_out": len(test),
            "metadata": list(reflections.metadata_keys),
            "learned": model.parameters(),
            "skipped_steps": skipped,
        }
        return MergeResult(self, model, merged, predictions, halves, history, facts)

    def inputs(self):
        """All files that are read: the observations, a reference, free flags and a trained scaling model."""
        others = (self.modelling.get("reference"), (self.free_flags or {}).get("reference"), self._trained())
        return [*self.files, *(path for path in others if path is not None)]

    def _trained(self):
        path = self.modelling.get("scaling_from")
        return None if path is None else recipe.model_file(path)

    def _read(self):
        if self.partials not in PARTIALS:
            raise OptionError(f"Partials cannot be treated as {self.partials!r}; choose from {', '.join(PARTIALS)}.")
        reflections = Reflections.read(list(self.files), **self.reading)
        if not has_partials(reflections):
            return reflections
        if self.partials == "sum":
            return sum_partials(reflections).reflections
        log.info(
            "parts of reflections on neighbouring images are taken for observations of their own; to add them up first "
            "gives better differences of Friedel mates: --partials sum"
        )
        return reflections


@dataclass(frozen=True)
class MergeResult:
    """What came out of a merge.

    Parameters
    ----------
    job : MergeJob
    model : VariationalMergingModel
        Trained.
    merged, predictions : rs.DataSet
        See `merging.results`.
    half_datasets : rs.DataSet or None
        See `merging.crossvalidation`.
    history : pandas.DataFrame
        A row an epoch.
    facts : dict
        Times, counts and learned numbers.
    """

    job: MergeJob
    model: VariationalMergingModel
    merged: rs.DataSet
    predictions: rs.DataSet
    half_datasets: rs.DataSet | None
    history: pd.DataFrame
    facts: dict

    def write(self, folder):
        """Write the folder of results; each file is complete or not there.

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
            folder / "model.keras": self.model.save,
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
