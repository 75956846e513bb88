"""The horse test on any model: does it say the same of music after a change that makes no other music of it?

Named after the horse that counted by watching its audience (Sturm, IEEE Transactions on Multimedia 16, 2014).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.evaluation.intervals import RESAMPLES, Interval, rate_interval
from tonearm.evaluation.paired import holm, mcnemar, paired_difference, sign_flip
from tonearm.evaluation.predictions import join_rows
from tonearm.judging._band_changes import bands_of, changes_of
from tonearm.judging.asking import ask_pack
from tonearm.judging.changes import CHANGES, LEFT, left_channel
from tonearm.judging.judge import Data, limited, open_data
from tonearm.judging.parts import Part, choose
from tonearm.judging.predictor import Predictor, open_predictor
from tonearm.judging.seen import seen

NAMES = (*CHANGES, LEFT.name)
LIMIT = 200
CLIP_SECONDS = 30.0
LEAST_SECONDS = 2.0
# What is lost with less confidence than this may be chance.
LEVEL = 0.05


@dataclass(frozen=True)
class Asked:
    """What a model said: `before` (n, classes), and by change the rows (m,) it could be made to and what was said."""

    before: np.ndarray
    after: Mapping[str, tuple[np.ndarray, np.ndarray]]
    tracks: np.ndarray
    failed: tuple[dict[str, str], ...] = ()
    skipped: Mapping[str, str] | None = None


def robustness(
    model: str | os.PathLike | Predictor,
    data: str | os.PathLike,
    *,
    part: str | None = None,
    changes: Sequence[str] = (),
    limit: int | None = LIMIT,
    seed: int = 0,
    resamples: int = RESAMPLES,
    workers: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """A row per change: accuracy before and after on the same tracks, what is lost, and how often the answer stays.

    Where genres are not known, or are not the model's, only how often the answer stays. Plain JSON values.
    """
    for name in changes:
        if name not in NAMES:
            raise unknown_name("change", name, NAMES)
    predictor, source = open_predictor(model), open_data(data)
    chosen = _part(predictor, source, part, limit, seed)
    wanted = tuple(changes) or NAMES
    if source.pack is not None:
        asked = _of_pack(predictor, source, chosen, wanted)
    else:
        asked = _of_files(model, predictor, source, chosen, wanted, workers, quiet)
    genre, artist = source.table.genre[asked.tracks], source.table.artist[asked.tracks]
    place = {name: i for i, name in enumerate(predictor.classes)}
    labelled = all(name in place for name in genre.tolist())
    truth = np.array([place[name] for name in genre.tolist()]) if labelled else None
    groups = artist if (artist != "").any() else None
    keywords = {"groups": groups, "resamples": resamples, "seed": seed}
    rows = [compared(name, asked.before, *asked.after[name], truth, **keywords) for name in asked.after]
    if labelled:
        for row, p_holm in zip(rows, holm([row["p_value"] for row in rows]) if rows else [], strict=True):
            row |= {"p_holm": p_holm, "falls": p_holm < LEVEL and row["fall"]["points"] > 0}
    told = {
        "model": predictor.name, "model_version": predictor.version, "data": source.name, "split": chosen.name,
        "protocol": chosen.protocol, "n": len(asked.tracks), "labelled": labelled,
        "how": "bands of a pack" if source.pack is not None else "sound",
        "interval_over": "tracks" if groups is None else "artists",
        "accuracy": None, "interval": [None, None],
    }  # fmt: skip
    if labelled:
        rate = rate_interval(asked.before.argmax(axis=1) == truth, over=told["interval_over"], **keywords)
        told |= {"accuracy": rate.value, "interval": rate.pair()}
    known = seen(predictor.training, source.table, asked.tracks)
    told["seen_in_training"] = {**known.to_json(), "sentences": known.sentences()}
    return {**told, "changes": rows, "skipped": dict(asked.skipped or {}), "failed": list(asked.failed)}


def compared(
    name: str, before: np.ndarray, rows: np.ndarray, after: np.ndarray, truth: np.ndarray | None, *,
    groups: np.ndarray | None, resamples: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """One change: `after` (m, classes) was said of the rows (m,) of `before`, the same tracks on both sides."""
    change = CHANGES.get(name, LEFT)
    before = before[rows]
    own = {"groups": None if groups is None else groups[rows], "resamples": resamples, "seed": seed,
           "over": "tracks" if groups is None else "artists"}  # fmt: skip
    same = rate_interval(before.argmax(axis=1) == after.argmax(axis=1), **own)
    row = {
        "change": name, "words": change.words, "audible": change.audible, "n": len(rows),
        "unchanged": same.value, "unchanged_interval": same.pair(),
        # How much probability goes elsewhere, on average: 0 is none, 1 is all of it.
        "moved": float(np.abs(before - after).sum(axis=1).mean() / 2),
    }  # fmt: skip
    if truth is None:
        return row
    right, still = (shares.argmax(axis=1) == truth[rows] for shares in (before, after))
    fall: Interval = paired_difference(right, still, **own)
    p_value = sign_flip(right, still, groups=own["groups"], seed=seed)
    counts = mcnemar(right, still)
    return {
        **row,
        "accuracy_before": float(right.mean()),
        "accuracy": float(still.mean()),
        "fall": {"points": 100 * fall.value, "interval": [edge and 100 * edge for edge in fall.pair()]},
        "lost": counts.only_a,
        "won": counts.only_b,
        "p_value": p_value if groups is not None else counts.p_value,
    }


def _part(predictor: Predictor, source: Data, part: str | None, limit: int | None, seed: int) -> Part:
    table = source.table
    if not (table.genre != "").any() and source.pack is None:
        chosen = Part("all", np.arange(len(table)))
    else:
        chosen = choose(predictor, table, part=part)
    return limited(chosen, table, limit, seed)


def _of_pack(predictor: Predictor, source: Data, part: Part, wanted: Sequence[str]) -> Asked:
    bands = bands_of(source.pack)
    if bands is None:
        raise UsageError(
            f"{source.source}: nothing can be changed in a pack of {source.pack.feature_config.get('kind')}",
            hint="give the audio, or a pack of log-mel spectra",
            code="pack-lacks",
        )
    made = changes_of(bands)
    before, tracks = _joined(predictor, source, part, None)
    after = {name: _joined(predictor, source, part, made[name])[0] for name in wanted if name in made}
    skipped = {name: "a pack does not hold the sound that it needs" for name in wanted if name not in made}
    everything = np.arange(len(tracks))
    return Asked(before, {name: (everything, said) for name, said in after.items()}, tracks, (), skipped)


def _joined(predictor: Predictor, source: Data, part: Part, change: Any) -> tuple[np.ndarray, np.ndarray]:
    asked = ask_pack(predictor, source, part, change=change)
    tracks, numbers = np.unique(asked.tracks, return_inverse=True)
    return join_rows(numbers, asked.probabilities, predictor.join), tracks


def _of_files(
    model: Any, predictor: Predictor, source: Data, part: Part, wanted: Sequence[str], workers: int | None, quiet: bool
) -> Asked:
    from tonearm.engines import local
    from tonearm.packs._progress import Progress

    names, paths = source.table.ids[part.tracks].tolist(), source.table.column("path")[part.tracks].tolist()
    # A model that is an object already cannot go to other processes; torch does not survive a fork for certain.
    spec = os.fspath(model) if isinstance(model, str | os.PathLike) else None
    outcomes = local.run(
        partial(_hear, spec if spec is not None else predictor, tuple(wanted)), paths,
        workers=workers if spec is not None else 0,
    )  # fmt: skip
    progress = Progress(len(paths), "files", quiet=quiet)
    heard: dict[int, dict[str, Any]] = {}
    failed, skipped = [], {}
    try:
        for outcome in outcomes:
            if outcome.error is not None:
                if outcome.error.exit_code == 2:
                    raise outcome.error  # the model cannot be asked at all
                message = getattr(outcome.error, "reason", outcome.error.message)  # the path stands beside it
                failed.append({"path": paths[outcome.index], "code": outcome.error.code, "message": message,
                               "id": names[outcome.index]})  # fmt: skip
            else:
                heard[outcome.index], reasons = outcome.value
                skipped |= reasons
            progress.step(failed=outcome.error is not None)
    finally:
        outcomes.close()
        progress.close()
    if not heard:
        raise TonearmError(
            f"{source.source}: not one file could be used", hint=failed[0]["message"] if failed else "", code="empty"
        )
    order = sorted(heard)
    after = {}
    for name in wanted:
        rows = np.array([i for i, index in enumerate(order) if name in heard[index]], dtype=int)
        if len(rows):
            after[name] = (rows, np.stack([heard[order[i]][name] for i in rows]))
        else:
            skipped.setdefault(name, "there is nothing in these files that it would change")
    before = np.stack([heard[index]["as-is"] for index in order])
    own = {name: reason for name, reason in skipped.items() if name not in after}
    return Asked(before, after, part.tracks[order], tuple(sorted(failed, key=lambda entry: entry["path"])), own)


_opened: dict[Any, Predictor] = {}  # of a worker: its model, read once


def _hear(model: Any, wanted: tuple[str, ...], path: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Probabilities as it is and after each change that can be made, by name; and why others cannot. In a worker."""
    from tonearm import audio
    from tonearm.audio import AudioError

    if isinstance(model, str) and model not in _opened:
        _opened[model] = open_predictor(model)
    predictor = _opened[model] if isinstance(model, str) else model
    seconds = audio.info(path).seconds
    # Of a song its middle: twenty times as much as one answer is asked for already.
    start = max(0.0, (seconds - CLIP_SECONDS) / 2) if seconds > 1.05 * CLIP_SECONDS else 0.0
    wave = audio.load(path, start_seconds=start, clip_seconds=1.05 * CLIP_SECONDS)
    if wave.seconds < LEAST_SECONDS:
        raise AudioError(path, "too-short", f"{wave.seconds:.1f} s are too short for changes")
    waves, skipped = {"as-is": wave}, {}
    for name in wanted:
        if name == LEFT.name:
            changed = left_channel(path, start, wave.seconds)
        else:
            # Drawn from the name of the file, so that the same file is changed in the same way wherever it lies.
            draw = np.random.default_rng(zlib.crc32(f"{name}:{os.path.basename(path)}".encode()))
            try:
                changed = CHANGES[name].make(wave, draw)
            except TonearmError as error:
                changed, skipped[name] = None, str(error)
        if changed is not None:
            waves[name] = changed
    said = predictor.on_waveforms(list(waves.values()))
    return dict(zip(waves, said, strict=True)), skipped
