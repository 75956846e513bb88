"""`tonearm evaluate`: a model or a run, judged on a pack or a dataset."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL_OR_RUN", help="A model's name, a model file, or the folder of a run.")
    ],
    data: Annotated[
        str,
        typer.Option(metavar="PACK_OR_DATASET", help="A pack, or a dataset: gtzan:PATH, folder:PATH, synth, a path."),
    ],
    split: Annotated[
        str | None,
        typer.Option(metavar="PART", help="test, valid, train … or all; test, else valid, else all unless given."),
    ] = None,
    split_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parts by this split file (`tonearm split make`).")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Parts by this protocol; unless given a run's own split, else the data's (official)."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Accuracy by genre, artist, or any column. Repeatable.")
    ] = None,
    accuracy: Annotated[
        list[float] | None,
        typer.Option(metavar="SHARE", help="Find the threshold for this accuracy, 0.9 unless given. Repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only so many tracks, every genre its share.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write what the model said of every track.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write it as one page that opens without a network.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and of --limit.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes for audio; all cores unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Judge a model: accuracy with its interval, per genre, how sure it may be, what it knew before."""
    from tonearm.judging.judge import WANTED, evaluate
    from tonearm.reports._write import check_place, write

    for place in (predictions, html):
        if place:
            check_place(place)
    judged = evaluate(
        model, data, part=split, split_file=split_file, protocol=protocol, by=by or (), wanted=accuracy or WANTED,
        limit=limit, seed=seed, workers=workers, quiet=quiet,
    )  # fmt: skip
    for sentence in judged.seen.sentences():
        print(f"WARNING: {sentence}", file=sys.stderr)
    if predictions:
        from tonearm.runs import write_predictions

        write_predictions(predictions, {judged.figures["split"]: judged.tracks})
        print(f"written: {predictions}", file=sys.stderr)
    if html:
        from tonearm.reports.evaluation_page import evaluation_page

        write(html, evaluation_page(judged.figures, judged.seen.sentences()))
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        print(json.dumps(judged.figures, ensure_ascii=False, allow_nan=False))
    else:
        show(judged.figures)


def show(found: dict[str, Any]) -> None:
    """The figures for people."""
    what = f"{found['model']} on {found['data']}, {found['split']}"
    how = f", protocol {found['protocol']}" if found["protocol"] else ""
    leaky = " (LEAKY: clips of the same songs were learnt)" if found["leaky"] else ""
    print(f"{what}{how}{leaky}: {found['n']} {found['unit']}s")
    print(
        f"  accuracy {_rate(found)}, {found['interval_method']} over "
        f"{found['interval_groups']} {found['interval_over']}"
    )
    print(
        f"  balanced {_percent(found['balanced_accuracy'])}, macro F1 {_percent(found['f1_macro'])}, "
        + "".join(f"top {k} {_percent(value)}, " for k, value in found["top_k"].items())
        + f"ROC-AUC {_number(found['roc_auc_macro'])}, log-loss {found['log_loss']:.2f}"
    )
    if found["segments"]:
        print(f"  per segment: accuracy {_rate(found['segments'])}, n = {found['segments']['n']}")
    _show_calibration(found)
    _show_genres(found["per_genre"])
    _show_confusions(found["confusion"])
    for column, rows in found["by"].items():
        print(f"\nBy {column}, worst first")
        for row in rows[:25]:
            print(f"  {row['value'] or '(unknown)':24s} {_rate(row)}, n = {row['n']}")
        if len(rows) > 25:
            print(f"  … and {len(rows) - 25} more: --json has all")
    if found["failed"]:
        print(f"\n{len(found['failed'])} files could not be used and are not judged:")
        for entry in found["failed"][:10]:
            print(f"  {entry['path']}: {entry['message']}")
    others = found["seen_in_training"]["accuracy_of_the_others"]
    if others:
        print(f"\nWithout what the model knew of its training: {_rate(others)}, n = {others['n']}")


def _show_calibration(found: dict[str, Any]) -> None:
    calibrated, coverage = found["calibrated"], found["coverage"]
    chance = found["ece_by_chance"]["limit"]
    verdict = "no more than chance" if found["ece"] <= chance else f"chance alone gives up to {_percent(chance)}"
    print(f"  calibration error {_percent(found['ece'])} ({verdict})", end="")
    if not calibrated["applied"]:
        print(f"; {_percent(calibrated['ece'])} with the temperature {calibrated['temperature']:.2f} of the model")
    else:
        print()
    half = coverage["half"]
    print(
        f"  the {_percent(half['coverage'], 0)} it is surest of (from {_percent(half['threshold'], 0)}): {_rate(half)}"
    )
    sure = coverage["sure"]
    if sure and sure["accuracy"] is not None:
        words = f"sure (from {_percent(sure['threshold'], 0)}) of {_percent(sure['coverage'], 0)}"
        print(f"  {words}: {_rate(sure)}, n = {sure['n']}")
    for row in coverage["wanted"]:
        if row["threshold"] is None:
            print(f"  no threshold makes {_percent(row['wanted'], 0)} of its answers right here")
        else:
            words = f"{_percent(row['wanted'], 0)} right from a probability of {row['threshold']:.3f} on"
            print(f"  {words}, for {_percent(row['coverage'], 0)} of the tracks (as found on these very tracks)")


def _show_genres(rows: dict[str, dict[str, Any]]) -> None:
    width = max(len(genre) for genre in rows)
    print(f"\n  {'genre':{width}s}  {'recall':>24s}  {'precision':>9s}  {'F1':>6s}  {'n':>5s}")
    for genre, row in rows.items():
        print(
            f"  {genre:{width}s}  {_rate({'accuracy': row['recall'], 'interval': row['recall_interval']}):>24s}  "
            f"{_percent(row['precision']):>9s}  {_percent(row['f1']):>6s}  {row['n']:5d}"
        )


def _show_confusions(confusion: dict[str, Any], most: int = 5) -> None:
    cells = [
        (count, confusion["classes"][i], confusion["classes"][j])
        for i, row in enumerate(confusion["counts"])
        for j, count in enumerate(row)
        if i != j and count
    ]
    if cells:
        words = [f"{a} taken for {b} ({count})" for count, a, b in sorted(cells, key=lambda cell: -cell[0])[:most]]
        print(f"\n  most often: {', '.join(words)}")


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _rate(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    if low is None or high is None:
        return _percent(row["accuracy"])
    return f"{_percent(row['accuracy'])} [{100 * low:.1f} to {100 * high:.1f}]"
