"""What the gate, the login and the administration share: roles, rules, and the store as the person who asks."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from gis.access.principal import current
from gis.errors import StoreUnavailable
from gis.settings import Settings
from gis.store.engine import OPTIONS

_WAIT_S = 3.0
_SIZE = 6


class Door:
    """Connections for the gate and the login: role app, autocommit, so that the gate's question is one round trip.

    They are apart from the pages' pool: a page that holds all of those must not lock everybody else out.
    """

    def __init__(self, settings: Settings) -> None:
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            settings.url(role="app"),
            kwargs={"options": OPTIONS, "row_factory": dict_row, "connect_timeout": 5, "autocommit": True},
            connection_class=Connection[DictRow], min_size=1, max_size=_SIZE, open=False, timeout=_WAIT_S,
            reconnect_timeout=2.0, name="onemap-door",
        )  # fmt: skip

    def open(self) -> None:
        """Start connecting in the background."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Give all connections back."""
        self._pool.close(timeout=2.0)

    @contextmanager
    def asking(self) -> Iterator[Connection[DictRow]]:
        """Lend one connection, each statement on its own.

        Raises
        ------
        StoreUnavailable
            When the store is away; nobody comes in then.
        """
        try:
            conn = self._alive()
            try:
                yield conn
            finally:
                self._pool.putconn(conn)
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as e:
            raise StoreUnavailable("数据库连不上。", next_step="请过一会儿再试，或告诉县里的系统管理员。") from e

    def _alive(self) -> Connection[DictRow]:
        """Return a connection the server has not hung up on: an idle one with something to read has been.

        It costs no round trip, which the pool's own check does, and no second of waiting after a restart.
        """
        for _ in range(_SIZE):
            conn = self._pool.getconn()
            if not select.select([conn.fileno()], [], [], 0)[0]:
                return conn
            conn.close()
            self._pool.putconn(conn)
        return self._pool.getconn()

    @contextmanager
    def begin(self) -> Iterator[Connection[Any]]:
        """Lend one connection inside one transaction of the person who asks."""
        principal = current.get()
        with self.asking() as conn, conn.transaction():
            if principal is not None:
                conn.execute(
                    "SELECT set_config('onemap.principal', %s, true), set_config('onemap.address', %s, true)",
                    [str(principal.account_id), principal.address or ""],
                )
            yield conn

    @contextmanager
    def begin_unknown(self) -> Iterator[Connection[Any]]:
        """Lend one connection inside one transaction of nobody: whoever signs in is not who was signed in before."""
        with self.asking() as conn, conn.transaction():
            yield conn
