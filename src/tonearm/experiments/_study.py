"""One Optuna study worked on by any number of processes, each of which may be killed at any moment."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tonearm import runs
from tonearm.errors import TonearmError, UsageError
from tonearm.experiments import _space
from tonearm.packs._lock import _try as try_lock
from tonearm.recipes._search import Choice, Range

JOURNAL = "study.journal"
FIRST_TRIALS = 10  # drawn at random before anything is learnt from them


def optuna() -> Any:
    """The library, quiet; it is imported here because only tuning needs it."""
    try:
        import optuna
    except ImportError:
        raise TonearmError(
            "tuning needs optuna", hint='pip install "tonearm[tune,train]"', code="needs-extra"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def opened(out: Path, storage: str | None, name: str, direction: str, prune: bool, warmup: int) -> Any:
    """The study, made or gone on with. `storage` is a database URL or a file; without, a journal in `out`."""
    library = optuna()
    try:
        study = library.create_study(
            storage=_storage(library, out, storage), study_name=name, direction=direction, load_if_exists=True,
            pruner=library.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup)
            if prune
            else library.pruners.NopPruner(),
        )  # fmt: skip
    except Exception as error:  # whatever a database or a file that is none raises
        reason = next(iter(str(error).splitlines()), repr(error))
        raise TonearmError(
            f"{storage or out / JOURNAL}: the study cannot be opened: {reason}",
            hint="a file for a journal, sqlite:///FILE, or another database URL",
            code="storage",
        ) from None
    if study.direction.name.lower() != direction:
        raise UsageError(f"the study {name} was made for another metric", hint="--study names another")
    return study


def _storage(library: Any, out: Path, storage: str | None) -> Any:
    if storage and "://" in storage:
        return library.storages.RDBStorage(storage)
    if storage and Path(storage).suffix in (".db", ".sqlite", ".sqlite3"):
        return library.storages.RDBStorage(f"sqlite:///{os.path.abspath(storage)}")
    path = Path(storage) if storage else out / JOURNAL
    journal = library.storages.journal
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its locks and files were called experimental
        return library.storages.JournalStorage(journal.JournalFileBackend(str(path)))


def same_study(study: Any, about: Mapping[str, Any]) -> None:
    """Keep what the study is about, or refuse to mix it with another question."""
    there = study.user_attrs.get("about")
    if there is None:
        study.set_user_attr("about", dict(about))
    elif there != dict(about):
        differs = [key for key in about if there.get(key) != about[key]]
        raise UsageError(
            f"the study {study.study_name} asks something else: {', '.join(differs) or 'another version'} differs",
            hint="--study names another study, or -o another folder",
            code="another-study",
        )


class Shifts:
    """Who works on what: a lock per trial, which is free as soon as its process is gone, however it went."""

    def __init__(self, study: Any, out: Path) -> None:
        self.study, self.folder = study, out / "locks"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.alone():
            path = out / "owner.json"
            if not path.is_file():
                runs.write_json(path, {"owner": uuid.uuid4().hex})
            # Trials of another folder (another machine on the same database) are none of our business.
            self.owner = runs.read_json(path)["owner"]

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time decides what is tried next."""
        path = self.folder / "study"
        while (handle := try_lock(path)) is None:
            time.sleep(0.05)
        try:
            yield
        finally:
            _let_go(path, handle)

    @contextlib.contextmanager
    def alone_with(self, name: str) -> Iterator[None]:
        """Wait for whoever trains the very same settings now."""
        path = self.folder / f"settings-{name}"
        while (handle := try_lock(path)) is None:
            time.sleep(0.2)
        try:
            yield
        finally:
            _let_go(path, handle)

    @contextlib.contextmanager
    def next(self, most: int, first: Mapping[str, Any], seed: int) -> Iterator[Any]:
        """The next trial, or None where there are enough. What a killed process had begun is tried again first."""
        with self.alone():
            trials = self._revived()
            count = len(trials)
            trial = None
            if count < most:
                if not self.study.trials and first:
                    self.study.enqueue_trial(dict(first), user_attrs={"first": True})
                # The draw is a function of the seed and of what was tried before, so a study that was killed goes on
                # as it would have; and no two processes draw alike.
                self.study.sampler = optuna().samplers.TPESampler(
                    seed=(seed * 1_000_003 + count) % 2**32, n_startup_trials=FIRST_TRIALS
                )
                trial = self.study.ask()
                trial.set_user_attr("owner", self.owner)
                path = self.folder / f"trial-{trial.number}"
                handle = try_lock(path)
        if trial is None:
            yield None
            return
        try:
            yield trial
        finally:
            _let_go(path, handle)

    def _revived(self) -> list[Any]:
        """Trials that are done or worked on. Ours that nobody works on any more are put into the queue again."""
        states = optuna().trial.TrialState
        trials = self.study.get_trials(deepcopy=False)
        replaced = {one.user_attrs["instead_of"] for one in trials if "instead_of" in one.user_attrs}
        kept = []
        for one in trials:
            if one.state == states.WAITING or one.number in replaced:
                continue
            if one.state == states.RUNNING and one.user_attrs.get("owner", self.owner) == self.owner:
                path = self.folder / f"trial-{one.number}"
                handle = try_lock(path)
                if handle is not None:
                    _let_go(path, handle)
                    self.study.enqueue_trial(one.params, user_attrs={**one.user_attrs, "instead_of": one.number})
                    self.study.tell(one.number, state=states.FAIL)
                    continue
            kept.append(one)
        return kept

    def told(self) -> list[Any]:
        """All trials in order, but for those that were tried again under another number."""
        trials = self.study.get_trials(deepcopy=False)
        replaced = {one.user_attrs["instead_of"] for one in trials if "instead_of" in one.user_attrs}
        return [one for one in trials if one.number not in replaced]


def _let_go(path: Path, handle: int | None) -> None:
    if handle is None:
        return
    with contextlib.suppress(OSError):
        path.unlink()  # while it is held: whoever opened it meanwhile sees that it is no longer of that name
    os.close(handle)


def own_values(values: Mapping[str, Any], spaces: Mapping[str, Choice | Range]) -> tuple[dict[str, Any], bool]:
    """The recipe's own values as Optuna's, where they lie inside; and whether all of them do."""
    found = {path: _space.encoded(values[path]) for path, space in spaces.items() if _space.inside(space, values[path])}
    return found, len(found) == len(spaces)
