"""The tiles' gateway to the store: one asynchronous pool, one exchange a tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg.pq.abc import PGresult
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from gis.errors import StoreUnavailable
from gis.settings import Settings
from gis.store.engine import OPTIONS
from gis.tiles.definition import Layer
from gis.tiles.exchange import Question, TileConnection, exchange
from gis.tiles.grid import Tile
from gis.tiles.statement import bind, compose
from gis.tiles.version import StoreState

MOST_CONNECTIONS = 6
_WAIT_S = 5.0
# A tile is answered in milliseconds; one that takes this long would only keep a connection from the others.
# No parallel workers: under load the machine's cores are busy with other tiles already, and starting workers costs
# more than a tile takes. by_place: nothing of one person alone (access.asker), for everybody of a scope gets the same tile.
_SESSION = " -c statement_timeout=8s -c max_parallel_workers_per_gather=0 -c default_transaction_read_only=on -c onemap.by_place=on"

_AS = Question.of(
    b"SELECT set_config('onemap.principal', %(principal)s, true), set_config('onemap.address', %(address)s, true)"
)
# The scope comes back from the very statement that made the tile, so from the same snapshot. Codes are digits.
_SCOPED = b"SELECT t.*, array_to_string(access.my_codes(), ',') FROM (%s) AS t"


class _WarmestFirst(AsyncConnectionPool[TileConnection]):
    """A pool that hands out the connection given back last.

    psycopg's own hands out the one that rested longest, so that six servers take turns at one person's tiles, each finding
    the processor's caches full of the others' memory.
    """

    async def getconn(self, timeout: float | None = None) -> TileConnection:
        """Take the newest from the end that `AsyncConnectionPool` appends to."""
        self._pool.rotate(1)
        return await super().getconn(timeout)


class Asker(Protocol):
    """Whoever a tile is made for, as far as the store needs to know."""

    @property
    def account_id(self) -> int:
        """Row of access.account."""

    @property
    def address(self) -> str | None:
        """Where the request came from."""


@dataclass(frozen=True, slots=True)
class RawTile:
    """What the store made.

    Attributes
    ----------
    body : bytes
        Empty without features.
    features : int
        Rows read for it.
    scope : frozenset of str or None
        Division codes it was made under; None where everybody sees the same.
    """

    body: bytes
    features: int
    scope: frozenset[str] | None = None


class TileGateway:
    """Tiles, versions and lineage as the store has them. Role app; reads only.

    Parameters
    ----------
    layers : dict
        Their statements are composed here, once.
    """

    def __init__(
        self, settings: Settings, *, layers: Mapping[str, Layer], queries: Mapping[str, LiteralString]
    ) -> None:
        self._queries = queries
        statements = {
            (layer.id, level.name): compose(layer, level, queries=queries).as_bytes(None)
            for layer in layers.values()
            for level in layer.level
        }
        self._open_to_all = {key: Question.of(statement) for key, statement in statements.items()}
        self._scoped = {key: Question.of(_SCOPED % statement) for key, statement in statements.items()}
        self._pool = _WarmestFirst(
            settings.url(role="app"),
            connection_class=TileConnection,
            kwargs={"options": OPTIONS + _SESSION, "autocommit": True, "prepare_threshold": 0, "connect_timeout": 5},
            min_size=1,
            max_size=MOST_CONNECTIONS,
            timeout=_WAIT_S,
            reconnect_timeout=2.0,
            open=False,
            name="onemap-tiles",
        )

    async def open(self) -> None:
        """Start connecting in the background; a store that is away is no reason not to start."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self._pool.close(timeout=2.0)

    async def make(self, layer: Layer, index: int, tile: Tile) -> RawTile:
        """Make one tile at level `index` of a layer that everybody sees alike.

        Raises
        ------
        StoreUnavailable
            When the store is away or the tile takes longer than it may.
        """
        level = layer.level[index]
        result = await self._exchange((self._open_to_all[layer.id, level.name], bind(level, tile)))
        return RawTile(result.get_value(0, 0) or b"", _whole(result.get_value(0, 1)))

    async def make_for(self, asker: Asker | None, layer: Layer, index: int, tile: Tile) -> RawTile:
        """Make one tile at level `index` of a layer under row-level security, of what `asker` may see.

        One transaction in one round trip: who asks holds for this tile only. Nobody (None) sees nothing.

        Raises
        ------
        StoreUnavailable
            When the store is away or the tile takes longer than it may.
        """
        level = layer.level[index]
        who = {"principal": str(asker.account_id) if asker else "", "address": (asker.address or "") if asker else ""}
        # Were the two ever split, the principal would be gone before the tile, and the scope that comes back with it would
        # not match (503).
        result = await self._exchange((_AS, who), (self._scoped[layer.id, level.name], bind(level, tile)))
        codes = (result.get_value(0, 2) or b"").decode()
        return RawTile(
            result.get_value(0, 0) or b"", _whole(result.get_value(0, 1)), frozenset(codes.split(",") if codes else ())
        )

    async def state(self) -> StoreState:
        """Read the versions of all tables and the store's date."""
        row = await self._one(self._queries["state"].encode(), {})
        return StoreState(tables=row[0] or {}, today=row[1], secured=frozenset(row[2]))

    async def synthetic_subjects(self) -> dict[str, bool]:
        """Read, for each loaded subject, whether any of its standing loads is synthetic 合成."""
        row = await self._one(self._queries["synthetic_subjects"].encode(), {})
        return row[0] or {}

    async def _exchange(self, *asked: tuple[Question, Mapping[str, Any]]) -> PGresult:
        try:
            async with self._pool.connection() as conn:
                return await exchange(conn, *asked)
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as e:
            raise _away() from e

    async def _one(self, statement: bytes, values: dict[str, Any]) -> tuple[Any, ...]:
        try:
            async with self._pool.connection() as conn, conn.cursor(binary=True) as cursor:
                await cursor.execute(statement, values)
                row = await cursor.fetchone()
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as e:
            raise _away() from e
        assert row is not None  # every statement here is an aggregate: one row, always
        return row


def _whole(value: bytes | None) -> int:
    """Read a bigint as the server sends it."""
    return int.from_bytes(value or b"", "big")


def _away() -> StoreUnavailable:
    # QueryCanceled (statement_timeout) is an OperationalError too.
    return StoreUnavailable("地图数据暂时取不到。", next_step="稍后会自动重试；仍不行请运行 ./onemap doctor。")


def check_store(conn: psycopg.Connection[Any], layers: Mapping[str, Layer]) -> list[str]:
    """Hold the definitions against a store; return what does not fit, one sentence each.

    A table or column that is missing; a versioned layer whose table raises no version when it changes.
    """
    faults: list[str] = []
    columns: dict[str, set[str]] = {}
    for table, names in conn.execute(
        "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns "
        "WHERE table_schema = 'onemap' GROUP BY table_name"
    ):
        columns[table] = set(names)
    versioned = {
        row[0]
        for row in conn.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'onemap.bump_version'::regproc"
        )
    }
    versioned = {name.rpartition(".")[2] for name in versioned}
    for layer in layers.values():
        for level in layer.level:
            where = f"{layer.id}/{level.name}"
            for table in {*level.depends_on, *([level.table] if level.table else [])} - set(columns):
                faults.append(f"{where}：库里没有 onemap.{table}")
            if level.table in columns:
                asked = {*level.columns, *level.keep, level.geometry_column, *([level.id] if level.id else [])}
                faults += [f"{where}：{level.table} 没有列 {c}" for c in sorted(asked - columns[str(level.table)])]
            if layer.cache.mode == "versioned":
                faults += [
                    f"{where}：{t} 改动时不升版本，cache 应为 timed" for t in level.depends_on if t not in versioned
                ]
    return faults
