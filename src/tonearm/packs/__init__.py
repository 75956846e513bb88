"""Arrays on disk with their tracks: read, write, verify, build."""

from tonearm.packs.pack import FORMAT, Pack, PackError, open_pack
from tonearm.packs.track import Track

__all__ = ["FORMAT", "Pack", "PackError", "Track", "open_pack"]
