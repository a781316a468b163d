"""Tiles answered: definition, cache, version and store put together behind one call.

How the web uses it (agreed with dashboard/app.py)::

    from dashboard.http.tiles import router
    app.include_router(router(settings))     # that is all: the router brings its own lifespan (open, close)

or, to share one service with something else::

    service = TileService(settings)          # reads data/layers/*.toml; DefinitionError lists every fault
    app.include_router(router(settings, service=service))
    await service.open()                     # opens the pool (role app, at most 6 connections); a second call is harmless
    answer = await service.tile("parcels", 14, 13418, 6362, if_none_match=None, principal=None)
    catalogue = await service.catalogue(principal=None)      # what /tiles/layers.json answers
    await service.close()

``tile`` opens the pool by itself when nobody did, so a test client without lifespan works too.
``principal`` is a `gis.access.principal.Principal`. A layer the principal may not see answers as one that does not exist;
of a layer whose tables are under row-level security the principal gets what the database shows them. None stands for
nobody (no gate in front, as in a benchmark): every layer answers, those under row-level security without a feature.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from isal import igzip

from gis.errors import BadRequest, NotFound, StoreUnavailable, TooLarge
from gis.settings import Settings
from gis.store.queries import load_queries
from gis.tiles import version
from gis.tiles.cache import Kept, Key, TileCache
from gis.tiles.catalogue import describe
from gis.tiles.definition import Layer, load_layers, read_tokens
from gis.tiles.gateway import Asker, RawTile, TileGateway
from gis.tiles.grid import Tile, parse_tile
from gis.tiles.version import StoreState

# How old our knowledge of the versions may be: an edit is on the map at most this much later.
STATE_SECONDS = 1.0
# ISA-L's level 2 makes 127 kB of 305 kB in 0.9 ms; zlib's level 1 takes 2.8 ms for the same, its level 6 saves 6 % in 14.
GZIP_LEVEL = 2
# Smaller bodies are packed in place, within a millisecond: handing one to a thread would cost about as much.
THREAD_BYTES = 300_000


class Principal(Asker, Protocol):
    """Whoever asks, as the gate made them out."""

    @property
    def roles(self) -> Collection[str]:
        """Role names, as in the definitions."""

    @property
    def scope(self) -> tuple[str, ...]:
        """Division codes that hold today."""

    @property
    def scope_key(self) -> str:
        """Short hash of role and scope: who shares it sees the same rows."""


@dataclass(frozen=True, slots=True)
class TileAnswer:
    """What to answer.

    Attributes
    ----------
    status : {200, 204, 304}
        204: nothing lies in this tile. 304: the browser holds it already.
    body : bytes
        Gzipped vector tile; empty unless 200.
    etag, cache_control : str
        Headers of the same meaning.
    level : str
        Level that answered; empty for 304.
    coarser : str
        Why a coarser level answered: ``features`` or ``bytes``; empty when the zoom's own did.
    source : {'memory', 'store', 'none'}
        Where it came from.
    """

    status: int
    body: bytes
    etag: str
    cache_control: str
    level: str = ""
    coarser: str = ""
    source: str = "none"


class TileService:
    """Every tile of every layer, behind one call.

    Parameters
    ----------
    settings : Settings
        ``tile_cache_mb`` bounds what is kept in memory, ``tile_max_bytes`` one tile before packing.
    layers : dict or None
        Definitions; None reads ``data/layers``.

    Raises
    ------
    DefinitionError
        When a definition does not load; every fault is listed.
    """

    def __init__(self, settings: Settings, *, layers: Mapping[str, Layer] | None = None) -> None:
        queries = load_queries("tiles")
        folder = settings.data / "layers"
        self.tokens = read_tokens(folder / "_tokens.toml")
        self.layers = layers if layers is not None else load_layers(folder, queries=queries, tokens=self.tokens)
        self.cache = TileCache(max_bytes=settings.tile_cache_mb * 1_000_000)
        self._max_bytes = settings.tile_max_bytes
        self._gateway = TileGateway(settings, layers=self.layers, queries=queries)
        self._state: tuple[float, StoreState] | None = None
        self._stamps: tuple[StoreState | None, dict[tuple[str, str | None], str]] = (None, {})
        self._under_way: dict[object, asyncio.Task[Any]] = {}
        self._packers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tile-gzip")
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the pool. A second call waits for the first."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._gateway.open())
        await self._opening

    async def close(self) -> None:
        """End what is under way and give the connections back."""
        for task in self._under_way.values():
            task.cancel()
        await self._gateway.close()
        self._packers.shutdown(wait=False, cancel_futures=True)

    async def tile(
        self,
        layer: str,
        z: str | int,
        x: str | int,
        y: str | int,
        if_none_match: str | None = None,
        principal: Principal | None = None,
    ) -> TileAnswer:
        """Answer one tile.

        Raises
        ------
        NotFound
            When no such layer exists, or the principal may not see it: the two look alike.
        BadRequest
            When z/x/y is nonsense or the layer has no such zoom.
        TooLarge
            When even the layer's coarsest level passes the limit of bytes.
        StoreUnavailable
            When the store is away or took too long.
        """
        wanted = self._visible(layer, principal)
        tile = parse_tile(z, x, y)
        index = wanted.level_at(tile.z)
        if index is None:
            low, high = wanted.zooms
            raise BadRequest(f"图层“{wanted.title.zh}”只有 {low}–{high} 级瓦片。", next_step="请缩放地图后再试。")
        state = await self._fresh_state()
        # None: everybody shares one tile. Otherwise only people of the same role and scope do.
        scope = (principal.scope_key if principal else "nobody") if state.differs_by_scope(wanted) else None
        stamp = self._stamp(wanted, state, scope)
        cache_control = f"private, max-age={wanted.cache.seconds}, must-revalidate"
        if wanted.cache.mode == "versioned":
            etag = version.etag_of_state(stamp, tile)
            if version.matches(if_none_match, etag):
                return TileAnswer(304, b"", etag, cache_control)
        key: Key = (wanted.id, tile.z, tile.x, tile.y) + (() if scope is None else (scope,))
        kept = self.cache.get(key, stamp=stamp, now=time.monotonic())
        source = "memory"
        if kept is None:
            source = "store"

            async def raw(level: int) -> RawTile:
                if scope is None:
                    return await self._gateway.make(wanted, level, tile)
                return await self._of_scope(principal, wanted, level, tile)

            kept = await self._once(
                (key, stamp), lambda: self._make(wanted, index, tile, key=key, stamp=stamp, raw=raw)
            )
        if version.matches(if_none_match, kept.etag):
            return TileAnswer(304, b"", kept.etag, cache_control, source=source)
        return TileAnswer(
            200 if kept.body else 204, kept.body, kept.etag, cache_control, kept.level, kept.coarser, source
        )

    async def catalogue(self, principal: Principal | None = None) -> dict[str, Any]:
        """Return what /tiles/layers.json answers: the layers this principal may see."""
        await self.open()
        synthetic = await self._once("synthetic", self._gateway.synthetic_subjects)
        seen = [one for one in self.layers.values() if _may_see(one, principal)]
        return {"layers": [describe(one, synthetic=synthetic, tokens=self.tokens) for one in seen]}

    def _visible(self, name: str, principal: Principal | None) -> Layer:
        layer = self.layers.get(name)
        if layer is None or not _may_see(layer, principal):
            raise NotFound("没有这个图层。", next_step="可用的图层见 /tiles/layers.json。")
        return layer

    def _stamp(self, layer: Layer, state: StoreState, scope: str | None) -> str:
        if self._stamps[0] is not state:
            # Asked anew every second, and mostly the same as before: then what was worked out still holds.
            self._stamps = (state, self._stamps[1] if self._stamps[0] == state else {})
        known = self._stamps[1]
        if (layer.id, scope) not in known:
            known[layer.id, scope] = version.stamp(layer, state, max_bytes=self._max_bytes, scope=scope)
        return known[layer.id, scope]

    async def _of_scope(self, principal: Principal | None, layer: Layer, index: int, tile: Tile) -> RawTile:
        """Make a tile of what this principal may see, and hold the store's word for the scope against the gate's.

        A scope that was changed between the gate's question and ours would put one scope's rows under another's key.
        """
        raw = await self._gateway.make_for(principal, layer, index, tile)
        if raw.scope != frozenset(principal.scope if principal else ()):
            raise StoreUnavailable("权限范围刚刚有变动。", next_step="请刷新页面，或重新登录。")
        return raw

    async def _fresh_state(self) -> StoreState:
        now = time.monotonic()
        if self._state is None or now - self._state[0] >= STATE_SECONDS:
            await self.open()
            # Stamped with the moment before the question: what changes while it is asked counts as not yet seen.
            self._state = (now, await self._once("state", self._gateway.state))
        return self._state[1]

    async def _make(
        self, layer: Layer, index: int, tile: Tile, *, key: Key, stamp: str, raw: Callable[[int], Awaitable[RawTile]]
    ) -> Kept:
        """Make a tile; one that passes a limit is answered by the next coarser level.

        Coarser instead of an error, because an empty map tells people that nothing is there. Dropping single features
        would be smaller still, but a missing parcel is a lie, a sum by grid is not.
        """
        coarser = ""
        for i in range(index, -1, -1):
            level = layer.level[i]
            made = await raw(i)
            if made.features > level.max_features:
                coarser = "features"
            elif len(made.body) > self._max_bytes:
                coarser = "bytes"
            else:
                break
        else:
            raise TooLarge(
                f"瓦片 {layer.id}/{tile} 超过 {self._max_bytes / 1e6:.1f} MB 的上限。",
                next_step="请放大地图查看，或请管理员调整图层定义。",
            )
        body = await self._pack(made.body)
        if layer.cache.mode == "versioned":
            etag, until = version.etag_of_state(stamp, tile), float("inf")
        else:
            etag, until = version.etag_of_body(stamp, body), time.monotonic() + layer.cache.seconds
        kept = Kept(body, etag, stamp, until, level.name, coarser if i != index else "")
        self.cache.put(key, kept)
        return kept

    async def _pack(self, raw: bytes) -> bytes:
        if not raw:
            return b""
        if len(raw) < THREAD_BYTES:
            return igzip.compress(raw, GZIP_LEVEL, mtime=0)
        # The packer lets go of the interpreter, so the event loop answers others meanwhile.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._packers, lambda: igzip.compress(raw, GZIP_LEVEL, mtime=0))

    async def _once(self, key: object, make: Callable[[], Any]) -> Any:
        """Run `make` once for everybody who asks for `key` while it runs."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(make())
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: one who leaves must not take the tile away from the others.
        return await asyncio.shield(task)


def _may_see(layer: Layer, principal: Principal | None) -> bool:
    return principal is None or bool(set(layer.roles) & set(principal.roles))
