"""From the text a user types to a dataset, its folder and its tracks."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tonearm.datasets._dataset import Dataset, DatasetError, registry
from tonearm.errors import UsageError, unknown_name
from tonearm.packs import Track

# At least two letters: `C:\music` is a path.
_NAMED = re.compile(r"([a-z][a-z0-9_-]+):(.*)", re.DOTALL)
_OPTIONS = re.compile(r"(.*)\?([a-z_]+=[^?&=]*(?:&[a-z_]+=[^?&=]*)*)", re.DOTALL)
_EXAMPLES = "write gtzan:PATH, fma:PATH?subset=small, folder:PATH, synth, or a path alone"


class Resolved(NamedTuple):
    """A dataset with the tracks of one copy; `defaults` holds what a pack built from it says in its pack.json."""

    dataset: Dataset
    tracks: list[Track]
    defaults: dict[str, Any]


def parse(spec: str | Path, **options: Any) -> tuple[Dataset, Path | None, dict[str, Any]]:
    """The dataset, the root and the options that a text names, without looking for tracks.

    Options in the text (`?subset=small`) and as keywords are the same thing; keywords win. A path alone is guessed
    by layout, and the guess is told on standard error.
    """
    dataset, path, given = _taken_apart(os.fspath(spec))
    given |= options
    root = Path(os.path.abspath(os.path.expanduser(path))) if path else None
    if dataset is None:
        if root is None:
            raise UsageError("no dataset was named", hint=_EXAMPLES)
        dataset = _guess(root)
    if root is None and dataset.needs_root:
        raise UsageError(
            f"where is {dataset.name}? A folder must be named",
            hint=f"write {dataset.name}:PATH; `tonearm data show {dataset.name}` says how to get it",
        )
    return dataset, root, dataset.parse_options(given)


def _taken_apart(text: str) -> tuple[Dataset | None, str, dict[str, str]]:
    """Name, path and options of a text; a path that exists as it stands has no options in it."""
    named = _NAMED.fullmatch(text)
    known = named is not None and named[1] in registry
    path = named[2] if known else text
    options: dict[str, str] = {}
    if not _exists(path) and (found := _OPTIONS.fullmatch(path)):
        path = found[1]
        options = dict(pair.split("=", 1) for pair in found[2].split("&"))
    if known:
        return registry.get(named[1]), path, options
    if path in registry and not (_exists(path) and registry.get(path).needs_root):
        return registry.get(path), "", options
    if named and not _exists(path):
        raise unknown_name("dataset", named[1], registry)
    return None, path, options


def _exists(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))


def _guess(root: Path) -> Dataset:
    if not root.exists():
        raise DatasetError(f"{root}: there is no such file or folder", hint=_EXAMPLES, code="missing")
    if (root / "pack.json").is_file():
        raise UsageError(f"{root}: this is a pack, not a dataset", hint="`tonearm pack info` shows what is in it")
    sure = {name: registry.get(name).recognises(root) for name in registry}
    best = max(sure, key=lambda name: sure[name])
    if not sure[best]:
        raise DatasetError(
            f"{root}: not the layout of any dataset that is known",
            hint=f"put music into one folder per genre, or list it in a CSV with the columns path,genre; {_EXAMPLES}",
        )
    print(f"{root}: read as {best} (write {best}:{root} to say so)", file=sys.stderr)
    return registry.get(best)


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def resolve(spec: str | Path, **options: Any) -> Resolved:
    """Tracks of `gtzan:PATH`, `fma:PATH?subset=medium`, `folder:PATH`, `synth`, `synth:PATH`, or of a path alone."""
    dataset, root, parsed = parse(spec, **options)
    tracks = dataset.tracks(root, **parsed)
    if not tracks:
        raise DatasetError(
            f"{root}: no tracks of {dataset.name} here", hint=f"tonearm data show {dataset.name}", code="empty"
        )
    about = dataset.about
    shown = "&".join(f"{name}={_as_text(value)}" for name, value in sorted(parsed.items()))
    defaults = {
        "name": dataset.name if dataset.name != "folder" else (root.stem if root.is_file() else root.name),
        "title": about.title,
        "dataset": dataset.name + (f"?{shown}" if shown else ""),
        "source": about.home or f"see `tonearm data show {dataset.name}`",
        "licence": about.licence,
        "citation": list(about.citation),
        "split": "; ".join(f"{name}: {text}" for name, text in about.splits.items()),
        "classes": sorted({track.genre for track in tracks if track.genre}),
    }
    return Resolved(dataset, tracks, defaults)
