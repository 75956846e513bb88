"""The light tool stays light: nothing heavy is imported by listing, importing or running light commands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "librosa", "sklearn", "scipy", "matplotlib", "pandas", "av", "numba", "ray", "fastapi", "optuna")

# Rooms that are for training alone and say so; no light command reaches them.
HEAVY_ROOMS = ("tonearm.models.nets", "tonearm.shipping", "tonearm.training")

IMPORT_ALL = """
import importlib, pkgutil, sys
import tonearm
heavy, rooms = sys.argv[1].split(","), tuple(sys.argv[2].split(","))
def walk(folder, prefix):
    for m in pkgutil.iter_modules(folder, prefix):
        if m.name not in rooms and not m.name.endswith("__main__"):
            yield m.name
            if m.ispkg:
                yield from walk(importlib.import_module(m.name).__path__, m.name + ".")
names = list(walk(tonearm.__path__, "tonearm."))
for name in names:
    importlib.import_module(name)
print(len(names), *[m for m in heavy if m in sys.modules])
"""

RUN = """
import sys
from tonearm.cli import main
heavy, arguments = sys.argv[1].split(","), sys.argv[2:]
try:
    main(arguments)
except SystemExit as stop:
    code = stop.code
print("\\nLOADED", code, *[m for m in heavy if m in sys.modules])
"""


def test_no_module_of_the_light_rooms_imports_anything_heavy():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(HEAVY), ",".join(HEAVY_ROOMS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    count, *loaded = done.stdout.split()
    assert int(count) > 15, "the walk found hardly any module: it tests nothing"
    assert loaded == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["doctor", "--json"],
        ["features", "list"],
        ["data", "list"],
        ["pack", "info", "no-such-pack"],
        ["audit", "--help"],
        ["split", "--help"],
    ],
    ids=" ".join,
)
def test_running_a_light_command_loads_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-c", RUN, ",".join(HEAVY), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    _, code, *loaded = done.stdout[done.stdout.index("LOADED") :].split()
    assert code == ("1" if "no-such-pack" in arguments else "0")
    assert loaded == []


def test_version_imports_neither_numpy_nor_typer():
    ask = "import sys\nfrom tonearm.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
    ask += "print(*[m for m in ('numpy', 'typer', 'rich', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    from tonearm import __version__

    assert done.stdout.split() == ["tonearm", __version__], done.stdout + done.stderr


@pytest.mark.parametrize("code", ["import tonearm, onnxruntime", "from tonearm.cli import main; main(['doctor'])"])
def test_nothing_is_written_into_the_home_folder_without_being_asked(code, tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    env.update({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_the_first_search_for_rubbish_waits_and_then_all_is_as_usual():
    code = """
import gc, weakref
from tonearm.cli import main
usual, hooks = gc.get_threshold(), list(gc.callbacks)
def searches():
    return sum(kind["collections"] for kind in gc.get_stats())
before = searches()
try:
    main(["features", "list"])
except SystemExit:
    pass
print("SEARCHES", searches() - before)
class Ring: pass
lost = []
while gc.get_threshold() != usual:
    ring = Ring()
    ring.itself = ring
    lost.append(weakref.ref(ring))
print(len(lost), sum(ref() is not None for ref in lost), gc.callbacks == hooks)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "SEARCHES 0" in lines
    made, kept, hooks = lines[-1].split()
    assert int(made) < 100_000, "it waits too long"
    assert int(kept) <= 2, "what is lost is not found any more"
    assert hooks == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="malloc of the C library of GNU")
def test_the_command_line_keeps_the_memory_that_it_freed():
    code = """
import resource, numpy, tonearm.cli
tonearm.cli._keep_memory()
def fill():
    kept = [numpy.ones(1 << 19, numpy.float32) for _ in range(8)]  # below what huge pages are for
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}

    def faults(**more: str) -> int:
        done = subprocess.run([sys.executable, "-c", code], env=environment | more, capture_output=True, check=True)
        return int(done.stdout)

    # Settings of one's own are kept: here, to give everything back at once.
    theirs = faults(MALLOC_TRIM_THRESHOLD_="0", MALLOC_TOP_PAD_="0")
    if theirs < 1000:
        pytest.skip("another C library, or pages that are huge anyway")
    assert faults() < theirs / 10
