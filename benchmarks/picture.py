"""The picture of the README: what each leak is worth, from the JSON of an audit.

tonearm audit packs/gtzan-stats-10s --json > audit.json
python benchmarks/picture.py audit.json docs/pictures/inflation.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tonearm.reports import _audit_words as words
from tonearm.reports import _svg

# The page's colours, with a ground of its own so that it reads on a light and on a dark page.
STYLE = """<style>svg { --ink: #1c1e21; --box: #e9ecef; --c1: #c2453c; --c2: #d08a1d; --c3: #6b76c9; --c4: #2c7d59;
--c5: #8a9099; font-family: system-ui, sans-serif } text { fill: #1c1e21 } .soft { fill: #5b6169 }</style>"""
COLORS = {"segment": "--c1", "track": "--c2", "recording": "--c3", "artist": "--c4"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    report = json.loads(given.audit.read_text(encoding="utf-8"))
    rows = [row for row in report["inflation"] if row["protocol"] in COLORS]
    bars = [
        _svg.Bar(words.PROTOCOLS[row["protocol"]], row["accuracy"], tuple(row["interval"]), "", COLORS[row["protocol"]])
        for row in rows
    ]
    genres = report["genres"]
    chance = max(genres.values()) / sum(genres.values())
    picture = _svg.bars(
        f"{report['name']}: one classifier, split in four ways", bars, mark=(chance, "always naming one genre")
    )
    head, _, rest = picture.partition("<title>")
    height = float(head.split('viewBox="0 0 ')[1].split('"')[0].split()[1])
    head = head.replace("<svg ", f'<svg width="720" height="{2 * height:.0f}" ', 1)
    ground = f'<rect x="-6" y="-6" width="{_svg.WIDTH + 12}" height="{height + 12}" rx="4" fill="#fff"/>'
    head = head.replace('viewBox="0 0 ', 'viewBox="-6 -6 ', 1).replace(
        f"{_svg.WIDTH} {height:.0f}", f"{_svg.WIDTH + 12} {height + 12:.0f}", 1
    )
    title, _, body = rest.partition("</title>")
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    given.picture.write_text(f"{head}<title>{title}</title>{STYLE}{ground}{body}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
