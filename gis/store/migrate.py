"""Databases made and brought up to date: roles, extensions, migrations in order, each in one transaction."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.administration import administer, missing
from gis.store.engine import connect
from gis.store.outside import EXTENSIONS, ROLES, require_able, set_passwords

_ONE_AT_A_TIME = 7_421_053  # any number; only this program uses it
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


@dataclass(frozen=True)
class Migration:
    """One file of sql/migrations: its number, name, text and the hash it is remembered by."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def schema_files(root: Path) -> list[Path]:
    """Files of current truth in the order they are applied: schema, functions, policies."""
    return [p for part in ("schema", "functions", "policies") for p in sorted((root / part).glob("*.sql"))]


def migrations(root: Path) -> list[Migration]:
    """Read sql/migrations, in order.

    Raises
    ------
    SetupProblem
        When numbers are missing or doubled.
    """
    found = []
    for path in sorted((root / "migrations").glob("*.sql")):
        match = _NAME.match(path.name)
        if match is None:
            raise SetupProblem(f"迁移文件名不对：{path.name}", next_step="应为 0001_name.sql。")
        found.append(Migration(int(match[1]), path.stem, path.read_text(encoding="utf-8")))
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise SetupProblem("迁移编号不连续。", next_step="检查 sql/migrations/ 里的文件名。")
    return found


def create_database(settings: Settings, *, name: str | None = None, template: str | None = None) -> bool:
    """Create the database with roles and extensions; return False when it exists.

    Parameters
    ----------
    template : str or None
        Name of a database to clone (tests); roles and extensions come with it.
    """
    name = name or settings.db_name
    with connect(settings, role="admin", database="postgres", autocommit=True) as conn:
        # Roles belong to the whole server: two first starts at once would both make them. Ends with the connection.
        conn.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _finish(settings, name=name)
            return False
        require_able(conn)
        known = {row[0] for row in conn.execute("SELECT rolname FROM pg_roles").fetchall()}
        conn.execute((settings.sql / "roles.sql").read_bytes())
        if settings.database_url:
            set_passwords(conn, settings, fresh={f"onemap_{role}" for role in ROLES} - known)
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER onemap_owner TEMPLATE {} ENCODING 'UTF8'").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        if template is None:
            try:
                _furnish(settings, name=name)
            except BaseException:  # Ctrl-C too: half a database would be taken for a whole one at the next start
                conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
                raise
    return True


def _finish(settings: Settings, *, name: str) -> None:
    """Give a database what a killed first start left out."""
    with connect(settings, role="admin", database=name, autocommit=True) as conn:
        installed = {row[0] for row in conn.execute("SELECT extname FROM pg_extension").fetchall()}
        if not installed >= set(EXTENSIONS):
            require_able(conn)
            _furnish(settings, name=name)


def _furnish(settings: Settings, *, name: str) -> None:
    with connect(settings, role="admin", database=name, autocommit=True) as fresh:
        for extension in EXTENSIONS:
            fresh.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public CASCADE").format(sql.Identifier(extension))
            )
        fresh.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    administer(settings, name=name)


def drop_database(settings: Settings, *, name: str) -> None:
    """Drop a database and end whoever is connected to it."""
    with connect(settings, role="admin", database="postgres", autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def apply_schema(settings: Settings, *, name: str | None = None) -> None:
    """Build an empty database straight from sql/schema, functions and policies (tests compare it to migrations)."""
    with connect(settings, role="owner", database=name) as conn:
        for path in schema_files(settings.sql):
            conn.execute(path.read_bytes())


def migrate(settings: Settings, *, name: str | None = None) -> list[str]:
    """Apply the migrations that are missing; return their names.

    Raises
    ------
    SetupProblem
        When an applied migration's file has changed since, or the store is newer than this program.
    """
    known = migrations(settings.sql)
    applied: list[str] = []
    with connect(settings, role="owner", database=name) as conn:
        # A store made by an older program, or restored from a dump, lacks what only a superuser can set.
        powerless = bool(missing(conn))
    if powerless:
        administer(settings, name=name)
    with connect(settings, role="owner", database=name) as conn:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS public.onemap_migration ("
            "number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        conn.execute("LOCK TABLE public.onemap_migration IN EXCLUSIVE MODE")
        rows = conn.execute("SELECT number, name, digest FROM public.onemap_migration ORDER BY number").fetchall()
        done: dict[int, tuple[str, str]] = {number: (stem, digest) for number, stem, digest in rows}
        newest = max(done, default=0)
        if newest > len(known):
            raise SetupProblem(
                f"数据库版本 {newest} 比程序 {len(known)} 新。", next_step="请换用新版本的程序；不要用旧程序打开新库。"
            )
        for migration in known:
            if migration.number in done:
                if done[migration.number][1] != migration.digest:
                    raise SetupProblem(
                        f"迁移 {migration.name} 应用后被改动过。", next_step="还原该文件；修改请另写新的迁移。"
                    )
                continue
            conn.execute(migration.text.encode())
            conn.execute(
                "INSERT INTO public.onemap_migration (number, name, digest) VALUES (%s, %s, %s)",
                [migration.number, migration.name, migration.digest],
            )
            applied.append(migration.name)
    return applied
