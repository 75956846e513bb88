"""FMA's precomputed features as packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tonearm import packs
from tonearm.datasets import _fma_tables, fma
from tonearm.datasets._dataset import DatasetError, choice
from tonearm.errors import UsageError

TABLES = {
    "features": "518 statistics of eleven features by librosa (as published: spectral ones computed at a wrong rate)",
    "echonest": "232 descriptors by the Echo Nest, for 13,129 tracks",
}


def table_pack(
    root: str | Path, table: str, output: str | Path, *, subset: str = "full", force: bool = False
) -> tuple[packs.Pack, list[str]]:
    """Write `features.csv` or `echonest.csv` of a copy of FMA as a pack: float32, shape (tracks, columns).

    Returns the pack and the ids that are left out because a value is missing; tracks without a genre are no use in
    a pack and are left out without a word.
    """
    try:
        choice(*TABLES)(table)
        choice(*fma.SUBSETS)(subset)
    except ValueError as error:
        raise UsageError(f"no such table or subset of FMA: {error}") from None
    metadata = fma.find_metadata(Path(root))
    known = {row.id: row for row in fma.rows(metadata, subset) if row.genre}
    names, values = _fma_tables.numbers(metadata, table)
    ids: list[str] = []
    incomplete: list[str] = []
    # Filled as it comes: a list of a hundred thousand small arrays would take the memory twice.
    array = np.empty((len(known), len(names)), np.float32)
    for name, row in values:
        if name not in known:
            continue
        if not np.isfinite(row).all():
            incomplete.append(name)
            continue
        array[len(ids)] = row
        ids.append(name)
    if not ids:
        raise DatasetError(f"{metadata / table}.csv: no track of {subset} is in it", code="empty")
    rows = [known[name] for name in ids]
    about = fma.dataset.about
    pack = packs.write_pack(
        output,
        array[: len(ids)],
        {
            "id": ids,
            "genre": [row.genre for row in rows],
            "split": [fma.PARTS.get(row.split, "") for row in rows],
            "artist": [row.artist for row in rows],
            "artist_name": [row.artist_name for row in rows],
            "title": [row.title for row in rows],
        },
        feature={"kind": "table", "table": f"fma {table}.csv", "columns": names},
        name=f"fma-{subset}-{table}",
        axes=["track", "column"],
        further={
            "title": f"FMA {subset}, {TABLES[table]}",
            "dataset": f"fma?subset={subset}",
            "source": about.home,
            "licence": "CC BY 4.0 (metadata of FMA)",
            "citation": list(about.citation),
            "split": about.splits["official"],
        },
        force=force,
    )
    return pack, incomplete
