"""Bulk loading: what goes in is what is there, indexes come back, and a killed or failed load leaves nothing behind."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from psycopg import Connection

from etl import copy as bulk
from etl.copy import copy_rows, load_table, mend
from etl.lineage import Source, close_load, open_load
from gis.errors import BadInput
from gis.settings import Settings
from gis.store.engine import connect

pytestmark = pytest.mark.db


def columns(n: int) -> dict[str, Any]:
    """`n` square parcels of 40 m in rows of 200 near the county seat, unplaced."""
    i = np.arange(n)
    west, south = 115.0 + (i % 200) * 5e-4, 37.2 + (i // 200) * 4e-4
    return {
        "parcel_id": i + 1,
        "parcel_code": np.array([f"130529100201{k:07d}" for k in i], dtype=object),
        "area_m2": np.full(n, 1600.0),
        "geom": shapely.box(west, south, west + 4e-4, south + 3e-4),
    }


def index_ddl(conn: Connection, table: str = "parcel") -> list[tuple[str, ...]]:
    return conn.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s ORDER BY 1", [table]
    ).fetchall()


def count(conn: Connection, table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


def test_every_type_arrives_as_it_was_sent(store: Settings) -> None:
    nat = np.datetime64("NaT")
    with connect(store, role="owner") as conn:
        conn.execute(
            "CREATE TABLE onemap.every (a int2, b int4, c int8, d float4, e float8, f bool, g text, h date, "
            "i timestamptz, j text[], k jsonb, l geometry(Point, 4490), m date)"
        )
        sent = {
            "a": np.ma.masked_equal(np.array([5, 0]), 0),
            "b": np.array([7.0, np.nan]),
            "c": [2**40, None],
            "d": np.array([0.5, np.nan]),
            "e": np.array([1.25, np.nan]),
            "f": np.array([True, None], dtype=object),
            "g": np.array(["村东地", None], dtype=object),
            "h": np.array(["2026-02-28", nat], dtype="datetime64[D]"),
            "i": np.array(["1999-12-31T16:00:00.000001", nat], dtype="datetime64[us]"),
            "j": [["FIRE", "MED"], None],
            "k": [None, None],
            "l": np.array([shapely.Point(115.03, 37.22), None], dtype=object),
            "m": date(2023, 6, 30),
        }
        assert copy_rows(conn, "onemap.every", sent) == 2
        rows = conn.execute(
            "SELECT a, b, c, d, e, f, g, h::text, (i AT TIME ZONE 'UTC')::text, j, k, ST_AsText(l), ST_SRID(l), m "
            "FROM onemap.every ORDER BY a NULLS LAST"
        ).fetchall()
    assert rows[0] == (
        5, 7, 2**40, 0.5, 1.25, True, "村东地", "2026-02-28", "1999-12-31 16:00:00.000001", ["FIRE", "MED"], None,
        "POINT(115.03 37.22)", 4490, date(2023, 6, 30),
    )  # fmt: skip
    assert rows[1] == (*[None] * 13, date(2023, 6, 30))


def test_a_date_before_2000_is_not_a_day_off(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        conn.execute("CREATE TABLE onemap.born (d date)")
        copy_rows(conn, "onemap.born", {"d": np.array(["1999-12-31", "1930-01-01"], dtype="datetime64[D]")})
        assert conn.execute("SELECT d::text FROM onemap.born ORDER BY 1").fetchall() == [
            ("1930-01-01",),
            ("1999-12-31",),
        ]


def test_load_rebuilds_exactly_the_indexes_there_were(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        before = index_ddl(conn)
    times = load_table(store, "onemap.parcel", columns(20_500), connections=2)
    with connect(store, role="owner") as conn:
        assert times.rows == count(conn, "onemap.parcel") == 20_500
        assert index_ddl(conn) == before
        assert count(conn, "intake.dropped_index") == 0
        (last,) = conn.execute("SELECT nextval(pg_get_serial_sequence('onemap.parcel', 'parcel_id'))").fetchone() or (
            0,
        )
        assert last == 20_501
        assert conn.execute("SELECT reltuples::int FROM pg_class WHERE relname = 'parcel'").fetchone() == (20_500,)
        assert conn.execute("SELECT count(*) FROM onemap.parcel WHERE geom_3857 IS NULL").fetchone() == (0,)


def test_indexes_are_really_away_during_the_copy(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = bulk.copy_rows

    def watch(conn: Connection, *args: Any, **kwargs: Any) -> int:
        seen.append(len(index_ddl(conn)))
        return real(conn, *args, **kwargs)

    monkeypatch.setattr(bulk, "copy_rows", watch)
    load_table(store, "onemap.parcel", columns(20_500))
    assert seen == [1]  # the primary key alone


def test_a_table_with_rows_keeps_its_indexes(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(store, role="owner") as conn:
        first = {k: v[:10] for k, v in columns(10).items()}
        copy_rows(conn, "onemap.parcel", first)
    dropped: list[object] = []
    monkeypatch.setattr(bulk, "_drop_indexes", lambda *_: dropped.append(1) or [])
    load_table(store, "onemap.parcel", {k: v[10:] for k, v in columns(20_510).items()})
    assert dropped == []


def test_a_failed_load_leaves_the_table_empty_and_its_indexes_whole(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        before = index_ddl(conn)
    bad = columns(20_500)
    bad["parcel_code"][20_499] = bad["parcel_code"][0]  # found only when the unique index is built
    with pytest.raises(psycopg.errors.UniqueViolation):
        load_table(store, "onemap.parcel", bad, connections=2)
    with connect(store, role="owner") as conn:
        assert count(conn, "onemap.parcel") == 0
        assert index_ddl(conn) == before
        assert count(conn, "intake.dropped_index") == 0


def test_an_unsound_polygon_is_refused_by_the_store(store: Settings) -> None:
    bad = columns(20_500)
    bad["geom"][7] = shapely.from_wkt("POLYGON((115 37.2, 115.001 37.201, 115.001 37.2, 115 37.201, 115 37.2))")
    with pytest.raises(psycopg.errors.CheckViolation):
        load_table(store, "onemap.parcel", bad, connections=2)
    with connect(store, role="owner") as conn:
        assert count(conn, "onemap.parcel") == 0


def test_a_killed_load_is_mended(store: Settings) -> None:
    with connect(store, role="owner", autocommit=True) as conn:
        before = index_ddl(conn)
        bulk._drop_indexes(conn, "onemap.parcel")
        copy_rows(conn, "onemap.parcel", columns(50))
    # … and here the process died. The next one finds the record.
    with connect(store, role="owner", autocommit=True) as conn:
        assert len(index_ddl(conn)) == 1
        assert mend(conn) == ["onemap.parcel"]
        assert index_ddl(conn) == before
        assert count(conn, "onemap.parcel") == 0
        assert mend(conn) == []


def test_a_killed_load_of_a_table_others_point_at_is_mended(store: Settings) -> None:
    with connect(store, role="owner", autocommit=True) as conn:
        conn.execute("INSERT INTO onemap.resource (resource_code, kind, name) VALUES ('R1', 'patrol', '不相干')")
        assert bulk._drop_indexes(conn, "onemap.facility")
        copy_rows(conn, "onemap.facility", {"facility_code": ["F1"], "kind": ["village_clinic"], "name": ["卫生室"]})
    with connect(store, role="owner", autocommit=True) as conn:
        assert mend(conn) == ["onemap.facility"]
        assert count(conn, "onemap.facility") == 0
        assert count(conn, "onemap.resource") == 1  # what points nowhere stays


def test_columns_must_fit(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        with pytest.raises(BadInput, match="没有列：nonsense"):
            copy_rows(conn, "onemap.parcel", {"nonsense": [1]})
        with pytest.raises(BadInput, match="长度不一"):
            copy_rows(conn, "onemap.parcel", {"parcel_code": ["1", "2"], "area_m2": [1.0]})
        with pytest.raises(BadInput, match="没有列：geom_3857"):  # the store computes it
            copy_rows(conn, "onemap.parcel", {"geom_3857": [None]})


def test_the_version_of_the_table_rises(store: Settings) -> None:
    load_table(store, "onemap.parcel", columns(10))
    with connect(store, role="owner") as conn:
        before = conn.execute("SELECT version FROM onemap.table_version WHERE table_name = 'parcel'").fetchone()
    more = {k: v[10:] for k, v in columns(20).items()}
    load_table(store, "onemap.parcel", more)
    with connect(store, role="owner") as conn:
        after = conn.execute("SELECT version FROM onemap.table_version WHERE table_name = 'parcel'").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] > before[0]


def test_lineage_balances(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        load_id = open_load(conn, Source("parcels", "地块.shp", sha256="ab", crs="EPSG:4526", mapping="ny_t_2539"))
        close_load(conn, load_id, rows_loaded=7, rows_quarantined=3)
        row = conn.execute(
            "SELECT source_name, synthetic, rows_in, rows_loaded, rows_quarantined, finished_at >= started_at "
            "FROM intake.load WHERE load_id = %s",
            [load_id],
        ).fetchone()
    assert row == ("地块.shp", False, 10, 7, 3, True)
