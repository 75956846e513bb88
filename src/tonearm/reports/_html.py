"""The skeleton of every page: style, escaping, tables, and data to take along."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from urllib.parse import quote

from tonearm import _csv
from tonearm.reports._palette import css

# What is for paper stands last, so that it wins over what is for all.
_STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 54rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .6rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } p { margin: .5rem 0; max-width: 44rem; } a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.soft { color: var(--soft); } .small { font-size: .875rem; } .bad { color: var(--bad); } .good { color: var(--good); }
.warn { color: var(--warn); }
.box { background: var(--box); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem;
  margin: 1rem 0; }
.box ul { padding-left: 1.1rem; margin: .3rem 0; } li { margin: .3rem 0; }
nav ul { list-style: none; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
nav li { margin: 0; } nav a { display: inline-block; padding: .25rem 0; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .875rem; max-width: 44rem; }
.pair { display: grid; gap: 0 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
.pair > * { min-width: 0; }
.card { border-top: 1px solid var(--line); padding: .8rem 0; } .card p { margin: .2rem 0; }
svg { display: block; width: 100%; max-width: 34rem; height: auto; }
svg text { fill: var(--ink); font-family: inherit; } svg .soft { fill: var(--soft); }
audio { display: block; width: 100%; max-width: 20rem; height: 2.5rem; margin: .3rem 0; }
td audio { width: 14rem; height: 2rem; }
.scroll { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; } tbody th { font-weight: 400; }
@media screen and (max-width: 40rem) { td:not(.number) { min-width: 6rem; }
  td:not(.number):last-child { min-width: 18rem; } table.short td:not(.number) { min-width: 0; }
  td:first-child:not(.number) { min-width: 10rem; } }
table.short td:first-child, table.short th:first-child { min-width: 8rem; }
@media print { .scroll { overflow: visible; } .scroll > svg { min-width: 0 !important; } }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--link); padding: .25rem 0; }
code { font-size: .875em; }
@media print { details::details-content { content-visibility: visible; } .screen, audio { display: none; }
  figure, tr, .card { break-inside: avoid; } h2, h3, summary { break-after: avoid; } body { font-size: 10.5pt; } }
"""


class Safe(str):
    """Text that is HTML already. Anything else is escaped where it is put into a page."""

    __slots__ = ()


def html(value: object) -> str:
    return value if isinstance(value, Safe) else escape(str(value), quote=True)


def tag(name: str, *children: object, **attributes: object) -> Safe:
    """One element; `class_` is class, and attributes that are None or False are left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Safe(f"<{name}{shown}>{''.join(html(child) for child in children)}</{name}>")


def join(parts: Iterable[object]) -> Safe:
    return Safe("".join(html(part) for part in parts))


def page(title: str, *body: object, script: str = "", style: str = "") -> str:
    """A whole document. The policy forbids everything but what is in it: a title cannot make it fetch or run."""
    allowed = f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "media-src data: file: 'self'"
    )
    head = f"<style>:root {{ color-scheme: light dark; }}\n{css()}{_STYLE}{style}</style>"
    tail = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html(title)}</title>\n{head}\n</head>\n<body>\n<main>{join(body)}</main>\n{tail}</body>\n</html>\n"
    )


def section(heading: str, *children: object) -> Safe:
    """A part of a page under a heading that `contents` can lead to."""
    return tag("section", tag("h2", heading, id=_anchor(heading)), *children)


def contents(headings: Iterable[str]) -> Safe:
    """Links to the sections with those headings."""
    links = (tag("li", tag("a", heading, href=f"#{_anchor(heading)}")) for heading in headings)
    return tag("nav", tag("ul", *links), aria_label="Contents", class_="screen")


def _anchor(heading: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", heading.lower()))


def figure(picture: object, caption: object = "", *after: object) -> Safe:
    """A picture with its caption, and what belongs to it: the download of its data, a table."""
    return tag("figure", picture, tag("figcaption", caption) if caption else "", *after)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[int] = (),
    named: str = "",
    short: bool = False,
) -> Safe:
    """A table that scrolls sideways on a narrow screen; columns in `numbers` are set to the right.

    `named` is what a screen reader calls it: then the keyboard can scroll it, too. `short`: its cells hold few words,
    so columns may be narrow on a phone.
    """

    def cell(kind: str, i: int, value: object, **more: object) -> Safe:
        return tag(kind, value, class_="number" if i in numbers else None, **more)

    top = tag("tr", *(cell("th", i, value, scope="col") for i, value in enumerate(head)))
    body = join(tag("tr", *(cell("td", i, value) for i, value in enumerate(row))) for row in rows)
    inner = tag("table", tag("thead", top), tag("tbody", body), class_="short" if short else None)
    return scroll(inner, named or f"Table: {', '.join(head)}")


def scroll(content: object, named: str) -> Safe:
    """What may be wider than a phone: it scrolls by itself, by touch and by keyboard."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=named)


def fold(summary: str, *children: object, open_: bool = False, class_: str | None = None) -> Safe:
    return tag("details", tag("summary", summary), *children, open="" if open_ else None, class_=class_)


def download(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Safe:
    """A link that holds a table as CSV, for whoever wants to draw another picture of it."""
    text = "".join(_csv.lines([head, *([_plain(value) for value in row] for row in rows)]))
    data = "data:text/csv;charset=utf-8," + quote(text, safe=",;:/@$!*()+=|[]")
    link = tag("a", f"{name} as CSV", href=data, download=f"{name}.csv")
    return tag("p", link, class_="small screen")


def _plain(value: object) -> object:
    """A title that begins like a formula would be run by a spreadsheet: an apostrophe keeps it text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") and not _is_number(value)
    return f"'{value}" if risky else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def link_to(path: str, base: Path | None) -> str:
    """The address of a file for a page that lies in `base`."""
    try:
        relative = os.path.relpath(path, base) if base else path
    except ValueError:  # another drive
        return Path(path).as_uri()
    return quote(relative.replace(os.sep, "/"))
