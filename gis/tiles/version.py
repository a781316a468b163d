"""What a tile's ETag hangs on: the definition, the state of its tables, the day, and where it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gis.tiles.definition import Layer
from gis.tiles.grid import Tile

# Raised when this program makes other bytes from the same definition and rows.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoreState:
    """The store as tiles see it.

    Attributes
    ----------
    tables : dict
        Table name to its version and the moment it was raised; a table nobody touched yet is missing. The moment
        tells a rebuilt store, whose numbers start over, from the one before.
    today : str
        The store's date: a boundary that begins or ends today needs no statement to change the map.
    secured : frozenset of str
        Tables under row-level security, as the store's own catalogue says: tiles of them differ by who asks.
    """

    tables: Mapping[str, str]
    today: str
    secured: frozenset[str] = frozenset()

    def differs_by_scope(self, layer: Layer) -> bool:
        """Whether two people may see different tiles of this layer."""
        return not self.secured.isdisjoint(layer.depends_on)


def stamp(layer: Layer, state: StoreState, *, max_bytes: int, scope: str | None = None) -> str:
    """Return the state of the store as `layer` sees it; equal stamps mean equal tiles.

    Parameters
    ----------
    scope : str or None
        Key of the role and scope that see it so; None: everybody sees the same.
    """
    parts = [str(FORMAT), layer.digest, str(max_bytes), state.today]
    if scope is not None:
        parts.append(f"scope={scope}")
    if layer.cache.mode == "versioned":
        parts += [f"{table}={state.tables.get(table, '-')}" for table in layer.depends_on]
    return _digest("\n".join(parts).encode())


def etag_of_state(layer_stamp: str, tile: Tile) -> str:
    """ETag of a versioned tile, known without making it. Weak: gzip and plain are the same tile in other bytes."""
    return f'W/"{_digest(f"{layer_stamp}/{tile}".encode())}"'


def etag_of_body(layer_stamp: str, body: bytes) -> str:
    """ETag of a timed tile: its content, since no version tells when its tables change."""
    return f'W/"{_digest(layer_stamp.encode() + body)}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the browser already holds this tile.

    Source: RFC 9110 §13.1.2, weak comparison.
    """
    if not if_none_match:
        return False
    if if_none_match.strip() == "*":
        return True
    bare = etag.removeprefix("W/")
    return any(tag.strip().removeprefix("W/") == bare for tag in if_none_match.split(","))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()
