"""The three administrators: what each may do, what none may do alone, what everybody else is refused by the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import psycopg
import pytest
from psycopg import sql

from gis.access import accounts, audit, devices, scopes, sessions
from gis.access.principal import Principal
from gis.access.roles import Roles, publish
from gis.clock import today
from gis.errors import BadRequest, DefinitionError, Forbidden, NotFound
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a


@pytest.fixture
def city(store: Settings) -> Settings:
    return a.prepare(store)


@pytest.fixture
def office(city: Settings) -> dict[str, int]:
    """The three administrators, a planner to act upon, and a commander."""
    made = {r: a.add_account(city, r.replace("_", "."), r, password=None) for r in a.ROLES.by_id}
    made["target"] = a.add_account(city, "target", "planner", scope="130529100", password=None)
    return made


Deed = Callable[[psycopg.Connection, dict[str, int]], object]
DEEDS: dict[str, tuple[str, Deed]] = {
    "add account": ("system_admin", lambda c, o: accounts.add(c, login="new", display_name="新", role="planner", rules=a.RULES)),
    "disable": ("system_admin", lambda c, o: accounts.set_state(c, account_id=o["target"], state="disabled")),
    "reset password": ("system_admin", lambda c, o: accounts.reset_password(c, account_id=o["target"], rules=a.RULES)),
    "set role": ("security_admin", lambda c, o: accounts.set_role(c, account_id=o["target"], role="analyst")),
    "grant": ("security_admin", lambda c, o: scopes.grant(c, account_id=o["target"], division_code="130529101")),
    "end scope": ("security_admin", lambda c, o: c.execute("SELECT access.scope_end(1, NULL)")),
    "forget factor": ("security_admin", lambda c, o: accounts.forget_second_factor(c, account_id=o["target"], reason="手机丢失")),
    "sessions": ("security_admin", lambda c, o: sessions.list_sessions(c)),
    "revoke": ("security_admin", lambda c, o: sessions.revoke(c, session_key="0" * 64)),
    "devices": ("security_admin", lambda c, o: devices.list_devices(c)),
    "device": ("security_admin", lambda c, o: devices.register(c, name="屏", account_id=o["wall"], rules=a.RULES)),
    "waiting": ("system_admin", lambda c, o: accounts.list_waiting(c)),
    "turn away": ("system_admin", lambda c, o: c.execute("SELECT access.identity_close(1, NULL, NULL)")),
    "pair again": ("security_admin", lambda c, o: c.execute("SELECT access.device_pair_again(1, %s, '1 min', NULL)", [b"x" * 32])),
    "read audit": ("audit_admin", lambda c, o: audit.search(c)),
    "verify audit": ("audit_admin", lambda c, o: audit.verify(c)),
}  # fmt: skip


@pytest.mark.parametrize("deed", DEEDS)
def test_each_deed_is_one_administrators_and_refused_to_everybody_else(
    city: Settings, office: dict[str, int], deed: str
) -> None:
    whose, act = DEEDS[deed]
    for role in a.ROLES.by_id:
        with a.acting(city, office[role]) as conn:
            if role == whose:
                with conn.transaction(force_rollback=True):
                    act(conn, office)
            else:
                with pytest.raises((Forbidden, psycopg.errors.InsufficientPrivilege)), conn.transaction():
                    act(conn, office)


@pytest.mark.parametrize("deed", DEEDS)
def test_without_a_principal_the_web_may_do_none_of_it(city: Settings, office: dict[str, int], deed: str) -> None:
    with connect(city, role="app") as conn, pytest.raises((Forbidden, psycopg.errors.InsufficientPrivilege)):
        DEEDS[deed][1](conn, office)


def test_a_disabled_administrator_may_nothing(city: Settings, office: dict[str, int]) -> None:
    with connect(city, role="owner") as conn:
        accounts.set_state(conn, account_id=office["audit_admin"], state="disabled")
    with a.acting(city, office["audit_admin"]) as conn, pytest.raises(Forbidden):
        audit.search(conn)


def test_the_system_administrator_cannot_make_an_administrator(city: Settings, office: dict[str, int]) -> None:
    for role in ("system_admin", "security_admin", "audit_admin"):
        with a.acting(city, office["system_admin"]) as conn, pytest.raises(Forbidden, match="安全管理员授予"):
            accounts.add(conn, login="helper", display_name="x", role=role, rules=a.RULES)


@pytest.mark.parametrize(("who", "deed"), [
    ("system_admin", lambda c, me: accounts.reset_password(c, account_id=me, rules=a.RULES)),
    ("system_admin", lambda c, me: accounts.set_state(c, account_id=me, state="disabled")),
    ("security_admin", lambda c, me: accounts.set_role(c, account_id=me, role="commander")),
    ("security_admin", lambda c, me: scopes.grant(c, account_id=me, division_code="130529")),
    ("security_admin", lambda c, me: accounts.forget_second_factor(c, account_id=me, reason="手机丢失")),
])  # fmt: skip
def test_nobody_changes_ones_own_account(
    city: Settings, office: dict[str, int], who: str, deed: Callable[[psycopg.Connection, int], object]
) -> None:
    with a.acting(city, office[who]) as conn, pytest.raises(Forbidden, match="自己"):
        deed(conn, office[who])


def test_an_administrator_is_given_no_scope(city: Settings, office: dict[str, int]) -> None:
    with a.acting(city, office["security_admin"]) as conn, pytest.raises(Forbidden, match="不看业务数据"):
        scopes.grant(conn, account_id=office["audit_admin"], division_code="130529")


def test_the_web_cannot_touch_the_tables_themselves(city: Settings) -> None:
    tables = [
        "account",
        "scope",
        "session",
        "login_failure",
        "device",
        "audit",
        "audit_head",
        "role",
        "role_permission",
    ]
    for role in ("app", "reader", "job"):
        with connect(city, role=role, autocommit=True) as conn:  # type: ignore[arg-type]
            for table in tables:
                for statement in (
                    f"SELECT 1 FROM access.{table}",  # noqa: S608
                    f"DELETE FROM access.{table}",  # noqa: S608
                    f"TRUNCATE access.{table}",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        conn.execute(statement.encode())


def test_the_functions_for_the_functions_are_closed(city: Settings) -> None:
    calls = [
        "access.note('x')", "access.act_as(1)", "access.sessions_end(1, 'x')", "access.not_myself(1)", "access.wait_s(1, '{1}')",
        "access.audit_text(NULL)",
    ]  # fmt: skip
    for role in ("app", "reader", "job"):
        with connect(city, role=role, autocommit=True) as conn:  # type: ignore[arg-type]
            for call in calls:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"SELECT {call}".encode())


def test_only_the_web_may_call_what_signs_in_and_administers(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        open_ = conn.execute(
            "SELECT p.oid::regprocedure::text, r.rolname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, pg_roles r "
            "WHERE n.nspname = 'access' AND r.rolname IN ('onemap_reader', 'onemap_job') "
            "AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1, 2"
        ).fetchall()
        unsafe = conn.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'access' AND p.prosecdef "
            "AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%pg_temp')"
        ).fetchall()
        silent = conn.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'access' AND obj_description(p.oid, 'pg_proc') IS NULL "
            "UNION ALL SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'access' AND c.relkind = 'r' AND obj_description(c.oid, 'pg_class') IS NULL"
        ).fetchall()
    # A policy's functions run as whoever reads: without them a reader of case_file gets an error instead of no rows. The last
    # three answer nobody but the web: NULL and {} for every other role.
    asked_by_policies = {
        "principal",
        "address",
        "today",
        "may",
        "must",
        "my_codes",
        "asker",
        "followed_case",
        "my_shared_cases",
    }
    # Steps the system takes by itself (gis/cases/sweep.py) ask who could take the case.
    asked_by_jobs = {"audit_last", "scope_follow", "my_unit", "case_candidates", "callback_candidate"}
    whose: dict[str, set[str]] = {"onemap_reader": set(), "onemap_job": set()}
    for name, role in open_:
        whose[role].add(name.partition("(")[0].removeprefix("access."))
    assert whose == {"onemap_reader": asked_by_policies, "onemap_job": asked_by_policies | asked_by_jobs}
    assert unsafe == []
    assert silent == []


def test_what_jobs_and_readers_may_call_tells_them_of_nobody(city: Settings, office: dict[str, int]) -> None:
    for role in ("reader", "job"):
        with connect(city, role=role) as conn:  # type: ignore[arg-type]
            conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(office["commander"])])
            said = conn.execute("SELECT access.asker(), access.my_shared_cases(), access.my_codes()").fetchone()
            assert said == (None, [], [])
            conn.execute(
                "SELECT set_config('onemap.principal', '', true), set_config('onemap.follow', repeat('0', 64), true)"
            )
            assert conn.execute("SELECT access.followed_case()").fetchone() == (None,)


# Another system -----------------------------------------------------------------------------------------------------


def test_another_system_has_no_password_and_no_outside_identity(city: Settings, office: dict[str, int]) -> None:
    other = office["partner"]
    with a.acting(city, office["system_admin"]) as conn, pytest.raises(BadRequest, match="对接系统只用密钥"):
        accounts.add(conn, login="hotline", display_name="甲", role="partner", rules=a.RULES, password=a.PASSWORD)
    with a.acting(city, office["system_admin"]) as conn, pytest.raises(Forbidden, match="对接系统只用密钥"):
        accounts.reset_password(conn, account_id=other, rules=a.RULES)
    # a person's account with a password does not become one, nor does one that comes in by the provider
    person = a.add_account(city, "person", "planner")
    with a.acting(city, office["security_admin"]) as conn, pytest.raises(Forbidden, match="请另建账号"):
        accounts.set_role(conn, account_id=person, role="partner")
    for column in ("password_hash", "oidc_subject"):
        change = sql.SQL("UPDATE access.account SET {} = %s WHERE account_id = %s").format(sql.Identifier(column))
        with connect(city, role="owner") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(change, ["https://id#1", other])
        with connect(city, role="owner") as conn:
            conn.execute(change, ["https://id#1", office["target"]])
        with connect(city, role="owner") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE access.account SET role = 'partner' WHERE account_id = %s", [office["target"]])
        with connect(city, role="owner") as conn:
            conn.execute(change, [None, office["target"]])


@pytest.mark.parametrize(("login", "role", "words"), [
    ("target", "planner", "已经有人用"), ("x", "planner", "不合要求"), ("王敏", "planner", "不合要求"), ("ok.name", "king", "没有角色 king"),
])  # fmt: skip
def test_a_wrong_account_is_refused_in_words(
    city: Settings, office: dict[str, int], login: str, role: str, words: str
) -> None:
    with a.acting(city, office["system_admin"]) as conn, pytest.raises(BadRequest, match=words):
        accounts.add(conn, login=login, display_name="甲", role=role, rules=a.RULES)


def test_a_scope_needs_a_division_that_exists_and_sane_dates(city: Settings, office: dict[str, int]) -> None:
    with a.acting(city, office["security_admin"]) as conn, pytest.raises(BadRequest, match="现行区划里没有"):
        scopes.grant(conn, account_id=office["target"], division_code="999999")
    with a.acting(city, office["security_admin"]) as conn, pytest.raises(BadRequest, match="日期先后"):
        scopes.grant(conn, account_id=office["target"], division_code="130529101", valid_to=date(2000, 1, 1))
    with a.acting(city, office["security_admin"]) as conn, pytest.raises((BadRequest, NotFound)):
        scopes.grant(conn, account_id=10**9, division_code="130529101")


def test_a_scope_with_an_end_is_listed_and_ended_once(city: Settings, office: dict[str, int]) -> None:
    with a.acting(city, office["security_admin"]) as conn:
        made = scopes.grant(
            conn,
            account_id=office["target"],
            division_code="130529101",
            valid_to=today() + timedelta(days=30),
            reason="借调",
        )
        row = next(s for s in scopes.list_scopes(conn, account_id=office["target"]) if s.scope_id == made)
        assert (row.division_name, row.valid_to, row.granted_by) == (
            "镇1",
            today() + timedelta(days=30),
            "security.admin",
        )
        scopes.end_scope(conn, scope_id=made, reason="回原单位")
        listed = next(x for x in accounts.list_accounts(conn) if x.login == "target")
        assert listed.scope == ["130529100"]
        with pytest.raises(NotFound):
            scopes.end_scope(conn, scope_id=made)


def test_every_change_is_an_audit_row_with_who_where_and_why(city: Settings, office: dict[str, int]) -> None:
    with a.acting(city, office["system_admin"], address="10.1.2.3") as conn:
        accounts.set_state(conn, account_id=office["target"], state="disabled", reason="调离")
    with connect(city, role="owner") as conn:
        row = conn.execute(
            "SELECT action, login, role, account_id, object_id, host(address), reason, detail FROM access.audit ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    assert row == (
        "account.disabled", "system.admin", "system_admin", office["system_admin"], str(office["target"]), "10.1.2.3", "调离",
        {"was": "active"},
    )  # fmt: skip


def test_roles_are_published_once_and_changes_are_recorded(city: Settings) -> None:
    def published() -> int:
        return a.actions(city).count("roles.published")

    assert published() == 1
    with connect(city, role="owner") as conn:
        publish(conn, a.ROLES)
    assert published() == 1
    fewer = dict(a.ROLES.by_id)
    fewer.pop("public")
    with connect(city, role="owner") as conn:
        publish(conn, Roles(fewer, a.ROLES.sentences))
        left = conn.execute("SELECT count(*) FROM access.role_permission WHERE role = 'public'").fetchone()
    assert left == (0,)
    assert published() == 2


def test_a_role_that_accounts_hold_cannot_vanish(city: Settings) -> None:
    a.add_account(city, "target", "planner", password=None)
    fewer = {k: v for k, v in a.ROLES.by_id.items() if k != "planner"}
    with connect(city, role="owner") as conn, pytest.raises(DefinitionError, match="planner"):
        publish(conn, Roles(fewer, a.ROLES.sentences))


def test_the_scope_functions_fail_closed(city: Settings) -> None:
    planner = a.add_account(city, "target", "planner", scope="130529100", password=None)

    def seen(principal: str | None) -> tuple[bool, ...]:
        answers = []
        for role, question in [
            ("owner", "access.covers(NULL, NULL, '130529100')"), ("owner", "access.covers(NULL, NULL, '130529101')"),
            ("owner", "access.covers(NULL, NULL, NULL)"), ("app", "access.may('map.view')"),
        ]:  # fmt: skip
            with connect(city, role=role) as conn:  # type: ignore[arg-type]
                if principal is not None:
                    conn.execute("SELECT set_config('onemap.principal', %s, true)", [principal])
                row = conn.execute(f"SELECT {question}".encode()).fetchone()
            assert row is not None
            answers.append(row[0])
        return tuple(answers)

    assert seen(str(planner)) == (True, False, False, True)
    for nobody in (None, "", "0", "999999"):
        assert seen(nobody) == (False, False, False, False)
    with connect(city, role="owner") as conn:
        accounts.set_state(conn, account_id=planner, state="disabled")
    assert seen(str(planner)) == (False, False, False, False)


def test_principal_objects_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Principal(1, "a", "甲", "planner", "x", (), frozenset()).role = "commander"  # type: ignore[misc]
