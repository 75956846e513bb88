"""A split that the user wrote into a column."""

from tonearm.errors import UsageError
from tonearm.protocols._official import parts_by_column
from tonearm.protocols._protocol import Dealt, Protocol, Request, add
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    name = request.column or "split"
    values = table.column(name)
    if not (values != "").any():
        raise UsageError(
            f"{table.name}: no values in the column {name!r}",
            hint=f"columns with values: {', '.join(table.column_names)}",
            code="column",
        )
    parts = parts_by_column(values)
    # A column with a value per track is a mistake (the id, the title), not a split.
    if len(parts) > 50:
        raise UsageError(f"{table.name}: the column {name!r} has {len(parts)} different values: not a split")
    return Dealt(parts)


add(
    Protocol(
        name="column",
        summary="Your own split, from a column of the table (--column, else `split`): each value is a part.",
        keeps_apart=("track", "recording"),
        lets_leak="whatever the column lets through: run `tonearm split check` or `tonearm audit --split` on it",
        used_by="who must repeat a split that somebody else made",
        takes=("column",),
        deal=deal,
    )
)
