"""How much of what is in a dataset: tracks, lengths, artists and the tree of genres, for its page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tonearm.reports import _charts, _draw
from tonearm.reports import _html as h
from tonearm.reports._html import Safe, tag

if TYPE_CHECKING:
    from tonearm.reports.dataset_page import Found


def counts(found: Found) -> list[object]:
    table = found.table
    splits = [part for part in ("train", "select", "valid", "test", "") if (table.split == part).any()]
    splits += sorted(set(table.split.tolist()) - set(splits))
    splits = splits if splits != [""] else []
    rows = []
    for genre in found.genres:
        own = found.labels == genre
        artists = set(table.artist[own].tolist()) - {""}
        parts = [int((table.split[own] == part).sum()) for part in splits]
        rows.append((genre, int(own.sum()), f"{100 * own.mean():.1f} %", len(artists), *parts))
    head = ("genre", "tracks", "share", "artists", *(part or "no part" for part in splits))
    bars = _charts.bars("Tracks per genre", [(genre, found.counts[genre]) for genre in found.genres])
    return [
        h.figure(bars.svg()),
        h.table(head, rows, numbers=range(1, len(head)), named="Tracks per genre", short=True),
        h.download("genres", head, rows),
    ]


def seconds_of_tracks(found: Found) -> np.ndarray:
    """Length of each track in seconds, as far as it is known."""
    if found.measured.lengths:
        return np.array([seconds for seconds, _ in found.measured.lengths.values()])
    column = found.table.column("seconds")
    values = [float(text) for text in column.tolist() if _is_number(text)]
    if not values and found.pack is not None:
        rate = found.pack.feature_config.get("sample_rate")
        samples = [float(text) for text in found.table.column("samples").tolist() if _is_number(text)]
        values = [value / float(rate) for value in samples] if isinstance(rate, int | float) and rate else []
    return np.array(values)


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _rates(found: Found) -> Counter:
    if found.measured.lengths:
        return Counter(rate for _, rate in found.measured.lengths.values())
    return Counter(int(float(text)) for text in found.table.column("sample_rate").tolist() if _is_number(text))


def lengths(found: Found) -> list[object]:
    all_lengths, rates = seconds_of_tracks(found), _rates(found)
    parts: list[object] = []
    if all_lengths.size:
        # A few long ones would squeeze all others into one bar.
        top = float(np.quantile(all_lengths, 0.99))
        top = top if all_lengths.max() > 2 * top else float(all_lengths.max())
        shown = all_lengths[all_lengths <= top]
        drawing = _charts.histogram("Lengths of tracks", shown, x_name="length", words=_draw.seconds)
        low, middle, high = (round(float(v), 1) for v in (all_lengths.min(), np.median(all_lengths), all_lengths.max()))
        caption = f"From {_draw.seconds(low)} to {_draw.seconds(high)}, half of them below {_draw.seconds(middle)}."
        if len(shown) < len(all_lengths):
            caption += f" The longest {len(all_lengths) - len(shown):,} are not drawn."
        parts.append(h.figure(drawing.svg(), caption, h.download("lengths", ("seconds",), [(v,) for v in all_lengths])))
    if rates:
        rows = [(f"{rate:,} Hz", count) for rate, count in rates.most_common()]
        parts.append(h.table(("sample rate", "tracks"), rows, numbers=(1,), named="Sample rates", short=True))
    elif found.pack is not None:
        rate = found.pack.feature_config.get("sample_rate")
        parts.append(tag("p", f"Sample rate of the feature: {rate or 'that of each file'}.", class_="small"))
    return parts


def artists(found: Found) -> list[object]:
    table = found.table
    if not (table.artist != "").any():
        return []
    groups, data = [], []
    for index, genre in enumerate(found.genres):
        sizes = Counter(table.artist[(found.labels == genre) & (table.artist != "")].tolist())
        if not sizes:
            continue
        largest = max(sizes.values())
        groups.append((genre, len(sizes), largest, f"{100 * largest / sum(sizes.values()):.0f} %", index))
        data += [(genre, artist, count) for artist, count in sizes.most_common()]
    bars = _charts.bars("Artists per genre", [(genre, count) for genre, count, *_ in groups], color="--g4")
    rows = [row[:4] for row in groups]
    pairs = {(a, g) for a, g in zip(table.artist.tolist(), found.labels.tolist(), strict=True) if a}
    shared = sum(count > 1 for count in Counter(artist for artist, _ in pairs).values())
    words = (
        "Where a genre has few artists, or one with many tracks, a model can learn the artist in place of the genre: "
        "split with the artists kept together."
    )
    if shared:
        words += f" {shared:,} artists stand in more than one genre."
    return [
        tag("p", words),
        h.figure(bars.svg()),
        h.table(("genre", "artists", "tracks of the largest", "its share"), rows, numbers=(1, 2, 3),
                named="Artists per genre", short=True),
        h.download("artists", ("genre", "artist", "tracks"), data),
    ]  # fmt: skip


def tree(found: Found) -> list[object]:
    """Genres below genres, where the table has the way to each as `Rock > Punk > Hardcore|…`."""
    column = found.table.column("genres")
    counts: Counter[tuple[str, ...]] = Counter()
    for text in column.tolist():
        ways = {tuple(part.strip() for part in way.split(" > ")) for way in text.split("|") if way}
        for above in {way[:depth] for way in ways for depth in range(1, len(way) + 1)}:
            counts[above] += 1
    if not any(len(way) > 1 for way in counts):
        return []
    roots = sorted((way for way in counts if len(way) == 1), key=lambda way: (-counts[way], way))
    items = [_branch(way, counts) for way in roots]
    words = "A track counts for each genre it has and for all above it."
    data = [(" > ".join(way), len(way), count) for way, count in sorted(counts.items())]
    return [tag("p", words, class_="small soft"), *items, h.download("tree", ("genre", "depth", "tracks"), data)]


def _branch(way: tuple[str, ...], counts: Counter) -> Safe:
    below = [other for other in counts if len(other) == len(way) + 1 and other[: len(way)] == way]
    below.sort(key=lambda other: (-counts[other], other))
    words = f"{way[-1]} ({counts[way]:,})"
    if not below:
        return tag("p", words) if len(way) == 1 else tag("li", words)
    inner = tag("ul", *(_branch(other, counts) for other in below))
    return h.fold(words, inner) if len(way) == 1 else tag("li", words, inner)
