"""The page of a comparison of runs: who is better, by how much, and whether that can be told from chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tonearm.reports import _charts
from tonearm.reports import _html as h
from tonearm.reports._html import Safe, tag
from tonearm.reports._palette import genre_color

MOST_CURVES = 12


def comparison_page(comparison: dict[str, Any]) -> str:
    """What `tonearm.experiments.compare` found, as one HTML document."""
    tests, rows = comparison["tests"], comparison["rows"]
    sections = [
        *((_heading(test), _test(test, _of(test, rows))) for test in tests),
        ("Learning curves", _curves(rows)),
        ("Claims and measurements", _claims(rows)),
        ("What to know of each", _marks(rows)),
        ("Without a figure", _failed(rows)),
        ("How this was compared", _how(comparison["notes"])),
    ]
    sections = [(heading, body) for heading, body in sections if body]
    title = f"Comparison of {_count(len(rows), 'system')}"
    return h.page(
        title,
        tag("h1", title),
        _in_short(comparison),
        h.contents(heading for heading, _ in sections),
        *(h.section(heading, *body) for heading, body in sections),
    )


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _of(test: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["test"] == test["test"]]


def _heading(test: dict[str, Any]) -> str:
    leaky = ", leaky" if test["leaky"] else ""
    return f"{test['test']}: {test['data']}, {test['part']}, {test['protocol']}{leaky}"


def _in_short(comparison: dict[str, Any]) -> Safe:
    items = []
    for test in comparison["tests"]:
        rows = _of(test, comparison["rows"])
        best = rows[0]
        apart = [row for row in rows[1:] if row["against_best"] and row["against_best"]["told_apart"]]
        head = tag("strong", f"{test['data']}, {test['part']}, {test['protocol']}:")
        text = f" {best['name']} is right in {_percent(best['accuracy'])} of {test['n']:,} {_unit(test)}s {_ends(best)}"
        if len(rows) > 1:
            text += f"; of {_count(len(rows) - 1, 'other')} {len(apart)} can be told from it"
        items.append(tag("li", head, text + ("; the split leaks" if test["leaky"] else "") + "."))
    failed = sum(row["test"] is None for row in comparison["rows"])
    if failed:
        items.append(
            tag("li", tag("strong", f"{_count(failed, 'run')} without a figure", class_="bad"), ": see below.")
        )
    return tag("div", tag("strong", "In short"), tag("ul", *items), class_="box")


def _unit(test: dict[str, Any]) -> str:
    return "segment" if test["unit"] == "segment" else "track"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _ends(row: dict[str, Any]) -> str:
    low, high = row["interval"] or (None, None)
    return "" if low is None else f"[{100 * low:.1f} to {100 * high:.1f}]"


def _test(test: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[object]:
    names = [row["name"].removesuffix(f", {test['protocol']}") for row in rows]
    dots = [
        _charts.Dot(name, row["accuracy"], row["interval"], _spread(row), "--c4" if i == 0 else "--g2")
        for i, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    over = {"artists": "artists", "tracks": "tracks"}.get(rows[0]["interval_over"], rows[0]["interval_over"])
    picture = h.figure(
        _charts.intervals(f"Accuracy with intervals: {_heading(test)}", dots).svg(),
        f"Accuracy on the same {test['n']:,} {_unit(test)}s, the best first. Lines are 95 % intervals over {over}. "
        "Lines that overlap do not mean that two cannot be told apart: the paired test below asks that.",
    )
    head = ("system", "accuracy", "95 % interval", "over seeds", "macro F1", "to the best", "p", "told apart")
    told = [
        (
            name,
            _percent(row["accuracy"]),
            _ends(row)[1:-1],
            _spread(row),
            f"{row['f1_macro']:.3f}",
            *(_effect(row["against_best"]) if number else ("the best", "", "")),
        )
        for number, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    table = h.table(head, told, numbers=(1, 2, 3, 4, 5, 6), named=f"Figures of test {test['test']}", short=True)
    more = [
        (
            name,
            f"{row['balanced_accuracy']:.3f}",
            f"{row['log_loss']:.3f}",
            f"{row['ece']:.3f}",
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['seconds']:,.1f}" if row["seconds"] is not None else "",
        )
        for name, row in zip(names, rows, strict=True)
    ]
    head = ("system", "balanced accuracy", "log-loss", "ECE", "parameters", "seconds to train")
    more = h.table(head, more, numbers=range(1, 6), named=f"More figures of test {test['test']}", short=True)
    costs = h.fold("More figures, and what they cost", more)
    data = [
        (row["name"], row["accuracy"], *(row["interval"] or ("", "")), row["n"], row["sd_over_seeds"], row["f1_macro"],
         row["balanced_accuracy"], row["log_loss"], row["ece"], *_effect_data(row["against_best"]), row["parameters"],
         row["seconds"])
        for row in rows
    ]  # fmt: skip
    columns = ("system", "accuracy", "low", "high", "n", "sd_over_seeds", "f1_macro", "balanced_accuracy", "log_loss",
               "ece", "difference", "difference_low", "difference_high", "p_value", "p_holm", "parameters",
               "seconds")  # fmt: skip
    return [picture, h.download(f"comparison-{test['test']}", columns, data), table, costs, _needed(rows)]


def _spread(row: dict[str, Any]) -> str:
    if row["sd_over_seeds"] is not None:
        return f"± {100 * row['sd_over_seeds']:.1f}, {len(row['seeds'])} seeds"
    return f"{row['folds']} folds" if row["folds"] else ""


def _effect(against: dict[str, Any] | None) -> tuple[str, str, str]:
    if not against:
        return "not tested", "", ""
    low, high = (100 * edge for edge in against["interval"])
    p = against["p_holm"]
    shown = "< 0.001" if p < 0.001 else f"{p:.3f}"
    difference = f"{100 * against['difference']:+.1f} [{low:+.1f} to {high:+.1f}]"
    return difference, shown, "yes" if against["told_apart"] else "no"


def _effect_data(against: dict[str, Any] | None) -> tuple[object, ...]:
    if not against:
        return ("",) * 5
    return against["difference"], *against["interval"], against["p_value"], against["p_holm"]


def _needed(rows: Sequence[dict[str, Any]]) -> Safe:
    wanted = [
        f"{row['name']} {row['against_best']['tracks_needed']:,}"
        for row in rows
        if row["against_best"] and not row["against_best"]["told_apart"] and row["against_best"].get("tracks_needed")
    ]
    if not wanted:
        return Safe("")
    words = "Tracks that it would take to tell these from the best, if the difference is what it seems: "
    return tag("p", words + "; ".join(wanted) + ".", class_="small soft")


def _curves(rows: Sequence[dict[str, Any]]) -> list[object]:
    learnt = [(row, [one for one in row["curves"] if one["rows"]]) for row in rows]
    learnt = [(row, curves) for row, curves in learnt if curves]
    if not learnt:
        return []
    shown = learnt[:MOST_CURVES]
    pictures, data = [], []
    for key, name, share in (
        ("valid_accuracy", "Accuracy on validation", True),
        ("valid_loss", "Loss on validation", False),
        ("train_loss", "Loss in training", False),
    ):
        lines = [
            _charts.Line(row["name"], *_points(curve["rows"], key), genre_color(i), width=1.4)
            for i, (row, curves) in enumerate(shown)
            for curve in curves
            if any(key in one for one in curve["rows"])
        ]
        if lines:
            drawing = _charts.curves(f"{name} by epoch", lines, x_name="epoch", y_name=name, share=share)
            pictures.append(h.figure(drawing.svg()))
    for row, curves in learnt:
        for curve in curves:
            data += [(row["name"], curve["seed"], *(one.get(key, "") for key in _COLUMNS)) for one in curve["rows"]]
    note = f" The first {MOST_CURVES} of {len(learnt)} are drawn." if len(learnt) > MOST_CURVES else ""
    return [
        tag("p", "One line per seed. Curves are of validation: they say how a model was chosen, not how good it is."
            + note),
        tag("div", *pictures, class_="pair"),
        h.download("curves", ("system", "seed", *_COLUMNS), data),
    ]  # fmt: skip


_COLUMNS = ("epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "learning_rate", "seconds")


def _points(rows: Sequence[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    return [row["epoch"] for row in rows], [row.get(key, float("nan")) for row in rows]


def _claims(rows: Sequence[dict[str, Any]]) -> list[object]:
    claimed = [row for row in rows if row["claim"]]
    if not claimed:
        return []
    told, data = [], []
    for row in claimed:
        claim, value = row["claim"], row["claim"]["value"]
        same = row["accuracy"] is not None and claim.get("metric", "accuracy") == "accuracy"
        gap = f"{100 * (row['accuracy'] - value):+.1f}" if same else ""
        measured = f"{_percent(row['accuracy'])} {_ends(row)}" if row["accuracy"] is not None else row["status"]
        told.append((row["name"], f"{100 * value:.1f} %", f"{claim['dataset']}, {claim['protocol']}", measured, gap,
                     claim.get("note") or ""))  # fmt: skip
        data.append((row["name"], claim["dataset"], claim["protocol"], value, row["data"], row["protocol"],
                     row["accuracy"]))  # fmt: skip
    head = ("system", "claimed", "on", "measured here", "points", "note")
    words = (
        "What the authors of each system published, beside what it does here. A gap may come from the protocol, the "
        "data or what had to be adapted: the sections below say which."
    )
    columns = ("system", "claimed_on", "claimed_protocol", "claimed", "data", "protocol", "measured")
    return [tag("p", words), h.table(head, told, numbers=(1, 4), named="Claims"), h.download("claims", columns, data)]


def _marks(rows: Sequence[dict[str, Any]]) -> list[object]:
    told = []
    for row in rows:
        differs = [f"{key} = {value}" for key, value in row["differs"].items()]
        words = list(dict.fromkeys([*row["marks"], *row["caveats"], *differs]))
        if words:
            title = f"{row['name']}: {row['title']}" if row["title"] else row["name"]
            told.append(h.fold(title, tag("ul", *(tag("li", word) for word in words)), class_="small"))
    return told


def _failed(rows: Sequence[dict[str, Any]]) -> list[object]:
    failed = [row for row in rows if row["test"] is None]
    if not failed:
        return []
    told = [(row["name"], row["status"], _error(row["error"]), ", ".join(row["runs"])) for row in failed]
    words = "These were not left out in silence: they stand here with the reason."
    return [tag("p", words), h.table(("system", "status", "why", "run"), told, named="Runs without a figure")]


def _error(error: Any) -> str:
    return str(error.get("message", "")) if isinstance(error, dict) else str(error or "")


def _how(notes: Sequence[str]) -> list[object]:
    words = (
        "Only runs judged on the same tracks of the same part of the same split are compared. A figure's interval says "
        "what other tracks (other artists, where they are known) would do to it; it is a bootstrap over those.",
        "Differences are paired: both systems answered the same tracks. p is that of an exact McNemar test, or of a "
        "sign-flip test over artists where these are known, corrected by Holm's method for the number of comparisons "
        "in the table. “Told apart” means below 0.05 after that.",
        "Seeds are a spread of their own: ± is the standard deviation over seeds, not an error of the mean.",
    )
    return [
        tag("ul", *(tag("li", note) for note in dict.fromkeys(notes))),
        *(tag("p", text, class_="small") for text in words),
    ]
