"""Cases under row-level security: who sees one beyond their divisions, and what a stranger with a code may."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from gis.store.engine import connect
from tests.security.cases_fixture import (
    ASSIGNED,
    CODE,
    FOLLOWED,
    HANGING,
    OTHER_CODE,
    OWN,
    PERMIT,
    SHARED,
    SHARED_ENDED,
)
from tests.security.rows_fixture import (  # noqa: F401 - pytest finds fixtures among a module's names
    TABLES,
    Secured,
    clone,
    rows_of,
    store_fixture,
    template_fixture,
)


def cases(conn: Connection[Any]) -> set[int]:
    return {row[0] for row in conn.execute("SELECT case_id FROM onemap.case_file").fetchall()}


def test_a_stranger_with_a_code_sees_that_one_case_and_nothing_else(secured_store: Secured) -> None:
    with secured_store.asking(None, follow=CODE) as conn:
        assert cases(conn) == {FOLLOWED}
        assert {t: len(rows_of(conn, t)) for t in TABLES} == dict.fromkeys(TABLES, 0) | {"case_file": 1, "incident": 1}
        hanging = {
            t: conn.execute(f"SELECT count(*), min(case_id), max(case_id) FROM onemap.{t}".encode()).fetchone()  # noqa: S608
            for t in HANGING
        }
    assert hanging == dict.fromkeys(HANGING, (1, FOLLOWED, FOLLOWED)) | {"case_callback": (0, None, None)}


@pytest.mark.parametrize("code", ["", "0", CODE.upper(), CODE[:-1], CODE + "0", "%" * 64, "0" * 64, f"{CODE}' OR ''='"])
def test_a_wrong_code_shows_nothing(secured_store: Secured, code: str) -> None:
    with secured_store.asking(None, follow=code) as conn:
        assert cases(conn) == set()


def test_a_code_ends_with_its_transaction(secured_store: Secured) -> None:
    with connect(secured_store.settings, role="app") as conn:
        with conn.transaction():
            conn.execute("SELECT set_config('onemap.follow', %s, true)", [CODE])
            assert cases(conn) == {FOLLOWED}
        conn.commit()
        assert cases(conn) == set()


def test_a_code_gives_an_account_nothing(secured_store: Secured) -> None:
    with secured_store.asking(secured_store["planner_a"], follow=OTHER_CODE) as conn:
        both = cases(conn)
    with secured_store.asking(secured_store["planner_a"]) as conn:
        assert cases(conn) == both


def test_a_code_is_believed_from_the_web_alone(secured_store: Secured) -> None:
    with connect(secured_store.settings, role="reader") as conn:
        conn.execute("SELECT set_config('onemap.follow', %s, true)", [CODE])
        assert cases(conn) == set()


def test_a_stranger_reports_and_reads_it_back(secured_template: Secured) -> None:
    key = sha256(secrets.token_bytes(16))
    with clone(secured_template) as store:
        [[point]] = store.owner("SELECT ST_PointOnSurface(geom)::text FROM onemap.division WHERE level = 1")
        with store.asking(None, follow=key.hexdigest()) as conn:
            number = conn.execute("SELECT nextval('onemap.case_file_case_id_seq')").fetchone()
            assert number is not None
            conn.execute(
                "INSERT INTO onemap.case_file (case_id, case_no, channel, title, state, reported_at, geom) "
                "VALUES (%s, onemap.next_case_no('SJ', '2026-11-22'), 'public', '路面塌陷', 'reported', now(), %s::geometry)",
                [number[0], point],
            )
            assert cases(conn) == set()
            conn.execute(
                "SELECT onemap.reporter_keep(%s, %s, NULL, NULL, NULL, '张*', '138****0000', NULL, NULL)",
                [number[0], key.digest()],
            )
            assert cases(conn) == {number[0]}
            [case_no] = conn.execute("SELECT case_no FROM onemap.incident").fetchall()
            assert case_no == ("SJ2026112200001",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("SELECT name_masked FROM personal.reporter")


def test_a_code_cannot_be_put_on_another_case(secured_store: Secured) -> None:
    key = sha256(b"mine").digest()
    for who, follow in ((None, "0" * 64), (secured_store["commander"], None)):
        with (
            secured_store.asking(who, follow=follow) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="只能随新办件写入"),
        ):
            conn.execute("SELECT onemap.reporter_keep(%s, %s, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", [SHARED, key])


def test_a_neighbour_sees_a_case_while_part_of_it_is_hers_and_it_is_open(secured_template: Secured) -> None:
    with clone(secured_template) as store:
        planner, parts = store["planner_a"], "SELECT count(*) FROM onemap.case_part WHERE case_id = %s"
        with store.asking(planner) as conn:
            assert SHARED in cases(conn)
            assert SHARED_ENDED not in cases(conn)
            assert conn.execute(parts, [SHARED]).fetchone() == (2,)  # the other village's part of it too
            assert conn.execute(parts, [SHARED_ENDED]).fetchone() == (0,)
        store.owner("UPDATE onemap.case_file SET ended_at = now() WHERE case_id = %s", [SHARED])
        with store.asking(planner) as conn:
            assert SHARED not in cases(conn)
        store.owner("UPDATE onemap.case_file SET ended_at = NULL WHERE case_id = %s", [SHARED])
        store.owner("DELETE FROM onemap.case_part WHERE case_id = %s AND NOT is_lead", [SHARED])
        with store.asking(planner) as conn:
            assert SHARED not in cases(conn)


def test_what_one_reported_beyond_ones_grid_is_seen_and_no_row_beside_it(secured_store: Secured) -> None:
    who, b = secured_store["grid_member"], secured_store.scratch.townships[1]
    with secured_store.asking(who) as conn:
        conn.execute(
            "INSERT INTO onemap.case_file (case_no, channel, title, state, reported_at, reporter_id, geom) SELECT 'beyond', "
            "'grid', '涵管堵塞', 'reported', now(), %s, ST_PointOnSurface(geom) FROM onemap.division WHERE code = %s",
            [who.account_id, b],
        )
        seen = conn.execute("SELECT case_no FROM onemap.case_file WHERE township_code = %s", [b]).fetchall()
    assert {row[0] for row in seen} == {"beyond", f"X{OWN}", f"X{ASSIGNED}"}


def test_the_incidents_are_the_cases_of_one_process(secured_store: Secured) -> None:
    with secured_store.asking(secured_store["commander"]) as conn:
        incidents = {int(key) for key in rows_of(conn, "incident")}
        assert cases(conn) - incidents == {PERMIT}


def test_near_a_point_a_stranger_learns_no_more_than_number_item_state_and_day(secured_store: Secured) -> None:
    with secured_store.asking(None) as conn:
        found = conn.execute(
            "SELECT n.* FROM onemap.division d, ST_PointOnSurface(d.geom) p, "
            "onemap.cases_near(ST_X(p), ST_Y(p), 300, NULL, now() - interval '90 days') n WHERE d.code = %s",
            [secured_store.scratch.townships[1]],
        )
        assert [c.name for c in found.description or ()] == [
            "case_no",
            "item_code",
            "state",
            "reported_at",
            "dist_m",
            "likeness",
        ]
        numbers = {row[0] for row in found.fetchall()}
    assert f"X{SHARED}" in numbers
    assert f"X{SHARED_ENDED}" not in numbers


def test_who_reported_is_told_masked_and_in_scope_alone(secured_store: Secured) -> None:
    ask = "SELECT phone_masked FROM access.reporter_of(%s)"
    with secured_store.asking(secured_store["planner_a"]) as conn:
        assert conn.execute(ask, [FOLLOWED]).fetchall() == [("138****0000",)]
    with secured_store.asking(secured_store["planner_b"]) as conn:
        assert conn.execute(ask, [FOLLOWED]).fetchall() == []
    for who, follow in ((None, CODE), (secured_store["wall"], None)):
        with secured_store.asking(who, follow=follow) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(ask, [FOLLOWED])
