"""The page of a curve: accuracy against what is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tonearm.reports import _draw
from tonearm.reports import _html as h
from tonearm.reports._draw import WIDTH, Axes, Drawing
from tonearm.reports._experiment import failures, how_measured, interval, page, percent, points, signed, spread
from tonearm.reports._html import tag


def curve_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.curve` as one HTML document."""
    title = f"Accuracy of {report['recipe']} over {report['unit']}"
    sections = [
        ("The curve", _curve(report)),
        ("Each point", _points(report)),
        ("How this was measured", how_measured(report)),
    ]
    return page(title, report, _curve_in_short(report), sections)


def _curve_in_short(report: Mapping[str, Any]) -> list[object]:
    good = [row for row in report["points"] if row["accuracy"] is not None]
    if not good:
        return ["No point has a figure."]
    first, last = good[0], good[-1]
    items: list[object] = []
    if first is not last:
        items.append(
            f"From {_at(first['x'])} to {_at(last['x'])} {report['unit']}: {percent(first['accuracy'])} to "
            f"{percent(last['accuracy'])}."
        )
    if last["gain"]:
        told = "which can be told from nothing" if last["gain"]["told_apart"] else "which cannot be told from nothing"
        items.append(
            f"The last step is worth {points(last['gain']['difference'])} points "
            f"[{signed(last['gain']['interval'])}], {told}."
        )
    return items or [f"{percent(last['accuracy'])} at the one point that is trained."]


def _curve(report: Mapping[str, Any]) -> list[object]:
    good = [row for row in report["points"] if row["accuracy"] is not None]
    if not good:
        return []
    over = good[0]["interval_over"] or "tracks"
    caption = f"Accuracy with 95 % intervals over {over} (band)"
    caption += "; small circles are single seeds." if any(len(row["by_seed"] or ()) > 1 for row in good) else "."
    data = [
        (row["x"], row["accuracy"], *row["interval"], row["n"], row["sd_over_seeds"],
         *((row["gain"]["difference"], *row["gain"]["interval"]) if row["gain"] else ("", "", "")))
        for row in good
    ]  # fmt: skip
    columns = (report["over"], "accuracy", "low", "high", "n", "sd_over_seeds", "gain", "gain_low", "gain_high")
    return [h.figure(_curve_drawing(report, good).svg(), caption, h.download("curve", columns, data))]


def _curve_drawing(report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Drawing:
    draw = Drawing(f"Accuracy over {report['unit']}")
    x = np.array([row["x"] for row in rows], float)
    mean = np.array([row["accuracy"] for row in rows])
    low, high = np.array([[edge if edge is not None else row["accuracy"] for edge in row["interval"]]
                          for row in rows]).T  # fmt: skip
    # Doublings are what counts of things that are counted; a share of overlap has no doublings.
    log = report["over"] in ("tracks", "segments") and x.min() > 0 and x.max() > 3 * x.min()
    seeds = [value for row in rows for value in row["by_seed"] or ()]
    floor, top = max(0.0, min(low.min(), *seeds, 1) - 0.03), min(1.0, max(high.max(), *seeds, 0) + 0.03)
    ends = (float(x.min()), float(x.max()) if x.max() > x.min() else float(x.min()) + 1)
    margin = ends[1] / ends[0] if log else ends[1] - ends[0]
    wide = (
        (ends[0] / margin**0.04, ends[1] * margin**0.04) if log else (ends[0] - 0.04 * margin, ends[1] + 0.04 * margin)
    )
    axes = Axes(draw, 44, 20, WIDTH - 62, 190, wide, (floor, top), x_log=log)
    axes.frame(
        x_name=report["unit"], y_name="accuracy", y_words=_draw.percent, x_ticks=_apart(axes, x),
        x_words=_at,
    )  # fmt: skip
    draw.area(axes.x(np.concatenate([x, x[::-1]])), axes.y(np.concatenate([low, high[::-1]])), "--g2", 0.2)
    for row in rows:
        if len(row["by_seed"] or ()) > 1:
            draw.dots(
                axes.x(np.full(len(row["by_seed"]), row["x"])), axes.y(row["by_seed"]), "--soft", 2.2, hollow=True
            )
    draw.line(axes.x(x), axes.y(mean), "--g2", 2)
    draw.dots(axes.x(x), axes.y(mean), "--g2", 4)
    draw.height = axes.top + axes.height + 32
    return draw


def _at(value: float) -> str:
    """A place on the curve: the mean of some counts has no digits that matter."""
    return f"{value:,.0f}" if value >= 20 else f"{value:,.4g}"


def _apart(axes: Axes, x: np.ndarray, room: float = 34) -> list[float]:
    """The points as ticks, but for those whose words would run into the one before."""
    kept: list[float] = []
    for value in x.tolist():
        if not kept or float(axes.x(value)) - float(axes.x(kept[-1])) >= room:
            kept.append(value)
    return kept


def _points(report: Mapping[str, Any]) -> list[object]:
    head = (
        report["unit"],
        "accuracy",
        "95 % interval",
        "over seeds",
        "step",
        "95 % interval",
        "p (Holm)",
        "told apart",
    )
    told = []
    for row in report["points"]:
        gain = row["gain"]
        told.append(
            (
                _at(row["x"]),
                percent(row["accuracy"]) or row["status"], interval(row["interval"]), spread(row),
                *((points(gain["difference"]), signed(gain["interval"]), f"{gain['p_holm']:.3g}",
                   "yes" if gain["told_apart"] else "no") if gain else ("", "", "", "")),
            )
        )  # fmt: skip
    table = h.table(head, told, numbers=range(7), named="Each point", short=True)
    text = "A step is the difference to the point before, on the same tracks."
    return [tag("p", text), table, *failures(report["points"])]
