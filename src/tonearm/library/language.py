"""The words by which files are asked for: `genre:folk confidence:0.8.. not artist:"Miles Davis" is:disagree`.

Every word has to fit. A word is KEY:VALUE, or a bare one, which is looked for in title, artist, album and path.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from tonearm.errors import UsageError, unknown_name
from tonearm.library.listing import below
from tonearm.library.sound import folded, same_genre
from tonearm.library.store import Library, raw

KEYS = {
    "genre": "predicted genre, or several: genre:folk,pop",
    "tag": "a genre that the file's tags name",
    "artist": "part of the artist's name",
    "album": "part of the album's name",
    "title": "part of the title",
    "path": "a folder (path:~/Music/jazz) or part of a path",
    "year": "a year or years: year:1959, year:1990..1999, year:..1970",
    "confidence": "probability of the predicted genre: confidence:0.8.., confidence:..0.5",
    "seconds": "length: seconds:..60",
    "error": "code of what is wrong with a file: error:not-audio",
    "warning": "code of what the model noticed: warning:silent",
    "is": "missing, error, sure, unsure, disagree, agree, tagged, untagged, predicted, unpredicted",
}
# 1 where a genre in the tags is the predicted one, 0 where it is another of the model's; NULL where tags and model do
# not speak of the same genres: "shoegaze" is no contradiction to a model that lacks it.
AGREEMENT = (
    "SELECT max(s.genre = p.genre) FROM file_genres g JOIN spoken s ON s.folded = g.folded WHERE g.file_id = f.id"
)
FLAGS = {
    "missing": "f.missing_at IS NOT NULL",
    "error": "f.error_code IS NOT NULL",
    "sure": "p.sure = 1",
    "unsure": "p.sure = 0",
    "tagged": "f.genres <> ''",
    "untagged": "f.genres = ''",
    "predicted": "p.content_id IS NOT NULL",
    "unpredicted": "p.content_id IS NULL",
    "disagree": f"p.sure = 1 AND ({AGREEMENT}) = 0",
    "agree": f"p.sure = 1 AND ({AGREEMENT}) = 1",
}  # fmt: skip
_WORDS = re.compile(r'(?:[^\s"]|"[^"]*")+')
_STARTS = re.compile(rf"\s(?:not\s+)?(?:{'|'.join(KEYS)}):")


class Term(NamedTuple):
    key: str  # empty for a bare word
    value: str
    negated: bool


class Condition(NamedTuple):
    sql: str
    values: list[Any]


def parse(query: str | Iterable[str]) -> list[Term]:
    """Terms of a query: one text, or words that a shell has split already."""
    words: list[str] = []
    for part in [query] if isinstance(query, str) else query:
        # A word from the shell may hold blanks (artist:Miles Davis), or be a whole query in quotes.
        words += _WORDS.findall(part) if isinstance(query, str) or _STARTS.search(part) else [part]
    terms, negated = [], False
    for word in words:
        if word.lower() == "not":
            negated = not negated
            continue
        terms.append(_term(word, negated))
        negated = False
    if negated:
        raise UsageError("the query ends in `not`", hint="not stands before what it turns round: not genre:rock")
    return terms


def _term(word: str, negated: bool) -> Term:
    key, colon, value = word.partition(":")
    if not colon or not re.fullmatch(r"[a-z]+", key):
        return Term("", word.replace('"', ""), negated)
    if key not in KEYS:
        raise unknown_name("key in the query", key, KEYS)
    value = value.replace('"', "")
    if not value.strip():
        raise UsageError(f"{key}: what about it?", hint=f"{key}: {KEYS[key]}")
    return Term(key, value, negated)


def condition(library: Library, terms: list[Term], genres: tuple[str, ...]) -> Condition:
    """SQL over files f, contents c, predictions p. Missing files are left out unless they are asked for."""
    parts, values = [], []
    for term in terms:
        sql, given = _CONDITIONS[term.key](library, term.value, genres)
        # What is unknown does not fit, and therefore fits its opposite.
        parts.append(f"NOT coalesce(({sql}), 0)" if term.negated else f"({sql})")
        # A word that is not UTF-8 is looked for by its bytes.
        values += [raw(value) if isinstance(value, str) and not _is_utf8(value) else value for value in given]
    if not any(term.key == "is" and term.value.lower() == "missing" for term in terms):
        parts.append("f.missing_at IS NULL")
    return Condition(" AND ".join(parts), values)


def prepare(library: Library, terms: list[Term], genres: tuple[str, ...]) -> None:
    """What comparing with SQLite's own means would not do: words without accents, and which tags mean which genre."""
    library.connection.create_function("has", 2, _has, deterministic=True)
    if any(term.key == "is" and term.value.lower() in ("agree", "disagree") for term in terms):
        make_spoken(library, genres)


def make_spoken(library: Library, genres: tuple[str, ...]) -> None:
    """The table that AGREEMENT reads: each genre in tags that means one of the model's."""
    connection = library.connection
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS spoken (folded TEXT, genre TEXT, PRIMARY KEY (folded, genre))")
    connection.execute("DELETE FROM spoken")
    tagged = _tagged(library)
    pairs = [(text, genre) for genre in genres for text in tagged if same_genre(text, folded(genre))]
    connection.executemany("INSERT OR IGNORE INTO spoken VALUES (?, ?)", pairs)


def _tagged(library: Library) -> list[str]:
    """All genres in tags. From one to the next by the index: to look at every file's takes a hundred times as long."""
    sql = (
        "WITH RECURSIVE g (folded) AS (SELECT min(folded) FROM file_genres UNION ALL "
        "SELECT (SELECT min(folded) FROM file_genres n WHERE n.folded > g.folded) FROM g WHERE g.folded IS NOT NULL) "
        "SELECT folded FROM g WHERE folded IS NOT NULL"
    )
    return [text for (text,) in library.read(sql)]


def _has(text: str | None, part: str | bytes) -> bool:
    return text is not None and isinstance(part, str) and part in folded(text)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _contains(column: str):
    def build(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
        words = folded(value)
        if not words:  # nothing but signs: as they are
            return Condition(f"instr({column}, ?) > 0", [value])
        # SQLite itself passes over all that have the words nowhere.
        return Condition(f"instr(f.words, ?) > 0 AND has({column}, ?)", [words, words])

    return build


def _anywhere(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
    words = folded(value)
    columns = ("f.words", "f.path_words") if words else ("f.title", "f.artist", "f.album", "f.path")
    sql = " OR ".join(f"coalesce(instr({column}, ?), 0) > 0" for column in columns)
    return Condition(sql, [words or value] * len(columns))


def _genre(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
    known = {folded(genre).replace(" ", ""): genre for genre in genres}
    wanted = []
    for each in value.split(","):
        if each.strip():
            name = known.get(folded(each).replace(" ", ""))
            if name is None and not genres:
                raise UsageError("nothing is predicted in this library", hint="tonearm scan FOLDER predicts")
            if name is None:
                raise unknown_name("genre", each.strip(), genres)
            wanted.append(name)
    return Condition(f"p.genre IN ({','.join('?' * len(wanted))})", wanted)


def _tag(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
    wanted = [
        text
        for text in _tagged(library)
        for each in value.split(",")
        if folded(each) and same_genre(text, folded(each))
    ]
    marks = ",".join("?" * len(wanted))
    return Condition(f"f.id IN (SELECT file_id FROM file_genres WHERE folded IN ({marks}))", wanted)


def _path(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
    if value.startswith(("~", os.sep, f".{os.sep}")) or value in (".", "..") or os.path.isabs(value):
        return Condition(*below([os.path.abspath(os.path.expanduser(value))], "f.path"))
    words = folded(value)
    return Condition(f"instr({'f.path_words' if words else 'f.path'}, ?) > 0", [words or value])


def _between(column: str, key: str):
    def build(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
        low, dots, high = value.partition("..")
        try:
            bounds = [float(low) if low.strip() else None, float(high if dots else low) if (high or not dots) else None]
        except ValueError:
            bounds = [None, None]
        if bounds == [None, None] or any(bound is not None and not math.isfinite(bound) for bound in bounds):
            raise UsageError(f"{key}:{value} is no number and no range", hint=f"{key}: {KEYS[key]}")
        if key == "confidence" and any(bound is not None and not 0 <= bound <= 1 for bound in bounds):
            raise UsageError(f"{key}:{value} is no probability", hint="a confidence is between 0 and 1")
        pairs = [(sign, bound) for sign, bound in zip((">=", "<="), bounds, strict=True) if bound is not None]
        return Condition(" AND ".join(f"{column} {sign} ?" for sign, _ in pairs), [bound for _, bound in pairs])

    return build


def _flag(library: Library, value: str, genres: tuple[str, ...]) -> Condition:
    if value.lower() not in FLAGS:
        raise unknown_name("state in the query (is:)", value, FLAGS)
    return Condition(FLAGS[value.lower()], [])


_CONDITIONS = {
    "": _anywhere,
    "genre": _genre,
    "tag": _tag,
    "artist": _contains("f.artist"),
    "album": _contains("f.album"),
    "title": _contains("f.title"),
    "path": _path,
    "year": _between("f.year", "year"),
    "confidence": _between("p.probability", "confidence"),
    "seconds": _between("c.seconds", "seconds"),
    "error": lambda library, value, genres: Condition("f.error_code = ?", [value]),
    "warning": lambda library, value, genres: Condition("instr(p.warnings, ?) > 0", [f'"code": "{value}"']),
    "is": _flag,
}
