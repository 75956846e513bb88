"""The plan: what would change, file by file, before anything does."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple

from tonearm.errors import TonearmError, UsageError
from tonearm.tags import deciding, formats, patch, predictions, swap
from tonearm.tags.errors import TagError, from_os, shown
from tonearm.tags.predictions import Names, Prediction
from tonearm.tags.walking import problem, walk

FORMAT = "tonearm-plan/1"


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
        """Write the plan as JSON, whole or not at all, and over nothing but an earlier plan."""
        check_place(path)
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


def check_place(path: str | os.PathLike) -> None:
    """Refuse a place for a plan where something else is: a star among the arguments may have put a song there."""
    if not os.path.lexists(path):
        return
    try:
        if os.path.isfile(path):
            read_plan(path)
            return
        reason = "no file"
    except UsageError:
        reason = "no plan"
    hint = "give a plan a name of its own: -o plan.json"
    raise UsageError(f"{shown(path)}: is there already, and is {reason}; it is left as it is", hint=hint)


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
        if not all(isinstance(genre, str) for genre in entry["before"]):
            raise UsageError(f"{shown(path)}: an entry of the plan is damaged", hint=hint)
        if not all(isinstance(genre, str) and genre.strip() and genre.isprintable() for genre in entry["after"]):
            raise UsageError(f"{shown(path)}: the genres for {shown(entry['path'])} are not text", hint=hint)
    known = {key: read[key] for key in ("settings", "entries", "unchanged", "skipped", "warnings", "created")}
    return Plan(**known)


Progress = Callable[[int, int | None], None]


def plan(
    predicted: str | os.PathLike | Iterable[Any] | None = None,
    files: Iterable[str | os.PathLike] | None = None,
    *,
    model: Any = None,
    workers: int = 1,
    timeout_seconds: float | None = None,
    policy: str = "fill",
    threshold: float | None = None,
    max_genres: int = 3,
    names: Names | str | os.PathLike | None = None,
    unsure: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """What would change in the genres of files. Nothing is touched.

    `predicted`: a JSON Lines or CSV file, `-`, or an iterable of dicts in the shape of `tonearm predict --json`;
    without it the `files` are heard here, by `model` (a name, a path, or what `runtime.load` gives) in `workers`
    processes (see `Model.predict_many`), and none that the policy leaves alone anyway.
    `files`: files and folders to look at; without it, every file that the predictions name.
    `policy`: `fill` only files without a genre, `add` to what is there, `replace` it, or `keep` everything and only
    say what would have been predicted. A genre counts from `threshold` on, which the model knows for itself if it is
    not given; at most `max_genres` stand in a file.
    """
    chosen = deciding.settings(policy=policy, threshold=threshold, max_genres=max_genres, names=names, unsure=unsure)
    made = Plan(chosen, created=datetime.now(UTC).isoformat(timespec="seconds"))
    if predicted is not None:
        seen = _consider_all(_paired(predictions.read(predicted), files, made), made, progress)
        made.warnings += predictions.unknown_keys(chosen["map"], seen, "no prediction has")
        return made
    if files is None:
        raise UsageError("what should be planned for?", hint="name files or folders, or give predictions")
    from tonearm import runtime

    if not hasattr(model, "predict_many"):
        model = runtime.load() if model is None else runtime.load(model)
    chosen["model"] = f"{model.name} {model.version}"
    made.warnings += predictions.unknown_keys(chosen["map"], model.genres, f"the model {model.name!r} does not know")
    paths = list(_worth_hearing(files, made))
    heard = predictions.heard(model, paths, threshold=threshold, workers=workers, timeout_seconds=timeout_seconds)
    _consider_all(heard, made, progress, len(paths))
    return made


def _consider_all(
    work: Iterable[Prediction], made: Plan, progress: Progress | None, total: int | None = None
) -> set[str]:
    """Sort each prediction into the plan; returns the genres that were predicted."""
    seen: set[str] = set()
    known_files: dict[tuple[int, int], str] = {}
    for n, prediction in enumerate(work):
        if progress:
            progress(n, total)
        seen.update(genre for genre, _ in prediction.genres)
        try:
            _consider(prediction, made, known_files)
        except TagError as error:
            made.skipped.append(problem(prediction.path, error))
    return seen


def _worth_hearing(files: Iterable[str | os.PathLike], made: Plan) -> Iterator[str]:
    """Each file once, if it can be tagged and the policy may change it: to decode the others would be for nothing."""
    known_files: dict[tuple[int, int], str] = {}
    for path in walk(files, made.skipped):
        try:
            seen = _look(path)
            first = known_files.setdefault(seen.file, path)
            if first != path:
                raise TagError(path, "same-file", f"it is the same file as {shown(first)}")
        except TagError as error:
            made.skipped.append(problem(path, error))
            continue
        if made.settings["policy"] == "fill" and seen.layout.genres:
            made.unchanged.append({**seen.about(path), "predicted": [], "reason": "has-genre"})
        else:
            yield path


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


class _Look(NamedTuple):
    """A file as it is found: which one it is on the disk, what it holds, and the digest of its tags."""

    target: str
    status: os.stat_result
    layout: formats.Layout
    tags_sha256: str

    @property
    def file(self) -> tuple[int, int]:
        return self.status.st_dev, self.status.st_ino

    def about(self, path: str) -> dict[str, Any]:
        layout = self.layout
        return {"path": path, "container": layout.container, "tags": layout.tags, "before": layout.genres}


def _look(path: str) -> _Look:
    target = os.path.realpath(path)
    with swap.opened(target) as file:
        try:
            _, layout = formats.read(file, path)
            return _Look(target, os.fstat(file.fileno()), layout, tags_digest(file, layout))
        except OSError as error:
            raise from_os(path, error) from error


def _consider(prediction: Prediction, made: Plan, known_files: dict[tuple[int, int], str]) -> None:
    path = prediction.path
    if prediction.error:
        error = prediction.error
        message = str(error.get("message") or "the prediction failed")
        made.skipped.append({"path": path, "code": str(error.get("code") or "failed"), "message": message})
        return
    seen = _look(path)
    if seen.file in known_files:
        if known_files[seen.file] != path:
            raise TagError(path, "same-file", f"it is the same file as {shown(known_files[seen.file])}")
        return
    known_files[seen.file] = path
    decision = deciding.decide(prediction, seen.layout.genres, made.settings)
    if decision.reason:
        made.unchanged.append({**seen.about(path), "predicted": decision.predicted, "reason": decision.reason})
        return
    made.entries.append(
        {
            **seen.about(path),
            "after": decision.genres,
            "probabilities": decision.probabilities,
            "target": seen.target if seen.target != path else None,
            "links": seen.status.st_nlink,
            **swap.fingerprint(seen.status),
            "tags_sha256": seen.tags_sha256,
        }
    )


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
