"""A server that is not ours (ONEMAP_DATABASE_URL): what it and the account in the URL must bring, told before anything is made."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection, sql

from gis.errors import OnemapError, SetupProblem
from gis.settings import Role, Settings
from gis.store.engine import connect
from gis.store.secrets import role_password

EXTENSIONS = ("postgis", "pgrouting", "pg_trgm", "btree_gist", "pgcrypto")
OLDEST_SERVER = 15
ROLES: tuple[Role, ...] = ("owner", "app", "reader", "job")
GUIDE = "docs/guide/admin.md 的“已有的数据库服务器”一节"


def lacking(conn: Connection[Any]) -> list[str]:
    """Tell what stands in the way of making a store with this connection, a sentence each; empty: nothing.

    Parameters
    ----------
    conn : Connection
        As the account of the URL, to any database of the server.
    """
    with conn.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        found = []
        if conn.info.server_version < OLDEST_SERVER * 10_000:
            found.append(f"服务器是 PostgreSQL {conn.info.server_version // 10_000}，需要 {OLDEST_SERVER} 或更新")
        row = cursor.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if row is not None and not row[1]:
            found.append(
                f"账号 {row[0]} 不是超级用户：装 PostGIS、把 && 运算标为 LEAKPROOF、给装数据的角色 BYPASSRLS，只有超级用户能做"
            )
        present = {name for (name,) in cursor.execute("SELECT name FROM pg_available_extensions").fetchall()}
        found += [f"服务器上没有安装扩展 {name}" for name in EXTENSIONS if name not in present]
    return found


def require_able(conn: Connection[Any]) -> None:
    """Raise `SetupProblem` when a store cannot be made here; nothing was made yet."""
    problems = lacking(conn)
    if problems:
        raise SetupProblem(
            f"在这台数据库服务器上建不了库：{'；'.join(problems)}。服务器上什么都没有改动。",
            next_step=f"请数据库管理员补齐，或先替您把库建好（照 {GUIDE}），再运行一次。",
        )


def set_passwords(conn: Connection[Any], settings: Settings, *, fresh: set[str]) -> None:
    """Give our roles their passwords; roles of another installation on the same server keep theirs.

    Parameters
    ----------
    conn : Connection
        As a superuser.
    fresh : set of str
        Roles that were made just now.

    Raises
    ------
    SetupProblem
        The roles exist with a password this installation does not know: to change it would lock the other one out.
    """
    for role in ROLES:
        name = f"onemap_{role}"
        if name not in fresh and not _opens(settings, role):
            has = conn.execute("SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = %s", [name]).fetchone()
            if has == (True,):
                raise SetupProblem(
                    f"这台数据库服务器上已有角色 {name}，密码不是这里的：多半是另一套一张图在用，没有改动它。",
                    next_step=f"把那一套的 secrets.json 拷到 {settings.var / 'secrets.json'}；"
                    "那一套已经不用了的话，请数据库管理员执行 ALTER ROLE … PASSWORD NULL 后再来。",
                )
        conn.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(role_password(settings, role=role))
            )
        )


def _opens(settings: Settings, role: Role) -> bool:
    try:
        connect(settings, role=role, database="postgres").close()
    except OnemapError:
        return False
    return True
