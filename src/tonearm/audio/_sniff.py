"""What a file is, by its content: endings lie, and decoders guess worse than they admit."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from tonearm.audio import _mp3

HEAD = 1 << 16

# Endings worth opening when a folder is walked. What a file is, its content says.
SUFFIXES = frozenset(
    [
        ".wav",
        ".wave",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".mp2",
        ".mpga",
        ".caf",
        ".w64",
        ".rf64",
        ".voc",
        ".m4a",
        ".m4b",
        ".mp4",
        ".aac",
        ".wma",
        ".asf",
        ".mka",
        ".webm",
        ".mkv",
        ".mov",
        ".3gp",
        ".ape",
        ".wv",
        ".tta",
        ".mpc",
        ".ac3",
        ".amr",
        ".dsf",
    ]
)

# (offset, bytes, container) of what libsndfile reads ...
_SOUND = (
    (8, b"WAVE", "wav"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (8, b"AIFF", "aiff"),
    (8, b"AIFC", "aiff"),
    (8, b"8SVX", "8svx"),
    (0, b".snd", "au"),
    (0, b"dns.", "au"),
    (0, b"caff", "caf"),
    (0, b"fLaC", "flac"),
    (0, b"Creative Voice File", "voc"),
    (0, b"NIST_1A", "nist"),
)
# ... and of what only PyAV reads.
_AV = (
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
    (0, bytes.fromhex("3026b2758e66cf11"), "asf"),
    (0, bytes.fromhex("1a45dfa3"), "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"FLV\x01", "flv"),
    (0, b"MAC ", "ape"),
    (0, b"wvpk", "wavpack"),
    (0, b"TTA1", "tta"),
    (0, b"MPCK", "musepack"),
    (0, b"MP+\x07", "musepack"),
    (0, b"MP+\x17", "musepack"),
    (0, b"DSD ", "dsf"),
    (0, b"FRM8", "dff"),
    (0, b"#!AMR", "amr"),
    (0, b".RMF", "realmedia"),
    (0, b"ADIF", "aac"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x0b\x77", "ac3"),
    (0, bytes.fromhex("7ffe8001"), "dts"),
    (0, b"tBaK", "tak"),
)


class Kind(NamedTuple):
    """A container, who reads it (`sound` or `av`), and where in the file it begins."""

    container: str
    reader: str
    start: int = 0


def _match(head: bytes) -> Kind | None:
    for offset, magic, container in _SOUND:
        if head[offset : offset + len(magic)] == magic and (offset == 0 or head[:4] in _CHUNKED):
            return Kind(container, "sound")
    if head[:4] == b"OggS":
        # libsndfile reads Vorbis, Opus and FLAC in Ogg; Speex and films go to PyAV.
        known = any(name in head[:512] for name in (b"\x01vorbis", b"OpusHead", b"\x7fFLAC"))
        return Kind("ogg", "sound" if known and b"\x80theora" not in head[:4096] else "av")
    for offset, magic, container in _AV:
        if head[offset : offset + len(magic)] == magic:
            return Kind(container, "av")
    if _mp3.is_adts(head):
        return Kind("aac", "av")
    if _mp3.find_chain(head, stop=1) == 0:
        return Kind("mp3", "sound")
    return None


_CHUNKED = (b"RIFF", b"RIFX", b"RF64", b"FORM")


def sniff(file: BinaryIO) -> Kind | None:
    """Recognise the content of a seekable file, or return None. Reads some 64 KB, more behind a tag."""
    start = 0
    for _ in range(4):  # tags may stand behind tags
        file.seek(start)
        head = file.read(HEAD)
        tag = _mp3.id3_size(head)
        if not tag:
            break
        start += tag
    kind = _match(head)
    if kind is not None:
        # libsndfile skips one tag itself, PyAV any number; what stands behind more is opened from there.
        return kind._replace(start=0 if kind.container in ("mp3", "aac") or not start else start)
    # Junk, or padding that a tag does not count, in front of MP3 frames.
    at = _mp3.find_chain(head, links=5)
    if at is not None:
        return Kind("mp3", "sound", start + at)
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Kind("mpegts", "av")
    return None
