"""Facilities from a file, and the command line as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import shapely
from typer.testing import CliRunner

from cli import imports
from etl.importing import Options, import_file, store_transaction
from etl.report import Report
from etl.undoing import undo_load
from gis.errors import BadInput, BadRequest, OnemapError
from gis.settings import Settings
from gis.store.engine import connect
from tests.import_files import GRIDS, bow_tie, build_county, counts, dkbm, parcel, write


def take(settings: Settings, path: Path, **options: Any) -> Report:
    return import_file(
        settings, subject="facilities", file=str(path), mapping="facilities_generic", options=Options(**options)
    )


def points(n: int) -> list[shapely.Point]:
    return [parcel(i).centroid for i in range(n)]


def layer(folder: Path, **changes: list[object]) -> Path:
    fields: dict[str, Any] = {"名称": ["一村卫生室", "二村卫生室", "三村小学"], "类型": ["村卫生室", "village_clinic", "primary_school"],
              "能力": ["MED", None, "EDU;SHELTER"], "容量": [4, 5, 300]}  # fmt: skip
    return write(folder / "a.geojson", points(3), fields | changes, geometry_type="Point")


def test_facilities_go_in_with_kinds_capabilities_and_places(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    report = take(store, layer(tmp_path))
    assert report.rows_loaded == 3
    assert any("由程序按内容生成" in n for n in report.notes)
    with connect(store, role="owner") as conn:
        found = conn.execute(
            "SELECT kind, name, capability, capacity, grid_code, facility_code ~ '^GEN-[0-9a-f]{12}$' FROM onemap.facility ORDER BY facility_id"
        ).fetchall()
    assert found == [
        ("village_clinic", "一村卫生室", ["MED"], 4, GRIDS[0], True),
        ("village_clinic", "二村卫生室", [], 5, GRIDS[0], True),
        ("primary_school", "三村小学", ["EDU", "SHELTER"], 300, GRIDS[0], True),
    ]


def test_the_same_facility_gets_the_same_code_again(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    take(store, layer(tmp_path))
    (tmp_path / "b").mkdir()
    with pytest.raises(BadInput, match="编码在库中已有 3 行"):
        take(store, layer(tmp_path / "b", 容量=[1, 2, 3]))


def test_bad_rows_of_facilities(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    with pytest.raises(BadInput, match="3 个设施都没有通过检查"):
        take(store, layer(tmp_path, 类型=["没有这种", "village_clinic", None], code=["A-1", "A 2", "A-3"]))
    report = take(
        store, layer(tmp_path, 类型=["没有这种", "village_clinic", "village_clinic"], code=["A-1", "A-2", "A-2"])
    )
    assert {r.code: r.rows for r in report.quarantined} == {"value_not_listed": 1, "duplicate_key": 1}


def test_undo_of_facilities_is_refused_while_a_resource_lives_there(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    load = take(store, layer(tmp_path)).load_id or 0
    with connect(store, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.resource (resource_code, kind, name, home_facility_id) "
            "SELECT 'r', 'ambulance', '救护车', min(facility_id) FROM onemap.facility"
        )
    with pytest.raises(BadRequest, match="1 个资源驻在"), store_transaction(store) as conn:
        undo_load(conn, load)
    with connect(store, role="owner") as conn:
        conn.execute("DELETE FROM onemap.resource")
    with store_transaction(store) as conn:
        assert undo_load(conn, load) == {"设施": 3}
    assert counts(store)["onemap.facility"] == 0


# -- the command line --


def run(settings: Settings, *words: str) -> SimpleNamespace:
    """A command as `./onemap import` runs it: a deliberate error is one sentence and its exit code."""
    done = CliRunner().invoke(imports.app, words, env={"ONEMAP_DB_NAME": settings.db_name, "COLUMNS": "160"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, OnemapError), done.exception
        return SimpleNamespace(
            returncode=done.exception.exit_code, stdout=done.stdout, stderr=f"{done.stderr}{done.exception.message}"
        )
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def test_command_line_tells_what_happened_and_exits_by_it(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    shapes = [parcel(i) for i in range(5)]
    shapes[1] = bow_tie(1)
    path = write(tmp_path / "甲.gpkg", shapes, {"DKBM": [dkbm(i) for i in range(5)]})
    done = run(store, "parcels", str(path), "--mapping", "ny_t_2539")
    assert done.returncode == 0, done.stderr
    assert "读 5 行，入库 4 行，隔离 1 行" in done.stdout
    assert "图形自相交" in done.stdout
    assert "./onemap import rejects 1 --out" in done.stdout
    assert "./onemap import undo 1" in done.stdout

    again = run(store, "parcels", str(path), "--mapping", "ny_t_2539", "--json")
    assert again.returncode == 2
    assert "已在" in json.loads(again.stdout)["error"]

    bad = write(tmp_path / "乙.gpkg", [bow_tie(9)], {"DKBM": [dkbm(9)]})
    nothing = run(store, "parcels", str(bad), "--mapping", "ny_t_2539")
    assert nothing.returncode == 2
    assert "都没有通过检查" in nothing.stderr

    assert "甲.gpkg" in run(store, "log").stdout
    assert json.loads(run(store, "log", "--json").stdout)[0]["rows_loaded"] == 4
    assert "边界自相交" in run(store, "show", "1").stdout
    assert run(store, "rejects", "1", "--out", str(tmp_path / "r.csv")).returncode == 0
    undone = run(store, "undo", "1")
    assert "地块 4" in undone.stdout
    assert run(store, "undo", "1").returncode == 1
    assert run(store, "show", "77").returncode == 1


def test_json_report_is_whole(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    path = write(tmp_path / "a.gpkg", [parcel(0), bow_tie(1)], {"DKBM": [dkbm(0), dkbm(1)]})
    report = json.loads(run(store, "parcels", str(path), "--mapping", "ny_t_2539", "--dry-run", "--json").stdout)
    assert (report["rows_in"], report["rows_loaded"], report["rows_quarantined"], report["load_id"]) == (2, 1, 1, None)
    assert report["quarantined"][0]["code"] == "self_crossing"
    assert report["quarantined"][0]["examples"][0][:2] == [2, dkbm(1)]
