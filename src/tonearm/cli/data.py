"""`tonearm data`: know the datasets, get them, and check a copy."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm.errors import UsageError

app = typer.Typer(
    help="Know the datasets: what they are, how to get them, what is wrong with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result and errors.")]


@app.command("list", epilog="Example: tonearm data list")
def list_(as_json: Json = False) -> None:
    """The datasets that tonearm knows."""
    from tonearm import datasets

    cards = [datasets.get(name).card() for name in datasets.registry]
    if as_json:
        rows = [{key: card[key] for key in ("name", "title", "genres", "size", "licence")} for card in cards]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for card in cards:
        print(f"{card['name']:8s} {card['title']}\n{'':8s} {card['size']}")


@app.command(epilog="Example: tonearm data show gtzan")
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="`tonearm data list` names them.")],
         as_json: Json = False) -> None:  # fmt: skip
    """The card of a dataset: what it is, its licence, its faults, how to get it, which splits it has."""
    from tonearm import datasets

    card = datasets.get(name).card()
    if as_json:
        print(json.dumps(card, indent=2, ensure_ascii=False))
    else:
        _print_card(card)


def _print_card(card: dict[str, Any]) -> None:
    import textwrap

    def part(heading: str, *texts: str) -> None:
        if any(texts):
            print(f"\n{heading}")
            for text in filter(None, texts):
                print(
                    textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="    " if len(texts) > 1 else "  ")
                )

    print(f"{card['name']}: {card['title']}")
    part("What it is", card["what"])
    part("Genres", ", ".join(card["genres"]))
    part("Size", card["size"])
    part("Licence", card["licence"])
    part("Citation", *card["citation"])
    part("Known faults", *card["faults"])
    part("Known bad", ", ".join(f"{name} ({why})" for name, why in card["known_bad"].items()))
    part("Splits", *(f"{name}: {text}" for name, text in card["splits"].items()))
    part("Options", *(f"{card['name']}:PATH?{name}=…  {text}" for name, text in card["options"].items()))
    part("How to get it", card["get"])
    archives = (f"{a['name']}: {a['bytes'] / 2**30:.1f} GiB, {a['what']}, {a['url']}" for a in card["archives"])
    part("Archives", *archives)
    part("Home", card["home"])


@app.command(epilog="Example: tonearm data verify gtzan:~/data/genres")
def verify(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="gtzan:PATH, fma:PATH?subset=small, folder:PATH, synth, or a path."),
    ],
    every: Annotated[bool, typer.Option("--all", help="List every finding, not only the first of each kind.")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; all cores unless given.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one file may take.")] = 600.0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Decode every file of a copy and list all that is wrong: exit code 1 if anything is, 0 if nothing.

    Missing, corrupt, too short, silent, of another sample rate, the same sound as another track, known to be bad.
    """
    from tonearm import datasets
    from tonearm.packs._progress import Progress

    found, root, options = datasets.parse(dataset)
    bars: list[Progress] = []

    def progress(total: int) -> Any:
        bars.append(Progress(total, "files", quiet=quiet))
        return lambda failed: bars[0].step(failed=failed)

    report = found.verify(
        root, workers=workers, timeout_seconds=timeout if workers != 0 else None, progress=progress, **options
    )
    for bar in bars:
        bar.close()
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        _print_report(report, every)
    raise typer.Exit(1 if report.findings else 0)


def _print_report(report: Any, every: bool) -> None:
    from tonearm.datasets._verify import CODES

    minutes = report.seconds / 60
    print(f"{report.dataset}: {report.tracks} tracks, {minutes:.1f} minutes of sound could be read")
    if not report.findings:
        print("nothing is wrong")
        return
    kinds: dict[str, list] = {}
    for finding in report.findings:
        kinds.setdefault(finding.code, []).append(finding)
    for code, findings in kinds.items():
        print(f"\n{code}: {len(findings)}  ({CODES.get(code, 'see the messages')})")
        shown = findings if every else findings[:10]
        rows = [(_one_line(finding.id or finding.path), _one_line(finding.message)) for finding in shown]
        width = min(40, max(len(name) for name, _ in rows))
        for name, message in rows:
            print(f"  {name:{width}}  {message}")
        if len(findings) > len(shown):
            print(f"  … and {len(findings) - len(shown)} more (--all lists them)")


def _one_line(text: str) -> str:
    """Names from disk may hold anything: what a terminal would act on, or cannot encode, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


@app.command(epilog="Example: tonearm data fetch fma -o ~/data/fma")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="`tonearm data list` names them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where it goes.")] = None,
    archive: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Which archive; `tonearm data show` lists them. Repeatable."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archive after it is unpacked.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds without a byte until the connection is cut.")] = 60.0,
    quiet: Quiet = False,
) -> None:
    """Download and unpack the public archives of a dataset. Interrupted, the same command goes on.

    Every archive is held against its published checksum before it is unpacked.
    """
    from tonearm import datasets
    from tonearm.datasets import _archives
    from tonearm.errors import unknown_name

    dataset = datasets.get(name)
    if not dataset.archives:
        print(f"{name} cannot be fetched. {dataset.about.get}", file=sys.stderr)
        raise typer.Exit(1)
    known = {one.name: one for one in dataset.archives}
    for wanted in archive or ():
        if wanted not in known:
            raise unknown_name(f"archive of {name}", wanted, known)
    if output is None:
        raise UsageError("where to? The folder is missing", hint=f"tonearm data fetch {name} -o FOLDER")
    folder = output.expanduser()
    for one in dataset.archives:
        if one.name in archive if archive else one.default:
            _archives.obtain(one, folder, keep=keep, timeout_seconds=timeout, show=lambda text: _bytes_bar(text, quiet))
    print(f"{name}:{folder}")


@contextmanager
def _bytes_bar(text: str, quiet: bool) -> Iterator[Any]:
    """A progress bar on standard error; gives the function that is told (done, total) bytes."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    if not quiet and not console.is_terminal:
        print(text, file=sys.stderr)
    columns = (
        progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(), progress.TimeRemainingColumn(),
    )  # fmt: skip
    with progress.Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@app.command(epilog="Example: tonearm data table fma ~/data/fma --table features -o packs/fma-features")
def table(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset: fma is the one with such tables.")],
    root: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with fma_metadata in it.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PACK", help="The folder to write.")],
    which: Annotated[str, typer.Option("--table", help="features or echonest.")] = "features",
    subset: Annotated[str, typer.Option(help="small, medium, large, full or medium-8.")] = "full",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there under this name.")] = False,
    as_json: Json = False,
) -> None:
    """The features that a dataset publishes as a table, as a pack."""
    from tonearm.datasets._fma_pack import table_pack

    if name != "fma":
        raise UsageError(f"{name} publishes no tables of features", hint="fma does: tonearm data table fma PATH")
    pack, incomplete = table_pack(root.expanduser(), which, output, subset=subset, force=force)
    if as_json:
        print(json.dumps({"pack": str(output), "tracks": len(pack), "incomplete": incomplete}, indent=2))
        return
    print(f"{output}: {len(pack)} tracks, {pack.features.shape[1]} columns")
    if incomplete:
        print(
            f"{len(incomplete)} tracks have empty values and are left out: {', '.join(incomplete[:10])}",
            file=sys.stderr,
        )


@app.command(epilog="Example: tonearm data synth -o demo/music --seconds 10 --faults labels,silent")
def synth(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the music goes.")],
    tracks_per_genre: Annotated[int, typer.Option(min=1, help="Tracks in each of the eight genres.")] = 20,
    artists_per_genre: Annotated[int, typer.Option(min=1, help="Artists in each genre.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of a track.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is other music.")] = 0,
    format: Annotated[str, typer.Option(help="wav, flac or mp3.")] = "flac",
    duplicates: Annotated[int, typer.Option(min=0, help="Copies per genre that the column recording tells of.")] = 1,
    faults: Annotated[
        str, typer.Option(help="Hidden faults, joined by commas; `tonearm data show synth` says which.")
    ] = "",
    quiet: Quiet = False,
) -> None:
    """Synthesise eight genres of music with artists, duplicates and, if you like, planted faults.

    truth.csv beside the music tells what was planted; nothing in tonearm reads it.
    """
    from tonearm.datasets import synth as dataset
    from tonearm.packs._progress import Progress

    bars: list[Progress] = []

    def progress(done: int, total: int) -> None:
        if not bars:
            bars.append(Progress(total, "tracks", done=done - 1, quiet=quiet))
        bars[0].step()

    folder = dataset.render_to(
        output.expanduser(),
        progress=progress,
        tracks_per_genre=tracks_per_genre,
        artists_per_genre=artists_per_genre,
        seconds=seconds,
        seed=seed,
        format=format,
        duplicates=duplicates,
        faults=dataset.parse_faults(faults),
    )
    for bar in bars:
        bar.close()
    print(f"synth:{folder}")
