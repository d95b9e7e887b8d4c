"""A whole merge, from files to a folder of results."""

import ctypes
import gc
import json
import logging
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import reciprocalspaceship as rs

from vimerge.merging import crossvalidation, recipe, results
from vimerge.merging.correlations import chosen_rows
from vimerge.merging.differences import anomalous_differences
from vimerge.merging.model import VariationalMergingModel
from vimerge.merging.parts import model_file
from vimerge.merging.seed import set_seed
from vimerge.reflections import OptionError, Reflections
from vimerge.reflections.datasets import read_datasets
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
        Unmerged reflection files of one data set.
    datasets : dict of str to sequence of path, or None
        The files of each of several data sets, by name, in place of `files`: they are scaled together and merged apart.
    reindex : dict of str to str
        Reindexing operators, such as "k,h,-l", by data set.
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

    files: tuple = ()
    datasets: dict | None = None
    reindex: dict = field(default_factory=dict)
    reading: dict = field(default_factory=dict)
    partials: str = "separate"
    modelling: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    test_fraction: float = 0.05
    half_datasets: int = 1
    free_flags: dict | None = None
    seed: int = 0

    def run(self, callbacks=(), moments=None, trained=None):
        """Read, train and merge.

        Parameters
        ----------
        callbacks : sequence of keras.callbacks.Callback
            Further callbacks for training.
        moments : callable, optional
            Takes the trained model and the training set, and gives the moments F, SIGF, I, SIGI to merge, such as
            `vimerge.evidence.corrected_moments`; those of the surrogate by default.
        trained : callable, optional
            Takes the trained model, the training set and the observations that were held out before they are merged.

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
        begun = time.process_time()
        history = recipe.train(model, train, test, **self.training, seed=self.seed, callbacks=callbacks)
        training = time.process_time() - begun
        _return_freed_memory()
        if trained is not None:
            trained(model, train, test)
        if skipped := int(history["skipped"].sum()):
            log.warning("%d steps were skipped because their gradient was not finite.", skipped)
        predictions = results.predictions_by_dataset(reflections, results.predict(model, reflections), held_out)
        found = model.surrogate.moments() if moments is None else moments(model, train)
        merged = results.merged_by_dataset(model.asu, found, train.multiplicity)
        if model.correlated and model.asu.anomalous:
            # The mates are not independent of each other.
            for name, table in merged.items():
                exact = anomalous_differences(model, train, name or None)
                merged[name] = table.assign(**{key: exact[key] for key in ("DANO", "SIGDANO")})
        if self.free_flags is not None:
            merged = {name: add_free_flags(table, **self.free_flags, seed=self.seed) for name, table in merged.items()}
        halves = {}
        if self.half_datasets:
            log.info("merging half data sets with the scaling frozen")
            halves = crossvalidation.half_datasets(model, reflections, self.half_datasets, self.seed)
            halves = halves if isinstance(halves, dict) else {"": halves}
        tables = {name: MergeTables(merged[name], predictions[name], halves.get(name)) for name in merged}
        facts = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.perf_counter() - clock, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "training_cpu_seconds": round(training, 2),
            "observations": len(reflections),
            "held_out": len(test),
            "metadata": list(reflections.metadata_keys),
            "learned": model.parameters(),
            "correlations": chosen_rows(model),
            "skipped_steps": skipped,
        }
        _return_freed_memory()
        return MergeResult(self, model, tables, history, facts)

    def inputs(self):
        """All files that are read: the observations, a reference, free flags and a trained scaling model."""
        others = (self.modelling.get("reference"), (self.free_flags or {}).get("reference"), self._trained())
        files = sum((tuple(paths) for paths in (self.datasets or {}).values()), tuple(self.files))
        return [*files, *(path for path in others if path is not None)]

    def _trained(self):
        path = self.modelling.get("scaling_from")
        return None if path is None else model_file(path)

    def _read(self):
        if self.partials not in PARTIALS:
            raise OptionError(f"Partials cannot be treated as {self.partials!r}; choose from {', '.join(PARTIALS)}.")
        if self.datasets:
            reflections = read_datasets(self.datasets, reindex=self.reindex, **self.reading)
        else:
            reflections = Reflections.read(list(self.files), **self.reading)
        if not has_partials(reflections):
            return reflections
        if self.partials == "sum":
            if self.datasets:
                raise OptionError("Parts of several data sets cannot be added up: merge each by itself.")
            return sum_partials(reflections).reflections
        log.info(
            "parts of reflections on neighbouring images are taken for observations of their own; to add them up first "
            "gives better differences of Friedel mates: --partials sum"
        )
        return reflections


class MergeTables(NamedTuple):
    """The tables of one data set."""

    merged: rs.DataSet  # see `merging.results.merged`
    predictions: rs.DataSet  # see `merging.results.predictions`
    half_datasets: rs.DataSet | None  # see `merging.crossvalidation`


@dataclass(frozen=True)
class MergeResult:
    """What came out of a merge.

    Parameters
    ----------
    job : MergeJob
    model : VariationalMergingModel
        Trained.
    datasets : dict of str to MergeTables
        By the name of the data set, which is empty if there is one.
    history : pandas.DataFrame
        A row an epoch.
    facts : dict
        Times, counts, learned numbers and chosen correlations.
    """

    job: MergeJob
    model: VariationalMergingModel
    datasets: dict
    history: pd.DataFrame
    facts: dict

    @property
    def merged(self):
        """Merged reflections of the only data set, rs.DataSet."""
        return self._only.merged

    @property
    def predictions(self):
        """Observed and predicted intensities of the only data set, rs.DataSet."""
        return self._only.predictions

    @property
    def half_datasets(self):
        """Half data sets of the only data set, rs.DataSet or None."""
        return self._only.half_datasets

    @property
    def _only(self):
        if len(self.datasets) > 1:
            raise ValueError(f"There are several data sets, {', '.join(self.datasets)}: take one from `datasets`.")
        return next(iter(self.datasets.values()))

    def write(self, folder):
        """Write the folder of results; each file is complete or not there.

        Parameters
        ----------
        folder : path
            Made if it is not there.

        Returns
        -------
        list of pathlib.Path
            What was written; of several data sets merged_<name>.mtz and so on.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        writers = {}
        for name, tables in self.datasets.items():
            suffix = f"_{name}.mtz" if name else ".mtz"
            writers |= {
                folder / f"{kind}{suffix}": table.write_mtz
                for kind, table in tables._asdict().items()
                if table is not None
            }
        writers |= {
            folder / "history.csv": self.history.to_csv,
            folder / "model.keras": self.model.save,
            folder / "run.json": lambda path: Path(path).write_text(json.dumps(self.run_record(), indent=1) + "\n"),
        }
        write_together(writers)
        return list(writers)

    def run_record(self):
        """What this run was: options, versions, seed, digests of the inputs, and what was learned."""
        options = asdict(self.job) | {"files": [str(path) for path in self.job.files]}
        if self.job.datasets:
            options["datasets"] = {name: [str(p) for p in paths] for name, paths in self.job.datasets.items()}
        return {
            "options": options,
            "versions": versions(PACKAGES),
            "inputs": {str(path): {"sha256": file_digest(path)} for path in self.job.inputs()},
            **self.facts,
        }


def _return_freed_memory():
    """Give the system back what is no longer used, which the C library of Linux would keep for later."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
