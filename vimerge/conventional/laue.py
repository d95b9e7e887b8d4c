"""Laue diffraction: reflections that lie on top of their harmonics."""

from vimerge.reflections.harmonics import has_harmonics

__all__ = ["has_harmonics"]
