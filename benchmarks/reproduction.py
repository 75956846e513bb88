"""Make docs/reproduction.md: train the systems on packs of GTZAN and FMA small and put claims beside measurements.

    python benchmarks/reproduction.py --packs FOLDER -o runs/reproduction

FOLDER holds the packs gtzan-mel, gtzan-stats, gtzan-stats-10s, fma-small-mel and fma-small-vggish. Every run is a run
folder under -o; what is finished is not made again, so the page can be interrupted and taken up. `--only NAME` runs
the recipes that begin so; the page is made of all that is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tonearm import recipes
from tonearm.errors import TonearmError
from tonearm.recipes._reproduce import markdown, reproduce

ROOT = Path(__file__).parents[1]
ALL = ()


@dataclass(frozen=True)
class Entry:
    """Some recipes on one pack. `settings` shorten what would take hours; the table tells them."""

    pack: str
    names: Sequence[str]
    seeds: int = 1
    protocols: Sequence[str] = ALL
    settings: Mapping[str, Any] = field(default_factory=dict)


def epochs(number: int) -> dict[str, int]:
    return {"training.epochs": number}


CHEAP = [f"baseline-{name}" for name in ("majority", "nearest", "logistic", "lda", "linear-svm", "rbf-svm")]
PLAN = (
    Entry("gtzan-stats", [*CHEAP, "baseline-boosting"]),
    Entry("gtzan-stats", ["baseline-forest"], seeds=3),
    Entry("gtzan-mel", CHEAP[1:]),
    Entry("gtzan-stats-10s", [f"{model}-{what}{scaled}" for model in ("svm", "knn") for what in ("zcr", "mfcc")
                              for scaled in ("", "-scaled")]),
    Entry("gtzan-mel", ["velamati-cnn1d"], 3, ("track", "artist", "official"), epochs(25)),
    Entry("gtzan-mel", ["lstm-mfcc+svm"], 3, ("segment", "artist", "official"), epochs(20)),
    Entry("fma-small-vggish", ["baseline-linear-probe", "baseline-rbf-svm", "baseline-lda"]),
    Entry("fma-small-mel", CHEAP),
    Entry("fma-small-mel", ["fma-baseline"]),
    Entry("fma-small-mel", ["cuny-dense"], 3, ALL, epochs(40)),
    Entry("fma-small-mel", ["lam-cnn1d"], 3, ("official",), epochs(10)),
    Entry("gtzan-mel", ["li-dilated-2", "li-dilated-3"], 3, ("track", "official"), epochs(20)),
    Entry("fma-small-mel", ["padova-spec-segmented"], 1, ("official",), epochs(15)),
    Entry("fma-small-mel", ["crnn1d"], 1, ("official",), epochs(10)),
    Entry("gtzan-mel", ["njupt-cnn2d"], 1, ("track", "artist", "official"), epochs(30)),
    Entry("fma-small-mel", ["bian-densenet1d"], 1, ("track", "official"), epochs(8)),
    Entry("gtzan-mel", ["lstm-mfcc+knn"], 1, ("segment", "official"), epochs(20)),
    Entry("gtzan-mel", ["falola-cnn1d"], 1, ("segment", "official"), epochs(15)),
    Entry("fma-small-mel", ["cuny-cnn2d"], 1, ("official",), epochs(10)),
    Entry("gtzan-mel", ["velamati-cnn2d", "dong-cnn2d"], 1, ("track", "official"), epochs(12)),
    Entry("fma-small-mel", ["cnn-rnn", "padova-spec-whole"], 1, ("official",), epochs(8)),
    Entry("fma-small-mel", ["lam-cnn1d-colours"], 1, ("official",), epochs(8)),
    Entry("gtzan-mel", ["random-cnn+svm"], 1, ("official",)),
    Entry("gtzan-mel", ["njupt-cnn2d-3-layers", "njupt-cnn2d-kernel-5", "njupt-cnn2d-elu"], 1, ("official",),
          epochs(30)),
)  # fmt: skip

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
- **training** is the time of all seeds together on {machine}, which other work shared.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", required=True, type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--only", default="", help="only recipes whose name begins so")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reproduction.md")
    parser.add_argument("--no-training", action="store_true", help="make the page of what is finished")
    arguments = parser.parse_args()
    rows = []
    for entry in PLAN:
        names = [name for name in entry.names if name.startswith(arguments.only)]
        if arguments.no_training:
            names = [name for name in names if finished(arguments.output / entry.pack / name)]
        data = arguments.packs / entry.pack
        options = recipes.Options(adapt=True, threads=arguments.threads)
        protocols = entry.protocols
        for name in names:
            if arguments.no_training:
                protocols = [one for one in entry.protocols or done(arguments.output / entry.pack / name)
                             if one in done(arguments.output / entry.pack / name)]  # fmt: skip
            rows += reproduce(
                [name], str(data), arguments.output / entry.pack, options, protocols=protocols, seeds=entry.seeds,
                settings=entry.settings,
            )  # fmt: skip
    text = page(rows, arguments.packs).replace(str(arguments.output), "RUNS").replace(str(arguments.packs), "PACKS")
    arguments.page.write_text(text, encoding="utf-8")
    print(f"{arguments.page}: {len(rows)} systems", file=sys.stderr)


def finished(folder: Path) -> bool:
    return bool(done(folder))


def done(folder: Path) -> list[str]:
    """Protocols of which all runs are finished."""
    from tonearm import runs

    found = []
    for at in sorted(folder.iterdir()) if folder.is_dir() else ():
        below = [runs.describe(run) for run in runs.find([at])]
        if below and all(row["status"] == "finished" for row in below) and (
            runs.is_run(at) or (at / "summary.json").is_file()
        ):  # fmt: skip
            found.append(at.name.removeprefix("published-"))
    order = ["segment", "track", "artist", "balanced", "official"]
    return sorted(found, key=lambda name: order.index(name) if name in order else 9)


def page(rows: Sequence[Mapping[str, Any]], packs: Path) -> str:
    """The whole page: GTZAN, FMA small, and what was not run."""
    from tonearm import runs

    machine = runs.machine()
    words = f"one core of an {machine['processor']} ({machine['cores']} cores, {machine['memory_gb']} GB)"
    parts = [HEAD.format(machine=words), in_short(rows)]
    for title, prefix in (("GTZAN", "gtzan"), ("FMA small", "fma")):
        some = [row for row in rows if str(row["data"]).startswith(prefix)]
        parts.append(f"\n## {title}\n")
        for pack in dict.fromkeys(row["data"] for row in some):
            parts.append(f"\n### From the pack `{pack}`\n\n" + markdown([row for row in some if row["data"] == pack]))
    parts.append("\n## Not run here\n\n" + not_run({row["recipe"] for row in rows}, packs))
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
    return "\n## In short\n\n" + "\n".join(lines) + "\n" if lines else ""


def not_run(known: set[str], packs: Path) -> str:
    """Every other recipe with the reason: the pack cannot give what it needs, or nobody had the hours."""
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
        pack = packs / ("gtzan-mel" if recipe.dataset == "gtzan" else "fma-small-mel")
        try:
            recipes.open_material(recipe, pack, adapt=True, quiet=True)
            reason = "it can be run adapted; the training was not done for want of time"
        except TonearmError as error:
            reason = error.message
        claim = f"{100 * recipe.claim.value:.4g} % ({recipe.claim.dataset})" if recipe.claim else "none"
        lines.append(f"| `{name}` | {claim} | {reason} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
