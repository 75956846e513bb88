"""The page of an ablation: what each setting is worth, and all settings that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.reports import _charts
from tonearm.reports import _html as h
from tonearm.reports._experiment import (
    failures,
    how_measured,
    interval,
    key,
    page,
    percent,
    plain,
    points,
    signed,
    spread,
)
from tonearm.reports._html import tag


def ablation_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.ablate` as one HTML document."""
    title = f"What the settings of {report['recipe']} are worth"
    sections = [
        ("What each setting is worth", _effects(report)),
        ("All settings that were tried", _cells(report)),
        ("How this was measured", how_measured(report)),
    ]
    return page(title, report, _ablation_in_short(report), sections)


def _ablation_in_short(report: Mapping[str, Any]) -> list[object]:
    apart = [effect for effect in report["effects"] if effect["told_apart"]]
    items: list[object] = []
    for effect in sorted(apart, key=lambda effect: -abs(effect["difference"])):
        verb = "gains" if effect["difference"] > 0 else "costs"
        items.append(
            f"{key(effect['setting'])} {plain(effect['value'])} in place of {plain(effect['against'])} {verb} "
            f"{abs(100 * effect['difference']):.1f} points [{signed(effect['interval'])}]."
        )
    rest = len(report["effects"]) - len(apart)
    if rest:
        items.append(
            f"{rest} of {len(report['effects'])} changes cannot be told from no change with these tracks and seeds."
        )
    failed = sum(row["accuracy"] is None for row in report["cells"])
    if failed:
        items.append(f"{failed} of {len(report['cells'])} settings have no figure.")
    return items or ["There is nothing to compare."]


def _effects(report: Mapping[str, Any]) -> list[object]:
    effects = report["effects"]
    if not effects:
        return []
    parts: list[object] = [
        tag(
            "p",
            "Points of accuracy that a value gains (right of the dashed line) or costs against the recipe's own, on "
            "the same tracks"
            + (", averaged over all values of the other settings" if report["grid"] else "")
            + ". Lines are 95 % intervals over tracks and seeds; p is corrected for the number of changes (Holm).",
        )
    ]
    ends = _symmetric([edge for effect in effects for edge in effect["interval"]])
    for setting in dict.fromkeys(effect["setting"] for effect in effects):
        own = [effect for effect in effects if effect["setting"] == setting]
        dots = [
            _charts.Dot(
                f"{key(setting)} {plain(effect['value'])}", effect["difference"], effect["interval"],
                f"p = {effect['p_holm']:.2g}", _color(effect),
            )
            for effect in own
        ]  # fmt: skip
        name = f"{setting}, against {plain(own[0]['against'])}"
        drawing = _charts.intervals(name, dots, ends=ends, words=points, mark=(0.0, "no difference"))
        parts += [tag("h3", name), h.figure(drawing.svg())]
    head = (
        "setting",
        "value",
        "against",
        "points",
        "95 % interval",
        "over tracks",
        "over seeds",
        "p (Holm)",
        "told apart",
    )
    told = [
        (
            effect["setting"], plain(effect["value"]), plain(effect["against"]), points(effect["difference"]),
            signed(effect["interval"]), signed(effect["interval_over_tracks"]),
            signed(effect["interval_over_seeds"]), f"{effect['p_holm']:.3g}", "yes" if effect["told_apart"] else "no",
        )
        for effect in effects
    ]  # fmt: skip
    data = [
        (effect["setting"], plain(effect["value"]), plain(effect["against"]), effect["over"], effect["difference"],
         *effect["interval"], effect["p_value"], effect["p_holm"], effect["told_apart"])
        for effect in effects
    ]  # fmt: skip
    columns = ("setting", "value", "against", "pairs", "difference", "low", "high", "p_value", "p_holm", "told_apart")
    table = h.table(head, told, numbers=range(3, 8), named="What each setting is worth", short=True)
    return [*parts, table, h.download("effects", columns, data)]


def _color(effect: Mapping[str, Any]) -> str:
    if not effect["told_apart"]:
        return "--g2"
    return "--c4" if effect["difference"] > 0 else "--c1"


def _symmetric(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis with nought in the middle, a little wider than all values."""
    most = min(1.0, 1.05 * max((abs(value) for value in values), default=0.1) or 0.1)
    return -most, most


def _cells(report: Mapping[str, Any]) -> list[object]:
    rows = sorted(report["cells"], key=lambda row: (row["accuracy"] is None, -(row["accuracy"] or 0), row["name"]))
    good = [row for row in rows if row["accuracy"] is not None]
    parts: list[object] = []
    if good:
        dots = [
            _charts.Dot(_short(row["name"]), row["accuracy"], row["interval"], spread(row),
                        "--c4" if row["name"] == "as it is" else "--g2")
            for row in good
        ]  # fmt: skip
        caption = (
            "Accuracy of each, the best first, with intervals over tracks. They overlap because all are judged on the "
            "same few tracks; the differences above are what the comparison rests on."
        )
        parts.append(h.figure(_charts.intervals("Accuracy of all settings", dots).svg(), caption))
    head = ("settings", "accuracy", "95 % interval", "over seeds", "macro F1", "parameters", "seconds")
    told = [
        (
            row["name"],
            *((percent(row["accuracy"]), interval(row["interval"]), spread(row), f"{row['f1_macro']:.3f}")
              if row["accuracy"] is not None else (row["status"], "", "", "")),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['seconds']:,.0f}" if row["seconds"] is not None else "",
        )
        for row in rows
    ]  # fmt: skip
    parts.append(h.table(head, told, numbers=range(1, 7), named="All settings", short=True))
    data = [
        (row["name"], row["status"], row["accuracy"], *(row["interval"] or ("", "")), row["n"], row["sd_over_seeds"],
         row["f1_macro"], row["parameters"], row["seconds"], row["error"])
        for row in rows
    ]  # fmt: skip
    columns = ("settings", "status", "accuracy", "low", "high", "n", "sd_over_seeds", "f1_macro", "parameters",
               "seconds", "error")  # fmt: skip
    parts.append(h.download("settings", columns, data))
    return [*parts, *failures(rows)]


def _short(name: str) -> str:
    """Settings without their sections: a picture has little room."""
    return ", ".join(key(part.partition("=")[0]) + "=" + part.partition("=")[2] if "=" in part else part
                     for part in name.split(", "))  # fmt: skip
