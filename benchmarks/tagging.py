"""Songs a minute: predict and scan, against how people do it today, with the same model.

    python benchmarks/tagging.py                            # on songs of four minutes that it makes itself
    python benchmarks/tagging.py --data FOLDER --model gtzan
    python benchmarks/tagging.py --splice FOLDER --count 30  # on songs of four minutes from parts of those in a folder
    python benchmarks/tagging.py --splice FOLDER --first 60 --count 90 --only "predict, 1" \
        --doubts '[{"margin": 0.05, "places": [0.375, 0.625]}]'    # another way to listen, tried out on other songs

"Today" is `tagging_peer.py`: librosa loads the whole song and makes the mel spectrogram of the whole, the same weights
run over all segments, in torch (or, `today, onnx`, in ONNX Runtime, which hardly anybody does). All are whole
processes from a cold start and run in turns (A B C ..., A B C ...), so that what else the machine does meets all. CPU
is user and system time of a process and all below it; what a process needs to start is measured in the same turns on
a sound of four seconds, and taken off for the time of one song. The answers are compared song by song: the genre that
is named first; of all songs, of those that are no toss-up (today's way puts it ten points before the next), and of
those that tonearm is sure of. Today's way answers a second time with its segments 15 seconds later: how far it agrees
with itself is as far as anything can.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before numpy is imported, here and in every child: one core each.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import songs as made_songs  # noqa: E402

PEER = Path(__file__).with_name("tagging_peer.py")
TOSS_UP = 0.1
Command = Callable[[list[Path]], list[str]]


def run(command: list[str]) -> tuple[float, float, str]:
    """CPU and wall seconds of a process and all it started, and what it printed."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command[:5])} ...: exit code {process.returncode}\n{errors.read()[-3000:]}")
        return used.ru_utime + used.ru_stime, wall, out.read()


def contestants(model: Path, room: Path, only: str | None) -> dict[str, Command]:
    """What runs against what, by name; each makes its command from a list of songs."""

    def predict(workers: int) -> Command:
        return lambda songs: [*tonearm, "predict", "--json", "--model", str(model), "--workers", str(workers),
                              *map(str, songs)]  # fmt: skip

    def scan(workers: int) -> Command:
        def command(songs: list[Path]) -> list[str]:
            library = room / "library.sqlite"
            for old in room.glob("library.sqlite*"):
                old.unlink()
            return [*tonearm, "scan", "--json", "--model", str(model), "--workers", str(workers), "--library",
                    str(library), *map(str, songs)]  # fmt: skip

        return command

    def today(*more: str) -> Command:
        return lambda songs: [sys.executable, str(PEER), *more, str(model), *map(str, songs)]

    tonearm = [sys.executable, "-m", "tonearm"]
    every = {
        "today": today(), "today, 15 s later": today("--begin", "15"), "today, onnx": today("--onnx"),
        "predict, 1 process": predict(1),
        "predict, 2 processes": predict(2), "scan, 1 process": scan(1), "scan, 2 processes": scan(2),
    }  # fmt: skip
    return {name: make for name, make in every.items() if not only or only in name or name == "today"}


def measured(every: dict[str, Command], songs: list[Path], short: Path, repeats: int) -> dict[str, Any]:
    """All in turns, each on the songs and on the short sound; CPU and wall seconds per turn, and the answers."""
    times: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in ("cpu", "wall", "start_cpu", "start_wall")} for name in every
    }
    answers: dict[str, dict[str, tuple[str, float, bool]]] = {}
    for make in every.values():
        run(make([short]))  # files into the cache, bytecode onto the disk: not counted
    for turn in range(repeats):
        for name, make in every.items():
            print(f"turn {turn + 1} of {repeats}: {name}", file=sys.stderr)
            kept = times[name]
            for key, given in (("start_", [short]), ("", songs)):
                cpu, wall, out = run(make(given))
                kept[f"{key}cpu"].append(cpu)
                kept[f"{key}wall"].append(wall)
            if "scan" not in name:
                answers[name] = dict(map(answer, out.splitlines()))
    return {"times": times, "answers": answers}


def answer(line: str) -> tuple[str, tuple[str, float, bool]]:
    """Path, genre, how far it is before the next (which only today's way tells), whether it is sure (only ours)."""
    told = json.loads(line)
    genres = told.get("genres") or [{"genre": None}]
    return told["path"], (told.get("genre", genres[0]["genre"]), told.get("margin", 0.0), told.get("sure", False))


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compared(found: dict[str, Any], count: int) -> dict[str, Any]:
    """Per contestant: seconds for a song, songs a minute, how many times faster than today, and equal answers."""
    times, results = found["times"], {}
    per_song = {
        name: {
            unit: [max(1e-9, (a - b) / count) for a, b in zip(kept[unit], kept[f"start_{unit}"], strict=True)]
            for unit in ("cpu", "wall")
        }
        for name, kept in times.items()
    }
    for name, kept in times.items():
        own, base = per_song[name], per_song["today"]
        results[name] = {
            "cpu_seconds_per_song": spread(own["cpu"]),
            "songs_per_minute": spread([60 * count / wall for wall in kept["wall"]]),
            "start_cpu_seconds": spread(kept["start_cpu"]),
            "times_faster_per_core": spread([b / a for a, b in zip(own["cpu"], base["cpu"], strict=True)]),
            "times_faster_wall": spread([b / a for a, b in zip(kept["wall"], times["today"]["wall"], strict=True)]),
        }
        theirs, ours = found["answers"].get("today", {}), found["answers"].get(name)
        if ours is not None:
            same = {path: ours[path][0] == genre for path, (genre, *_) in theirs.items()}
            decided = [path for path, (_, margin, _) in theirs.items() if margin >= TOSS_UP]
            sure = [path for path, (*_, is_sure) in ours.items() if is_sure]
            results[name]["same_answer"] = sum(same.values()) / len(same)
            results[name]["decided"] = len(decided)
            results[name]["same_answer_decided"] = sum(same[path] for path in decided) / max(1, len(decided))
            results[name]["sure"] = len(sure)
            results[name]["same_answer_sure"] = sum(same[path] for path in sure) / max(1, len(sure))
            results[name]["differ"] = {Path(p).name: [theirs[p][0], ours[p][0]] for p in theirs if not same[p]}
    return results


def listening(model: Path, room: Path, changes: dict[str, Any]) -> Path:
    """The model, or a copy that listens in another way."""
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        return model
    from tonearm import runtime

    content, info = model.read_bytes(), runtime.read_info(model)
    info["listen"] = {**info["listen"], **changes}
    copy = room / model.name
    copy.write_bytes(runtime.write_info(content, info))
    return copy


def show(results: dict[str, Any], listen: dict[str, Any], count: int, minutes: float) -> None:
    print(f"{count} songs, {minutes:.1f} minutes each on average; the model hears {listen}")
    head = f"{'':22} {'CPU s/song':>11} {'songs/min':>10} {'start s':>8} {'faster per core':>22}   same answer"
    print(head)
    for name, told in results.items():
        faster = told["times_faster_per_core"]
        same = f"{100 * told['same_answer']:.0f} %" if "same_answer" in told else ""
        if same and told["decided"]:
            same += f", {100 * told['same_answer_decided']:.0f} % of {told['decided']} decided"
        if same and told["sure"]:
            same += f", {100 * told['same_answer_sure']:.0f} % of {told['sure']} sure"
        print(
            f"{name:22} {told['cpu_seconds_per_song']['median']:11.3f} {told['songs_per_minute']['median']:10.0f} "
            f"{told['start_cpu_seconds']['median']:8.2f} "
            f"{faster['median']:9.1f} ({faster['min']:.1f} to {faster['max']:.1f})   {same}"
        )
    for name, told in results.items():
        for song, (today, ours) in told.get("differ", {}).items():
            print(f"  {name}: {song}: {ours}, today's way says {today}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fma", help="a name or a model file")
    parser.add_argument("--data", type=Path, help="a folder of songs, instead of made ones")
    parser.add_argument("--splice", type=Path, help="songs of --seconds from parts of the songs in this folder")
    parser.add_argument("--count", type=int, default=12, help="songs to make, or at most to take from --data")
    parser.add_argument("--first", type=int, default=0, help="number of the first song to splice; others are others")
    parser.add_argument("--seconds", type=float, default=240.0, help="length of the songs that are made")
    parser.add_argument("--keep", type=Path, help="keep the songs that are made in this folder, for another time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="only contestants with this in their name, and today's way")
    parser.add_argument("--excerpts", type=int, help="hear so many excerpts of a song, not the model's own number")
    parser.add_argument("--clip-seconds", type=float, help="of this length")
    parser.add_argument(
        "--doubts", type=json.loads, help="JSON: steps in doubt, as a recipe's `listen.doubts` has them"
    )
    parser.add_argument("--output", type=Path, help="all figures as JSON")
    options = parser.parse_args()

    from tonearm import audio, runtime

    with tempfile.TemporaryDirectory(prefix="tonearm-tagging-") as folder:
        room = Path(folder)
        if options.data:
            songs = made_songs.found(options.data)[: options.count]
        else:
            kept = options.keep or room / "songs"
            kept.mkdir(parents=True, exist_ok=True)
            if options.splice:
                sources = made_songs.found(options.splice)
                spliced = (kept, sources, options.count, options.seconds, options.first)
                songs = made_songs.spliced(*spliced) if sources else []
            else:
                songs = made_songs.synthesised(kept, options.count, options.seconds)
        if not songs:
            raise SystemExit(f"{options.data or options.splice}: no songs in it")
        short = made_songs.synthesised(room, 1, 4.0)[0]
        changes = {"excerpts": options.excerpts, "clip_seconds": options.clip_seconds, "doubts": options.doubts}
        model = listening(runtime.find(options.model), room, changes)
        listen = runtime.read_info(model)["listen"]
        found = measured(contestants(model, room, options.only), songs, short, options.repeats)
        minutes = statistics.mean(audio.info(song).seconds for song in songs) / 60
    results = compared(found, len(songs))
    show(results, listen, len(songs), minutes)
    if options.output:
        told = {"songs": len(songs), "minutes": minutes, "model": options.model, "listen": listen,
                "machine": platform.processor() or platform.machine(), "results": results, **found}  # fmt: skip
        options.output.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
