"""The words of the audit's page: what figures mean, in language that needs no course in statistics."""

from __future__ import annotations

from collections import Counter
from typing import Any

PROTOCOLS = {
    "segment": "Pieces of songs dealt at random (leaky)",
    "track": "Songs kept whole",
    "recording": "Copies of a recording kept together",
    "artist": "Artists kept together",
    "official": "The dataset's own split",
    "filtered-clean": "Own split without shared artists",
}
CHANGES = {
    "below-20-hz": "Nothing below 20 Hz",
    "gain": "Louder or softer",
    "channel": "Another tone control",
    "mp3-64k": "MP3 at 64 kbit/s",
    "resampled": "Nothing above 8 kHz",
    "start": "Begins half a second later",
}
STORY = (
    "A program that names genres is tested like a pupil: it learns from one pile of songs and is asked about another. "
    "The score means something only if the questions are new. If a question was in the exercise book, the pupil may "
    "have learned the answer by heart, and the score tells of memory and not of understanding.",
    "With music this happens without anyone noticing. A song is cut into ten pieces, and some land in each pile. The "
    "same recording is in the collection twice. Or ten songs of one band are dealt into both piles, and the program "
    "learns to know the band by its voice, its drummer and its studio, instead of the genre. That is called leakage. "
    "Such a program does worse on the day it meets a band that it has never heard.",
    "So this page asks the same small program again and again, and takes away one way of cheating at a time.",
)
NEIGHBOURS = (
    "For each test piece, the piece in training that sounds most like it was looked up. Where that is often the same "
    "song or the same artist, a model need not understand genre: it may look up who is playing."
)
HORSE = (
    "Around 1900 a horse was famous for doing sums; it was watching the faces of its audience. A program can do the "
    "same: read the genre from something that is not music, such as a hum that the recordings of one genre share. So "
    "the test songs are changed in ways that make no other genre of them, and the score should stay where it was."
)


def what_was_looked_at(report: dict[str, Any]) -> str:
    text = f"{report['tracks']:,} tracks in {len(report['genres'])} genres"
    if report["rows"] > report["tracks"]:
        text += f", cut into {report['rows']:,} pieces"
    unknown = report["unknown"]["artist"]
    if unknown:
        text += f". Of {unknown:,} tracks the artist is not known: they are treated as if each had its own"
    return text + "."


def in_short(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The findings that matter, as (colour, head, text)."""
    rows = {row["protocol"]: row for row in report["inflation"] if "accuracy" in row}
    items = []
    loose, strict = next(iter(rows.values()), None), rows.get("artist")
    if loose and strict and loose is not strict:
        points = 100 * (loose["accuracy"] - strict["accuracy"])
        kind = "bad" if points >= 10 else "warn" if points >= 3 else "good"
        items.append(
            (
                kind,
                f"{points:.0f} points are not knowledge of genre.",
                f"The same classifier scores {_percent(loose)} in the way that leaks most and {_percent(strict)} when "
                "it never heard the artists before. Trust the second.",
            )
        )
    items += _short_leakage(report) + _short_duplicates(report) + _short_rest(report)
    if report.get("skipped"):
        items.append(("warn", "Not everything was done:", report["skipped"] + "."))
    return items


def _percent(row: dict[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} %"


def _short_leakage(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    split = report["split"]
    if not split:
        return []
    worst = [leak for leak in report["leakage"] if leak["parts"][0] == "train" or split["protocol"] != "official"]
    counts = Counter()
    for leak in worst:
        counts[leak["kind"]] = max(counts[leak["kind"]], leak["count"])
    if not report["leakage"]:
        return [("good", "The split is clean", f"by all that is known of artists and recordings ({split['name']}).")]
    text = ", ".join(f"{count} tracks by {kind}" for kind, count in counts.items())
    return [("bad", "The split leaks:", f"{text or 'between its smaller parts'} ({split['name']}).")]


def _short_duplicates(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = report["duplicates"]
    if not found:
        return [("good", "No music occurs twice", "as far as can be heard.")]
    new = sum(not duplicate["known"] for duplicate in found)
    differ = sum(duplicate["labels_differ"] for duplicate in found)
    text = f"{len(found)} sets of copies" + (f", {new} of them not in the table" if new else ", all known before")
    text += f"; {differ} under two labels" if differ else ""
    return [("bad" if new or differ else "warn", "The same music is in it twice:", text + ".")]


def _short_rest(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    items = []
    if report["doubtful"]:
        count = len(report["doubtful"])
        head = "1 label is worth a listen:" if count == 1 else f"{count} labels are worth a listen:"
        items.append(("warn", head, "the models agree against them; see the list below."))
    fallen = [row for row in report["horse"] if row["inaudible"] and not row["survives"]]
    if fallen:
        what = ", ".join(CHANGES.get(row["change"], "what is below 20 Hz").lower() for row in fallen)
        items.append(("bad", "Something that is not music tells the genre:", f"see the horse test ({what})."))
    odd = [finding for finding in report["integrity"] if finding["id"]]
    if odd:
        head = "1 finding on a track:" if len(odd) == 1 else f"{len(odd)} findings on single tracks:"
        items.append(("warn", head, "broken, silent, cut off or known to be bad; see below."))
    return items


def part_of(row: dict[str, Any]) -> str:
    return f" ({row['part']})" if row.get("part") not in (None, "test") else ""


def gap(row: dict[str, Any]) -> str:
    if "worth" not in row:
        return ""
    worth = row["worth"]
    low, high = worth["interval"]
    points = f"{worth['points']:+.1f} points [{low:+.1f} to {high:+.1f}]"
    if low <= 0 <= high:
        return f"{points}: too little to tell from chance. What leaks: {worth['words']}"
    return f"{points} from {worth['words']}"


def inflation_verdict(rows: list[dict[str, Any]]) -> str:
    by = {row["protocol"]: row for row in rows}
    if "artist" not in by:
        return (
            "The artists are not known here, so the strictest test could not be made. Any score on this data may owe "
            "something to known artists."
        )
    loosest = rows[0]
    if loosest is by["artist"]:
        return "Only one way to split was possible."
    points = 100 * (loosest["accuracy"] - by["artist"]["accuracy"])
    return (
        f"From the first bar to the one with artists kept together, {points:.1f} points are lost. They are what the "
        "classifier owed to having met the same songs, copies or artists before. A published score is to be compared "
        "with the bar of its own way to split, and with no other."
    )


def leak(found: dict[str, Any]) -> str:
    first, second = found["parts"]
    return {
        "segment": f"the very same pieces are in {first} and {second}",
        "track": f"pieces of the same songs are in {first} and {second}",
        "recording": f"other copies of the same recordings are in {first} and {second}",
        "artist": f"the artists of these tracks of {second} are also heard in {first}",
        "album": f"the albums of these tracks of {second} are also heard in {first}",
    }[found["kind"]]


def duplicates(kinds: Counter, found: list[dict[str, Any]]) -> str:
    means = {
        "exact": "bit for bit the same",
        "near": "the same stretch of a recording, encoded or processed in another way",
        "same-recording": "another stretch, cut or mix of one recording",
    }
    text = "; ".join(f"{count} {means.get(kind, kind)}" for kind, count in kinds.items())
    new = sum(not duplicate["known"] for duplicate in found)
    return f"{text}. {new} of these {len(found)} sets are not told by the dataset's own table."


def doubtful(count: int, tracks: int) -> str:
    return (
        f"{count} of {tracks:,} tracks sound like another genre to models that never heard their artist, and still do "
        "to models that did. That is no proof: it is a list to listen to, the most doubtful first."
    )


def no_horse(report: dict[str, Any]) -> str:
    if report.get("skipped"):
        return ""
    if report["kind"] == "pack":
        return "It needs sound, or spectra over time; this pack holds numbers per clip that cannot be changed that way."
    return "It was left out in this quick run."


def lost(row: dict[str, Any]) -> str:
    low, high = row["fall"]["interval"]
    return f"{row['fall']['points']:+.1f} [{low:+.1f} to {high:+.1f}]"


def horse_verdict(row: dict[str, Any]) -> str:
    if row["survives"]:
        return "survives"
    if row["inaudible"]:
        return "falls, though nobody hears a difference: a fault of the data"
    return "falls; the change can be heard, so this may be the classifier's weakness and not a fault of the data"


def deep(row: dict[str, Any]) -> str:
    low, high = (100 * x for x in row["interval"])
    text = (
        "From nothing but what is below 20 Hz, which nobody hears, the classifier is right in "
        f"{100 * row['accuracy']:.1f} % of cases [{low:.1f} to {high:.1f}]; always naming the commonest genre gives "
        f"{100 * row['chance']:.1f} %."
    )
    return text + ("" if row["survives"] else " So something inaudible in these recordings tells the genre.")


def how(report: dict[str, Any]) -> list[str]:
    rows = [row for row in report["inflation"] if row.get("folds")]
    texts = []
    if rows:
        row = rows[0]
        texts.append(
            f"Classifier: {row['classifier']}, on {report.get('features', 'the features')}; {row['folds']} folds, "
            f"dealt {row['repeats']} times (seeds {row['seeds'][0]} to {row['seeds'][-1]}), {row['n']:,} tracks. "
            "Accuracy is of pieces where tracks are cut. Intervals are 95 % bootstrap intervals that draw whole "
            "tracks, so that pieces of one track do not count as independent; differences are paired."
        )
        if row["n"] < report["tracks"]:
            texts.append(f"It saw {row['n']:,} of {report['tracks']:,} tracks: whole artists, drawn at random.")
    known = report["known"]
    texts.append(
        f"Known: the artist of {known['artist']:,} tracks and the recording of {known['recording']:,}, of "
        f"{report['tracks']:,}. What is not known cannot be kept apart: tracks of unknown artists stand alone, which "
        "is a hope. Copies that were found here count as one recording."
    )
    texts.append(f"tonearm {report['tonearm']}, seed {report['seed']}, {report['seconds']:.0f} s{_quick(report)}.")
    return texts


def _quick(report: dict[str, Any]) -> str:
    return ", a quick run" if report["quick"] else ""
