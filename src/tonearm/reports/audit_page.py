"""The page of an audit: what was found, for someone who has never heard of leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tonearm.audit.integrity import CODES
from tonearm.reports import _audit_words as words
from tonearm.reports import _html as h
from tonearm.reports import _svg
from tonearm.reports._html import Safe, tag

COLORS = {"segment": "--c1", "track": "--c2", "recording": "--c3", "artist": "--c4"}
MOST_ROWS = 300


def page(report: dict[str, Any], *, base: Path | None = None) -> str:
    """The report of `tonearm.audit.audit` as one HTML document; `base` is the folder it will lie in, for links."""
    parts = [
        tag("h1", f"Audit of {report['name']}"),
        tag("p", words.what_was_looked_at(report), class_="soft"),
        _in_short(report),
        _story(),
        _inflation(report),
        _neighbours(report),
        _leakage(report),
        _duplicates(report, base),
        _doubtful(report, base),
        _horse(report),
        _integrity(report),
        _how(report),
    ]
    return h.page(f"Audit of {report['name']}", *parts)


def _section(heading: str, *children: object) -> Safe:
    return tag("section", tag("h2", heading), *children)


def _in_short(report: dict[str, Any]) -> Safe:
    items = [tag("li", Safe(f'<strong class="{kind}">{h.html(head)}</strong> '), text)
             for kind, head, text in words.in_short(report)]  # fmt: skip
    return tag("div", tag("strong", "In short"), tag("ul", *items), class_="box")


def _story() -> Safe:
    return _section("Why a score can lie", *(tag("p", paragraph) for paragraph in words.STORY))


def _done(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in report["inflation"] if "accuracy" in row]


def _inflation(report: dict[str, Any]) -> Safe:
    rows = _done(report)
    if not rows:
        return Safe("")
    pictured = [
        _svg.Bar(
            words.PROTOCOLS.get(row["protocol"], row["protocol"]) + words.part_of(row),
            row["accuracy"],
            tuple(row["interval"]),
            words.gap(row),
            COLORS.get(row["protocol"], "--c5"),
        )
        for row in rows
    ]
    genres = report["genres"]
    chance = max(genres.values()) / sum(genres.values())
    picture = tag(
        "figure",
        _svg.bars("Accuracy under each way to split", pictured, mark=(chance, "always naming the commonest genre")),
        tag(
            "figcaption",
            "Share of right answers of one and the same quick classifier. Only the way in which the music was dealt "
            "into training and test differs. The thin lines are 95 % intervals: drawn again from the same source, "
            "other songs would give a score in this range.",
        ),
    )
    head = ("protocol", "accuracy", "95 % interval", "tracks", "rows", "what still leaks")
    told = [
        (
            row["label"],
            f"{100 * row['accuracy']:.1f} %",
            f"{100 * row['interval'][0]:.1f} to {100 * row['interval'][1]:.1f}",
            row["n"],
            row["rows"],
            row["lets_leak"],
        )
        for row in rows
    ]
    data = [(row["label"], row["accuracy"], *row["interval"], row["n"], row["rows"]) for row in rows]
    left_out = [row for row in report["inflation"] if "skipped" in row]
    return _section(
        "What each leak is worth",
        tag("p", words.inflation_verdict(rows)),
        picture,
        h.table(head, told, numbers=(1, 2, 3, 4)),
        h.download("inflation", ("protocol", "accuracy", "low", "high", "tracks", "rows"), data),
        *(tag("p", f"{row['protocol']} was left out: {row['skipped']}", class_="soft small") for row in left_out),
    )


def _neighbours(report: dict[str, Any]) -> Safe:
    rows = [row for row in _done(report) if "neighbour" in row]
    if not rows:
        return Safe("")
    names = ("same song", "same recording", "same artist", "someone else")
    shares = []
    for row in rows:
        found = [row["neighbour"][key] for key in ("track", "recording", "artist")]
        shares.append((words.PROTOCOLS[row["protocol"]], [*found, max(0.0, 1 - sum(found))]))
    data = [(row["protocol"], *(row["neighbour"][key] for key in ("track", "recording", "artist", "right")))
            for row in rows]  # fmt: skip
    return _section(
        "Whom does the music resemble most?",
        tag("p", words.NEIGHBOURS),
        tag("figure", _svg.stacked("Nearest neighbour in training of each test piece", shares, names,
                                   ("--c1", "--c3", "--c2", "--c5"))),
        h.download("neighbours", ("protocol", "same track", "same recording", "same artist", "genre right"), data),
    )  # fmt: skip


def _leakage(report: dict[str, Any]) -> Safe:
    split = report["split"]
    if not split:
        return _section("Does the split leak?", tag("p", "No split was given, and the data bring none of their own."))
    parts = ", ".join(f"{part} {count}" for part, count in split["parts"].items())
    about = tag("p", f"Split {split['name']}: {parts}.", class_="soft")
    if not report["leakage"]:
        return _section("Does the split leak?", about, tag("p", "Nothing that is known stands in two parts."))
    rows = [(leak["kind"], " and ".join(leak["parts"]), leak["count"], words.leak(leak)) for leak in report["leakage"]]
    lists = [
        h.fold(
            f"{leak['count']} tracks of {leak['parts'][1]} by {leak['kind']} with {leak['parts'][0]}",
            tag("p", ", ".join(leak["ids"][:2000]), class_="small"),
        )
        for leak in report["leakage"]
    ]
    data = [(leak["kind"], *leak["parts"], track) for leak in report["leakage"] for track in leak["ids"]]
    return _section(
        "Does the split leak?",
        about,
        h.table(("what", "between", "tracks", "meaning"), rows, numbers=(2,)),
        *lists,
        h.download("leakage", ("what", "from", "in", "id"), data),
    )


def _listen(path: str, base: Path | None) -> Safe:
    if not path:
        return Safe("")
    return tag("audio", controls="", preload="none", src=h.link_to(path, base))


def _named(ids: Sequence[str], artists: Sequence[str], titles: Sequence[str]) -> Safe:
    lines = []
    for track, artist, title in zip(ids, artists, titles, strict=True):
        name = " – ".join(filter(None, (artist, title)))
        lines.append(h.join([tag("code", track), f" {name}" if name else ""]))
    return Safe("<br>".join(lines))


def _duplicates(report: dict[str, Any], base: Path | None) -> Safe:
    found = report["duplicates"]
    if not found:
        return _section("The same music twice", tag("p", "No copies were found."))
    kinds = Counter(duplicate["kind"] for duplicate in found)
    rows = [
        (
            _named(duplicate["ids"], duplicate["artists"], duplicate["titles"]),
            duplicate["kind"],
            h.join([duplicate["evidence"], tag("strong", "; under different labels: " + " and ".join(
                dict.fromkeys(duplicate["genres"])), class_="bad") if duplicate["labels_differ"] else ""]),
            "yes" if duplicate["known"] else "no",
            h.join(_listen(path, base) for path in duplicate["paths"]),
        )
        for duplicate in sorted(found, key=lambda d: (not d["labels_differ"], d["known"]))
    ]  # fmt: skip
    head = ["tracks", "kind", "evidence", "known before", "listen"]
    if not any(path for duplicate in found for path in duplicate["paths"]):
        head, rows = head[:-1], [row[:-1] for row in rows]
    data = [(" ".join(d["ids"]), d["kind"], d["score"], d["evidence"], d["known"], " ".join(d["genres"]))
            for d in found]  # fmt: skip
    return _section(
        "The same music twice",
        tag("p", words.duplicates(kinds, found)),
        _long_table(head, rows, 12),
        h.download("duplicates", ("ids", "kind", "score", "evidence", "known", "genres"), data),
    )


def _long_table(head: Sequence[str], rows: Sequence[Sequence[object]], first: int, numbers: Sequence[int] = ()) -> Safe:
    """The first rows in sight, the others behind a fold; beyond what a page can hold, a word on where they are."""
    parts = [h.table(head, rows[:first], numbers=numbers)]
    if len(rows) > first:
        parts.append(h.fold(f"{len(rows) - first} more", h.table(head, rows[first:MOST_ROWS], numbers=numbers)))
    if len(rows) > MOST_ROWS:
        parts.append(tag("p", f"The page shows {MOST_ROWS}; the CSV and --json hold all.", class_="soft small"))
    return h.join(parts)


def _doubtful(report: dict[str, Any], base: Path | None) -> Safe:
    found = report["doubtful"]
    if report.get("skipped"):
        return Safe("")
    if not found:
        return _section("Labels to listen to", tag("p", "No label was doubted by the models."))
    rows = [
        (
            _named([row["id"]], [row["artist"]], [row["title"]]),
            row["label"],
            row["suggested"],
            f"{100 * row['probability']:.0f} %",
            row["votes"],
            _listen(row["path"], base),
        )
        for row in found
    ]
    head = ["track", "label", "sounds like", "probability", "models that say so", "listen"]
    if not any(row["path"] for row in found):
        head, rows = head[:-1], [row[:-1] for row in rows]
    data = [(row["id"], row["label"], row["suggested"], row["probability"], row["votes"], row["artist"], row["title"])
            for row in found]  # fmt: skip
    return _section(
        "Labels to listen to",
        tag("p", words.doubtful(len(found), report["tracks"])),
        _long_table(head, rows, 15, numbers=(3, 4)),
        h.download("doubtful", ("id", "label", "suggested", "probability", "votes", "artist", "title"), data),
    )


def _horse(report: dict[str, Any]) -> Safe:
    rows = report["horse"]
    if not rows:
        why = report.get("horse_skipped") or words.no_horse(report)
        return _section("The horse test", tag("p", why, class_="soft")) if why else Safe("")
    compared = [row for row in rows if "fall" in row]
    alone = [row for row in rows if "fall" not in row]

    def color(row: dict[str, Any]) -> str:
        return "--c4" if row["survives"] else "--c1" if row["inaudible"] else "--c2"

    parts: list[object] = [tag("p", words.HORSE)]
    if compared:
        names = [words.CHANGES.get(row["change"], row["change"]) for row in compared]
        dots = [
            (name, row["accuracy_before"], row["accuracy"], color(row))
            for name, row in zip(names, compared, strict=True)
        ]
        parts.append(tag("figure", _svg.before_after("Accuracy before and after each change", dots)))
        told = [
            (name, row["words"], words.lost(row), words.horse_verdict(row))
            for name, row in zip(names, compared, strict=True)
        ]
        parts.append(h.table(("change", "what is done", "points lost [95 %]", "verdict"), told, numbers=(2,)))
    for row in alone:
        parts.append(tag("p", words.deep(row), class_=None if row["survives"] else "bad"))
    data = [
        (row["change"], row.get("accuracy_before", ""), row["accuracy"], *row["interval"], row["n"], row["survives"])
        for row in rows
    ]
    parts.append(h.download("horse", ("change", "before", "after", "low", "high", "tracks", "survives"), data))
    return _section("The horse test", *parts)


def _integrity(report: dict[str, Any]) -> Safe:
    found = report["integrity"]
    parts: list[object] = []
    if not found:
        parts.append(tag("p", "Every track could be read, and none is silent, cut off or odd."))
    else:
        counts = Counter(finding["code"] for finding in found)
        rows = [(code, CODES.get(code, "could not be read"), count) for code, count in counts.items()]
        parts.append(h.table(("code", "meaning", "tracks"), rows, numbers=(2,)))
        each = [(finding["id"], finding["code"], finding["message"]) for finding in found]
        parts.append(h.fold("Each of them", h.table(("track", "code", "what"), each[:MOST_ROWS])))
        parts.append(h.download("integrity", ("id", "code", "what"), each))
    genres = report["genres"]
    most = max(genres.values())
    share = [(genre, count, f"{100 * count / sum(genres.values()):.1f} %") for genre, count in genres.items()]
    even = "All genres have as many tracks." if min(genres.values()) == most else ""
    balance = h.fold(f"Tracks per genre. {even}", h.table(("genre", "tracks", "share"), share, numbers=(1, 2)))
    return _section("Is anything broken?", *parts, balance)


def _how(report: dict[str, Any]) -> Safe:
    return _section("How this was measured", *(tag("p", text, class_="small") for text in words.how(report)))
