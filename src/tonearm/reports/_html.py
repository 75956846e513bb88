"""The skeleton of every page: style, escaping, tables, and data to take along."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

# Colours as variables, so that the SVG pictures follow the reader's light or dark setting, and print in light.
_STYLE = """
:root { color-scheme: light dark;
  --paper: #fff; --ink: #1c1e21; --soft: #5b6169; --line: #d9dde2; --box: #f4f6f8; --link: #0b57a4;
  --bad: #b3261e; --warn: #9a6200; --good: #1b6e3c;
  --c1: #c2453c; --c2: #d08a1d; --c3: #6b76c9; --c4: #2c7d59; --c5: #8a9099; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181b; --ink: #e8eaed; --soft: #a3aab3; --line: #3a3f46; --box: #1f2226; --link: #8ab8f0;
  --bad: #f28b82; --warn: #f3b765; --good: #7fd0a0;
  --c1: #e5746b; --c2: #e0a84d; --c3: #98a2ee; --c4: #5fbf93; --c5: #7c828b; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --box: #f4f4f4; --link: #000;
  --bad: #8c1d18; --warn: #6b4300; --good: #124d2a;
  --c1: #b23a32; --c2: #b97812; --c3: #5059a8; --c4: #236347; --c5: #777; }
  details::details-content { content-visibility: visible; } .screen, audio { display: none; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; } body { font-size: 10.5pt; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 54rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .6rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } p { margin: .5rem 0; max-width: 44rem; } a { color: var(--link); }
.soft { color: var(--soft); } .small { font-size: .875rem; } .bad { color: var(--bad); } .good { color: var(--good); }
.warn { color: var(--warn); }
.box { background: var(--box); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem;
  margin: 1rem 0; }
.box ul { padding-left: 1.1rem; margin: .3rem 0; } li { margin: .3rem 0; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .875rem; max-width: 44rem; }
svg { display: block; width: 100%; max-width: 34rem; height: auto; }
svg text { fill: var(--ink); font-family: inherit; } svg .soft { fill: var(--soft); }
.scroll { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
@media screen and (max-width: 40rem) { td:not(.number) { min-width: 6rem; }
  td:not(.number):last-child { min-width: 18rem; }
  td:first-child:not(.number) { min-width: 10rem; } }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--link); } code { font-size: .875em; }
audio { width: 14rem; height: 2rem; }
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


def page(title: str, *body: object) -> str:
    """A whole document. The policy forbids everything but what is in it: a title cannot make it fetch or run."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src file: 'self'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{join(body)}\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> Safe:
    """A table that scrolls sideways on a narrow screen; columns in `numbers` are set to the right."""

    def cell(kind: str, i: int, value: object) -> Safe:
        return tag(kind, value, class_="number" if i in numbers else None)

    top = tag("tr", *(cell("th", i, value) for i, value in enumerate(head)))
    body = join(tag("tr", *(cell("td", i, value) for i, value in enumerate(row))) for row in rows)
    return tag("div", tag("table", tag("thead", top), tag("tbody", body)), class_="scroll")


def fold(summary: str, *children: object, open_: bool = False) -> Safe:
    return tag("details", tag("summary", summary), *children, open="" if open_ else None)


def download(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Safe:
    """A link that holds a table as CSV, for whoever wants to draw another picture of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_plain(value) for value in row] for row in rows)
    data = "data:text/csv;charset=utf-8," + quote(text.getvalue(), safe="")
    link = tag("a", f"{name} as CSV", href=data, download=f"{name}.csv")
    return tag("p", link, class_="small screen")


def _plain(value: object) -> object:
    """A title that begins like a formula would be run by a spreadsheet: an apostrophe keeps it text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def link_to(path: str, base: Path | None) -> str:
    """The address of a file for a page that lies in `base`."""
    try:
        relative = os.path.relpath(path, base) if base else path
    except ValueError:  # another drive
        return Path(path).as_uri()
    return quote(relative.replace(os.sep, "/"))
