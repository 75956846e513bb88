"""`tonearm demo`: the main job from beginning to end, on songs that tonearm synthesises itself."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from tonearm.errors import TonearmError, UsageError


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for music and results.")] = Path("demo"),
    tracks_per_genre: Annotated[int, typer.Option(min=2, help="Songs of each of the eight genres.")] = 12,
    seconds: Annotated[float, typer.Option(min=2.0, help="Length of a song.")] = 10.0,
) -> None:
    """Synthesise a small dataset and do the main job on it."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", hint="name a folder with -o")
    for number, (why, arguments) in enumerate(_steps(out, tracks_per_genre, seconds), 1):
        print(f"\n{number}. {why}\n   $ tonearm {shlex.join(arguments)}\n", file=sys.stderr, flush=True)
        code = _run(arguments)
        # Findings make `data verify` end with 1, and here there are some: copies of songs, planted to be found.
        if code and not (code == 1 and arguments[:2] == ["data", "verify"]):
            raise TonearmError(
                f"the demo stopped at step {number}, exit code {code}", hint="tonearm doctor may say why"
            )
    print(f"\nDone. Everything is in {out}; the commands above work the same on your own music.", file=sys.stderr)


def _steps(out: Path, tracks_per_genre: int, seconds: float) -> list[tuple[str, list[str]]]:
    music, pack, split = str(out / "music"), str(out / "pack"), str(out / "split.json")
    size = ["--tracks-per-genre", str(tracks_per_genre), "--seconds", f"{seconds:g}", "--format", "mp3"]
    return [
        ("Synthesise songs of eight genres", ["data", "synth", "-o", music, *size]),
        ("Look through every file: some songs are there twice", ["data", "verify", f"synth:{music}"]),
        ("Turn the songs into features on disk", ["pack", "build", f"synth:{music}", "--feature", "logmel",
                                                  "--clip-seconds", f"{seconds:g}", "-o", pack]),
        ("Check that the pack is whole", ["pack", "verify", pack]),
        ("Say what the pack holds", ["pack", "info", pack]),
        ("Split it with every artist on one side", ["split", "make", pack, "--protocol", "artist", "-o", split]),
        ("Ask what would fool a classifier", ["audit", pack, "--split", split, "--html", str(out / "audit.html")]),
    ]  # fmt: skip


def _run(arguments: list[str]) -> int:
    from tonearm.cli._root import run

    return run(arguments)
