"""The structure of FMA's published tables, to make small ones of it."""

from __future__ import annotations

import csv
from pathlib import Path

ALBUM = "comments date_created date_released engineer favorites id information listens producer tags title tracks type"
ARTIST = (
    "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude location "
    "longitude members name related_projects tags website wikipedia_page"
)
TRACK = (
    "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all information "
    "interest language_code license listens lyricist number publisher tags title"
)
COLUMNS = [
    (group, name)
    for group, names in (("album", ALBUM), ("artist", ARTIST), ("set", "split subset"), ("track", TRACK))
    for name in names.split()
]
TREE = [(2, 5, 0, "International", 2), (12, 30, 0, "Rock", 12), (21, 8, 0, "Hip-Hop", 21), (25, 4, 12, "Punk", 12),
        (109, 2, 25, "Hardcore", 12)]  # fmt: skip

# (id, genre_top, genres, split, subset, artist id, artist, title)
FMA_TRACKS = [
    (2, "Hip-Hop", [21], "training", "small", 1, "AWOL", "Food"),
    (5, "Hip-Hop", [21], "validation", "small", 1, "AWOL", "This, \"World\""),
    (140, "Rock", [12, 25], "test", "medium", 6, "Línea 77", "Two\nlines"),
    (141, "Rock", [12], "training", "medium", 7, "Other", "Song"),
    (200, "", [2, 12], "training", "large", 8, "Both", "No top genre"),
    (98565, "International", [2], "training", "small", 9, "Short", "Cut"),
]  # fmt: skip


def write_tracks(path: Path, tracks) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *[group for group, _ in COLUMNS]])
        writer.writerow(["", *[name for _, name in COLUMNS]])
        writer.writerow(["track_id", *[""] * len(COLUMNS)])
        for number, top, genres, split, subset, artist, name, title in tracks:
            values = {
                ("set", "split"): split, ("set", "subset"): subset, ("artist", "id"): artist, ("artist", "name"): name,
                ("track", "genre_top"): top, ("track", "genres"): str(genres), ("track", "genres_all"): str(genres),
                ("track", "title"): title, ("album", "title"): "An album", ("artist", "bio"): "<p>a,\n\"b\"</p>" * 9,
            }  # fmt: skip
            writer.writerow([number, *[values.get(column, "") for column in COLUMNS]])


def write_numbers(path: Path, header: list[tuple[str, ...]], index: tuple[str, ...], rows) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for level in range(3):
            writer.writerow([index[level], *[column[level] for column in header]])
        writer.writerow(["track_id", *[""] * len(header)])
        writer.writerows(rows)
