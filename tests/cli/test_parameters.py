"""Values that are spared typer's checks come out as typer's checks give them, and so do refusals."""

from __future__ import annotations

import enum
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from tonearm.cli._parameters import spare_checks


class Colour(enum.StrEnum):
    RED = "red"


def _twice(text: str) -> str:
    return text * 2


def _command(
    names: Annotated[list[str], typer.Argument()],
    word: Annotated[str, typer.Option()] = "given",
    maybe: Annotated[str | None, typer.Option()] = None,
    many: Annotated[list[str] | None, typer.Option()] = None,
    numbers: Annotated[list[int] | None, typer.Option(max=9)] = None,
    count: Annotated[int, typer.Option(min=1)] = 3,
    clamped: Annotated[int, typer.Option(min=1, max=5, clamp=True)] = 9,
    share: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    whole: Annotated[float, typer.Option()] = 2,
    low: Annotated[int, typer.Option(min=1)] = 1,
    parsed: Annotated[str, typer.Option(parser=_twice)] = "ab",
    colour: Annotated[Colour, typer.Option()] = Colour.RED,
    path: Annotated[Path | None, typer.Option()] = None,
    pair: Annotated[tuple[int, str], typer.Option()] = (1, "a"),
    flag: Annotated[bool, typer.Option("--flag")] = False,
    either: Annotated[bool | None, typer.Option("--yes/--no")] = None,
) -> None:
    told = {name: value for name, value in locals().items() if name in inspect.signature(_command).parameters}
    typer.echo(repr([(name, type(value).__name__, value) for name, value in told.items()]))


@pytest.fixture
def answer(capsys):
    def answer(arguments: list[str], *, spared: bool) -> tuple[object, str, str]:
        app = typer.Typer(add_completion=False)
        app.command()(_command)
        command = typer.main.get_command(app)
        if spared:
            spare_checks(command)
        with pytest.raises(SystemExit) as stop:
            command(arguments, prog_name="some")
        return stop.value.code, *capsys.readouterr()

    return answer


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "",
        "a b caf\udce9",
        "a --word w --maybe m --many x --many y",
        "a --word= --many=",
        "a --numbers 3 --numbers 4",
        "a --numbers 3 --numbers 10",
        "a --count 7 --clamped 70 --share 0.5 --whole 1e3",
        "a --count 0",
        "a --count many",
        "a --share 1.5",
        "a --share nan",
        "a --parsed cd --colour red --path x/y --pair 4 b --flag --no",
        "a --colour blue",
        "a --pair x b",
        "a --nonsense",
        "a --word",
        "--help",
    ],
)
def test_spared_values_and_refusals_are_those_of_typer(line, answer):
    arguments = line.split()
    code, shown, words = answer(arguments, spared=True)
    assert (code, shown, words) == answer(arguments, spared=False)
    assert code == (2 if words else 0)
    assert shown or words


def test_defaults_and_plain_values_do_not_load_what_checks_them():
    code = (
        "import sys\nfrom tonearm.cli import main\n"
        "try:\n    main(['predict', 'no-such-file.wav', '--model', 'no-such-model', '--json'])\n"
        "except SystemExit as stop:\n    print(stop.code)\n"
        "print(*[m for m in ('pydantic', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["2", ""], done.stdout + done.stderr
    assert "no-such-model" in done.stderr
