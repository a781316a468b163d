"""Divisions reconcile: faults are named exactly, a merger keeps old figures, border points have one owner."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import psycopg
import pytest
import shapely

from gis.access.roles import publish
from gis.clock import today
from gis.divisions.figures import figures_on
from gis.divisions.merge import merge
from gis.divisions.placing import place, read_grids
from gis.divisions.verify import Check, DivisionRules, verify
from gis.errors import BadInput, NotFound
from gis.settings import Settings
from gis.store.engine import connect
from tests.access_store import ROLES, add_account
from tests.integration import small_county

V00, V01, V10 = "130529100200", "130529100201", "130529101200"


def checks(settings: Settings) -> dict[str, Check]:
    with connect(settings, role="job") as conn:
        return {c.name: c for c in verify(conn, rules=DivisionRules.load(settings.data))}


@pytest.fixture
def county(store: Settings) -> Settings:
    with connect(store, role="owner") as conn:
        small_county.insert(conn)
        small_county.insert_incidents(
            conn, [(115.005, 37.205), (115.015, 37.215), (115.035, 37.205), (116.0, 37.0), None]
        )
    return store


def test_a_sound_county_has_no_fault(county: Settings) -> None:
    found = checks(county)
    assert [c.name for c in found.values() if c.verdict == "fault"] == []
    assert found["办件逐级相加"].detail == "5 = 网格 3 = 村 3 = 乡镇 3 = 县 3，另未落点 2"
    assert found["地块逐级相加"].verdict == "not executed"


def test_an_empty_store_is_not_a_success(store: Settings) -> None:
    assert [c.verdict for c in checks(store).values()] == ["not executed"]


@pytest.mark.parametrize(
    ("statement", "check", "fault"),
    [
        ("UPDATE onemap.division SET geom = ST_Multi(ST_Translate(geom, 0.0001, 0)) WHERE code = '130529100200001'", "互不重叠", "130529100200001 网格1 与 130529100200002 网格2 重叠"),
        ("UPDATE onemap.division SET geom = ST_Multi(ST_Translate(geom, -0.0001, 0)) WHERE code = '130529100200001'", "无空隙无外溢", "130529100200 村00：空隙"),
        ("DELETE FROM onemap.division WHERE code = '130529101'", "上级存在", "130529101200 村10：上级 130529101 不存在或已撤销"),
        ("DELETE FROM onemap.division WHERE parent_code = '130529101201'", "下级存在", "130529101201 村11：没有下级区划"),
        ("UPDATE onemap.division SET parent_code = '130529101200' WHERE code = '130529100200001'", "编码衔接", "130529100200001 网格1：编码不以上级 130529101200 开头"),
        ("UPDATE onemap.division SET geom = NULL WHERE code = '130529101201002'", "有边界", "130529101201002 网格2：没有边界"),
        ("UPDATE onemap.division SET households = 21 WHERE code = '130529100200'", "户数人口相加", "130529100200 村00：户 21 ≠ 20"),
        ("UPDATE onemap.incident SET village_code = '130529101200' WHERE grid_code = '130529100200001'", "办件逐级相加", "村一级 2 + 未落点 2 ≠ 5"),
        ("UPDATE onemap.incident SET grid_code = '130529101200001' WHERE grid_code = '130529100200001'", "办件落点复核", "1 条所在网格与位置不符"),
    ],
)  # fmt: skip
def test_a_fault_is_named(county: Settings, statement: str, check: str, fault: str) -> None:
    with connect(county, role="owner") as conn:
        conn.execute(statement)
    found = checks(county)[check]
    assert found.verdict == "fault"
    assert any(sentence.startswith(fault) for sentence in found.faults), found.faults


def test_a_hairline_within_tolerance_is_no_fault(county: Settings) -> None:
    with connect(county, role="owner") as conn:  # 1e-10 degrees × 1.1 km ≈ 0.01 m²
        conn.execute(
            "UPDATE onemap.division SET geom = ST_Multi(ST_Translate(geom, 1e-10, 0)) WHERE code = '130529100200001'"
        )
    found = checks(county)
    assert (found["互不重叠"].verdict, found["无空隙无外溢"].verdict) == ("ok", "ok")


def test_merged_villages_add_up_and_old_figures_stay(county: Settings) -> None:
    before, after = date(2026, 10, 31), date(2026, 11, 1)
    with connect(county, role="job") as conn:
        old = figures_on(conn, code="130529100", on_date=before)
        done = merge(conn, from_codes=[V00], into_code=V01, on_date=after, name="合村", document="示例〔2026〕1号")
    assert (done.children_moved, done.rows_updated["case_file"]) == (2, 1)
    with connect(county, role="job") as conn:
        assert figures_on(conn, code="130529100", on_date=before) == old
        assert [(f.name, f.incidents) for f in old] == [("村00", 1), ("村01", 1)]
        new = figures_on(conn, code="130529100", on_date=after)
        row = conn.execute(
            "SELECT households, population, area_m2 FROM onemap.division_now WHERE code = %s", [V01]
        ).fetchone()
    assert [(f.code, f.name, f.incidents) for f in new] == [(V01, "合村", 2)]
    assert row is not None
    assert row[:2] == (40, 120)
    found = checks(county)
    assert [c.name for c in found.values() if c.verdict == "fault"] == []
    assert found["编码衔接"].detail == "2 个因并村沿用原编码"


def test_scopes_follow_a_merger_and_their_history_stays(county: Settings) -> None:
    with connect(county, role="owner") as conn:
        publish(conn, ROLES)
    on = date(2026, 11, 1)
    both, cadre, future, ended, grid, above = (
        add_account(county, name, role, password=None)
        for name, role in (("both", "village_cadre"), ("cadre", "village_cadre"), ("future", "village_cadre"),
                           ("ended", "village_cadre"), ("grid", "grid_member"), ("above", "planner"))
    )  # fmt: skip
    held: list[tuple[int, str, str, str | None]] = [
        (both, V00, "2026-01-01", None), (both, V01, "2026-01-01", None), (cadre, V00, "2026-01-01", "2027-01-01"),
        (future, V00, "2026-12-01", None), (ended, V00, "2026-01-01", "2026-06-01"), (grid, f"{V00}001", "2026-01-01", None),
        (above, "130529100", "2026-01-01", None),
    ]  # fmt: skip
    with connect(county, role="owner") as conn:
        conn.cursor().executemany(
            "INSERT INTO access.scope (account_id, division_code, valid_from, valid_to) VALUES (%s, %s, %s, %s)", held
        )
        conn.execute(
            "INSERT INTO access.session (token_hash, account_id, expires_at) VALUES (sha256('t'), %s, now() + interval '1 h')",
            [cadre],
        )
    with connect(county, role="job") as conn:
        done = merge(conn, from_codes=[V00], into_code=V01, on_date=on, document="示例〔2026〕2号")
    assert done.scopes_followed == 3
    with connect(county, role="owner") as conn:
        rows = conn.execute(
            "SELECT account_id, division_code, valid_from::text, valid_to::text FROM access.scope ORDER BY scope_id"
        ).fetchall()
        noted = conn.execute(
            "SELECT object_id, reason, detail ->> 'from', detail ->> 'into' FROM access.audit WHERE action = 'scope.followed' ORDER BY seq"
        ).fetchall()
        sessions = conn.execute("SELECT end_reason FROM access.session").fetchall()
        sight = dict(conn.execute("SELECT principal, others FROM access.sight").fetchall())
    until = {(both, V00): "2026-11-01", (cadre, V00): "2026-11-01", (future, V00): "2026-12-01"}
    kept = [(a, code, begins, until.get((a, code), ends)) for a, code, begins, ends in held]
    assert rows == [*kept, (cadre, V01, "2026-11-01", "2027-01-01"), (future, V01, "2026-12-01", None)]
    assert noted == [(str(a), "示例〔2026〕2号", V00, V01) for a in (both, cadre, future)]
    assert sessions == [("scope",)]
    assert sight[str(cadre)] == sight[str(both)] == [V01]
    assert sight[str(grid)] == [f"{V00}001"]


def test_a_case_that_touched_both_merged_villages_has_one_part_left(county: Settings) -> None:
    with connect(county, role="owner") as conn:
        both, one_, none = (
            r[0] for r in conn.execute("SELECT case_id FROM case_file ORDER BY case_no LIMIT 3").fetchall()
        )
        for case, village, leads, share, done, note in (
            (both, V00, True, 30.0, "2026-10-06", "甲"), (both, V01, False, 60.0, "2026-10-07", "乙"), (both, V10, False, 10.0, None, None),
            (one_, V00, True, None, None, None), (none, V10, True, 100.0, None, None),
        ):  # fmt: skip
            conn.execute(
                "INSERT INTO case_part (case_id, village_code, township_code, is_lead, share_pct, done_at, note) "
                "VALUES (%s, %s, left(%s, 9), %s, %s, %s, %s)",
                [case, village, village, leads, share, done, note],
            )
        untouched = conn.execute("SELECT * FROM case_part WHERE village_code = %s ORDER BY 1", [V10]).fetchall()
    with connect(county, role="job") as conn:
        done_ = merge(conn, from_codes=[V00], into_code=V01, on_date=date(2026, 11, 1))
        left = conn.execute(
            "SELECT case_id, village_code, township_code, is_lead, share_pct, done_at::date::text, note FROM case_part "
            "WHERE village_code <> %s ORDER BY 1", [V10],
        ).fetchall()  # fmt: skip
        assert conn.execute("SELECT * FROM case_part WHERE village_code = %s ORDER BY 1", [V10]).fetchall() == untouched
    assert done_.rows_updated["case_part"] == 2
    assert left == [
        (both, V01, V01[:9], True, 90.0, "2026-10-07", "甲；乙"),
        (one_, V01, V01[:9], True, None, None, None),
    ]
    with connect(county, role="job") as conn:
        merge(conn, from_codes=["130529101"], into_code="130529100", on_date=date(2026, 11, 2))
        assert conn.execute("SELECT DISTINCT township_code FROM case_part").fetchall() == [("130529100",)]


@pytest.mark.parametrize(
    ("from_code", "into", "on"),
    [
        ("130529100", "130529", "2026-11-01"),
        (V00, V01, "2026-11-01"),
        (V01, V00, "2026-11-02"),
        (V00, "130529100", "2026-11-01"),
    ],
)
def test_scopes_move_along_a_merger_on_record_and_no_other_way(
    county: Settings, from_code: str, into: str, on: str
) -> None:
    with connect(county, role="job") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege, match="没有这次合并"):
        conn.execute("SELECT access.scope_follow(%s, %s, %s, NULL)", [[from_code], into, on])


def test_merged_townships_carry_their_villages(county: Settings) -> None:
    with connect(county, role="job") as conn:
        done = merge(conn, from_codes=["130529101"], into_code="130529100", on_date=date(2026, 11, 1))
    assert done.children_moved == 2
    found = checks(county)
    assert [c.name for c in found.values() if c.verdict == "fault"] == []
    with connect(county, role="job") as conn:
        assert conn.execute("SELECT count(*) FROM incident WHERE township_code = '130529100'").fetchone() == (3,)


@pytest.mark.parametrize(
    ("from_codes", "into", "on", "words"),
    [
        ([V00], V00, date(2026, 11, 1), "不能与保留的编码相同"),
        ([V00], V10, date(2026, 11, 1), "同一上级"),
        (["130529100299"], V01, date(2026, 11, 1), "现行区划里没有：130529100299"),
        ([V00], V01, date(2019, 1, 1), "晚于或等于"),
        ([V00], V01, today() + timedelta(days=1), "还没到"),
        (["130529100200001"], "130529100200002", date(2026, 11, 1), "只能合并乡镇"),
    ],
)
def test_an_impossible_merger_is_refused(
    county: Settings, from_codes: list[str], into: str, on: date, words: str
) -> None:
    with connect(county, role="job") as conn, pytest.raises(BadInput, match=words):
        merge(conn, from_codes=from_codes, into_code=into, on_date=on)


def test_figures_of_an_unknown_division_are_an_error(county: Settings) -> None:
    with connect(county, role="job") as conn, pytest.raises(NotFound):
        figures_on(conn, code="130528", on_date=date(2026, 11, 1))


def test_border_points_have_one_owner_in_sql_and_in_bulk(county: Settings) -> None:
    # every corner, edge and centre of the lattice, and a few points outside
    xs = [115.0 + 0.005 * i for i in range(-1, 10)]
    ys = [37.2 + 0.005 * j for j in range(-1, 6)]
    points = np.array([shapely.Point(round(x, 3), round(y, 3)) for x in xs for y in ys], dtype=object)
    with connect(county, role="job") as conn:
        bulk = place(points, read_grids(conn)).grid
        one_by_one = [
            conn.execute("SELECT onemap.grid_at(ST_GeomFromText(%s, 4490))", [p.wkt]).fetchone() for p in points
        ]
    assert [(code,) for code in bulk] == one_by_one
    assert sum(code is None for code in bulk) == 32  # the rim of 11 × 7 outside the 9 × 5 that lie in or on the county
    centre = [str(p) for p in points].index("POINT (115.01 37.21)")
    assert bulk[centre] == "130529100200001"  # four grids meet here: the smallest code owns it


def test_a_row_is_placed_when_written_and_a_forged_code_is_overwritten(county: Settings) -> None:
    with connect(county, role="owner") as conn:
        publish(conn, ROLES)
    account = add_account(county, "planner.a", scope="130529100")
    with connect(county, role="app") as conn:
        conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(account)])
        conn.execute(
            "INSERT INTO case_file (case_no, item_code, channel, title, reported_at, state, township_code, grid_code, geom) VALUES "
            "('F1', '101', 'web', '坑', now(), 'reported', '130529101', '130529101200001', ST_SetSRID(ST_Point(115.005, 37.205), 4490))"
        )
        row = conn.execute(
            "SELECT grid_code, village_code, township_code FROM case_file WHERE case_no = 'F1'"
        ).fetchone()
    assert row == ("130529100200001", V00, "130529100")
