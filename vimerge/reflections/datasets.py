"""Several data sets in one table: scaled together, their reflections apart."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from vimerge.reflections.errors import OptionError
from vimerge.reflections.harmonics import Harmonics, orders
from vimerge.reflections.joined import JoinedASU
from vimerge.reflections.metadata import FILE, metadata_matrix
from vimerge.reflections.reindexing import reindex as reindexed

__all__ = ["DATASET", "Separable", "read_datasets"]

logger = logging.getLogger("vimerge")

DATASET = "dataset"


class Separable:
    """What `Reflections` of several data sets can do."""

    @classmethod
    def concatenate(cls, tables, names=None, *, reindex=None, dataset_column=False):
        """
        Put several data sets into one table, to be scaled together and merged apart.

        Parameters
        ----------
        tables : sequence of Reflections
            The data sets. Their cells and space groups may differ; Friedel mates are apart in all or in none.
        names : sequence of str, optional
            What to call them; by default their files without the suffix, or "1", "2" … where these are not distinct.
        reindex : dict of str to str, optional
            Reindexing operators, such as "k,h,-l", by data set.
        dataset_column : bool, optional
            Whether to add the number of the data set (0, 1 …) to the metadata.

        Returns
        -------
        Reflections
            Of a `JoinedASU`, with all data sets' observations, one after the other, and the metadata that all have.

        Raises
        ------
        OptionError
            If names or operators do not fit the tables.
        """
        tables = list(tables)
        names = _default_names(tables) if names is None else [str(name) for name in names]
        if any(isinstance(table.asu, JoinedASU) for table in tables):
            raise OptionError("One of the tables is of several data sets; concatenate all of them at once.")
        reindex = dict(reindex or {})
        if unknown := set(reindex) - set(names):
            raise OptionError(f"There is no data set {min(unknown)!r} to reindex; choose from {', '.join(names)}.")
        if len(names) == len(tables):
            tables = [
                reindexed(table, reindex[name]) if reindex.get(name) else table
                for name, table in zip(names, tables, strict=True)
            ]
        asu = JoinedASU([table.asu for table in tables], names)
        metadata, keys = _joined_metadata(tables, dataset_column)
        return cls(
            asu=asu,
            refl_id=_numbered_on([table.refl_id for table in tables], asu.offsets),
            image_id=_numbered_on([table.image_id for table in tables], _offsets(table.n_images for table in tables)),
            file_id=_numbered_on([table.file_id for table in tables], _offsets(len(table.files) for table in tables)),
            **{name: np.concatenate([getattr(table, name) for table in tables]) for name in ("hkl", "iobs", "sigiobs")},
            metadata=metadata,
            metadata_keys=keys,
            images=_joined_images(tables),
            files=sum((table.files for table in tables), ()),
            file_datasets=tuple(i for i, table in enumerate(tables) for _ in table.files),
            harmonics=_joined_harmonics(tables),
        )

    @property
    def dataset_names(self):
        """Names of the data sets, a tuple of str; that of a table of one data set is empty."""
        return self.asu.names if isinstance(self.asu, JoinedASU) else ("",)

    @property
    def dataset_id(self):
        """The number of the data set that each observation is of, ``[M]`` int32."""
        if not isinstance(self.asu, JoinedASU):
            return np.zeros(len(self), dtype=np.int32)
        return self.asu.asu_id[self.refl_id[self.principal]]

    def of(self, name):
        """
        The observations of one data set.

        Parameters
        ----------
        name : str
            One of `dataset_names`.

        Returns
        -------
        Reflections
            With the data set's own ASU, images and files.
        """
        if not isinstance(self.asu, JoinedASU):
            if name == "":
                return self
            raise OptionError(f"There is no data set {name!r} in this table, which is of one data set without a name.")
        number = self.asu.number(name)
        part = self[self.dataset_id == number]
        files = np.flatnonzero(np.asarray(self.file_datasets) == number)
        images = np.flatnonzero(np.isin(self.images["file_id"], files))
        table = self.images.iloc[images].reset_index(drop=True).rename_axis("image_id")
        table["file_id"] = np.searchsorted(files, table["file_id"]).astype(np.int32)
        keys, metadata = part.metadata_keys, part.metadata
        if DATASET in keys:
            metadata = np.delete(metadata, keys.index(DATASET), axis=1)
            keys = tuple(key for key in keys if key != DATASET)
        if FILE in keys:
            metadata = metadata.copy()
            metadata[:, keys.index(FILE)] -= files.min(initial=0)
        return replace(
            part,
            asu=self.asu.asus[number],
            refl_id=part.refl_id - np.int32(self.asu.offsets[number]),
            image_id=np.searchsorted(images, part.image_id).astype(np.int32),
            file_id=np.searchsorted(files, part.file_id).astype(np.int32),
            images=table,
            files=tuple(self.files[i] for i in files),
            file_datasets=(),
            metadata=metadata,
            metadata_keys=keys,
        )

    def split_by_dataset(self):
        """
        The data sets, each with its own ASU, images and files.

        Returns
        -------
        dict of str to Reflections
            By name; a table of one data set is itself the only one, and its name is empty.
        """
        return {name: self.of(name) for name in self.dataset_names}


def read_datasets(datasets, *, reindex=None, dataset_column=False, **options):
    """
    Read several data sets into one table, to be scaled together and merged apart.

    Parameters
    ----------
    datasets : dict of str to path or sequence of paths
        The files of each data set, by name.
    reindex, dataset_column
        As for `Reflections.concatenate`.
    **options
        As for `Reflections.read`, for all data sets. Each has its own cell and space group, and its own limits of
        resolution and wavelength where they are not given.

    Returns
    -------
    Reflections
        Metadata that are the same throughout one data set are kept if they differ in another.

    Raises
    ------
    ReflectionDataError
        As for `Reflections.read`.
    """
    from vimerge.reflections.table import Reflections

    if not datasets:
        raise OptionError("No data set was given; name at least one with its files.")
    tables = []
    for name, paths in datasets.items():
        paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        logger.info("data set %s: %s", name, ", ".join(str(path) for path in paths))
        tables.append(Reflections._read(paths, drop_constant=False, **options))
    joined = Reflections.concatenate(tables, list(datasets), reindex=reindex, dataset_column=dataset_column)

    def column(name):
        keys = joined.metadata_keys
        return joined.metadata[:, keys.index(name)] if name in keys else joined.asu.s2[joined.refl_id]

    matrix, keys = metadata_matrix(joined.metadata_keys, column, explicit=options.get("metadata") is not None)
    return replace(joined, metadata=matrix, metadata_keys=keys)


def _default_names(tables):
    names = [Path(table.files[0]).stem if table.files else "" for table in tables]
    return names if len(set(names)) == len(names) and all(names) else [str(i + 1) for i in range(len(tables))]


def _offsets(sizes):
    return np.cumsum([0, *sizes])


def _numbered_on(numbers, offsets):
    parts = [values + offset for values, offset in zip(numbers, offsets[: len(numbers)], strict=True)]
    return np.concatenate(parts).astype(np.int32)


def _joined_metadata(tables, dataset_column):
    keys = [key for key in tables[0].metadata_keys if all(key in table.metadata_keys for table in tables)]
    partial = sorted({key for table in tables for key in table.metadata_keys} - set(keys))
    if partial:
        logger.info("Metadata left out because not every data set has them: %s", ", ".join(partial))
    keys = [key for key in keys if key != DATASET]
    first_file = _offsets(len(table.files) for table in tables)
    parts = []
    for i, table in enumerate(tables):
        part = table.metadata[:, [table.metadata_keys.index(key) for key in keys]].copy()
        if FILE in keys:
            part[:, keys.index(FILE)] += first_file[i]
        if dataset_column:
            part = np.column_stack([part, np.full(len(part), i, dtype=np.float32)])
        parts.append(part)
    return np.ascontiguousarray(np.concatenate(parts)), (*keys, DATASET) if dataset_column else tuple(keys)


def _joined_images(tables):
    import pandas as pd

    first_file = _offsets(len(table.files) for table in tables)
    parts = [
        table.images.assign(file_id=(table.images["file_id"] + offset).astype(np.int32))
        for table, offset in zip(tables, first_file[:-1], strict=True)
    ]
    return pd.concat(parts, ignore_index=True).rename_axis("image_id")


def _joined_harmonics(tables):
    if not any(table.is_laue for table in tables):
        return None
    order = [table.harmonics.order if table.is_laue else orders(table.hkl) for table in tables]
    return Harmonics(
        _numbered_on([table.harmonic_id for table in tables], _offsets(len(table) for table in tables)),
        np.concatenate(order),
        _numbered_on([table.principal for table in tables], _offsets(table.n_predictions for table in tables)),
        sum(table.harmonics.absent for table in tables if table.is_laue),
    )
