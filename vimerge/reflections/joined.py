"""The reflections of several data sets, numbered one after the other."""

import numpy as np

from vimerge.reflections.asu import ReciprocalASU
from vimerge.reflections.errors import OptionError, ReflectionDataError

__all__ = ["JoinedASU"]

_OF_REFLECTIONS = ("miller_index", "centric", "epsilon", "s2", "d", "friedel_minus")


class JoinedASU(ReciprocalASU):
    """
    The distinct reflections of several data sets, each with an ASU of its own, as one range of refl_id.

    It has the attributes of a `ReciprocalASU`, on the axis of all R reflections, and takes its place wherever
    reflections are told apart by number alone. The same Miller index may be there once for each data set.

    Parameters
    ----------
    asus : sequence of ReciprocalASU
        The data sets' reflections; in all of them Friedel mates are apart, or in none.
    names : sequence of str
        What the data sets are called; part of the names of files.

    Attributes
    ----------
    asus : tuple of ReciprocalASU
        The data sets' own.
    names : tuple of str
        Their names.
    offsets : np.ndarray
        ``[K + 1]`` int64: the refl_id at which each of the K data sets begins, and R.
    asu_id : np.ndarray
        ``[R]`` int32: the number of the data set that each reflection belongs to.
    friedel_mate : np.ndarray
        ``[R]`` int32: refl_id of the mate in the same data set.
    cell, spacegroup
        Those of the first data set.

    Raises
    ------
    OptionError
        If the names are not distinct, not as many as there are data sets, or would not do as names of files.
    ReflectionDataError
        If mates are apart in some data sets only.
    """

    def __init__(self, asus, names):
        self.asus, self.names = tuple(asus), tuple(str(name) for name in names)
        if len(self.asus) != len(self.names) or not self.asus:
            raise OptionError(f"There are {len(self.asus)} data sets, but {len(self.names)} names; name each of them.")
        for name in self.names:
            if not name or set(name) & set("/\\\0") or self.names.count(name) > 1:
                raise OptionError(f"The data set's name {name!r} is empty, repeated or has slashes; give another.")
        if len({asu.anomalous for asu in self.asus}) > 1:
            raise ReflectionDataError(
                "Friedel mates are apart in some data sets only; read all with the same --anomalous (anomalous=)."
            )
        self.cell, self.spacegroup, self.anomalous = (
            getattr(self.asus[0], name) for name in ("cell", "spacegroup", "anomalous")
        )
        sizes = [len(asu) for asu in self.asus]
        self.offsets = np.cumsum([0, *sizes])
        self.asu_id = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        for name in _OF_REFLECTIONS:
            setattr(self, name, np.concatenate([getattr(asu, name) for asu in self.asus]))
        mates = np.concatenate([asu.friedel_mate for asu in self.asus])
        self.friedel_mate = np.where(mates >= 0, mates + self.offsets[self.asu_id], -1).astype(np.int32)
        for name in (*_OF_REFLECTIONS, "friedel_mate", "offsets", "asu_id"):
            getattr(self, name).flags.writeable = False

    @classmethod
    def from_observed(cls, *args, **kwargs):
        """Not for several data sets."""
        raise TypeError("Make each data set's ASU with ReciprocalASU.from_observed, and join them.")

    def __repr__(self):
        parts = ", ".join(f"{name}: {len(asu):,}" for name, asu in zip(self.names, self.asus, strict=True))
        return f"<JoinedASU: {len(self):,} reflections ({parts})>"

    def number(self, name):
        """
        The number of a data set.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        int

        Raises
        ------
        OptionError
            If there is none of this name.
        """
        if name not in self.names:
            raise OptionError(f"There is no data set {name!r}; choose from {', '.join(self.names)}.")
        return self.names.index(name)

    def of(self, name):
        """A data set's own `ReciprocalASU`, by its name."""
        return self.asus[self.number(name)]

    def slice_of(self, name):
        """The refl_ids of a data set, a slice, by its name."""
        number = self.number(name)
        return slice(int(self.offsets[number]), int(self.offsets[number + 1]))

    def split(self, values):
        """
        Split what is of all reflections by data set.

        Parameters
        ----------
        values : np.ndarray
            ``[R, …]``.

        Returns
        -------
        dict of str to np.ndarray
        """
        return {name: values[self.slice_of(name)] for name in self.names}

    def refl_id(self, hkl, name=None):
        """
        Find the number of the reflection that each observed Miller index of a data set belongs to.

        Parameters
        ----------
        hkl : array_like
            Observed Miller indices, ``[N, 3]``.
        name : str
            The data set; it has to be given.

        Returns
        -------
        np.ndarray
            ``[N]`` int32, -1 where the reflection is not in the data set.
        """
        if name is None:
            raise OptionError("A Miller index is of one reflection in each data set; say of which with name=.")
        ids = self.of(name).refl_id(hkl)
        return np.where(ids >= 0, ids + np.int32(self.slice_of(name).start), np.int32(-1))

    def matches(self, other):
        """
        Whether another ASU numbers the same reflections of the same data sets in the same way.

        Parameters
        ----------
        other : ReciprocalASU
            The ASU to compare with.

        Returns
        -------
        bool
        """
        return (
            isinstance(other, JoinedASU)
            and self.names == other.names
            and all(mine.matches(its) for mine, its in zip(self.asus, other.asus, strict=True))
        )

    def number_possible(self, dmin=None, dmax=None, anomalous=None):
        """Count the reflections that could have been observed, over all data sets; see `ReciprocalASU`."""
        return sum(asu.number_possible(dmin, dmax, anomalous) for asu in self.asus)

    def to_config(self):
        """
        Describe the ASU in JSON's types, for a saved model to carry.

        Returns
        -------
        dict
        """
        return {"names": list(self.names), "asus": [asu.to_config() for asu in self.asus]}

    @classmethod
    def from_config(cls, config):
        """
        Rebuild an ASU from `to_config`; `ReciprocalASU.from_config` does the same.

        Parameters
        ----------
        config : dict
            What `to_config` gave.

        Returns
        -------
        JoinedASU
        """
        return cls([ReciprocalASU.from_config(asu) for asu in config["asus"]], config["names"])
