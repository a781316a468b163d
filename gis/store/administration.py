"""What only a superuser can set in a database of ours (sql/administrator.sql): set it, and tell what is missing."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection

from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.engine import connect

FILE = "administrator.sql"
# Each is a row when it is missing. Readable by any role.
_MISSING = """
SELECT 'geometry 的 && 运算没有标为 LEAKPROOF：行级权限之下用不上空间索引，地图会慢二十倍'
WHERE NOT coalesce((SELECT proleakproof FROM pg_proc
                    WHERE oid = to_regprocedure('public.geometry_overlaps(public.geometry,public.geometry)')), false)
UNION ALL
SELECT '角色 ' || rolname || ' 没有 BYPASSRLS：数据装不进来，页面读不到该读的数'
FROM pg_roles WHERE rolname IN ('onemap_owner', 'onemap_job') AND NOT rolbypassrls AND NOT rolsuper
UNION ALL
SELECT '角色 ' || rolname || ' 权限过大：行级权限对它不起作用'
FROM pg_roles WHERE rolname IN ('onemap_app', 'onemap_reader') AND (rolbypassrls OR rolsuper OR rolcreaterole)
"""


def missing(conn: Connection[Any]) -> list[str]:
    """Tell what of sql/administrator.sql is not in force in this database, a sentence each; a restore loses it."""
    with conn.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        return [row[0] for row in cursor.execute(_MISSING).fetchall()]


def administer(settings: Settings, *, name: str | None = None) -> None:
    """Run sql/administrator.sql in a database as its administrator; harmless to repeat.

    Raises
    ------
    SetupProblem
        When the administrator's account is no superuser.
    """
    with connect(settings, role="admin", database=name or settings.db_name, autocommit=True) as conn:
        try:
            conn.execute((settings.sql / FILE).read_bytes())
        except psycopg.errors.InsufficientPrivilege as e:
            raise SetupProblem(
                "数据库管理员账号不是超级用户，行级权限所需的设置做不了。",
                next_step=f"请数据库管理员以超级用户在库 {name or settings.db_name} 里执行一次 sql/{FILE}。",
            ) from e
