"""The page of a personal model: how good it is, which labels look wrong, and whether more music would help."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tonearm.reports._html import download, fold, join, table, tag
from tonearm.reports._html import page as whole
from tonearm.reports._svg import Bar, bars
from tonearm.tags.errors import shown

SHOWN = 200


def page(report: Mapping[str, Any]) -> str:
    """A document from what `tonearm learn --json` prints."""
    report = _printable(report)
    name = Path(report["model"]).name
    return whole(
        f"{name}: a model of your own genres",
        tag("h1", f"{name}: a model of your own genres"),
        _summary(report),
        _genres(report),
        _scarce(report["scarce"]),
        _doubts(report),
        _curve(report),
        _rest(report),
    )


def _printable(value: Any) -> Any:
    """The same without what no page can hold: names of files need be neither UTF-8 nor one line."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {shown(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


def _namer(report: Mapping[str, Any]) -> Callable[[str], object]:
    """Names of songs from the folder on that all are in, which fit on a phone; the whole name shows on pointing."""
    paths = [*(row["path"] for row in (*report["doubtful"], *report["skipped"])), *report["unlabelled"]]
    try:
        base = os.path.commonpath(list(map(os.path.dirname, paths)))
    except ValueError:  # none at all, on two drives, or some from the root on and some not
        base = ""
    if not base:
        return str
    return lambda path: tag("span", os.path.relpath(path, base), title=path)


def _summary(report: Mapping[str, Any]) -> object:
    over, ear, sure = report["interval_over"], report["ear"], report["sure"]
    heard = f"songs by {over} it had not heard" if over != "songs" else "songs it had not heard"
    sentences = [
        f"{len(report['per_genre'])} genres from {report['n']} songs by {_whom(report)}, "
        f"heard by {ear['name']} {ear['version']}.",
        f"Right for {_share(report)} of {heard} (n = {report['n']}). "
        f"Always saying the commonest genre would be right for {100 * report['largest_genre']:.1f} %.",
    ]
    if sure["accuracy"] is not None:
        sentences.append(
            f"It is sure of {100 * sure['share']:.0f} % of them (a probability of {sure['threshold']:.2f} or more), "
            f"and right there for {_share(sure)}."
        )
    sentences += [f"{note[0].upper()}{note[1:]}." for note in report["notes"]]
    return tag("div", tag("ul", *(tag("li", sentence) for sentence in sentences)), class_="box")


def _whom(report: Mapping[str, Any]) -> str:
    groups = report["interval_groups"]
    if report["interval_over"] != "songs":
        return f"{groups} {report['interval_over']}"
    # Songs that are copies of each other stand together.
    return "unknown artists" + (f" ({groups} without their copies)" if groups < report["n"] else "")


def _share(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval"]
    interval = "no interval" if low is None else f"95 % interval {100 * low:.1f} to {100 * high:.1f}"
    return f"{100 * figure['accuracy']:.1f} % ({interval})"


def _genres(report: Mapping[str, Any]) -> object:
    rows = sorted(report["per_genre"].items(), key=lambda item: -(item[1]["recall"] or 0))
    over = report["interval_over"]
    shown = [
        Bar(
            genre, row["recall"] or 0.0, None if row["recall_interval"][0] is None else tuple(row["recall_interval"]),
            f"{row['n']} songs" + (f" by {row['artists']} artists" if over != "songs" else ""),
        )
        for genre, row in rows
    ]  # fmt: skip
    head = ("genre", "songs", "artists", "recall", "low", "high", "precision")
    data = [(g, r["n"], r["artists"], r["recall"], *r["recall_interval"], r["precision"]) for g, r in rows]
    return join(
        [
            tag("h2", "How many songs of each genre it finds"),
            tag("figure", bars("Recall of each genre", shown), tag("figcaption", _caption(over))),
            download("genres", head, [["" if value is None else value for value in row] for row in data]),
        ]
    )


def _caption(over: str) -> str:
    whose = f"by {over} it had not heard" if over != "songs" else "it had not heard"
    return f"The share of a genre's songs {whose} that it calls so; the line is the 95 % interval over {over}."


def _scarce(rows: list[Mapping[str, Any]]) -> object:
    out = [f"{row['genre']}: {row['reason']}" for row in rows if not row["kept"]]
    weak = [f"{row['genre']} ({row['reason'].removeprefix('only ')})" for row in rows if row["kept"]]
    parts = []
    if out:
        parts += [tag("h2", "Left out"), tag("ul", *(tag("li", words) for words in out))]
    if weak:
        parts.append(tag("p", f"Learnt, but from too few to trust its figure: {', '.join(weak)}."))
    return join(parts)


def _doubts(report: Mapping[str, Any]) -> object:
    rows = report["doubtful"]
    parts = [tag("h2", f"Labels that look wrong: {len(rows)}")]
    if report["no_doubts"]:
        parts.append(tag("p", f"Labels were not doubted: {report['no_doubts']}."))
    if rows:
        head = ("song", "label", "more like", "times likelier")
        named, full = _namer(report), [row["path"] for row in rows]
        cells = [
            (named(row["path"]), row["label"], row["suggested"],
             f"{min(row['probability'] / row['probability_of_label'], 999):.0f}")
            for row in rows
        ]  # fmt: skip
        parts.append(tag("p", "A list to listen to, not a verdict: models that never heard the artist disagree."))
        parts.append(table(head, cells[:20], numbers=(3,)))
        if len(cells) > 20:
            parts.append(fold(f"{min(len(cells), SHOWN) - 20} more", table(head, cells[20:SHOWN], numbers=(3,))))
        parts.append(download("doubtful", head, [(path, *cell[1:]) for path, cell in zip(full, cells, strict=True)]))
    return join(parts)


def _curve(report: Mapping[str, Any]) -> object:
    over = report["interval_over"]
    shown = [
        Bar(f"{point['artists']:.0f} artists", point["value"], tuple(point["interval"]),
            f"{point['tracks']:.0f} songs") if over != "songs"
        else Bar(f"{point['tracks']:.0f} songs", point["value"], tuple(point["interval"]))
        for point in report["curve"]
        if point["interval"][0] is not None
    ]  # fmt: skip
    head = ("songs", over if over != "songs" else "without copies", "accuracy", "low", "high")
    data = [(point["tracks"], point["artists"], point["value"], *point["interval"]) for point in report["curve"]]
    words = report["more_music"]["words"]
    caption = f"Accuracy on songs it had not heard, when it learnt from a quarter, half, three quarters and all {over}."
    return join(
        [
            tag("h2", "Would more music help?"),
            tag("p", f"{words[0].upper()}{words[1:]}."),
            tag("figure", bars("Accuracy by how much was learnt from", shown), tag("figcaption", caption)),
            download("curve", head, [["" if value is None else value for value in row] for row in data]),
        ]
    )


def _rest(report: Mapping[str, Any]) -> object:
    parts, named = [], _namer(report)
    if report["skipped"]:
        cells = [(named(row["path"]), row["code"], row["message"]) for row in report["skipped"][:SHOWN]]
        parts.append(fold(f"{len(report['skipped'])} files could not be used", table(("file", "code", "why"), cells)))
    if report["unlabelled"]:
        cells = [(named(path),) for path in report["unlabelled"][:SHOWN]]
        parts.append(fold(f"{len(report['unlabelled'])} songs have no genre", table(("song",), cells)))
    return join(parts)
