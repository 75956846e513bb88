"""A plugin for beets: genres from the sound itself, on import and by `beet tonearm [QUERY]`.

beets finds it by its place: the folder `beetsplug` is a namespace that every plugin's package shares, so there is no
`__init__.py` here. beets keeps its own library and writes its own tags; this says which genres, by the same rules as
`tonearm tag plan`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

from beets import plugins, ui
from beets.dbcore import types
from beets.library import Album, Item

from tonearm.errors import TonearmError

# Newer versions of beets keep a list of genres for a song, older ones one line of text.
SEVERAL = "genres" in Item._fields
FIELD = "genres" if SEVERAL else "genre"
SEPARATOR = ", "


class TonearmPlugin(plugins.BeetsPlugin):
    """Asks a model of tonearm for the genres of songs that beets imports or that a query finds."""

    item_types: ClassVar = {"tonearm_probability": types.FLOAT}

    def __init__(self) -> None:
        super().__init__()
        self.config.add(
            {
                "auto": True,
                "model": "fma",
                "policy": "fill",
                "threshold": None,
                "max": 3,
                "map": None,
                "unsure": False,
                "source": "track",
                "workers": 1,
                "pretend": False,
            }
        )
        if self.config["auto"].get(bool):
            # A slip in the settings is told before the first song, not after an hour of answering questions.
            self.register_listener("import_begin", self.import_begins)
            self.import_stages = [self.imported]

    # ---- what the configuration says

    def check(self) -> None:
        """Everything that can be wrong with the settings, as one line for a person."""
        try:
            unknown = self._unknown_names()
        except TonearmError as error:
            raise ui.UserError(f"tonearm: {error}") from error
        for sentence in unknown:
            self._log.warning("{}", sentence)

    def _unknown_names(self) -> list[str]:
        from tonearm.tags import predictions

        self.config["source"].as_choice(["track", "album"])
        return predictions.unknown_keys(
            self.settings["map"], self.model.genres, f"the model {self.model.name!r} does not know"
        )

    @cached_property
    def settings(self) -> dict[str, Any]:
        from tonearm.tags import deciding

        names = self.config["map"].get()
        threshold = self.config["threshold"].get()
        return deciding.settings(
            policy=self.config["policy"].as_str(),
            threshold=None if threshold is None else self.config["threshold"].as_number(),
            max_genres=self.config["max"].get(int),
            names=self.config["map"].as_filename() if isinstance(names, str) else names,
            unsure=self.config["unsure"].get(bool),
        )

    @cached_property
    def model(self) -> Any:
        from tonearm import runtime

        name = self.config["model"].as_str()
        return runtime.load(self.config["model"].as_filename() if os.sep in name or name.endswith(".onnx") else name)

    # ---- where beets comes in

    def import_begins(self, session: Any) -> None:
        self.check()

    def imported(self, session: Any, task: Any) -> None:
        """After beets knows what the songs are, before it copies and writes them."""
        self.process(task.imported_items(), task.album if task.is_album else None, write=False)

    def commands(self) -> list[ui.Subcommand]:
        command = ui.Subcommand("tonearm", help="set genres by listening to the songs")
        add = command.parser.add_option
        add("-p", "--pretend", action="store_true", help="show what would change, change nothing")
        add("-a", "--album", action="store_true", help="match albums instead of songs")
        add("-m", "--model", help="name or file of the model")
        add("-P", "--policy", help="fill (only where there is no genre), add, replace or keep")
        add("-t", "--threshold", type="float", help="least probability of a genre, 0 to 1")
        add("-n", "--max", type="int", help="at most so many genres for a song")
        add("-M", "--map", help="YAML file from predicted genres to your own names")
        add("-u", "--unsure", action="store_true", help="use answers that the model is not sure of as well")
        add("-s", "--source", help="track (each song by itself) or album (all songs of one together)")
        add("-j", "--workers", type="int", help="processes that listen")
        command.func = self.called
        return [command]

    def called(self, library: Any, options: Any, query: list[str]) -> None:
        given = {key: value for key, value in vars(options).items() if value is not None and key != "album"}
        self.config.set(given)
        self.check()
        write = ui.should_write()
        if options.album:
            items = [item for album in library.albums(query) for item in album.items()]
        else:
            items = list(library.items(query))
        numbers = dict.fromkeys(item.album_id for item in items if item.album_id)
        if self.config["source"].get() == "album":
            for number in numbers:
                album = library.get_album(number)
                self.process([item for item in items if item.album_id == number], album, write)
            items = [item for item in items if not item.album_id]
            numbers = {}
        self.process(items, None, write)
        for number in numbers:
            self._give_album(library.get_album(number))

    # ---- the work

    def process(self, items: list[Item], album: Album | None, write: bool) -> None:
        """Hear the songs whose genres may change, give them what was decided, then the album what most of them have."""
        worth = [item for item in items if self._may_change(item)]
        if worth and album is not None and self.config["source"].get() == "album":
            heard = dict(self._hear(list(album.items())))
            joined = self._joined(heard.values())
            for item in worth:
                if joined and item.id in heard:
                    self._give(item, heard[item.id], joined, write)
        else:
            by_id = {item.id: item for item in worth}
            for number, prediction in self._hear(worth):
                self._give(by_id[number], prediction, prediction, write)
        if album is not None:
            self._give_album(album)

    def _may_change(self, item: Item) -> bool:
        return self.settings["policy"] != "fill" or not genres_of(item)

    def _hear(self, items: list[Item]) -> Iterator[tuple[int, Any]]:
        """Number and prediction of each song, as they come; what cannot be read is told and left out."""
        from tonearm.tags import predictions

        if not items:
            return
        paths = [os.fsdecode(item.path) for item in items]
        threshold, workers = self.settings["threshold"], self.config["workers"].get(int)
        try:
            answers = predictions.heard(self.model, paths, threshold=threshold, workers=workers)
            for item, prediction in zip(items, answers, strict=True):
                if prediction.error:
                    error = prediction.error
                    self._log.warning("{}: {} [{}]", prediction.path, error["message"], error["code"])
                else:
                    yield item.id, prediction
        except TonearmError as error:
            raise ui.UserError(f"tonearm: {error}") from error

    def _joined(self, heard: Iterable[Any]) -> Any:
        """What all songs of an album say together: the mean of their probabilities."""
        from tonearm.tags import Prediction

        music = [dict(prediction.genres) for prediction in heard if prediction.genres]
        if not music:
            return None
        means = {genre: sum(song[genre] for song in music) / len(music) for genre in music[0]}
        genres = sorted(means.items(), key=lambda pair: -pair[1])
        asked = self.settings["threshold"]
        least = self.model.threshold if asked is None else asked
        return Prediction("", genres, genres[0][1] >= least, None, least)

    def _give(self, item: Item, own: Any, used: Any, write: bool) -> None:
        from tonearm.tags import deciding

        decision = deciding.decide(used, genres_of(item), self.settings)
        if not decision.reason:
            item[FIELD] = decision.genres if SEVERAL else SEPARATOR.join(decision.genres)
            ui.show_model_changes(item, fields=[FIELD])
        else:
            self._log.debug("{}: {}", item, decision.reason)
        if self.config["pretend"].get(bool):
            return
        if own.genres:
            # For queries such as `beet ls tonearm_probability:..0.5`; they stand in the library, not in the file.
            item["tonearm_genre"], item["tonearm_probability"] = own.genres[0]
            item["tonearm_model"] = f"{self.model.name} {self.model.version}"
        if not decision.reason and write:
            item.try_write()
        item.store()

    def _give_album(self, album: Album) -> None:
        """The genres of at least half of its songs, by the same policy; the songs keep their own."""
        if self.config["pretend"].get(bool):
            return
        songs = [genres_of(item) for item in album.items()]
        counted = Counter(genre for genres in songs for genre in dict.fromkeys(genres))
        common = [genre for genre, count in counted.most_common(self.settings["max_genres"]) if 2 * count >= len(songs)]
        there = genres_of(album)
        if not common or common == there or (there and self.settings["policy"] in ("fill", "keep")):
            return
        album[FIELD] = common if SEVERAL else SEPARATOR.join(common)
        album.store(inherit=False)


def genres_of(model: Any) -> list[str]:
    """The genres of a song or album in any version of beets."""
    value = model.get(FIELD) or []
    values = [value] if isinstance(value, str) else value
    return [genre for genre in values if genre.strip()]
