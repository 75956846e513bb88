"""`tonearm augment`: what clips are changed by while a net trains, to read, to see and to hear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import TonearmError, UsageError

app = typer.Typer(
    help="List the augmentations of clips, or see and hear what one does.",
    epilog='Example: tonearm augment preview song.mp3 --step "pitch semitones=3" -o previews/pitch',
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]


@app.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_augmentations(as_json=False)


@app.command("list", epilog="Example: tonearm augment list")
def list_augmentations(as_json: Json = False) -> None:
    """List the augmentations with what they work on, their keywords and defaults."""
    import dataclasses

    registry = _room().registry
    rows = []
    for name in registry.names():
        cls = registry.get(name)
        keywords = {field.name: field.default for field in dataclasses.fields(cls) if field.name != "sample_rate"}
        summary = (cls.__doc__ or "").strip().split("\n")[0]
        rows.append({"kind": name, "on": cls.on, "summary": summary, "keywords": keywords})
    if as_json:
        print(json.dumps(rows))
        return
    width = max(len(row["kind"]) for row in rows)
    for row in rows:
        told = " ".join(f"{key}={_plain(value)}" for key, value in row["keywords"].items())
        print(f"{row['kind']:<{width}}  {row['on']:<11}  {row['summary']}\n{'':<{width + 15}}{told}")


@app.command(epilog='Example: tonearm augment preview song.mp3 --step "time-mask longest=0.2" -o previews/mask')
def preview(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A music file.")],
    step: Annotated[
        list[str] | None,
        typer.Option(metavar='"KIND KEY=VALUE …"', help="An augmentation with its keywords; repeatable, in order."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Those of a recipe instead of --step.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="STEM", help="STEM.png, STEM-before.wav, STEM-after.wav.")
    ] = Path("preview"),
    start_seconds: Annotated[float, typer.Option("--start", min=0, help="Where in the file the clip begins.")] = 0.0,
    clip_seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="Length of the clip.")] = 10.0,
    other: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The second clip, for augmentations that mix two.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What all chance comes from.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what augmentations do to a clip: a picture, before left and after right, and both as sound."""
    augment = _room()
    from tonearm import audio

    steps = _steps(step or [], recipe)
    if other is None and any(config["kind"] == "mixup" for config in steps):
        raise UsageError("mixup mixes two clips, and there is one", hint="--other FILE")
    clips = [
        audio.load(one, sample_rate=22050, start_seconds=start_seconds, clip_seconds=clip_seconds)
        for one in (path, other)
        if one is not None
    ]
    chain = augment.create(steps, sample_rate=clips[0].sample_rate)
    shown = augment.preview(chain, clips[0], other=clips[1] if other else None, seed=seed)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TonearmError(f"{output.parent}: cannot be made: {error.strerror or error}", code="write") from None
    written = [str(one) for one in shown.save(output)]
    if as_json:
        names = ("picture", "before", "after")
        print(json.dumps({**dict(zip(names, written, strict=True)), "steps": chain.config(), "seed": seed}))
    else:
        print("\n".join(written))


def _room() -> Any:
    """The room of augmentations, or what to install for it."""
    try:
        from tonearm.training import augment
    except ImportError as error:
        raise TonearmError(
            f"augmentations need torch ({error.name} is missing)",
            hint='pip install "tonearm[train]"',
            code="needs-extra",
        ) from None
    return augment


def _steps(texts: list[str], recipe: str | None) -> list[dict[str, Any]]:
    """The configs that --step or --recipe name."""
    from tonearm import recipes
    from tonearm.features import parse_settings

    if bool(texts) == bool(recipe):
        raise UsageError("which augmentations?", hint='--step "pitch semitones=3", or --recipe cuny-vgg16, one of both')
    if recipe:
        steps = [dict(config) for config in recipes.get(recipe).training.get("augment") or ()]
        if not steps:
            raise UsageError(f"{recipe} has no augmentations", hint="`tonearm augment list` names those that there are")
        return steps
    found = []
    for text in texts:
        kind, *settings = text.split() or [""]
        if not all("=" in setting for setting in settings):
            raise UsageError(f"--step {text!r}: a kind, then key=value", hint='--step "pitch semitones=3"')
        found.append({"kind": kind, **parse_settings(settings)})
    return found


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
