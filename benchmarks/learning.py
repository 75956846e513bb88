"""How long learning takes, and what it finds: from arrays, from songs, and with wrong labels planted in real data.

    export OMP_NUM_THREADS=1                                    # as the command line does for itself
    python benchmarks/learning.py arrays                        # 2,000 songs as embedding and statistics
    python benchmarks/learning.py songs --data FOLDER           # look and hear, songs a minute with 1 and 2 processes
    python benchmarks/learning.py songs                         # the same on songs synthesised for it
    python benchmarks/learning.py whole --data FOLDER           # `tonearm learn` on 2,000 files, and from a library
    python benchmarks/learning.py pack PACK --flip 0.05         # artists apart, inputs compared, labels changed
    python benchmarks/learning.py pack PACK --model gtzan       # with the embedding of a model beside the statistics

`whole` cuts the MP3s of a folder into 2,000 files of a minute, which is enough for both excerpts of a model, at
places of their own and without encoding anything anew; the genre is the song that a file was cut from, so that
accuracy says nothing.
`pack` takes a pack of spectra with a byte per value (such as gtzan-mel). With --model the pack must hold the feature
of that model; a model that was trained on the pack's own tracks flatters, and the benchmark says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tonearm.learning import fit, study
from tonearm.learning.doubt import doubtful
from tonearm.learning.material import Material
from tonearm.packs import Track, open_pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    arrays = ways.add_parser("arrays")
    arrays.add_argument("--songs", type=int, default=2000)
    arrays.add_argument("--columns", type=int, default=600)
    arrays.add_argument("--genres", type=int, default=10)
    songs = ways.add_parser("songs")
    songs.add_argument("--data", help="folder of music; else songs are synthesised")
    songs.add_argument("--model", default="fma")
    songs.add_argument("--count", type=int, default=24, help="songs to synthesise")
    songs.add_argument("--seconds", type=float, default=200.0, help="length of those")
    songs.add_argument("--repeat", type=int, default=1, help="hear each so many times: few songs as if they were many")
    songs.add_argument("--turns", type=int, default=2)
    whole = ways.add_parser("whole")
    whole.add_argument("--data", required=True, help="folder of MP3s")
    whole.add_argument("--songs", type=int, default=2000)
    whole.add_argument("--seconds", type=float, default=62.0)
    pack = ways.add_parser("pack")
    pack.add_argument("pack")
    pack.add_argument("--model")
    pack.add_argument("--flip", type=float, default=0.05, help="share of labels to change")
    pack.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    {"arrays": from_arrays, "songs": from_songs, "whole": whole_command, "pack": from_pack}[args.way](args)


def from_arrays(args: argparse.Namespace) -> None:
    """Everything after the hearing: cross-validation, doubts, curve, figures, head."""
    draw = np.random.default_rng(0)
    artists = args.songs // 8
    of_artist = np.arange(args.songs) % artists
    genre = of_artist % args.genres
    # As hard as real genres are: about two thirds right for artists that were not heard.
    places = draw.normal(scale=0.16, size=(args.genres, args.columns))
    values = places[genre] + draw.normal(scale=0.8, size=(artists, args.columns))[of_artist]
    values += draw.normal(scale=0.6, size=values.shape)
    tracks = tuple(
        Track(id=str(i), genre=f"genre {g}", artist=str(a))
        for i, (g, a) in enumerate(zip(genre, of_artist, strict=True))
    )
    began, cpu = time.perf_counter(), time.process_time()
    done = study(Material(tracks, values))
    print(
        f"{args.songs} songs, {args.columns} columns, {args.genres} genres, {artists} artists: "
        f"{time.perf_counter() - began:.1f} s, CPU {time.process_time() - cpu:.1f} s; "
        f"accuracy {100 * done.figures['accuracy']:.1f} %"
    )


def from_songs(args: argparse.Namespace) -> None:
    """Looking at files and hearing them, nothing cached; in turns, so that other load hits both alike."""
    from tonearm import runtime

    model = runtime.load(args.model)
    with tempfile.TemporaryDirectory() as folder:
        paths = _music(args, Path(folder))
        size = sum(os.path.getsize(path) for path in paths)
        print(f"{len(paths)} songs, {size / 1e6:.0f} MB, heard by {model.name} {model.version}")
        rates: dict[int, list[float]] = {1: [], 2: []}
        costs: list[float] = []
        for turn in range(args.turns):
            for workers in (1, 2):
                cache = Path(folder) / f"{turn}-{workers}"
                seconds, cpu, heard = _heard(paths, args.model, workers, cache, args.repeat)
                costs.append(cpu / heard)
                rates[workers].append(60 * heard / seconds)
                print(f"  turn {turn + 1}, {workers} process(es): {heard} heard, {60 * heard / seconds:.0f} songs a "
                      f"minute, CPU {1000 * cpu / heard:.0f} ms a song")  # fmt: skip
    for workers, found in rates.items():
        rate = float(np.median(found))
        print(f"{workers} process(es): {rate:.0f} songs a minute, 2,000 songs in {2000 / rate:.1f} minutes")
    cost = float(np.median(costs))
    minutes = 2000 * cost / 2 / 60
    print(f"by CPU time: {1000 * cost:.0f} ms a song, 2,000 songs on two free cores in {minutes:.1f} minutes")


def _music(args: argparse.Namespace, folder: Path) -> list[str]:
    from tonearm.learning import hearing

    if args.data:
        return hearing.walk(args.data, [])
    from tonearm.datasets import synth

    per_genre = max(1, args.count // 8)
    synth.render_to(
        folder / "music", tracks_per_genre=per_genre, artists_per_genre=1, duplicates=0, seconds=args.seconds,
        format="mp3",
    )  # fmt: skip
    return hearing.walk(os.fspath(folder / "music"), [])


def _heard(paths: list[str], model: str, workers: int, cache: Path, repeat: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds of all processes, and how many sounds were heard."""
    import resource

    from tonearm.learning import hearing
    from tonearm.learning.cache import Cache
    from tonearm.learning.songs import Song

    def spent() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    began, cpu = time.perf_counter(), spent()
    kept, problems = Cache(cache / "heard.sqlite"), []
    songs = hearing.look([Song(path=path) for path in paths], kept, problems, workers=workers)
    # A sound is heard once: those that are to be heard again are called other sounds.
    songs += [replace(song, sound=f"{turn:02x}{song.sound[2:]}") for turn in range(1, repeat) for song in songs]
    vectors = hearing.hear(songs, model, "benchmark", kept, problems, workers=workers)
    kept.close()
    for problem in problems:
        print(f"  {problem['path']}: {problem['message']}", file=sys.stderr)
    return time.perf_counter() - began, spent() - cpu, len(vectors)


def whole_command(args: argparse.Namespace) -> None:
    """`tonearm learn` from files, `tonearm scan`, and `tonearm learn` from the library: wall and CPU time of each."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        count = cut_songs(sorted(Path(args.data).rglob("*.mp3")), room / "music", args.songs, args.seconds)
        size = sum(path.stat().st_size for path in (room / "music").rglob("*.mp3"))
        print(f"{count} files of {args.seconds:g} s, {size / 1e9:.1f} GB", flush=True)
        own = {"TONEARM_DATA": str(room / "data"), "TONEARM_CACHE": str(room / "cache")}
        library, music = room / "library.sqlite", room / "music"
        for name, call in (
            ("learn, from files", ["learn", str(music), "-o", str(room / "a.npz"), "--labels", "folders", "--quiet"]),
            ("scan", ["scan", str(music), "--library", str(library)]),
            ("learn, from the library", ["learn", f"library:{library}", "-o", str(room / "b.npz"), "--labels",
                                         "folders", "--quiet"]),
        ):  # fmt: skip
            before, began = os.times(), time.perf_counter()
            command = [sys.executable, "-m", "tonearm", *call]
            told = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True)
            if told.returncode:
                raise SystemExit(told.stderr[-2000:])
            wall, after = time.perf_counter() - began, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            print(f"{name}: {wall:.0f} s, CPU {cpu:.0f} s: {cpu / 2:.0f} s on two free cores", flush=True)


def cut_songs(sources: list[Path], folder: Path, count: int, seconds: float) -> int:
    """Files cut from MP3s at frames, in folders GENRE/ARTIST; the genre is the song, an artist forty files of it."""
    from tonearm import audio
    from tonearm.audio._mp3 import find_chain

    long = [path for path in sources if audio.info(path).seconds > 1.5 * seconds]
    if len(long) < 2:
        raise SystemExit(f"fewer than two MP3s of {1.5 * seconds:.0f} s")
    each = -(-count // len(long))
    for n in range(count):
        source = long[n % len(long)]
        data = source.read_bytes()
        length = int(len(data) * seconds / audio.info(source).seconds)
        # Evenly spread: two that began at the same frame would be copies, and join their artists.
        begin = 4096 + n // len(long) * (len(data) - length - 8192) // each
        start = find_chain(data, links=4, begin=begin)
        here = folder / f"genre {n % len(long)}" / f"artist {n // len(long) // 40}-{n % len(long)}"
        here.mkdir(parents=True, exist_ok=True)
        (here / f"{n:04}.mp3").write_bytes(data[start : start + length])
    return count


def from_pack(args: argparse.Namespace) -> None:
    """What the figures of a real pack are with artists apart, and which of the changed labels are listed."""
    pack = open_pack(args.pack)
    columns = [pack.column(name).tolist() for name in ("id", "genre", "artist", "recording")]
    tracks = [Track(id=i, genre=g, artist=a, recording=r) for i, g, a, r in zip(*columns, strict=True)]
    ways = _inputs(pack, args.model)
    for name, values in ways.items():
        began, cpu = time.perf_counter(), time.process_time()
        done = study(Material(tuple(tracks), values))
        low, high = done.figures["interval"]
        print(
            f"{name} ({values.shape[1]} columns): accuracy {100 * done.figures['accuracy']:.1f} % "
            f"[{100 * low:.1f}, {100 * high:.1f}] over {done.figures['interval_groups']} artists, n = {len(tracks)}; "
            f"calibration error {100 * done.figures['ece']:.1f} %; {len(done.doubts)} labels doubted; "
            f"{done.curve.words}; {time.perf_counter() - began:.1f} s, CPU {time.process_time() - cpu:.1f} s"
        )
    values = list(ways.values())[-1]
    genres = sorted({track.genre for track in tracks})
    for number in range(args.draws if args.flip else 0):
        draw = np.random.default_rng(number)
        wrong = set(draw.choice(len(tracks), round(args.flip * len(tracks)), replace=False).tolist())
        changed = list(tracks)
        for i in sorted(wrong):
            other = (genres.index(tracks[i].genre) + 1 + draw.integers(len(genres) - 1)) % len(genres)
            changed[i] = replace(tracks[i], genre=genres[other])
        material = Material(tuple(changed), values)
        doubts, _ = doubtful(material, fit.cross_validated(material))
        place = {track.id: i for i, track in enumerate(tracks)}
        listed = [place[doubt.track.id] for doubt in doubts]
        first = len(wrong & set(listed[: len(wrong)]))
        restored = sum(
            doubt.suggestion == tracks[i].genre for doubt, i in zip(doubts, listed, strict=True) if i in wrong
        )
        print(
            f"draw {number + 1}: {len(wrong)} labels changed, {len(wrong & set(listed))} of them on a list of "
            f"{len(listed)} ({first} among its first {len(wrong)}), {restored} with the right suggestion"
        )


def _inputs(pack, model: str | None) -> dict[str, np.ndarray]:
    """Values (tracks, columns) to learn from, by name."""
    from tonearm.runtime import personal
    from tonearm.runtime.statistics import statistics_of_rows

    if not model:
        return {"statistics": statistics_of_rows(pack.features).astype(np.float64)}
    from tonearm import runtime
    from tonearm.learning import from_pack as reading

    ear = runtime.load(model)
    reading.check(pack, pack.folder, ear)
    for note in reading.known_before(pack, ear):
        print(f"WARNING: {note}")
    found = [
        personal.described_rows(ear, np.asarray(pack.features[i : i + 256], np.float32), personal.inputs_of(ear))
        for i in range(0, len(pack.features), 256)
    ]
    ways = {name: np.concatenate([some[name] for some in found]).astype(np.float64) for name in found[0]}
    return {**ways, " and ".join(ways): np.concatenate(list(ways.values()), axis=1)}


if __name__ == "__main__":
    main()
