"""How TensorFlow is imported."""

import importlib
import sys

import pytest

from vimerge.cli.quiet import without


def test_modules_are_absent_for_as_long_as_wanted_unless_they_are_there_already(monkeypatch):
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with without("antigravity", "sys"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("antigravity")
        assert importlib.import_module("sys") is sys
    assert "antigravity" not in sys.modules
    assert sys.modules["sys"] is sys
    assert importlib.util.find_spec("antigravity") is not None


def test_they_are_back_after_a_failure():
    with pytest.raises(RuntimeError), without("antigravity"):
        raise RuntimeError
    assert "antigravity" not in sys.modules
