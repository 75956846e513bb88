"""The page of a model judged on some data: how good it is there, how sure it may be, and what it knew before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tonearm.reports import _charts
from tonearm.reports import _html as h
from tonearm.reports._genres import by_genre, confusions
from tonearm.reports._html import Safe, tag

_ROWS = 30


def evaluation_page(found: dict[str, Any], warnings: list[str]) -> str:
    """One HTML document of what `tonearm evaluate --json` prints; `warnings` are what a reader must know first."""
    own = SimpleNamespace(own=found, classes=found["confusion"]["classes"], how="one")
    sections = [
        ("Genre by genre", by_genre(own)),
        ("What is taken for what", confusions(own)),
        ("How sure it may be", _sure(found)),
        *((f"By {column}", _by(column, rows)) for column, rows in found["by"].items()),
        ("Files that could not be used", _failed(found["failed"])),
    ]
    sections = [(heading, body) for heading, body in sections if body]
    title = f"{found['model']} on {found['data']}"
    how = f", protocol {found['protocol']}" if found["protocol"] else ""
    return h.page(
        f"Evaluation: {title}",
        tag("h1", f"Evaluation: {title}"),
        tag(
            "p",
            f"{found['split']}{how}, {found['n']:,} {found['unit']}s; model {found['model_version']}",
            class_="soft",
        ),
        _in_short(found, warnings),
        h.contents(heading for heading, _ in sections),
        *(h.section(heading, *body) for heading, body in sections),
    )


def _in_short(found: dict[str, Any], warnings: list[str]) -> Safe:
    items = [tag("li", tag("strong", f"Accuracy {_rate(found)}"), f", over {found['interval_groups']} "
                 f"{found['interval_over']}; balanced {_percent(found['balanced_accuracy'])}, macro F1 "
                 f"{_percent(found['f1_macro'])}.")]  # fmt: skip
    if found["segments"]:
        items.append(tag("li", f"Per segment: accuracy {_rate(found['segments'])}, n = {found['segments']['n']:,}."))
    items.append(tag("li", f"{_more(found)}."))
    if found["leaky"]:
        items.append(tag("li", tag("strong", "Leaky:", class_="bad"), " clips of the same songs were learnt."))
    items += [tag("li", tag("strong", "Take care:", class_="warn"), f" {sentence}.") for sentence in warnings]
    others = found["seen_in_training"]["accuracy_of_the_others"]
    if others:
        items.append(tag("li", f"Without what it knew of its training: {_rate(others)}, n = {others['n']}."))
    half, sure = found["coverage"]["half"], found["coverage"]["sure"]
    items.append(tag("li", f"Of the {_percent(half['coverage'], 0)} it is surest of, {_rate(half)} are right."))
    if sure and sure["accuracy"] is not None:
        items.append(
            tag("li", f"It calls itself sure of {_percent(sure['coverage'], 0)}, and is right in {_rate(sure)}.")
        )
    return tag("div", tag("strong", "In short"), tag("ul", *items), class_="box")


def _more(found: dict[str, Any]) -> str:
    words = [f"top {k} {_percent(value)}" for k, value in found["top_k"].items()]
    words += [
        f"{name} {found[key]:.{digits}f}"
        for name, key, digits in (("ROC-AUC", "roc_auc_macro", 3), ("average precision", "average_precision_macro", 3),
                                  ("log-loss", "log_loss", 2))
        if found[key] is not None
    ]  # fmt: skip
    words = ", ".join(words)
    return words[:1].upper() + words[1:]


def _sure(found: dict[str, Any]) -> list[object]:
    told, chance = found["calibrated"], found["calibrated"]["ece_by_chance"]
    bins = [tuple(row[key] for key in ("low", "high", "n", "confidence", "accuracy")) for row in told["reliability"]]
    text = (
        f"Expected calibration error {told['ece']:.3f}; a perfectly calibrated model with these confidences would show "
        f"{chance['mean']:.3f} on average and rarely more than {chance['limit']:.3f}. The temperature of the model is "
        f"{told['temperature']:.2f}."
    )
    curve = found["coverage"]["curve"]
    share, accuracy = (np.array([row[key] for row in curve]) for key in ("coverage", "accuracy"))
    ends = np.array([row["interval"] for row in curve], dtype=float)
    ends = np.where(np.isnan(ends), accuracy[:, None], ends)
    wanted = [_wanted(row) for row in found["coverage"]["wanted"]]
    return [
        tag("p", text),
        *(tag("p", sentence) for sentence in wanted),
        tag(
            "div",
            h.figure(
                _charts.reliability("Reliability", bins).svg(),
                "Of what it was so sure of, so much was right. On the dashed line it is as good as it thinks.",
                h.download("reliability", ("low", "high", "n", "confidence", "accuracy"), bins),
            ),
            h.figure(
                _charts.coverage("Accuracy against coverage", share, accuracy, ends[:, 0], ends[:, 1]).svg(),
                "Accuracy of the answers given, when only the surest share is answered, with its 95 % band.",
                h.download("coverage", ("coverage", "accuracy", "low", "high"),
                           list(zip(share, accuracy, ends[:, 0], ends[:, 1], strict=True))),
            ),
            class_="pair",
        ),
    ]  # fmt: skip


def _wanted(row: dict[str, Any]) -> str:
    share = _percent(row["wanted"], 0)
    if row["threshold"] is None:
        return f"No threshold makes {share} of its answers right here."
    return (
        f"{share} of its answers are right from a probability of {row['threshold']:.3f} on, which it has for "
        f"{_percent(row['coverage'], 0)} of the tracks (as found on these very tracks)."
    )


def _by(column: str, rows: list[dict[str, Any]]) -> list[object]:
    dots = [_charts.Dot(row["value"] or "(unknown)", row["accuracy"], row["interval"], f"n = {row['n']}")
            for row in rows[:_ROWS]]  # fmt: skip
    data = [(row["value"], row["n"], row["accuracy"], *row["interval"]) for row in rows]
    more = f" The {_ROWS} worst of {len(rows)}; the table has all." if len(rows) > _ROWS else ""
    return [
        h.figure(
            _charts.intervals(f"Accuracy by {column}", dots).svg(), f"Accuracy by {column}, the worst first.{more}"
        ),
        h.download(f"by-{column}", (column, "n", "accuracy", "low", "high"), data),
    ]


def _failed(failed: list[dict[str, str]]) -> list[object]:
    if not failed:
        return []
    rows = [(entry["path"], entry["message"]) for entry in failed]
    return [tag("p", "They are not judged."), h.table(("file", "reason"), rows, named="Files that could not be used")]


def _percent(value: float | None, digits: int = 1) -> str:
    return "none" if value is None else f"{100 * value:.{digits}f} %"


def _rate(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    if low is None or high is None:
        return _percent(row["accuracy"])
    return f"{_percent(row['accuracy'])} [{100 * low:.1f} to {100 * high:.1f}]"
