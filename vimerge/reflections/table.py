"""The validated table of unmerged observations."""

import os
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.errors import ReflectionDataError

__all__ = ["Reflections"]


@dataclass(frozen=True, eq=False, repr=False)
class Reflections:
    """
    Unmerged observations: M intensities of R distinct reflections on a number of images.

    Make one with `read`, `from_arrays` or `from_dataset`, which check what goes in; indexing with a mask, a slice or
    integers selects observations and keeps the numbering of reflections and images. The arrays are read-only.

    Parameters
    ----------
    asu : ReciprocalASU
        The distinct reflections, numbered by refl_id.
    hkl : np.ndarray
        Observed Miller indices, ``[M, 3]`` int32, not mapped to the asymmetric unit.
    refl_id : np.ndarray
        ``[M]`` int32: the reflection that each observation is of.
    image_id : np.ndarray
        ``[M]`` int32: the image it was recorded on; 0-based and consecutive over all files.
    file_id : np.ndarray
        ``[M]`` int32: the file it is from, an index into `files`.
    iobs, sigiobs : np.ndarray
        ``[M]`` float32: intensity and standard deviation, in the file's units; sigiobs > 0.
    metadata : np.ndarray
        ``[M, D]`` float32: raw values of what can inform the scale, not standardised.
    metadata_keys : tuple of str
        The D names of the metadata. "dHKL" stands for 1/d² in Å⁻².
    images : pandas.DataFrame
        One row for each image_id: `file_id`, `file`, and `image`, the image (batch) number in that file.
    files : tuple of str
        Where the observations are from.
    """

    asu: ReciprocalASU
    hkl: np.ndarray
    refl_id: np.ndarray
    image_id: np.ndarray
    file_id: np.ndarray
    iobs: np.ndarray
    sigiobs: np.ndarray
    metadata: np.ndarray
    metadata_keys: tuple
    images: object = field(repr=False)
    files: tuple = ()

    def __post_init__(self):
        m = len(self.refl_id)
        for f in fields(self):
            value = getattr(self, f.name)
            if not isinstance(value, np.ndarray):
                continue
            if len(value) != m:
                raise ReflectionDataError(f"The field {f.name} has {len(value)} rows, but there are {m} observations.")
            # A view: the caller's own array stays as writeable as it was.
            value = value.view()
            value.flags.writeable = False
            object.__setattr__(self, f.name, value)
        if self.metadata.shape != (m, len(self.metadata_keys)):
            raise ReflectionDataError("The metadata must have a column for each of metadata_keys.")
        if m and not (self.refl_id.min() >= 0 and self.refl_id.max() < len(self.asu)):
            raise ReflectionDataError("Each refl_id must be the number of a reflection of the asu.")

    @classmethod
    def read(
        cls,
        paths,
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
        Read unmerged observations from one or more files.

        Systematic absences are removed, as are observations without a finite intensity and a positive standard
        deviation. Several files share one numbering of reflections and images; their cell is the mean, weighted by
        the numbers of observations.

        Parameters
        ----------
        paths : path or sequence of paths
            Unmerged reflection files (MTZ).
        anomalous : bool, optional
            Whether to keep Friedel mates apart.
        dmin : float, optional
            High-resolution limit in Å.
        space_group : str, int or gemmi.SpaceGroup, optional
            Overrides the files' space group.
        intensity_key, uncertainty_key, image_key : str, optional
            Names of the columns with intensities, their standard deviations and image numbers; found by type and name
            if not given.
        metadata : sequence of str, optional
            Columns that inform the scale, and any of "dHKL" (as 1/d²), "Hobs", "Kobs", "Lobs" (the observed indices)
            and "file". By default every column that can, with dHKL and the observed indices. Constant columns and
            those with values that are not finite are left out.

        Returns
        -------
        Reflections

        Raises
        ------
        ReflectionDataError
            One of its subclasses, with a sentence that names the file, the column and the fix: UnreadableFileError,
            MergedDataError, MissingColumnError, AmbiguousColumnError, SymmetryError, UncertaintyError,
            NoObservationsError or OptionError.
        """
        from vimerge.reflections.assemble import assemble
        from vimerge.reflections.readers import read_raw

        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        raws = [read_raw(path, space_group=space_group) for path in paths]
        if not raws:
            raise ReflectionDataError("No file was given; name at least one unmerged reflection file.")
        options = {
            "anomalous": anomalous,
            "dmin": dmin,
            "space_group": space_group,
            "intensity_key": intensity_key,
            "uncertainty_key": uncertainty_key,
            "image_key": image_key,
            "metadata": metadata,
        }
        return cls(**assemble(raws, **options))

    @classmethod
    def from_arrays(
        cls,
        hkl,
        iobs,
        sigiobs,
        image,
        *,
        cell,
        spacegroup,
        anomalous=False,
        dmin=None,
        metadata=None,
        metadata_keys=None,
        file_id=None,
        files=None,
    ):
        """
        Make a table from arrays, with the same checks and cuts as reading a file.

        Parameters
        ----------
        hkl : array_like
            Observed Miller indices, ``[M, 3]``.
        iobs, sigiobs : array_like
            ``[M]`` intensities and standard deviations.
        image : array_like
            ``[M]`` image numbers; they become the metadata column BATCH.
        cell : gemmi.UnitCell or sequence of float
            The unit cell (Å and degrees).
        spacegroup : str, int or gemmi.SpaceGroup
            The space group.
        anomalous, dmin
            As for `read`.
        metadata : dict of str to array_like, optional
            Further columns, each ``[M]``.
        metadata_keys : sequence of str, optional
            The metadata to use, as `metadata` of `read`; by default all of the above, BATCH, dHKL, Hobs, Kobs, Lobs.
        file_id : array_like, optional
            ``[M]`` numbers 0, 1 … of the files that observations are from.
        files : sequence of str, optional
            Names of the files.

        Returns
        -------
        Reflections
            Note that its rows may be fewer, and with several files sorted by file.
        """
        from vimerge.reflections.arrays import raws_from_arrays
        from vimerge.reflections.assemble import assemble

        raws = raws_from_arrays(hkl, iobs, sigiobs, image, cell, spacegroup, metadata, file_id, files)
        return cls(
            **assemble(
                raws,
                anomalous=anomalous,
                dmin=dmin,
                intensity_key="I",
                uncertainty_key="SIGI",
                image_key="BATCH",
                metadata=metadata_keys,
            )
        )

    @classmethod
    def from_dataset(cls, dataset, *, name="dataset", **options):
        """
        Make a table from an unmerged `reciprocalspaceship.DataSet` in memory.

        Parameters
        ----------
        dataset : reciprocalspaceship.DataSet
            Unmerged observations; their indices are the observed ones unless there is an M/ISYM column.
        name : str, optional
            What to call it in messages.
        **options
            As for `read`.

        Returns
        -------
        Reflections
        """
        from vimerge.reflections.arrays import raw_from_dataset
        from vimerge.reflections.assemble import assemble

        return cls(**assemble([raw_from_dataset(dataset, name)], **options))

    def __len__(self):
        return len(self.refl_id)

    def __getitem__(self, which):
        if isinstance(which, (int, np.integer)):
            which = [which]
        if not isinstance(which, slice):
            which = np.asarray(which)
            if which.size == 0 and which.dtype != bool:
                which = which.astype(np.intp)
        per_row = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[which] for k, v in per_row.items() if isinstance(v, np.ndarray)})

    def select(self, which):
        """
        Take some of the observations; the numbering of reflections and images stays.

        Parameters
        ----------
        which : np.ndarray or slice
            A mask ``[M]`` or the rows to take.

        Returns
        -------
        Reflections
        """
        return self[which]

    def __repr__(self):
        where = self.files[0] if len(self.files) == 1 else f"{len(self.files)} files"
        friedel = "Friedel mates apart" if self.anomalous else "Friedel mates together"
        d = self.d
        limits = f"{d.max():.2f}–{d.min():.2f} Å" if len(self) else "empty"
        return (
            f"<Reflections: {len(self):,} observations of {np.count_nonzero(self.multiplicity):,} reflections "
            f"({friedel}) on {self.n_images:,} images, {self.spacegroup.xhm()}, {limits}, from {where}; "
            f"metadata {', '.join(self.metadata_keys) or 'none'}>"
        )

    @property
    def cell(self):
        """gemmi.UnitCell: the unit cell."""
        return self.asu.cell

    @property
    def spacegroup(self):
        """gemmi.SpaceGroup: the space group."""
        return self.asu.spacegroup

    @property
    def anomalous(self):
        """Whether Friedel mates are kept apart."""
        return self.asu.anomalous

    @property
    def n_images(self):
        """Number of images, those without a selected observation included."""
        return len(self.images)

    @property
    def d(self):
        """Resolution of each observation in Å, ``[M]``."""
        return self.asu.d[self.refl_id]

    @cached_property
    def multiplicity(self):
        """Number of observations of each reflection in this table, ``[R]`` int64."""
        return np.bincount(self.refl_id, minlength=len(self.asu))

    def dataset(self, batch_size=None, shuffle=True, seed=0, by="observation"):
        """
        Batches for `model.fit`: a `tf.data.Dataset` of dicts.

        Parameters
        ----------
        batch_size : int, optional
            Observations in a batch; all of them by default.
        shuffle : bool, optional
            Whether to draw the batches anew each epoch.
        seed : int, optional
            Fixes the order.
        by : {"observation", "reflection", "image"}, optional
            What is divided among the batches; with "reflection", each has all the observations of its reflections.

        Returns
        -------
        tf.data.Dataset
            See `vimerge.reflections.batches.dataset` for what is in a batch.
        """
        from vimerge.reflections.batches import dataset

        return dataset(self, batch_size=batch_size, shuffle=shuffle, seed=seed, by=by)
