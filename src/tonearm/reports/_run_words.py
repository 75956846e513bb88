"""The words of a run's report: what was done, and what came out, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from tonearm.reports._run_data import RunData

PROTOCOLS = {
    "segment": "pieces of tracks were dealt at random, so that pieces of one song stand on both sides",
    "track": "tracks were dealt at random, so that one artist may stand on both sides",
    "recording": "copies of one recording were kept on one side",
    "artist": "artists were kept on one side, so that those it is judged on were never heard",
    "official": "as the dataset's authors split it",
    "filtered-clean": "the dataset's own split without the artists that stand on both sides",
    "ratio": "tracks were dealt at random in given shares",
    "balanced": "as many tracks of each genre were dealt",
    "column": "as a column of the table says",
}


def done(data: RunData) -> list[str]:
    """What was trained on what, and how."""
    about, recipe = data.about, data.recipe
    sizes = about["split"]["sizes"]
    system = recipe.system
    by = f" by {system.by}" if system.by else ""
    source = f" ({system.source})" if system.source else ""
    what = about["data"]
    first = (
        f"{recipe.name}: {system.title}{by}{source}. Trained on {what['name']}, {what['tracks']:,} tracks in "
        f"{len(what['classes'])} genres, and judged on {_parts(sizes, data)}."
    )
    how = PROTOCOLS.get(about["protocol"], "")
    second = f"Protocol {about['protocol']}{': ' + how if how else ''}."
    if data.how == "folds":
        second += f" {len(data.members)} folds: every track was judged once, by the model that had not heard it."
    elif data.how == "seeds":
        seeds = ", ".join(str(one.about["seed"]) for one in data.members)
        second += f" {len(data.members)} trainings that differ in nothing but their seed ({seeds})."
    return [first, second, _model(data)]


def _parts(sizes: dict[str, int], data: RunData) -> str:
    if data.how == "folds":
        return f"all {data.own['n']:,} in turn"
    unit = "tracks" if data.unit == "track" else "segments"
    rest = [f"{n:,} to {word}" for part, n, word in (
        ("train", sizes.get("train", 0), "learn from"),
        ("select", sizes.get("select", 0), "choose an epoch by"),
        ("valid", sizes.get("valid", 0), "choose by"),
    ) if n and part != data.part]  # fmt: skip
    return f"{data.own['n']:,} {unit} of its {data.part} part ({'; '.join(rest)})"


def _model(data: RunData) -> str:
    about, model = data.about, data.members[0].model
    feature = about["data"]["feature"].get("kind", "its feature")
    seen = model["clip"]
    clip = "whole clips" if not seen.get("frames") or not seen.get("frame_rate") else (
        f"clips of {seen['frames'] / seen['frame_rate']:.1f} s"
    )  # fmt: skip
    kind = model["model"]["kind"]
    if about.get("parameters"):
        text = f"The net {kind} ({about['parameters']:,} parameters) sees {feature} of {clip}"
    else:
        text = f"The classical model {kind} sees {about.get('columns', 'some')} numbers made of {feature} of {clip}"
    if model.get("deep"):
        text += f"; its vectors are told apart by {model['deep']['kind']}"
    epochs = [one.about.get("epochs") for one in data.members if one.about.get("epochs")]
    if epochs:
        best = [one.about["best_epoch"] for one in data.members if one.about.get("best_epoch") is not None]
        text += f". It learnt for {_span(epochs)} epochs"
        text += f"; epoch {_span(best)} was the best on validation and was kept" if best else ""
    return text + "."


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def in_short(data: RunData) -> list[tuple[str, str, str]]:
    """The findings that matter, as (colour, head, text)."""
    own, about = data.own, data.about
    low, high = own["interval"]
    shares = np.array([row["n"] for row in own["per_genre"].values()], float)
    chance = float(shares.max() / shares.sum())
    unit = "tracks" if data.unit == "track" else "segments"
    ends = f" [{100 * low:.1f} to {100 * high:.1f}]" if low is not None else ""
    text = (
        f"of {own['n']:,} {unit}{_again(data)}{ends}; always naming the commonest genre would be right in "
        f"{100 * chance:.1f} %."
    )
    items = [("good" if low is not None and low > chance else "bad", f"{100 * own['accuracy']:.1f} % are right", text)]
    if data.by_seed and data.by_seed[data.part]["sd_over_seeds"] is not None:
        found = data.by_seed[data.part]
        each = ", ".join(f"{100 * value:.1f}" for value in found["by_seed"])
        items.append(("", "Seeds:", f"{each} %, a standard deviation of {100 * found['sd_over_seeds']:.1f} points."))
    if about["leaky"]:
        items.append(("bad", "The split leaks.", "This is not how well it does on music that it has not heard."))
    for leak in about.get("leaks", []):
        parts = " and ".join(leak["parts"])
        items.append(("warn", f"{leak['count']} tracks share the {leak['kind']}", f"between {parts}."))
    if data.part == "valid":
        items.append(("warn", "A figure of validation:", "there is no test part, and what was chosen by it flatters."))
    if about.get("quick"):
        items.append(("warn", "A quick run:", "a first look with little training, not a result."))
    if about["adapted"]:
        count = len(about["adapted"])
        head = "1 thing is not as published" if count == 1 else f"{count} things are not as published"
        items.append(("warn", head, "because of the data; they stand under “What was done”."))
    return [*items, _genres(data), _calibration(data)]


def _again(data: RunData) -> str:
    return ", the mean of the seeds" if data.how == "seeds" else ""


def _genres(data: RunData) -> tuple[str, str, str]:
    rows = {genre: row for genre, row in data.own["per_genre"].items() if row["n"] and row["f1"] is not None}
    best, worst = max(rows, key=lambda g: rows[g]["f1"]), min(rows, key=lambda g: rows[g]["f1"])
    text = f"{best} comes out best (F1 {rows[best]['f1']:.2f}), {worst} worst ({rows[worst]['f1']:.2f})."
    counts = np.array(data.own["confusion"]["counts"], float)
    np.fill_diagonal(counts, 0)
    if counts.sum():
        a, b = np.unravel_index(counts.argmax(), counts.shape)
        text += f" The commonest mistake is {data.classes[b]} for {data.classes[a]}."
    return "", "Genres:", text


def _calibration(data: RunData) -> tuple[str, str, str]:
    error, limit = data.own["ece"], data.own["ece_by_chance"]["limit"]
    truth, probabilities, _ = data.pooled()
    sure, right = probabilities.max(axis=1).mean(), (probabilities.argmax(axis=1) == truth).mean()
    if error <= limit:
        return "good", "It knows how sure it may be:", f"the calibration error of {error:.3f} is what chance gives."
    words = "too sure of itself" if sure > right else "not sure enough"
    return (
        "warn",
        f"It is {words}:",
        f"{100 * sure:.0f} % sure on average and right in {100 * right:.0f} %; calibration error {error:.3f}, where "
        f"chance alone would give up to {limit:.3f}.",
    )


def cost(data: RunData) -> list[tuple[str, str]]:
    """Time, size and memory, as rows of words and values."""
    about = data.about
    seconds = [one.about.get("seconds") or 0.0 for one in data.members]
    rows = [("time to train" + (" each" if len(seconds) > 1 else ""), _duration(float(np.mean(seconds))))]
    if len(seconds) > 1:
        rows.append(("time to train all", _duration(sum(seconds))))
    epochs = [row["seconds"] for one in data.members for row in one.curves if "seconds" in row]
    if epochs:
        rows.append(("time per epoch (median)", _duration(float(np.median(epochs)))))
    if about.get("parameters"):
        rows.append(("parameters", f"{about['parameters']:,}"))
    if about.get("columns"):
        rows.append(("numbers per clip", f"{about['columns']:,}"))
    size = sum(path.stat().st_size for path in (data.members[0].folder / "model").glob("*") if path.is_file())
    rows.append(("model on disk", _size(size)))
    memory = [one.about["peak_memory_mb"] for one in data.members if one.about.get("peak_memory_mb")]
    rows.append(("most memory held", f"{max(memory):,.0f} MB" if memory else "not written down by this run"))
    machine = about["machine"]
    rows.append(("machine", f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB"))
    if about.get("threads"):
        rows.append(("threads", str(about["threads"])))
    return rows


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MB" if count >= 2**20 else f"{count / 1024:.0f} KB"


def facts(data: RunData) -> list[tuple[str, Any]]:
    """What decides the numbers, so that somebody else can get them again."""
    about = data.about
    code = about["code"]
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    hashes = ", ".join(f"{name} {sum_[:12]}…" for name, sum_ in about["data"]["sha256"].items())
    rows = [
        ("recipe", about["recipe"]),
        ("seed", ", ".join(str(one.about["seed"]) for one in data.members)),
        ("split", f"{about['split']['name']} (sha256 {about['split']['hash'][:16]}…)"),
        ("data", f"{about['data']['name']}, {hashes}"),
        ("tonearm", f"{code['tonearm']}" + (f", commit {code['commit'][:12]}" if code.get("commit") else "")),
        ("libraries", libraries),
        ("again", f"tonearm train --repeat {data.members[0].folder.name} -o AGAIN"),
    ]
    return [(name, value) for name, value in rows if value]
