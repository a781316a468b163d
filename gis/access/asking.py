"""How this room asks the store: rows as objects whatever the caller's row factory, refusals of the database in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import class_row, dict_row

from gis.errors import BadRequest, Forbidden
from gis.store.queries import load_queries

Transaction = Callable[[], AbstractContextManager[Connection[Any]]]
"""Opens one read-committed write transaction of role app; commits when the block ends, rolls back when it raises."""

Values = Sequence[Any] | Mapping[str, Any]
Row = TypeVar("Row")


def rows(conn: Connection[Any], name: str, values: Values = (), *, subject: str = "access") -> list[dict[str, Any]]:
    """All rows of a named query, as dicts."""
    with refusals(), conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(load_queries(subject)[name], values).fetchall()


def row(conn: Connection[Any], name: str, values: Values = (), *, subject: str = "access") -> dict[str, Any] | None:
    """First row of a named query, or None."""
    found = rows(conn, name, values, subject=subject)
    return found[0] if found else None


def value(conn: Connection[Any], name: str, values: Values = (), *, subject: str = "access") -> Any:
    """First column of the first row of a named query, or None."""
    found = row(conn, name, values, subject=subject)
    return next(iter(found.values())) if found else None


def records(
    conn: Connection[Any], name: str, kind: type[Row], values: Values = (), *, subject: str = "access"
) -> list[Row]:
    """All rows of a named query, each as one `kind`; the columns are its fields."""
    with refusals(), conn.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(load_queries(subject)[name], values).fetchall()


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database refuses on purpose into a sentence; it says no more than the person may know."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as e:
        words = e.diag.message_primary or ""
        ours = words if not words.isascii() else "没有权限。"
        raise Forbidden(ours, next_step="需要时请联系本县的安全管理员。") from e
    except psycopg.errors.UniqueViolation as e:
        raise BadRequest("这个账号名已经有人用了。", next_step="换一个账号名。") from e
    except psycopg.errors.ForeignKeyViolation as e:
        words = e.diag.message_primary or ""
        raise BadRequest(words if not words.isascii() else "账号、角色或区划不存在。", next_step="核对后再试。") from e
    except psycopg.errors.CheckViolation as e:
        raise BadRequest(
            "填写的内容不合要求。", next_step="账号名用小写字母、数字、点、横线，2 到 32 位；日期先后要对。"
        ) from e


def ip(address: str | None) -> str | None:
    """The address as PostgreSQL takes it, or None for what is not one (a unix socket, a test client)."""
    try:
        return str(ipaddress.ip_address((address or "").split("%")[0]))
    except ValueError:
        return None
