"""A small county under row-level security, people of several scopes, and the check that tells whether anybody sees or
writes a row that is not theirs."""

# ruff: noqa: S608 - every name put into a statement here is our own

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from gis.access.principal import Principal
from gis.access.roles import Roles, publish
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from gis.store.migrate import create_database, drop_database
from tests.scratch_county import Scratch, build_scratch
from tests.security import cases_fixture as cases

ROLES = Roles.load(ROOT / "data")
# Tables under row-level security (incident: a view of one) and what names a row of them.
TABLES = {
    "parcel": "parcel_id::text", "parcel_summary": "grid_code || '/' || land_class", "facility": "facility_id::text",
    "resource": "resource_id::text", "household": "household_id::text", "case_file": "case_id::text",
    "incident": "incident_id::text", "alert": "alert_id::text",
}  # fmt: skip
_MORE = """
INSERT INTO onemap.resource (resource_code, kind, name, grid_code, village_code, township_code, geom)
SELECT 'R' || facility_id, 'patrol', '巡逻队' || facility_id, grid_code, village_code, township_code, geom FROM onemap.facility;
INSERT INTO onemap.alert (kind, rule, rule_version, level, parcel_id, grid_code, village_code, township_code, geom)
SELECT 'farmland', 'r1', '1', 'red', parcel_id, grid_code, village_code, township_code, ST_PointOnSurface(geom)
FROM onemap.parcel WHERE parcel_id % 3 = 0;
-- 未落点: of every kind one that lies nowhere.
INSERT INTO onemap.facility (facility_code, kind, name) VALUES ('F-nowhere', 'village_clinic', '没有位置');
INSERT INTO onemap.resource (resource_code, kind, name) VALUES ('R-nowhere', 'patrol', '没有位置');
INSERT INTO onemap.household (household_no) VALUES ('H-nowhere');
"""


@dataclass(frozen=True)
class Secured:
    """A store under row-level security and the people in it, by a name for each: see `_people`."""

    settings: Settings
    scratch: Scratch
    people: dict[str, Principal]

    def __getitem__(self, name: str) -> Principal:
        return self.people[name]

    def owner(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Ask as the owner, who sees everything."""
        with connect(self.settings, role="owner") as conn:
            cursor = conn.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def asking(self, who: Principal | None, *, follow: str | None = None) -> Iterator[Connection[tuple[Any, ...]]]:
        """One transaction of role app as `who`, holding a case's code; rolled back."""
        with connect(self.settings, role="app") as conn:
            if who is not None:
                conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(who.account_id)])
            if follow is not None:
                conn.execute("SELECT set_config('onemap.follow', %s, true)", [follow])
            yield conn
            conn.rollback()


def _people(conn: Connection[Any], scratch: Scratch) -> dict[str, Principal]:
    """One account of each way to hold a scope, and of each way to hold none."""
    a, b = scratch.townships[:2]
    long_ago, today, soon = "2020-01-01", "current_date", "current_date + 1"
    wanted: dict[str, tuple[str, list[tuple[str, str, str | None]], str]] = {
        "commander": ("commander", [(scratch.county, long_ago, None)], "active"),
        "wall": ("wall", [(scratch.county, long_ago, None)], "active"),
        "planner_a": ("planner", [(a, long_ago, None)], "active"),
        "planner_b": ("planner", [(b, long_ago, None)], "active"),
        "planner_ab": ("planner", [(a, long_ago, None), (b, long_ago, None)], "active"),
        "cadre": ("village_cadre", [(scratch.villages[0], long_ago, None)], "active"),
        "grid_member": ("grid_member", [(scratch.grids[0], long_ago, None)], "active"),
        "ends_tomorrow": ("planner", [(a, long_ago, soon)], "active"),
        "expired": ("planner", [(a, long_ago, today)], "active"),
        "not_yet": ("planner", [(a, soon, None)], "active"),
        "disabled": ("commander", [(scratch.county, long_ago, None)], "disabled"),
        "without_scope": ("planner", [], "active"),
        "system_admin": ("system_admin", [(scratch.county, long_ago, None)], "active"),
        "security_admin": ("security_admin", [(scratch.county, long_ago, None)], "active"),
        "audit_admin": ("audit_admin", [(scratch.county, long_ago, None)], "active"),
    }
    made = {}
    for name, (role, scopes, state) in wanted.items():
        account = conn.execute(
            "INSERT INTO access.account (login, display_name, role, state) VALUES (%s, %s, %s, %s) RETURNING account_id",
            [name, name, role, state],
        ).fetchone()
        assert account is not None
        for code, begins, ends in scopes:
            begins = begins if begins.startswith("current") else f"DATE '{begins}'"
            conn.execute(
                "INSERT INTO access.scope (account_id, division_code, valid_from, valid_to) "
                f"VALUES (%s, %s, {begins}, {ends or 'NULL'})".encode(), [account[0], code],
            )  # fmt: skip
        holds = {"commander", "wall", "planner_a", "planner_b", "planner_ab", "cadre", "grid_member", "ends_tomorrow"}
        defined = ROLES.by_id[role]
        made[name] = Principal(
            account[0], name, name, role, defined.name, tuple(sorted(s[0] for s in scopes)) if name in holds else (),
            defined.permissions, None, "10.0.0.9",
        )  # fmt: skip
    return made


@pytest.fixture(scope="session", name="secured_template")
def template_fixture(cluster: Settings, template: str) -> Iterator[Secured]:
    """The filled store that others are cloned from; nobody connects to it for longer than a question."""
    name = f"rows_{os.getpid()}_{secrets.token_hex(3)}"
    create_database(cluster, name=name, template=template)
    settings = cluster.model_copy(update={"db_name": name})
    try:
        scratch = build_scratch(settings)
        with connect(settings, role="owner") as conn:
            conn.execute(_MORE)
            publish(conn, ROLES)
            people = _people(conn, scratch)
            cases.add_cases(conn, scratch, lambda name: people[name].account_id)
        yield Secured(settings, scratch, people)
    finally:
        drop_database(cluster, name=name)


@contextmanager
def clone(of: Secured) -> Iterator[Secured]:
    """A copy of a store, for a test that breaks something in it."""
    name = f"rc_{os.getpid()}_{secrets.token_hex(3)}"
    create_database(of.settings, name=name, template=of.settings.db_name)
    try:
        yield Secured(of.settings.model_copy(update={"db_name": name}), of.scratch, of.people)
    finally:
        drop_database(of.settings, name=name)


@pytest.fixture(scope="module", name="secured_store")
def store_fixture(secured_template: Secured) -> Iterator[Secured]:
    """A filled store under row-level security, shared by the tests of one module; they leave it as it was."""
    with clone(secured_template) as made:
        yield made


def covered(scope: tuple[str, ...], codes: tuple[str | None, ...]) -> bool:
    """Whether a row of these grid, village and township codes lies in the scope: the rule again, in other words."""
    return any(len(code) == 6 for code in scope) or any(code in scope for code in codes if code)


def rows_of(conn: Connection[Any], table: str) -> dict[str, tuple[str | None, ...]]:
    """Every row this connection sees of a table, with its codes."""
    query = f"SELECT {TABLES[table]}, nullif(grid_code, ''), village_code, township_code FROM onemap.{table}"
    return {key: tuple(codes) for key, *codes in conn.execute(query.encode()).fetchall()}


def unsecured(conn: Connection[Any]) -> list[str]:
    """Tables the web may read that carry a division and are not wholly under row-level security; from the catalogue."""
    found = conn.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
          AND (has_table_privilege('onemap_app', c.oid, 'SELECT') OR has_any_column_privilege('onemap_app', c.oid, 'SELECT'))
          AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
                      AND (a.attname ~ '(^|_)(grid|village|township|division)_code$' OR a.attname = 'case_id'))
          -- built-up land and water of a village, offices: common knowledge
          AND c.oid NOT IN ('onemap.ground'::regclass, 'onemap.unit'::regclass)
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                   AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname IN ('in_scope', 'with_case')))
        ORDER BY 1"""
    ).fetchall()
    return [row[0] for row in found]


def leaks(store: Secured) -> list[str]:
    """Try as everybody to read and to write, and tell wherever that went otherwise than it should; empty is good."""
    found = []
    with connect(store.settings, role="owner") as conn:
        found += [f"{table} is not under row-level security" for table in unsecured(conn)]
        everything = {table: rows_of(conn, table) for table in TABLES}
        hanging = cases.all_hanging(conn)
    for name in [*store.people, *STRANGERS]:
        who = store.people.get(name)
        scope = who.scope if who else ()
        with store.asking(who, follow=STRANGERS.get(name)) as conn:
            found += cases.hanging_leaks(conn, name, who.account_id if who else None, hanging)
            for table, rows in everything.items():
                seen, should = set(rows_of(conn, table)), {key for key, codes in rows.items() if covered(scope, codes)}
                if table in ("case_file", "incident"):
                    should |= {str(number) for number in cases.BEYOND.get(name, ())}
                if seen != should:
                    found.append(f"{name} reads {table}: {len(seen - should)} foreign, {len(should - seen)} missing")
    return found + [
        f"{name} {what}" for what, name, statement, rows in _writes(store) if _written(store, name, statement) != rows
    ]


REFUSED = -1
# Without an account: nobody at all, the holder of a case's code, and who has just made up a code for a new report.
STRANGERS = {"nobody": None, "holder": cases.CODE, "stranger": "0" * 64}
_IN = "(SELECT ST_PointOnSurface(geom) FROM onemap.division WHERE code = '{}')"
_ALERT = "INSERT INTO onemap.alert (kind, rule, rule_version, level, parcel_id, geom) VALUES ('farmland', 'r', '1', 'red', 1, {})"


def _writes(store: Secured) -> Iterator[tuple[str, str, str, int]]:
    """(what, who, statement, rows it should write or REFUSED)."""
    a, b = store.scratch.townships[:2]
    in_a, in_b = _IN.format(a), _IN.format(b)
    resources = store.owner("SELECT count(*) FROM onemap.resource WHERE township_code = %s", [a])[0][0]
    alerts = store.owner("SELECT count(*) FROM onemap.alert WHERE township_code = %s", [a])[0][0]
    open_ = store.owner("SELECT count(*) FROM onemap.case_file WHERE township_code = %s", [a])[0][0]
    open_ += len(cases.BEYOND["planner_a"])
    everywhere = store.owner("SELECT count(*) FROM onemap.case_file")[0][0]
    yield "reports in its township", "planner_a", cases.report(in_a), 1
    yield "reports in another township", "planner_a", cases.report(in_b), REFUSED
    yield "reports elsewhere under codes of its own", "planner_a", cases.report(
        in_b, grid_code=f"'{store.scratch.grids[0]}'", village_code=f"'{store.scratch.villages[0]}'", township_code=f"'{a}'"
    ), REFUSED  # fmt: skip
    yield "reports without a position", "grid_member", cases.report("NULL"), 1
    yield "reports without a position", "without_scope", cases.report("NULL"), REFUSED
    yield "reports without a position", "disabled", cases.report("NULL"), REFUSED
    yield "reports", "wall", cases.report(in_a), REFUSED
    yield "handles all cases", "planner_a", "UPDATE onemap.case_file SET state = 'handling'", open_
    yield "handles all cases", "commander", "UPDATE onemap.case_file SET state = 'handling'", everywhere
    yield "handles cases", "wall", "UPDATE onemap.case_file SET state = 'handling'", REFUSED
    yield "moves its cases to another township", "planner_a", f"UPDATE onemap.case_file SET geom = {in_b}", REFUSED
    yield "writes codes", "planner_a", f"UPDATE onemap.case_file SET township_code = '{b}', grid_code = NULL", open_
    yield "sends all resources", "planner_a", "UPDATE onemap.resource SET state = 'assigned'", resources
    yield "sends resources to another township", "planner_a", f"UPDATE onemap.resource SET geom = {in_b}", REFUSED
    yield "sends resources", "cadre", "UPDATE onemap.resource SET state = 'assigned'", REFUSED
    yield "verifies all alerts", "planner_a", "UPDATE onemap.alert SET state = 'verified'", alerts
    yield "verifies alerts", "wall", "UPDATE onemap.alert SET state = 'verified'", REFUSED
    yield "raises an alert", "planner_a", _ALERT.format(in_a), 1
    yield "raises an alert in another township", "planner_a", _ALERT.format(in_b), REFUSED
    yield "raises an alert", "wall", _ALERT.format(in_a), REFUSED
    yield from cases.writes(in_a, in_b, lambda name: store[name].account_id, REFUSED)


def _written(store: Secured, name: str, statement: str) -> int:
    with store.asking(store.people.get(name), follow=STRANGERS.get(name)) as conn:
        try:
            return conn.execute(statement.encode()).rowcount
        except psycopg.errors.InsufficientPrivilege:
            return REFUSED
