"""What the pages of experiments have in common: their frame, how it was measured, and figures in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.reports import _html as h
from tonearm.reports._html import tag


def page(title: str, report: Mapping[str, Any], short: Sequence[object], sections: Sequence[tuple[str, Any]]) -> str:
    """The frame of all pages of experiments: what was tried on what, in short, and the sections that say something."""
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


def how_measured(report: Mapping[str, Any]) -> list[object]:
    """What to know of the figures, and what made them."""
    code, machine = report["code"], report["machine"]
    commit = f" ({code['commit'][:10]}{'+' if code['commit'].endswith('+') else ''})" if code.get("commit") else ""
    about = f"tonearm {code['tonearm']}{commit}, {machine['processor']}, {machine['cores']} cores."
    notes = [tag("p", note, class_="warn" if "test part, at" in note else None) for note in report["notes"]]
    return [*notes, tag("p", f"{about} Split {report['split']['name']}.", class_="soft small")]


def points(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212") if round(100 * value, 1) else "0"


def percent(value: float | None) -> str:
    """A share in percent, or nothing where there is none."""
    return "" if value is None else f"{100 * value:.1f} %"


def interval(pair: Sequence[float | None] | None) -> str:
    """The ends of an interval of a share, in percent."""
    if not pair or pair[0] is None:
        return ""
    return f"{100 * pair[0]:.1f} to {100 * pair[1]:.1f}"


def signed(pair: Sequence[float] | None) -> str:
    """The ends of an interval of a difference, in points."""
    return f"{points(pair[0])} to {points(pair[1])}" if pair else ""


def plain(value: object) -> str:
    """A value of a setting as it is written on a command line."""
    from tonearm.experiments import _ground

    return _ground.plain(value)


def key(setting: str) -> str:
    """A setting without its section."""
    return setting.rpartition(".")[2]


def spread(row: Mapping[str, Any]) -> str:
    """How far seeds lie apart, where there are several."""
    if row.get("sd_over_seeds") is None:
        return ""
    return f"± {100 * row['sd_over_seeds']:.1f}, {len(row['seeds'])} seeds"


def failures(rows: Sequence[Mapping[str, Any]]) -> list[object]:
    """What went wrong, row by row."""
    bad = [row for row in rows if row["error"]]
    if not bad:
        return []
    return [tag("h3", "What failed"), tag("ul", *(tag("li", f"{row['name']}: {row['error']}") for row in bad))]
