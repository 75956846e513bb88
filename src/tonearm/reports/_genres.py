"""What pages tell genre by genre: how good it is at each, and what is taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tonearm.evaluation.metrics import confusion_rows
from tonearm.reports import _charts
from tonearm.reports import _html as h
from tonearm.reports._html import tag
from tonearm.reports._run_data import RunData


def by_genre(found: RunData) -> list[object]:
    """How good it is at each genre: a picture, a table and all figures to take along."""
    rows = found.own["per_genre"]
    ordered = sorted(rows, key=lambda genre: -(rows[genre]["f1"] or 0.0))
    dots = [
        _charts.Dot(genre, rows[genre]["f1"], rows[genre]["f1_interval"], f"n = {rows[genre]['n']}")
        for genre in ordered
    ]
    head = ("genre", "n", "answered", "precision [95 %]", "recall [95 %]", "F1 [95 %]", "ROC-AUC")
    table = [
        (
            genre,
            rows[genre]["n"],
            rows[genre]["predicted"],
            *(with_ends(rows[genre][key], rows[genre][f"{key}_interval"], 2) for key in ("precision", "recall", "f1")),
            with_ends(rows[genre]["roc_auc"], None, 2),
        )
        for genre in ordered
    ]
    columns = ("genre", "n", "predicted", "precision", "precision_low", "precision_high", "recall", "recall_low",
               "recall_high", "f1", "f1_low", "f1_high", "roc_auc", "average_precision")  # fmt: skip
    data = [
        (
            genre, row["n"], row["predicted"],
            *(value for key in ("precision", "recall", "f1") for value in (row[key], *row[f"{key}_interval"])),
            row["roc_auc"], row["average_precision"],
        )
        for genre, row in rows.items()
    ]  # fmt: skip
    caption = "F1 of each genre with its 95 % interval, the best first: few tracks, or few artists, make it wide."
    if found.how == "seeds":
        caption += " Figures and ends of intervals are means over the seeds."
    return [
        h.figure(_charts.intervals("F1 by genre", dots, words=lambda v: f"{v:.2f}").svg(), caption),
        h.table(head, table, numbers=range(1, 7), named="Figures by genre", short=True),
        h.download("genres", columns, data),
    ]


def confusions(found: RunData) -> list[object]:
    """What is taken for what: in percent, counted, and the commonest mistakes."""
    counts = np.array(found.own["confusion"]["counts"])
    shares = np.nan_to_num(confusion_rows(counts))
    classes = found.classes
    pictures = [
        (_charts.matrix("Confusions in percent of each genre", classes, shares, shares=shares, percent=True),
         "Of 100 of a genre (rows), how many were called what."),
        (_charts.matrix("Confusions counted", classes, counts, shares=shares, percent=False), "The same, counted."),
    ]  # fmt: skip
    drawn = [h.figure(h.scroll(one.svg(), one.title), caption) for one, caption in pictures]
    pairs = Counter({(a, b): int(counts[a, b]) for a, b in zip(*np.nonzero(counts), strict=True) if a != b})
    told = [
        (classes[a], classes[b], n, f"{100 * shares[a, b]:.0f} %", int(counts[b, a]))
        for (a, b), n in pairs.most_common(8)
    ]
    head = ("genre", "answer", "how often", "of the genre", "the other way round")
    data = [(name, *row) for name, row in zip(classes, counts.tolist(), strict=True)]
    several = " Counts are those of all seeds together." if found.how == "seeds" else ""
    return [
        tag("p", f"Green is right, red is wrong.{several}", class_="small soft"),
        tag("div", *drawn, class_="pair"),
        h.table(head, told, numbers=(2, 3, 4), named="The commonest mistakes", short=True),
        h.download("confusion", ("genre", *classes), data),
    ]


def with_ends(value: float | None, ends: Sequence[float | None] | None, digits: int = 3) -> str:
    """A figure with the ends of its interval, where it has one."""
    if value is None:
        return "none"
    shown = f"{value:.{digits}f}"
    return shown if not ends or ends[0] is None else f"{shown} [{ends[0]:.{digits}f} to {ends[1]:.{digits}f}]"
