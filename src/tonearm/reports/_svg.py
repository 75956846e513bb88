"""Pictures as SVG text, 360 units wide: a phone shows them at their size, a screen and paper half as large again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tonearm.reports._html import Safe, html

WIDTH = 360
LEFT, RIGHT = 4, 62


@dataclass(frozen=True)
class Bar:
    """One bar of a share: `value` and `interval` from 0 to 1, `note` the line below it, `color` a CSS variable."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    note: str = ""
    color: str = "--c4"


def _text(x: float, y: float, words: str, *, size: float = 12, anchor: str = "start", class_: str = "", bold=False):
    style = f' class="{class_}"' if class_ else ""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{weight}{style}>{html(words)}</text>'
    )


def _svg(height: float, title: str, parts: Sequence[str]) -> Safe:
    return Safe(
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html(title)}</title>{''.join(parts)}</svg>"
    )


def _wrapped(words: str, most: int = 58) -> list[str]:
    import textwrap

    return textwrap.wrap(words, most)


def bars(title: str, rows: Sequence[Bar], *, mark: tuple[float, str] | None = None) -> Safe:
    """Horizontal bars of shares with intervals; `mark` is a line at a share with its name, such as chance."""
    span = WIDTH - LEFT - RIGHT
    parts, y = [], 6.0
    for row in rows:
        parts.append(_text(LEFT, y + 12, row.label, bold=True))
        y += 17
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{span}" height="15" fill="var(--box)"/>')
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{span * row.value:.1f}" height="15" fill="var({row.color})" rx="1"/>'
        )
        if row.interval:
            low, high = (LEFT + span * x for x in row.interval)
            parts.append(
                f'<path d="M{low:.1f} {y + 7.5}H{high:.1f}M{low:.1f} {y + 3.5}v8M{high:.1f} {y + 3.5}v8"'
                ' stroke="var(--ink)" stroke-width="1.4" fill="none"/>'
            )
        parts.append(_text(WIDTH, y + 12, f"{100 * row.value:.1f} %", anchor="end", bold=True))
        if mark:
            x = LEFT + span * mark[0]
            parts.append(f'<path d="M{x:.1f} {y - 2}v19" stroke="var(--ink)" stroke-dasharray="2 2"/>')
        y += 17
        for line in _wrapped(row.note):
            parts.append(_text(LEFT, y + 11, line, size=11, class_="soft"))
            y += 14
        y += 9
    if mark:
        parts.append(_text(LEFT, y + 8, f"dashed: {mark[1]} ({100 * mark[0]:.1f} %)", size=11, class_="soft"))
        y += 14
    return _svg(y, title, parts)


def stacked(
    title: str, rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], colors: Sequence[str]
) -> Safe:
    """Bars that are divided into shares, with a legend; what is missing to one is left empty."""
    span = WIDTH - 2 * LEFT
    parts, y, x = [], 4.0, float(LEFT)
    for name, color in zip(names, colors, strict=True):
        width = 24 + 6.6 * len(name)
        if x + width > WIDTH:
            x, y = float(LEFT), y + 16
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="10" height="10" fill="var({color})"/>')
        parts.append(_text(x + 14, y + 9.5, name, size=11))
        x += width
    y += 22
    for label, shares in rows:
        parts.append(_text(LEFT, y + 12, label, bold=True))
        y += 17
        x = float(LEFT)
        for share, color in zip(shares, colors, strict=True):
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{span * share:.1f}" height="18" fill="var({color})"/>')
            if share >= 0.09:
                parts.append(
                    f'<text x="{x + span * share / 2:.1f}" y="{y + 13}" font-size="11" text-anchor="middle"'
                    f' style="fill: var(--paper)">{100 * share:.0f} %</text>'
                )
            x += span * share
        y += 27
    return _svg(y, title, parts)


def before_after(title: str, rows: Sequence[tuple[str, float, float, str]]) -> Safe:
    """Two dots on a line per row: (label, before, after, colour of after)."""
    span = WIDTH - LEFT - RIGHT
    parts, y = [], 6.0
    for label, before, after, color in rows:
        parts.append(_text(LEFT, y + 12, label))
        parts.append(_text(WIDTH, y + 30, f"{100 * after:.1f} %", anchor="end", bold=True))
        y += 26
        a, b = LEFT + span * before, LEFT + span * after
        parts.append(f'<path d="M{LEFT} {y}H{LEFT + span}" stroke="var(--line)"/>')
        parts.append(f'<path d="M{a:.1f} {y}H{b:.1f}" stroke="var({color})" stroke-width="3"/>')
        parts.append(
            f'<circle cx="{a:.1f}" cy="{y}" r="5.5" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>'
        )
        parts.append(f'<circle cx="{b:.1f}" cy="{y}" r="4" fill="var({color})"/>')
        y += 16
    parts.append(
        _text(LEFT, y + 8, "open circle: unchanged; filled: changed; scale from 0 to 100 %", size=11, class_="soft")
    )
    return _svg(y + 14, title, parts)
