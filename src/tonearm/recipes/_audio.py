"""The feature of a recipe, computed of a dataset of audio once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

import numpy as np

from tonearm import audio, datasets, features, packs, paths
from tonearm.errors import TonearmError, UsageError
from tonearm.recipes._schema import Recipe

CLIP_SECONDS = 30.0
# What fits into half precision without a loss that anybody could hear or measure; powers and variances do not.
HALF = ("logmel", "mfcc", "zcr", "raw", "chroma")


def pack_of_audio(
    recipe: Recipe, data: str, *, adapt: bool, quiet: bool, workers: int | None
) -> tuple[packs.Pack, str, str]:
    """The pack, a sentence where its tracks are shorter than usual, and one where the feature had to be another."""
    wanted, note = dict(recipe.feature), ""
    if wanted["kind"] == "embedding":
        if not adapt:
            raise UsageError(
                f"{recipe.name} learns from a pack of embeddings, which are not computed from audio here",
                hint="name such a pack with --data, or --adapt to use statistics of the log-mel bands instead",
                code="needs-embedding",
            )
        wanted = {"kind": "logmel"}
        note = "statistics of log-mel bands instead of an embedding"
    dataset, root, options = datasets.parse(data)
    _, tracks, about = datasets.resolve(f"{dataset.name}:{root or ''}", **options)
    tracks = [track for track in tracks if track.genre]
    seconds = _seconds(tracks)
    kind = wanted.pop("kind")
    plan = packs.Plan(
        name=about.get("name", dataset.name),
        feature=features.create(kind, **wanted, **({} if "clip_seconds" in wanted else {"clip_seconds": seconds})),
        clips=packs.Clips(clip_seconds=seconds, min_seconds=min(0.5, seconds)),
        dtype="float16" if kind in HALF else "float32",
        further=about,
    )
    key = hashlib.sha256(json.dumps([plan.config(), os.fspath(root or ""), options], default=str).encode()).hexdigest()
    folder = paths.cache_folder() / "packs" / f"{plan.name}-{kind}-{key[:12]}"
    base = root if root is None or root.is_dir() else root.parent
    report = packs.build(tracks, folder, plan, root=base, workers=workers, quiet=quiet)
    if report.failed and not quiet:
        print(f"{len(report.failed)} files could not be used, see {folder / 'pack.json'}", file=sys.stderr)
    if not report.rows:
        raise TonearmError(f"{data}: not one file could be used", hint=f"see {folder / 'pack.json'}", code="empty")
    short = "" if seconds >= CLIP_SECONDS else f"tracks are {seconds:g} s long, not {CLIP_SECONDS:g} s"
    return packs.open_pack(folder), short, note


def _seconds(tracks: list[Any]) -> float:
    """The length of clips: 30 s, or what nearly all tracks have where they are shorter."""
    found = []
    for track in tracks[:: max(1, len(tracks) // 40)]:
        try:
            found.append(audio.info(track.path).seconds)
        except TonearmError:
            continue  # the build will say what is wrong with it
    if not found:
        raise TonearmError("not one of the files can be read", hint="`tonearm data verify` says why", code="empty")
    usual = float(np.quantile(found, 0.1))
    return CLIP_SECONDS if usual > 0.95 * CLIP_SECONDS else max(0.1, round(usual - 0.05, 1))
