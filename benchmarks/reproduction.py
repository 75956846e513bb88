"""Make docs/reproduction.md: train the systems on packs of GTZAN and FMA small and put claims beside measurements.

    python benchmarks/reproduction.py --packs FOLDER -o runs/reproduction

FOLDER holds the packs gtzan-mel, gtzan-stats, gtzan-stats-10s, fma-small-mel and fma-small-vggish. `--audio` is a
folder of GTZAN's audio, of which a few clips of each genre are enough: on it run the systems that need the sound
itself. Every run is a run folder under -o; what is finished is not made again, so the page can be interrupted and
taken up. `--only NAME` runs the recipes that begin so; the page is made of all that is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reproduction_page import AUDIO, page

from tonearm import protocols, recipes
from tonearm.errors import TonearmError
from tonearm.recipes._reproduce import measured, reproduce

ROOT = Path(__file__).parents[1]
ALL = ()


@dataclass(frozen=True)
class Entry:
    """Some recipes on one pack, or on audio. `settings` shorten what would take hours; the table tells them."""

    data: str
    names: Sequence[str]
    seeds: int = 1
    protocols: Sequence[str] = ALL
    settings: Mapping[str, Any] = field(default_factory=dict)


def epochs(number: int) -> dict[str, int]:
    return {"training.epochs": number}


CHEAP = [f"baseline-{name}" for name in ("majority", "nearest", "logistic", "lda", "linear-svm", "rbf-svm")]
HONEST = ("official", "track", "artist")
# Three seeds where training takes minutes, one where it takes tens of them; in the order of what is learnt per minute.
PLAN = (
    Entry("gtzan-stats", [*CHEAP, "baseline-boosting"]),
    Entry("gtzan-stats", ["baseline-forest"], seeds=3),
    Entry("gtzan-mel", CHEAP),
    Entry("gtzan-stats-10s", [f"{model}-{what}{scaled}" for model in ("svm", "knn") for what in ("zcr", "mfcc")
                              for scaled in ("", "-scaled")]),
    Entry("fma-small-vggish", ["baseline-linear-probe", "baseline-rbf-svm", "baseline-lda", "baseline-logistic"]),
    Entry("fma-small-mel", CHEAP),
    Entry("fma-small-mel", ["fma-baseline"]),
    Entry("fma-small-mel", ["cuny-dense"], 3, ALL, epochs(40)),
    Entry("gtzan-mel", ["velamati-cnn1d"], 3, HONEST, epochs(25)),
    Entry("gtzan-mel", ["lstm-mfcc+svm", "lstm-mfcc+knn"], 3, ("segment", *HONEST), epochs(20)),
    Entry("gtzan-mel", ["lstm-mfcc-bidirectional+svm", "lstm-mfcc-bidirectional+knn"], 3, HONEST, epochs(20)),
    Entry("gtzan-mel", ["falola-cnn1d"], 3, ("segment", *HONEST), epochs(15)),
    Entry("gtzan-mel", ["li-dilated-2", "li-dilated-3"], 3, HONEST, epochs(20)),
    Entry("gtzan-mel", ["njupt-cnn2d"], 3, HONEST, epochs(30)),
    Entry("gtzan-mel", [f"njupt-cnn2d-{name}" for name in ("3-layers", "4-layers", "elu", "gelu", "plain", "mfcc",
                                                           "kernel-5", "kernel-7")], 3, ("official",), epochs(30)),
    Entry("gtzan-mel", ["velamati-cnn2d", "dong-cnn2d"], 3, HONEST, epochs(12)),
    Entry("gtzan-mel", ["random-cnn+svm"], 1, ("official",)),
    Entry("fma-small-mel", ["padova-spec-segmented", "padova-spec-segmented-dropout"], 3, HONEST, epochs(8)),
    Entry("fma-small-mel", ["padova-spec-whole", "padova-spec-whole-dropout"], 3, HONEST, epochs(8)),
    Entry("fma-small-mel", ["lam-cnn1d"], 3, HONEST, epochs(10)),
    Entry("fma-small-mel", ["lam-cnn1d-colours"], 3, HONEST, epochs(6)),
    Entry("fma-small-mel", ["cuny-cnn2d", "crnn1d"], 3, HONEST, epochs(10)),
    Entry("fma-small-mel", ["bian-cnn1d"], 3, HONEST, epochs(8)),
    Entry("fma-small-mel", ["cnn-rnn", "bian-densenet1d"], 3, HONEST, epochs(4)),
    Entry("fma-small-mel", ["choi-crnn"], 3, ("official",), epochs(1)),
    Entry(AUDIO, [f"lstm-{what}{both}+{model}" for what in ("zcr", "lowlevel") for both in ("", "-bidirectional")
                  for model in ("svm", "knn")], 1, ("track",), epochs(20)),
    Entry(AUDIO, ["svm-zcr", "knn-zcr"], 1, ("track",)),
    Entry(AUDIO, [f"padova-{what}-{clip}{dropout}" for what in ("raw", "both") for clip in ("segmented", "whole")
                  for dropout in ("", "-dropout")], 1, ("track",), epochs(5)),
    Entry(AUDIO, ["cuny-vgg16", "cuny-vgg16-plain"], 1, ("track",), epochs(2)),
    Entry(AUDIO, ["cuny-vgg16-progressive", "allamy-resnet1d"], 1, ("track",), epochs(1)),
    Entry("gtzan-mel", ["cuny-vgg16", "cuny-vgg16-plain", "cuny-vgg16-progressive"], 1, ("official",), epochs(2)),
    Entry("fma-small-mel", ["cuny-vgg16", "cuny-vgg16-progressive"], 1, ("official",), epochs(1)),
)  # fmt: skip
ORDER = ("segment", "track", "artist", "balanced", "official")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", required=True, type=Path)
    parser.add_argument("--audio", type=Path, help="a folder of GTZAN's audio, a folder per genre")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--only", default="", help="only recipes whose name begins so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reproduction.md")
    parser.add_argument("--no-training", action="store_true", help="make the page of what is finished")
    arguments = parser.parse_args()
    for entry in () if arguments.no_training else PLAN:
        train(entry, arguments)
    rows = [row for data in dict.fromkeys(entry.data for entry in PLAN) for row in rows_of(arguments.output / data)]
    planned = [(name, entry.data, protocol) for entry in PLAN for name in entry.names for protocol in entry.protocols]
    arguments.page.write_text(page(rows, list(dict.fromkeys(planned))), encoding="utf-8")
    print(f"{arguments.page}: {len(rows)} systems", file=sys.stderr)


def train(entry: Entry, arguments: argparse.Namespace) -> None:
    """Make the runs of an entry that are not there yet."""
    if entry.data == AUDIO and not arguments.audio:
        return
    data = f"gtzan:{arguments.audio}" if entry.data == AUDIO else str(arguments.packs / entry.data)
    names = [name for name in entry.names if name.startswith(arguments.only)]
    reproduce(
        names, data, arguments.output / entry.data, recipes.Options(adapt=True, threads=arguments.threads),
        protocols=entry.protocols, seeds=entry.seeds, settings=entry.settings,
    )  # fmt: skip


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """A row per recipe with finished runs in the folder of a pack, as `reproduce` gives them, from the runs alone."""
    rows = []
    planned = [name for entry in PLAN if entry.data == folder.name for name in entry.names]
    there = [at.name for at in folder.iterdir() if at.is_dir()] if folder.is_dir() else []
    for name in sorted({*there} & {*recipes.names()}, key=lambda name: (name not in planned, planned.index(name)
                                                                        if name in planned else 0, name)):  # fmt: skip
        recipe, results = recipes.get(name), []
        for at in sorted((folder / name).iterdir(), key=place):
            protocol = at.name.removeprefix("published-")
            try:
                found = measured(at)
            except TonearmError:
                continue  # begun, and not finished
            as_published = at.name != protocol and recipe.claim is not None
            leaky = protocols.registry.get(protocol).leaky
            results.append({"protocol": protocol, "as_published": as_published, "leaky": leaky, **found})
        if results:
            claim = recipe.claim.model_dump() if recipe.claim else None
            rows.append({"recipe": name, "claim": claim, "caveats": list(recipe.caveats), "data": folder.name,
                         "error": None, "results": results})  # fmt: skip
    return rows


def place(at: Path) -> int:
    name = at.name.removeprefix("published-")
    return ORDER.index(name) if name in ORDER else len(ORDER)


if __name__ == "__main__":
    main()
