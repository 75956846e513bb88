"""The audit from end to end: integrity, duplicates, leakage, inflation, label doubt, horse test."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import protocols
from tonearm.audit import duplicates as dup
from tonearm.audit import integrity
from tonearm.audit.source import Source, open_source
from tonearm.errors import TonearmError
from tonearm.packs import Pack, Track
from tonearm.protocols import Split, TrackTable

FORMAT = "audit/1"
# Rows that the quick classifier sees at most, whole artists kept: an SVM's time grows with the square.
MOST_ROWS, MOST_ROWS_QUICK = 6000, 3000
MOST_HORSE_TRACKS = 200


@dataclass(frozen=True)
class Options:
    """`quick` leaves out the horse test on sound, and repeats the classifiers less."""

    quick: bool = False
    seed: int = 0
    workers: int | None = None
    classifiers: bool = True


def audit(
    what: str | Path | Pack | Sequence[Track],
    *,
    split: Split | None = None,
    audio: str | Path | None = None,
    options: Options | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Audit a pack or a dataset: the promised keys of `tonearm audit --json`, and more beside them.

    `split` is the split to be judged; without one it is the dataset's own, where it has one.
    """
    options = options or Options()
    say = progress or (lambda words: None)
    started = time.monotonic()
    source = open_source(what, audio=audio)
    table = source.table
    say(f"{source.name}: {len(table)} tracks")
    heard = _hear(source, options, say)
    report = _head(source, options)
    report["integrity"] = _integrity(source, heard, say)
    say("looking for duplicates")
    found = _duplicates(source, heard)
    report["duplicates"] = [duplicate.to_json() | _names(table, duplicate.ids) for duplicate in found]
    sets = dup.sets(found)
    judged, report["split"] = _split(source, split, sets)
    report["leakage"] = [leak.to_json() for leak in protocols.leaks(judged, table, duplicates=sets)] if judged else []
    report |= _classified(source, heard, sets, options, say)
    # A broken track sounds of nothing: it is told above, and is no question of its label.
    broken = {finding["id"] for finding in report["integrity"] if finding["code"] in integrity.SOUND_CODES}
    report["doubtful"] = [row for row in report["doubtful"] if row["id"] not in broken]
    report["seconds"] = round(time.monotonic() - started, 1)
    return report


def _head(source: Source, options: Options) -> dict[str, Any]:
    from tonearm import __version__

    table = source.table
    return {
        "format": FORMAT,
        "tonearm": __version__,
        "name": source.name,
        "kind": "dataset" if source.pack is None else "pack",
        "tracks": len(table),
        "rows": len(table.row_ids),
        "genres": integrity.balance(table),
        "known": {
            column: int((table.column(column) != "").sum()) for column in ("artist", "recording", "split", "album")
        },
        "unknown": {column: int((table.column(column) == "").sum()) for column in ("artist", "recording")},
        "quick": options.quick,
        "seed": options.seed,
    }


def _hear(source: Source, options: Options, say: Callable[[str], None]) -> list[object]:
    """Decode every file once: a Heard, an error, or None where a track has no file."""
    from tonearm.audit.examine import examine, run_over

    if not source.has_sound:
        return [None] * len(source.table)
    with_file = [i for i, path in enumerate(source.paths) if path]
    paths = [source.paths[i] for i in with_file]
    results = run_over(examine, paths, workers=options.workers, progress=say, words="listening")
    heard: list[object] = [None] * len(source.paths)
    for i, result in zip(with_file, results, strict=True):
        heard[i] = result
    return heard


def _integrity(source: Source, heard: list[object], say: Callable[[str], None]) -> list[dict[str, Any]]:
    say("integrity")
    table = source.table
    if source.pack is not None:
        found = integrity.of_pack(source.pack, table)
    else:
        found = integrity.of_sound(table, heard, usual_rate=source.usual_rate, min_seconds=source.min_seconds)
        missing = [t for t, path in zip(table.ids.tolist(), source.paths, strict=True) if not path]
        # Without any file nobody said that there should be one.
        if source.has_sound:
            found += [integrity.finding("missing", track, "no file of this track") for track in missing]
    return found + integrity.of_labels(table) + integrity.known_bad(table, source.dataset)


def _duplicates(source: Source, heard: list[object]) -> list[dup.Duplicate]:
    table = source.table
    if source.pack is not None:
        return dup.in_pack(source.pack, table)
    from tonearm.audit import fingerprint
    from tonearm.audit.examine import Heard

    sound = [(t, h) for t, h in zip(table.ids.tolist(), heard, strict=True) if isinstance(h, Heard) and not h.constant]
    exact = dup.same_digests({t: h.digest for t, h in sound}, "the decoded sound is the same, sample by sample")
    repeated = {track for duplicate in exact for track in duplicate.ids[1:]}
    rest = [(t, h.prints) for t, h in sound if t not in repeated]
    return exact + fingerprint.find([prints for _, prints in rest], [t for t, _ in rest])


def find_duplicates(
    source: Source, *, workers: int | None = None, progress: Callable[[str], None] | None = None
) -> list[dup.Duplicate]:
    """Only the duplicates of a source: what grouping needs where no recordings are named."""
    say = progress or (lambda words: None)
    return _duplicates(source, _hear(source, Options(workers=workers), say))


def _names(table: TrackTable, ids: Sequence[str]) -> dict[str, Any]:
    """What people know the tracks by, beside the ids; and whether the table says already that they are one."""
    place = [int(np.flatnonzero(table.ids == track)[0]) for track in ids]
    artist = np.where(table.column("artist_name") != "", table.column("artist_name"), table.artist)
    recordings = {str(table.recording[i]) for i in place}
    return {
        "genres": [str(table.genre[i]) for i in place],
        "artists": [str(artist[i]) for i in place],
        "titles": [str(table.column("title")[i]) for i in place],
        "paths": [str(table.column("path")[i]) for i in place],
        "known": len(recordings) == 1 and "" not in recordings,
        "labels_differ": len({str(table.genre[i]) for i in place}) > 1,
    }


def _split(
    source: Source, split: Split | None, sets: Sequence[Sequence[str]]
) -> tuple[Split | None, dict[str, Any] | None]:
    """The split to judge, and what is said of it; the dataset's own, where none is given and it has one."""
    given = split is not None
    if split is None and (source.table.split != "").any():
        try:
            split = protocols.make_split(source.table, "official")
        except protocols.LeakError:
            # Its own split tears a track or recording apart: what is to be reported, not a reason to stop.
            from tonearm.protocols._official import official

            ids = source.table.ids
            parts = {part: tuple(ids[members].tolist()) for part, members in official(source.table).items()}
            split = Split("official", parts, seed=None, keeps_apart=("track",), source=source.name)
    if split is None:
        return None, None
    about = {
        "name": split.name,
        "protocol": split.protocol,
        "hash": split.hash,
        "leaky": split.leaky,
        "given": given,
        "parts": {part: len(ids) for part, ids in split.parts.items()},
    }
    return split, about


def _classified(
    source: Source, heard: list[object], sets: Sequence[Sequence[str]], options: Options, say: Callable[[str], None]
) -> dict[str, Any]:
    """Inflation, label doubt and horse test: what needs the extra `audit`, and at least two genres."""
    from tonearm.audit import quick as q

    empty: dict[str, Any] = {"inflation": [], "doubtful": [], "horse": []}
    if not options.classifiers:
        return empty | {"skipped": "the parts that train classifiers were left out, as asked for"}
    try:
        q.need_sklearn()
    except TonearmError as error:
        return empty | {"skipped": f"{error.message}: no inflation, label doubt or horse test ({error.hint})"}
    quick = _quick(source, heard)
    reason = _too_little(quick)
    if reason:
        return empty | {"skipped": f"{reason}: no inflation, label doubt or horse test"}
    from tonearm.audit import doubt, horse, inflation

    small = q.at_most(quick, MOST_ROWS_QUICK if options.quick else MOST_ROWS, seed=options.seed)
    # Little data moves more from one dealing of the folds to the next, and costs less.
    repeats = 2 if options.quick else 5 if len(small.values) <= 4000 else 3
    result = dict(empty)
    result["features"] = quick.what
    result["inflation"] = inflation.inflation(small, duplicates=sets, repeats=repeats, seed=options.seed, progress=say)
    result["doubtful"] = doubt.doubtful(
        quick, duplicates=sets, repeats=1 if options.quick else 2, seed=options.seed, progress=say
    )
    say("horse test")
    try:
        if source.pack is not None:
            kept = set(small.table.ids.tolist())

            def keep(rows: q.Quick) -> q.Quick:
                return q.subset(rows, np.flatnonzero(np.isin(rows.table.ids, list(kept))))

            result["horse"] = horse.from_pack(source.pack, source.table, keep, duplicates=sets, seed=options.seed)
        elif not options.quick:
            result["horse"] = _horse_on_sound(source, quick, sets, options, say)
    except TonearmError as error:
        result["horse_skipped"] = error.message
    return result


def _quick(source: Source, heard: list[object]) -> Any:
    """What the quick classifier sees; None where nothing can be seen."""
    from tonearm.audit import quick as q
    from tonearm.audit.examine import Heard

    if source.pack is not None:
        return q.usable(q.from_pack(source.pack, source.table))
    tracks = np.array([i for i, h in enumerate(heard) if isinstance(h, Heard) and h.values is not None], dtype=int)
    if not len(tracks):
        return None
    values = np.array([heard[i].values for i in tracks])
    words = f"statistics of the sound of {values.shape[1]} segments per track"
    # Every column stays: the horse test hears the changed files by the same ones.
    return q.usable(q.from_segments(q.subset_table(source.table, tracks), values, words), drop_columns=False)


def _too_little(quick: Any) -> str:
    if quick is None or not len(quick.table):
        return "no track could be used"
    genres = np.unique(quick.table.genre)
    if len(genres) < 2:
        return "fewer than two genres with two tracks each"
    if len(quick.table) < 20:
        return f"{len(quick.table)} tracks are too few"
    return ""


def _horse_on_sound(
    source: Source, quick: Any, sets: Sequence[Sequence[str]], options: Options, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Change files of a sample of tracks (whole artists) and hear them again."""
    from tonearm.audit import horse
    from tonearm.audit import quick as q
    from tonearm.audit.examine import failed, run_over

    per_track = len(quick.table.row_ids) // len(quick.table)
    sample = q.at_most(quick, MOST_HORSE_TRACKS * per_track, seed=options.seed)
    path = dict(zip(source.table.ids.tolist(), source.paths, strict=True))
    paths = [path[track] for track in sample.table.ids.tolist()]
    results = run_over(horse.changed, paths, workers=options.workers, progress=say, words="horse test")
    good = [i for i, result in enumerate(results) if not failed(result)]
    sample = q.subset(sample, np.array(good, dtype=int))
    reason = _too_little(sample)
    if reason:
        raise TonearmError(f"no horse test: {reason}", code="too-few")
    after = {name: np.concatenate([results[i][name] for i in good]) for name in horse.CHANGES}
    return horse.from_audio(sample, after, duplicates=sets, seed=options.seed)
