"""The planner keeps the spatial index under row-level security, before and after a dump and restore."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gis.settings import Settings
from gis.store.administration import administer, missing
from gis.store.cluster import server_folder
from gis.store.engine import connect
from gis.store.migrate import create_database, drop_database
from gis.store.queries import load_queries
from gis.tiles.grid import tile_at
from gis.tiles.service import TileService
from gis.tiles.statement import bind, compose
from tests.scratch_county import EAST, NORTH, SOUTH, WEST
from tests.security.rows_fixture import (  # noqa: F401 - pytest finds fixtures among a module's names
    Secured,
    clone,
    leaks,
    template_fixture,
)

# Enough rows that an index is worth it: 24,000 parcels and 6,000 points, half in each township, spread over the county.
MANY = f"""
INSERT INTO onemap.parcel (parcel_code, area_m2, grid_code, village_code, township_code, geom)
SELECT lpad((9000000 + n)::text, 19, '9'), 100, g.code, g.parent_code, left(g.code, 9),
       ST_MakeEnvelope(x, y, x + 0.0003, y + 0.0003, 4490)
FROM (SELECT n, {WEST} + ({EAST} - {WEST}) * (n % 200) / 200 AS x, {SOUTH} + ({NORTH} - {SOUTH}) * (n / 200) / 120 AS y
      FROM generate_series(0, 23999) n) p
CROSS JOIN LATERAL (SELECT code, parent_code FROM onemap.division WHERE level = 4 ORDER BY md5(code || (n % 24)) LIMIT 1) g;
INSERT INTO onemap.facility (facility_code, kind, name, grid_code, village_code, township_code, geom)
SELECT 'M' || parcel_id, 'village_clinic', '多', grid_code, village_code, township_code, ST_PointOnSurface(geom)
FROM onemap.parcel WHERE parcel_code LIKE '99999%' AND parcel_id % 4 = 0;
INSERT INTO onemap.resource (resource_code, kind, name, grid_code, village_code, township_code, geom)
SELECT 'M' || parcel_id, 'patrol', '多', grid_code, village_code, township_code, ST_PointOnSurface(geom)
FROM onemap.parcel WHERE parcel_code LIKE '99999%' AND parcel_id % 4 = 0;
INSERT INTO onemap.case_file (case_no, item_code, channel, title, state, reported_at, ended_at, geom)
SELECT 'M' || parcel_id, '0101', 'grid', '多', CASE WHEN parcel_id % 8 = 0 THEN 'handling' ELSE 'closed' END, now() - interval '9 days',
       CASE WHEN parcel_id % 8 <> 0 THEN now() END, ST_PointOnSurface(geom)
FROM onemap.parcel WHERE parcel_code LIKE '99999%' AND parcel_id % 2 = 0;
"""  # noqa: S608
HERE = tile_at(lon=(WEST + EAST) / 2, lat=(SOUTH + NORTH) / 2, z=14)


@pytest.fixture(scope="module")
def many(secured_template: Secured) -> Iterator[Secured]:
    with clone(secured_template) as store:
        store.owner(MANY)
        with connect(store.settings, role="owner", autocommit=True) as conn:
            conn.execute("VACUUM (ANALYZE)")
        yield store


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explain(store: Secured, who: str, query: bytes, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Nodes of the plan the web's role gets as this person."""
    with store.asking(store[who]) as conn, psycopg.ClientCursor(conn) as cursor:
        cursor.execute(b"EXPLAIN (FORMAT JSON) " + query, values)
        row = cursor.fetchone()
    assert row is not None
    return list(nodes(row[0][0]["Plan"]))


def tile_uses_index(store: Secured, who: str) -> bool:
    layer = TileService(store.settings).layers["parcels"]
    level = layer.level[layer.level_at(HERE.z) or 0]
    assert level.table == "parcel"
    with connect(store.settings, role="app") as conn:
        statement = compose(layer, level, queries=load_queries("tiles")).as_bytes(conn)
    found = explain(store, who, statement, bind(level, HERE))
    asked = [n for n in found if n.get("Index Name") == "parcel_geom_3857" and "&&" in n.get("Index Cond", "")]
    return bool(asked) and not any(n["Node Type"] == "Seq Scan" and n.get("Relation Name") == "parcel" for n in found)


def nearest_uses_index(store: Secured, who: str, table: str) -> bool:
    query = (
        f"SELECT {table}_id FROM onemap.{table} "  # noqa: S608
        f"ORDER BY geom <-> ST_SetSRID(ST_MakePoint({WEST}, {SOUTH}), 4490) LIMIT 5"
    )
    return any(
        n.get("Index Name") == f"{table}_geom" and "<->" in n.get("Order By", "")
        for n in explain(store, who, query.encode())
    )


@pytest.mark.parametrize("who", ["commander", "planner_a", "cadre", "grid_member"])
def test_tiles_and_nearest_keep_their_index_under_the_policy(many: Secured, who: str) -> None:
    assert tile_uses_index(many, who)
    assert nearest_uses_index(many, who, "facility")
    assert nearest_uses_index(many, who, "resource")


@pytest.mark.parametrize("who", ["commander", "planner_a", "cadre", "grid_member"])
def test_incidents_keep_their_indexes_through_the_view(many: Secured, who: str) -> None:
    layer = TileService(many.settings).layers["incidents"]
    level = layer.level[layer.level_at(HERE.z) or 0]
    with connect(many.settings, role="app") as conn:
        statement = compose(layer, level, queries=load_queries("tiles")).as_bytes(conn)
    found = explain(many, who, statement, bind(level, HERE))
    asked = [n for n in found if "&&" in n.get("Index Cond", "")]
    assert [n["Index Name"] for n in asked] == ["case_file_open_geom_3857"]
    assert not any(n["Node Type"] == "Seq Scan" and n.get("Relation Name") == "case_file" for n in found)


def test_a_count_by_grid_needs_no_table(many: Secured) -> None:
    with many.asking(many["planner_a"]) as conn, psycopg.ClientCursor(conn) as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # the rows are few here
        cursor.execute("EXPLAIN (FORMAT JSON) SELECT grid_code, count(*) FROM onemap.incident GROUP BY 1")
        row = cursor.fetchone()
    assert row is not None
    reads = [n for n in nodes(row[0][0]["Plan"]) if n.get("Relation Name") == "case_file"]
    assert [(n["Node Type"], n["Index Name"]) for n in reads] == [("Index Only Scan", "case_file_grid")]


def test_each_scope_function_is_asked_once_a_statement(many: Secured) -> None:
    found = explain(many, "planner_a", b"SELECT count(*) FROM onemap.parcel")
    filters = [n["Filter"] for n in found if n.get("Relation Name") == "parcel"]
    assert filters
    assert all("my_codes" not in f and "$" in f for f in filters)  # init plans, by number
    assert sum(n.get("Parent Relationship") == "InitPlan" for n in found) == 5


def test_without_leakproof_the_index_is_lost_and_missing_says_so(many: Secured) -> None:
    with connect(many.settings, role="admin") as conn:
        conn.execute("ALTER FUNCTION public.geometry_overlaps(geometry, geometry) NOT LEAKPROOF")
    try:
        assert not tile_uses_index(many, "planner_a")
        with connect(many.settings, role="owner") as conn:
            assert len(missing(conn)) == 1
    finally:
        administer(many.settings)
    with connect(many.settings, role="owner") as conn:
        assert missing(conn) == []
    assert tile_uses_index(many, "planner_a")


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(server_folder() / program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def restored(of: Settings, dump: Path, *, prepared: bool) -> Iterator[Settings]:
    """Restore a dump into a new database for a while; `prepared`: one that create_database made, else a bare one."""
    copy = of.model_copy(update={"db_name": f"rr_{secrets.token_hex(4)}"})
    if prepared:
        create_database(copy)
    else:
        with connect(of, role="admin", database="postgres", autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {copy.db_name} OWNER onemap_owner TEMPLATE template0")
    try:
        run("pg_restore", "--exit-on-error", "-d", copy.url(role="admin"), str(dump))
        with connect(copy, role="owner", autocommit=True) as conn:
            conn.execute("ANALYZE")
        yield copy
    finally:
        drop_database(copy, name=copy.db_name)


@pytest.mark.parametrize("prepared", [True, False])
def test_a_restored_store_keeps_policies_and_index(many: Secured, tmp_path: Path, prepared: bool) -> None:
    dump = tmp_path / "store.dump"
    run("pg_dump", "-Fc", "-f", str(dump), many.settings.url(role="admin"))
    with restored(many.settings, dump, prepared=prepared) as settings:
        store = Secured(settings, many.scratch, many.people)
        with connect(settings, role="owner") as conn:
            lost = missing(conn)
        if prepared:
            assert lost == []
        else:
            # The policies come with the dump, what makes them fast does not.
            assert len(lost) == 1
            assert not tile_uses_index(store, "planner_a")
            administer(settings)
        assert tile_uses_index(store, "planner_a")
        assert nearest_uses_index(store, "planner_a", "facility")
        assert leaks(store) == []


def test_loading_by_copy_still_works_for_owner_and_job(many: Secured) -> None:
    for role in ("owner", "job"):
        with connect(many.settings, role=role) as conn, conn.cursor() as cursor:
            with cursor.copy("COPY onemap.facility (facility_code, kind, name) FROM STDIN") as copy:
                copy.write_row([f"copied-{role}", "village_clinic", "拷"])
            row = conn.execute(
                "SELECT count(*) FROM onemap.facility WHERE facility_code = %s", [f"copied-{role}"]
            ).fetchone()
            conn.rollback()
        assert row == (1,)
