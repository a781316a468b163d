"""Demo accounts: one a role on real divisions, one password an installation, refused in production. And the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import access as access_cli
from cli import audit as audit_cli
from gis.access import accounts, audit_head, demo
from gis.access.demo import demo_password, make_demo_accounts, refuse_demo_in_production
from gis.access.sessions import principal_of
from gis.access.sign_in import Visitor
from gis.clock import now
from gis.errors import BadRequest, NotSignedIn, SetupProblem
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a


@pytest.fixture
def city(store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(demo, "demo_file", lambda _settings: tmp_path / "demo.json")
    monkeypatch.setattr(audit_head, "head_file", lambda _settings: tmp_path / "audit-head.json")
    monkeypatch.setenv("ONEMAP_DB_NAME", store.db_name)
    return a.prepare(store)


def test_every_role_can_sign_in_at_once_and_sees_its_level(city: Settings, tmp_path: Path) -> None:
    made = make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    assert {d.role for d in made} == set(a.ROLES.by_id) - {"partner"}  # it has keys and no password
    door = a.sign_in_of(city, keys=a.keys_in(city, tmp_path))
    password = demo_password(city)
    digits = {"county": 6, "township": 9, "village": 12, "grid": 15, "none": None}
    for account in made:
        token = door.by_password(login=account.login, password=password, visitor=Visitor()).token
        with connect(city, role="app") as conn:
            who = principal_of(conn, token, roles=a.ROLES)
        assert who is not None
        wanted = digits[a.ROLES.by_id[account.role].level]
        assert [len(code) for code in who.scope] == ([wanted] if wanted else [])


def test_a_township_can_be_chosen(city: Settings) -> None:
    made = make_demo_accounts(city, roles=a.ROLES, rules=a.RULES, township="130529101")
    assert {d.role: d.division_code for d in made if d.role in ("planner", "village_cadre", "grid_member", "commander")} == {
        "planner": "130529101", "village_cadre": "130529101200", "grid_member": "130529101200001", "commander": "130529",
    }  # fmt: skip


def test_a_township_the_county_does_not_have_leaves_nobody_without_a_scope(city: Settings) -> None:
    made = make_demo_accounts(city, roles=a.ROLES, rules=a.RULES, township="999999999")
    assert {d.role: d.division_code for d in made if d.role in ("planner", "village_cadre", "grid_member")} == {
        "planner": "130529100", "village_cadre": "130529100200", "grid_member": "130529100200001",
    }  # fmt: skip


def test_a_second_start_changes_nothing(city: Settings, tmp_path: Path) -> None:
    make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    with connect(city, role="owner") as conn:
        planner = accounts.account_by_login(conn, "planner").account_id
        accounts.set_role(conn, account_id=planner, role="analyst")
        accounts.set_state(conn, account_id=accounts.account_by_login(conn, "wall").account_id, state="disabled")
        before = conn.execute("SELECT account_id, role, state, password_hash FROM access.account ORDER BY 1").fetchall()
    make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    with connect(city, role="owner") as conn:
        assert (
            conn.execute("SELECT account_id, role, state, password_hash FROM access.account ORDER BY 1").fetchall()
            == before
        )
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


def test_a_lost_password_file_gives_all_of_them_a_new_one(city: Settings, tmp_path: Path) -> None:
    make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    old = demo_password(city)
    (tmp_path / "demo.json").unlink()
    make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    door = a.sign_in_of(city, keys=a.keys_in(city, tmp_path))
    with pytest.raises(NotSignedIn):
        door.by_password(login="planner", password=old, visitor=Visitor())
    assert door.by_password(login="planner", password=demo_password(city), visitor=Visitor()).awaiting is None


def test_a_production_start_with_demo_accounts_is_refused(city: Settings) -> None:
    production = city.model_copy(update={"production": True})
    refuse_demo_in_production(production)  # none yet
    make_demo_accounts(city, roles=a.ROLES, rules=a.RULES)
    refuse_demo_in_production(city)  # not production
    with pytest.raises(SetupProblem, match=f"演示账号，现有 {len(a.ROLES.by_id) - 1} 个"):
        refuse_demo_in_production(production)
    assert (
        CliRunner().invoke(access_cli.app, ["demo", "--disable"]).output.strip()
        == f"已停用 {len(a.ROLES.by_id) - 1} 个演示账号。"
    )
    refuse_demo_in_production(production)


def run(*words: str) -> str:
    app = audit_cli.app if words[0] == "audit" else access_cli.app
    result = CliRunner().invoke(app, list(words[1:]), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_matrix_shows_every_role_and_permission(city: Settings) -> None:
    shown = json.loads(run("access", "matrix", "--json"))
    assert {k: set(v["permissions"]) for k, v in shown["roles"].items()} == {
        k: set(r.permissions) for k, r in a.ROLES.by_id.items()
    }
    text = run("access", "matrix")
    assert all(p in text for p in a.ROLES.sentences)
    line = next(line for line in text.splitlines() if line.strip().startswith("audit.read"))
    assert line.count("●") == 1


def test_an_account_from_the_command_line(city: Settings, tmp_path: Path) -> None:
    said = run("access", "account", "add", "Wang.Min", "--role", "planner", "--name", "王敏", "--scope", "130529100")
    found = re.search(r"一次性密码：(\S+)（", said)
    assert found is not None
    door = a.sign_in_of(city, keys=a.keys_in(city, tmp_path))
    assert door.by_password(login="wang.min", password=found[1], visitor=Visitor()).awaiting == "new_password"
    assert "130529100" in run("access", "account", "list")
    number = re.search(
        r"范围编号 (\d+)", run("access", "scope", "add", "wang.min", "130529101", "--until", f"{now().year + 1}-01-01")
    )
    assert number is not None
    assert "镇1" in run("access", "scope", "list", "wang.min")
    run("access", "scope", "end", number[1], "--reason", "期满")
    again = re.search(r"一次性密码：(\S+)（", run("access", "account", "password", "wang.min"))
    assert again is not None
    assert again[1] != found[1]
    run("access", "account", "disable", "wang.min", "--reason", "调离")
    with pytest.raises(NotSignedIn):
        door.by_password(login="wang.min", password=again[1], visitor=Visitor())
    assert "已停用" in run("access", "account", "list")
    assert {"account.added", "scope.added", "scope.ended", "password.reset", "account.disabled"} <= set(a.actions(city))


def test_a_role_that_does_not_exist_is_said_with_the_choices(city: Settings) -> None:
    with pytest.raises(BadRequest, match="没有角色 king") as caught:
        run("access", "account", "add", "x.y", "--role", "king", "--name", "甲")
    assert "planner" in caught.value.next_step


def test_verify_notes_the_head_and_finds_a_flipped_byte(city: Settings, tmp_path: Path) -> None:
    assert "全部无误" in run("audit", "verify")
    assert len((tmp_path / "audit-head.json").read_text().splitlines()) == 1
    with connect(city, role="admin") as conn:
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER ALL")
        conn.execute("UPDATE access.audit SET action = 'roles.publishee' WHERE seq = 1")
    result = CliRunner().invoke(audit_cli.app, ["verify"])
    assert result.exit_code == 1
    assert "第 1 条的内容被改动过" in result.output
    assert len((tmp_path / "audit-head.json").read_text().splitlines()) == 1  # a broken trail's head is not noted


def test_list_and_receipt(city: Settings, tmp_path: Path) -> None:
    assert "roles.published" in run("audit", "list")
    with connect(city, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.county (code, name, profile, metric_srid, scale) VALUES ('130529', '小县', 'x', 4526, 'demo')"
        )
    page = tmp_path / "sheet.html"
    said = run("audit", "receipt", "--month", f"{now():%Y-%m}", "--record", "1", "--html", str(page))
    code = re.search(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){4}", said)
    assert code is not None
    assert "不要张贴" in said
    assert json.loads(said.partition("凭条文字：\n")[2].splitlines()[0])["public"][2] == "roles.published"
    assert code[0] not in page.read_text()
    with connect(city, role="owner") as conn:
        row = conn.execute("SELECT detail->>'code' FROM access.audit WHERE action = 'audit.receipt'").fetchone()
    assert row == (code[0],)
