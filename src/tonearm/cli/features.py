"""`tonearm features`: which features there are, and one of them from a file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="List the features, or compute one from a file.",
    epilog="Example: tonearm features compute song.mp3 --feature mfcc -o song.npy",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SHOWN_ROWS = 20


@app.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_features(kind=None, as_json=False)


@app.command("list", epilog="Example: tonearm features list logmel")
def list_features(
    kind: Annotated[str | None, typer.Argument(help="Say what the keywords of this one mean.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list for programs.")] = False,
) -> None:
    """List the kinds of feature with their keywords and defaults."""
    from tonearm import features

    kinds = features.registry.names() if kind is None else [kind]
    described = [describe(features.registry.get(name)) for name in kinds]
    if as_json:
        print(json.dumps(described, indent=2))
    else:
        _show_list(described, meanings=kind is not None)


def describe(cls: type) -> dict[str, Any]:
    """Kind, summary, keywords with default and meaning, and whether it has a torch way."""
    import dataclasses

    from tonearm.features.base import plain

    default = cls()
    keywords = {
        field.name: {"default": plain(field.default), "meaning": field.metadata.get("meaning", "")}
        for field in dataclasses.fields(cls)
    }
    summary = (cls.__doc__ or "").strip().split("\n")[0]
    return {"kind": cls.kind, "summary": summary, "torch": bool(default.has_batch), "keywords": keywords}


def _show_list(described: list[dict[str, Any]], *, meanings: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    for feature in described:
        keywords = feature["keywords"]
        if not meanings:
            listed = ", ".join(f"{name}={_short(keyword['default'])}" for name, keyword in keywords.items())
            table.add_row(feature["kind"], _plain(f"{feature['summary']}\n{listed}\n"))
            continue
        console.print(f"[bold]{feature['kind']}[/bold]  {feature['summary']}\n", soft_wrap=True)
        for name, keyword in keywords.items():
            table.add_row(name, _plain(f"{keyword['meaning']} (default {_short(keyword['default'])})"))
    console.print(table)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


@app.command(epilog="Example: tonearm features compute song.mp3 --feature mfcc --set n_mfcc=30 -o song.npy")
def compute(
    file: Annotated[str, typer.Argument(help="A sound file.")],
    feature: Annotated[str, typer.Option("--feature", "-f", help="A kind; or a pack or config file that has one.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A keyword of the feature, as key=value; may be repeated.")
    ] = None,
    start_seconds: Annotated[float, typer.Option(min=0.0, help="Begin here.")] = 0.0,
    clip_seconds: Annotated[float | None, typer.Option(min=0.0, help="Use so much; left out: to the end.")] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write it here: .npy, .csv or .json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")] = False,
) -> None:
    """Compute one feature of a file and write it, or say its shape and what its values are like."""
    from tonearm import audio, features
    from tonearm.errors import UsageError

    if output is not None and Path(output).suffix.lower() not in WRITERS:
        raise UsageError(f"{output}: the ending says the format", hint=f"use one of {', '.join(WRITERS)}")
    chosen = features.from_settings(feature, settings or ())
    waveform = audio.load(file, sample_rate=chosen.sample_rate, start_seconds=start_seconds, clip_seconds=clip_seconds)
    for warning in waveform.warnings:
        print(f"tonearm: {file}: {warning}", file=sys.stderr)
    if waveform.silent:
        print(f"tonearm: {file}: it is silent", file=sys.stderr)
    values = chosen(waveform)
    report = {
        "path": str(file),
        "feature": chosen.config(),
        "sample_rate": waveform.sample_rate,
        "seconds": waveform.seconds,
        "axes": list(chosen.axes),
        "shape": list(values.shape),
        "columns": chosen.columns(),
        "statistics": _statistics(values),
        "output": output,
    }
    if output is not None:
        _write(Path(output), values, report)
    if as_json:
        print(json.dumps(report))
    elif output is None:
        _show_values(values, report)
    if output is not None:
        shape = " x ".join(str(size) for size in values.shape)
        print(f"{output}: {chosen.kind}, {shape} ({', '.join(chosen.axes)})", file=sys.stderr)


def _statistics(values: Any) -> dict[str, float]:
    return {name: float(getattr(values, name)()) for name in ("min", "max", "mean", "std")}


def _write_npy(path: Path, values: Any, report: dict[str, Any]) -> None:
    import numpy as np

    with open(path, "wb") as file:
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)


def _write_csv(path: Path, values: Any, report: dict[str, Any]) -> None:
    """A line per frame (of features without frames: one line), a column per name."""
    import csv

    names = report["columns"] or [f"row{number}" for number in range(values.shape[0])]
    lines = values.T if values.ndim == 2 else values[None]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        # str of a float32 is the shortest text that reads back as the same number.
        writer.writerows([str(value) for value in line] for line in lines)


def _write_json(path: Path, values: Any, report: dict[str, Any]) -> None:
    path.write_text(json.dumps({**report, "values": values.tolist()}), encoding="utf-8")


WRITERS = {".npy": _write_npy, ".csv": _write_csv, ".json": _write_json}


def _write(path: Path, values: Any, report: dict[str, Any]) -> None:
    """Write beside the target and move it there: what was there stays whole until the new one is."""
    from tonearm.errors import TonearmError

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        WRITERS[path.suffix.lower()](part, values, report)
        os.replace(part, path)
    except OSError as error:
        raise TonearmError(f"{path}: cannot be written: {error.strerror or error}", code="output") from None
    finally:
        part.unlink(missing_ok=True)


def _show_values(values: Any, report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    shape = " x ".join(str(size) for size in values.shape)
    kind = report["feature"]["kind"]
    console.print(f"{kind} of {report['seconds']:.2f} s at {report['sample_rate']} Hz: {shape}", end=" ", markup=False)
    console.print(f"({', '.join(report['axes'])}), {values.dtype}", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    framed = values.ndim == 2
    numbers = ("min", "max", "mean", "std") if framed else ("value",)
    for name in numbers:
        table.add_column(name, justify="right")
    if framed:
        table.add_row("all", *(f"{report['statistics'][name]:.6g}" for name in numbers))
    names = report["columns"] or [f"row{number}" for number in range(len(values))]
    for name, row in list(zip(names, values, strict=True))[:SHOWN_ROWS]:
        shown = [float(getattr(row, number)()) for number in numbers] if framed else [float(row)]
        table.add_row(name, *(f"{number:.6g}" for number in shown))
    console.print(table)
    if len(names) > SHOWN_ROWS:
        console.print(f"… and {len(names) - SHOWN_ROWS} more; -o writes them all", markup=False)
