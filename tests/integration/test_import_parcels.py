"""Parcels from a file into the store: what is good goes in with its lineage, what is not is kept with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from psycopg import sql

from etl.importing import Options, import_file, store_transaction
from etl.report import NothingLoaded, Report
from etl.sealing import open_row
from etl.undoing import undo_load
from gis.access.crypt import load_keys
from gis.errors import BadInput
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from tests.import_files import (
    GRIDS,
    SIDE,
    SOUTH,
    TOWNSHIPS,
    VILLAGES,
    WEST,
    apart,
    bow_tie,
    build_county,
    counts,
    dkbm,
    lonlat_box,
    parcel,
    patch_double,
    reproject,
    write,
    zip_parts,
)  # fmt: skip

DUTCH = ROOT.parent / "shared" / "data" / "parcels_nl_100.gpkg"


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


def refused(settings: Settings, path: Path, words: str, **options: Any) -> BadInput:
    """Refused with these words, exit code 2, and the store as it was."""
    before = counts(settings)
    with pytest.raises(BadInput, match=words) as caught:
        take(settings, path, **options)
    assert counts(settings) == before
    assert caught.value.exit_code == 2
    assert caught.value.next_step
    return caught.value


def by_reason(report: Report) -> dict[str, int]:
    return {r.code: r.rows for r in report.quarantined}


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


def opened(settings: Settings, code: str, field: str, sealed: bytes) -> str:
    """A contractor's field in the clear."""
    return load_keys(settings).decrypt(bytes(sealed), table="personal.contractor", row=code, field=field)


def test_no_name_of_a_neighbour_is_kept_in_the_clear(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(6)
    fields["DKMC"] = ["村东大地", "李四五东地", "欧阳娜娜", "渠西地", "李四五地", "枣行"]
    fields |= {"DKDZ": ["张三", "路", "机耕路", "王家沟", "周建军承包地", "张*明"], "DKNZ": ["李四五、水渠", None, "欧阳娜娜", "林带", "冼星海", "沟"],
               "DKXZ": ["路"] * 6, "DKBZ": [None] * 6}  # fmt: skip
    report = take(county, write(tmp_path / "地块.gpkg", shapes, fields))
    kept = rows(county, "SELECT name, east, south, west, north FROM onemap.parcel ORDER BY parcel_code")
    assert kept == [
        ("村东大地", "张*", "李*五、水渠", "路", None), ("李*五东地", "路", None, "路", None), ("欧**娜", "机耕路", "欧**娜", "路", None),
        ("渠西地", "王家沟", "林带", "路", None), ("李*五地", "周*军承包地", "冼*海", "路", None), ("枣行", "张*明", "沟", "路", None),
    ]  # fmt: skip
    assert any("四至里 5 处像是人名，已脱敏" in note for note in report.notes)
    everything = rows(county, "SELECT string_agg(p::text, '') FROM onemap.parcel p") + rows(
        county, "SELECT string_agg(l::text, '') FROM intake.load l"
    )
    assert not any(name in str(everything) for name in ("张三", "李四五", "欧阳娜娜", "周建军", "冼星海"))


def test_gbk_zip_with_14_duplicates_and_3_bow_ties(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(200)
    for i in (10, 11, 12):
        shapes[i] = bow_tie(i)
    for k in range(14):
        fields["DKBM"][100 + k] = fields["DKBM"][50 + k]
    path = write(tmp_path / "地块.shp", reproject(shapes, 4526), fields, epsg=4526, encoding="GBK")
    report = take(county, zip_parts(path, tmp_path / "地块.zip", skip=(".cpg",)))

    assert (report.rows_in, report.rows_loaded, report.rows_quarantined) == (200, 183, 17)
    assert by_reason(report) == {"duplicate_key": 14, "self_crossing": 3}
    assert report.quarantined[0].examples[0][:2] == (101, dkbm(50))
    assert "第 51 行" in report.quarantined[0].examples[0][2]
    assert report.crs == "EPSG:4526"
    assert report.unplaced == 0
    assert counts(county)["onemap.parcel"] == 183
    name, masked, placed = rows(
        county, "SELECT name, contractor_masked, grid_code FROM onemap.parcel ORDER BY parcel_code LIMIT 1"
    )[0]
    assert (name, masked, placed) == ("村东大地", "张*", GRIDS[0])
    assert rows(county, "SELECT sum(parcels)::int FROM onemap.parcel_summary") == [(183,)]
    [(note, sha, crs, mapping)] = rows(county, "SELECT note, source_sha256, source_crs, mapping FROM intake.load")
    assert "gb18030" in note
    assert (sha, crs, mapping) == (report.sha256, "EPSG:4526", "ny_t_2539")
    # nobody's name in the schema the map reads; whole rows in the quarantine
    assert rows(
        county, "SELECT count(*) FROM onemap.parcel WHERE to_jsonb(parcel)::text ~ '张三|李四五|欧阳娜娜|13052919900'"
    ) == [(0,)]
    [(code, sealed_name, sealed_number)] = rows(
        county,
        "SELECT contractor_code, name_enc, id_number_enc FROM personal.contractor ORDER BY contractor_code LIMIT 1",
    )
    assert "张三".encode() not in bytes(sealed_name)
    assert opened(county, code, "name", sealed_name) == "张三"
    assert opened(county, code, "id_number", sealed_number) == "130529199001000000"
    [(load, properties, wkb, sealed)] = rows(
        county, "SELECT load_id, properties, geom_wkb, sealed FROM intake.quarantine WHERE row_number = 11"
    )
    assert (properties["CBFMC"], properties["DKMC"]) == ("李*五", "（已加密）")
    keys = load_keys(county)
    assert open_row(keys, load_id=load, number=11, shown=properties, sealed=bytes(sealed))["CBFMC"] == "李四五"
    assert rows(
        county, "SELECT count(*) FROM intake.quarantine q WHERE q::text ~ '张三|李四五|欧阳娜娜|13052919900|村东大地'"
    ) == [(0,)]
    assert apart(shapely.from_wkb(wkb), reproject([bow_tie(10)], 4526)[0]) < 1e-6


def test_the_stored_place_is_the_place_in_the_file(county: Settings, tmp_path: Path) -> None:
    """Every CRS and both zone spellings end on the same square millimetre; area is measured in the county's CRS."""
    for k, epsg in enumerate((4490, 4526, 4547, 3857)):
        take(county, write(tmp_path / f"{epsg}.gpkg", reproject([parcel(k)], epsg), {"DKBM": [dkbm(k)]}, epsg=epsg))
    expected = shapely.area(reproject([parcel(k) for k in range(4)], 4526))
    stored = rows(county, "SELECT ST_AsBinary(geom), area_m2 FROM onemap.parcel ORDER BY parcel_code")
    for k, (wkb, area) in enumerate(stored):
        assert apart(shapely.from_wkb(wkb), parcel(k)) < 1e-8
        assert area == pytest.approx(expected[k], rel=1e-6)


def test_every_check_hits_exactly_its_row(county: Settings, tmp_path: Path) -> None:
    """One file with every fault a row can have: each is counted once, under its own reason, and the rest goes in."""
    n = 40
    shapes: list[Any] = [parcel(i) for i in range(n)]
    codes: list[object] = [dkbm(i) for i in range(n)]
    use: list[object] = ["012"] * n
    pbf: list[object] = ["2"] * n
    area: list[object] = ["2.36"] * n
    expected: dict[int, str] = {}

    def spoil(i: int, code: str) -> int:
        expected[i + 1] = code
        return i

    shapes[spoil(0, "geometry_missing")] = None
    shapes[spoil(1, "geometry_empty")] = shapely.Polygon()
    shapes[spoil(2, "multi_part")] = shapely.MultiPolygon([parcel(1000), parcel(1001)])
    shapes[spoil(3, "self_crossing")] = bow_tie(3)
    shapes[spoil(4, "swapped_axes")] = shapely.transform(parcel(4), lambda c: c[:, ::-1])
    shapes[spoil(5, "outside_county")] = shapely.box(116, 38, 116.001, 38.001)
    shapes[spoil(6, "area_absurd")] = shapely.box(WEST + 0.02, SOUTH + 0.02, WEST + 0.020001, SOUTH + 0.020001)
    codes[spoil(7, "code_malformed")] = "1305291002010007"
    codes[spoil(8, "code_number")] = "1.30529E+18"
    codes[spoil(9, "lost_zeros")] = "305291002010000009"
    codes[spoil(10, "code_missing")] = None
    use[spoil(11, "value_not_listed")] = "019"
    use[spoil(12, "lost_zeros")] = "12"
    pbf[spoil(13, "value_not_listed")] = "0"
    area[spoil(14, "area_unit")] = "1576.2"
    area[spoil(15, "area_unit")] = "0.158"
    area[spoil(16, "area_absurd")] = "-2"
    area[spoil(17, "value_not_number")] = "两亩半"
    codes[spoil(18, "garbled_text")] = "锟斤拷"
    codes[spoil(21, "duplicate_key")] = dkbm(20)
    shapes[spoil(23, "duplicate_geometry")] = parcel(22).reverse()
    area[25] = "5"  # a different area of the same unit: a warning, loaded
    shapes[27] = shapely.transform(parcel(26), lambda c: c + np.array([0.0001, 0]))  # overlaps 26: a warning, loaded
    shapes[28] = shapely.MultiPolygon([parcel(28)])  # one part: fine
    fields = {"DKBM": codes, "TDLYLX": use, "SFJBNT": pbf, "SCMJM": area}
    report = take(county, write(tmp_path / "a.gpkg", shapes, fields, geometry_type="Unknown"))
    found = dict(rows(county, "SELECT row_number, reason_code FROM intake.quarantine"))
    assert found == expected
    assert report.rows_loaded == n - len(expected) == counts(county)["onemap.parcel"]
    assert {r.code: [e[0] for e in r.examples] for r in report.warnings} == {"area_mismatch": [26], "overlap": [28]}


def test_wild_numbers_in_a_shapefile_are_quarantined(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(6)
    path = write(tmp_path / "a.shp", shapes, fields)
    for record, value in ((0, float("nan")), (2, float("inf")), (4, 1e308)):
        patch_double(path, value, record=record)
    report = take(county, path)
    assert by_reason(report) == {"coordinate_not_finite": 3}
    assert [e[0] for e in report.quarantined[0].examples] == [1, 3, 5]


def test_against_the_store_keys_and_overlaps(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(4)
    take(county, write(tmp_path / "a.gpkg", shapes, fields))
    moved = shapely.transform(parcel(1), lambda c: c + np.array([0.0001, 0]))
    touching = shapely.transform(parcel(3), lambda c: c + np.array([0.0004, 0]))
    again = {"DKBM": [dkbm(0), dkbm(90), dkbm(91), dkbm(92)]}
    report = take(county, write(tmp_path / "b.gpkg", [parcel(50), moved, parcel(2), touching], again))
    assert by_reason(report) == {"duplicate_in_store": 1, "duplicate_geometry": 1}
    assert [(r.code, r.rows) for r in report.warnings] == [("overlap", 1)]
    assert f"库中地块 {dkbm(1)}" in report.warnings[0].examples[0][2]
    assert report.rows_loaded == 2
    assert rows(county, "SELECT name FROM onemap.parcel ORDER BY parcel_code LIMIT 1") == [("村东大地",)]


def test_zones_decide_pbf_and_unknown_stays_unknown(county: Settings, tmp_path: Path) -> None:
    take(county, write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)], "SFJBNT": ["2"]}))
    with connect(county, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.farmland_zone (zone_code, kind, area_m2, geom) VALUES ('z', 'pbf', 1, ST_Multi(ST_GeomFromText(%s, 4490)))",
            [lonlat_box(0, 0, 2, 4).wkt],
        )
    east = shapely.box(WEST + SIDE * 0.7, SOUTH + 0.01, WEST + SIDE * 0.7 + 0.0004, SOUTH + 0.0104)
    take(county, write(tmp_path / "b.gpkg", [parcel(1), east], {"DKBM": [dkbm(1), dkbm(2)]}))
    found = rows(county, "SELECT in_pbf, in_high_standard, declared_pbf FROM onemap.parcel ORDER BY parcel_code")
    assert found == [(None, None, False), (True, None, None), (False, None, None)]


def test_placement_is_what_the_database_says(county: Settings, tmp_path: Path) -> None:
    middle = shapely.box(
        WEST + SIDE / 4 - 0.0002, SOUTH + 0.001, WEST + SIDE / 4 + 0.0002, SOUTH + 0.0014
    )  # on a grid border
    shapes = [*(parcel(i) for i in range(0, 500, 7)), middle]
    report = take(county, write(tmp_path / "a.gpkg", shapes, {"DKBM": [dkbm(i) for i in range(len(shapes))]}))
    assert report.rows_loaded == len(shapes)
    wrong = (
        "SELECT count(*) FROM onemap.parcel WHERE grid_code IS DISTINCT FROM onemap.grid_at(ST_PointOnSurface(geom))"
    )
    assert rows(county, wrong) == [(0,)]
    assert {r[0] for r in rows(county, "SELECT DISTINCT township_code FROM onemap.parcel")} <= set(TOWNSHIPS)
    assert {r[0] for r in rows(county, "SELECT DISTINCT village_code FROM onemap.parcel")} <= set(VILLAGES)


def test_a_parcel_in_no_grid_is_loaded_and_counted_as_unplaced(county: Settings, tmp_path: Path) -> None:
    with connect(county, role="owner") as conn:
        conn.execute("DELETE FROM onemap.division WHERE code = %s", [GRIDS[0]])
    report = take(county, write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)]}))
    assert (report.rows_loaded, report.unplaced) == (1, 1)
    assert rows(county, "SELECT grid_code, township_code FROM onemap.parcel") == [(None, None)]


def test_dry_run_reports_the_same_and_stores_nothing(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(10)
    shapes[3] = bow_tie(3)
    path = write(tmp_path / "a.gpkg", shapes, fields)
    before = counts(county)
    dry = take(county, path, dry_run=True, rejects=tmp_path / "r.csv")
    assert counts(county) == before
    assert dry.load_id is None
    assert (tmp_path / "r.csv").exists()
    real = take(county, path)
    assert (dry.rows_loaded, dry.rows_quarantined, dry.quarantined) == (
        real.rows_loaded,
        real.rows_quarantined,
        real.quarantined,
    )


def test_same_file_twice_is_refused_unless_asked_for(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(4)
    path = write(tmp_path / "a.gpkg", shapes, fields)
    first = take(county, path)
    assert f"undo {first.load_id}" in refused(county, path, "已在 .* 导入过").next_step
    refused(county, path, "编码在库中已有 4 行", again=True)
    with store_transaction(county) as conn:
        undo_load(conn, first.load_id or 0)
    assert take(county, path).rows_loaded == 4


def test_repair_is_asked_for_and_recorded(county: Settings, tmp_path: Path) -> None:
    from tests.unit.test_import_geometry import spiked

    path = write(tmp_path / "a.gpkg", [spiked(0.0005), bow_tie(2), parcel(3)], {"DKBM": [dkbm(i) for i in range(3)]})
    assert by_reason(take(county, path, dry_run=True)) == {"self_crossing": 2}
    report = take(county, path, repair=True)
    assert by_reason(report) == {"self_crossing": 1}
    assert "修复自相交 1 行" in rows(county, "SELECT note FROM intake.load")[0][0]


def test_z_values_are_dropped_and_noted(county: Settings, tmp_path: Path) -> None:
    shapes = [shapely.force_3d(parcel(i), 30.5) for i in range(2)]
    for name in ("a.shp", "b.gpkg"):
        path = write(tmp_path / name, shapes, {"DKBM": [dkbm(i) for i in range(2)]}, geometry_type="Polygon Z")
        assert any("高程（Z）" in n for n in take(county, path, dry_run=True).notes)


def test_dutch_parcels_are_a_sentence_and_nothing_is_stored(county: Settings) -> None:
    if not DUTCH.exists():
        pytest.skip("../shared/data/parcels_nl_100.gpkg is not here")
    answer = refused(
        county, DUTCH, "100 个地块都不在巨鹿县范围内：文件坐标系 EPSG:28992（荷兰），位置约在 ", mapping="brp_nl"
    )
    assert "E 52." in answer.message
    assert isinstance(answer, NothingLoaded)
    assert answer.report.load_id is None


def test_dutch_numbers_without_a_name_are_not_taken_for_anything_else(county: Settings, tmp_path: Path) -> None:
    shapes = [shapely.box(155000 + k, 463000, 155010 + k, 463010) for k in range(0, 100, 20)]
    path = write(tmp_path / "a.shp", shapes, {"DKBM": [dkbm(i) for i in range(5)]}, epsg=None)
    refused(county, path, "按常用坐标系试过，数据都不在巨鹿县")


def test_missing_prj_is_demanded_and_then_taken(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(4)
    path = write(tmp_path / "a.shp", reproject(shapes, 4547), fields, epsg=None)
    assert "--crs EPSG:4547" in refused(county, path, "没有坐标系").next_step
    assert take(county, path, crs="EPSG:4547").rows_loaded == 4
    assert rows(county, "SELECT source_crs FROM intake.load") == [("EPSG:4547",)]


def test_swapped_axes_are_refused_and_then_taken(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(4)
    path = write(tmp_path / "a.gpkg", reproject(shapes, 4526, swap=True), fields, epsg=4526)
    assert "--swap-xy" in refused(county, path, "坐标轴似乎颠倒").next_step
    report = take(county, path, swap_xy=True)
    assert report.rows_loaded == 4
    assert "对调" in report.crs
    stored = rows(county, "SELECT ST_AsBinary(geom) FROM onemap.parcel ORDER BY parcel_code")[0][0]
    assert apart(shapely.from_wkb(stored), parcel(0)) < 1e-8


def test_nothing_good_is_not_a_success(county: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [bow_tie(i) for i in range(5)], {"DKBM": [dkbm(i) for i in range(5)]})
    refused(county, path, "5 个地块都没有通过检查，没有导入：图形自相交 5 行", rejects=tmp_path / "r.gpkg")
    from pyogrio import read_info

    assert read_info(tmp_path / "r.gpkg")["features"] == 5  # the reasons are there although nothing was stored


def test_a_store_without_a_county_says_so(store: Settings, tmp_path: Path) -> None:
    refused(store, write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)]}), "还没有本县的界线")


def test_two_imports_at_once_the_second_is_refused(county: Settings, tmp_path: Path) -> None:
    shapes, fields = field_layer(4)
    path = write(tmp_path / "a.gpkg", shapes, fields)
    with connect(county, role="job") as conn:
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('onemap.import'))")
        refused(county, path, "另一个导入正在进行")
    assert take(county, path).rows_loaded == 4


def test_contractors_known_before_are_not_rewritten(county: Settings, tmp_path: Path) -> None:
    code = "130529100201000001"
    take(county, write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)], "CBFBM": [code], "CBFMC": ["张三"]}))
    report = take(
        county, write(tmp_path / "b.gpkg", [parcel(1)], {"DKBM": [dkbm(1)], "CBFBM": [code], "CBFMC": ["李四"]})
    )
    assert [(r.code, r.rows) for r in report.warnings] == [("contractor_differs", 1)]
    assert "张三" not in str(report)
    [(sealed, load_id)] = rows(county, "SELECT name_enc, load_id FROM personal.contractor")
    assert (opened(county, code, "name", sealed), load_id) == ("张三", 1)
    with store_transaction(county) as conn:
        assert undo_load(conn, 1)["承包方"] == 0  # the second load's parcel still names him
    with store_transaction(county) as conn:
        undo_load(conn, report.load_id or 0)
    assert rows(county, "SELECT count(*) FROM onemap.parcel") == [(0,)]
