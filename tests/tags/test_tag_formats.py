"""Every container: the genre is in, everything else is as it was, the sound to the bit, and undo gives it back."""

from __future__ import annotations

import io
import struct

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.apev2 import APEv2
from mutagen.id3 import COMM, ID3, TCON, TIT2, TPE1, TYER
from tag_files import KINDS, decorate, leftovers, opened, predicted, sha

from tonearm import tags
from tonearm.tags import formats, patch

GENRES = ["Électronique", "Hip-Hop"]


def write(path, genres=GENRES, policy="replace"):
    plan = tags.plan(
        predicted(path, genres=[(g, 1.0 / (n + 1)) for n, g in enumerate(genres)]), policy=policy, threshold=0
    )
    assert plan.skipped == [], plan.skipped
    report = tags.apply(plan)
    assert report.skipped == [], report.skipped
    return report


def back_to(path, digest):
    report = tags.undo()
    assert report.skipped == []
    assert sha(path) == digest
    assert leftovers(path.rsplit("/", 1)[0]) == []


def rest_of(path) -> dict:
    """What mutagen reads beside the genre."""
    file = opened(path)
    items = file.tags.items() if file.tags is not None and hasattr(file.tags, "items") else file.tags or []
    genre = ("TCON", "genre", "\xa9gen", "WM/Genre")
    found: dict = {}
    for key, value in items:
        if str(key).lower() not in [name.lower() for name in genre]:
            found.setdefault(str(key), []).append(repr(value))
    found["pictures"] = [p.write() for p in getattr(file, "pictures", [])]
    found["unknown"] = [bytes(raw) for raw in getattr(file.tags, "unknown_frames", [])]
    return found


def genres_by_mutagen(path) -> list[str]:
    file = opened(path)
    for key in ("TCON", "GENRE", "Genre", "\xa9gen", "WM/Genre"):
        try:
            value = file[key]
        except (KeyError, ValueError, TypeError):
            continue
        return [str(v) for v in (value.genres if key == "TCON" else value)]
    return []


def sound(path):
    """The decoded sound, by a decoder that knows nothing of tags."""
    if path.endswith((".mp3", ".flac", ".ogg", ".opus", ".wav", ".aiff")):
        return soundfile.read(path)[0]
    av = pytest.importorskip("av")
    with av.open(path) as file:
        return np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)


@pytest.mark.parametrize("tagged", [False, True], ids=["bare", "tagged"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_genre_is_written_and_nothing_else(kind, tagged, music, song):
    if kind == "aac" and not tagged:
        pytest.skip("a bare AAC stream is left alone")
    path = (music if tagged else song)(kind)
    first, heard = sha(path), sound(path)
    others = rest_of(path) if tagged else None
    write(path)
    assert tags.describe(path)["genres"] == GENRES
    assert genres_by_mutagen(path) == GENRES
    if tagged:
        assert rest_of(path) == others
    np.testing.assert_array_equal(sound(path), heard)
    back_to(path, first)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aac"])
def test_another_program_sees_the_genre(kind, music):
    av = pytest.importorskip("av")
    path = music(kind)
    write(path, ["Hip-Hop"])
    with av.open(path) as file:
        seen = {**file.metadata, **file.streams.audio[0].metadata}
    assert {key.lower(): value for key, value in seen.items()}["genre"] == "Hip-Hop"


@pytest.mark.parametrize("kind", KINDS)
def test_again_and_again_and_back(kind, music):
    """Longer, shorter, many, none of ASCII: each on top of the last, and all undone in turn."""
    path = music(kind)
    states = [sha(path)]
    for genres in (["A"], ["A" * 150, "B" * 150, "日本の音楽"], ["Rock"], ["(Live) Jazz"]):
        write(path, genres)
        assert tags.describe(path)["genres"] == genres
        states.append(sha(path))
    for state in reversed(states[:-1]):
        back_to(path, state)
    assert tags.undo().journal is None


@pytest.mark.parametrize("kind", ["m4a", "fast.m4a", "mp3", "flac", "wma"])
def test_the_journal_does_not_keep_pictures(kind, music):
    """A picture that only moves must not be kept with each file: ten thousand covers would fill a disk."""
    path = music(kind)
    noise = np.random.default_rng(0).bytes(300_000)
    file = opened(path)
    if kind == "mp3":
        file.tags.getall("APIC")[0].data = noise
    elif kind == "flac":
        file.pictures[0].data = noise
    elif kind == "wma":
        file["WM/Picture"] = mutagen.asf.ASFByteArrayAttribute(noise)
    else:
        file["covr"] = [mutagen.mp4.MP4Cover(noise)]
    file.save(padding=lambda info: 0)
    report = write(path)
    with open(report.journal, "rb") as file:
        assert len(file.read()) < 20_000


def test_a_bare_aac_stream_is_left_alone(song):
    plan = tags.plan(predicted(song("aac")))
    assert [item["code"] for item in plan.skipped] == ["unsupported"]


# ---- ID3 in all its ages


def tag_bytes(version: int, frames: bytes, *, flags: int = 0, padding: int = 0, extra: bytes = b"") -> bytes:
    body = extra + frames + bytes(padding)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def frame(name: bytes, body: bytes, *, flags: bytes = b"\0\0", plain: bool = True) -> bytes:
    size = len(body)
    if len(name) == 3:
        return name + size.to_bytes(3, "big") + body
    raw = size.to_bytes(4, "big") if plain else bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return name + raw + flags + body


TITLE = frame(b"TIT2", b"\0Title")
PRIVATE = frame(b"PRIV", b"me\0" + b"\xff\xe0\x00\x01" * 40)


def prepend(path, tag):
    with open(path, "rb") as file:
        sound = file.read()
    with open(path, "wb") as file:
        file.write(tag + sound)


@pytest.mark.parametrize("padding", [0, 7, 500])
@pytest.mark.parametrize("version", [3, 4])
def test_the_version_of_the_tag_is_kept(version, padding, song):
    path = song("mp3")
    prepend(path, tag_bytes(version, TITLE + PRIVATE, padding=padding))
    first = sha(path)
    write(path)
    read = ID3(path, translate=False)
    assert read.version == (2, version, 0)
    assert read["TCON"].text == GENRES
    assert read["TIT2"].text == ["Title"]
    with open(path, "rb") as file:
        assert TITLE + PRIVATE in file.read(), "frames that are not the genre keep their very bytes"
    back_to(path, first)


def test_version_2_2_is_kept(song):
    path = song("mp3")
    prepend(path, tag_bytes(2, frame(b"TT2", b"\0Title") + frame(b"TCO", b"\0(17)") + frame(b"XYZ", b"abc")))
    first = sha(path)
    assert tags.describe(path)["genres"] == ["Rock"]
    write(path)
    with open(path, "rb") as file:
        assert file.read(4) == b"ID3\x02"
    assert ID3(path)["TCON"].genres == GENRES
    assert ID3(path)["TIT2"].text == ["Title"]
    back_to(path, first)


def test_unsynchronised_tags(song):
    path = song("mp3")
    frames = TITLE + PRIVATE
    stuffed = frames.replace(b"\xff\x00", b"\xff\x00\x00").replace(b"\xff\xe0", b"\xff\x00\xe0")
    prepend(path, tag_bytes(3, stuffed, flags=0x80))
    first, private = sha(path), ID3(path)["PRIV:me:" + ID3(path).getall("PRIV")[0].HashKey[8:]]
    write(path, ["Größe", "日本"])
    read = ID3(path, translate=False)
    assert read.f_unsynch
    assert read["TCON"].text == ["Größe", "日本"]
    assert read.getall("PRIV") == [private]
    back_to(path, first)


def test_extended_header_and_footer(song):
    path = song("mp3")
    extra = (6).to_bytes(4, "big") + b"\0\0" + (0).to_bytes(4, "big")
    prepend(path, tag_bytes(3, TITLE, flags=0x40, extra=extra, padding=20))
    first = sha(path)
    write(path)
    assert ID3(path)["TIT2"].text == ["Title"]
    assert ID3(path)["TCON"].genres == GENRES
    back_to(path, first)


def test_footer(song):
    path = song("mp3")
    tag = tag_bytes(4, TITLE, flags=0x10)
    prepend(path, tag + b"3DI" + tag[3:10])
    first, heard = sha(path), sound(path)
    write(path)
    assert tags.describe(path)["genres"] == GENRES
    np.testing.assert_array_equal(sound(path), heard)
    back_to(path, first)


def test_frames_with_flags_and_doubled_frames_are_kept(song):
    """What mutagen would unpack, merge or drop when it rewrites a tag."""
    import zlib

    packed = frame(b"TPE1", (5).to_bytes(4, "big") + zlib.compress(b"\0Name"), flags=b"\0\x80")
    secret = frame(b"ENCX", b"\x07secret", flags=b"\0\x40")
    doubled = frame(b"TIT2", b"\0One") + frame(b"TIT2", b"\0Two")
    path = song("mp3")
    prepend(path, tag_bytes(3, packed + secret + doubled + frame(b"TCON", b"\0Old") + frame(b"TCON", b"\0Older")))
    first = sha(path)
    assert tags.describe(path)["genres"] == ["Old", "Older"]
    write(path)
    with open(path, "rb") as file:
        assert packed + secret + doubled in file.read(2000)
    assert ID3(path)["TCON"].genres == GENRES
    back_to(path, first)


def test_sizes_of_2_4_that_itunes_wrote_as_plain_numbers(song):
    path = song("mp3")
    long = frame(b"TXXX", b"\0d\0" + b"x" * 300, plain=True)
    prepend(path, tag_bytes(4, long + frame(b"TIT2", b"\0Title", plain=True), padding=10))
    first = sha(path)
    write(path)
    assert tags.describe(path)["genres"] == GENRES
    with open(path, "rb") as file:
        assert long in file.read()
    back_to(path, first)


def id3v1(title=b"Old title", genre=17) -> bytes:
    return b"TAG" + title.ljust(30, b"\0") + b"Artist".ljust(30, b"\0") + bytes(64) + bytes([genre])


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def test_id3v1_alone_comes_along(song):
    """A new ID3v2 tag hides an ID3v1 tag from many players: its fields must be in the new tag too."""
    path = song("mp3")
    append(path, id3v1())
    first = sha(path)
    assert tags.describe(path)["genres"] == ["Rock"]
    write(path, ["Jazz"])
    with open(path, "rb") as file:
        data = file.read()
    assert data[-128:] == id3v1(genre=8)
    tag = ID3(io.BytesIO(data), load_v1=False)
    assert (tag["TIT2"].text, tag["TPE1"].text, tag["TCON"].text) == (["Old title"], ["Artist"], ["Jazz"])
    back_to(path, first)


def test_id3v1_without_a_name_for_the_genre_says_none(song):
    path = song("mp3")
    append(path, id3v1())
    write(path, ["Vaporwave of the South"])
    with open(path, "rb") as file:
        assert file.read()[-1] == 255


@pytest.mark.parametrize("with_v2", [False, True])
def test_ape_and_id3v1_behind_an_mp3(with_v2, song):
    path = song("mp3")
    ape = APEv2()
    ape["Genre"], ape["Title"], ape["MP3GAIN_MINMAX"] = "Pop", "Old title", "1,2"
    ape.save(path)
    append(path, id3v1())
    if with_v2:
        prepend(path, tag_bytes(3, TITLE))
    first, heard = sha(path), sound(path)
    write(path)
    shown = tags.describe(path)
    assert shown["genres"] == GENRES
    assert shown["tags"] == (["ID3v2.3"] if with_v2 else []) + ["APEv2", "ID3v1"]
    read = APEv2(path)
    assert list(read["Genre"]) == GENRES
    assert (str(read["Title"]), str(read["MP3GAIN_MINMAX"])) == ("Old title", "1,2")
    np.testing.assert_array_equal(sound(path), heard)
    back_to(path, first)


def test_replaygain_in_an_ape_tag_is_not_given_a_genre(song):
    path = song("mp3")
    ape = APEv2()
    ape["MP3GAIN_MINMAX"] = "1,2"
    ape.save(path)
    prepend(path, tag_bytes(3, TITLE))
    write(path)
    assert "Genre" not in APEv2(path)
    assert ID3(path)["TCON"].genres == GENRES


def test_lyrics3_is_kept(song):
    path = song("mp3")
    lyrics = b"LYRICSBEGININD0000200LYR00005words"
    append(path, lyrics + f"{len(lyrics):06d}".encode() + b"LYRICS200" + id3v1())
    first = sha(path)
    write(path)
    with open(path, "rb") as file:
        assert lyrics in file.read()
    back_to(path, first)


def test_mutagen_sees_every_frame_unchanged_in_2_3(song):
    path = song("mp3")
    tag = ID3()
    for item in (
        TIT2(encoding=1, text="Tïtle"),
        TPE1(encoding=1, text="A/B"),
        TYER(encoding=0, text="1999"),
        COMM(encoding=1, lang="eng", desc="", text="ünï"),
        TCON(encoding=0, text="(17)Rock"),
    ):
        tag.add(item)
    tag.save(path, v2_version=3)
    before = {k: repr(v) for k, v in ID3(path, translate=False).items() if k != "TCON"}
    write(path)
    assert {k: repr(v) for k, v in ID3(path, translate=False).items() if k != "TCON"} == before


# ---- Vorbis comments


def test_comments_that_are_not_utf8_are_kept(song):
    """mutagen would replace what it cannot read."""
    path = song("flac")
    with open(path, "rb") as file:
        data = file.read()
    entries = [b"TITLE=caf\xe9", b"no equals sign", b"genre=Old", b"ARTIST=a", b"Genre=Older"]
    body = (4).to_bytes(4, "little") + b"test" + len(entries).to_bytes(4, "little")
    body += b"".join(len(e).to_bytes(4, "little") + e for e in entries)
    info = data[4:42]
    rest = data[formats_start(data) :]
    head = b"fLaC" + bytes([info[0] & 0x7F]) + info[1:]
    with open(path, "wb") as file:
        file.write(head + bytes([0x84]) + len(body).to_bytes(3, "big") + body + rest)
    first = sha(path)
    assert tags.describe(path)["genres"] == ["Old", "Older"]
    write(path, ["New"])
    with open(path, "rb") as file:
        data = file.read()
    for entry in (entries[0], entries[1], entries[3], b"genre=New"):
        assert entry in data
    assert b"Old" not in data
    back_to(path, first)


def formats_start(data: bytes) -> int:
    position = 4
    while True:
        last, size = data[position] & 0x80, int.from_bytes(data[position + 1 : position + 4], "big")
        position += 4 + size
        if last:
            return position


def test_flac_without_any_comment_block(song):
    path = song("flac")
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(b"fLaC\x80" + data[5:42] + data[formats_start(data) :])
    first, heard = sha(path), sound(path)
    write(path)
    assert genres_by_mutagen(path) == GENRES
    np.testing.assert_array_equal(sound(path), heard)
    back_to(path, first)


def test_flac_with_an_id3_tag_in_front(music):
    path = music("flac")
    prepend(path, tag_bytes(3, TITLE + frame(b"TCON", b"\0Old")))
    first = sha(path)
    assert tags.describe(path)["tags"] == ["Vorbis comments", "ID3v2.3"]
    assert tags.describe(path)["genres"] == ["Old"]
    write(path)
    assert ID3(path)["TCON"].genres == GENRES
    assert genres_by_mutagen(path) == GENRES
    back_to(path, first)


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_comments_over_many_pages(kind, song):
    """A large picture spreads the header over pages; a long genre makes them more, and later ones are renumbered."""
    path = song(kind)
    file = opened(path)
    file["PICTURE"] = "x" * 150_000
    file.save()
    first, heard = sha(path), sound(path)
    for genres in (["G" * 200] * 1, [f"{n}" * 190 for n in range(3)]):
        write(path, genres)
        assert genres_by_mutagen(path) == genres
        np.testing.assert_array_equal(sound(path), heard)
    tags.undo()
    back_to(path, first)


def test_ogg_pages_are_renumbered_when_there_are_more(song):
    """Two pages' worth of new comments: numbers go on without a gap, checksums hold."""
    path = song("ogg")
    first = sha(path)
    with open(path, "rb") as file:
        format, layout = formats.read(file, path)
        many = [f"{n}" + "x" * 199 for n in range(400)]
        splices = patch.ordered(format.splices(file, layout, many))
        made = b"".join(patch.patched(file, splices))
        back = patch.inverse(file, splices)
    new = io.BytesIO(made)
    read = mutagen.File(new)
    assert read["genre"] == many
    from mutagen.ogg import OggPage

    new.seek(0)
    numbers, position = [], 0
    while position < len(made):
        page = OggPage(new)
        assert page.write() == made[position : position + page.size], "the checksum of a page"
        numbers.append(page.sequence)
        position += page.size
    assert numbers == list(range(len(numbers)))
    import hashlib

    assert hashlib.sha256(b"".join(patch.patched(new, back))).hexdigest() == first


def ogg_flac(path, flac, *, link=b""):
    """The packets of a FLAC file in Ogg pages; a second, chained stream may follow."""
    from mutagen.ogg import OggPage

    with open(flac, "rb") as file:
        data = file.read()
    start = formats_start(data)
    comment = (1).to_bytes(4, "little") + b"x" + bytes(4)
    packets = [
        b"\x7fFLAC\x01\x00\x00\x01" + data[:42],
        b"\x84" + len(comment).to_bytes(3, "big") + comment,
        *(data[at : at + 4000] for at in range(start, len(data), 4000)),
    ]
    pages = []
    for n, packet in enumerate(packets):
        page = OggPage()
        page.packets, page.serial, page.sequence, page.position = [packet], 7, n, max(0, n - 1)
        page.first, page.last = n == 0, n == len(packets) - 1
        pages.append(page.write())
    with open(path, "wb") as file:
        file.write(b"".join(pages) + link)
    return b"".join(pages)


def test_ogg_flac_and_the_song_chained_behind_it(tmp_path, song):
    from mutagen.oggflac import OggFLAC

    path, flac = str(tmp_path / "song.oga"), song("flac")
    second = ogg_flac(path, flac)
    ogg_flac(path, flac, link=second)
    first = sha(path)
    write(path)
    assert OggFLAC(path)["genre"] == GENRES
    with open(path, "rb") as file:
        assert file.read().endswith(second)
    back_to(path, first)
    with open(path, "rb") as file:
        format, layout = formats.read(file, path)
        many = [f"{n}" + "x" * 199 for n in range(400)]
        made = b"".join(patch.patched(file, format.splices(file, layout, many)))
        assert made.endswith(second), "the numbers of the song behind are its own"
        assert format.digest(io.BytesIO(made), formats.read(io.BytesIO(made), path)[1]) == format.digest(file, layout)


# ---- chunks and atoms


def test_wav_with_an_info_list(song):
    path = song("wav")
    texts = (
        b"INFO" + b"IART" + (4).to_bytes(4, "little") + b"Me\0\0" + b"IGNR" + (5).to_bytes(4, "little") + b"Rock\0\0"
    )
    with open(path, "rb") as file:
        data = file.read()
    chunk = b"LIST" + len(texts).to_bytes(4, "little") + texts + b"junk" + (3).to_bytes(4, "little") + b"abc\0"
    data = data + chunk
    with open(path, "wb") as file:
        file.write(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    first, heard = sha(path), sound(path)
    assert tags.describe(path)["genres"] == ["Rock"]
    write(path, ["Hip-Hop", "Jazz"])
    assert genres_by_mutagen(path) == ["Hip-Hop", "Jazz"]
    with open(path, "rb") as file:
        data = file.read()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert b"Hip-Hop\0" in data
    assert b"Rock" not in data
    assert b"abc" in data
    np.testing.assert_array_equal(sound(path), heard)
    back_to(path, first)


@pytest.mark.parametrize("kind", ["m4a", "fast.m4a"])
def test_mp4_genre_as_a_number_is_read_and_replaced(kind, music):
    path = music(kind)
    file = mutagen.File(path)
    file.tags._failed_atoms["gnre"] = [b"\0\0\0\x12data" + bytes(8) + b"\0\x12"]  # written as it is
    file.save()
    first = sha(path)
    assert tags.describe(path)["genres"] == ["Rock"]
    write(path, ["Jazz"])
    with open(path, "rb") as file:
        assert b"gnre" not in file.read()
        format, layout = formats.read(file, path)
        _, _, places = format.digest(file, layout)
    assert layout.genres == ["Jazz"]
    assert places
    assert all(inside is not None for inside, _ in places), "each chunk of sound is found where the tables say"
    back_to(path, first)


# ---- splices


def test_a_difference_leads_from_old_to_new():
    random = np.random.default_rng(5)
    for _ in range(150):
        old = bytes(random.integers(0, 256 if random.random() < 0.7 else 2, random.integers(0, 3000), dtype=np.uint8))
        new = bytearray(old)
        for _ in range(random.integers(0, 4)):
            at = int(random.integers(0, len(new) + 1))
            new[at : at + int(random.integers(0, 200))] = random.bytes(int(random.integers(0, 200)))
        a, b = io.BytesIO(old), io.BytesIO(bytes(new))
        splices = patch.difference(a, b)
        assert b"".join(patch.patched(a, splices)) == bytes(new)
        back = patch.unpack(patch.pack(patch.inverse(a, splices)))
        assert b"".join(patch.patched(b, back)) == old


def test_decorated_files_differ_from_bare_ones(song):
    """The fixtures are not empty: what the tests above hold equal is there."""
    path = song("mp3")
    decorate(path)
    assert {"TIT2", "TPE1", "TXXX:mood", "APIC:"} <= set(ID3(path).keys())
    assert len(ID3(path).unknown_frames) == 1


def test_asf_values_of_one_name_with_and_without_a_language(music):
    """As ffmpeg writes them: a title in the old header object and once more, with a language, in the new one."""
    from mutagen.asf import ASF, ASFUnicodeAttribute

    path = music("wma")
    file = ASF(path)
    file.tags["Example"] = [ASFUnicodeAttribute("same"), ASFUnicodeAttribute("same", language=3, stream=1)]
    file.save()
    first = sha(path)
    write(path)
    assert genres_by_mutagen(path) == GENRES
    assert [(value.language, value.stream) for value in ASF(path).tags["Example"]] == [(None, None), (3, 1)]
    back_to(path, first)


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_a_picture_as_a_stream_in_front_of_the_sound(kind, music):
    """ffmpeg makes the cover of an MP3 a Theora stream of one frame, and puts it first."""
    path = music(kind)
    with open(path, "rb") as file:
        data = file.read()
    theora = mutagen.ogg.OggPage()
    theora.packets, theora.serial, theora.first = [b"\x80theora" + bytes(35)], 4711, True
    headers = mutagen.ogg.OggPage()
    headers.packets, headers.serial, headers.sequence = [b"\x81theora" + bytes(20), b"\x82theora" + bytes(50)], 4711, 1
    frame = mutagen.ogg.OggPage()
    frame.packets, frame.serial, frame.sequence, frame.last = [bytes(900)], 4711, 2, True
    bos = 27 + 1 + data[27]  # the first page of the sound holds one short packet
    with open(path, "wb") as file:
        file.write(theora.write() + data[:bos] + headers.write() + data[bos:] + frame.write())
    first = sha(path)
    assert tags.describe(path)["container"] == {"ogg": "Ogg Vorbis", "opus": "Opus"}[kind]
    write(path, ["A" * 150, "B" * 190])
    assert tags.describe(path)["genres"] == ["A" * 150, "B" * 190]
    with open(path, "rb") as file:
        written = file.read()
    assert all(page.write() in written for page in (theora, headers, frame))
    back_to(path, first)


@pytest.mark.parametrize(("step", "code"), [("edit", "damaged"), ("others", "verify")])
def test_what_a_library_stumbles_over_is_one_line(step, code, music, monkeypatch):
    path, other = music("m4a"), music("flac")
    plan = tags.plan(predicted(path, other))
    first = sha(path)

    def stumbles(*arguments):
        raise TypeError("'<' not supported between instances of 'int' and 'NoneType'")

    broken = formats.registry.get("mp4")._replace(**{step: stumbles})
    monkeypatch.setitem(formats.registry._things, "mp4", broken)
    report = tags.apply(plan)
    assert [(item["path"], item["code"]) for item in report.skipped] == [(path, code)]
    assert "not supported" in report.skipped[0]["message"]
    assert report.count == 1
    assert sha(path) == first
    assert leftovers(path.rsplit("/", 1)[0]) == []


@pytest.mark.parametrize("without", ["content", "extension", "both"])
def test_asf_headers_that_lack_objects(without, music):
    """What is missing is made; the sizes above it, and that of the file, come out right."""
    from tonearm.tags.formats import asf

    path = music("wma")
    with open(path, "rb") as file:
        layout = formats.read(file, path)[1]
        file.seek(0)
        data = bytearray(file.read())
    size, gone = len(layout.parts["data"]), 0
    wanted = {"content": (asf.CONTENT,), "extension": (asf.EXTENSION,), "both": (asf.CONTENT, asf.EXTENSION)}[without]
    objects = int.from_bytes(data[24:28], "little")
    for part in reversed(layout.parts["parts"]):
        if part.guid in wanted:
            del data[part.start : part.end]
            gone, objects = gone + part.end - part.start, objects - 1
    data[16:28] = struct.pack("<QI", size - gone, objects)
    at = data.index(asf.FILE) + 40
    data[at : at + 8] = struct.pack("<Q", len(data))
    with open(path, "wb") as file:
        file.write(data)
    first, heard = sha(path), sound(path)
    write(path, ["Jazz", "Blues", "Soul"])
    assert genres_by_mutagen(path) == ["Jazz", "Blues", "Soul"]
    np.testing.assert_array_equal(sound(path), heard)
    with open(path, "rb") as file:
        written = file.read()
    assert struct.unpack_from("<Q", written, at)[0] == len(written) or written.index(asf.FILE) + 40 != at
    write(path, ["Rock"])
    assert genres_by_mutagen(path) == ["Rock"]
    tags.undo()
    back_to(path, first)
