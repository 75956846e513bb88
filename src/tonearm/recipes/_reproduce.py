"""Systems trained as published and under honest protocols, with what their authors claim beside what was measured."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.errors import TonearmError, unknown_name
from tonearm.protocols import registry
from tonearm.recipes import _load
from tonearm.recipes._many import over_seeds, run_seeds
from tonearm.recipes._material import Material, open_material
from tonearm.recipes._prepare import quicker
from tonearm.recipes._run import Options, run
from tonearm.recipes._schema import Recipe

HONEST = ("track", "artist", "official")
FEW = 50  # tracks, below which an interval holds nearly every claim
QUICK = ("artist",)  # one honest protocol is enough to try that all of it runs


def reproduce(
    names: Sequence[str],
    data: str,
    out: str | Path,
    options: Options,
    *,
    protocols: Sequence[str] = (),
    seeds: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A row per recipe: its claim, and a result per protocol. What fails is told in its place and stops nothing.

    Runs that are finished under `out` are not made again, so a stopped reproduction goes on where it was.
    """
    rows = []
    for number, name in enumerate(names, 1):
        if not options.quiet:
            print(f"[{number}/{len(names)}] {name}", file=sys.stderr, flush=True)
        recipe = _load.get(name)
        row: dict[str, Any] = {
            "recipe": name,
            "system": recipe.system.model_dump(),
            "claim": recipe.claim.model_dump() if recipe.claim else None,
            "published": dict(recipe.published),
            "caveats": list(recipe.caveats),
            "data": data,
            "error": None,
            "results": [],
        }
        rows.append(row)
        try:
            recipe, notes = _changed(recipe, settings or {})
            recipe = quicker(recipe) if options.quick else recipe
            material = open_material(
                recipe, data, adapt=options.adapt, quiet=options.quiet,
                workers=options.workers,
            ).noted(*notes)  # fmt: skip
            row["data"] = material.name
            honest = QUICK if options.quick else HONEST
            wanted = protocols_for(recipe, material, only=protocols, honest=honest)
        except Exception as error:
            row["error"] = _told(error)
            _say(options, f"  {row['error']['message']}")
            continue
        for protocol, as_published in wanted:
            result = _one(recipe, data, Path(out) / name, material, options, protocol, as_published, seeds)
            row["results"].append(result)
            _say(options, f"  {line(result)}")
    runs.write_json(Path(out) / "reproduction.json", rows)
    return rows


def protocols_for(
    recipe: Recipe, material: Material, *, only: Sequence[str] = (), honest: Sequence[str] = HONEST
) -> list[tuple[Any, bool]]:
    """The protocol of the claim (true where there is one), then the honest ones that the data allows, or `only` some.

    One that has the name of the published one is the published one, with its options.
    """
    table, published = material.table, dict(recipe.published)
    own = (published, recipe.claim is not None)
    if only:
        return [own if name == published["name"] else (name, False) for name in only]
    found: list[tuple[Any, bool]] = [own]
    parts = set(table.split.tolist()) - {""}
    for name in honest:
        if published == {"name": name}:
            continue
        if name == "artist" and not (table.artist != "").any():
            continue
        if name == "official" and not ({"train", "training"} & parts and len(parts) > 1):
            continue
        found.append((name, False))
    return found


def _changed(recipe: Recipe, settings: Mapping[str, Any]) -> tuple[Recipe, list[str]]:
    """The recipe with settings that it takes, and sentences that tell them; what a classical model has no use for
    (epochs, say) is left out, because one command serves all recipes."""
    from tonearm.recipes._prepare import is_classical
    from tonearm.recipes._settings import TRAINING_KEYS

    classical = is_classical(recipe.model["kind"]) or recipe.untrained
    notes, used = [], {}
    for path, value in settings.items():
        section, _, key = path.partition(".")
        if section == "training" and key not in TRAINING_KEYS:
            raise unknown_name("key of training:", key, TRAINING_KEYS)
        if section == "training" and classical:
            continue
        old = (recipe.config().get(section) or {}).get(key, "the default")
        if old != value:
            used[path] = value
            notes.append(f"{path} {value} instead of {old}")
    return (_load.changed(recipe, used) if used else recipe), notes


def _one(
    recipe: Recipe, data: str, folder: Path, material: Material, options: Options, protocol: Any, as_published: bool,
    seeds: int,
) -> dict[str, Any]:  # fmt: skip
    name = protocol if isinstance(protocol, str) else protocol["name"]
    result: dict[str, Any] = {"protocol": name, "as_published": as_published, "leaky": registry.get(name).leaky}
    own = replace(options, protocol=protocol, leaky_on_purpose=True)
    where = folder / (name if isinstance(protocol, str) else f"published-{name}")
    try:
        if seeds > 1 or (where / "seed-0").exists():
            _as_first_seed(where)
            run_seeds(recipe, data, where, range(seeds), own, material=material)
        else:
            run(recipe, data, where, own, material=material)
        return {**result, **measured(where)}
    except Exception as error:
        return {**result, "error": _told(error)}


def _as_first_seed(where: Path) -> None:
    """A run that was made alone becomes the first of several seeds."""
    if runs.is_run(where) and runs.read_json(where / "run.json").get("seed") == 0:
        beside = where.with_name(f".{where.name}-seed-0")
        os.replace(where, beside)
        where.mkdir()
        os.replace(beside, where / "seed-0")


def measured(where: Path) -> dict[str, Any]:
    """What the folder of a protocol says: the figures of its run, or of those of its seeds that are finished."""
    finished = [at for at in sorted(runs.find([where])) if runs.describe(at)["status"] == "finished"]
    if not finished:
        raise TonearmError(f"{where}: no run in it is finished", code="missing")
    rows = [runs.describe(at) for at in finished]
    parts = over_seeds(finished) if len(rows) > 1 else rows[0]["figures"]
    part = "test" if "test" in parts else "valid"
    keys = ("unit", "n", "accuracy", "interval", "f1_macro", "sd_over_seeds", "by_seed")
    return {
        "part": part,
        **{key: parts[part][key] for key in keys if key in parts[part]},
        "seeds": len(rows),
        "seconds": round(sum(row["seconds"] for row in rows), 2),
        "parameters": rows[0]["parameters"],
        "adapted": rows[0]["adapted"],
        "quick": rows[0]["quick"],
        "chosen_on": rows[0].get("chosen_on"),
        "folder": str(where),
        "error": None,
    }


def _told(error: Exception) -> dict[str, str]:
    if isinstance(error, TonearmError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    return {"code": "bug", "message": f"{type(error).__name__}: {error}", "hint": "please report this"}


def _say(options: Options, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def line(result: Mapping[str, Any]) -> str:
    """One result in words."""
    name = _name(result)
    if result["error"]:
        return f"{name}: {result['error']['message']}"
    return f"{name}: {figure(result)} on {result['part']}" + (", adapted" if result["adapted"] else "")


def figure(result: Mapping[str, Any]) -> str:
    """Accuracy with its interval and n, and the deviation over seeds where there are several."""
    low, high = result["interval"]
    spread = result.get("sd_over_seeds")
    seeds = f", ± {100 * spread:.1f} over {result['seeds']} seeds" if spread is not None else ""
    unit = " segments" if result.get("unit") == "segment" else ""
    return f"{100 * result['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], n = {result['n']}{unit}{seeds}"


def _name(result: Mapping[str, Any]) -> str:
    marks = [word for word, holds in (("as published", result["as_published"]), ("leaky", result["leaky"])) if holds]
    return result["protocol"] + (f" ({', '.join(marks)})" if marks else "")


def why(row: Mapping[str, Any]) -> str:
    """One sentence on why the claim and our figures differ, from what is known of both."""
    good = [result for result in row["results"] if not result["error"]]
    if not good:
        reason = row["error"] or next((r["error"] for r in row["results"] if r["error"]), None)
        return f"Could not be run: {reason['message']}." if reason else "Not run."
    adapted = f" Adapted: {'; '.join(good[0]['adapted'])}." if good[0]["adapted"] else ""
    claim = row["claim"]
    if claim is None or claim["metric"] != "accuracy":
        return f"No accuracy is claimed.{_fall(good)}{adapted}"
    first = next((result for result in good if result["as_published"]), good[0])
    under = "the protocol of the claim" if first["as_published"] else f"the protocol {first['protocol']}"
    low, high = first["interval"]
    if first["n"] < FEW:
        return f"{first['n']} tracks can neither confirm the claim nor refute it.{adapted}"
    data = row.get("data") or claim["dataset"]
    if not data.startswith(claim["dataset"].partition("-")[0]):
        return f"The claim is of {claim['dataset']}, ours of {data}, which cannot be compared.{_fall(good)}{adapted}"
    if low <= claim["value"] <= high:
        return f"The claim lies within our interval under {under}.{_fall(good)}{adapted}"
    gap = 100 * (first["accuracy"] - claim["value"])
    reasons, caveat = _reasons(row, first, gap), (*row["caveats"], "the report leaves details open")[0].rstrip(".")
    reason = f"{'; '.join(reasons)}. {caveat}" if reasons else caveat
    how = "higher" if gap > 0 else "lower"
    return f"Ours is {abs(gap):.0f} points {how} under {under}: {reason}.{_fall(good)}{adapted}"


def _reasons(row: Mapping[str, Any], result: Mapping[str, Any], gap: float) -> list[str]:
    """What is known to keep a figure of ours from the claim."""
    notes = [re.fullmatch(r"training\.epochs (\d+) instead of (\d+)", note) for note in result["adapted"]]
    learnt = [f"it learnt for {found[1]} of {found[2]} epochs" for found in notes if found]
    if len(result["adapted"]) > len(learnt):
        learnt = [f"{learnt[0] if learnt else 'it ran'} on the nearest that the data allows"]
    reasons = learnt
    claimed = row["claim"]["protocol"]
    if result["leaky"] and gap > 0:
        reasons.append("pieces of one song stand on both sides in this protocol")
    if not result["as_published"]:
        unsaid = "the claim does not say how tracks were split"
        reasons.append(unsaid if claimed == "not said" else f"the claim is of another protocol ({claimed})")
    return reasons


def _fall(good: Sequence[Mapping[str, Any]]) -> str:
    """What keeping songs or artists together costs, where both are measured and it is more than chance would do."""
    by = {result["protocol"]: result for result in good}
    before = next((name for name in ("segment", "track") if name in by), "")
    after = next((name for name in ("official", "artist") if name in by), "")
    if not before or not after:
        return ""
    one, other = by[before], by[after]
    # The two are judged on different tracks: their errors add as squares (Newcombe 1998, method 10).
    lost = one["accuracy"] - other["accuracy"]
    low = lost - math.hypot(one["accuracy"] - one["interval"][0], other["interval"][1] - other["accuracy"])
    high = lost + math.hypot(one["interval"][1] - one["accuracy"], other["accuracy"] - other["interval"][0])
    if low <= 0:
        return ""
    return f" From {before} to {after} it falls by {100 * lost:.0f} points [{100 * low:.0f}, {100 * high:.0f}]."


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table, a line per recipe and protocol."""
    lines = [
        "| recipe | claim | protocol | accuracy [95 % interval], n | part | seeds | training | why they differ |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        claim = row["claim"]
        told = f"{100 * claim['value']:.4g} % ({claim['dataset']}, {claim['protocol']})" if claim else "none"
        if claim and claim["metric"] != "accuracy":
            told += f" {claim['metric']}"
        cells = [f"`{row['recipe']}`", told]
        if not row["results"]:
            lines.append(_row([*cells, "", "not run", "", "", "", why(row)]))
        for number, result in enumerate(row["results"]):
            before = cells if number == 0 else ["", ""]
            last = why(row) if number == 0 else ""
            if result["error"]:
                lines.append(_row([*before, _name(result), f"not run: {result['error']['message']}", "", "", "", last]))
                continue
            seconds = result["seconds"] or 0.0
            training = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            shown = figure(result) + (" (adapted)" if result["adapted"] else "")
            lines.append(
                _row([*before, _name(result), shown, result["part"], str(result["seeds"]), training, last])
            )  # fmt: skip
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
