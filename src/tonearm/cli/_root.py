"""The root command: groups and examples in its help, commands imported when they are called."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
import sys

import typer
from typer.core import TyperGroup

from tonearm.cli import COMMANDS, GROUPS
from tonearm.cli._parameters import spare_checks
from tonearm.errors import TonearmError


class LazyGroup(TyperGroup):
    """Lists the table of `tonearm.cli`, imports a command only to run it or to show its own help."""

    def __init__(self, **keywords) -> None:
        super().__init__(**keywords)
        spare_checks(self)

    def list_commands(self, ctx) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name: str):
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"tonearm.cli.{entry.module}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command(name=cmd_name, help=entry.help)(module.command)
        command = typer.main.get_command(app)
        command.name = cmd_name
        command.epilog = command.epilog or f"Example: {entry.example}"
        for some in (command, *getattr(command, "commands", {}).values()):
            some.help = _reflowed(some.help)
            spare_checks(some)
        return command

    def format_help(self, ctx, formatter) -> None:
        _print_help()


def _reflowed(text: str | None) -> str | None:
    """Paragraphs of a docstring as lines of their own: where the source breaks a line means nothing to the reader."""
    return text and re.sub(r"(?<!\n)\n(?!\n| )", " ", inspect.cleandoc(text))


def _print_help() -> None:
    from rich.console import Console
    from rich.table import Table

    # `highlight=False`: the help is text, not data.
    console = Console(highlight=False)
    console.print("\n[bold]tonearm[/bold] tells the genre of music, and tells the truth about how well it does so.\n")
    console.print("Usage: tonearm [bold]COMMAND[/bold] …      (tonearm COMMAND --help says more)\n")
    for group in GROUPS:
        rows = [(name, entry) for name, entry in COMMANDS.items() if entry.group == group]
        if not rows:
            continue
        console.print(f"[bold]{group}[/bold]")
        table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=True)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column()
        for name, entry in rows:
            table.add_row(name, f"{entry.help}\n[dim]{entry.example}[/dim]")
        console.print(table)
        console.print()
    console.print("Options: --version, --help. Results go to standard output, everything else to standard error.")


app = typer.Typer(cls=LazyGroup, add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and stop."),
) -> None:
    if version:
        from tonearm import __version__

        typer.echo(f"tonearm {__version__}")
        raise typer.Exit


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code: 0 done, 1 work failed, 2 used wrongly, 130 interrupted."""
    _escape_what_cannot_be_written()
    try:
        code = _call(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk can still be told, and not as Python ends
        return code
    except TonearmError as error:
        print(f"tonearm: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("tonearm: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) went away: not an error, and Python must not complain at exit either.
        _drop_output()
        return 141
    except OSError as error:
        # What the rooms do not expect of a file they name themselves: what is left is mostly a full disk below stdout.
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"tonearm: {where}{error.strerror or error}", file=sys.stderr)
        return 1


def _call(arguments: list[str]) -> int:
    try:
        return int(app(arguments, standalone_mode=True) or 0)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))


def _escape_what_cannot_be_written() -> None:
    """A name that the terminal's encoding lacks is shown escaped; a result must not be lost for one letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still buffered goes nowhere: Python would try to write it once more at exit, and complain."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no stdout, or one that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
