"""Cases that somebody sees by name and not by place: shared over a border, assigned, called back, reported, followed by code."""

# ruff: noqa: S608 - every name put into a statement here is our own

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from psycopg import Connection

from tests.scratch_county import Scratch

# What hangs on a case, and what names a row of it.
HANGING = {
    "case_event": "event_id", "case_part": "part_id", "case_photo": "photo_id", "case_callback": "callback_id",
    "case_notice": "notice_id",
}  # fmt: skip
CODE = sha256(b"the code on the villager's receipt").hexdigest()
OTHER_CODE = sha256(b"the code on a neighbour's receipt").hexdigest()

SHARED, SHARED_ENDED, ASSIGNED, ASSIGNED_ENDED, ASKED, ANSWERED, OWN, FOLLOWED, ANOTHER, BLINDS, COMMANDERS, PERMIT = (
    range(9001, 9013)
)
# Those who see a shared case because their division is part of it; so does everybody of the same scope.
BY_PLACE = {"planner_a": {SHARED}, "ends_tomorrow": {SHARED}, "cadre": {SHARED}}
# Beyond what their scope covers. A cross-village case is shown to whoever the other village's scope is.
BEYOND: dict[str, set[int]] = {
    "planner_a": {SHARED}, "ends_tomorrow": {SHARED}, "cadre": {SHARED, ASKED}, "grid_member": {ASSIGNED, OWN},
    "holder": {FOLLOWED},
}  # fmt: skip


def add_cases(conn: Connection[Any], scratch: Scratch, account: Callable[[str], int]) -> None:
    """Write one case of every way to be shared; all lie in the second township but for those that say so."""
    a, b = scratch.townships[:2]
    rows: dict[int, tuple[str, dict[str, Any]]] = {
        SHARED: (b, {}),
        SHARED_ENDED: (b, {"ended": True}),
        ASSIGNED: (b, {"assignee_id": account("grid_member")}),
        ASSIGNED_ENDED: (b, {"assignee_id": account("grid_member"), "ended": True}),
        ASKED: (b, {"ended": True}),
        ANSWERED: (b, {"ended": True}),
        OWN: (b, {"reporter_id": account("grid_member"), "ended": True}),
        FOLLOWED: (a, {"channel": "public"}),
        ANOTHER: (b, {"channel": "public"}),
        BLINDS: (b, {"reporter_id": account("disabled"), "assignee_id": account("without_scope")}),
        COMMANDERS: (b, {"reporter_id": account("system_admin"), "assignee_id": account("commander")}),
        PERMIT: (a, {"process": "permit"}),
    }
    conn.execute("SELECT setval('onemap.case_file_case_id_seq', %s)", [PERMIT])
    for number, (township, more) in rows.items():
        ended = more.pop("ended", False)
        columns = {"process": "incident", "channel": "grid", "state": "closed" if ended else "handling"} | more
        conn.execute(
            f"INSERT INTO onemap.case_file (case_id, case_no, title, reported_at, ended_at, {', '.join(columns)}, geom) "
            f"SELECT %s, %s, '涵管堵塞', now() - interval '40 days', {'now()' if ended else 'NULL'}, "
            f"{', '.join(['%s'] * len(columns))}, ST_PointOnSurface(geom) FROM onemap.division WHERE code = %s".encode(),
            [number, f"X{number}", *columns.values(), township],
        )
        conn.execute(
            "INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name) "
            "VALUES (%s, 1, 'report', 'reported', 'system', '系统')", [number],
        )  # fmt: skip
        conn.execute(
            "INSERT INTO onemap.case_photo (case_id, stage, upload_sha256) VALUES (%s, 'before', sha256('x'))", [number]
        )
        conn.execute(
            "INSERT INTO onemap.case_callback (case_id, asked_id, answered_at, agrees) VALUES (%s, %s, now(), true)",
            [number, account("expired")],
        )
        conn.execute(
            "INSERT INTO onemap.case_notice (case_id, to_account, kind, words) SELECT %s, n, 'late', '超期' FROM unnest(%s::bigint[]) n",
            [number, [None, *(account(n) for n in ("commander", "planner_a", "planner_b", "grid_member", "system_admin"))]],
        )  # fmt: skip
        conn.execute(
            "INSERT INTO onemap.case_part (case_id, is_lead, village_code, township_code) "
            "SELECT case_id, true, village_code, township_code FROM onemap.case_file WHERE case_id = %s", [number],
        )  # fmt: skip
    for number in (SHARED, SHARED_ENDED):
        conn.execute(
            "INSERT INTO onemap.case_part (case_id, village_code, township_code) VALUES (%s, %s, %s)",
            [number, scratch.villages[0], a],
        )
    for number, answered in ((ASKED, False), (ANSWERED, True)):
        conn.execute(
            "INSERT INTO onemap.case_callback (case_id, asked_id, answered_at, agrees) "
            "VALUES (%s, %s, CASE WHEN %s THEN now() END, CASE WHEN %s THEN true END)",
            [number, account("cadre"), answered, answered],
        )
    for number, code in ((FOLLOWED, CODE), (ANOTHER, OTHER_CODE)):
        conn.execute(
            "INSERT INTO personal.reporter (case_id, follow_key, phone_masked) VALUES (%s, decode(%s, 'hex'), '138****0000')",
            [number, code],
        )


def hanging_leaks(
    conn: Connection[Any], name: str, account: int | None, everything: dict[str, list[tuple[Any, ...]]]
) -> list[str]:
    """Tell where somebody sees another set of what hangs on cases than that of the cases they see."""
    cases = {row[0] for row in conn.execute("SELECT case_id FROM onemap.case_file").fetchall()}
    found = []
    for table, rows in everything.items():
        should = {key for key, case, to in rows if case in cases and (table != "case_notice" or to == account)}
        if table == "case_callback" and name == "holder":
            should = set()
        seen = {row[0] for row in conn.execute(f"SELECT {HANGING[table]} FROM onemap.{table}".encode()).fetchall()}
        if seen != should:
            found.append(f"{name} reads {table}: {len(seen - should)} foreign, {len(should - seen)} missing")
    return found


def all_hanging(conn: Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Key, case and addressee of every row that hangs on a case, as the owner sees them."""
    return {
        table: conn.execute(
            f"SELECT {key}, case_id, {'to_account' if table == 'case_notice' else 'NULL'} FROM onemap.{table}".encode()
        ).fetchall()
        for table, key in HANGING.items()
    }


_REPORT = (
    "INSERT INTO onemap.case_file (case_no, process, item_code, channel, title, reported_at, state, geom{more}) "
    "VALUES ('new', '{process}', '101', '{channel}', '路灯不亮', now(), '{state}', {place}{values})"
)


def report(
    place: str, *, process: str = "incident", channel: str = "grid", state: str = "reported", **more: str
) -> str:
    """Return the statement that reports a case at `place` (SQL), with more columns (SQL each)."""
    return _REPORT.format(
        place=place, process=process, channel=channel, state=state,
        more="".join(f", {c}" for c in more), values="".join(f", {v}" for v in more.values()),
    )  # fmt: skip


def writes(in_a: str, in_b: str, account: Callable[[str], int], refused: int) -> Iterator[tuple[str, str, str, int]]:
    """(what, who, statement, rows it should write or `refused`): what is theirs by name, and what a stranger may."""
    me = {name: str(account(name)) for name in ("grid_member", "planner_b", "without_scope", "wall", "system_admin")}
    yield "reports beyond its grid", "grid_member", report(in_b, reporter_id=me["grid_member"]), 1
    yield "reports beyond its grid as another", "grid_member", report(in_b, reporter_id=me["planner_b"]), refused
    for column, value in (
        ("accepted_at", "now()"),
        ("assignee_id", me["grid_member"]),
        ("closed_at", "now()"),
        ("ended_at", "now()"),
    ):
        more = {"reporter_id": me["grid_member"], column: value}
        yield f"reports beyond its grid with {column}", "grid_member", report(in_b, **more), refused
    yield "reports under its name", "without_scope", report(in_b, reporter_id=me["without_scope"]), refused
    yield "reports under its name", "wall", report(in_b, reporter_id=me["wall"]), refused
    yield "reports under its name", "system_admin", report(in_b, reporter_id=me["system_admin"]), refused
    rate = "UPDATE onemap.case_file SET rating = 5 WHERE case_id = {}"
    for name, number, rows in (
        ("grid_member", OWN, 1), ("grid_member", ASSIGNED, 1), ("grid_member", ASSIGNED_ENDED, 0), ("grid_member", SHARED, 0),
        ("planner_a", SHARED, 1), ("planner_a", SHARED_ENDED, 0), ("cadre", ASKED, 1), ("cadre", ANSWERED, 0),
        ("disabled", BLINDS, 0), ("without_scope", BLINDS, 0), ("system_admin", COMMANDERS, 0),
        ("holder", FOLLOWED, 1), ("holder", ANOTHER, 0), ("nobody", FOLLOWED, 0),
    ):  # fmt: skip
        yield f"works on case {number}", name, rate.format(number), rows
    yield "takes over every case it sees", "holder", "UPDATE onemap.case_file SET state = 'closed'", 1
    yield "makes itself the reporter", "wall", f"UPDATE onemap.case_file SET reporter_id = {me['wall']}", refused
    yield "reports", "stranger", report(in_a, channel="public"), 1
    yield "reports without a position", "stranger", report("NULL", channel="public"), 1
    yield "reports without a code", "nobody", report(in_a, channel="public"), refused
    yield "reports for another process", "stranger", report(in_a, channel="public", process="permit"), refused
    yield "reports by another channel", "stranger", report(in_a), refused
    yield "reports what is accepted already", "stranger", report(in_a, channel="public", state="accepted"), refused
    for column, value in (
        ("assignee_id", "1"), ("reporter_id", "1"), ("accepted_at", "now()"), ("done_at", "now()"), ("closed_at", "now()"),
        ("ended_at", "now()"), ("handled_level", "1"), ("rating", "5"),
    ):  # fmt: skip
        yield f"reports with {column}", "stranger", report(in_a, channel="public", **{column: value}), refused
    event = (
        "INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name) "
        "VALUES ({}, 2, 't', 's', 'account', 'x')"
    )
    photo = "INSERT INTO onemap.case_photo (case_id, stage, upload_sha256) VALUES ({}, 'after', sha256('y'))"
    part = "INSERT INTO onemap.case_part (case_id, village_code, township_code) VALUES ({}, 'v', 't')"
    callback = f"INSERT INTO onemap.case_callback (case_id, asked_id) VALUES ({{}}, {me['grid_member']})"
    notice = "INSERT INTO onemap.case_notice (case_id, kind, words) VALUES ({}, 'late', '超期')"
    for what, statement in (
        ("event", event),
        ("photo", photo),
        ("part", part),
        ("callback", callback),
        ("notice", notice),
    ):
        yield f"adds an {what} to a shared case", "planner_a", statement.format(SHARED), 1
        yield f"adds an {what} to a foreign case", "planner_a", statement.format(ANOTHER), refused
        yield f"adds an {what} to a foreign case", "holder", statement.format(ANOTHER), refused
