"""The validated table of unmerged observations."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.datasets import Separable
from vimerge.reflections.errors import ReflectionDataError
from vimerge.reflections.harmonics import Harmonics, orders
from vimerge.reflections.reading import Readable

__all__ = ["Reflections"]

_OF_PREDICTIONS = ("refl_id", "metadata")


@dataclass(frozen=True, eq=False, repr=False)
class Reflections(Readable, Separable):
    """
    Unmerged observations: M intensities of R distinct reflections on a number of images.

    Make one with `read`, `from_arrays` or `from_dataset`, which check what goes in; indexing with a mask, a slice or
    integers selects observations and keeps the numbering of reflections and images. The arrays are read-only.

    An observation of polychromatic data is the sum of all the harmonics on one spot: there are N ≥ M predictions, each
    a part of the observation `harmonic_id`. For monochromatic data N = M, and row i is the prediction of observation i.
    Of several data sets in one table (see `concatenate`) each has reflections of its own.

    Parameters
    ----------
    asu : ReciprocalASU
        The distinct reflections, numbered by refl_id; a JoinedASU for several data sets.
    hkl : np.ndarray
        Observed Miller indices, ``[M, 3]`` int32, not mapped to the asymmetric unit.
    refl_id : np.ndarray
        ``[N]`` int32: the reflection that each prediction is of.
    image_id : np.ndarray
        ``[M]`` int32: the image it was recorded on; 0-based and consecutive over all files.
    file_id : np.ndarray
        ``[M]`` int32: the file it is from, an index into `files`.
    iobs, sigiobs : np.ndarray
        ``[M]`` float32: intensity and standard deviation, in the file's units; sigiobs > 0.
    metadata : np.ndarray
        ``[N, D]`` float32: raw values of what can inform the scale, not standardised.
    metadata_keys : tuple of str
        The D names of the metadata. "dHKL" stands for 1/d² in Å⁻².
    images : pandas.DataFrame
        One row for each image_id: `file_id`, `file`, and `image`, the image (batch) number in that file.
    files : tuple of str
        Where the observations are from.
    file_datasets : tuple of int
        The number of the data set that each file is of; empty for one data set.
    harmonics : Harmonics or None
        Which predictions are of which observation, for polychromatic data; None for monochromatic data.
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
    file_datasets: tuple = ()
    harmonics: Harmonics | None = None

    def __post_init__(self):
        m, n = len(self.iobs), self.n_predictions
        for f in fields(self):
            value = getattr(self, f.name)
            if not isinstance(value, np.ndarray):
                continue
            if f.name in _OF_PREDICTIONS and len(value) != n:
                raise ReflectionDataError(f"The field {f.name} has {len(value)} rows, but there are {n} predictions.")
            if f.name not in _OF_PREDICTIONS and len(value) != m:
                raise ReflectionDataError(f"The field {f.name} has {len(value)} rows, but there are {m} observations.")
            # A view: the caller's own array stays as writeable as it was.
            value = value.view()
            value.flags.writeable = False
            object.__setattr__(self, f.name, value)
        if self.metadata.shape != (n, len(self.metadata_keys)):
            raise ReflectionDataError("The metadata must have a column for each of metadata_keys.")
        if self.is_laue and len(self.harmonics.principal) != m:
            raise ReflectionDataError("The harmonics must be of these observations; select them together.")
        if n and not (self.refl_id.min() >= 0 and self.refl_id.max() < len(self.asu)):
            raise ReflectionDataError("Each refl_id must be the number of a reflection of the asu.")

    def __len__(self):
        return len(self.iobs)

    def __getitem__(self, which):
        if isinstance(which, (int, np.integer)):
            which = [which]
        if not isinstance(which, slice):
            which = np.asarray(which)
            if which.size == 0 and which.dtype != bool:
                which = which.astype(np.intp)
        predictions, harmonics = which, None
        if self.is_laue:
            which = np.arange(len(self))[which]
            predictions, harmonics = self.harmonics.take(which)
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: value for name, value in arrays.items() if isinstance(value, np.ndarray)}
        taken = {name: value[predictions if name in _OF_PREDICTIONS else which] for name, value in arrays.items()}
        return replace(self, **taken, harmonics=harmonics)

    def select(self, which):
        """
        Take some of the observations, with all their harmonics; the numbering of reflections and images stays.

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
        d = self.asu.d[self.refl_id]
        limits = f"{d.max():.2f}–{d.min():.2f} Å" if len(self) else "empty"
        where += f" in {len(self.dataset_names)} data sets" if len(self.dataset_names) > 1 else ""
        harmonics = f" as {self.n_predictions:,} harmonics" if self.is_laue else ""
        return (
            f"<Reflections: {len(self):,} observations{harmonics} of {np.count_nonzero(self.multiplicity):,} "
            f"reflections ({friedel}) on {self.n_images:,} images, {self.spacegroup.xhm()}, {limits}, from {where}; "
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
        """Resolution of each observation in Å, ``[M]``; that of its principal harmonic."""
        return self.asu.d[self.refl_id[self._principal]]

    @property
    def is_laue(self):
        """Whether the data are polychromatic, so that there may be more predictions than observations."""
        return self.harmonics is not None

    @property
    def n_predictions(self):
        """The number N of predictions: of harmonics, or of observations of monochromatic data."""
        return len(self.harmonics.harmonic_id) if self.is_laue else len(self.iobs)

    @property
    def harmonic_id(self):
        """The observation that each prediction is part of, ``[N]`` int32, increasing."""
        return self.harmonics.harmonic_id if self.is_laue else np.arange(len(self), dtype=np.int32)

    @property
    def principal(self):
        """The prediction that stands for each observation, ``[M]`` int32: see `Harmonics`."""
        return self.harmonics.principal if self.is_laue else np.arange(len(self), dtype=np.int32)

    @property
    def _principal(self):
        return self.harmonics.principal if self.is_laue else slice(None)

    @property
    def harmonic_hkl(self):
        """The index of each harmonic as it was observed, ``[N, 3]`` int32; not mapped to the asymmetric unit."""
        if not self.is_laue:
            return self.hkl
        first = self.hkl // orders(self.hkl)[:, np.newaxis]
        return first[self.harmonic_id] * self.harmonics.order[:, np.newaxis]

    @property
    def overlapped(self):
        """Whether an observation is the sum of two harmonics or more, ``[M]`` bool."""
        return self.harmonics.counts > 1 if self.is_laue else np.zeros(len(self), dtype=bool)

    @cached_property
    def multiplicity(self):
        """Number of predictions of each reflection in this table, ``[R]`` int64."""
        return np.bincount(self.refl_id, minlength=len(self.asu))

    @cached_property
    def alone(self):
        """Number of observations of each reflection without any other harmonic, ``[R]`` int64."""
        if not self.is_laue:
            return self.multiplicity
        return np.bincount(self.refl_id[~self.overlapped[self.harmonic_id]], minlength=len(self.asu))

    @property
    def never_alone(self):
        """Whether a reflection was observed, but always with other harmonics, ``[R]`` bool."""
        return (self.multiplicity > 0) & (self.alone == 0)

    def column(self, name):
        """
        Metadata of the observations.

        Parameters
        ----------
        name : str
            One of `metadata_keys`.

        Returns
        -------
        np.ndarray
            ``[M]`` float32, of the principal harmonics.
        """
        return self.metadata[self._principal, self.metadata_keys.index(name)]

    def as_monochromatic(self):
        """
        The table as if each observation were of its principal harmonic alone.

        Good enough for quick estimates: the principal harmonic is that which an indexing program found the likeliest.

        Returns
        -------
        Reflections
            With N = M; itself if the data are monochromatic.
        """
        if not self.is_laue:
            return self
        rows = self.principal
        return replace(self, refl_id=self.refl_id[rows], metadata=self.metadata[rows], harmonics=None)

    def dataset(self, batch_size=None, shuffle=True, seed=0, by="observation", static=False):
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
        static : bool, optional
            Whether all batches have the same shapes, filled up with rows that count for nothing.

        Returns
        -------
        tf.data.Dataset
            See `vimerge.reflections.batches.dataset` for what is in a batch.
        """
        from vimerge.reflections.batches import dataset

        return dataset(self, batch_size=batch_size, shuffle=shuffle, seed=seed, by=by, static=static)
