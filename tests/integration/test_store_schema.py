"""The schema is one truth: migrations lead to it, SQLAlchemy's tables mirror it, the running program refuses another."""

from __future__ import annotations

import os
import re
import subprocess
import warnings

import pytest
from sqlalchemy import Column, MetaData, create_engine
from sqlalchemy.dialects import postgresql

from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store import case_tables
from gis.store.cluster import server_folder
from gis.store.engine import connect
from gis.store.migrate import create_database, drop_database, migrate, migrations
from gis.store.tables import metadata


def dump(settings: Settings, name: str) -> list[str]:
    """The schema as pg_dump sees it, one statement an entry."""
    url = settings.url(role="admin", database=name)
    command = [str(server_folder() / "pg_dump"), "--schema-only", "--exclude-table=public.onemap_migration", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [
        line for line in text.splitlines() if line and not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog"))
    ]
    return sorted(re.split(r"(?<=;)\n", "\n".join(lines)))


@pytest.fixture
def migrated(cluster: Settings) -> object:
    name = f"mig_{os.getpid()}"
    create_database(cluster, name=name)
    applied = migrate(cluster, name=name)
    assert applied == [m.name for m in migrations(cluster.sql)]
    yield name
    drop_database(cluster, name=name)


def test_migrations_lead_to_the_schema(cluster: Settings, template: str, migrated: str) -> None:
    by_schema, by_migrations = dump(cluster, template), dump(cluster, migrated)
    assert len(by_schema) > 100
    assert by_migrations == by_schema


def test_migrating_twice_does_nothing_and_a_changed_file_is_refused(cluster: Settings, migrated: str) -> None:
    assert migrate(cluster, name=migrated) == []
    with connect(cluster, role="owner", database=migrated) as conn:
        conn.execute("UPDATE public.onemap_migration SET digest = 'x' WHERE number = 1")
    with pytest.raises(SetupProblem, match="改动过"):
        migrate(cluster, name=migrated)


def test_a_newer_store_is_not_opened(cluster: Settings, migrated: str) -> None:
    with connect(cluster, role="owner", database=migrated) as conn:
        conn.execute("INSERT INTO public.onemap_migration (number, name, digest) VALUES (9999, 'future', '')")
    with pytest.raises(SetupProblem, match="比程序"):
        migrate(cluster, name=migrated)


def shape(column: Column[object]) -> tuple[object, ...]:
    """What of a column must agree; a geometry's type says kind and SRID."""
    kind = getattr(column.type, "geometry_type", None)
    name = f"{kind} {column.type.srid}" if kind else column.type.compile(dialect=postgresql.dialect())
    identity = column.identity.always if column.identity is not None else None
    return (
        column.name,
        name,
        column.nullable,
        column.primary_key,
        identity,
        column.computed is not None,
        column.server_default is not None,
    )


def test_tables_mirror_the_database(cluster: Settings, template: str) -> None:
    engine = create_engine(
        cluster.url(role="owner", database=template).replace("postgresql://", "postgresql+psycopg://")
    )
    reflected = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy skips the exclusion constraint and says so
        for schema in ("onemap", "personal", "intake", "access"):
            reflected.reflect(engine, schema=schema)
    engine.dispose()
    assert case_tables.metadata is metadata  # importing it adds the tables of the cases
    assert sorted(metadata.tables) == sorted(reflected.tables)
    for name, table in reflected.tables.items():
        assert [shape(c) for c in metadata.tables[name].columns] == [shape(c) for c in table.columns], name


def test_incidents_of_before_become_cases(cluster: Settings) -> None:
    name = f"mig_rows_{os.getpid()}"
    create_database(cluster, name=name)
    try:
        first = migrations(cluster.sql)[0]
        with connect(cluster, role="owner", database=name) as conn:
            conn.execute(first.text.encode())
            conn.execute(
                "CREATE TABLE public.onemap_migration (number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )
            conn.execute(
                "INSERT INTO public.onemap_migration (number, name, digest) VALUES (1, %s, %s)",
                [first.name, first.digest],
            )
            conn.execute(
                "INSERT INTO onemap.incident (incident_id, case_no, item_code, channel, title, reported_at, responded_at, due_at, "
                "closed_at, status, handled_level) SELECT n, 'SJ20261101' || lpad(n::text, 5, '0'), '0101', 'grid', '路灯不亮', "
                "'2026-11-01 08:00+08', '2026-11-01 09:00+08', '2026-11-01 12:00+08', CASE WHEN s = 'closed' THEN "
                "timestamptz '2026-11-01 11:00+08' END, s, CASE WHEN s = 'closed' THEN 4 END "
                "FROM unnest(ARRAY['handling', 'feedback', 'returned', 'closed']) WITH ORDINALITY AS t (s, n)"
            )
        assert migrate(cluster, name=name) == [m.name for m in migrations(cluster.sql)[1:]]
        with connect(cluster, role="owner", database=name) as conn:
            rows = conn.execute(
                "SELECT case_id, process, state, clock_state, to_char(done_at AT TIME ZONE 'Asia/Shanghai', 'HH24'), "
                "to_char(ended_at AT TIME ZONE 'Asia/Shanghai', 'HH24'), to_char(warn_at AT TIME ZONE 'Asia/Shanghai', 'HH24'), level "
                "FROM onemap.case_file ORDER BY 1"
            ).fetchall()
            given = conn.execute(
                "SELECT nextval('onemap.case_file_case_id_seq'), onemap.next_case_no('SJ', '2026-11-01')"
            ).fetchone()
    finally:
        drop_database(cluster, name=name)
    assert rows == [
        (1, "incident", "handling", "runs", None, None, "11", 3),
        (2, "incident", "feedback", "stopped", "09", None, "11", 3),
        (3, "incident", "returned", "stopped", None, "09", "11", 3),
        (4, "incident", "closed", "stopped", "11", "11", "11", 4),
    ]
    assert given == (5, "SJ2026110100005")
