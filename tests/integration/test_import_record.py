"""What stays of an import: its record, the rows it turned away, and taking it back whole."""

from __future__ import annotations

import csv
import stat
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from psycopg import sql

from etl.importing import Options, import_file, store_transaction
from etl.quarantine import plain
from etl.rejects import write_rejects
from etl.report import NothingLoaded, Report
from etl.undoing import list_loads, show_load, undo_load
from gis.access.crypt import load_keys
from gis.errors import BadInput, BadRequest, NotFound
from gis.settings import Settings
from gis.store.engine import connect
from tests.import_files import (
    apart,
    bow_tie,
    build_county,
    counts,
    dkbm,
    parcel,
    reproject,
    write,
)  # fmt: skip


@pytest.fixture
def county(store: Settings) -> Settings:
    """A store with the tiny county and no features."""
    build_county(store)
    return store


def take(settings: Settings, path: Path, **options: Any) -> Report:
    return import_file(
        settings,
        subject="parcels",
        file=str(path),
        mapping=options.pop("mapping", "ny_t_2539"),
        options=Options(**options),
    )


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, role="owner") as conn:
        return conn.execute(sql.SQL(query)).fetchall()  # type: ignore[arg-type]


def field_layer(n: int) -> tuple[list[shapely.Polygon], dict[str, list[object]]]:
    return [parcel(i) for i in range(n)], {
        "DKBM": [dkbm(i) for i in range(n)],
        "DKMC": ["村东大地"] * n,
        "CBFBM": [f"130529100201{i:06d}" for i in range(n)],
        "CBFMC": [("张三", "李四五", "欧阳娜娜")[i % 3] for i in range(n)],
        "CBFZJHM": [f"1305291990010{i:05d}" for i in range(n)],
        "LXDH": [f"138{i:08d}" for i in range(n)],
        "TDLYLX": ["012"] * n,
        "SFJBNT": ["1", "2"] * (n // 2),
        "SCMJM": [round(35.5 * 44.4 * 3 / 2000, 2)] * n,
    }


def test_log_show_rejects_undo(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(10)
    shapes[3], fields["DKMC"][3] = bow_tie(3), "=1+1"
    load = take(county, write(tmp_path / "甲.gpkg", reproject(shapes, 4526), fields, epsg=4526)).load_id or 0
    keep = take(county, write(tmp_path / "乙.gpkg", [parcel(30)], {"DKBM": [dkbm(30)]})).load_id or 0
    with store_transaction(county, keep=False) as conn:
        assert [(x.load_id, x.state) for x in list_loads(conn)] == [(keep, "已完成"), (load, "已完成")]
        record, reasons = show_load(conn, load)
        assert (record.source_name, record.rows_in, record.rows_quarantined) == ("甲.gpkg", 10, 1)
        assert [(r.code, r.examples[0][0]) for r in reasons] == [("self_crossing", 4)]
        for name in ("r.csv", "r.gpkg"):
            assert write_rejects(conn, load, out=tmp_path / name, vault=load_keys(county)) == 1
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        with pytest.raises(BadInput, match="已存在"):
            write_rejects(conn, load, out=tmp_path / "r.csv")
        with pytest.raises(BadInput, match="不能写成"):
            write_rejects(conn, load, out=tmp_path / "r.xlsx")
        with pytest.raises(NotFound, match="没有被隔离"):
            write_rejects(conn, keep, out=tmp_path / "s.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as f:
        (row,) = csv.DictReader(f)
    assert (row["行号"], row["编码"], row["原因代码"], row["DKMC"]) == ("4", dkbm(3), "self_crossing", "'=1+1")
    from pyogrio import raw, read_info

    assert read_info(tmp_path / "r.gpkg")["crs"] == "EPSG:4526"
    _, _, wkb, _ = raw.read(tmp_path / "r.gpkg")
    assert apart(shapely.from_wkb(wkb[0]), reproject([bow_tie(3)], 4526)[0]) < 1e-6

    with store_transaction(county) as conn:
        assert undo_load(conn, load) == {"地块": 9, "承包方": 9}
    assert rows(county, "SELECT parcel_code FROM onemap.parcel") == [(dkbm(30),)]
    assert rows(county, "SELECT sum(parcels)::int FROM onemap.parcel_summary") == [(1,)]
    assert rows(county, "SELECT rows_loaded, undone_at IS NOT NULL FROM intake.load ORDER BY load_id") == [
        (9, True),
        (1, False),
    ]
    assert counts(county)["intake.quarantine"] == 1  # the record stays
    for number, error, words in ((load, BadRequest, "已经撤销过"), (999, NotFound, "没有批次")):
        with pytest.raises(error, match=words), store_transaction(county) as conn:
            undo_load(conn, number)


def test_rejects_mended_and_brought_again_go_in(county: Settings, tmp_path: Path) -> None:
    """The round trip a data officer makes: download, mend, import the file that was downloaded."""
    shapes, fields = field_layer(6)
    shapes[2] = bow_tie(2)
    load = take(county, write(tmp_path / "a.gpkg", shapes, fields)).load_id or 0
    with store_transaction(county, keep=False) as conn:
        write_rejects(conn, load, out=tmp_path / "masked.gpkg")
        write_rejects(conn, load, out=tmp_path / "r.gpkg", vault=load_keys(county))
    from pyogrio import raw

    masked = raw.read(tmp_path / "masked.gpkg")
    shown = dict(zip(masked[0]["fields"], [c.tolist() for c in masked[3]], strict=True))
    assert (shown["CBFMC"], shown["DKMC"]) == (["欧**娜"], ["（已加密）"])
    write(tmp_path / "as_masked.gpkg", [parcel(2)], shown)
    with pytest.raises(NothingLoaded, match="脱敏过的"):  # or the mask would be stored as the name
        take(county, tmp_path / "as_masked.gpkg")
    meta, _, _, columns = raw.read(tmp_path / "r.gpkg")
    write(tmp_path / "mended.gpkg", [parcel(2)], dict(zip(meta["fields"], [c.tolist() for c in columns], strict=True)))
    assert take(county, tmp_path / "mended.gpkg").rows_loaded == 1
    assert counts(county)["onemap.parcel"] == 6


def test_undo_is_refused_while_an_alert_stands_on_a_parcel(county: Settings, tmp_path: Path) -> None:
    load = take(county, write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)]})).load_id or 0
    with connect(county, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.alert (kind, rule, rule_version, level, parcel_id) "
            "SELECT 'farmland', 'r', '1', 'red', parcel_id FROM onemap.parcel"
        )
    with pytest.raises(BadRequest, match="1 条预警引用"), store_transaction(county) as conn:
        undo_load(conn, load)
    assert counts(county)["onemap.parcel"] == 1


def test_undo_takes_neither_another_subject_nor_the_demo(county: Settings) -> None:
    with connect(county, role="job") as conn:
        conn.execute("INSERT INTO intake.load (subject, source_name, finished_at) VALUES ('households', '合成', now())")
        conn.execute(
            "INSERT INTO intake.load (subject, source_name, synthetic, finished_at) VALUES ('parcels', '合成', true, now())"
        )
    for load in (1, 2):
        with pytest.raises(BadRequest, match="不是从文件导入"), store_transaction(county) as conn:
            undo_load(conn, load)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\0b", "ab"),
        ("\ud800", "?"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"\xff", "ff"),
        ([1, float("nan")], [1, "nan"]),
        (True, True),
        (np.int64(3), 3),
    ],
)
def test_any_value_can_be_quarantined(county: Settings, value: object, kept: object) -> None:
    assert plain(value) == kept
    with connect(county, role="owner") as conn:
        assert conn.execute("SELECT %s::jsonb", [psycopg.types.json.Jsonb(plain(value))]).fetchone() == (kept,)
