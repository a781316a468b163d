"""Divisions from a file: the whole tree or nothing; old versions end on the day, features follow, and it can be undone."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely

from etl.importing import Options, import_file, store_transaction
from etl.report import Report
from etl.undoing import undo_load
from gis.clock import today
from gis.errors import BadInput, BadRequest
from gis.settings import Settings
from gis.store.engine import connect
from tests.import_files import (
    COUNTY,
    GRIDS,
    TOWNSHIPS,
    VILLAGES,
    build_county,
    counts,
    dkbm,
    lonlat_box,
    parcel,
    reproject,
    tree,
    write,
)  # fmt: skip

DAY = date(2026, 1, 1)


def layer(path: Path, rows: list[tuple[Any, ...]], *, epsg: int = 4490) -> Path:
    fields = {
        "QHDM": [r[0] for r in rows],
        "QHMC": [r[2] for r in rows],
        "SJDM": [r[3] for r in rows],
        "HS": ["55"] * len(rows),
    }
    return write(path, reproject([r[4] for r in rows], epsg), fields, epsg=epsg, geometry_type="Unknown")


def take(settings: Settings, path: Path, *, valid_from: date | None = DAY, **options: Any) -> Report:
    return import_file(
        settings,
        subject="divisions",
        file=str(path),
        mapping="divisions_minzheng",
        options=Options(valid_from=valid_from, **options),
    )


def refused(settings: Settings, path: Path, words: str, **options: Any) -> str:
    before = counts(settings)
    with pytest.raises(BadInput, match=words) as caught:
        take(settings, path, **options)
    assert counts(settings) == before
    assert caught.value.exit_code == 2
    return caught.value.message


def query(settings: Settings, text: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(settings, role="owner") as conn:
        return conn.execute(text.encode(), values).fetchall()


def grids_moved() -> list[tuple[Any, ...]]:
    """The grids of village 1 with their common border 0.5 quarters further east."""
    rows = [r for r in tree() if r[3] == VILLAGES[0]]
    return [(*rows[0][:4], lonlat_box(0, 0, 1.5, 2)), (*rows[1][:4], lonlat_box(1.5, 0, 0.5, 2))]


def test_whole_tree_into_an_empty_store(store: Settings, tmp_path: Path) -> None:
    build_county(store, divisions=False)
    report = take(store, layer(tmp_path / "a.shp", tree(), epsg=4526))
    assert (report.rows_in, report.rows_loaded) == (15, 15)
    assert query(store, "SELECT level, count(*) FROM onemap.division_now GROUP BY 1 ORDER BY 1") == [
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 8),
    ]
    assert query(
        store,
        "SELECT name, parent_code, households, boundary_status, valid_from FROM onemap.division WHERE code = %s",
        VILLAGES[0],
    ) == [("村1", TOWNSHIPS[0], 55, "official", DAY)]


def test_new_borders_end_the_old_ones_and_features_follow(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    # parcel 15 lies between the old border (0.010°) and the new one (0.015°)
    import_file(
        store,
        subject="parcels",
        file=str(write(tmp_path / "p.gpkg", [parcel(0), parcel(15)], {"DKBM": [dkbm(0), dkbm(15)]})),
        mapping="ny_t_2539",
        options=Options(),
    )
    assert query(store, "SELECT grid_code FROM onemap.parcel ORDER BY parcel_code") == [(GRIDS[0],), (GRIDS[1],)]
    report = take(store, layer(tmp_path / "a.gpkg", grids_moved()))
    assert any("地块 1" in n for n in report.notes)
    assert query(store, "SELECT grid_code FROM onemap.parcel ORDER BY parcel_code") == [(GRIDS[0],), (GRIDS[0],)]
    assert query(store, "SELECT grid_code, parcels FROM onemap.parcel_summary") == [(GRIDS[0], 2)]
    versions = query(store, "SELECT valid_from, valid_to FROM onemap.division WHERE code = %s ORDER BY 1", GRIDS[0])
    assert versions == [(date(2020, 1, 1), DAY), (DAY, None)]
    with store_transaction(store) as conn:
        counted = undo_load(conn, report.load_id or 0)
    assert counted == {"区划": 2, "恢复旧版本": 2, "重新落点": 1}
    assert query(store, "SELECT valid_from, valid_to FROM onemap.division WHERE code = %s", GRIDS[0]) == [
        (date(2020, 1, 1), None)
    ]
    assert query(store, "SELECT grid_code FROM onemap.parcel ORDER BY parcel_code") == [(GRIDS[0],), (GRIDS[1],)]


def test_dry_run_stores_nothing(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    before = counts(store)
    assert take(store, layer(tmp_path / "a.gpkg", grids_moved()), dry_run=True).rows_loaded == 2
    assert counts(store) == before


def test_any_fault_refuses_the_whole_file_and_names_the_features(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    a, b = grids_moved()
    overlap = refused(store, layer(tmp_path / "o.gpkg", [a, (*b[:4], lonlat_box(1.4, 0, 0.6, 2))]), "重叠")
    assert GRIDS[0] in overlap
    assert GRIDS[1] in overlap
    assert VILLAGES[0] in refused(store, layer(tmp_path / "g.gpkg", [a, (*b[:4], lonlat_box(1.6, 0, 0.4, 2))]), "空隙")
    assert GRIDS[1] in refused(store, layer(tmp_path / "m.gpkg", [a]), "文件里没有它")
    assert "第 2 行" in refused(store, layer(tmp_path / "c.gpkg", [a, ("13052910020100", *b[1:])]), "格式不对")
    assert "没有图形" in refused(store, layer(tmp_path / "n.gpkg", [a, (*b[:4], None)]), "第 2 行")
    tie = shapely.Polygon([(115.0, 37.2), (115.01, 37.21), (115.01, 37.2), (115.0, 37.21)])
    assert GRIDS[1] in refused(store, layer(tmp_path / "t.gpkg", [a, (*b[:4], tie)]), "自相交")
    assert "999" in refused(store, layer(tmp_path / "p.gpkg", [a, (*b[:3], COUNTY + "999999", b[4])]), "上级")


def test_the_day_is_demanded_and_must_fit(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    path = layer(tmp_path / "a.gpkg", grids_moved())
    refused(store, path, "从哪天起生效", valid_from=None)
    refused(store, path, "还没到", valid_from=today() + timedelta(days=1))
    assert GRIDS[0] in refused(store, path, "须晚于该日", valid_from=date(2020, 1, 1))


def test_divisions_elsewhere_are_refused(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    moved = [(*r[:4], shapely.transform(r[4], lambda c: c + 1.0)) for r in grids_moved()]
    refused(store, layer(tmp_path / "a.gpkg", moved), "不在巨鹿县范围内")


def test_undo_is_refused_while_something_later_stands(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    first = take(store, layer(tmp_path / "a.gpkg", grids_moved()))
    back = [r for r in tree() if r[3] == VILLAGES[0]]
    second = take(store, layer(tmp_path / "b.gpkg", back), valid_from=DAY + timedelta(days=9))
    with pytest.raises(BadRequest, match="又变过"), store_transaction(store) as conn:
        undo_load(conn, first.load_id or 0)
    for load in (second, first):
        with store_transaction(store) as conn:
            undo_load(conn, load.load_id or 0)
    assert query(store, "SELECT count(*) FROM onemap.division WHERE valid_to IS NULL") == [(15,)]


def test_county_unknown_to_the_store_is_a_sentence(store: Settings, tmp_path: Path) -> None:
    refused(store, layer(tmp_path / "a.gpkg", tree()), "还没有登记本县")
