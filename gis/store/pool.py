"""A pool of read connections for the web: opened at start, lent per request, sound again after the server was away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from gis.access.principal import Principal, current
from gis.errors import StoreUnavailable
from gis.settings import Role, Settings
from gis.store.engine import OPTIONS

_WAIT_S = 3.0  # longer than a restart of the server's connection, shorter than a person's patience


class Pool:
    """Connections of one role.

    Parameters
    ----------
    settings : Settings
        Names the store.
    role : {'app', 'reader', 'job'}
        Who reads; the database decides what that role may see.
    size : int
        Most connections open at once; the cluster allows 160 in all.
    """

    def __init__(self, settings: Settings, *, role: Role = "app", size: int = 8) -> None:
        self._size = size
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            settings.url(role=role),
            kwargs={"options": OPTIONS, "row_factory": dict_row, "connect_timeout": 5},
            connection_class=Connection[DictRow],
            min_size=1,
            max_size=size,
            open=False,
            timeout=_WAIT_S,
            # After the server was away: give up soon and let the next request try anew, instead of minutes of backoff.
            reconnect_timeout=2.0,
            name=f"onemap-{role}",
        )

    def open(self) -> None:
        """Start connecting in the background; a store that is away is no reason not to start."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Give all connections back to the server."""
        self._pool.close(timeout=2.0)

    @contextmanager
    def reading(
        self, *, timeout_s: float = _WAIT_S, principal: Principal | None = None, follow: bytes | None = None
    ) -> Iterator[Connection[DictRow]]:
        """Lend one connection inside one read-only transaction of the person who asks.

        Parameters
        ----------
        principal : Principal or None
            Whose rows are read; None: the request's (`gis.access.principal.current`), or nobody's, who sees none of
            the tables under row-level security.
        follow : bytes or None
            SHA-256 of a follow code, for a stranger: see `writing`.

        Raises
        ------
        StoreUnavailable
            When no connection can be had within `timeout_s`, or the server goes away under the query.
        """
        try:
            conn = self._begin(timeout_s, None if follow else principal or current.get(), follow=follow)
            try:
                with conn:
                    yield conn
            finally:
                self._pool.putconn(conn)
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as e:
            raise StoreUnavailable(
                "数据库连不上。", next_step="运行 ./onemap doctor 查原因，或 ./onemap up 启动。"
            ) from e

    @contextmanager
    def writing(
        self, *, timeout_s: float = _WAIT_S, principal: Principal | None = None, follow: bytes | None = None
    ) -> Iterator[Connection[DictRow]]:
        """Lend one connection inside one read-committed write transaction; it commits when the block ends without an error.

        Parameters
        ----------
        principal : Principal or None
            Who writes; None: the request's, or nobody.
        follow : bytes or None
            SHA-256 of a follow code: a stranger who holds it sees and answers that one case. Never beside a principal.

        Raises
        ------
        StoreUnavailable
            When no connection can be had within `timeout_s`, or the server goes away under the block: nothing was written,
            unless it went away while committing; a submission key tells then.
        """
        try:
            conn = self._begin(timeout_s, None if follow else principal or current.get(), follow=follow, writes=True)
            try:
                with conn:
                    yield conn
            finally:
                self._pool.putconn(conn)
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as e:
            raise StoreUnavailable(
                "数据库连不上。", next_step="运行 ./onemap doctor 查原因，或 ./onemap up 启动。"
            ) from e

    def _begin(
        self, timeout_s: float, principal: Principal | None, *, follow: bytes | None = None, writes: bool = False
    ) -> Connection[DictRow]:
        """Return a connection with its transaction begun; one that died while idle is thrown away and the next is tried.

        The pool's own check would wait a second before each new try.
        """
        for left in range(self._size, -1, -1):
            conn = self._pool.getconn(timeout=timeout_s)
            try:
                conn.execute(_begun_by(principal, follow=follow, writes=writes))
            except psycopg.OperationalError:
                self._pool.putconn(conn)
                if not left:
                    raise
            else:
                return conn
        raise AssertionError("the loop returns or raises")


def _begun_by(principal: Principal | None, *, follow: bytes | None = None, writes: bool = False) -> sql.Composed:
    """Return the first statements of a transaction, one message to the server.

    A snapshot of its own for reading: figures that must add up are read from one state of the store. Who asks is said every
    time, nobody too, and holds for this transaction only: the connection serves somebody else next.
    """
    who, where = (str(principal.account_id), principal.address or "") if principal else ("", "")
    return sql.SQL(
        "SET TRANSACTION ISOLATION LEVEL {}; SELECT set_config('onemap.principal', {}, true), "
        "set_config('onemap.address', {}, true), set_config('onemap.follow', {}, true)"
    ).format(
        sql.SQL("READ COMMITTED READ WRITE" if writes else "REPEATABLE READ READ ONLY"),
        sql.Literal(who), sql.Literal(where), sql.Literal(follow.hex() if follow else ""),
    )  # fmt: skip
