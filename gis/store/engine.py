"""Connections to the store, by role. SQLAlchemy and psycopg stay behind this file and the gateways."""

from __future__ import annotations

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from gis.errors import SetupProblem, StoreUnavailable
from gis.settings import Role, Settings

# One search path for everybody: our own schema first, PostGIS (public) second, nothing a user could slip in.
OPTIONS = "-c search_path=onemap,public -c timezone=Asia/Shanghai -c client_min_messages=warning"


def connect(
    settings: Settings, *, role: Role = "app", database: str | None = None, autocommit: bool = False
) -> Connection[TupleRow]:
    """Open one connection.

    Parameters
    ----------
    role : {'admin', 'owner', 'app', 'reader', 'job'}
        Who connects; the database decides what that role may do.
    autocommit : bool
        False: the caller commits (``with conn:`` does).

    Raises
    ------
    StoreUnavailable
        When the server does not answer or refuses.
    SetupProblem
        When ONEMAP_DATABASE_URL is no address of a PostgreSQL server.
    """
    try:
        return psycopg.connect(
            settings.url(role=role, database=database), options=OPTIONS, autocommit=autocommit, connect_timeout=10
        )
    except psycopg.OperationalError as e:
        raise StoreUnavailable(
            f"数据库连不上：{str(e).strip().splitlines()[-1]}",
            next_step="运行 ./onemap doctor 查原因，或 ./onemap up 启动。",
        ) from e
    except psycopg.ProgrammingError as e:  # the address itself; its text may hold a password and is not repeated
        raise SetupProblem(
            "ONEMAP_DATABASE_URL 不是 PostgreSQL 的地址。",
            next_step="格式：postgresql://账号:密码@主机:端口/postgres，密码里的 @ : / 要写成 %40 %3A %2F。",
        ) from e
