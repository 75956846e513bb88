"""What the protocols that follow the dataset's own split share."""

import numpy as np

from tonearm.protocols._table import TrackTable

# What datasets call their parts, and what tonearm calls them.
NAMES = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", "testing": "test", "eval": "test"}


def parts_by_column(values: np.ndarray) -> dict[str, np.ndarray]:
    """Indices by the value of a column, with the names that tonearm uses; empty values are left out."""
    names = np.array([NAMES.get(value.strip().lower(), value.strip()) for value in values.tolist()], dtype=object)
    order = [part for part in ("train", "valid", "test") if (names == part).any()]
    order += sorted({name for name in names.tolist() if name and name not in order})
    return {part: np.flatnonzero(names == part) for part in order}


def official(table: TrackTable) -> dict[str, np.ndarray]:
    return parts_by_column(table.split)
