"""Asking a model about the tracks of a part: rows of a pack, or files one by one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.judging.judge import Data
    from tonearm.judging.parts import Part
    from tonearm.judging.predictor import Predictor


@dataclass(frozen=True)
class Asked:
    """Probabilities of clips (m, classes), the track of each (m,), and the files that could not be used."""

    probabilities: np.ndarray
    tracks: np.ndarray
    failed: tuple[dict[str, str], ...] = ()


def ask_pack(predictor: Predictor, source: Data, part: Part, **keywords: Any) -> Asked:
    """All rows of the part's tracks; `keywords` go on to the predictor (`change`)."""
    table = source.table
    rows = np.flatnonzero(np.isin(table.row_track, part.tracks))
    answers = predictor.on_pack(source.pack, rows, **keywords)
    return Asked(answers.probabilities, table.row_track[rows[answers.rows]])


def ask_clips(predictor: Any, source: Data, part: Part) -> Asked:
    """Those clips that a split dealt to the part."""
    table = source.table
    rows = np.flatnonzero(np.isin(table.row_track, part.tracks))
    named = np.isin(table.row_ids, sorted(part.segments))
    if named.any():  # the pack has a row per clip
        rows = np.flatnonzero(named & np.isin(table.row_track, part.tracks))
        answers = predictor.on_pack(source.pack, rows)
    else:
        answers, _ = predictor.on_segments(source.pack, rows, set(part.segments))
    return Asked(answers.probabilities, table.row_track[rows[answers.rows]])


def ask_files(predictor: Any, source: Data, part: Part, *, workers: int | None, quiet: bool) -> Asked:
    """Every file of the part as the model listens to it; what cannot be used is told, and not judged."""
    if predictor.kind == "run":
        packed = _as_in_training(predictor, source, part, workers=workers, quiet=quiet)
        if packed is not None:
            return packed
    from tonearm.packs._progress import Progress

    names, paths = source.table.ids[part.tracks], source.table.column("path")[part.tracks]
    answers, tracks, failed = [], [], []
    progress = Progress(len(paths), "files", quiet=quiet)
    try:
        for i, (probabilities, error) in enumerate(_listened(predictor, paths.tolist(), workers)):
            if error is None:
                answers.append(probabilities)
                tracks.append(part.tracks[i])
            else:
                failed.append({"id": str(names[i]), "path": str(paths[i]), **error})
            progress.step(failed=error is not None)
    finally:
        progress.close()
    if not answers:
        raise TonearmError(
            f"{source.source}: not one file could be used", hint=failed[0]["message"] if failed else "", code="empty"
        )
    return Asked(np.stack(answers), np.array(tracks), tuple(failed))


def _listened(predictor: Any, paths: list[str], workers: int | None) -> Any:
    """Probabilities (classes,) or an error, for every path in order."""
    if predictor.kind == "model":
        from tonearm.engines.local import default_workers

        for said in predictor.model.predict_many(paths, workers=workers or default_workers()):
            yield said.probabilities, said.error and {"code": said.error.code, "message": said.error.message}
        return
    from tonearm import audio

    for path in paths:
        try:
            yield predictor.on_waveforms([audio.load(path)])[0], None
        except TonearmError as error:
            if error.exit_code == 2 or error.code == "needs-extra":
                raise  # the model's fault, not the file's
            yield (
                None,
                {"code": error.code, "message": getattr(error, "reason", error.message)},
            )  # the path stands beside


def _as_in_training(predictor: Any, source: Data, part: Part, *, workers: int | None, quiet: bool) -> Asked | None:
    """By the very pack that training makes of audio, so that a run gives its own figures; None where it cannot."""
    from tonearm.protocols import table_of
    from tonearm.recipes._audio import pack_of_audio

    trained = predictor.trained
    feature = dict(trained.recipe.feature)
    if trained.about["stored"]["dtype"] == "uint8" or feature["kind"] != predictor.feature["kind"]:
        return None
    pack, _, _ = pack_of_audio(trained.recipe, source.source, adapt=trained.adapted, quiet=quiet, workers=workers)
    try:
        found = table_of(pack)
        place = {name: i for i, name in enumerate(found.ids.tolist())}
        wanted = [int(i) for i in part.tracks if source.table.ids[i] in place]
        inside = replace(part, tracks=np.array([place[source.table.ids[i]] for i in wanted], dtype=int))
        asked = ask_pack(predictor, replace(source, table=found, pack=pack), inside)
    except TonearmError as error:
        if error.code != "pack-lacks":
            raise
        return None  # clips of another length: then each file is heard for itself
    back = np.full(len(found), -1)
    back[inside.tracks] = wanted
    failed = tuple(_reason(source, pack, i) for i in part.tracks.tolist() if source.table.ids[i] not in place)
    if failed and not quiet:
        print(f"{len(failed)} files could not be used", file=sys.stderr)
    return Asked(asked.probabilities, back[asked.tracks], failed)


def _reason(source: Data, pack: Any, track: int) -> dict[str, str]:
    """Why a track is not in the pack that was made; a pack names its files below the dataset's folder."""
    path = str(source.table.column("path")[track])
    told = next((entry for entry in pack.meta.get("failed", []) if path.endswith(entry["path"])), {})
    code, message = told.get("code", "unknown"), told.get("message", "it is not in the pack")
    return {"id": str(source.table.ids[track]), "path": path, "code": code, "message": message}
