"""The contract of a dataset: what every file of this folder registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.packs import Track
from tonearm.registry import Registry

if TYPE_CHECKING:
    from tonearm.datasets._verify import Report

PARTS = ("train", "valid", "test")


class DatasetError(TonearmError):
    """A folder that is not a copy of the dataset it should be, or cannot be read as one."""

    code = "dataset"


@dataclass(frozen=True)
class Card:
    """What a person should know before using a dataset. `splits` maps the name of each split to a sentence."""

    title: str
    what: str
    genres: tuple[str, ...]
    size: str
    licence: str
    citation: tuple[str, ...]
    faults: tuple[str, ...]
    get: str
    splits: Mapping[str, str]
    home: str = ""


@dataclass(frozen=True)
class Archive:
    """A file that can be fetched. `sha1` or `sha256` is the published sum; `folder` is what its extraction makes."""

    name: str
    url: str
    bytes: int
    what: str
    folder: str
    sha1: str = ""
    sha256: str = ""
    default: bool = False


@dataclass(frozen=True)
class Option:
    """A keyword of `tracks`, as text may give it: `parse` refuses with ValueError."""

    parse: Callable[[str], Any]
    help: str


class Problem(NamedTuple):
    """Something wrong with a copy that shows before any audio is read. `code` is stable, for programs."""

    code: str
    path: str
    message: str
    id: str = ""


def _nothing(root: Path, **options: Any) -> list[Problem]:
    return []


@dataclass(frozen=True)
class Dataset:
    """One dataset. `tracks(root, **options)` lists what a copy holds, without reading audio.

    `recognises(root)` says how surely a folder or file is a copy of it: 0 no, 1 it could be, 2 the layout is its own.
    `problems(root, **options)` says what is wrong with a copy as far as names and tables tell.
    `known_bad` maps ids to the reason. `min_seconds` and `sample_rate` are what a sound copy keeps to (rate 0: any).
    `render(root, **options)` makes a copy from nothing, where a dataset can; then no folder need be named.
    """

    name: str
    about: Card
    tracks: Callable[..., list[Track]]
    recognises: Callable[[Path], int]
    options: Mapping[str, Option] = field(default_factory=dict)
    problems: Callable[..., list[Problem]] = _nothing
    known_bad: Mapping[str, str] = field(default_factory=dict)
    archives: tuple[Archive, ...] = ()
    min_seconds: float = 1.0
    sample_rate: int = 0
    render: Callable[..., Path] | None = None

    def __post_init__(self) -> None:
        # The registry tells two things of one name apart by where they were written: for an instance, that is the
        # module of its functions, not of this class.
        object.__setattr__(self, "__module__", self.tracks.__module__)

    @property
    def needs_root(self) -> bool:
        return self.render is None

    @property
    def splits(self) -> Mapping[str, str]:
        return self.about.splits

    def card(self) -> dict[str, Any]:
        """Everything there is to know, as plain data."""
        return {
            "name": self.name,
            **asdict(self.about),
            "known_bad": dict(self.known_bad),
            "options": {name: option.help for name, option in self.options.items()},
            "archives": [asdict(archive) for archive in self.archives],
        }

    def verify(self, root: str | Path | None, **options: Any) -> Report:
        """Walk a copy and say all that is wrong with it; see `tonearm.datasets._verify`."""
        from tonearm.datasets._verify import verify

        return verify(self, None if root is None else Path(root), **options)

    def parse_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options as they were typed, as values; an unknown one is refused with the names of the valid ones."""
        parsed = {}
        for name, value in given.items():
            if name not in self.options:
                if not self.options:
                    raise UsageError(f"the dataset {self.name} takes no options, but {name!r} was given")
                raise unknown_name(f"option of the dataset {self.name}", name, self.options)
            try:
                parsed[name] = self.options[name].parse(value) if isinstance(value, str) else value
            except ValueError as error:
                raise UsageError(
                    f"{self.name}: {name}={value}: {error}", hint=f"{name}: {self.options[name].help}"
                ) from None
        return parsed


registry: Registry[Dataset] = Registry("dataset", "tonearm.datasets")


def choice(*valid: str) -> Callable[[str], str]:
    """A parser for one of a few words."""

    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"not one of {', '.join(valid)}")
        return text

    return parse
