"""Anybody's music: one folder per genre, or a table that says what is where."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tonearm.datasets import _files, _table
from tonearm.datasets._dataset import Card, Dataset, DatasetError, Option, Problem, registry
from tonearm.packs import Track

log = logging.getLogger("tonearm.datasets")

TABLES = (".csv", ".tsv", ".txt")
LEVELS = ("genre", "artist", "album", "-")


def tracks(root: Path, *, levels: tuple[str, ...] = ("genre",)) -> list[Track]:
    """Every audio file of a folder or a table. Whether a file can be read shows when it is read, not here."""
    found, problems = _read(root, levels)
    if problems:
        first = "; ".join(problem.message for problem in problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        log.warning("%s: %s%s (`tonearm data verify` lists all)", root, first, more)
    return found


def problems(root: Path, *, levels: tuple[str, ...] = ("genre",)) -> list[Problem]:
    return _read(root, levels)[1]


def _read(root: Path, levels: tuple[str, ...]) -> tuple[list[Track], list[Problem]]:
    if root.is_file():
        return _table.read(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: there is no such file or folder", code="missing")
    found: list[Problem] = []
    files = list(_files.walk(root, found))
    names = _files.unique_ids([file.relative_to(root) for file in files])
    listed = []
    for file, name in zip(files, names, strict=True):
        parents = [_files.text(part) for part in file.relative_to(root).parts[:-1]]
        # What lies deeper than the levels that were named belongs to the last of them (CD1, CD2 of one album).
        known = dict(zip(levels, parents, strict=False))
        extra = {"album": known["album"]} if known.get("album") else {}
        genre, artist = known.get("genre", ""), known.get("artist", "")
        listed.append(Track(id=name, genre=genre, artist=artist, path=os.fspath(file), extra=extra))
    if any(track.genre for track in listed):
        # A stray song beside the genre folders has no label: naming it is kinder than inventing one.
        stray = [track for track in listed if not track.genre]
        found += [Problem("no-genre", t.path or "", f"{t.id}: lies in no genre folder, left out", t.id) for t in stray]
        listed = [track for track in listed if track.genre]
    elif listed:
        found.append(Problem("no-genre", os.fspath(root), "no folder per genre: the tracks have no genre"))
    return listed, found


def recognises(root: Path) -> int:
    if root.is_file():
        return int(root.suffix.lower() in TABLES)
    return int(root.is_dir() and next(_files.walk(root, []), None) is not None)


def parse_levels(value: str) -> tuple[str, ...]:
    levels = tuple(value.split(","))
    wrong = [level for level in levels if level not in LEVELS]
    if wrong or "genre" not in levels:
        raise ValueError("folder levels are genre, artist, album or -, joined by commas, and genre must be among them")
    return levels


registry.add("folder")(
    Dataset(
        name="folder",
        about=Card(
            title="A folder of your own",
            what="One folder per genre with music in it, folders in folders allowed; or a CSV with the columns path "
            "and genre, and if you know them artist, recording, split and id.",
            genres=(),
            size="as large as you like",
            licence="that of your files",
            citation=(),
            faults=(
                "Nothing is known about artists unless you say it (levels=genre,artist, or the column artist): without "
                "artists, a score tells how well artists are recognised as much as genres.",
            ),
            get="Point tonearm at it: folder:PATH. A path alone does too.",
            splits={"column": "the column split of the table: train, valid or test"},
        ),
        tracks=tracks,
        problems=problems,
        recognises=recognises,
        options={"levels": Option(parse_levels, "what the folders below the root are, for example genre,artist,album")},
    )
)
