"""Tiles kept in memory: the least recently used go first, and the bytes never pass a bound."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# Layer, z, x, y; and for a layer under row-level security the key of the scope that sees it so.
Key = tuple[str | int, ...]
# What an entry costs beside its bytes (key, objects, ordering); counted so that empty tiles are not free.
OVERHEAD_BYTES = 600


@dataclass(frozen=True, slots=True)
class Kept:
    """One tile as it was made.

    Attributes
    ----------
    body : bytes
        Gzipped tile; empty for a tile without features.
    etag : str
        What the browser sends back.
    stamp : str
        State of the store it was made from; another stamp means it is old.
    until : float
        Monotonic seconds after which it is old all the same.
    level : str
        Name of the level that answered.
    coarser : str
        Why a coarser level than the zoom's own answered; empty when it did not.
    """

    body: bytes
    etag: str
    stamp: str
    until: float
    level: str
    coarser: str = ""


class TileCache:
    """LRU of tiles, bounded by bytes. One event loop uses it; it has no lock.

    Parameters
    ----------
    max_bytes : int
        0 keeps nothing.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, *, stamp: str, now: float) -> Kept | None:
        """Return the tile if it was made from this state of the store and still holds; an old one is dropped."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.stamp != stamp or now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: Key, kept: Kept) -> None:
        """Keep a tile; a tile larger than the whole bound is not kept."""
        if key in self._kept:
            self._drop(key)
        size = len(kept.body) + OVERHEAD_BYTES
        if size > self.max_bytes:
            return
        self._kept[key] = kept
        self.bytes += size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: Key) -> None:
        self.bytes -= len(self._kept.pop(key).body) + OVERHEAD_BYTES
