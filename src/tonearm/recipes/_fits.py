"""Whether a pack is what a recipe wants, in words; and the nearest that can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tonearm import features
from tonearm.errors import TonearmError, UsageError
from tonearm.recipes._material import Material, decoded
from tonearm.recipes._schema import Recipe

# What a pack may have otherwise without being another feature.
_FREE = ("clip_seconds", "frame_divisor")
# Pictures of sound that a net takes one for the other, if it must.
BANDS = ("logmel", "mel", "stft", "cqt")
_BLOCK = 64


def fitted(recipe: Recipe, material: Material, *, adapt: bool) -> Material:
    """The material as the recipe wants it; what differs is refused, or adapted and written down."""
    differs = differences(recipe, material)
    if not differs:
        return material
    if not adapt:
        raise TonearmError(
            f"{material.name} is not what {recipe.name} wants: {'; '.join(differs)}",
            hint="give audio or another pack, or --adapt to run on the nearest that this one allows (marked so)",
            code="pack-lacks",
        )
    return _adapted(recipe, material, differs)


def differences(recipe: Recipe, material: Material) -> list[str]:
    """What the material lacks or has otherwise, one clause each."""
    have = known(material.feature)
    kind = recipe.feature["kind"]
    if kind == "embedding" or have["kind"] == "embedding":
        return [] if kind == have["kind"] else [f"it holds {have['kind']}, not {kind}"]
    wanted = features.from_config(recipe.feature).config()
    if wanted["kind"] != have["kind"]:
        return [f"it holds {have['kind']}, not {wanted['kind']}"]
    found = []
    for key, value in wanted.items():
        if key not in _FREE and have.get(key) != value:
            found.append(f"{key} is {_plain(have.get(key))}, not {_plain(value)}")
    needed = clip_frames(recipe, material.frame_rate)
    if material.values.ndim == 3 and needed and needed > material.values.shape[2]:
        found.append(f"it has {material.values.shape[2]} frames, a clip wants {needed}")
    return found


def known(feature: Mapping[str, Any]) -> dict[str, Any]:
    """The whole config of a pack's feature; only its kind where it cannot be computed from sound."""
    try:
        return features.from_config(feature).config()
    except UsageError:
        return {"kind": str(feature.get("kind", "unknown"))}


def clip_frames(recipe: Recipe, frame_rate: float | None) -> int | None:
    """Frames of a clip at that rate; None is the whole row."""
    if recipe.clip.frames or not recipe.clip.seconds or not frame_rate:
        return recipe.clip.frames
    return max(1, round(recipe.clip.seconds * frame_rate))


def _plain(value: Any) -> str:
    return "native" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _adapted(recipe: Recipe, material: Material, differs: list[str]) -> Material:
    wanted, have = recipe.feature["kind"], known(material.feature)["kind"]
    flat = material.values.ndim == 2
    if wanted == have or (wanted in BANDS and have in BANDS):
        return _as_it_is(recipe, material, differs)
    if flat and wanted in ("statistics", "embedding"):
        return material.noted(f"{have} instead of {wanted}: {', '.join(differs)}")
    if flat and (wanted == "zcr" or (wanted == "mfcc" and recipe.vector.pool)):
        return _columns_of_table(recipe, material, wanted)
    if have == "logmel" and wanted == "mfcc":
        return _cepstra(material, int(recipe.feature.get("n_mfcc", 20)))
    if have == "logmel" and wanted == "statistics":
        if any(pattern.startswith("mfcc") for pattern in recipe.vector.columns):
            return replace(_cepstra(material, 20), pool="moments").noted("their statistics over the frames of the pack")
        return replace(material, pool="spectral").noted("statistics of the pack's dB bands over time instead")
    if have == "logmel" and wanted == "embedding":
        return replace(material, pool="spectral").noted("statistics of dB bands over time instead of an embedding")
    raise TonearmError(
        f"{recipe.name} cannot be run on {material.name}, not even adapted: it wants {wanted}, and {have} cannot be "
        "turned into that",
        hint="give the audio instead of a pack",
        code="pack-lacks",
    )


def _as_it_is(recipe: Recipe, material: Material, differs: list[str]) -> Material:
    return material.noted(f"the pack's {material.feature['kind']} as it is: {'; '.join(differs)}")


def _columns_of_table(recipe: Recipe, material: Material, wanted: str) -> Material:
    """The means and variances that a table of statistics has of the feature, instead of the frames themselves."""
    prefix = {"mfcc": "mfcc", "zcr": "zero_crossing_rate"}[wanted]
    chosen = [i for i, name in enumerate(material.columns or ()) if name.startswith(prefix)]
    if not chosen:
        raise TonearmError(f"{material.name} has no columns of {wanted}", code="pack-lacks")
    values = np.asarray(material.values[:, chosen])
    names = tuple(material.columns[i] for i in chosen)
    sentence = (
        f"the {len(chosen)} columns that the table has of {wanted} (mean and variance over a row), not its frames"
    )
    return replace(material, values=values, columns=names, pool="none").noted(sentence)


def _cepstra(material: Material, count: int) -> Material:
    """MFCC by a cosine transform of the pack's dB bands, float32, computed once for all rows."""
    from tonearm.features.mfcc import cosines

    bands, frames = material.values.shape[1:]
    count = min(count, bands)
    basis = cosines(bands, count, 0.0).T.astype(np.float32)
    values = np.empty((len(material.rows), count, frames), np.float32)
    for start in range(0, len(values), _BLOCK):
        block = slice(start, start + _BLOCK)
        values[block] = np.matmul(basis, decoded(material, material.rows[block]))
    sentence = f"{count} MFCC by a cosine transform of the pack's dB bands"
    if material.stored["dtype"] == "uint8" and "min-max" in str(material.stored["scale"]):
        sentence += ", whose level is lost"
    return replace(
        material,
        values=values,
        rows=np.arange(len(values)),
        stored={"dtype": "float32", "scale": None},
        feature={"kind": "mfcc", "of": dict(material.feature), "n_mfcc": count},
        columns=None,
    ).noted(sentence)
