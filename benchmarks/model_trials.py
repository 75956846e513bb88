"""What was weighed for the model `fma`: nets on a quarter of all artists, ways to pool, and what its teacher knows.

    python benchmarks/model_trials.py nets --packs PACKS -o FOLDER          # three nets of 1,500 steps, half an hour
    python benchmarks/model_trials.py ceiling --packs PACKS                 # what the teacher knows
    python benchmarks/model_trials.py ceiling --packs PACKS --net MADE/nets/choose-0.safetensors   # and with a net

`nets` trains the recipe of `fma` without what it gained last, then with each of both alone, on three quarters of the
artists of the training and validation parts, and judges the last quarter. FOLDER keeps the nets. No test part is read.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tonearm import evaluation
from tonearm.evaluation.calibration import coverage_accuracy, expected_calibration_error
from tonearm.shipping import loop, make, recipe
from tonearm.shipping.net import BandNet
from tonearm.shipping.statistics import Statistics
from tonearm.training import checkpoint

NETS = {
    "as it was": {"net": {"residual": False}, "training": {"teacher": 1.0}},
    "second convolutions": {"net": {"residual": True}, "training": {"teacher": 1.0}},
    "three times the weight on the vectors": {"net": {"residual": False}, "training": {"teacher": 3.0}},
}
POOLED = {
    "as a whole": (1,), "in halves": (2,), "as a whole and in halves": (1, 2), "in quarters": (4,),
    "as a whole, in halves and in quarters": (1, 2, 4),
}  # fmt: skip


@torch.no_grad()
def maps_of(net: BandNet, stored: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    return torch.cat([net.maps(stored[torch.from_numpy(some)].float() / 255) for some in np.array_split(rows, 40)])


@torch.no_grad()
def logs_of(net: BandNet, maps: torch.Tensor, numbers: tuple[int, ...]) -> np.ndarray:
    """Mean log-probabilities (tracks, classes) of maps pooled in so many stretches each."""
    told = []
    for number in numbers:
        edges = [maps.shape[2] * i // number for i in range(number + 1)]
        told += [net.heads["genre"](net.pooled(maps[:, :, a:b])).log_softmax(1) for a, b in itertools.pairwise(edges)]
    return (sum(told) / len(told)).numpy()


def figures(logs: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """After a temperature, fitted on the very tracks: it is the same for all that are compared."""
    shares = np.exp(logs - logs.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    calm = evaluation.apply_temperature(shares, evaluation.fit_temperature(truth, shares).value)
    curve = coverage_accuracy(truth, calm)
    return {
        "accuracy": float((calm.argmax(1) == truth).mean()),
        "half": float(curve.accuracy[int(np.argmin(np.abs(curve.coverage - 0.5)))]),
        "log-loss": float(-np.log(calm[np.arange(len(truth)), truth]).mean()),
        "ece": float(expected_calibration_error(truth, calm)),
    }


def show(name: str, found: dict[str, float]) -> None:
    print(f"{name:55} " + "  ".join(f"{key} {value:.4f}" for key, value in found.items()), flush=True)


def nets(packs: Path, folder: Path, steps: int) -> None:
    base = recipe.get("fma")
    shop = make._open(base, packs, folder, print)
    labels, artists = shop.material.labels, shop.material.artists
    quarters = StratifiedGroupKFold(4, shuffle=True, random_state=1).split(labels, labels, artists)
    learn, judge = next(iter(quarters))
    vectors = shop.material.vectors
    vectors = (vectors - vectors[learn].mean(0)) / (vectors[learn].std(0) + 1e-6)
    for name, changes in NETS.items():
        training = base.training.model_copy(update={**changes["training"], "steps": steps})
        one = base.model_copy(update={"net": base.net.model_copy(update=changes["net"]), "training": training})
        path = folder / f"{name.replace(' ', '-')}.safetensors"
        net = loop.train(one, shop.material, np.sort(learn), 0, path)
        maps = maps_of(net, shop.material.stored, judge)
        with torch.no_grad():
            told = net.heads["teacher"](net.pooled(maps)).numpy()
        missed = ((told - vectors[judge]) ** 2).sum() / ((vectors[judge] - vectors[judge].mean(0)) ** 2).sum()
        print(f"{name}: n = {len(judge)}, R² of vectors {1 - missed:.3f}")
        for pooled, numbers in POOLED.items():
            show(f"  {pooled}", figures(logs_of(net, maps, numbers), labels[judge]))


def ceiling(packs: Path, path: Path | None) -> None:
    one = recipe.get("fma")
    shop = make._open(one, packs, Path.cwd(), print)
    stored, labels, vectors = shop.material.stored, shop.material.labels, shop.material.vectors
    learn, judge = make._rows(shop, ("train",)), make._rows(shop, ("valid",))
    machine = make_pipeline(StandardScaler(), SVC(C=1.0)).fit(vectors[learn], labels[learn])
    scores = machine.decision_function(vectors[judge])
    print(f"SVM on the vectors: {np.mean(scores.argmax(1) == labels[judge]):.4f}, n = {len(judge)}")
    statistics = make._in_blocks(
        Statistics(stored.shape[1], stored.shape[2], stored.shape[2] / 30), stored.float() / 255
    )
    sides = [StandardScaler().fit(side[learn]).transform(side) for side in (vectors, statistics)]
    for share in (0.3, 1.0):
        # Side by side, each side in the say that it has in the squared distance.
        both = np.hstack([sides[0] / vectors.shape[1] ** 0.5, sides[1] * (share / statistics.shape[1]) ** 0.5])
        found = SVC(C=1.0, gamma=0.7).fit(both[learn], labels[learn]).predict(both[judge])
        print(f"SVM on vectors and, {share:g} as much, statistics: {np.mean(found == labels[judge]):.4f}")
    if path is None:
        return
    net = BandNet(stored.shape[1], {"genre": 8, "teacher": vectors.shape[1]}, **one.net.model_dump())
    net.load_state_dict(checkpoint.load(path)[0]["net"])
    maps = maps_of(net.eval(), stored, judge)
    show("the net as a whole", figures(logs_of(net, maps, (1,)), labels[judge]))
    logs = logs_of(net, maps, (1, *one.stretches))
    show("the net as shipped", figures(logs, labels[judge]))
    opinion = LogisticRegression(max_iter=2000).fit(machine.decision_function(vectors[learn]), labels[learn])
    told = np.log(np.maximum(opinion.predict_proba(scores), 1e-9))
    show("the net joined with the SVM on the vectors", figures(0.8 * logs + 0.2 * told, labels[judge]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["nets", "ceiling"])
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path("model-trials"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--net", type=Path, help="a net of the training part, as `tonearm make fma` keeps it")
    options = parser.parse_args()
    if options.what == "nets":
        options.output.mkdir(parents=True, exist_ok=True)
        nets(options.packs, options.output, options.steps)
    else:
        ceiling(options.packs, options.net)


if __name__ == "__main__":
    main()
