"""`tonearm pack`: turn a dataset into features on disk, and look after such packs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import UsageError

app = typer.Typer(
    help="Turn a dataset into features on disk, and look after such packs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="PACK", help="The folder to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")]
PackArgument = Annotated[Path, typer.Argument(metavar="PACK", help="The folder of a pack.")]


@app.command(epilog="Example: tonearm pack build folder:~/Music --feature logmel --clip-seconds 30 -o packs/mine")
def build(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="gtzan:PATH, fma:PATH?subset=small, folder:PATH, synth, or a path."),
    ],
    output: Out,
    feature: Annotated[str, typer.Option(help="Which feature; `tonearm features` lists them.")] = "logmel",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A keyword of the feature, such as n_mels=96. Repeatable."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="uint8, float16 or float32.")] = "float32",
    scale: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="For uint8: values that become 0 and 255; or clip-minmax, per clip."),
    ] = None,
    clip_seconds: Annotated[
        float, typer.Option(help="Length of a clip; 0 is the whole track, for features of a fixed size.")
    ] = 30.0,
    excerpt: Annotated[str, typer.Option(help="Where a track is looked at: start or middle.")] = "start",
    clips_per_track: Annotated[
        str, typer.Option(metavar="N", help="Clips per track, or `all` that fit; more than one makes rows segments.")
    ] = "1",
    overlap: Annotated[float, typer.Option(help="Share of a clip that the next one has in common with it.")] = 0.0,
    min_seconds: Annotated[
        float | None, typer.Option(help="Files with less sound than this are too short.", show_default="0.5")
    ] = None,
    prepare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP", help="A step before the feature, such as loudness:target_lufs=-23. Repeatable, in order."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; all cores unless given.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that one file may take.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tracks.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the pack; that of the dataset unless given.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="With bad files: exit code 1 and no pack.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again instead of going on.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")] = False,
    as_json: Json = False,
) -> None:
    """Compute a feature of every track, over all cores.

    Stopped anywhere, even by kill -9, the same command goes on, and the pack becomes byte for byte the same. Called
    again later, it computes only what is new or has changed. Files that cannot be used are listed with their codes.
    """
    from tonearm import features, packs

    whole = clip_seconds == 0
    clips = packs.Clips(
        clip_seconds=None if whole else clip_seconds,
        excerpt=excerpt,
        per_track=_number_of_clips(clips_per_track),
        overlap=overlap,
        min_seconds=min_seconds,
    )
    keywords = _pairs(set_ or [])
    if "clip_seconds" in keywords:
        raise UsageError("clip_seconds is an option of its own", hint="--clip-seconds 10")
    chosen = features.create(feature, clip_seconds=clips.clip_seconds, **keywords)
    root, tracks, about = _resolve(dataset)
    plan = packs.Plan(
        name=name or about.get("name") or output.name,
        feature=chosen,
        clips=clips,
        dtype=dtype,
        scale=scale if scale in (None, "clip-minmax") else scale.split(","),
        prepare=_steps(prepare or []),
        further=about,
    )
    try:
        report = packs.build(
            tracks[:limit], output, plan, root=root, workers=workers, timeout_seconds=timeout, strict=strict,
            restart=restart, quiet=quiet,
        )  # fmt: skip
    except KeyboardInterrupt:
        _say(f"\ninterrupted; what is done is kept in {output}: the same command goes on")
        raise typer.Exit(130) from None
    if as_json:
        keys = ("pack", "built", "reused", "failed", "seconds", "rows", "dropped", "unchanged")
        print(json.dumps({key: getattr(report, key) for key in keys}))
    elif not quiet or (strict and report.failed):
        _summary(report, strict)
    if strict and report.failed:
        raise typer.Exit(1)


def _resolve(text: str) -> tuple[str | None, list, dict[str, Any]]:
    """The folder that paths are written down relative to, the tracks, and what the pack says of the dataset."""
    import os

    from tonearm import datasets

    dataset, root, options = datasets.parse(text)
    _, tracks, about = datasets.resolve(f"{dataset.name}:{root or ''}", **options)
    paths = [os.path.dirname(track.path) for track in tracks if track.path]
    if root is None:
        return (os.path.commonpath(paths) if paths else None), tracks, about
    return os.fspath(root.parent if root.is_file() else root), tracks, about


def _summary(report: Any, strict: bool) -> None:
    for entry in report.failed:
        _say(f"  {entry['code']:<12} {entry['path']}: {entry['message']}")
    if report.failed:
        _say(f"{len(report.failed)} files could not be used")
    if strict and report.failed:
        _say(f"no pack was written (--strict); {report.built + report.reused} tracks are kept for the next run")
        return
    counts = f"{report.built} built, {report.reused} reused" + (f", {report.dropped} dropped" * bool(report.dropped))
    if report.unchanged:
        _say(f"{report.pack}: nothing to do, {report.rows} rows are up to date")
    else:
        _say(f"{report.pack}: {report.rows} rows ({counts}) in {report.seconds:.1f} s")


def _number_of_clips(text: str) -> int:
    if text == "all":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--clips-per-track {text}: a whole number from 1, or all")
    return int(text)


def _pairs(texts: list[str]) -> dict[str, Any]:
    """`key=value` texts; a value is JSON where it can be (numbers, true, null, lists), else text."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{text!r} is not KEY=VALUE", hint="for example --set n_mels=96")
        try:
            pairs[key] = json.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs


def _steps(texts: list[str]) -> Any:
    """`step` or `step:key=value,key=value` texts as a preparation."""
    from tonearm.audio import prepare

    return prepare.create({"step": name, **_pairs([p for p in keywords.split(",") if p])}
                          for name, _, keywords in (text.partition(":") for text in texts))  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr)


@app.command(epilog="Example: tonearm pack info packs/mine")
def info(pack: PackArgument, as_json: Json = False) -> None:
    """What a pack holds."""
    from tonearm import packs

    facts = packs.info(packs.open_pack(pack))
    if as_json:
        print(json.dumps(facts))
        return
    feature = facts["feature"]
    kind = feature.pop("kind", "?")
    print(f"{facts['name']}: {facts['title']}" if facts["title"] else facts["name"])
    print(f"  array    {' x '.join(map(str, facts['shape']))} {facts['dtype']}, {facts['bytes'] / 1e6:.1f} MB")
    print(f"  axes     {', '.join(facts['axes'])}")
    print(f"  feature  {kind}: " + ", ".join(f"{key}={_short(value)}" for key, value in feature.items()))
    if facts["scale"]:
        print(f"  scale    {_short(facts['scale'], 300)}")
    print(f"  tracks   {facts['tracks']} by {facts['artists'] or 'unknown'} artists")
    print("  splits   " + ", ".join(f"{part} {n}" for part, n in facts["splits"].items()))
    print("  classes  " + ", ".join(f"{name} {n}" for name, n in facts["rows_per_class"].items()))
    print(f"  columns  {', '.join(facts['columns'])}")
    if facts["licence"]:
        print(f"  licence  {facts['licence']}")
    for entry in facts["failed"]:
        print(f"  failed   {entry['code']:<12} {entry['path']}: {entry['message']}")


def _short(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


@app.command(epilog="Example: tonearm pack verify packs/*")
def verify(
    packs_: Annotated[list[Path], typer.Argument(metavar="PACK…", help="Folders of packs.")], as_json: Json = False
) -> None:
    """Say everything that does not hold in a pack; exit code 1 where anything is found."""
    from tonearm import packs

    results = [(str(folder), packs.verify(folder)) for folder in packs_]
    if as_json:
        print(json.dumps([{"pack": pack, "findings": [f._asdict() for f in findings]} for pack, findings in results]))
    else:
        for pack, findings in results:
            print(f"{pack}: " + (f"{len(findings)} findings" if findings else "holds together"))
            for finding in findings:
                print(f"  {finding.code:<16} {finding.message}")
    if any(findings for _, findings in results):
        raise typer.Exit(1)


@app.command(epilog="Example: tonearm pack merge packs/a packs/b -o packs/both")
def merge(
    packs_: Annotated[list[Path], typer.Argument(metavar="PACK…", help="Two packs or more.")],
    output: Out,
    duplicates: Annotated[
        str, typer.Option(help="Ids that stand for different rows: error, first (keep that), or rename (keep both).")
    ] = "error",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """One pack from several of the same feature; a row that several have is taken once."""
    from tonearm import packs

    _done(packs.merge([packs.open_pack(p) for p in packs_], output, duplicates=duplicates, force=force), as_json)


@app.command(epilog="Example: tonearm pack select packs/mine --split train --genre rock --genre jazz -o packs/two")
def select(
    pack: PackArgument,
    output: Out,
    split: Annotated[list[str] | None, typer.Option(help="A part of the split. Repeatable.")] = None,
    genre: Annotated[list[str] | None, typer.Option(help="A genre. Repeatable.")] = None,
    ids: Annotated[
        str | None, typer.Option(metavar="FILE|a,b", help="Ids of rows or tracks: a file with one per line, or a list.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Rows with this in a column. Repeatable.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The rows of a pack that meet all conditions, as a pack of their own."""
    from tonearm import packs

    conditions = []
    for text in where or []:
        column, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--where {text}: write COLUMN=VALUE")
        conditions.append((column, value))
    if not (split or genre or ids or conditions):
        raise UsageError("which rows?", hint="give --split, --genre, --ids or --where")
    chosen = packs.select(
        packs.open_pack(pack), output, split=split or (), genre=genre or (), ids=_ids(ids), where=conditions,
        force=force,
    )  # fmt: skip
    _done(chosen, as_json)


def _ids(text: str | None) -> list[str] | None:
    if text is None:
        return None
    if Path(text).is_file():
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--ids {text}: not readable as text: {error}") from None
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [name.strip() for name in text.split(",") if name.strip()]


def _done(pack: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"pack": str(pack.folder), "rows": len(pack), "shape": list(pack.features.shape)}))
    else:
        _say(f"{pack.folder}: {len(pack)} rows")


@app.command(epilog="Example: tonearm pack export packs/mine -o mine.npz")
def export(
    pack: PackArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A file ending in .npz or .csv.")],
    decoded: Annotated[
        bool, typer.Option("--decoded", help="float32 in the feature's own units instead of what is stored.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A pack as one NPZ file (no pickle inside) or, with one list of numbers per row, as CSV."""
    from tonearm import packs

    opened = packs.open_pack(pack)
    path = packs.export(opened, output, decoded=decoded, force=force)
    if as_json:
        print(json.dumps({"file": str(path), "rows": len(opened), "bytes": path.stat().st_size}))
    else:
        _say(f"{path}: {len(opened)} rows, {path.stat().st_size / 1e6:.1f} MB")
