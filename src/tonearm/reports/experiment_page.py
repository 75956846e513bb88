"""The pages of experiments: what settings are worth, accuracy against what is given, settings that were tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tonearm.reports import _charts, _draw
from tonearm.reports import _html as h
from tonearm.reports._draw import WIDTH, Axes, Drawing
from tonearm.reports._html import Safe, tag

MOST_PICTURES = 8


def ablation_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.ablate` as one HTML document."""
    title = f"What the settings of {report['recipe']} are worth"
    sections = [
        ("What each setting is worth", _effects(report)),
        ("All settings that were tried", _cells(report)),
        ("How this was measured", _how(report)),
    ]
    return _page(title, report, _ablation_in_short(report), sections)


def curve_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.curve` as one HTML document."""
    title = f"Accuracy of {report['recipe']} over {report['unit']}"
    sections = [
        ("The curve", _curve(report)),
        ("Each point", _points(report)),
        ("How this was measured", _how(report)),
    ]
    return _page(title, report, _curve_in_short(report), sections)


def tuning_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.tune` as one HTML document."""
    title = f"Settings of {report['recipe']}, tuned"
    sections = [
        ("The best settings", _best(report)),
        ("Trial after trial", _history(report)),
        ("Which settings mattered", _importance(report)),
        ("All trials", _trials(report)),
        ("How this was measured", _how(report)),
    ]
    return _page(title, report, _tuning_in_short(report), sections)


def _page(title: str, report: Mapping[str, Any], short: Sequence[object], sections: Sequence[tuple[str, Any]]) -> str:
    sections = [(heading, body) for heading, body in sections if body]
    judged = report.get("judged_by", report["on"])
    sizes = report["split"]["sizes"]
    what = f"{report['title'] or report['recipe']}, on {report['data']}. "
    what += f"Protocol {report['protocol']}: " + ", ".join(f"{part} {count}" for part, count in sizes.items())
    return h.page(
        title,
        tag("h1", title),
        tag("p", f"{what} tracks. Judged on {judged}.", class_="soft"),
        tag("div", tag("strong", "In short"), tag("ul", *(tag("li", item) for item in short)), class_="box"),
        h.contents(heading for heading, _ in sections),
        *(h.section(heading, *body) for heading, body in sections),
    )


def _how(report: Mapping[str, Any]) -> list[object]:
    code, machine = report["code"], report["machine"]
    commit = f" ({code['commit'][:10]}{'+' if code['commit'].endswith('+') else ''})" if code.get("commit") else ""
    about = f"tonearm {code['tonearm']}{commit}, {machine['processor']}, {machine['cores']} cores."
    notes = [tag("p", note, class_="warn" if "test part, at" in note else None) for note in report["notes"]]
    return [*notes, tag("p", f"{about} Split {report['split']['name']}.", class_="soft small")]


def points(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212") if round(100 * value, 1) else "0"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _ends(pair: Sequence[float | None] | None) -> str:
    if not pair or pair[0] is None:
        return ""
    return f"{100 * pair[0]:.1f} to {100 * pair[1]:.1f}"


def _signed(pair: Sequence[float] | None) -> str:
    return f"{points(pair[0])} to {points(pair[1])}" if pair else ""


def _plain(value: object) -> str:
    from tonearm.experiments._ground import plain

    return plain(value)


def _key(setting: str) -> str:
    return setting.rpartition(".")[2]


# Ablation


def _ablation_in_short(report: Mapping[str, Any]) -> list[object]:
    apart = [effect for effect in report["effects"] if effect["told_apart"]]
    items: list[object] = []
    for effect in sorted(apart, key=lambda effect: -abs(effect["difference"])):
        verb = "gains" if effect["difference"] > 0 else "costs"
        items.append(
            f"{_key(effect['setting'])} {_plain(effect['value'])} in place of {_plain(effect['against'])} {verb} "
            f"{abs(100 * effect['difference']):.1f} points [{_signed(effect['interval'])}]."
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
                f"{_key(setting)} {_plain(effect['value'])}", effect["difference"], effect["interval"],
                f"p = {effect['p_holm']:.2g}", _color(effect),
            )
            for effect in own
        ]  # fmt: skip
        name = f"{setting}, against {_plain(own[0]['against'])}"
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
            effect["setting"], _plain(effect["value"]), _plain(effect["against"]), points(effect["difference"]),
            _signed(effect["interval"]), _signed(effect["interval_over_tracks"]),
            _signed(effect["interval_over_seeds"]), f"{effect['p_holm']:.3g}", "yes" if effect["told_apart"] else "no",
        )
        for effect in effects
    ]  # fmt: skip
    data = [
        (effect["setting"], _plain(effect["value"]), _plain(effect["against"]), effect["over"], effect["difference"],
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
            _charts.Dot(_short(row["name"]), row["accuracy"], row["interval"], _spread(row),
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
            *((_percent(row["accuracy"]), _ends(row["interval"]), _spread(row), f"{row['f1_macro']:.3f}")
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
    return [*parts, *_failures(rows)]


def _short(name: str) -> str:
    """Settings without their sections: a picture has little room."""
    return ", ".join(_key(part.partition("=")[0]) + "=" + part.partition("=")[2] if "=" in part else part
                     for part in name.split(", "))  # fmt: skip


def _spread(row: Mapping[str, Any]) -> str:
    if row.get("sd_over_seeds") is None:
        return ""
    return f"± {100 * row['sd_over_seeds']:.1f}, {len(row['seeds'])} seeds"


def _failures(rows: Sequence[Mapping[str, Any]]) -> list[object]:
    bad = [row for row in rows if row["error"]]
    if not bad:
        return []
    return [tag("h3", "What failed"), tag("ul", *(tag("li", f"{row['name']}: {row['error']}") for row in bad))]


# Curves


def _curve_in_short(report: Mapping[str, Any]) -> list[object]:
    good = [row for row in report["points"] if row["accuracy"] is not None]
    if not good:
        return ["No point has a figure."]
    first, last = good[0], good[-1]
    items: list[object] = []
    if first is not last:
        items.append(
            f"From {_at(first['x'])} to {_at(last['x'])} {report['unit']}: {_percent(first['accuracy'])} to "
            f"{_percent(last['accuracy'])}."
        )
    if last["gain"]:
        told = "which can be told from nothing" if last["gain"]["told_apart"] else "which cannot be told from nothing"
        items.append(
            f"The last step is worth {points(last['gain']['difference'])} points "
            f"[{_signed(last['gain']['interval'])}], {told}."
        )
    return items or [f"{_percent(last['accuracy'])} at the one point that is trained."]


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
                _percent(row["accuracy"]) or row["status"], _ends(row["interval"]), _spread(row),
                *((points(gain["difference"]), _signed(gain["interval"]), f"{gain['p_holm']:.3g}",
                   "yes" if gain["told_apart"] else "no") if gain else ("", "", "", "")),
            )
        )  # fmt: skip
    table = h.table(head, told, numbers=range(7), named="Each point", short=True)
    text = "A step is the difference to the point before, on the same tracks."
    return [tag("p", text), table, *_failures(report["points"])]


# Tuning


def _tuning_in_short(report: Mapping[str, Any]) -> list[object]:
    best, counts = report["best"], report["counts"]
    done = ", ".join(f"{count} {state}" for state, count in counts.items())
    items: list[object] = [f"Trials: {done}."]
    if best:
        items.insert(0, tag("span", f"Best {report['metric']}: ", tag("strong", f"{best['value']:.4f}"),
                            f", in trial {best['number']}."))  # fmt: skip
        first = report["as_it_is"]
        if first:
            items.append(f"The recipe as it is: {first['value']:.4f}.")
        items.append("The best of many is a little too good: judge it once more on tracks that chose nothing.")
    return items


def _best(report: Mapping[str, Any]) -> list[object]:
    best = report["best"]
    if not best:
        return [tag("p", "No trial was finished.")]
    parts: list[object] = []
    if best["n"]:
        parts.append(
            tag("p", f"Accuracy {_percent(best['accuracy'])} [{_ends(best['interval'])}] on the {best['n']:,} tracks "
                "that it was chosen by.")
        )  # fmt: skip
    rows = [(setting, _plain(value), _space(report["space"][setting])) for setting, value in best["settings"].items()]
    parts.append(h.table(("setting", "best", "tried between"), rows, named="The best settings", short=True))
    return [*parts, tag("p", "As settings of a command:"), tag("p", tag("code", report["set_line"]))]


def _space(space: Any) -> str:
    if isinstance(space, list):
        return ", ".join(map(_plain, space))
    how = ", by its logarithm" if space.get("log") else f", by {space['step']:g}" if space.get("step") else ""
    return f"{space['low']:g} to {space['high']:g}{how}"


def _history(report: Mapping[str, Any]) -> list[object]:
    done = [trial for trial in report["trials"] if trial["value"] is not None]
    if not done:
        return []
    least = report["metric"] == "log_loss"
    number = np.array([trial["number"] + 1 for trial in done], float)
    value = np.array([trial["value"] for trial in done])
    best = np.minimum.accumulate(value) if least else np.maximum.accumulate(value)
    draw = Drawing(f"{report['metric']} of each trial")
    axes = _value_axes(draw, value, (0.5, float(number.max()) + 0.5), report["metric"])
    axes.frame(
        x_name="trial", y_name=report["metric"].replace("_", " "), y_words=None if least else _draw.percent,
        x_ticks=[tick for tick in _draw.ticks(0.5, number.max() + 0.5, 8) if tick == round(tick)],
    )  # fmt: skip
    draw.line(axes.x(np.repeat(number, 2)[1:]), axes.y(np.repeat(best, 2)[:-1]), "--c4", 1.6)
    draw.dots(axes.x(number), axes.y(value), "--g2", 3)
    draw.height = axes.top + axes.height + 32
    data = [(trial["number"], trial["value"]) for trial in done]
    caption = "A dot per finished trial; the line is the best so far."
    pruned = report["counts"].get("pruned")
    if pruned:
        caption += f" {pruned} that were worse than most were stopped early and have no dot."
    return [h.figure(draw.svg(), caption, h.download("trials", ("trial", report["metric"]), data))]


def _value_axes(draw: Drawing, value: np.ndarray, x_range: tuple[float, float], metric: str, log: bool = False) -> Axes:
    margin = 0.08 * (float(np.ptp(value)) or 0.1)
    low, high = max(0.0, float(value.min()) - margin), float(value.max()) + margin
    return Axes(
        draw, 44, 20, WIDTH - 64, 150, x_range, (low, high if metric == "log_loss" else min(1.0, high)), x_log=log
    )


def _importance(report: Mapping[str, Any]) -> list[object]:
    parts: list[object] = []
    shares = sorted(report["importance"].items(), key=lambda pair: -pair[1])
    if shares:
        rows = [(_key(setting), share) for setting, share in shares]
        drawing = _charts.bars("Importance of settings", rows, words=lambda value: f"{100 * value:.0f} %")
        caption = "Share of what makes a trial one of the best (PED-ANOVA). With few trials it is a guess."
        parts.append(h.figure(drawing.svg(), caption, h.download("importance", ("setting", "share"), shares)))
    done = [trial for trial in report["trials"] if trial["value"] is not None]
    if len(done) > 1:
        order = [setting for setting, _ in shares] + [s for s in report["space"] if s not in report["importance"]]
        for setting in order[:MOST_PICTURES]:
            parts += [tag("h3", setting), h.figure(_one_setting(report, setting, done).svg())]
    return parts


def _one_setting(report: Mapping[str, Any], setting: str, done: Sequence[Mapping[str, Any]]) -> Drawing:
    """The metric of each trial over one setting: numbers on an axis, other values side by side."""
    space, metric = report["space"][setting], report["metric"]
    draw = Drawing(f"{metric} over {setting}")
    value = np.array([trial["value"] for trial in done])
    if isinstance(space, list):
        names = [_plain(one) for one in space]
        x = np.array([names.index(_plain(trial["settings"][setting])) for trial in done], float)
        axes = _value_axes(draw, value, (-0.6, len(names) - 0.4), metric)
        axes.frame(y_words=None if metric == "log_loss" else _draw.percent, x_ticks=range(len(names)),
                   x_words=lambda place: _charts._cut(names[int(place)], 14))  # fmt: skip
    else:
        x = np.array([trial["settings"][setting] for trial in done], float)
        log = bool(space.get("log"))
        axes = _value_axes(draw, value, (float(space["low"]), float(space["high"])), metric, log)
        axes.frame(y_words=None if metric == "log_loss" else _draw.percent,
                   x_words=lambda place: f"{place:g}")  # fmt: skip
    draw.dots(axes.x(x), axes.y(value), "--g2", 3.2)
    best = report["best"]["number"]
    at = next(i for i, trial in enumerate(done) if trial["number"] == best)
    draw.dots(axes.x(x[at]), axes.y(value[at]), "--c4", 5)
    draw.height = axes.top + axes.height + 20
    return draw


def _trials(report: Mapping[str, Any]) -> list[object]:
    least = report["metric"] == "log_loss"
    settings = list(report["space"])

    def rank(trial: Mapping[str, Any]) -> tuple:
        value = trial["value"]
        return value is None, 0 if value is None else value if least else -value, trial["number"]

    rows = [
        (trial["number"], trial["state"] + (", as it is" if trial["as_it_is"] else ""),
         "" if trial["value"] is None else f"{trial['value']:.4f}",
         *(_plain(trial["settings"][s]) if s in trial["settings"] else "" for s in settings))
        for trial in sorted(report["trials"], key=rank)
    ]  # fmt: skip
    head = ("trial", "state", report["metric"].replace("_", " "), *map(_key, settings))
    numbers = [0, 2, *(3 + i for i, s in enumerate(settings) if not isinstance(report["space"][s], list))]
    first = h.table(head, rows[:10], numbers=numbers, named="The best trials", short=True)
    rest = h.fold(
        f"{len(rows) - 10} more", h.table(head, rows[10:], numbers=numbers, named="All other trials", short=True)
    )
    data = [
        (trial["number"], trial["state"], trial["value"], trial["epochs"], trial["seconds"],
         *(_plain(trial["settings"].get(s, "")) for s in settings), trial["error"])
        for trial in report["trials"]
    ]  # fmt: skip
    columns = ("trial", "state", report["metric"], "epochs", "seconds", *settings, "error")
    failed = [{"name": f"Trial {trial['number']}", "error": trial["error"]} for trial in report["trials"]
              if trial["state"] == "failed"]  # fmt: skip
    return [first, rest if len(rows) > 10 else Safe(""), h.download("all-trials", columns, data), *_failures(failed)]
