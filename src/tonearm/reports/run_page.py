"""The page of a run: what was done, how good it is, how sure it may be, and where it is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tonearm.errors import TonearmError
from tonearm.evaluation import Predictions, apply_temperature
from tonearm.evaluation.calibration import coverage_accuracy, expected_calibration_error, reliability
from tonearm.evaluation.intervals import rate_interval
from tonearm.evaluation.metrics import right
from tonearm.packs import Pack, open_pack
from tonearm.reports import _charts, _views
from tonearm.reports import _html as h
from tonearm.reports import _run_words as words
from tonearm.reports._genres import by_genre, confusions, with_ends
from tonearm.reports._html import Safe, tag
from tonearm.reports._run_data import RunData, read_run
from tonearm.reports._tracks import Tracks, heard, pack_table, tracks_of

MISTAKES = 12
_ARTISTS = 25
_POINTS = 20


def run_page(folder: str | Path, *, data: str | Path | None = None, audio: str | None = None) -> str:
    """The report of a run (or of the seeds or folds of one recipe) as one HTML document.

    `data` is its pack, where that no longer lies where the run found it; `audio` where its sound lies: a folder of
    files named by id, or a dataset.
    """
    found = read_run(folder)
    ids = found.averaged().ids
    tracks = tracks_of(_pack(found, data), ids, audio or _own_sound(found, ids))
    sections = [
        ("What was done", _done(found)),
        ("Learning curves", _curves(found)),
        ("Genre by genre", by_genre(found)),
        ("What is taken for what", confusions(found)),
        ("How sure it may be", _sure(found)),
        ("The most confident mistakes", _mistakes(found, tracks)),
        ("Artists it fails on", _artists(found, tracks)),
        ("What it cost", _cost(found)),
    ]
    sections = [(heading, body) for heading, body in sections if body]
    about = found.about
    title = f"{about['recipe']} on {about['data']['name']}"
    of = {
        "one": f"seed {about['seed']}",
        "seeds": f"{len(found.members)} seeds",
        "folds": f"{len(found.members)} folds",
    }
    return h.page(
        f"Run: {title}",
        tag("h1", f"Run: {title}"),
        tag("p", f"{about['protocol']} protocol, {found.part} part, {of[found.how]}", class_="soft"),
        _in_short(found),
        h.contents(heading for heading, _ in sections),
        *(h.section(heading, *body) for heading, body in sections),
    )


def _pack(found: RunData, given: str | Path | None) -> Pack | None:
    """The pack of the run, for pictures and titles: where it was, or where it is said to be now."""
    place = Path(given or found.about["data"].get("source") or ".").expanduser()
    if given is None and not (place / "pack.json").is_file():
        return None
    pack = open_pack(place)
    told = found.averaged().ids
    if not set(told) & set(pack.tracks.tolist()):
        if given is None:
            return None
        raise TonearmError(
            f"{place}: holds none of the tracks of {found.folder}", hint=f"such as {told[0]}", code="differing-tracks"
        )
    return pack


def _own_sound(found: RunData, ids: Sequence[str]) -> str | None:
    """A run on a dataset of sound knows where that lay; it may be gone by now, or be another."""
    from tonearm import datasets

    source = found.about["data"].get("source") or ""
    if not source or (Path(source).expanduser() / "pack.json").is_file():
        return None
    try:
        tracks = datasets.resolve(source).tracks
    except TonearmError:
        return None
    there = {track.id for track in tracks if track.path and Path(track.path).is_file()}
    return None if there.isdisjoint(ids) else source


def _in_short(found: RunData) -> Safe:
    items = [
        tag("li", tag("strong", head, class_=kind or None), f" {text}") for kind, head, text in words.in_short(found)
    ]
    return tag("div", tag("strong", "In short"), tag("ul", *items), class_="box")


def _done(found: RunData) -> list[object]:
    adapted = found.about["adapted"]
    claim = found.recipe.claim
    parts: list[object] = [tag("p", text) for text in words.done(found)]
    if adapted:
        parts += [tag("p", "Not as published:"), tag("ul", *(tag("li", text) for text in adapted))]
    if claim:
        gap = 100 * (found.own["accuracy"] - claim.value) if claim.metric == "accuracy" else None
        text = f"Its authors report {claim.metric} {100 * claim.value:.1f} % on {claim.dataset}, {claim.protocol}."
        text += f" Here it is {gap:+.1f} points off that." if gap is not None else ""
        parts.append(tag("p", text + (f" {claim.note}." if claim.note else "")))
    if found.recipe.caveats:
        parts.append(h.fold("What to know of this recipe", tag("ul", *(tag("li", c) for c in found.recipe.caveats))))
    parts.append(_figures(found))
    return parts


def _figures(found: RunData) -> Safe:
    """The figures of all parts side by side."""
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1",
             "f1_weighted": "weighted F1", "roc_auc_macro": "ROC-AUC", "average_precision_macro": "average precision",
             "log_loss": "log-loss", "ece": "calibration error"}  # fmt: skip
    parts = list(found.figures)
    rows = []
    for key, name in names.items():
        cells = []
        for part in parts:
            one = found.figures[part]
            ends = one["interval"] if key == "accuracy" else one["intervals"].get(key)
            cells.append(with_ends(one.get(key), ends))
        rows.append((name, *cells))
    for k in found.own.get("top_k", {}):
        rows.append((f"among the first {k}", *(with_ends(found.figures[part]["top_k"].get(k), None) for part in parts)))
    rows.append(("rows judged", *(f"{found.figures[part]['n']:,}" for part in parts)))
    head = ("figure", *(f"{part} [95 %]" for part in parts))
    data = [(name, part, found.figures[part].get(key, "")) for key, name in names.items() for part in parts]
    over = found.own.get("interval_over", "tracks")
    note = f"Intervals are over {over}, so that what is judged counts as a sample of {over}."
    return h.join(
        [
            h.table(head, rows, numbers=range(1, len(head)), named="Figures", short=True),
            tag("p", note, class_="small soft"),
            h.download("figures", ("figure", "part", "value"), data),
        ]
    )


def _curves(found: RunData) -> list[object]:
    learnt = [one for one in found.members if one.curves]
    if not learnt:
        return []
    pictures: list[object] = []
    many = len(learnt) > 1
    best = learnt[0].about.get("best_epoch")
    mark = (float(best), f"kept: epoch {best}") if best is not None and not many else None
    for ending, name, share in (("loss", "Loss", False), ("accuracy", "Accuracy", True)):
        lines = []
        for part, color in (("train", "--g5"), ("valid", "--g2")):
            key = f"{part}_{ending}"
            for one in learnt:
                if any(key in row for row in one.curves):
                    x = [row["epoch"] for row in one.curves]
                    y = [row.get(key, float("nan")) for row in one.curves]
                    lines.append(_charts.Line("training" if part == "train" else "validation", x, y, color))
        if lines:
            drawing = _charts.curves(f"{name} by epoch", lines, x_name="epoch", y_name=name, share=share, mark=mark)
            pictures.append(h.figure(drawing.svg()))
    columns = list(dict.fromkeys(key for one in learnt for key in one.curves[0]))
    data = [(one.name, *(row.get(key, "") for key in columns)) for one in learnt for row in one.curves]
    text = (
        "Accuracy in training is of clips as they were shown, with whatever was done to them; in validation of tracks."
    )
    if many:
        text += f" One line for each of {len(learnt)} {'folds' if found.how == 'folds' else 'seeds'}."
    return [
        tag("div", *pictures, class_="pair"),
        tag("p", text, class_="small soft"),
        h.download("curves", ("run", *columns), data),
    ]


def _sure(found: RunData) -> list[object]:
    truth, probabilities, groups = found.pooled()
    bins = reliability(truth, probabilities)
    rows = [(one.low, one.high, one.n, one.confidence, one.accuracy) for one in bins]
    own = found.own
    chance = own["ece_by_chance"]
    text = (
        f"Expected calibration error {own['ece']:.3f} over 15 bins; a perfectly calibrated model with these "
        f"confidences would show {chance['mean']:.3f} on average and rarely more than {chance['limit']:.3f}."
    )
    temperature = [one.model["temperature"]["value"] for one in found.members if one.model.get("temperature")]
    if len(temperature) == len(found.told):
        scaled = np.concatenate(
            [apply_temperature(one.probabilities, t) for one, t in zip(found.told, temperature, strict=True)]
        )
        values = ", ".join(f"{t:.2f}" for t in temperature)
        part = found.members[0].model["temperature"]["fitted_on"]
        text += (
            f" With the temperature that was fitted on {part} ({values}) it is "
            f"{expected_calibration_error(truth, scaled):.3f}; answers stay the same."
        )
    share, accuracy, low, high, at = _coverage(truth, probabilities, groups)
    half = int(np.searchsorted(share, 0.5 - 1e-9))
    said = (
        f"If it may say “not sure” to half of the tracks, it is right in {100 * accuracy[half]:.1f} % "
        f"[{100 * low[half]:.1f} to {100 * high[half]:.1f}] of the others (those where it is at least "
        f"{100 * at[half]:.0f} % sure)."
    )
    return [
        tag("p", text),
        tag("p", said),
        tag(
            "div",
            h.figure(
                _charts.reliability("Reliability", rows).svg(),
                "Of what it was so sure of, so much was right. On the dashed line it is as good as it thinks.",
                h.download("reliability", ("low", "high", "n", "confidence", "accuracy"), rows),
            ),
            h.figure(
                _charts.coverage("Accuracy against coverage", share, accuracy, low, high).svg(),
                "Accuracy of the answers given, when only the surest share is answered, with its 95 % band.",
                h.download("coverage", ("coverage", "accuracy", "low", "high", "confidence"),
                           list(zip(share, accuracy, low, high, at, strict=True))),
            ),
            class_="pair",
        ),
    ]  # fmt: skip


def _coverage(truth: np.ndarray, probabilities: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, ...]:
    """At shares of 5 to 100 %: coverage, accuracy, low, high and the least confidence, each (points,)."""
    curve = coverage_accuracy(truth, probabilities)
    points = np.unique(np.searchsorted(curve.coverage, np.arange(1, _POINTS + 1) / _POINTS - 1e-9))
    confidence, hits = probabilities.max(axis=1), right(truth, probabilities)
    named = np.array(groups)
    rows = []
    for point in points.tolist():
        given = confidence >= curve.threshold[point]
        found = rate_interval(hits[given], groups=named[given], resamples=300)
        rows.append((curve.coverage[point], found.value, found.low, found.high, curve.threshold[point]))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _mistakes(found: RunData, tracks: Tracks) -> list[object]:
    one = found.averaged()
    wrong = np.flatnonzero(~right(one.truth, one.probabilities))
    if not wrong.size:
        return [tag("p", "There are none: everything it was asked is right, which is worth a doubt.")]
    order = wrong[np.argsort(-one.probabilities[wrong].max(axis=1), kind="stable")]
    cards = [_mistake(found, one, int(row), tracks) for row in order[:MISTAKES]]
    data = [_mistake_row(one, int(row), tracks) for row in order]
    columns = ("id", "genre", "answer", "probability", "probability_of_genre", "artist", "name")
    said = (
        f"{len(wrong):,} of {len(one):,} are wrong. These {len(cards)} it was surest of: where the label is wrong, or "
        "the music is between genres, or the model has learnt something else than genre."
    )
    audible = sum(one.ids[int(row)] in tracks.paths for row in order[:MISTAKES])
    if tracks.paths and audible < len(cards):
        said += f" Sound was found for {audible} of them."
    if not tracks.paths:
        said += " They cannot be heard here: `tonearm report --audio` says where the sound lies."
    return [tag("p", said), tag("div", *cards, class_="pair"), h.download("mistakes", columns, data)]


def _mistake_row(one: Predictions, row: int, tracks: Tracks) -> tuple[object, ...]:
    shares = one.probabilities[row]
    return (
        one.ids[row], one.classes[one.truth[row]], one.classes[shares.argmax()], float(shares.max()),
        float(shares[one.truth[row]]), one.groups[row] if one.groups else "", tracks.named(one.ids[row]),
    )  # fmt: skip


def _mistake(found: RunData, one: Predictions, row: int, tracks: Tracks) -> Safe:
    name, genre, answer, share, own, _, title = _mistake_row(one, row, tracks)
    parts: list[object] = [
        tag(
            "p", tag("strong", f"{answer} ({100 * share:.0f} %)", class_="bad"), f" and not {genre} ({100 * own:.0f} %)"
        ),
        tag("p", h.join([tag("code", name), f" {title}" if title else ""]), class_="small"),
    ]
    if found.how == "seeds" and len(found.told) > 1:
        same = sum(int(some.probabilities[row].argmax() != some.truth[row]) for some in found.told)
        parts.append(tag("p", f"Wrong under {same} of {len(found.told)} seeds.", class_="small soft"))
    words_of = f"{name}, {genre}, taken for {answer}"
    listen, cut = heard(tracks, name, f"Excerpt of {words_of}")
    parts.append(listen)
    drawing = tracks.spectrogram(name, f"Spectrogram of {words_of}")
    if drawing is None and cut is not None:
        drawing = _views.drawn(cut.waveform, ["mel"], title=f"Mel spectrogram of {words_of}",
                               start_seconds=cut.start_seconds)  # fmt: skip
        table = Safe("")
    elif drawing is not None:
        table = pack_table(tracks.pack, tracks.row[name], f"{name}-{tracks.pack.feature_config.get('kind')}")
    if drawing is not None:
        parts.append(h.figure(drawing.svg(), "", table))
    return tag("div", *parts, class_="card")


def _artists(found: RunData, tracks: Tracks) -> list[object]:
    one = found.averaged()
    if one.groups is None:
        return []
    hits = right(one.truth, one.probabilities)
    rows: dict[str, list[int]] = {}
    for index, artist in enumerate(one.groups):
        if artist:
            rows.setdefault(artist, []).append(index)
    told = []
    for artist, own in rows.items():
        wrong = [index for index in own if not hits[index]]
        answers = Counter(one.classes[one.probabilities[index].argmax()] for index in wrong)
        genres = Counter(one.classes[one.truth[index]] for index in own)
        shown = tracks.value(one.ids[own[0]], "artist_name")
        told.append(
            (
                shown or artist,
                ", ".join(genre for genre, _ in genres.most_common(2)),
                len(own),
                len(wrong),
                ", ".join(f"{n} {genre}" for genre, n in answers.most_common(3)),
                artist,
            )
        )
    told.sort(key=lambda row: (-row[3], row[2], row[0]))
    failed = [row[:5] for row in told if row[3]]
    text = (
        f"{len(told):,} artists are known, {sum(row[3] == row[2] for row in told):,} of them are wrong throughout. "
        "An artist with many tracks on this list weighs on the figures more than a genre's sound does."
    )
    head = ("artist", "genre", "tracks", "wrong", "taken for")
    columns = ("artist", "genre", "tracks", "wrong", "taken_for", "group")
    return [
        tag("p", text),
        h.table(head, failed[:_ARTISTS], numbers=(2, 3), named="Artists by tracks that are wrong", short=True),
        h.download("artists", columns, told),
    ]


def _cost(found: RunData) -> list[object]:
    costs = words.cost(found)
    seconds = [(one.name, one.about.get("seconds"), one.about.get("parameters"), one.about.get("peak_memory_mb"))
               for one in found.members]  # fmt: skip
    return [
        h.table(("what", "how much"), costs, named="Costs", short=True),
        h.download("cost", ("run", "seconds", "parameters", "peak_memory_mb"), seconds),
        h.fold("How it was made, to make it again", h.table(("what", "value"), words.facts(found), named="Facts")),
    ]
