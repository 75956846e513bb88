"""The command line. It holds no science: it reads arguments, calls a room, prints.

The table below is all that `tonearm --help` needs, so that no command is imported to list the others; a test holds
each row against the command's own help. A command lives in `tonearm.cli.<module>`: `app` where it has commands below
it, else a function `command`.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NamedTuple

# A first answer and most other short commands make 40,000 to 60,000 that last and may hold others.
_OBJECTS_OF_A_START = 100_000


class Entry(NamedTuple):
    module: str
    group: str
    help: str
    example: str


GROUPS = ("Music", "Data", "Models", "Honesty", "Housekeeping")

COMMANDS: dict[str, Entry] = {
    "predict": Entry("predict", "Music", "Tell the genres of sound files, and where that is not sure.",
                     "tonearm predict ~/Music --recursive --json"),
    "timeline": Entry("timeline", "Music", "Show the genre over the length of a song or a mix.",
                      "tonearm timeline mix.mp3 --png mix.png"),
    "scan": Entry("scan", "Music",
                  "Keep a collection in a library: hear what is new, follow what moved.",
                  "tonearm scan ~/Music"),
    "library": Entry("library", "Music",
                     "Ask the library: which songs, how many, what sounds alike, what is there twice.",
                     "tonearm library list genre:folk confidence:0.8.."),
    "tag": Entry("tag", "Music", "Write genres into files: plan, look, apply, and take it back to the byte.",
                 "tonearm tag plan ~/Music -o plan.json"),
    "learn": Entry("learn", "Music", "Make a model of your own genres from music that you have labelled.",
                   "tonearm learn ~/Music -o mine.npz"),
    "plot": Entry("plot", "Music", "Draw a sound file: waveform, spectra, cepstra, pitch classes, tempo.",
                  "tonearm plot song.mp3 --what waveform,mel,chroma -o song.svg"),
    "pack": Entry("pack", "Data", "Turn a dataset into features on disk, and look after such packs.",
                  "tonearm pack build folder:~/Music --feature logmel -o packs/mine"),
    "explore": Entry("explore", "Data",
                     "Make one page of a dataset: counts, lengths, examples of genres, features, a map of tracks.",
                     "tonearm explore packs/mine -o explore.html"),
    "data": Entry("data", "Data", "Know the datasets: what they are, how to get them, what is wrong with them.",
                  "tonearm data verify gtzan:~/data/genres"),
    "features": Entry("features", "Data", "List the features, or compute one from a file.",
                      "tonearm features compute song.mp3 --feature mfcc -o song.npy"),
    "recipes": Entry("recipes", "Models",
                     "List the systems that can be trained, what they claim, and what is wrong with the claims.",
                     "tonearm recipes show njupt-cnn2d"),
    "train": Entry("train", "Models", "Train a recipe on a dataset or pack, into a run folder.",
                   "tonearm train njupt-cnn2d --data packs/mine -o runs/first"),
    "augment": Entry("augment", "Models", "List the augmentations of clips, or see and hear what one does.",
                     'tonearm augment preview song.mp3 --step "pitch semitones=3" -o previews/pitch'),
    "reproduce": Entry("reproduce", "Models",
                       "Train systems as published and under honest protocols, claims beside measurements.",
                       "tonearm reproduce svm-mfcc --data packs/mine -o reproduction"),
    "models": Entry("models", "Models", "List the models, how good they are, and what not to use them for.",
                    "tonearm models fma"),
    "make": Entry("make", "Models", "Make a shipped model again: train, choose, calibrate, measure, write.",
                  "tonearm make gtzan --data packs -o made/gtzan"),
    "export": Entry("export", "Models", "Write the net of a run as one model file, for use without torch.",
                    "tonearm export runs/first -o first.onnx"),
    "runs": Entry("runs", "Models", "List runs with their figures, how far they are, and what failed.",
                  "tonearm runs runs/"),
    "compare": Entry("compare", "Models",
                     "Compare runs in one table, with intervals and paired tests against the best.",
                     "tonearm compare runs/ --html comparison.html"),
    "ablate": Entry("ablate", "Models",
                    "Train a recipe with other settings in the place of its own, and report what each is worth.",
                    "tonearm ablate njupt-cnn2d --data packs/mine --vary model.kernel_size=3,5,7 --seeds 3"),
    "curve": Entry("curve", "Models",
                   "Train a recipe with less and more of something, and report accuracy at each point.",
                   "tonearm curve baseline-rbf-svm --data packs/mine --over tracks --seeds 3"),
    "tune": Entry("tune", "Models",
                  "Search settings of a recipe by validation or cross-validation; the test part is not opened.",
                  "tonearm tune baseline-rbf-svm --data packs/mine --trials 30"),
    "evaluate": Entry("evaluate", "Honesty",
                      "Judge a model: accuracy with its interval, per genre, how sure it may be, what it knew before.",
                      "tonearm evaluate runs/first --data packs/mine --split test --by artist"),
    "robustness": Entry("robustness", "Honesty",
                        "See what a model loses when music is compressed, noisy or a little faster: the horse test.",
                        "tonearm robustness runs/first --data folder:~/Music"),
    "report": Entry("report", "Models",
                    "Make one page of a run: what was done, figures, curves, confusions, mistakes, cost.",
                    "tonearm report runs/first -o report.html"),
    "explain": Entry("explain", "Honesty",
                     "Show on which bands and seconds a prediction rests, as numbers, picture and sound; and check it.",
                     "tonearm explain song.mp3 --model fma -o explained"),
    "audit": Entry("audit", "Honesty", "Find what fools you: duplicates, leaks, doubtful labels, inflated figures.",
                   "tonearm audit packs/mine --html audit.html"),
    "split": Entry("split", "Honesty", "Make, show and check splits by a named protocol.",
                   "tonearm split make packs/mine --protocol artist -o split.json"),
    "demo": Entry("demo", "Housekeeping", "Synthesise a small dataset and do the main job on it.",
                  "tonearm demo -o demo"),
    "doctor": Entry("doctor", "Housekeeping", "Say what is installed, what can be read and what is missing.",
                    "tonearm doctor --json"),
}  # fmt: skip


def _spare_rubbish_collection() -> None:
    """Let the first search for rubbish wait until far more objects are there than a start makes; then all is as usual.

    What is made while packages are imported stays, so that nothing is found; looking for it takes 8 ms of a start.
    """
    usual = gc.get_threshold()

    def as_usual(phase: str, info: dict[str, int]) -> None:
        gc.set_threshold(*usual)
        if as_usual in gc.callbacks:
            gc.callbacks.remove(as_usual)

    gc.set_threshold(_OBJECTS_OF_A_START, *usual[1:])
    gc.callbacks.append(as_usual)


def _keep_memory() -> None:
    """Have malloc keep what was freed: given back and fetched again for each song, pages cost 3 ms of 75.

    Only here, where the process is ours; workers are forked from it. Whoever has settings of their own keeps them.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    import ctypes

    try:
        for parameter, size in ((-1, 256 << 20), (-3, 32 << 20)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            ctypes.CDLL(None).mallopt(parameter, size)
    except (OSError, AttributeError):  # not the C library of GNU
        pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us, as daemons are started
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (for as long as we run)
    if arguments in (["--version"], ["-V"]):
        # Before anything is imported: scripts ask this often.
        from tonearm import __version__

        print(f"tonearm {__version__}")
        sys.exit(0)
    _spare_rubbish_collection()
    _keep_memory()
    # The work is spread over files, not over the threads of one product; must be set before numpy is imported.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    # typer imports pydantic, which would read the metadata of every installed package to look for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from tonearm.cli._root import run

        code = run(arguments)
    except KeyboardInterrupt:  # while packages are still imported
        sys.exit(130)
    # At exit Python looks through every object for rubbish, several times: a tenth of a short command's time.
    gc.freeze()
    sys.exit(code)
