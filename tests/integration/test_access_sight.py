"""What policies ask in one look-up is always what the scopes say: after every change, on every day, for every account."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from gis.access import accounts, scopes
from gis.clock import today
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

CODES = ["130529", "130529100", "130529101", "130529100200", "130529101200", "130529100200001"]


@pytest.fixture(scope="module")
def city(module_store: Settings) -> Settings:
    return a.prepare(module_store)


def seen(conn: Connection[Any], account: int) -> tuple[set[str], set[str]]:
    """What the policies ask, and what the scopes say; role app."""
    conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(account)])
    row = conn.execute("SELECT townships || others FROM access.mine").fetchone()
    truth = conn.execute("SELECT access.my_codes()").fetchone()
    assert truth is not None
    return (set(row[0]) if row else set()), set(truth[0])


def agree(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        everybody = [r[0] for r in conn.execute("SELECT account_id FROM access.account").fetchall()]
    with connect(store, role="app") as conn:
        for account in everybody:
            quick, truth = seen(conn, account)
            assert quick == truth, account


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.sampled_from(CODES), st.integers(-3, 3), st.one_of(st.none(), st.integers(0, 3))),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("role"), st.sampled_from(["planner", "commander", "system_admin", "wall"])),
        st.tuples(st.just("state"), st.sampled_from(["active", "disabled"])),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("move"), st.integers(0, 5)),
    ),
    max_size=8,
)  # fmt: skip


@given(deeds=DEEDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_changes_it_is_what_the_scopes_say(city: Settings, deeds: list[tuple[Any, ...]]) -> None:
    with connect(city, role="owner") as conn:
        one, other = (
            conn.execute(
                "INSERT INTO access.account (login, display_name, role) VALUES ('s' || gen_random_uuid()::text::varchar(20), 'x', 'planner') "
                "RETURNING account_id"
            ).fetchone()[0]  # type: ignore[index]
            for _ in range(2)
        )
    day = today()
    for deed in deeds:
        with connect(city, role="owner") as conn:
            mine = [
                r[0]
                for r in conn.execute(
                    "SELECT scope_id FROM access.scope WHERE account_id = %s ORDER BY 1", [one]
                ).fetchall()
            ]
            match deed:
                case ("grant", code, begins, length):
                    ends = None if length is None else day + timedelta(begins + length)
                    conn.execute(
                        "INSERT INTO access.scope (account_id, division_code, valid_from, valid_to) VALUES (%s, %s, %s, %s)",
                        [one, code, day + timedelta(begins), ends],
                    )
                case ("end", n) if mine:
                    conn.execute("SELECT access.scope_end(%s, 'x')", [mine[n % len(mine)]])
                case ("role", role):
                    conn.execute("UPDATE access.account SET role = %s WHERE account_id = %s", [role, one])
                case ("state", state):
                    conn.execute("UPDATE access.account SET state = %s WHERE account_id = %s", [state, one])
                case ("delete", n) if mine:
                    conn.execute("DELETE FROM access.scope WHERE scope_id = %s", [mine[n % len(mine)]])
                case ("move", n) if mine:
                    conn.execute(
                        "UPDATE access.scope SET account_id = %s WHERE scope_id = %s", [other, mine[n % len(mine)]]
                    )
    with connect(city, role="app") as conn:
        for account in (one, other):
            quick, truth = seen(conn, account)
            assert quick == truth


def test_midnight_needs_nobody(store: Settings) -> None:
    # What holds is answered for its days only: a scope that begins or ends at midnight does so without anything running.
    a.prepare(store)
    account = a.add_account(store, "wang.min", scope="130529100", password=None)
    with connect(store, role="owner") as conn:
        scopes.grant(conn, account_id=account, division_code="130529101", valid_from=today() + timedelta(1))
    for shift, expected in (
        (0, {"130529100"}),
        (1, {"130529100", "130529101"}),
        (400, {"130529100", "130529101"}),
        (-1, set[str]()),
    ):
        with connect(store, role="owner") as conn:
            conn.execute(
                "CREATE OR REPLACE FUNCTION access.today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS "
                f"$$ SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date + ({shift}) $$".encode()
            )
        with connect(store, role="app") as conn:
            quick, truth = seen(conn, account)
        assert quick == truth == expected, shift
    # Renewed on a later day, the quick way holds again.
    with connect(store, role="owner") as conn:
        conn.execute(
            "CREATE OR REPLACE FUNCTION access.today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS "
            "$$ SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date + 2 $$"
        )
        conn.execute("SELECT access.sight_renew(%s)", [account])
        row = conn.execute(
            "SELECT until = 'infinity', townships FROM access.sight WHERE principal = %s", [str(account)]
        ).fetchone()
    assert row == (True, ["130529100", "130529101"])


def test_two_changes_of_one_account_at_a_time_both_count(store: Settings) -> None:
    a.prepare(store)
    account = a.add_account(store, "wang.min", password=None)
    started = threading.Barrier(2)

    def give(code: str) -> None:
        with connect(store, role="owner") as conn:
            started.wait()
            conn.execute("INSERT INTO access.scope (account_id, division_code) VALUES (%s, %s)", [account, code])
            conn.execute("SELECT pg_sleep(0.2)")

    threads = [threading.Thread(target=give, args=[code]) for code in ("130529100", "130529101")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(store, role="app") as conn:
        quick, truth = seen(conn, account)
    assert quick == truth == {"130529100", "130529101"}


@pytest.mark.parametrize(
    ("trigger", "deed"),
    [
        ("sight_of_scope ON access.scope", "UPDATE access.scope SET valid_to = current_date"),
        ("sight_of_scope ON access.scope", "DELETE FROM access.scope"),
        ("sight_of_no_scope ON access.scope", "TRUNCATE access.scope"),
        ("sight_of_account ON access.account", "UPDATE access.account SET state = 'disabled'"),
        ("sight_of_account ON access.account", "UPDATE access.account SET role = 'audit_admin'"),
    ],
)
def test_each_trigger_is_missed_when_it_is_gone(store: Settings, trigger: str, deed: str) -> None:
    a.prepare(store)
    a.add_account(store, "wang.min", scope="130529100", password=None)
    agree(store)
    with connect(store, role="owner") as conn:
        conn.execute(f"DROP TRIGGER {trigger}".encode())
        conn.execute(deed.encode())
    with pytest.raises(AssertionError):
        agree(store)


@pytest.mark.parametrize("role", ["reader", "owner"])
def test_other_roles_see_nothing_by_naming_a_principal(city: Settings, role: str) -> None:
    account = a.add_account(city, f"by.{role}", scope="130529100", password=None)
    with connect(city, role=role) as conn:  # type: ignore[arg-type]
        conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(account)])
        assert conn.execute("SELECT * FROM access.mine").fetchall() == []


def test_the_scopes_of_a_new_administrator_end(city: Settings) -> None:
    account = a.add_account(city, "zhao", scope="130529100", password=None)
    with connect(city, role="owner") as conn:
        scopes.grant(conn, account_id=account, division_code="130529101", valid_from=today() + timedelta(5))
        accounts.set_role(conn, account_id=account, role="security_admin", reason="调岗")
        left = conn.execute(
            "SELECT count(*) FROM access.scope WHERE account_id = %s AND (valid_to IS NULL OR valid_to > greatest(current_date, valid_from))",
            [account],
        ).fetchone()
        assert len(scopes.list_scopes(conn, account_id=account)) == 2, "history stays"
        accounts.set_role(conn, account_id=account, role="planner", reason="调回")
    assert left == (0,)
    assert a.actions(city, object_id=account).count("scope.ended") == 2
    with connect(city, role="app") as conn:
        assert seen(conn, account) == (set(), set()), "the old scopes do not come back with the old role"
