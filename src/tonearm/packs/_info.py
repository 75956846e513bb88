"""What a pack holds, for people and programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tonearm.packs.pack import Pack


def info(pack: Pack) -> dict[str, Any]:
    """The facts of a pack: `name`, `shape`, `dtype`, `feature`, `classes`, `splits` (rows per part), and more."""
    array = pack.features
    splits = Counter(pack.column("split").tolist())
    genres = Counter(pack.column("genre").tolist())
    artists = set(pack.column("artist").tolist()) - {""}
    failed = pack.meta.get("failed", [])
    return {
        "name": pack.name,
        "title": pack.meta.get("title", ""),
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "bytes": array.nbytes,
        "axes": pack.axes,
        "feature": pack.feature_config,
        "scale": pack.meta.get("scale"),
        "clip": pack.meta.get("clip"),
        "classes": pack.classes,
        "rows_per_class": {name: genres.get(name, 0) for name in pack.classes},
        "splits": {part or "none": n for part, n in sorted(splits.items())},
        "tracks": len(set(pack.tracks.tolist())),
        "artists": len(artists),
        "columns": list(pack.columns),
        "failed": failed,
        "licence": pack.meta.get("licence", ""),
        "citation": pack.meta.get("citation", []),
    }
