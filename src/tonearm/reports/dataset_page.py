"""The page of a dataset or a pack: how much of what, what each genre sounds like, and where tracks lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.audit.source import Source, open_source
from tonearm.errors import TonearmError
from tonearm.reports import _charts, _dataset_counts, _draw, _map, _measure, _sound, _views
from tonearm.reports import _html as h
from tonearm.reports._html import Safe, tag
from tonearm.reports._measure import Measured
from tonearm.reports._palette import genre_color
from tonearm.reports._tracks import is_spectral, levels_of, pack_picture, pack_table, seconds_of

TRACKS = 2000
_EXAMPLES = 16
_VIEWS = ("waveform", "zcr", "spectrogram", "logspectrogram", "mel", "mfcc", "chroma")
_BOXES = 16
_PEAKS = 500


def dataset_page(
    what: str | Path, *, audio: str | Path | None = None, tracks: int = TRACKS, workers: int | None = None,
    base: Path | None = None, progress: Callable[[str], None] = lambda words: None,
) -> str:  # fmt: skip
    """A pack, or a dataset as `tonearm data` names it, as one HTML document.

    At most `tracks` of a dataset's files are listened to, as even over the genres as they allow; of a pack every row
    is read. `audio` is a folder with the sound of a pack, by id. `base` is the folder the page will lie in, for links
    to the sound of the map.
    """
    source = open_source(what, audio=audio)
    measured = _measured(source, tracks, workers, progress)
    found = Found(source, measured)
    progress("drawing")
    sections = [
        ("How much of what", _dataset_counts.counts(found)),
        ("Lengths and rates", _dataset_counts.lengths(found)),
        ("Artists", _dataset_counts.artists(found)),
        ("The tree of genres", _dataset_counts.tree(found)),
        ("An example of each genre", _examples(found)),
        ("Low-level features by genre", _boxes(found)),
        ("What goes with what", _correlations(found)),
        ("Map of all tracks", _maps(found, base)),
        ("How this was made", _how(found)),
    ]
    sections = [(heading, body) for heading, body in sections if body]
    title = f"Dataset: {source.name}"
    return h.page(
        title,
        tag("h1", title),
        _in_short(found),
        h.contents(heading for heading, _ in sections),
        *(h.section(heading, *body) for heading, body in sections),
        script=_map.SCRIPT,
        style=_map.style(len(found.genres)),
    )


class Found:
    """What all parts of the page look at: the table, what was measured, and the genres in order."""

    def __init__(self, source: Source, measured: Measured) -> None:
        self.source, self.table, self.pack, self.measured = source, source.table, source.pack, measured
        self.labels = np.array([genre or "no genre" for genre in self.table.genre.tolist()])
        counts = Counter(self.labels.tolist())
        known = [genre for genre in (self.pack.classes if self.pack else []) if genre in counts]
        self.genres = known + sorted(set(counts) - set(known))
        self.counts = counts
        # Where a row is a segment, a track stands for its first.
        self.row = {int(track): row for row, track in reversed(list(enumerate(self.table.row_track.tolist())))}

    def of(self, genre: str) -> np.ndarray:
        """Which of the measured tracks have a genre: places in `measured`."""
        return np.flatnonzero(self.labels[self.measured.rows] == genre)

    def name(self, track: int) -> str:
        """Artist and title where they are known, else the id."""
        artist, title = (str(self.table.column(key)[track]) for key in ("artist_name", "title"))
        return " – ".join(filter(None, (artist, title))) or str(self.table.ids[track])


def _measured(source: Source, tracks: int, workers: int | None, progress: Callable[[str], None]) -> Measured:
    if source.pack is not None:
        rows = np.unique(source.table.row_track, return_index=True)[1]
        found = _measure.of_pack(source.pack, rows, progress=progress)
        # From rows of the array to tracks of the table.
        return Measured(source.table.row_track[rows], *_rest(found))
    if not source.has_sound:
        raise TonearmError(
            f"{source.name}: none of its files is there", hint="`tonearm data verify` says which", code="missing"
        )
    chosen = _measure.sampled(source.table.genre, tracks)
    found = _measure.of_sound(source.paths, chosen, workers=workers, progress=progress)
    if not len(found.rows):
        path, message = found.failed[0] if found.failed else (source.name, "no file was measured")
        raise TonearmError(f"no file can be read: {message}", hint=f"such as {path}", code="unreadable")
    return found


def _rest(found: Measured) -> tuple[Any, ...]:
    return found.measures, found.values, found.vectors, found.note, found.failed, found.lengths


def _in_short(found: Found) -> Safe:
    table, counts = found.table, found.counts
    most, least = max(counts.values()), min(counts.values())
    items = [f"{len(table):,} tracks in {len(found.genres)} genres" + _even(most, least)]
    if table.has_segments:
        items.append(f"{len(table.row_ids):,} rows: tracks are cut into pieces")
    known = table.artist != ""
    if known.any():
        several = len(set(table.artist[known].tolist()))
        items.append(f"{several:,} artists, {known.sum() / several:.1f} tracks each")
    else:
        items.append("artists are not named: a split cannot keep them apart")
    lengths = _dataset_counts.seconds_of_tracks(found)
    if lengths.size:
        middle = _draw.seconds(round(float(np.median(lengths)), 1))
        items.append(f"{lengths.sum() / 3600:.1f} hours of sound, {middle} a track in the median")
    if found.pack:
        kind = found.pack.feature_config.get("kind", "features")
        shape = " × ".join(map(str, found.pack.features.shape))
        items.append(f"a pack of {kind}, {shape}, {found.pack.features.dtype}")
    if found.measured.failed:
        items.append(f"{len(found.measured.failed):,} files cannot be read")
    listed = tag("ul", *(tag("li", f"{item}.") for item in items))
    return tag("div", tag("strong", "In short"), listed, class_="box")


def _even(most: int, least: int) -> str:
    if most == least:
        return f", {most:,} of each"
    return f", from {least:,} to {most:,} of each"


def _examples(found: Found) -> list[object]:
    """The most typical measured track of each genre: nearest to the middle of its genre, with pictures and sound."""
    scaled = _map.standardised(found.measured.vectors)
    shown = found.genres[:_EXAMPLES]
    items = []
    for genre in shown:
        own = found.of(genre)
        if not own.size:
            continue
        far = np.linalg.norm(scaled[own] - np.median(scaled[own], axis=0), axis=1)
        # The nearest that can be heard, where some can and some cannot.
        order = own[np.argsort(far, kind="stable")]
        heard = [place for place in order if _path(found, int(found.measured.rows[place]))]
        track = int(found.measured.rows[(heard or order)[0]])
        body = _example(found, track, genre)
        if body:
            items.append(h.fold(f"{genre}: {found.name(track)}", *body, open_=not items))
    if not items:
        return []
    words = "Of each genre the track that lies nearest to its middle, by the numbers of the map: typical, not best."
    if len(shown) < len(found.genres):
        words += f" The first {len(shown)} of {len(found.genres)} genres."
    return [tag("p", words), *items]


def _path(found: Found, track: int) -> str:
    path = found.source.paths[track] if found.source.paths else ""
    return path if path and Path(path).is_file() else ""


def _example(found: Found, track: int, genre: str) -> list[object]:
    parts: list[object] = []
    name = str(found.table.ids[track])
    if path := _path(found, track):
        try:
            cut = _sound.excerpt(path)
        except TonearmError as error:
            parts.append(tag("p", f"Its file cannot be heard: {error.message}", class_="small soft"))
        else:
            parts.append(_sound.player(cut.address, f"Excerpt of {name}, {genre}"))
            drawn = [
                _views.drawn(cut.waveform, [what], title=f"{_views.VIEWS[what].words} of {name}, {genre}",
                             start_seconds=cut.start_seconds)
                for what in _VIEWS
            ]  # fmt: skip
            parts.append(tag("div", *(h.figure(one.svg()) for one in drawn), class_="pair"))
            parts += [_series(name, cut), *_beside(name, cut)]
    if found.pack is not None:
        parts += _of_pack(found, track, name, genre)
    return parts


def _series(name: str, cut: _sound.Excerpt) -> Safe:
    """What the pictures show of the excerpt as numbers over time, for whoever wants to draw it anew."""
    from tonearm import features

    columns, names = [], []
    for kind in ("zcr", "rms", "centroid", "mfcc", "chroma", "logmel"):
        feature = features.create(kind, sample_rate=None)
        columns.append(feature(cut.waveform))
        names += feature.columns() or [f"{kind}{row + 1}" for row in range(len(columns[-1]))]
    values = np.concatenate(columns).T[::4]
    step = 4 * 512 / cut.waveform.sample_rate
    rows = [(cut.start_seconds + i * step, *map(float, row)) for i, row in enumerate(values)]
    return h.download(f"{name}", ("seconds", *names), [[f"{value:.3g}" for value in row] for row in rows])


def _beside(name: str, cut: _sound.Excerpt) -> list[Safe]:
    """The figures of the pictures that no feature holds: peaks of the waveform, and decibels of both spectrograms."""
    start, wave = cut.start_seconds, cut.waveform
    at, low, high = _views.peaks(wave, _PEAKS)
    peaks = np.round(np.stack([start + at, low, high], axis=1).astype(float), 4).tolist()
    tables = [h.download(f"{name}-waveform", ("seconds", "lowest", "highest"), peaks)]
    step = 4 * 512 / wave.sample_rate
    for kind, drawn in (("spectrogram", _views.linear_levels), ("logspectrogram", _views.log_levels)):
        hertz, levels = drawn(wave)
        # To the whole decibel, as in pictures of packs: more digits would be most of the page.
        columns = np.rint(levels).astype(int).T[::4].tolist()
        rows = [(round(start + i * step, 3), *column) for i, column in enumerate(columns)]
        tables.append(h.download(f"{name}-{kind}", ("seconds", *(f"{value:.0f} Hz" for value in hertz)), rows))
    return tables


def _of_pack(found: Found, track: int, name: str, genre: str) -> list[object]:
    """Pictures of what the pack itself holds of a track."""
    pack, row = found.pack, found.row[track]
    if not is_spectral(pack):
        return []
    kind = pack.feature_config.get("kind")
    figures = [h.figure(pack_picture(pack, row, f"{kind} of {name}, {genre}").svg(), f"{kind}, as the pack holds it.")]
    if kind == "logmel":
        from tonearm.features.mfcc import cosines

        levels = levels_of(pack, row)
        cepstra = cosines(len(levels), min(20, len(levels)), 0.0).T @ levels
        draw = _draw.Drawing(f"MFCC of {name}, {genre}")
        width = draw.width - _views.LEFT - _views.RIGHT
        length = seconds_of(pack, row) or levels.shape[1]
        axes = _draw.Axes(draw, _views.LEFT, 8, width, 92, (0.0, length), (0, 1))
        _views.cepstra(axes, cepstra)
        draw.height = 118
        figures.append(h.figure(draw.svg(), "MFCC: a cosine transform of those bands."))
    return [tag("div", *figures, class_="pair"), pack_table(pack, row, f"{name}-{kind}")]


def _boxes(found: Found) -> list[object]:
    measured = found.measured
    if not measured.measures:
        return []
    genres = found.genres[:_BOXES]
    figures = []
    for column, measure in enumerate(measured.measures):
        groups = [
            (genre, measured.values[found.of(genre), column], genre_color(index)) for index, genre in enumerate(genres)
        ]
        if not any(values.size for _, values, _ in groups):
            continue
        unit = f"{measure.name}, {measure.unit}" if measure.unit else measure.name
        drawing = _charts.boxes(f"{measure.name} by genre", groups, unit=unit)
        caption = f"{measure.name}: {measure.tells}." if measure.tells else measure.name
        figures.append(h.figure(drawing.svg(), caption))
    names = [measure.name for measure in measured.measures]
    tracks = measured.rows.tolist()
    data = [
        (found.table.ids[track], found.labels[track], *map(float, row))
        for track, row in zip(tracks, measured.values, strict=True)
    ]
    words = f"{measured.note} Boxes hold the middle half of a genre with its median, lines 90 %."
    if len(genres) < len(found.genres):
        words += f" The first {len(genres)} of {len(found.genres)} genres."
    return [tag("p", words), tag("div", *figures, class_="pair"), h.download("features", ("id", "genre", *names), data)]


def _correlations(found: Found) -> list[object]:
    values = found.measured.values
    names = [measure.name for measure in found.measured.measures]
    if len(names) < 2 or len(values) < 3:
        return []
    # Ranks, because tempo and frequencies are skewed: Spearman's correlation.
    ranks = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found_r = np.corrcoef(ranks, rowvar=False)
    constant = np.ptp(values, axis=0) == 0
    found_r[constant], found_r[:, constant] = np.nan, np.nan
    drawing = _charts.correlations("Correlations of low-level features", names, found_r)
    data = [(name, *row) for name, row in zip(names, found_r.tolist(), strict=True)]
    words = (
        "Spearman's correlation over tracks: green rises together, red runs against each other. Features that go "
        "together tell a classifier the same thing twice."
    )
    picture = h.scroll(drawing.svg(), "Correlations of low-level features")
    return [tag("p", words), h.figure(picture, "", h.download("correlations", ("feature", *names), data))]


def _maps(found: Found, base: Path | None) -> list[object]:
    places = _map.places(found.measured.vectors)
    if not places:
        return []
    tracks = found.measured.rows.tolist()
    genres = [str(found.labels[track]) for track in tracks]
    labels = [found.name(track) for track in tracks]
    sounds = [h.link_to(path, base) if (path := _path(found, track)) else "" for track in tracks]
    words = f"{len(tracks):,} tracks, near to each other where their numbers are alike. Names stand at their middles."
    if any(sounds):
        words += " Sound is linked, not copied: keep page and music where they are to each other."
    return [
        tag("p", words),
        _map.maps(places, genres, labels, sounds, found.genres),
        _map.download(places, [str(found.table.ids[track]) for track in tracks], genres),
    ]


def _how(found: Found) -> list[object]:
    from tonearm import __version__

    measured, table = found.measured, found.table
    words = [f"tonearm {__version__}. {measured.note}"]
    if len(measured.rows) < len(table) - len(measured.failed):
        words.append(
            f"{len(measured.rows):,} of {len(table):,} tracks were listened to, as even over the genres as they allow, "
            "drawn with a fixed seed; counts, lengths and rates are of all. `--tracks` takes more."
        )
    words.append(
        "The map is of these numbers and of means and deviations of cepstra, each scaled to a deviation of 1."
        if found.pack is None or found.pack.features.ndim == 3
        else "The map is of all columns, each scaled to a deviation of 1."
    )
    parts: list[object] = [tag("p", text, class_="small") for text in words]
    if measured.failed:
        rows = measured.failed[:200]
        parts.append(h.fold("Files that cannot be read", h.table(("file", "why"), rows, named="Files that failed")))
    return parts
