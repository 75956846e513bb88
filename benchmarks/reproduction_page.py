"""The page that benchmarks/reproduction.py makes: every sentence with a figure takes it from run folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tonearm import recipes, runs
from tonearm.evaluation import Interval
from tonearm.evaluation.figures import independent_groups
from tonearm.evaluation.metrics import right
from tonearm.evaluation.paired import paired_difference
from tonearm.recipes._reproduce import markdown

Row = Mapping[str, Any]
AUDIO = "audio"
SEEDS = 3

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
- **seeds**: three for nets; VGG16, which takes long, and what ran on [few clips](#could-not-be-run-at-full-size)
  have [one](#short-of-what-was-planned). What has no chance in it (discriminant analysis, SVM, neighbours, the net of
  fixed random weights) has one, because all would be equal. The split is the same for all seeds.
- **training** is the time of all seeds together on {machine}, which much other work
  shared: it says what order of time a system takes, not how fast it is.
- **Rows must not be ranked by their figures**: most intervals overlap. What can be told apart on the same tracks
  stands in [What one change does](#what-one-change-does).
"""


def page(rows: Sequence[Row], planned: Sequence[tuple[str, str, str]] = ()) -> str:
    """The whole page: GTZAN, FMA small, what could be run on little sound only, and what was not run.

    `planned` are recipes with data and protocol that ought to have a row.
    """
    machine = runs.machine()
    words = f"one core of an {machine['processor']} ({machine['cores']} cores, {machine['memory_gb']} GB)"
    parts = [HEAD.format(machine=words), in_short(rows)]
    for title, prefix in (("GTZAN", "gtzan"), ("FMA small", "fma")):
        some = [row for row in rows if row["data"].startswith(prefix)]
        parts.append(f"\n## {title}\n")
        for pack in dict.fromkeys(row["data"] for row in some):
            parts.append(f"\n### From the pack `{pack}`\n\n" + markdown([row for row in some if row["data"] == pack]))
    parts.append(changes(rows))
    heard = [row for row in rows if row["data"] == AUDIO]
    parts.append("\n## Could not be run at full size\n\n" + FULL_SIZE)
    if heard:
        n = heard[0]["results"][0]["n"]
        parts.append(HEARD.format(n=n) + markdown(heard))
    parts.append("\n### Short of what was planned\n\n" + fewer(rows, planned))
    parts.append("\n### Not run\n\n" + not_run({row["recipe"] for row in rows}))
    return "".join(parts)


def found_in(rows: Sequence[Row]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Results by recipe, data and protocol."""
    return {
        (row["recipe"], row["data"], result["protocol"]): result
        for row in rows
        for result in row["results"]
        if not result["error"]
    }


def told(share: float, interval: Sequence[float]) -> str:
    return f"{100 * share:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def points(difference: Interval) -> str:
    value, low, high = (100 * one for one in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def is_net(row: Row) -> bool:
    """Whether training goes by epochs: it took parameters, and something was learnt of them."""
    recipe = recipes.get(row["recipe"])
    return bool(row["results"][0].get("parameters")) and not recipe.untrained


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two intervals have nothing in common."""
    return one["interval"][0] > other["interval"][1] or other["interval"][0] > one["interval"][1]


def against(one: Mapping[str, Any], other: Mapping[str, Any]) -> Interval | None:
    """The difference of two results on the same tracks, paired, seeds averaged; None where the tracks differ."""
    some, rest = hits(one), hits(other)
    if some[0] != rest[0]:
        return None
    return paired_difference(some[1], rest[1], groups=some[2])


def hits(result: Mapping[str, Any]) -> tuple[list[str], np.ndarray, Any]:
    """Tracks in order, the share of seeds that had each right, and their groups."""
    finished = [at for at in sorted(runs.find([result["folder"]])) if runs.describe(at)["status"] == "finished"]
    unit = result.get("unit") or "track"
    answers = [runs.read_predictions(at, result["part"], unit=unit) for at in finished]
    order = np.argsort(answers[0].ids, kind="stable")
    groups = independent_groups(answers[0])[0]
    shares = np.mean([right(one.truth, one.probabilities) for one in answers], axis=0)
    return (
        [answers[0].ids[i] for i in order], shares[order],
        None if groups is None else np.asarray(groups)[order],
    )  # fmt: skip


def in_short(rows: Sequence[Row]) -> str:
    """What the tables say about protocols, scalers and nets; nothing is compared that chance alone would do."""
    found = found_in(rows)
    lines = [
        line
        for line in (
            _two(found, ("lstm-mfcc+svm", "gtzan-mel", "segment"), ("lstm-mfcc+svm", "gtzan-mel", "official"),
                 "The LSTM whose embedding goes to an SVM has {one} of the segments right where pieces of one song "
                 "are in training and test, as published, and {other} of the tracks on GTZAN's fault-filtered split."),
            _two(found, ("baseline-rbf-svm", "gtzan-stats", "track"), ("baseline-rbf-svm", "gtzan-stats", "artist"),
                 "One SVM on one table of statistics has {one} on GTZAN with tracks dealt at random and {other} with "
                 "artists kept apart."),
            _two(found, ("cuny-dense", "fma-small-mel", "track"), ("cuny-dense", "fma-small-mel", "artist"),
                 "On FMA small, which has many artists, the same step {verb}: the dense net has {one} and {other}."),
            _two(found, ("svm-mfcc", "gtzan-stats-10s", "track"), ("svm-mfcc-scaled", "gtzan-stats-10s", "track"),
                 "A scaler alone takes the SVM on MFCC statistics of whole tracks dealt at random from {one} to "
                 "{other}; the report that sets deep features above it left the scaler out."),
            _nets(rows, found, "gtzan-mel", "baseline-lda", "GTZAN's fault-filtered split",
                  "discriminant analysis on statistics of the same bands"),
            _nets(rows, found, "fma-small-mel", "baseline-rbf-svm", "FMA small's validation part",
                  "an SVM on statistics of the same bands"),
        )
        if line
    ]  # fmt: skip
    return "\n## In short\n\n" + "\n".join(lines) + "\n" if lines else ""


def _two(found: Mapping, first: tuple[str, str, str], second: tuple[str, str, str], text: str) -> str:
    """A sentence on two results; one that says they differ only where their intervals do."""
    if not {first, second} <= {*found}:
        return ""
    one, other = found[first], found[second]
    differ = apart(one, other)
    if not differ and "{verb}" not in text:
        return ""
    verb = "costs something" if differ else "costs nothing that these tracks could show"
    return "- " + text.format(
        one=told(one["accuracy"], one["interval"]), other=told(other["accuracy"], other["interval"]), verb=verb
    )


def _nets(rows: Sequence[Row], found: Mapping, pack: str, base: str, split: str, words: str) -> str:
    """Every net of a pack against one classical baseline, paired on the same tracks."""
    if (base, pack, "official") not in found:
        return ""
    there = found[base, pack, "official"]
    counts = {"better": 0, "worse": 0, "neither": 0}
    for row in rows:
        if row["data"] == pack and (row["recipe"], pack, "official") in found and is_net(row):
            difference = against(found[row["recipe"], pack, "official"], there)
            if difference is not None:
                sign = "better" if difference.low > 0 else "worse" if difference.high < 0 else "neither"
                counts[sign] += 1
    total = sum(counts.values())
    if not total:
        return ""
    return (
        f"- On {split} {words} has {told(there['accuracy'], there['interval'])}. Of {total} systems with nets, in the "
        f"short trainings of this page, {counts['better']} can be told to be better on the same tracks, "
        f"{counts['worse']} to be worse, and {counts['neither']} cannot be told apart from it."
    )


# What differs in one thing from what: variant, base, in words.
PAIRS = (
    *((f"njupt-cnn2d-{name}", "njupt-cnn2d", words) for name, words in (
        ("3-layers", "three layers, not five"), ("4-layers", "four layers, not five"), ("kernel-5", "kernels of 5"),
        ("kernel-7", "kernels of 7"), ("elu", "ELU"), ("gelu", "GELU"), ("plain", "without batch normalisation"),
        ("mfcc", "pictures of MFCC"))),
    ("li-dilated-3", "li-dilated-2", "three dilated layers, not two"),
    *((f"lstm-mfcc-bidirectional{end}", f"lstm-mfcc{end}", "read in both directions") for end in ("+svm", "+knn")),
    ("lstm-mfcc+svm", "lstm-mfcc+knn", "an SVM on the embedding, not KNN"),
    *((f"{model}-{what}-scaled", f"{model}-{what}", "scaled") for model in ("svm", "knn") for what in ("zcr", "mfcc")),
    *((f"padova-spec-{clip}-dropout", f"padova-spec-{clip}", "dropout 0.2") for clip in ("whole", "segmented")),
    ("padova-spec-segmented", "padova-spec-whole", "pieces of 3 s, not whole tracks"),
    ("lam-cnn1d-colours", "lam-cnn1d", "a colour picture of the bands"),
    ("cuny-vgg16-plain", "cuny-vgg16", "without rotation, shifts and flips"),
)  # fmt: skip
CHANGES = """
## What one change does

Pairs that differ in one thing, trained equally long and judged on the same tracks: the difference is paired, track by
track, seeds averaged, its interval by bootstrap over artists. Where the interval holds 0, nothing was shown; with
{count} pairs one or two would leave it out by chance. Differences between seeds are not in it: a pair with one seed
may be luck of the start.

| change | systems | data, protocol | difference [95 % interval], n | seeds |
| --- | --- | --- | --- | --- |
"""


def changes(rows: Sequence[Row]) -> str:
    """A table of pairs, where both have run for as many epochs on the same tracks."""
    found, lines = found_in(rows), []
    for variant, base, words in PAIRS:
        for (name, pack, protocol), one in found.items():
            other = found.get((base, pack, protocol))
            if name != variant or other is None or pack == AUDIO or _epochs(one) != _epochs(other):
                continue
            difference = against(one, other)
            if difference is not None:
                lines.append(
                    f"| {words} | `{variant}` against `{base}` | {pack}, {protocol} | {points(difference)}, "
                    f"n = {one['n']} | {one['seeds']} and {other['seeds']} |"
                )
    return CHANGES.format(count=len(lines)) + "\n".join(lines) + "\n" if lines else ""


def _epochs(result: Mapping[str, Any]) -> int | None:
    """For how many epochs the runs of a result learnt."""
    at = next(at for at in sorted(runs.find([result["folder"]])) if runs.describe(at)["status"] == "finished")
    return (runs.read_json(at / "run.json") or {}).get("epochs")


FULL_SIZE = """No pack of bands holds what these systems learn from: samples at 22,050 or 44,100 Hz, zero crossings,
several low-level features at once. VGG16 begins with the weights of ImageNet, which were not to be had, and takes
minutes an epoch of a pack on the one core that was there: it learnt from scratch, for the one or two epochs that its
rows tell, and is still at chance after them. That says nothing of the claims.
"""
HEARD = """
Below they ran, at their real size, on what sound there was: 50 clips of GTZAN of about 15 s, dealt at random. That
shows that they run from audio to figures. **{n} test clips cannot rank systems**; the intervals say so.

"""


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def fewer(rows: Sequence[Row], planned: Sequence[tuple[str, str, str]]) -> str:
    """Nets with fewer seeds than three and how long one takes, and what was planned and has no figure at all."""
    lines = []
    for row in rows:
        if row["data"] == AUDIO or not is_net(row):
            continue
        some = [result for result in row["results"] if not result["error"] and result["seeds"] < SEEDS]
        if some:
            each = ", ".join(
                f"{result['protocol']} {result['seeds']} ({duration(result['seconds'] / result['seeds'])} each)"
                for result in some
            )
            lines.append(f"- `{row['recipe']}` on {row['data']}: {each}")
    found = found_in(rows)
    missing = [f"- `{name}` on {data}: {protocol}" for name, data, protocol in planned
               if (name, data, protocol) not in found]  # fmt: skip
    parts = []
    if lines:
        head = f"Nets with fewer than {SEEDS} seeds, and the time that one took on the shared core:"
        parts.append(head + "\n\n" + "\n".join(lines) + "\n")
    if missing:
        parts.append("Planned, and not trained for want of time:\n\n" + "\n".join(missing) + "\n")
    return "\n".join(parts) or f"Nothing: every net on a pack has {SEEDS} seeds under every protocol.\n"


NEEDS = {
    "raw": "needs samples, which no pack of bands holds; it runs from audio",
    "zcr": "needs zero crossings, which no pack of bands holds; it runs from audio",
    "stack": "needs several low-level features, which no pack of bands holds; it runs from audio",
}


def not_run(known: set[str]) -> str:
    """Every other recipe with the reason: no pack gives what it needs, or nobody had the hours."""
    missing = [name for name in recipes.names() if name not in known]
    if not missing:
        return "Nothing: every recipe has a row above.\n"
    lines = [
        "These train (the test suite runs every one of them on synthesised audio), but have no figures here.",
        "",
        "| recipe | claim | why |",
        "| --- | --- | --- |",
    ]
    for name in missing:
        recipe = recipes.get(name)
        reason = NEEDS.get(recipe.feature["kind"], "it runs adapted; the training was not done for want of time")
        claim = f"{100 * recipe.claim.value:.4g} % ({recipe.claim.dataset})" if recipe.claim else "none"
        lines.append(f"| `{name}` | {claim} | {reason} |")
    return "\n".join(lines) + "\n"
