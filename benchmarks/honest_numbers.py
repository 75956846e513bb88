"""The figures of docs/honest-numbers.md: what each leak is worth, on packs of real data.

    python benchmarks/honest_numbers.py FOLDER_OF_PACKS [--only gtzan-stats-10s] [--quick]
    python benchmarks/honest_numbers.py FOLDER_OF_PACKS --only gtzan-mel --flip 20

FOLDER_OF_PACKS holds packs by name (gtzan-stats-10s, gtzan-mel, fma-small-mel, fma-small-vggish) and, for the
comparison of duplicates, gtzan-faults/repetitions.tsv. Prints Markdown. With all four it takes about ten minutes on
two cores; `--only` takes one.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from tonearm.audit import Options, audit
from tonearm.audit.doubt import doubtful
from tonearm.audit.quick import from_pack, usable
from tonearm.packs import open_pack
from tonearm.protocols import table_of

PACKS = ("gtzan-stats-10s", "gtzan-mel", "fma-small-mel", "fma-small-vggish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=PACKS, action="append")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--flip", type=int, default=0, help="instead: flip so many labels, and see which are doubted")
    given = parser.parse_args()
    for name in given.only or PACKS:
        if not (given.folder / name / "pack.json").is_file():
            print(f"{name}: no pack here, left out", file=sys.stderr)
            continue
        if given.flip:
            flipped_labels(given.folder / name, given.flip)
            continue
        start, cpu = time.monotonic(), time.process_time()
        report = audit(given.folder / name, options=Options(quick=given.quick))
        print(f"\n## {name}\n\n{report['tracks']:,} tracks, {report['rows']:,} rows; "
              f"{time.monotonic() - start:.0f} s, {time.process_time() - cpu:.0f} s of CPU\n")  # fmt: skip
        inflation(report)
        neighbours(report)
        leakage(report)
        duplicates(report, given.folder / "gtzan-faults" / "repetitions.tsv" if name.startswith("gtzan") else None)
        print(f"\n{len(report['doubtful'])} doubtful labels")
        for row in report["horse"]:
            low, high = row["fall"]["interval"]
            print(f"horse test, {row['change']}: {100 * row['accuracy_before']:.1f} to {100 * row['accuracy']:.1f} %, "
                  f"{row['fall']['points']:+.1f} points lost [{low:+.1f} to {high:+.1f}], n = {row['n']}")  # fmt: skip


def flipped_labels(folder: Path, count: int, draws: int = 2) -> None:
    """Flip labels of tracks drawn at random; how many of them does the list of doubtful labels name?"""
    pack = open_pack(folder)
    quick = usable(from_pack(pack, table_of(pack)))
    genres = np.unique(quick.table.genre)
    for seed in range(draws):
        random = np.random.default_rng(seed)
        chosen = random.choice(len(quick.table), count, replace=False)
        genre = quick.table.genre.copy()
        for i in chosen:
            genre[i] = random.choice(genres[genres != genre[i]])
        found = doubtful(replace(quick, table=replace(quick.table, genre=genre)))
        named = {row["id"] for row in found} & set(quick.table.ids[chosen].tolist())
        print(f"{pack.name}, draw {seed}: {len(named)} of {count} flipped labels among {len(found)} doubtful ones")


def inflation(report: dict) -> None:
    print("| protocol | accuracy | 95 % interval | n (tracks) | worth |\n|---|---|---|---|---|")
    for row in report["inflation"]:
        if "accuracy" not in row:
            continue
        low, high = (100 * x for x in row["interval"])
        worth = ""
        if "worth" in row:
            least, most = row["worth"]["interval"]
            worth = f"{row['worth']['points']:+.1f} [{least:+.1f} to {most:+.1f}] over {row['worth']['against']}"
        print(f"| {row['label']} | {100 * row['accuracy']:.1f} % | {low:.1f} to {high:.1f} | {row['n']:,} | {worth} |")
    first = next((row for row in report["inflation"] if row.get("folds")), None)
    if first:
        print(f"\n{first['classifier']}, {report['features']}; {first['folds']} folds, {first['repeats']} times, "
              f"seeds {first['seeds']}")  # fmt: skip


def neighbours(report: dict) -> None:
    print("\n| nearest neighbour is of | the same track | recording | artist | genre |\n|---|---|---|---|---|")
    for row in report["inflation"]:
        if "neighbour" in row:
            shares = (f"{100 * row['neighbour'][key]:.1f} %" for key in ("track", "recording", "artist", "right"))
            print(f"| {row['label']} | {' | '.join(shares)} |")


def leakage(report: dict) -> None:
    for leak in report["leakage"]:
        print(f"\n{report['split']['name']}: {leak['count']} tracks of {leak['parts'][1]} share the {leak['kind']} "
              f"with {leak['parts'][0]}")  # fmt: skip


def duplicates(report: dict, listed: Path | None) -> None:
    kinds = Counter(duplicate["kind"] for duplicate in report["duplicates"])
    differ = [duplicate["ids"] for duplicate in report["duplicates"] if duplicate["labels_differ"]]
    print(f"\nduplicates: {dict(kinds)}; under two labels: {differ}")
    if not listed or not listed.is_file():
        return
    found = {frozenset((a, b)) for d in report["duplicates"] for a in d["ids"] for b in d["ids"] if a != b}
    with open(listed, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for kind in dict.fromkeys(row["kind"] for row in rows):
        pairs = {frozenset((row["a"], row["b"])) for row in rows if row["kind"] == kind}
        print(f"listed as {kind}: {len(pairs & found)} of {len(pairs)} found as pairs")
    new = [sorted(pair) for pair in found if pair not in {frozenset((row["a"], row["b"])) for row in rows}]
    print(f"found and not listed: {new}")


if __name__ == "__main__":
    main()
