"""History of cases from another system: every nasty row under its own reason, updates instead of doubles, and taken back whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from cli import imports
from etl.cases.importing import import_cases
from etl.importing import Options, store_transaction
from etl.report import NothingLoaded, Report
from etl.undoing import undo_load
from gis.access.crypt import Keys, make_keys
from gis.clock import now
from gis.errors import BadInput, BadRequest
from gis.settings import Role, Settings
from gis.store.engine import connect
from tests.case_county import CaseCounty, case_county

HEAD = [
    "工单编号",
    "工单标题",
    "诉求内容",
    "事项",
    "工单状态",
    "来电时间",
    "受理时间",
    "办结时间",
    "经度",
    "纬度",
    "来电人",
    "来电号码",
]
OWNER: Role = "owner"
JOB: Role = "job"
APP: Role = "app"
GOOD = ["GD001", "村口路灯不亮", "请修", "路灯", "已办结", "2025-03-01 08:00:00", "2025-03-01 09:00:00", "2025-03-02 10:00:00", "115.02", "37.21",
        "张小明", "13800001234"]  # fmt: skip


@pytest.fixture
def county(store: Settings, tmp_path: Path) -> Iterator[CaseCounty]:
    with case_county(store, tmp_path) as made:
        yield made


def utc(*parts: int) -> datetime:
    """A moment as the store tells it AT TIME ZONE 'UTC': without its zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


def row(key: str, **changes: Any) -> list[Any]:
    cells = dict(zip(HEAD, GOOD, strict=True)) | {"工单编号": key} | changes
    return [cells[c] for c in HEAD]


def write(path: Path, rows: Sequence[Sequence[Any]], *, encoding: str = "utf-8", head: Sequence[str] = HEAD) -> Path:
    with path.open("w", encoding=encoding, newline="") as f:
        csv.writer(f).writerows([head, *rows])
    return path


def take(county: CaseCounty, path: Path, *, mapping: str = "incidents_12345", **options: Any) -> Report:
    return import_cases(
        county.settings, file=str(path), mapping=mapping, options=Options(**{"crs": "EPSG:4326"} | options)
    )


def reasons(report: Report) -> dict[str, int]:
    return {r.code: r.rows for r in report.quarantined}


def cases(county: CaseCounty) -> list[tuple[Any, ...]]:
    return county.owner(
        "SELECT external_ref, case_no, state, item_code, revision FROM onemap.case_file WHERE external_ref IS NOT NULL ORDER BY 1"
    )


def test_a_case_goes_in_whole(county: CaseCounty, tmp_path: Path) -> None:
    report = take(
        county,
        write(tmp_path / "a.csv", [row("GD002"), GOOD, row("GD003", 工单状态="处理中", 办结时间="", 经度="", 纬度="")]),
    )
    assert (report.rows_in, report.rows_loaded, report.rows_quarantined) == (3, 3, 0)
    assert [c[:4] for c in cases(county)] == [
        ("GD001", "SJ2025030100002", "closed", "0303"), ("GD002", "SJ2025030100001", "closed", "0303"), ("GD003", "SJ2025030100003", "handling", "0303"),
    ]  # fmt: skip
    found = county.owner(
        "SELECT channel, reported_at AT TIME ZONE 'UTC', closed_at = ended_at, done_at = closed_at, clock_state, source_crs, grid_code IS NOT NULL, "
        "process_version, round(ST_X(geom)::numeric, 6)::text FROM onemap.case_file WHERE external_ref = 'GD001'"
    )
    assert found == [("hotline", utc(2025, 3, 1), True, True, "stopped", "EPSG:4326", True, 1, "115.020000")]
    assert county.owner("SELECT last FROM onemap.case_number WHERE prefix = 'SJ' AND day = '2025-03-01'") == [(3,)]
    events = county.owner("SELECT transition, actor_kind, revision, to_state FROM onemap.case_event ORDER BY event_id")
    assert events == [
        ("import", "import", 0, "closed"),
        ("import", "import", 0, "closed"),
        ("import", "import", 0, "handling"),
    ]
    assert county.owner("SELECT subject, kind FROM onemap.live") == [("load", "import")]  # one piece of news, not three
    # numbers of that day go on from there
    take(county, write(tmp_path / "b.csv", [row("GD009")]))
    assert cases(county)[-1][1] == "SJ2025030100004"


def test_reporters_are_sealed_and_bound_to_their_case(county: CaseCounty, tmp_path: Path) -> None:
    take(
        county,
        write(
            tmp_path / "a.csv",
            [GOOD, row("GD002", 来电人="", 来电号码=""), row("GD003", 来电人="李*", 来电号码="139****0000")],
        ),
    )
    keys: Keys = make_keys(county.settings)
    found = county.owner(
        "SELECT c.external_ref, r.case_id, r.name_enc, r.phone_enc, r.name_masked, r.phone_masked, r.phone_key FROM personal.reporter r "
        "JOIN onemap.case_file c USING (case_id) ORDER BY 1"
    )
    assert [f[0] for f in found] == ["GD001", "GD003"]
    case, name, phone = found[0][1:4]
    assert keys.decrypt(name, table="personal.reporter", row=case, field="name") == "张小明"
    assert keys.decrypt(phone, table="personal.reporter", row=case, field="phone") == "13800001234"
    assert found[0][4:6] == ("张*明", "138****1234")
    assert found[1][2:4] == (None, None)  # came masked: kept as it came, never taken for a name
    assert found[1][4:] == ("李*", "139****0000", None)
    with connect(county.settings, role="owner") as conn:
        text = "".join(str(r) for t in ("onemap.case_file", "onemap.case_event", "personal.reporter", "intake.load")
                       for r in conn.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*t.split(".")))).fetchall())  # fmt: skip
    assert "张小明" not in text
    assert "13800001234" not in text


NASTY = {
    "duplicate_key": row("GD001", 工单标题="同一编号"),
    "closed_before_created": row("N01", 办结时间="2025-02-01 10:00:00"),
    "zero_coordinates": row("N02", 经度="0", 纬度="0.0"),
    "outside_county": row("N03", 经度="121.5", 纬度="31.2"),
    "swapped_axes": row("N04", 经度="37.21", 纬度="115.02"),
    "foreign_timezone": row("N05", 来电时间="2025-03-01T08:00:00Z"),
    "unknown_category": row("N06", 事项="天上掉下来的事"),
    "unknown_status": row("N07", 工单状态="薛定谔"),
    "title_missing": row("N08", 工单标题="　"),
    "time_missing": row("N09", 来电时间=""),
    "code_missing": row(""),
    "future_date": row("N10", 来电时间="2093-01-01 00:00:00", 受理时间="", 工单状态="处理中", 办结时间=""),
    "formula_cell": row("N11", 工单标题='=HYPERLINK("http://x","y")'),
    "time_unreadable": row("N12", 受理时间="昨天下午"),
    "status_contradicts": row("N13", 办结时间=""),
    "times_disordered": row("N14", 受理时间="2025-02-28 09:00:00"),
    "code_number": row("1.30529E+13"),
    "coordinate_not_finite": row("N15", 经度="", 纬度="37.2"),
    "ragged_row": [*row("N16"), "多出一格"],
    "garbled_text": row("N17", 工单标题="村口路灯不亮".encode().decode("gb18030", errors="replace")),
}


def test_each_nasty_row_is_quarantined_under_its_own_reason(county: CaseCounty, tmp_path: Path) -> None:
    report = take(county, write(tmp_path / "a.csv", [GOOD, *NASTY.values()]))
    assert reasons(report) == dict.fromkeys(NASTY, 1)
    assert (report.rows_in, report.rows_loaded, report.rows_quarantined) == (1 + len(NASTY), 1, len(NASTY))
    kept = county.owner(
        "SELECT row_number, reason_code, sealed IS NOT NULL, properties->>'来电人', properties->>'工单标题' FROM intake.quarantine ORDER BY 1"
    )
    assert [(n, code) for n, code, *_ in kept] == list(enumerate(NASTY, start=2))
    assert {(sealed, name) for _, _, sealed, name, _ in kept} == {(True, "张*明")}  # whole, but nobody reads it
    assert not [t for *_, t in kept if t and "路灯" in t]
    assert any("天上掉下来的事 1 行" in n for n in report.notes)
    assert any("薛定谔 1 行" in n for n in report.notes)


def test_lost_zeros_are_seen_in_numbers_and_in_items(county: CaseCounty, tmp_path: Path) -> None:
    rows = [row(f"{n:08d}") for n in range(1, 30)] + [row("123456"), row("00000099", 事项="303")]
    assert reasons(take(county, write(tmp_path / "a.csv", rows))) == {"lost_zeros": 2}


def test_nothing_good_is_no_success(county: CaseCounty, tmp_path: Path) -> None:
    with pytest.raises(NothingLoaded, match="事项对不上 1 行"):
        take(county, write(tmp_path / "a.csv", [row("X1", 事项="外星来客")]))
    assert county.owner("SELECT count(*) FROM intake.load WHERE subject = 'incidents'") == [(0,)]
    with pytest.raises(BadInput, match="来电时间"):
        take(county, write(tmp_path / "b.csv", [["X1", "标题", "已办结"]], head=["工单编号", "工单标题", "工单状态"]))


def test_again_updates_what_changed_and_doubles_nothing(county: CaseCounty, tmp_path: Path) -> None:
    first = take(county, write(tmp_path / "a.csv", [row("A1", 工单状态="处理中", 办结时间=""), row("A2")]))
    with pytest.raises(BadInput, match="同一个文件已在"):
        take(county, tmp_path / "a.csv")
    again = take(county, tmp_path / "a.csv", again=True)
    assert any("新增 0 件，更新 0 件，未变 2 件" in n for n in again.notes)
    assert [c[4] for c in cases(county)] == [0, 0]
    second = take(county, write(tmp_path / "b.csv", [row("A1"), row("A2", 来电人="王五"), row("A3")]))
    assert any("新增 1 件，更新 1 件，未变 1 件" in n for n in second.notes)
    assert [(c[0], c[2], c[4]) for c in cases(county)] == [
        ("A1", "closed", 1),
        ("A2", "closed", 0),
        ("A3", "closed", 0),
    ]
    assert county.owner("SELECT load_id FROM onemap.case_file WHERE external_ref = 'A1'") == [(first.load_id,)]
    assert county.owner("SELECT count(*) FROM onemap.case_event WHERE transition = 'import_update'") == [(1,)]
    assert county.owner(
        "SELECT name_masked FROM personal.reporter r JOIN onemap.case_file c USING (case_id) WHERE external_ref = 'A2'"
    ) == [("王*",)]


def test_what_people_did_here_is_kept(county: CaseCounty, tmp_path: Path) -> None:
    loaded = take(
        county,
        write(
            tmp_path / "a.csv",
            [row("A1", 工单状态="待受理", 受理时间="", 办结时间=""), row("A2", 工单状态="处理中", 办结时间="")],
        ),
    )
    number = cases(county)[0][1]
    county.do(number, "accept", "dispatcher", item="0303")
    before = cases(county)[0]
    report = take(county, write(tmp_path / "b.csv", [row("A1"), row("A2")]))
    assert reasons(report) == {"handled_here": 1}
    assert report.rows_loaded == 1
    assert cases(county)[0] == before
    assert cases(county)[1][2] == "closed"
    kept = county.owner("SELECT row_number, properties->>'来电人', sealed IS NOT NULL FROM intake.quarantine")
    assert kept == [(1, "张*明", True)]
    with store_transaction(county.settings) as conn, pytest.raises(BadRequest, match="1 件在本系统里已有人办理"):
        undo_load(conn, loaded.load_id or 0)


def test_taking_a_load_back_removes_what_it_added_and_only_that(county: CaseCounty, tmp_path: Path) -> None:
    mine = county.report("member")
    loaded = take(county, write(tmp_path / "a.csv", [row("A1"), row("A2")]))
    with store_transaction(county.settings) as conn:
        assert undo_load(conn, loaded.load_id or 0) == {
            "办件": 2,
            "经过": 2,
            "上报人": 2,
            "只更新过、保留现值的办件": 0,
        }
    assert cases(county) == []
    assert county.owner("SELECT case_no FROM onemap.case_file WHERE case_no = %s", [mine.case_no]) == [(mine.case_no,)]
    assert county.owner("SELECT count(*) FROM personal.reporter") == [(1,)]
    assert county.owner("SELECT undone_at IS NOT NULL FROM intake.load WHERE load_id = %s", [loaded.load_id]) == [
        (True,)
    ]
    again = take(county, tmp_path / "a.csv")  # an undone load is no obstacle
    assert again.rows_loaded == 2


def test_history_of_a_load_that_stands_cannot_be_deleted_by_anybody(county: CaseCounty, tmp_path: Path) -> None:
    loaded = take(county, write(tmp_path / "a.csv", [GOOD]))
    for role, statement in (
        (OWNER, "DELETE FROM onemap.case_event"), (OWNER, "UPDATE onemap.case_event SET note = ''"), (JOB, "DELETE FROM onemap.case_event"),
        (JOB, f"SELECT onemap.undo_case_load({loaded.load_id})"), (APP, f"SELECT onemap.undo_case_load({loaded.load_id})"),
    ):  # fmt: skip
        with connect(county.settings, role=role) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.encode())
    assert county.owner("SELECT count(*) FROM onemap.case_event") == [(1,)]


def test_chinese_files_in_every_encoding_and_a_workbook_say_the_same(county: CaseCounty, tmp_path: Path) -> None:
    for n, encoding in enumerate(("utf-8", "utf-8-sig", "gb18030", "utf-16")):
        take(county, write(tmp_path / f"{encoding}.csv", [row(f"E{n}")], encoding=encoding))
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(HEAD)
    sheet.append(row("E4", 来电时间=utc(2025, 3, 1, 8), 受理时间=45717.375, 经度=115.02, 纬度=37.21))
    sheet.append(row("E5", 诉求内容="=A1&B1"))
    sheet.append(row("E6", 来电时间="45717.3333333333", 受理时间=""))
    book.save(tmp_path / "a.xlsx")
    report = take(county, tmp_path / "a.xlsx")
    assert reasons(report) == {"formula_cell": 1}
    assert any("2 个时间是 Excel 的日期序号" in n for n in report.notes)
    found = county.owner(
        "SELECT DISTINCT title, detail, date_trunc('second', reported_at + interval '0.5 s') AT TIME ZONE 'UTC' FROM onemap.case_file WHERE external_ref LIKE 'E%%'"
    )
    assert found == [("村口路灯不亮", "请修", utc(2025, 3, 1))]
    accepted = county.owner("SELECT accepted_at AT TIME ZONE 'UTC' FROM onemap.case_file WHERE external_ref = 'E4'")
    assert accepted == [(utc(2025, 3, 1, 1),)]


def test_a_hotline_on_a_web_map_is_taken_back_to_the_ground(county: CaseCounty, tmp_path: Path) -> None:
    take(county, write(tmp_path / "a.csv", [GOOD]), crs=None)  # the mapping says GCJ-02
    moved = county.owner(
        "SELECT source_crs, ST_Distance(geom::geography, ST_SetSRID(ST_MakePoint(115.02, 37.21), 4490)::geography) BETWEEN 300 AND 800 FROM onemap.case_file "
        "WHERE external_ref = 'GD001'"
    )
    assert moved == [("GCJ-02", True)]


def test_the_shape_of_new_york(county: CaseCounty, tmp_path: Path) -> None:
    head = [
        "Unique Key",
        "Created Date",
        "Closed Date",
        "Complaint Type",
        "Descriptor",
        "Status",
        "Latitude",
        "Longitude",
    ]
    good = [
        "59893776",
        "01/15/2025 11:59:40 PM",
        "01/16/2025 01:10:00 AM",
        "Street Light Condition",
        "Street Light Out",
        "Closed",
        "37.21",
        "115.02",
    ]
    rows = [good, ["59893777", *good[1:3], "UNSANITARY PIGEON CONDITION", *good[4:]], ["9893778", *good[1:]],
            ["59893779", "03/09/2025 02:30:00 AM", *good[2:]], ["59893780", "01/15/2025 11:59:40 PM", "", *good[3:5], "In Progress", "", ""],
            ["59893781", "2025-01-15T23:59:40-05:00", *good[2:]], ["59893782", "2025-01-15T23:59:40+08:00", *good[2:]]]  # fmt: skip
    report = take(county, write(tmp_path / "ny.csv", rows, head=head), mapping="incidents_nyc311", crs=None)
    assert reasons(report) == {"unknown_category": 1, "lost_zeros": 1, "time_unreadable": 1, "foreign_timezone": 1}
    found = county.owner(
        "SELECT external_ref, reported_at AT TIME ZONE 'UTC' FROM onemap.case_file WHERE external_ref IS NOT NULL ORDER BY 1"
    )
    at = utc(2025, 1, 16, 4, 59, 40)  # midnight in New York is five in London: winter
    assert found == [("59893776", at), ("59893780", at), ("59893781", at)]


def test_a_dry_run_and_a_broken_file_leave_nothing(county: CaseCounty, tmp_path: Path) -> None:
    report = take(
        county, write(tmp_path / "a.csv", [GOOD, NASTY["unknown_status"]]), dry_run=True, rejects=tmp_path / "bad.csv"
    )
    assert report.dry_run
    assert report.load_id is None
    assert (tmp_path / "bad.csv").read_text(encoding="utf-8-sig").count("薛定谔") >= 1
    (tmp_path / "b.csv").write_bytes(",".join(HEAD).encode() + b"\n" + b"\x00\x01")
    with pytest.raises(BadInput, match="空字节"):
        take(county, tmp_path / "b.csv")
    (tmp_path / "c.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    with pytest.raises(BadInput, match="不是完好的"):
        take(county, tmp_path / "c.xlsx")
    assert cases(county) == []
    assert county.owner("SELECT count(*) FROM intake.quarantine") == [(0,)]


def test_an_open_case_that_was_late_there_is_late_here_without_a_flood_of_notices(
    county: CaseCounty, tmp_path: Path
) -> None:
    head = [*HEAD, "办结时限"]
    soon = (now() + timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S")
    rows = [
        [*row("L1", 工单状态="处理中", 办结时间=""), "2025-03-03 08:00:00"],
        [*row("L2", 工单状态="处理中", 办结时间=""), soon],
    ]
    take(county, write(tmp_path / "a.csv", rows, head=head))
    assert county.owner("SELECT swept, ended_at IS NULL FROM onemap.case_file WHERE external_ref LIKE 'L%%' ORDER BY external_ref") == [
        ("breached", True), ("on_track", True)]  # fmt: skip


def test_the_command_prints_what_became_of_it(
    county: CaseCounty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "Settings", lambda: county.settings)
    write(tmp_path / "a.csv", [GOOD, NASTY["unknown_category"]])
    run = CliRunner().invoke(imports.app, ["incidents", str(tmp_path / "a.csv"), "--crs", "EPSG:4326", "--json"])
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert (answer["rows_loaded"], answer["rows_quarantined"]) == (1, 1)
    run = CliRunner().invoke(imports.app, ["undo", str(answer["load_id"])])
    assert "办件 1" in run.output
