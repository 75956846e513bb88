"""`tonearm models`: which models there are, how good they are, and what they must not be used for."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

import typer

MOST = 24  # entries of a list that a card shows; the ids of all training tracks, say, are in the JSON


def command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="Show the card of this one instead of the list.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A list as JSON; of one model, an object.")] = False,
) -> None:
    """List the models that have a name with their figures, or show the card of one.

    A figure stands with its data, its protocol, how many tracks it is of and the interval in which it would fall on
    other tracks of the kind, 19 times of 20.
    """
    from tonearm import runtime

    if name:
        path = runtime.find(name)
        told = runtime.describe(path.stem if path.suffix else name, path)
        if told["error"]:
            raise runtime.ModelError(told["error"]["message"], code=told["error"]["code"])
        print(json.dumps(told) if as_json else "\n".join(card(told)))
        return
    rows = runtime.shipped()
    if as_json:
        print(json.dumps(rows))
        return
    if not rows:
        print("no model comes with this installation; --model takes the path of a model file")
    for row in rows:
        print("\n".join(summary(row)))


def summary(told: dict[str, Any]) -> Iterator[str]:
    """A model in two or three lines."""
    if told["error"]:
        yield f"{told['name']}: {told['error']['message']}"
        return
    yield f"{told['name']}  {len(told['classes'])} genres, {_size(told['bytes'])}, version {told['version']}"
    yield from _folded(", ".join(told["classes"]), "  ")
    for figure in told["figures"][:2]:
        yield from _folded(_figure(figure), "  ")


def card(told: dict[str, Any]) -> Iterator[str]:
    """All that a person should know before trusting a model."""
    yield f"{told['name']}  version {told['version']}, {_size(told['bytes'])}"
    if told.get("title"):
        yield from _folded(told["title"], "")
    yield told["path"]
    yield from _section("genres", ", ".join(told["classes"]))
    yield from _section("how good it is", [_figure(figure) for figure in told["figures"]] or "nobody has measured it")
    for figure in told["figures"]:
        if figure.get("per_genre"):
            yield from _per_genre(figure)
            break
    sure = f"sure from a probability of {100 * told['threshold']:.0f} %; probabilities at temperature "
    yield from _section("when it is sure", f"{sure}{told['temperature']:.2f}")
    yield from _section("what it hears", _hears(told))
    yield from _section("learnt from", _plain(told.get("training") or "not told"))
    yield from _section("licence", told["licence"])
    for key, value in (told.get("card") or {}).items():
        yield from _section(str(key).replace("_", " "), _plain(value))


def _section(title: str, content: str | list[str]) -> Iterator[str]:
    yield ""
    yield title.upper()
    for item in content if isinstance(content, list) else [content]:
        yield from _folded(item, "  ")


def _plain(value: Any) -> str | list[str]:
    """Any value of a card as sentences."""
    if isinstance(value, dict):
        return [f"{key}: {_inline(some)}" for key, some in value.items() if some not in (None, "", [], {})]
    if isinstance(value, list):
        return [_inline(some) for some in value]
    return str(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inline(some)}" for key, some in value.items())
    if isinstance(value, list):
        return f"{len(value)} of them" if len(value) > MOST else ", ".join(map(_inline, value))
    return str(value)


def _figure(figure: dict[str, Any]) -> str:
    """One figure in a sentence; it never stands without its protocol, its n and its interval."""
    words = f"{100 * figure['accuracy']:.1f} %"
    if figure.get("interval"):
        words += " [{:.1f}, {:.1f}]".format(*(100 * edge for edge in figure["interval"]))
    part = str(figure.get("part") or "?")
    part += " part" if part in ("train", "valid", "test") else ""
    words += f" of tracks right: {figure.get('dataset', '?')}, {part}, protocol {figure.get('protocol', '?')}"
    words += f", n = {figure.get('n', '?')}"
    if seeds := figure.get("seeds"):
        words += f", seed {seeds[0]}" if len(seeds) == 1 else f", mean of {len(seeds)} seeds"
    if figure.get("accuracy_mean") is not None:
        words += f"; {100 * figure['accuracy_mean']:.1f} % on the mean of {len(figure['accuracy_by_seed'])} seeds"
    if figure.get("leaky"):
        words += "; LEAKY: tracks of one song or artist on both sides"
    if figure.get("chosen_on"):
        words += "; the model was chosen on this part"
    return words


def _per_genre(figure: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"RECALL PER GENRE ({figure.get('dataset', '?')}, {figure.get('part', '?')})"
    wide = max(len(genre) for genre in figure["per_genre"])
    for genre, found in figure["per_genre"].items():
        recall, interval = found.get("recall"), found.get("recall_interval") or (None, None)
        words = "none there" if recall is None else f"{100 * recall:3.0f} %"
        if None not in interval:
            words += " [{:.0f}, {:.0f}]".format(*(100 * edge for edge in interval))
        yield f"  {genre:<{wide}}  {words}  n = {found.get('n', '?')}"


def _hears(told: dict[str, Any]) -> list[str]:
    feature, listen = told["feature"], told["listen"]
    rate = feature.get("sample_rate")
    rate = rate if isinstance(rate, int) else listen.get("sample_rate") or 44100
    excerpts = f"{listen['excerpts']} excerpts of {listen['clip_seconds']:g} s" if listen["excerpts"] > 1 else (
        f"one excerpt of {listen['clip_seconds']:g} s"
    )  # fmt: skip
    keywords = ", ".join(
        f"{key} {value}" for key, value in feature.items()
        if key in ("n_mels", "n_fft", "hop_length", "frames", "n_mfcc", "fmin", "fmax") and value is not None
    )  # fmt: skip
    words = f"of a long song {excerpts}, spread over it"
    for step, doubt in enumerate(listen.get("doubts", ())):
        where = "where the first two genres" if step == 0 else "where they still"
        words += f"; {len(doubt['places'])} more {where} are less than {100 * doubt['margin']:g} points apart"
    if listen.get("again_seconds"):
        words += f"; what is heard whole is heard again from {listen['again_seconds']:g} s on"
        words += f", with {100 * listen['again_share']:.0f} % of the say"
    return [f"{feature['kind']} ({keywords}) of sound at {rate} Hz", words]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"


def _folded(text: str, indent: str) -> list[str]:
    wide = min(shutil.get_terminal_size((100, 24)).columns, 120)
    folded = textwrap.wrap(text, max(40, wide), initial_indent=indent, subsequent_indent=f"{indent}  ")
    return folded or [indent]
