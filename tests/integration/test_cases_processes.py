"""Definitions reach the store, keep their versions, and a process nobody wrote Python for runs like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gis.cases.catalogue import Processes, publish
from gis.cases.model import Upload
from gis.cases.publishing import publish_cases
from gis.errors import DefinitionError, Forbidden, NotFound
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from tests.case_county import CaseCounty, case_county
from tests.process_files import SUBSIDY, copy_of_data, process_text
from tests.scratch_county import build_scratch

pytestmark = pytest.mark.db
RECEIPT_PHOTO = Upload(sha256=b"\x02" * 32, stage="evidence")


def published(store: Settings) -> list[tuple[str, int, str]]:
    with connect(store, role="owner") as conn:
        rows = conn.execute("SELECT process, version, definition->>'name' FROM onemap.process ORDER BY 1, 2").fetchall()
    return [(r[0], r[1], r[2]) for r in rows]


def put(store: Settings, data: Path) -> list[str]:
    with connect(store, role="owner") as conn:
        return publish_cases(conn, data)


def test_published_once_and_said_once(store: Settings) -> None:
    assert put(store, ROOT / "data") == ["事件 第 1 版", "交办任务 第 1 版"]
    assert put(store, ROOT / "data") == []
    assert published(store) == [("incident", 1, "事件"), ("task", 1, "交办任务")]


def test_a_changed_file_without_cases_is_published_again(store: Settings, tmp_path: Path) -> None:
    put(store, ROOT / "data")
    data = copy_of_data(tmp_path, task=process_text("task").replace('name = "交办任务"', 'name = "督查任务"'))
    assert put(store, data) == ["督查任务 第 1 版"]
    assert published(store)[1] == ("task", 1, "督查任务")


def test_a_changed_file_with_cases_needs_a_new_version_and_running_cases_keep_theirs(
    store: Settings, tmp_path: Path
) -> None:
    put(store, ROOT / "data")
    with connect(store, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.case_file (case_no, process, process_version, state, channel, title, reported_at) "
            "VALUES ('RW2026112200001', 'task', 1, 'issued', 'grid', '整治河道', now())"
        )
    changed = process_text("task").replace('id = "signed"', 'id = "taken_in"').replace('"signed"', '"taken_in"')
    data = copy_of_data(tmp_path, task=changed)
    with pytest.raises(DefinitionError, match="“交办任务”第 1 版已有办件在用") as e:
        put(store, data)
    assert "version 改成 2" in e.value.next_step
    assert [row[:2] for row in published(store)] == [("incident", 1), ("task", 1)]
    (data / "processes" / "task.toml").write_text(changed.replace("version = 1", "version = 2"), encoding="utf-8")
    assert put(store, data) == ["交办任务 第 2 版"]
    processes = Processes.load(data)
    with connect(store, role="app") as conn:
        old = processes.of(conn, "task", 1)
        assert "signed" in {s.id for s in old.state}
        assert processes.of(conn, "task", 1) is old  # asked of the store once
        assert "taken_in" in {s.id for s in processes.of(conn, "task", 2).state}
        with pytest.raises(NotFound, match="第 9 版"):
            processes.of(conn, "task", 9)


def test_a_faulty_file_publishes_nothing(store: Settings, tmp_path: Path) -> None:
    data = copy_of_data(tmp_path, subsidy=SUBSIDY.replace('fixed = "7wd"', 'fixed = "soon"'))
    with pytest.raises(DefinitionError, match="没有时限类别 soon"):
        put(store, data)
    assert published(store) == []


def test_the_app_reads_definitions_and_writes_none(store: Settings) -> None:
    import psycopg

    for role in ("app", "reader"):
        with connect(store, role=role) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
            publish(conn, Processes.load(ROOT / "data"))
    put(store, ROOT / "data")
    with connect(store, role="app") as conn:
        assert conn.execute("SELECT count(*) FROM onemap.process").fetchone() == (2,)


def test_units_are_departments_and_the_offices_of_the_divisions(store: Settings) -> None:
    scratch = build_scratch(store, townships=2, villages=2, grids=2, strips=4)
    put(store, ROOT / "data")
    with connect(store, role="owner") as conn:
        conn.execute("UPDATE onemap.unit SET name = 'old' WHERE unit = 'swj'")
        rows = {
            r[0]: r[1:] for r in conn.execute("SELECT unit, name, level, division_code, office_hours FROM onemap.unit")
        }
        assert rows["zhzx"] == ("县级指挥中心", 1, scratch.county, "duty")
        assert [rows[t][1:3] for t in scratch.townships] == [(2, t) for t in scratch.townships]
        assert len([u for u, row in rows.items() if row[1] == 3]) == 4
        assert len([u for u, row in rows.items() if row[1] == 1 and row[2]]) == 1  # who answers for the county: one
    put(store, ROOT / "data")
    with connect(store, role="owner") as conn:
        assert conn.execute("SELECT name FROM onemap.unit WHERE unit = 'swj'").fetchone() == ("县水务局",)


# A new process, from its file alone ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    folder = tmp_path_factory.mktemp("new")
    data = copy_of_data(folder, subsidy=SUBSIDY)
    with case_county(module_store, folder, data=data) as made:
        yield made


def apply_for(county: CaseCounty, **answers: str) -> tuple[str, str]:
    """A villager of grid 0 applies; returns number and code."""
    receipt = county.report(
        "member",
        process="subsidy",
        title="申请良种补贴",
        item_code=None,
        answers={"kind": "seed", "amount": "1200"} | answers,
    )
    return receipt.case_no, receipt.follow_code


def test_a_new_process_runs_from_its_file_alone(county: CaseCounty) -> None:
    case_no, code = apply_for(county, id_number="130529198001011234")
    assert case_no.startswith("BT")
    assert county.state(case_no) == "applied"
    assert county.do(case_no, "examine", "planner") is not None
    card = county.cases.card(case_no, principal=county.people["planner"])
    assert card.process_name == "补贴申请"
    assert card.row.state_name == "审核"
    assert card.due_words[0].endswith("受理，7 个工作日")
    assert {s.id for s in card.steps} >= {"pay", "refuse"}
    with pytest.raises(Forbidden):
        county.do(case_no, "pay", "cadre", paid_amount="1200", photos=(RECEIPT_PHOTO,))
    county.do(case_no, "pay", "planner", paid_amount="1200", photos=(RECEIPT_PHOTO,))
    assert county.state(case_no) == "paid"
    row = county.owner(
        "SELECT data, done_at IS NOT NULL, closed_at IS NOT NULL, ended_at IS NOT NULL FROM onemap.case_file WHERE case_no = %s",
        [case_no],
    )[0]
    assert row[1:] == (True, True, True)
    assert row[0]["paid_amount"] == "1200.00"
    assert "130529198001011234" not in str(row[0])
    sealed = county.owner(
        "SELECT s.field, s.value_masked FROM personal.case_secret s JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s",
        [case_no],
    )
    assert sealed == [("id_number", "130529********1234")]
    assert code


def test_its_forms_and_its_refusals_are_its_own(county: CaseCounty) -> None:
    from gis.cases.forms import FaultyAnswers

    with pytest.raises(FaultyAnswers) as e:
        apply_for(county, kind="gold", amount="99999999")
    assert set(e.value.faults) == {"kind", "amount"}
    case_no, _ = apply_for(county)
    with pytest.raises(FaultyAnswers) as e:
        county.do(case_no, "refuse", "planner")
    assert set(e.value.faults) == {"decision", "note"}
    county.do(case_no, "refuse", "planner", decision="papers", note="缺土地证")
    assert county.state(case_no) == "refused"


def test_incidents_run_beside_it_as_before(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    assert county.state(receipt.case_no) == "accepted"


# The command line ---------------------------------------------------------------------------------------------------


def test_the_command_line_tells_lists_and_draws(tmp_path: Path) -> None:
    from cli.process import app

    run = CliRunner().invoke
    told = run(app, ["show", "task"])
    assert told.exit_code == 0
    for word in ("下达", "签收", "核验", "销号", "report_back", "7 个工作日"):
        assert word in told.stdout, word
    assert run(app, ["show", "incident", "--dot"]).stdout.startswith('digraph "incident" {')
    assert run(app, ["list"]).exit_code == 0
    assert "2 个流程都对" in run(app, ["check"]).stdout
    good = tmp_path / "subsidy.toml"
    good.write_text(SUBSIDY, encoding="utf-8")
    assert "没有问题：补贴申请 第 1 版，4 个状态，3 个步骤" in run(app, ["check", str(good)]).stdout
    good.write_text(
        SUBSIDY.replace('to = "paid"', 'to = "gone"').replace('fixed = "7wd"', 'fixed = "x"'), encoding="utf-8"
    )
    bad = run(app, ["check", str(good)])
    assert isinstance(bad.exception, Exception)
    assert "没有状态 gone" in str(bad.exception)
    assert "没有时限类别 x" in str(bad.exception)
