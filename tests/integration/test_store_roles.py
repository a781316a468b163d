"""The database itself refuses: unsound geometry, another role's writes, changes to history."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import psycopg
import pytest
import shapely

from gis.settings import Settings
from gis.store.engine import connect

PARCEL = (
    "INSERT INTO onemap.parcel (parcel_code, area_m2, geom) VALUES ('1305291002010000001', 100, ST_GeomFromEWKB(%s))"
)


def polygon(ring: list[tuple[float, float]]) -> bytes:
    """EWKB of one ring as it stands, sound or not."""
    with np.errstate(invalid="ignore"):
        geometry = shapely.Polygon(ring)
    return bytes(shapely.to_wkb(shapely.set_srid(geometry, 4490), include_srid=True))


@pytest.mark.parametrize(
    ("what", "ring"),
    [
        ("bow-tie", [(115, 37), (115.1, 37.1), (115.1, 37), (115, 37.1), (115, 37)]),
        ("not a number", [(115, 37), (nan, 37), (115.1, 37.1), (115, 37)]),
        ("infinite", [(115, 37), (inf, 37), (115.1, 37.1), (115, 37)]),
        ("huge", [(115, 37), (1e308, 37), (115.1, 37.1), (115, 37)]),
        ("swapped axes", [(37, 115), (37, 115.1), (37.1, 115.1), (37, 115)]),
        ("metres", [(591418, 4121424), (591518, 4121424), (591518, 4121524), (591418, 4121424)]),
        ("outside China", [(10, 37), (10.1, 37), (10.1, 37.1), (10, 37)]),
        ("empty", []),
    ],
)
def test_unsound_geometry_is_refused(module_store: Settings, what: str, ring: list[tuple[float, float]]) -> None:
    with connect(module_store, role="owner") as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute(PARCEL, [polygon(ring)])
    # Coordinates beyond the globe already fail the projection of geom_3857, which PostgreSQL computes before the CHECK.
    refusals = ("parcel_geom_sound", "transform: Invalid coordinate")
    assert any(words in str(caught.value) for words in refusals), what


def test_sound_geometry_is_taken_and_projected(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        conn.execute(PARCEL, [polygon([(115, 37), (115.1, 37), (115.1, 37.1), (115, 37)])])
        row = conn.execute("SELECT ST_SRID(geom_3857), ST_XMin(geom_3857), ST_YMin(geom_3857) FROM parcel").fetchone()
    assert row is not None
    assert row[0] == 3857
    assert row[1] == pytest.approx(12801741.441, abs=0.01)  # 115° × 20037508.3428 / 180
    assert row[2] == pytest.approx(4439106.787, abs=0.01)  # spherical Mercator of 37°


def test_another_srid_is_refused(module_store: Settings) -> None:
    with connect(module_store, role="owner") as conn, pytest.raises(psycopg.Error, match="SRID"):
        conn.execute(
            "INSERT INTO onemap.parcel (parcel_code, area_m2, geom) VALUES ('1305291002010000001', 1, "
            "ST_GeomFromText('POLYGON((115 37,115.1 37,115.1 37.1,115 37))', 4326))"
        )


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("app", "SELECT 1 FROM personal.person"),
        ("app", "SELECT 1 FROM personal.contractor"),
        ("reader", "SELECT 1 FROM personal.person"),
        ("reader", "INSERT INTO onemap.facility (facility_code, kind, name) VALUES ('a', 'b', 'c')"),
        ("reader", "SELECT 1 FROM intake.quarantine"),
        ("app", "DELETE FROM onemap.incident"),
        ("app", "UPDATE onemap.incident SET rating = 1"),
        ("app", "DELETE FROM onemap.case_file"),
        ("app", "TRUNCATE onemap.case_file"),
        ("app", "UPDATE onemap.case_file SET reporter_id = 1"),
        ("app", "UPDATE onemap.case_file SET process = 'other'"),
        ("app", "DELETE FROM onemap.case_part"),
        ("app", "DELETE FROM onemap.case_photo"),
        ("app", "UPDATE onemap.case_event SET note = 'x'"),
        ("app", "DELETE FROM onemap.case_event"),
        ("app", "UPDATE onemap.case_callback SET handler_id = 1"),
        ("app", "UPDATE onemap.case_notice SET words = 'x'"),
        ("app", "SELECT 1 FROM onemap.submission"),
        ("app", "INSERT INTO onemap.submission (key, digest, case_id, answer) VALUES (repeat('k', 16), '', 1, '{}')"),
        ("app", "SELECT 1 FROM onemap.case_number"),
        ("app", "UPDATE onemap.case_number SET last = 0"),
        ("app", "INSERT INTO onemap.live (subject, id, kind) VALUES ('case', 1, 'x')"),
        (
            "app",
            "INSERT INTO onemap.process (process, version, name, definition, digest) VALUES ('p', 1, 'p', '{}', '')",
        ),
        ("app", "UPDATE onemap.unit SET name = 'x'"),
        ("app", "SELECT 1 FROM personal.reporter"),
        ("app", "SELECT 1 FROM personal.case_secret"),
        ("reader", "SELECT 1 FROM personal.reporter"),
        ("reader", "SELECT 1 FROM onemap.submission"),
        (
            "reader",
            "INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name) "
            "VALUES (1, 1, 't', 's', 'system', 'x')",
        ),
        ("job", "UPDATE onemap.case_event SET note = 'x'"),
        ("job", "DELETE FROM onemap.case_event"),
        ("app", "UPDATE onemap.division SET name = 'x'"),
        ("app", "UPDATE onemap.division_change SET on_date = '2000-01-01'"),
        ("app", "INSERT INTO intake.load (subject, source_name) VALUES ('a', 'b')"),
        ("app", "DELETE FROM intake.load"),
        ("app", "SELECT onemap.refresh_parcel_summary()"),
        ("app", "CREATE TABLE onemap.mine (a int)"),
        ("app", "CREATE TABLE public.mine (a int)"),
        ("job", "UPDATE onemap.division_change SET on_date = '2000-01-01'"),
        ("job", "DELETE FROM onemap.division_change"),
        ("job", "DELETE FROM intake.load"),
    ],
)
def test_a_role_may_not(module_store: Settings, role: str, statement: str) -> None:
    with connect(module_store, role=role) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
        conn.execute(statement)


@pytest.mark.parametrize("statement", ["UPDATE onemap.case_event SET note = 'x'", "DELETE FROM onemap.case_event"])
def test_history_is_kept_from_the_owner_too(store: Settings, statement: str) -> None:
    with connect(store, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.case_file (case_id, case_no, channel, title, state, reported_at) "
            "VALUES (1, 'C1', 'grid', '路灯不亮', 'reported', now())"
        )
        conn.execute(
            "INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name) "
            "VALUES (1, 1, 'report', 'reported', 'system', '系统')"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="办件经过不能修改或删除"):
            conn.execute(statement.encode())


def test_the_app_owns_nothing(module_store: Settings) -> None:
    with connect(module_store, role="admin") as conn:
        owned = conn.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
            "WHERE r.rolname IN ('onemap_app', 'onemap_reader', 'onemap_job')"
        ).fetchone()
        privileged = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'onemap%' AND (rolsuper OR rolcreaterole "
            "OR rolbypassrls AND rolname NOT IN ('onemap_owner', 'onemap_job'))"
        ).fetchall()
    assert owned == (0,)
    assert privileged == []


def test_every_object_has_a_comment(module_store: Settings) -> None:
    with connect(module_store, role="owner") as conn:
        tables = conn.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('onemap', 'personal', 'intake', 'access') AND c.relkind IN ('r', 'v', 'm') "
            "AND obj_description(c.oid, 'pg_class') IS NULL"
        ).fetchall()
        functions = conn.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname IN ('onemap', 'access') AND obj_description(p.oid, 'pg_proc') IS NULL"
        ).fetchall()
    assert (tables, functions) == ([], [])
