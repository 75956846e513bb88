"""Eight synthesised genres with planted artists, duplicates and faults: a dataset of which everything is known."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from tonearm import _csv, paths
from tonearm.datasets import _synth_plan
from tonearm.datasets._dataset import Card, Dataset, DatasetError, Option, registry
from tonearm.datasets._synth_plan import FAULTS, FORMATS, Plan, Settings
from tonearm.datasets._synth_sound import GENRES, SAMPLE_RATE, make_artist, render
from tonearm.packs import Track

_TOLD = ("id", "genre", "split", "artist", "recording", "path")


def tracks(root: Path | None, **options: Any) -> list[Track]:
    """Tracks of a rendering; what is not there yet is rendered first, into the cache where no folder is named."""
    if root is None:
        root = render_to(paths.cache_folder() / "synth" / _tag(Settings(**options)), **options)
    elif options or not _state(root).get("complete"):
        # Gone on with as it was begun. A whole one is read as it is, also one that another version rendered.
        render_to(root, **{**_settings_of(root), **options})
    with open(root / "tracks.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Track(**{**row, "path": os.path.abspath(root / row["path"])}) for row in rows]


def render_to(root: str | Path, *, progress: Callable[[int, int], None] | None = None, **options: Any) -> Path:
    """Render into a folder and return it. What is already there is kept: an interrupted rendering goes on.

    The options are those of `Settings`; `progress(done, total)` is called after each track.
    """
    root, settings = Path(root), Settings(**options)
    if _state(root) == {**settings.as_dict(), "complete": True}:
        return root
    _claim(root, settings)
    _sweep(root)
    planned = _synth_plan.plan(settings)
    missing = [track for track in planned if not (root / _file(track, settings)).exists()]
    for genre in GENRES:
        (root / genre).mkdir(exist_ok=True)
    for done, track in enumerate(missing, len(planned) - len(missing) + 1):
        _write(root / _file(track, settings), _bytes(track, settings))
        if progress:
            progress(done, len(planned))
    _write(root / "truth.csv", _truth(planned))
    _write(root / "tracks.csv", _told(planned, settings))
    _write(root / "synth.json", _json({**settings.as_dict(), "complete": True}))
    return root


def _settings_of(root: Path) -> dict[str, Any]:
    """The options that a folder was rendered with, or is being rendered with; empty for any other folder."""
    known = {field.name for field in fields(Settings)}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in _state(root).items() if key in known}


def _claim(root: Path, settings: Settings) -> None:
    """Say what this folder becomes before the first track, so that other settings never mix into it."""
    wanted, state = settings.as_dict(), _state(root)
    state.pop("complete", None)
    if state and state != wanted:
        differ = [
            f"{key}: {state.get(key)} there, {wanted[key]} wanted" for key in wanted if state.get(key) != wanted[key]
        ]
        raise DatasetError(
            f"{root}: holds another rendering ({'; '.join(differ)})", hint="name another folder, or delete this one"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not state:
            # A rendering killed before its first word leaves no more than a hidden part.
            if any(not path.name.startswith(".") for path in root.iterdir()):
                raise DatasetError(f"{root}: is not empty and no rendering of synth", hint="name another folder")
            _write(root / "synth.json", _json({**wanted, "complete": False}))
    except OSError as error:
        raise DatasetError(f"{root}: cannot be written: {error.strerror}", code="unwritable") from None


def _sweep(root: Path) -> None:
    """Remove what killed renderings left half written; writing takes milliseconds, so a minute is a long time."""
    for part in root.rglob(".*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > 60:
                part.unlink()


def _state(root: Path) -> dict[str, Any]:
    try:
        state = json.loads((root / "synth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _tag(settings: Settings) -> str:
    return hashlib.sha256(_json(settings.as_dict())).hexdigest()[:12]


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a kill leaves no half file under the final name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DatasetError(f"{path}: cannot be written: {error.strerror}", code="unwritable") from None


def _file(track: Plan, settings: Settings) -> str:
    return f"{track.genre}/{track.id}.{settings.format}"


def _bytes(track: Plan, settings: Settings) -> bytes:
    """The file of one track, faults included."""
    artist = make_artist(_synth_plan.artist_seed(settings, track))
    sound, rate = render(track.sounds, artist, list(track.seed), settings.seconds), SAMPLE_RATE
    if "watermark" in track.faults:
        tone = np.abs(sound).max() * _synth_plan.watermark_tone(track.genre, settings.seconds)
        sound = np.float32(0.9) * (sound + tone)
    if track.copy:
        sound = _altered(sound, track.copy)
    if "silent" in track.faults:
        sound = np.zeros_like(sound)
    elif "short" in track.faults:
        sound = sound[: rate // 2]
    elif "clipped" in track.faults:
        sound = np.clip(100 * sound, -1, 1)
    elif "rate" in track.faults:
        sound, rate = soxr.resample(sound, rate, 8000, quality="HQ"), 8000
    data = _encode(sound, rate, FORMATS[settings.format])
    return data[: len(data) // 2] if "truncated" in track.faults else data


def _altered(sound: np.ndarray, copy: str) -> np.ndarray:
    """The same recording as another hand would have it: `copy` is one of `COPIES`."""
    if copy == "gain":
        return sound * np.float32(0.5)
    if copy == "mp3":
        lossy = _encode(sound, SAMPLE_RATE, "MP3", compression_level=0.8)
        decoded, _ = soundfile.read(io.BytesIO(lossy), dtype="float32")
        return decoded[: len(sound)]
    if copy == "resampled":
        return soxr.resample(soxr.resample(sound, SAMPLE_RATE, 16000, quality="HQ"), 16000, SAMPLE_RATE, quality="HQ")
    if copy == "cut":
        return sound[min(3 * SAMPLE_RATE, len(sound) // 4) :]
    return sound


def _encode(sound: np.ndarray, rate: int, format: str, compression_level: float | None = None) -> bytes:
    buffer = io.BytesIO()
    subtype = "MPEG_LAYER_III" if format == "MP3" else "PCM_16"
    soundfile.write(buffer, sound, rate, format=format, subtype=subtype, compression_level=compression_level)
    return buffer.getvalue()


def _told(planned: list[Plan], settings: Settings) -> bytes:
    return _table(_TOLD, [(t.id, t.genre, t.split, t.artist, t.recording, _file(t, settings)) for t in planned])


def _truth(planned: list[Plan]) -> bytes:
    """What was planted where: the answer sheet, which `tracks` never reads."""
    rows = [
        (t.id, "+".join(t.faults), t.sounds, f"{t.sounds}-{t.by}", t.copy_of, t.copy)
        for t in planned
        if t.faults or t.copy_of
    ]
    return _table(("id", "faults", "sounds_like", "played_by", "copy_of", "copy"), rows)


def _table(header: tuple[str, ...], rows: list[tuple]) -> bytes:
    return "".join(_csv.lines([header, *rows])).encode()


def recognises(root: Path) -> int:
    return 3 if _state(root) else 0


def parse_faults(value: str) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in value.split(",") if name.strip()}))


registry.add("synth")(
    Dataset(
        name="synth",
        about=Card(
            title="Eight synthesised genres",
            what="Music that tonearm plays itself: eight genres that differ in tempo, metre, harmony, percussion and "
            "instruments, by artists who differ in timbre, equalisation, room and level. For demonstrations and tests, "
            "where everything must be known; a score on it says nothing about real music.",
            genres=GENRES,
            size="160 tracks of 10 s by default, 20 per genre by 5 artists; about 30 MB as FLAC",
            licence="CC0-1.0: do with it what you like",
            citation=(),
            faults=(
                "One track per genre is a copy of another, exact or altered; the column recording says so.",
                "On request, hidden faults are planted; truth.csv beside the tracks tells them and is never read: "
                + "; ".join(f"{name}: {text}" for name, text in FAULTS.items())
                + ".",
            ),
            get="Nothing to fetch: `synth` renders into the cache, `synth:PATH` or `tonearm data synth -o PATH` where "
            "you say.",
            splits={"official": "whole artists: of five per genre, three in train, one in valid, one in test"},
        ),
        tracks=tracks,
        recognises=recognises,
        options={
            "tracks_per_genre": Option(int, "tracks per genre, 20 by default"),
            "artists_per_genre": Option(int, "artists per genre, 5 by default"),
            "seconds": Option(float, "length of a track, 10 by default"),
            "seed": Option(int, "another seed is other music, 0 by default"),
            "format": Option(str, f"one of {', '.join(FORMATS)}; flac by default"),
            "duplicates": Option(int, "copies per genre that the column recording tells of, 1 by default"),
            "faults": Option(parse_faults, f"hidden faults, joined by commas: {', '.join(FAULTS)}"),
        },
        sample_rate=SAMPLE_RATE,
        render=render_to,
    )
)
