"""The plan: what would change, file by file, before anything does."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.tags import formats, patch, predictions, swap
from tonearm.tags.errors import TagError, from_os, shown
from tonearm.tags.predictions import Prediction

FORMAT = "tonearm-plan/1"
POLICIES = ("keep", "fill", "add", "replace")


@dataclass
class Plan:
    """`entries` are the files that would change; `unchanged` those that are fine, with why; `skipped` the troubles."""

    settings: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    unchanged: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    created: str = ""
    format: str = FORMAT

    def save(self, path: str | os.PathLike) -> None:
        """Write the plan as JSON, whole or not at all."""
        folder = os.path.dirname(os.path.abspath(path))
        try:
            with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False, encoding="utf-8") as file:
                try:
                    json.dump(asdict(self), file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                    os.chmod(file.name, 0o644)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(file.name)
                    raise
            os.replace(file.name, path)
        except OSError as error:
            raise TonearmError(f"{shown(path)}: the plan cannot be written ({error.strerror})") from error


def read_plan(path: str | os.PathLike) -> Plan:
    """A plan from its file."""
    try:
        with open(path, encoding="utf-8") as file:
            read = json.load(file)
    except OSError as error:
        raise UsageError(f"{shown(path)}: the plan cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{shown(path)}: is not a plan (it is not JSON)") from error
    hint = "`tonearm tag plan` makes one"
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise UsageError(f"{shown(path)}: is not a plan of `tonearm tag plan`", hint=hint)
    wanted = {"path": str, "after": list, "before": list, "size": int, "mtime_ns": int, "tags_sha256": str}
    for entry in read.get("entries", []):
        if not isinstance(entry, dict) or any(not isinstance(entry.get(key), kind) for key, kind in wanted.items()):
            raise UsageError(f"{shown(path)}: an entry of the plan is damaged", hint=hint)
        if not all(isinstance(genre, str) and genre.strip() and genre.isprintable() for genre in entry["after"]):
            raise UsageError(f"{shown(path)}: the genres for {shown(entry['path'])} are not text", hint=hint)
    known = {key: read[key] for key in ("settings", "entries", "unchanged", "skipped", "warnings", "created")}
    return Plan(**known)


def plan(
    predicted: str | os.PathLike | Iterable[Any],
    files: Iterable[str | os.PathLike] | None = None,
    *,
    policy: str = "fill",
    threshold: float = 0.5,
    max_genres: int = 3,
    names: dict[str, str | None] | str | os.PathLike | None = None,
    unsure: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Plan:
    """What predictions would do to the genres of files. Nothing is touched.

    `predicted`: a JSON Lines or CSV file, `-`, or an iterable of dicts in the shape of `tonearm predict --json`.
    `files`: files and folders to look at; without it, every file that the predictions name.
    `policy`: `fill` only files without a genre, `add` to what is there, `replace` it, or `keep` everything and only
    say what would have been predicted. A genre counts from `threshold` on; at most `max_genres` stand in a file.
    """
    if policy not in POLICIES:
        raise unknown_name("policy", policy, POLICIES)
    if not 0 <= threshold <= 1:
        raise UsageError(f"the threshold is a probability from 0 to 1, not {threshold}")
    if max_genres < 1:
        raise UsageError("at least one genre has to be allowed for a file")
    if isinstance(names, str | os.PathLike):
        names = predictions.read_map(names)
    names = names or {}
    settings = {"policy": policy, "threshold": threshold, "max_genres": max_genres, "map": names, "unsure": unsure}
    made = Plan(settings, created=datetime.now(UTC).isoformat(timespec="seconds"))
    work = _paired(predictions.read(predicted), files, made)
    seen: set[str] = set()
    known_files: dict[tuple[int, int], str] = {}
    for n, prediction in enumerate(work):
        if progress:
            progress(n)
        seen.update(genre for genre, _ in prediction.genres)
        try:
            _consider(prediction, made, known_files)
        except TagError as error:
            made.skipped.append(problem(prediction.path, error))
    made.warnings += predictions.unknown_keys(names, seen)
    return made


def problem(path: str, error: TonearmError) -> dict[str, str]:
    """A line of `skipped`."""
    return {"path": path, "code": error.code, "message": getattr(error, "reason", "") or error.message}


def _paired(found: Iterator[Prediction], files: Iterable[Any] | None, made: Plan) -> Iterator[Prediction]:
    """Predictions with absolute paths, in the order of `files` where they are given."""
    if files is None:
        for prediction in found:
            yield prediction._replace(path=os.path.abspath(prediction.path))
        return
    by_path = {os.path.abspath(prediction.path): prediction for prediction in found}
    by_target = {os.path.realpath(path): prediction for path, prediction in by_path.items()}
    for path in walk(files, made.skipped):
        prediction = by_path.get(path) or by_target.get(os.path.realpath(path))
        if prediction is None:
            made.skipped.append(problem(path, TagError(path, "no-prediction")))
        else:
            yield prediction._replace(path=path)


def walk(files: Iterable[str | os.PathLike], skipped: list[dict[str, str]]) -> Iterator[str]:
    """The files of folders (those with a music ending) and the files named, absolute; each real folder once."""
    visited: set[tuple[int, int]] = set()
    for given in files:
        path = os.path.abspath(os.fspath(given))
        if os.path.isdir(path):
            yield from _walk_folder(path, visited, skipped)
        else:
            yield path


def _walk_folder(folder: str, visited: set[tuple[int, int]], skipped: list[dict[str, str]]) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in visited:
                continue  # a link back up: the folder would have no end
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(problem(here, from_os(here, error)))
            continue
        below = []
        for entry in entries:
            with contextlib.suppress(OSError):  # a link in a circle is no folder; opening it will say so
                if entry.is_dir():
                    below.append(entry.path)
                    continue
            ending = os.path.splitext(entry.name)[1][1:].lower()
            if ending in formats.SUFFIXES and not entry.name.startswith("."):
                yield entry.path
        waiting += reversed(below)


def _consider(prediction: Prediction, made: Plan, known_files: dict[tuple[int, int], str]) -> None:
    path, settings = prediction.path, made.settings
    if prediction.error:
        error = prediction.error
        message = str(error.get("message") or "the prediction failed")
        made.skipped.append({"path": path, "code": str(error.get("code") or "failed"), "message": message})
        return
    target = os.path.realpath(path)
    with swap.opened(target) as file:
        status = os.fstat(file.fileno())
        key = (status.st_dev, status.st_ino)
        if key in known_files:
            if known_files[key] != path:
                raise TagError(path, "same-file", f"it is the same file as {shown(known_files[key])}")
            return
        known_files[key] = path
        try:
            _, layout = formats.read(file, path)
            digest = tags_digest(file, layout)
        except OSError as error:
            raise from_os(path, error) from error
    wanted, why = _wanted(prediction, settings)
    after, reason = _after(layout.genres, wanted, settings) if wanted else (layout.genres, why)
    about = {"path": path, "container": layout.container, "tags": layout.tags, "before": layout.genres}
    if reason:
        made.unchanged.append({**about, "predicted": wanted, "reason": reason})
        return
    probabilities = dict(predictions.renamed(prediction.genres, settings["map"]))
    made.entries.append(
        {
            **about,
            "after": after,
            "probabilities": {genre: probabilities[genre] for genre in after if genre in probabilities},
            "target": target if target != path else None,
            "links": status.st_nlink,
            **swap.fingerprint(status),
            "tags_sha256": digest,
        }
    )


def _wanted(prediction: Prediction, settings: dict[str, Any]) -> tuple[list[str], str]:
    """The genres that count, or why there are none."""
    if not prediction.genres:
        return [], "nothing-predicted"
    if not prediction.sure and not settings["unsure"]:
        return [], "not-sure"
    named = predictions.renamed(prediction.genres, settings["map"])
    if not named:
        return [], "dropped-by-map"
    likely = [genre for genre, p in named if p is None or p >= settings["threshold"]]
    return likely[: settings["max_genres"]], "" if likely else "below-threshold"


def _after(before: list[str], wanted: list[str], settings: dict[str, Any]) -> tuple[list[str], str]:
    """The genres that would stand in the file, or why they stay."""
    if settings["policy"] == "keep":
        return before, "kept"
    if settings["policy"] == "fill" and before:
        return before, "has-genre"
    if settings["policy"] == "add":
        # "Rock; Pop" in one value is two genres to a person: neither is added once more.
        there = {part.strip().casefold() for genre in before for part in [genre, *re.split(r"[;/,|]", genre)]}
        new = [genre for genre in wanted if genre.casefold() not in there]
        wanted = before + new[: max(0, settings["max_genres"] - len(before))]
    return (wanted, "same") if wanted == before else (wanted, "")


def tags_digest(file: BinaryIO, layout: formats.Layout) -> str:
    """sha256 of all that is not sound: small to read, and different as soon as any tag is."""
    end, position, ranges = file.seek(0, 2), 0, []
    for offset, length in sorted(layout.audio):
        ranges.append((position, max(0, offset - position)))
        position = max(position, offset + length)
    return patch.sha256(patch.spans(file, [*ranges, (position, end - position)]))


def describe(path: str | os.PathLike) -> dict[str, Any]:
    """The container, kinds of tag and genres of one file as they are read; raises `TagError`."""
    given = os.fspath(path)
    with swap.opened(os.path.realpath(given)) as file:
        try:
            _, layout = formats.read(file, given)
        except OSError as error:
            raise from_os(given, error) from error
        status = os.fstat(file.fileno())
    return {
        "path": given,
        "container": layout.container,
        "tags": layout.tags,
        "genres": layout.genres,
        "writable": bool(stat.S_IMODE(status.st_mode) & 0o222),
    }
