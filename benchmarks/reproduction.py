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

from tonearm import protocols, recipes, runs
from tonearm.errors import TonearmError
from tonearm.recipes._reproduce import markdown, measured, reproduce

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


AUDIO = "audio"
CHEAP = [f"baseline-{name}" for name in ("majority", "nearest", "logistic", "lda", "linear-svm", "rbf-svm")]
HONEST = ("official", "track", "artist")
# In the order of what is learnt per minute: first one seed of every system, then what takes minutes thrice.
PLAN = (
    Entry("gtzan-stats", [*CHEAP, "baseline-boosting"]),
    Entry("gtzan-stats", ["baseline-forest"], seeds=3),
    Entry("gtzan-mel", CHEAP),
    Entry("gtzan-stats-10s", [f"{model}-{what}{scaled}" for model in ("svm", "knn") for what in ("zcr", "mfcc")
                              for scaled in ("", "-scaled")]),
    Entry("fma-small-vggish", ["baseline-linear-probe", "baseline-rbf-svm", "baseline-lda"]),
    Entry("fma-small-mel", CHEAP),
    Entry("fma-small-mel", ["fma-baseline"]),
    Entry("fma-small-mel", ["cuny-dense"], 3, ALL, epochs(40)),
    Entry("gtzan-mel", ["velamati-cnn1d"], 3, HONEST, epochs(25)),
    Entry("gtzan-mel", ["lstm-mfcc+svm"], 3, ("segment", "artist", "official"), epochs(20)),
    Entry("gtzan-mel", ["lstm-mfcc+knn"], 1, ("segment", "official"), epochs(20)),
    Entry("gtzan-mel", ["falola-cnn1d"], 1, ("segment", "official"), epochs(15)),
    Entry("gtzan-mel", ["li-dilated-2", "li-dilated-3"], 1, ("track", "official"), epochs(20)),
    Entry("gtzan-mel", ["njupt-cnn2d"], 1, HONEST, epochs(30)),
    Entry("gtzan-mel", ["velamati-cnn2d", "dong-cnn2d"], 1, ("track", "official"), epochs(12)),
    Entry("gtzan-mel", ["random-cnn+svm"], 1, ("official",)),
    Entry("fma-small-mel", ["lam-cnn1d"], 3, ("official",), epochs(10)),
    Entry("fma-small-mel", ["lam-cnn1d-colours"], 1, ("official",), epochs(6)),
    Entry("fma-small-mel", ["crnn1d", "cuny-cnn2d"], 1, ("official",), epochs(10)),
    Entry("fma-small-mel", ["bian-cnn1d", "padova-spec-segmented", "padova-spec-whole"], 1, ("official",), epochs(8)),
    Entry("fma-small-mel", ["cnn-rnn", "bian-densenet1d"], 1, ("official",), epochs(4)),
    Entry(AUDIO, [f"lstm-{what}+svm" for what in ("zcr", "lowlevel", "lowlevel-bidirectional")] + ["lstm-zcr+knn"], 1,
          ("track",), epochs(20)),
    Entry(AUDIO, ["svm-zcr", "knn-zcr"], 1, ("track",)),
    Entry(AUDIO, ["padova-raw-segmented", "padova-both-segmented"], 1, ("track",), epochs(5)),
    Entry(AUDIO, ["cuny-vgg16"], 1, ("track",), epochs(2)),
    Entry(AUDIO, ["cuny-vgg16-progressive", "allamy-resnet1d"], 1, ("track",), epochs(1)),
    Entry("gtzan-mel", ["njupt-cnn2d-3-layers", "njupt-cnn2d-elu"], 1, ("official",), epochs(30)),
    Entry("gtzan-mel", ["njupt-cnn2d-kernel-5", "lstm-mfcc-bidirectional+svm", "njupt-cnn2d-mfcc"], 1, ("official",),
          epochs(20)),
    Entry("fma-small-mel", ["choi-crnn"], 1, ("official",), epochs(1)),
)  # fmt: skip
ORDER = ("segment", "track", "artist", "balanced", "official")

HEAD = """# Claims and measurements

What the authors of each system claim, and what tonearm measured: under the protocol of the claim, and under protocols
that keep songs or artists apart. This page is made by a script from run folders; nothing on it was typed:

```console
python benchmarks/reproduction.py --packs packs -o runs/reproduction
```

One system alone, on a pack or on audio of your own:

```console
tonearm reproduce svm-mfcc --data packs/gtzan-stats-10s --adapt -o reproduction --markdown
```

How to read it:

- **Accuracy** is per track (the votes of its clips joined), under `segment` per segment, in percent, with its 95 %
  interval by bootstrap over artists where they are known, else over tracks; segments never count as independent.
  `±` is the standard deviation over seeds, which is another thing than the interval.
- **track** deals whole clips at random: copies and songs of one artist stand on both sides. **artist** keeps artists
  and recordings together. **official** is the dataset's own split: GTZAN's fault-filtered one, FMA's own.
  **segment** deals pieces of songs at random; it is leaky, and here only because it was published.
- **part**: the packs of FMA hold no test tracks, so `official` is FMA's validation part there. It chose nothing:
  the epoch was chosen on artists held back from training. FMA's validation part is known to be easier than its test
  part, by 4 to 9 points for simple models.
- **adapted**: the pack holds log-mel bands at few frames a second or a table of statistics, not what the paper fed
  its model; what was changed stands in the last column, and so does a shortened training.
- **training** is the time of all seeds together on {machine}, which much other work
  shared: it says what order of time a system takes, not how fast it is. No longer training was done than the last
  column says, and no more than one seed where the column says 1: differences below the intervals mean nothing.
"""


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
    arguments.page.write_text(page(rows), encoding="utf-8")
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


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """The whole page: GTZAN, FMA small, what could be run on little sound only, and what was not run."""
    machine = runs.machine()
    words = f"one core of an {machine['processor']} ({machine['cores']} cores, {machine['memory_gb']} GB)"
    parts = [HEAD.format(machine=words), in_short(rows)]
    for title, prefix in (("GTZAN", "gtzan"), ("FMA small", "fma")):
        some = [row for row in rows if row["data"].startswith(prefix)]
        parts.append(f"\n## {title}\n")
        for pack in dict.fromkeys(row["data"] for row in some):
            parts.append(f"\n### From the pack `{pack}`\n\n" + markdown([row for row in some if row["data"] == pack]))
    heard = [row for row in rows if row["data"] == AUDIO]
    parts.append("\n## Could not be run at full size\n\n" + FULL_SIZE)
    if heard:
        n = heard[0]["results"][0]["n"]
        parts.append(HEARD.format(n=n) + markdown(heard))
    parts.append("\n### Not run\n\n" + not_run({row["recipe"] for row in rows}))
    return "".join(parts)


def in_short(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the tables say about protocols and scalers, in sentences whose figures come from the rows."""
    found = {
        (row["recipe"], row["data"], result["protocol"]): result
        for row in rows
        for result in row["results"]
        if not result["error"]
    }

    def rate(recipe: str, pack: str, protocol: str) -> float:
        return 100 * found[recipe, pack, protocol]["accuracy"]

    wanted = (
        ("lstm-mfcc+svm", "gtzan-mel", "segment", "official", "- The LSTM whose embedding goes to an SVM has {a:.1f} % "
         "where pieces of one song are in training and test, as published, and {b:.1f} % on GTZAN's fault-filtered "
         "split: same system, same clips."),
        ("baseline-rbf-svm", "gtzan-stats", "track", "artist", "- One SVM on one table of statistics has {a:.1f} % on "
         "GTZAN with tracks dealt at random and {b:.1f} % with artists kept apart."),
        ("cuny-dense", "fma-small-mel", "track", "artist", "- On FMA small, which has many artists, the same step "
         "costs the dense net little: {a:.1f} % and {b:.1f} %."),
    )  # fmt: skip
    lines = []
    for recipe, pack, one, other, text in wanted:
        if {(recipe, pack, one), (recipe, pack, other)} <= {*found}:
            lines.append(text.format(a=rate(recipe, pack, one), b=rate(recipe, pack, other)))
    if {("svm-mfcc", "gtzan-stats-10s", "track"), ("svm-mfcc-scaled", "gtzan-stats-10s", "track")} <= {*found}:
        bare, scaled = (rate(name, "gtzan-stats-10s", "track") for name in ("svm-mfcc", "svm-mfcc-scaled"))
        lines.append(
            f"- A scaler alone takes the SVM on MFCC statistics of whole tracks dealt at random from {bare:.1f} % to "
            f"{scaled:.1f} %; the report that sets deep features above it left the scaler out."
        )
    official = {
        row["recipe"]: result["accuracy"]
        for row in rows
        for result in row["results"]
        if row["data"] == "gtzan-mel" and result["protocol"] == "official"
    }
    nets = {name: rate for name, rate in official.items() if not name.startswith(("baseline-", "random-cnn"))}
    if nets and {"random-cnn+svm", "baseline-lda"} <= {*official}:
        best = max(nets, key=nets.__getitem__)
        lines.append(
            f"- On GTZAN's fault-filtered split the best of {len(nets)} systems with nets, in the short trainings of "
            f"this page, is `{best}` with {100 * nets[best]:.1f} %. An SVM on what a net of random weights embeds has "
            f"{100 * official['random-cnn+svm']:.1f} %, discriminant analysis on statistics of the same bands "
            f"{100 * official['baseline-lda']:.1f} %."
        )
    return "\n## In short\n\n" + "\n".join(lines) + "\n" if lines else ""


FULL_SIZE = """No pack of bands holds what these systems learn from: samples at 22,050 or 44,100 Hz, zero crossings,
several low-level features at once. VGG16 takes hours on the one core that was there (0.07 s a clip where its last four
convolutions learn, 7 minutes an epoch of FMA small), and the weights of ImageNet with which it begins were not to be
had.
"""
HEARD = """
Below they ran, at their real size, on what sound there was: 50 clips of GTZAN of about 15 s, dealt at random. That
shows that they run from audio to figures. **{n} test clips cannot rank systems**; the intervals say so.

"""
NEEDS = {
    "raw": "needs samples, which no pack of bands holds; it runs from audio",
    "zcr": "needs zero crossings, which no pack of bands holds; it runs from audio",
    "stack": "needs several low-level features, which no pack of bands holds; it runs from audio",
}


def not_run(known: set[str]) -> str:
    """Every other recipe with the reason: no pack gives what it needs, or nobody had the hours."""
    lines = [
        "These train (the test suite runs every one of them on synthesised audio), but have no figures here.",
        "",
        "| recipe | claim | why |",
        "| --- | --- | --- |",
    ]
    for name in recipes.names():
        if name in known:
            continue
        recipe = recipes.get(name)
        reason = NEEDS.get(recipe.feature["kind"], "it runs adapted; the training was not done for want of time")
        if recipe.model["kind"].startswith("vgg16"):
            reason = "hours on one core, and the weights of ImageNet with which it begins were not to be had"
        claim = f"{100 * recipe.claim.value:.4g} % ({recipe.claim.dataset})" if recipe.claim else "none"
        lines.append(f"| `{name}` | {claim} | {reason} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
