"""The page of a tuning: the best settings, trial after trial, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tonearm.reports import _charts, _draw
from tonearm.reports import _html as h
from tonearm.reports._draw import WIDTH, Axes, Drawing
from tonearm.reports._experiment import failures, how_measured, interval, key, page, percent, plain
from tonearm.reports._html import Safe, tag

MOST_PICTURES = 8


def tuning_page(report: dict[str, Any]) -> str:
    """The report of `tonearm.experiments.tune` as one HTML document."""
    title = f"Settings of {report['recipe']}, tuned"
    sections = [
        ("The best settings", _best(report)),
        ("Trial after trial", _history(report)),
        ("Which settings mattered", _importance(report)),
        ("All trials", _trials(report)),
        ("How this was measured", how_measured(report)),
    ]
    return page(title, report, _tuning_in_short(report), sections)


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
            tag("p", f"Accuracy {percent(best['accuracy'])} [{interval(best['interval'])}] on the {best['n']:,} tracks "
                "that it was chosen by.")
        )  # fmt: skip
    rows = [(setting, plain(value), _space(report["space"][setting])) for setting, value in best["settings"].items()]
    parts.append(h.table(("setting", "best", "tried between"), rows, named="The best settings", short=True))
    return [*parts, tag("p", "As settings of a command:"), tag("p", tag("code", report["set_line"]))]


def _space(space: Any) -> str:
    if isinstance(space, list):
        return ", ".join(map(plain, space))
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
        rows = [(key(setting), share) for setting, share in shares]
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
        names = [plain(one) for one in space]
        x = np.array([names.index(plain(trial["settings"][setting])) for trial in done], float)
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
         *(plain(trial["settings"][s]) if s in trial["settings"] else "" for s in settings))
        for trial in sorted(report["trials"], key=rank)
    ]  # fmt: skip
    head = ("trial", "state", report["metric"].replace("_", " "), *map(key, settings))
    numbers = [0, 2, *(3 + i for i, s in enumerate(settings) if not isinstance(report["space"][s], list))]
    first = h.table(head, rows[:10], numbers=numbers, named="The best trials", short=True)
    rest = h.fold(
        f"{len(rows) - 10} more", h.table(head, rows[10:], numbers=numbers, named="All other trials", short=True)
    )
    data = [
        (trial["number"], trial["state"], trial["value"], trial["epochs"], trial["seconds"],
         *(plain(trial["settings"].get(s, "")) for s in settings), trial["error"])
        for trial in report["trials"]
    ]  # fmt: skip
    columns = ("trial", "state", report["metric"], "epochs", "seconds", *settings, "error")
    failed = [{"name": f"Trial {trial['number']}", "error": trial["error"]} for trial in report["trials"]
              if trial["state"] == "failed"]  # fmt: skip
    return [first, rest if len(rows) > 10 else Safe(""), h.download("all-trials", columns, data), *failures(failed)]
