"""Reading through libsndfile: WAV, AIFF, AU, CAF, FLAC, OGG, Opus, MP3."""

from __future__ import annotations

import re
import threading
from functools import cache

import numpy as np

from tonearm.audio import _mp3, _mp3_excerpt
from tonearm.audio._quiet import quiet
from tonearm.audio._sniff import HEAD, Kind
from tonearm.audio._source import CREDIBLE_FRAMES, Opened, Window
from tonearm.audio.errors import AudioError

# Blocks that outgrow the cache cost twice the time of decoding in page faults.
BLOCK_FRAMES = 1 << 16

# Decoded before an excerpt and thrown away, in frames: Opus needs time to settle.
_PREROLL = {"ogg": 24000}
# A frame of MP3 may borrow from up to 511 bytes of frames before it, and the decoder itself goes back by too few. From
# 32 kHz on the smallest frame (32 kbit/s) brings 60 bytes of its own, so nine are enough, and one more for the overlap
# of its transform; below that frames can be so small that they borrow from many.
_BORROWED_MP3 = 12 * 1152
_BORROWED_LOW_RATE = 32 * 1152
# libsndfile seeks wrongly in the last page of Vorbis, which can hold 255 packets of 1024 samples.
_VORBIS_PAGE = 256 * 1024
# What may stand behind the last frame without being sound: tags, lyrics, a small picture.
_TAGS_BYTES = 1 << 16

_CODECS = {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3"}
_CLAIM = re.compile(r"^\s*(data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_scratch = threading.local()


class SoundReader:
    """Frames of one file, in order or after a seek, mixed to mono.

    `frames` is what the container says there is (None: it does not say, or only guesses, and then `guess` is that).
    `damage` is a sentence once something was found wrong with the end.
    """

    def __init__(self, source: Opened, kind: Kind) -> None:
        self._source, self._kind = source, kind
        self._window: Window | None = None
        self._prefix = b""
        self._file = self._open()
        self.container = kind.container
        self.codec = _CODECS.get(self._file.subtype, self._file.subtype.lower())
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        self.damage = ""
        self.tolerance = 0
        self.guess = self._file.frames
        self.frames: int | None = self._file.frames if self._file.frames < CREDIBLE_FRAMES else None
        self.position = 0
        self._pieces: _mp3_excerpt.Pieces | None = None
        if self.container == "mp3":
            self._look_at_mp3()
        elif self.container == "ogg":
            self._look_at_ogg()
        else:
            self._look_at_header()

    def _open(self):
        import soundfile

        source, kind = self._source, self._kind
        # The decoder opens paths itself: its reads then pass no Python.
        if source.path is not None and kind.start == 0 and not self._prefix:
            target = source.path
        else:
            target = self._window = Window(source.file, kind.start, self._prefix)
        try:
            with quiet():
                return _sequential()(target)
        except soundfile.LibsndfileError as error:
            if self._window is not None and self._window.error is not None:
                raise AudioError(source.name, "unreadable", str(self._window.error)) from None
            reason = error.error_string.strip().rstrip(".").lower()
            raise AudioError(source.name, "not-audio", f"not readable as {kind.container}: {reason}") from None

    def _look_at_mp3(self) -> None:
        """Is the length counted or guessed? libsndfile does not tell, and reads no further than its guess."""
        file, start = self._source.file, self._kind.start
        file.seek(start)
        head = file.read(HEAD)
        if tag := _mp3.id3_size(head):
            start += tag
            file.seek(start)
            head = file.read(HEAD)
        at = _mp3.find_chain(head)
        if at is None:
            self.frames = None
            return
        start += at
        count = _mp3.read_count(head, at)
        if count is not None and self._source.size - start <= count.size * 1.02 + _TAGS_BYTES:
            found = _mp3_excerpt.start_of(head, at, start, self._file.frames) if _mp3_excerpt.HERE else None
            self._pieces = _mp3_excerpt.Pieces(file, found) if found else None
            return
        # No count, or one that ends long before the file does (files were put together): count the frames ourselves.
        self.frames = None
        scan, frame = _mp3.scan(file, start), _mp3.parse_frame(head, at)
        self.damage = "the file ends inside a frame" if scan.cut else ""
        samples = scan.frames * frame.samples
        if samples > (self._file.frames if count is None else count.samples + frame.samples):
            self._reopen(_mp3.write_count(head[at : at + 4], scan.frames, scan.size), start)
            if _mp3_excerpt.HERE and frame.samples == _mp3_excerpt.SAMPLES:
                self._pieces = _mp3_excerpt.Pieces(file, _mp3_excerpt.Start(start, _mp3.DELAY))
        self.guess = min(samples, self._file.frames)

    def _reopen(self, prefix: bytes, start: int) -> None:
        """Open the same file again with other bytes in place of those before `start`: a header the decoder believes."""
        self._file.close()
        self._prefix, self._kind = prefix, self._kind._replace(start=start)
        self._file = self._open()

    def _look_at_ogg(self) -> None:
        file, tail = self._source.file, min(self._source.size, HEAD)
        file.seek(self._source.size - tail)
        page = file.read(tail)
        at = page.rfind(b"OggS")
        file.seek(self._kind.start)
        first = file.read(18)
        if at < 0 or at + 18 > len(page) or not page[at + 5] & 4:
            self.damage = "the last page of the stream is missing"
        elif page[at + 14 : at + 18] != first[14:18]:
            self.damage = "another stream is chained behind the first, and not read"

    def _look_at_header(self) -> None:
        """WAV, AIFF and AU say how many bytes they hold; libsndfile notes where that is more than there is."""
        for _, claimed, found in _CLAIM.findall(self._file.extra_info):
            # Programs that write to a pipe cannot know the size and claim the greatest one.
            if int(claimed) > int(found) and int(claimed) < 0x7FFFF000:
                share = 100 * int(found) / int(claimed)
                self.damage = f"the header promises more; {share:.0f} % of the sound is there"
        if self.container == "wav" and self._file.frames == 0:
            self._look_for_data()

    def _look_for_data(self) -> None:
        """A recorder that died has left the size 0 in the header, and the sound behind it."""
        file, start = self._source.file, self._kind.start
        file.seek(start)
        head = file.read(HEAD)
        at = head.find(b"data\0\0\0\0") + 8
        size = self._source.size - start - at
        if at >= 8 and size > 0:
            self._reopen(head[: at - 4] + min(size, 0xFFFFFFFF).to_bytes(4, "little"), start + at)
            self.frames = self.guess = self._file.frames

    @property
    def _preroll(self) -> int:
        if self.container == "mp3":
            return _BORROWED_MP3 if self.sample_rate >= 32000 else _BORROWED_LOW_RATE
        return _PREROLL.get(self.container, 0)

    def seek(self, frame: int) -> None:
        """Go to a frame; behind the last one is the end."""
        if frame == self.position:
            return
        begin = frame - self._preroll
        if self.codec == "vorbis":
            begin = min(begin, self.guess - _VORBIS_PAGE)
        begin = max(0, min(begin, self.guess))
        import soundfile

        try:
            with quiet():
                self.position = self._file.seek(begin)
        except soundfile.LibsndfileError:
            # FLAC seeks by its frames, and some here are broken: read through what can be read.
            self._file.close()
            self._file, self.position, begin = self._open(), 0, 0
        wanted = max(0, min(frame, self.guess) - begin)
        while wanted and (count := self.read_into(np.empty(min(wanted, 1 << 18), np.float32))):
            wanted -= count

    def excerpt(self, first: int, count: int) -> np.ndarray | None:
        """Frames [first, first + count), mono, where there is a quicker way than to seek and read; else None.

        It leaves the reader where it was.
        """
        # The end of a file is a matter of its own.
        if self._pieces is None or first + count + 4 * _mp3_excerpt.SAMPLES > self._file.frames:
            return None
        piece = self._pieces.of(first, count)
        if piece is None:
            return None
        import soundfile

        try:
            with (
                _mp3_excerpt.in_memory(piece.data) as descriptor,
                quiet(),
                _sequential()(descriptor, closefd=False) as file,
            ):
                alike = (file.samplerate, file.channels) == (self.sample_rate, self.channels)
                return _decoded(file, piece.skip, count) if alike else None
        except (soundfile.LibsndfileError, OSError):
            return None

    def read_into(self, out: np.ndarray) -> int:
        """Fill `out` (n,) float32 with mono samples; returns how many there were, fewer only at the end."""
        done = 0
        step = max(1024, 2 * BLOCK_FRAMES // max(2, self.channels))
        with quiet():
            while done < len(out):
                wanted = out[done : done + step]
                count = self._read_block(wanted)
                done += count
                if count < len(wanted):
                    break
        if self._window is not None and self._window.error is not None:
            raise AudioError(self._source.name, "unreadable", str(self._window.error))
        return done

    def _read_block(self, out: np.ndarray) -> int:
        block = out
        if self.channels > 1:
            block = _block(len(out), self.channels)
        count = self._decode(block)
        if self.channels > 1:
            mix(block[:count], out[:count])
        return count

    def _decode(self, block: np.ndarray) -> int:
        import soundfile

        try:
            count = len(self._file.read(len(block), dtype="float32", out=block))
        except soundfile.LibsndfileError as error:
            count = min(max(self._file.tell() - self.position, 0), len(block))
            # Once all that was promised is there, what stands behind it is a tag, and no damage.
            if self.frames is None or self.position + count < self.frames:
                self.damage = self.damage or f"the decoder gave up ({error.error_string.strip() or 'damaged data'})"
                count = count or self._decode_before_damage(block)
        self.position += count
        return count

    def _decode_before_damage(self, block: np.ndarray) -> int:
        """What can be had of a block that failed as a whole: MP3 loses all of it, so take it frame by frame."""
        import soundfile

        self._file.close()
        self._file = self._open()
        begin, count = max(0, self.position - self._preroll), 0
        try:
            self._file.seek(begin)
            if begin < self.position:
                self._file.read(self.position - begin, dtype="float32")
            while count < len(block):
                got = len(self._file.read(1152, dtype="float32", out=block[count : count + 1152]))
                count += got
                if got == 0:
                    break
        except soundfile.LibsndfileError:
            pass
        return count

    def close(self) -> None:
        self._file.close()


@cache
def _sequential() -> type:
    """SoundFile without the seek that it does after every read of a file that can be sought in.

    For MP3 that seek drops the bit reservoir: in files of variable rate the next frames then come out as noise or
    silence. It also costs 70 us. Files are read in order here; `seek` works all the same.
    """
    import soundfile

    class Sequential(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Sequential


def _decoded(file, skip: int, count: int) -> np.ndarray | None:
    """The next `count` frames behind `skip`, mono; None where the file has not so many."""
    out, channels = np.empty(count, np.float32), file.channels
    step = max(1024, 2 * BLOCK_FRAMES // max(2, channels))
    done = -skip
    while done < count:
        wanted = min(step, count - done if done >= 0 else -done)
        block = _block(wanted, channels)
        if len(file.read(wanted, dtype="float32", out=block)) < wanted:
            return None
        if done >= 0:
            mix(block, out[done : done + wanted])
        done += wanted
    return out


def _block(frames: int, channels: int) -> np.ndarray:
    """(frames, channels) of memory that each thread uses again: fresh pages cost as much as decoding into them."""
    kept = getattr(_scratch, "samples", None)
    if kept is None or len(kept) < frames * channels:
        kept = _scratch.samples = np.empty(frames * channels, np.float32)
    return kept[: frames * channels].reshape(frames, channels)


_HALVES = np.full(2, 0.5, np.float32)


def mix(block: np.ndarray, out: np.ndarray) -> None:
    """Mean over channels of `block` (n, channels) into `out` (n,): 40 times faster than numpy's mean(axis=1)."""
    if block.shape[1] == 1:
        out[:] = block[:, 0]
        return
    if block.shape[1] == 2 and block.flags.c_contiguous and out.flags.c_contiguous:
        # The same to the last bit, because to halve is exact, in two thirds of the time.
        np.dot(block, _HALVES, out=out)
        return
    np.add(block[:, 0], block[:, 1], out=out)
    for channel in range(2, block.shape[1]):
        out += block[:, channel]
    out *= np.float32(1 / block.shape[1])
