"""The listing of a folder is the registry."""

from __future__ import annotations

import sys

import pytest

from tonearm.errors import UsageError
from tonearm.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own with one module, and the registry over it."""
    folder = tmp_path / "plants"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from tonearm.registry import Registry\nregistry = Registry('plant', 'plants')\n"
    )
    (folder / "oak.py").write_text("from plants import registry\n@registry.add('oak')\ndef oak():\n    return 1\n")
    (folder / "_hidden.py").write_text("raise RuntimeError('a module with an underscore must not be imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [m for m in sys.modules if m.split(".")[0] == "plants"]:
        del sys.modules[name]


def test_a_file_in_the_folder_is_found_and_an_underscore_hides(package):
    (package / "fern.py").write_text("from plants import registry\n@registry.add('fern')\ndef fern():\n    return 2\n")
    from plants import registry

    assert registry.names() == ["fern", "oak"]
    assert registry.get("fern")() == 2
    assert "oak" in registry
    assert len(registry) == 2


def test_one_name_imports_one_module(package):
    (package / "slow.py").write_text("raise RuntimeError('nobody asked for this one')\n")
    from plants import registry

    assert registry.get("oak")() == 1
    assert "oak" in registry
    assert "plants.slow" not in sys.modules


def test_a_misspelt_name_is_refused_with_what_was_meant(package):
    from plants import registry

    with pytest.raises(UsageError, match=r"unknown plant 'oka' \(did you mean 'oak'\? valid: oak\)") as error:
        registry.get("oka")
    assert error.value.exit_code == 2


def test_two_things_of_one_name_are_a_mistake():
    registry = Registry("plant", "tonearm")
    registry.add("a")(lambda: 1)

    def other():
        return 2

    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="two plants are named 'a'"):
        registry.add("a")(other)
