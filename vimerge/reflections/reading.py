"""Making a table of observations from files and from what is in memory."""

import os

from vimerge.reflections.errors import ReflectionDataError

__all__ = ["Readable"]


class Readable:
    """What makes a `Reflections`; its class methods."""

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
        wavelength_key=None,
        wavelength_min=None,
        wavelength_max=None,
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
            High-resolution limit in Å. Of polychromatic data it is that of the harmonics, by default the smallest d of
            the observed indices.
        space_group : str, int or gemmi.SpaceGroup, optional
            Overrides the files' space group.
        intensity_key, uncertainty_key, image_key : str, optional
            Names of the columns with intensities, their standard deviations and image numbers; found by type and name
            if not given.
        metadata : sequence of str, optional
            Columns that inform the scale, and any of "dHKL" (as 1/d²), "Hobs", "Kobs", "Lobs" (the observed indices)
            and "file". By default every column that can, with dHKL and the observed indices. Constant columns and
            those with values that are not finite are left out.
        wavelength_key : str, optional
            The column with the wavelength of each observation, in Å. Each is then expanded into all the harmonics of
            its index, those given by another order of the same planes, that are within the limits and not
            systematically absent; the wavelength, dHKL and Hobs, Kobs, Lobs among the metadata are each harmonic's own.
        wavelength_min, wavelength_max : float, optional
            Limits of the beam's wavelengths in Å, inclusive; those of the observations by default.

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
        options = {
            "anomalous": anomalous,
            "dmin": dmin,
            "space_group": space_group,
            "intensity_key": intensity_key,
            "uncertainty_key": uncertainty_key,
            "image_key": image_key,
            "metadata": metadata,
            "wavelength_key": wavelength_key,
            "wavelength_min": wavelength_min,
            "wavelength_max": wavelength_max,
        }
        return cls._read([paths] if isinstance(paths, (str, os.PathLike)) else paths, **options)

    @classmethod
    def _read(cls, paths, *, space_group=None, **options):
        """`read`, with all options of `assemble`."""
        from vimerge.reflections.assemble import assemble
        from vimerge.reflections.readers import read_raw

        raws = [read_raw(path, space_group=space_group) for path in paths]
        if not raws:
            raise ReflectionDataError("No file was given; name at least one unmerged reflection file.")
        return cls(**assemble(raws, space_group=space_group, **options))

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
        wavelength_key=None,
        wavelength_min=None,
        wavelength_max=None,
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
        wavelength_key, wavelength_min, wavelength_max
            As for `read`; the key is one of `metadata`.

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
                wavelength_key=wavelength_key,
                wavelength_min=wavelength_min,
                wavelength_max=wavelength_max,
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
