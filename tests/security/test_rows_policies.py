"""Row-level security itself: nobody sees or writes a row of another's divisions, and no policy can be missing unnoticed."""

from __future__ import annotations

import psycopg
import pytest

from gis.store.engine import connect
from tests.security.rows_fixture import (  # noqa: F401 - pytest finds fixtures among a module's names
    ROLES,
    TABLES,
    Secured,
    clone,
    leaks,
    rows_of,
    store_fixture,
    template_fixture,
    unsecured,
)

BLIND = ["expired", "not_yet", "disabled", "without_scope", "system_admin", "security_admin", "audit_admin"]


def test_everybody_reads_and_writes_exactly_what_is_theirs(secured_store: Secured) -> None:
    assert leaks(secured_store) == []


def test_there_is_something_to_leak(secured_store: Secured) -> None:
    for table in TABLES:
        townships = {
            row[0] for row in secured_store.owner(f"SELECT DISTINCT township_code FROM onemap.{table}")  # noqa: S608
        }  # fmt: skip
        assert set(secured_store.scratch.townships) <= townships, table


def test_no_administrator_is_forgotten() -> None:
    assert {role.id for role in ROLES.by_id.values() if role.administrator} <= set(BLIND)


@pytest.mark.parametrize("name", BLIND)
def test_who_holds_no_scope_sees_nothing(secured_store: Secured, name: str) -> None:
    with secured_store.asking(secured_store[name]) as conn:
        assert {table: len(rows_of(conn, table)) for table in TABLES} == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize("said", [None, "", "0", "999999", "-1", "1 OR 1=1", "planner_a", "1e0", "9" * 19, "٣", " "])
def test_an_unknown_principal_sees_nothing(secured_store: Secured, said: str | None) -> None:
    with connect(secured_store.settings, role="app") as conn:
        if said is not None:
            conn.execute("SELECT set_config('onemap.principal', %s, true)", [said])
        assert {table: len(rows_of(conn, table)) for table in TABLES} == dict.fromkeys(TABLES, 0)


def test_a_principal_ends_with_its_transaction(secured_store: Secured) -> None:
    with connect(secured_store.settings, role="app") as conn:
        with conn.transaction():
            conn.execute(
                "SELECT set_config('onemap.principal', %s, true)", [str(secured_store["commander"].account_id)]
            )
            assert len(rows_of(conn, "parcel")) == secured_store.scratch.parcels
        conn.commit()
        assert conn.execute("SELECT current_setting('onemap.principal', true)").fetchone() == ("",)
        assert rows_of(conn, "parcel") == {}


@pytest.mark.parametrize("role", ["reader"])
def test_only_the_webs_word_for_who_asks_is_believed(secured_store: Secured, role: str) -> None:
    with connect(secured_store.settings, role=role) as conn:  # type: ignore[arg-type]
        conn.execute("SELECT set_config('onemap.principal', %s, false)", [str(secured_store["commander"].account_id)])
        assert {table: len(rows_of(conn, table)) for table in TABLES} == dict.fromkeys(TABLES, 0)


def test_a_scope_that_ends_is_over_at_once(secured_template: Secured) -> None:
    with clone(secured_template) as store:
        who = store["planner_a"]
        with store.asking(who) as conn:
            assert rows_of(conn, "household")
        store.owner("UPDATE access.scope SET valid_to = current_date WHERE account_id = %s", [who.account_id])
        with store.asking(who) as conn:
            assert rows_of(conn, "household") == {}


def test_each_policy_is_missed_when_it_is_gone(secured_template: Secured) -> None:
    with connect(secured_template.settings, role="owner") as conn:
        policies = conn.execute(
            "SELECT polname, polrelid::regclass::text FROM pg_policy ORDER BY polrelid::regclass::text, polname"
        ).fetchall()
    assert len(policies) >= len(TABLES)
    unnoticed = []
    for policy, table in policies:
        with clone(secured_template) as store:
            store.owner(f"DROP POLICY {policy} ON {table}")
            if not leaks(store):
                unnoticed.append((policy, table))
    assert unnoticed == []


@pytest.mark.parametrize(
    "breakage",
    [
        "ALTER TABLE onemap.household DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE onemap.household NO FORCE ROW LEVEL SECURITY",
        "ALTER POLICY in_scope ON onemap.parcel USING (true)",
        "ALTER POLICY in_scope ON onemap.case_file WITH CHECK (true)",
        "ALTER POLICY in_scope ON onemap.facility USING (township_code LIKE current_setting('onemap.principal', true) || '%')",
        "CREATE POLICY another ON onemap.parcel_summary USING (true)",
        "CREATE TABLE onemap.extra (grid_code text); GRANT SELECT ON onemap.extra TO onemap_app",
    ],
)
def test_a_weakened_policy_is_noticed(secured_template: Secured, breakage: str) -> None:
    with clone(secured_template) as store:
        store.owner(breakage)
        assert leaks(store) != []


def test_every_table_with_a_division_is_secured(secured_store: Secured) -> None:
    with connect(secured_store.settings, role="owner") as conn:
        assert unsecured(conn) == []
        views = conn.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_rewrite w ON w.ev_class = c.oid "
            "JOIN pg_depend d ON d.objid = w.oid AND d.refclassid = 'pg_class'::regclass "
            "JOIN pg_class t ON t.oid = d.refobjid AND t.relrowsecurity "
            "WHERE c.relkind IN ('v', 'm') AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false) "
            "AND (has_any_column_privilege('onemap_app', c.oid, 'SELECT') OR has_any_column_privilege('onemap_reader', c.oid, 'SELECT'))"
        ).fetchall()
    assert views == []  # a view asks as its owner, who passes every policy


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE onemap_owner",
        "SET ROLE onemap_job",
        "SET SESSION AUTHORIZATION onemap_owner",
        "ALTER TABLE onemap.parcel DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE onemap.parcel NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY in_scope ON onemap.parcel",
        "CREATE POLICY mine ON onemap.parcel USING (true)",
        "CREATE OR REPLACE FUNCTION access.my_codes(digits integer DEFAULT NULL) RETURNS text[] LANGUAGE sql AS $$ SELECT '{130529}'::text[] $$",
        "ALTER ROLE onemap_app BYPASSRLS",
        "SET row_security = off; SELECT count(*) FROM onemap.parcel",
        "SELECT count(*) FROM personal.person",
        "SELECT count(*) FROM personal.contractor",
        "SELECT count(*) FROM intake.quarantine",
        "SELECT count(*) FROM access.scope",
        "UPDATE access.scope SET division_code = '130529'",
        "INSERT INTO access.scope (account_id, division_code) VALUES (1, '130529')",
        "COPY onemap.case_file (case_no) FROM STDIN",
        "TRUNCATE onemap.case_file",
        "CREATE VIEW public.all_parcels AS SELECT * FROM onemap.parcel",
        "CREATE TEMP VIEW v AS SELECT * FROM onemap.parcel; ALTER VIEW v OWNER TO onemap_owner",
    ],
)
def test_the_web_cannot_take_the_policies_off(secured_store: Secured, statement: str) -> None:
    with (
        secured_store.asking(secured_store["planner_a"]) as conn,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)),
    ):
        conn.execute(statement.encode())


def test_copying_out_hands_out_only_ones_own(secured_store: Secured) -> None:
    with (
        secured_store.asking(secured_store["planner_a"]) as conn,
        conn.cursor() as cursor,
        cursor.copy("COPY onemap.parcel (township_code) TO STDOUT") as copy,
    ):
        townships = {row[0] for row in copy.rows()}
    assert townships == {secured_store.scratch.townships[0]}


def test_statistics_tell_nothing_of_others(secured_store: Secured) -> None:
    with connect(secured_store.settings, role="admin") as conn:
        conn.execute("ANALYZE onemap.parcel")
        conn.commit()
    with secured_store.asking(secured_store["planner_a"]) as conn:
        told = conn.execute(
            "SELECT attname FROM pg_stats WHERE schemaname = 'onemap' AND tablename = ANY (%s)", [[*TABLES]]
        ).fetchall()
    assert told == []


def test_nobody_but_the_county_reads_what_lies_nowhere(secured_store: Secured) -> None:
    count = "SELECT count(*) FROM onemap.incident WHERE grid_code IS NULL"
    seen = {}
    for name in ("commander", "planner_ab", "cadre"):
        with secured_store.asking(secured_store[name]) as conn:
            seen[name] = conn.execute(count).fetchone()
    assert seen == {"commander": (1,), "planner_ab": (0,), "cadre": (0,)}


def test_no_foreign_row_comes_back_by_returning(secured_store: Secured) -> None:
    foreign = secured_store.owner(
        "SELECT case_id FROM onemap.case_file WHERE township_code = %s AND case_id < 9000 LIMIT 1",
        [secured_store.scratch.townships[1]],
    )
    with secured_store.asking(secured_store["planner_a"]) as conn:
        rows = conn.execute(
            "UPDATE onemap.case_file SET rating = 1 WHERE case_id = %s RETURNING title", [foreign[0][0]]
        ).fetchall()
        absent = conn.execute("UPDATE onemap.case_file SET rating = 1 WHERE case_id = -1 RETURNING title").fetchall()
    assert rows == absent == []
