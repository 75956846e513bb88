"""What a shipped model promises beside its accuracy: audio and pack agree, it is quick, and it is not fooled by noise.

    python benchmarks/models.py --packs PACKS --audio AUDIO

PACKS holds the packs that the models learnt from; AUDIO holds `gtzan/<genre>/<id>.*` and `fma/<id>.*`, clips that are
in the packs too, and whole `songs`. Long songs for the timing are made by the script (four minutes, MP3 at 192 kbit/s).
How answers stand up to changes of the sound is another command: `tonearm robustness MODEL --data AUDIO/gtzan`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tonearm
from tonearm import audio
from tonearm.evaluation.intervals import rate_interval
from tonearm.judging.changes import CHANGES
from tonearm.packs import open_pack

# What a listener does not mind, and what is asked of the models: at least nine in ten stay.
STEADY = ("mp3-64k", "softer", "louder", "below-20-hz", "start", "rate-48000", "rate-22050", "rate-16000", "noise-30")
PACK_OF = {"gtzan": "gtzan-mel", "fma": "fma-small-mel"}


def agreement(name: str, packs: Path, sounds: Path) -> dict:
    """Top genre and probabilities from audio against those from the pack, for clips that are whole in both."""
    model, pack = tonearm.load(name), open_pack(packs / PACK_OF[name])
    place = {track: i for i, track in enumerate(pack.ids.tolist())}
    same, apart, used = [], [], []
    for path in sorted(sounds.rglob("*")):
        track = path.stem
        if track not in place or path.suffix.lower() not in audio.SUFFIXES:
            continue
        if audio.info(path).seconds < 29.5:
            continue  # cut short there, whole in the pack: other music
        from_pack = model.from_features(np.asarray(pack.features)[[place[track]]])[0][0]
        from_audio = model.predict(str(path)).probabilities
        same.append(from_pack.argmax() == from_audio.argmax())
        apart.append(float(np.abs(from_pack - from_audio).max()))
        used.append(track)
    return {"n": len(used), "same_first_genre": float(np.mean(same)), "median_difference": float(np.median(apart)),
            "largest_difference": float(np.max(apart))}  # fmt: skip


def long_songs(folder: Path, count: int) -> list[Path]:
    """Four minutes each of pulses and chords that change, as MP3."""
    import soundfile

    rate, seconds, paths = 44100, 240, []
    time_axis = np.arange(rate * seconds) / rate
    for number in range(count):
        draw = np.random.default_rng(number)
        pulse = draw.normal(0, 0.2, len(time_axis)) * np.exp(-8 * ((time_axis * (1.6 + 0.2 * number)) % 1))
        roots = np.repeat(draw.choice([110, 147, 165, 196], seconds // 4), 4 * rate)[: len(time_axis)]
        chord = sum(np.sin(2 * np.pi * np.cumsum(roots * ratio) / rate) for ratio in (1, 1.25, 1.5)) * 0.1
        path = folder / f"song-{number}.mp3"
        soundfile.write(path, np.stack([pulse + chord, 0.8 * pulse + chord], 1), rate, bitrate_mode="CONSTANT",
                        compression_level=0.4)  # fmt: skip
        paths.append(path)
    return paths


def speed(name: str, packs: Path, songs: list[Path]) -> dict:
    """CPU time of one process on one core: whole songs from disk, and the model and its feature alone."""
    model, pack = tonearm.load(name), open_pack(packs / PACK_OF[name])
    model.predict(str(songs[0]))
    begun = time.process_time()
    for _ in range(3):
        for path in songs:
            model.predict(str(path))
    per_song = (time.process_time() - begun) / (3 * len(songs))
    clip = audio.load(songs[0], sample_rate=model.plan.sample_rate, start_seconds=60, clip_seconds=30)
    answers, features = [], []
    rows = np.asarray(pack.features[:1])
    for _ in range(30):
        begun = time.process_time()
        model.features_of([clip])
        features.append(time.process_time() - begun)
        begun = time.process_time()
        model.from_features(rows)
        answers.append(time.process_time() - begun)
    return {"songs_a_minute": 60 / per_song, "feature_ms": 1e3 * float(np.median(features)),
            "model_ms": 1e3 * float(np.median(answers))}  # fmt: skip


def first_answer(name: str, song: Path, rounds: int = 7) -> dict:
    """A fresh process that answers for one song against one that only imports numpy and onnxruntime, interleaved."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    commands = {
        "tonearm": [sys.executable, "-m", "tonearm", "predict", str(song), "--model", name, "--json"],
        "imports": [sys.executable, "-c", "import numpy, onnxruntime"],
    }
    wall: dict[str, list[float]] = {"tonearm": [], "imports": []}
    cpu: dict[str, list[float]] = {"tonearm": [], "imports": []}
    for turn in range(rounds + 1):
        for key, command in commands.items():
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            passed, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
            if turn:
                wall[key].append(passed)
                cpu[key].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    ratios, of_cpu = (
        sorted(a / b for a, b in zip(found["tonearm"], found["imports"], strict=True)) for found in (wall, cpu)
    )
    return {"ratio": float(np.median(ratios)), "ratios": [round(ratio, 2) for ratio in ratios],
            "cpu_ratio": float(np.median(of_cpu)), "cpu_ratios": [round(ratio, 2) for ratio in of_cpu]}  # fmt: skip


def no_music(name: str) -> dict:
    """What is said of sounds that are no music: whether it is sure, and which warnings it gives."""
    model, rate = tonearm.load(name), 22050
    draw = np.random.default_rng(0)
    t = np.arange(20 * rate) / rate
    syllables = np.convolve(np.repeat(draw.random(100), rate // 5), np.hanning(2000) / 1000, "same")
    sounds = {
        "silence": np.zeros(20 * rate),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "white noise": draw.normal(0, 0.1, 20 * rate),
        "noise in syllables": draw.normal(0, 0.2, 20 * rate) * syllables[: 20 * rate],
        "one second of noise": draw.normal(0, 0.1, rate),
        "one second of chord": 0.1 * sum(np.sin(2 * np.pi * f * t[:rate]) for f in (220, 277, 330)),
    }
    found = {}
    for kind, samples in sounds.items():
        told = model.predict(samples.astype(np.float32), sample_rate=rate)
        found[kind] = {"sure": told.sure, "warnings": [warning.code for warning in told.warnings]}
    return found


def steady(name: str, folder: Path) -> dict:
    """How often the first genre stays when the sound is changed as no listener minds; any sound will do, no labels."""
    model = tonearm.load(name)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in audio.SUFFIXES)
    same: dict[str, list[bool]] = {change: [] for change in STEADY}
    for path in paths:
        seconds = audio.info(path).seconds
        wave = audio.load(path, start_seconds=max(0.0, seconds / 2 - 15.75), clip_seconds=31.5)
        first = model.predict(wave.samples, sample_rate=wave.sample_rate).genres[0].genre
        for change in STEADY:
            changed = CHANGES[change].make(wave, np.random.default_rng(0))
            if changed is not None:
                told = model.predict(changed.samples, sample_rate=changed.sample_rate)
                same[change].append(bool(told.genres[0].genre == first))
    return {change: {"same": sum(kept), "of": len(kept), "interval": [found.low, found.high]}
            for change, kept in same.items() if kept for found in [rate_interval(np.array(kept))]}  # fmt: skip


def later(name: str, folder: Path) -> dict:
    """Windows of 30 s, every 8 s, of whole songs and of clips of the web, the kind of music that `fma` knows.

    How often the first genre is the same half a second later, as the model answers and from one hearing alone; and how
    often both answer the same, which is how often audio and pack agree.
    """
    model, same, once, both = tonearm.load(name), [], [], []
    rate = model.plan.sample_rate
    size, step = 30 * rate, 8 * rate
    paths = [path for room in ("songs", "fma") for path in sorted((folder / room).iterdir())
             if path.suffix.lower() in audio.SUFFIXES]  # fmt: skip
    for path in paths:
        samples = audio.load(path, sample_rate=rate).samples
        for start in range(0, max(1, len(samples) - size), step):
            heard = [samples[start : start + size], samples[start + rate // 2 : start + size]]
            answers = [model.ask(sound, sample_rate=rate)[0].argmax() for sound in heard]
            alone = [model.from_features(model.features(sound, sample_rate=rate))[0][0].argmax() for sound in heard]
            same.append(bool(answers[0] == answers[1]))
            once.append(bool(alone[0] == alone[1]))
            both.append(bool(answers[0] == alone[0]))
    return {"windows": len(same), "files": len(paths), "same_half_a_second_later": float(np.mean(same)),
            "of_one_hearing": float(np.mean(once)), "same_as_one_hearing": float(np.mean(both))}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["gtzan", "fma"], choices=sorted(PACK_OF))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        songs = long_songs(Path(folder), 4)
        for name in arguments.models:
            told[name] = {
                "agreement": agreement(name, arguments.packs, arguments.audio / name),
                "speed": speed(name, arguments.packs, songs),
                "first_answer": first_answer(name, songs[0], arguments.rounds),
                "no_music": no_music(name),
                "steady": steady(name, arguments.audio),
                "later": later(name, arguments.audio),
            }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
