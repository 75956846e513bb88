"""The root of the command line: its table tells the truth, its errors are short, its codes are the promised ones."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from tonearm.cli import COMMANDS, GROUPS, doctor
from tonearm.cli._root import run

ROOT = Path(__file__).parents[2]


def tonearm(*arguments: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "tonearm", *arguments], capture_output=True, text=True, **kwargs)


def test_help_names_every_command_with_its_example():
    shown = tonearm("--help", env={"COLUMNS": "200", "PATH": ""}).stdout
    for name, entry in COMMANDS.items():
        assert entry.group in GROUPS
        assert entry.example.startswith(f"tonearm {name}")
        assert f"{name} " in shown
        assert entry.help in shown
        assert entry.example in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there_and_helps(name):
    module = importlib.import_module(f"tonearm.cli.{COMMANDS[name].module}")
    assert isinstance(getattr(module, "app", None), typer.Typer) or callable(module.command)
    done = tonearm(name, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "--help" in done.stdout
    assert "Example" in done.stdout


def test_a_module_in_the_folder_is_a_command_in_the_table():
    files = {p.stem for p in (ROOT / "src/tonearm/cli").glob("*.py") if not p.stem.startswith("_")}
    assert files == {entry.module for entry in COMMANDS.values()}


def test_no_arguments_shows_the_help():
    done = tonearm()
    assert "tonearm COMMAND" in done.stdout


def test_a_misspelt_command_is_a_usage_error_without_a_traceback():
    done = tonearm("pakc")
    assert done.returncode == 2
    assert "pakc" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_users_mistake_is_one_line_and_the_next_step(capsys):
    assert run(["pack", "info", "no-such-folder"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no-such-folder" in shown.err
    assert "Traceback" not in shown.err


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m tonearm features list | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["data", "show", "fma"]], ids=" ".join)
def test_a_terminal_that_lacks_a_letter_loses_only_that_letter(arguments, encoding):
    done = tonearm(*arguments, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout) > 500


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["data", "list"], ["data", "list", "--json"], ["features"]], ids=" ".join
)
def test_a_full_disk_below_the_output_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "tonearm", *arguments], stdout=full, stderr=-1, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["tonearm: No space left on device"]


@pytest.mark.parametrize("name", ["[red]", "[", "a [/red] b"])
def test_doctor_shows_folders_with_brackets_as_they_are(name, tmp_path):
    done = tonearm("doctor", env={**os.environ, "TONEARM_CACHE": str(tmp_path / name), "COLUMNS": "30"})
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / name} (not made yet)" in done.stdout


def test_doctor_json_is_whole_and_says_how_to_get_what_is_missing():
    done = tonearm("doctor", "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert "MP3" in report["formats"]["soundfile"]
    assert report["devices"]["cores"] >= 1
    for extra in report["extras"].values():
        assert bool(extra["missing"]) == bool(extra["command"])
        assert extra["installed"] == (not extra["missing"])


def test_doctor_names_a_package_that_is_installed_but_broken(monkeypatch):
    monkeypatch.setattr(doctor, "EXTRAS", {"av": ("this_module_does_not_exist_anywhere",)})
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    report = doctor.examine(imports=True)
    assert "No module named" in report["extras"]["av"]["broken"]["this-module-does-not-exist-anywhere"]
    assert report["extras"]["av"]["installed"] is False


def test_doctor_knows_the_extras_of_the_package():
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    names = {name: {r.split(">")[0].lower() for r in rows} for name, rows in extras.items()}
    assert set(doctor.EXTRAS) == set(extras) - {"dev", "all"}
    for name, modules in doctor.EXTRAS.items():
        assert {doctor._distribution(m).lower() for m in modules} == names[name]
