"""What access costs: rows under a scope, the gate, argon2id, encrypting a column, recomputing the audit trail."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from argon2 import Type, extract_parameters
from limits import parse
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from dashboard.http.access import Door
from dashboard.http.gate import Gate
from dashboard.http.ratelimit import ANONYMOUS, Limits
from dashboard.http.routes import read_routes
from gis.access import audit, passwords, sessions
from gis.access.crypt import make_keys
from gis.access.principal import Principal
from gis.access.sign_in import Visitor
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import apply_schema, create_database, drop_database
from tests import access_store
from tests.bench.report import Figure
from tests.bench.scope import under_scope

_AUDIT_ROWS = 1_000_000
_VALUES = 400_000
# Least memory by passes, p=1. Source: OWASP Password Storage Cheat Sheet.
OWASP_KIB = {1: 47104, 2: 19456, 3: 12288, 4: 9216, 5: 7168}


def run(settings: Settings, *, quick: bool = False) -> list[Figure]:
    """Rows under a scope on the store as it is; everything else in a scratch database of its own."""
    name = f"bench_access_{os.getpid()}"
    scratch = settings.model_copy(update={"db_name": name})
    create_database(settings, name=name)
    try:
        apply_schema(settings, name=name)
        access_store.prepare(scratch)
        with TemporaryDirectory() as folder:
            return [
                *under_scope(settings, quick=quick),
                *_gate(scratch, Path(folder), rounds=200 if quick else 3000),
                *_argon2(rounds=5 if quick else 40),
                _encryption(scratch, Path(folder), values=10_000 if quick else _VALUES),
                *_audit(scratch, rows=20_000 if quick else _AUDIT_ROWS, writes=100 if quick else 1000),
            ]
    finally:
        drop_database(settings, name=name)


def _times_ms(act: Callable[[], object], rounds: int) -> list[float]:
    for _ in range(min(20, rounds - 1)):
        act()
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        act()
        took.append((time.perf_counter() - begun) * 1000)
    return sorted(took)


def _gate(scratch: Settings, folder: Path, *, rounds: int) -> list[Figure]:
    """The session query among 2,000 accounts and 20,000 sessions."""
    access_store.add_account(scratch, "wang.min", scope="130529100")
    token = (
        access_store.sign_in_of(scratch, keys=access_store.keys_in(scratch, folder))
        .by_password(login="wang.min", password=access_store.PASSWORD, visitor=Visitor("10.0.0.9"))
        .token
    )
    with connect(scratch, role="owner", autocommit=True) as conn:
        conn.execute(
            "INSERT INTO access.account (login, display_name, role) SELECT 'u' || i, 'x', 'grid_member' FROM generate_series(1, 2000) i"
        )
        conn.execute(
            "INSERT INTO access.session (token_hash, account_id, expires_at) SELECT sha256(i::text::bytea), account_id, now() + '1 h' "
            "FROM generate_series(1, 10) i0, LATERAL (SELECT account_id, i0 * 10000 + account_id AS i FROM access.account) a"
        )
        conn.execute("ANALYZE access.account, access.session, access.scope")
    with connect(scratch, role="app", autocommit=True) as conn:
        assert sessions.principal_of(conn, token, roles=access_store.ROLES) is not None
        took = _times_ms(lambda: sessions.principal_of(conn, token, roles=access_store.ROLES), rounds)
        nobody = _times_ms(lambda: sessions.principal_of(conn, "x" * 43, roles=access_store.ROLES), rounds)
    through = asyncio.run(_through_the_gate(scratch, token, rounds=rounds))
    return [
        Figure(
            "gate + session end to end, p50", statistics.median(through), "ms", 2.0,
            note=f"the whole gate around an application that answers at once, session asked of the store among 20,000; "
            f"p95 {through[int(rounds * 0.95)]:.2f} ms",
        ),
        Figure(
            "session → principal, one query, p50", statistics.median(took), "ms", note=f"p95 {took[int(rounds * 0.95)]:.2f} ms"
        ),
        Figure("unknown token, p50", statistics.median(nobody), "ms"),
    ]  # fmt: skip


async def _through_the_gate(scratch: Settings, token: str, *, rounds: int) -> list[float]:
    """Sorted milliseconds of requests from the first byte in to the last byte out of the gate; one after another."""
    door = Door(scratch)
    door.open()
    table = read_routes(scratch.data / "access" / "routes.toml", permissions=access_store.ROLES.sentences)
    boundless = Limits(
        {rule.rate: parse("1000000000/hour") for rule in table.rules} | {ANONYMOUS: parse("1000000000/hour")}
    )

    def resolve(token: str, address: str | None) -> Principal | None:
        with door.asking() as conn:
            return sessions.principal_of(conn, token, roles=access_store.ROLES, address=address)

    reached = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached += 1
        await PlainTextResponse("ok")(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None: ...

    gate = Gate(application, table=table, resolve=resolve, limits=boundless, csp="default-src 'self'")
    headers = [(b"host", b"127.0.0.1:8050"), (b"cookie", f"onemap_session={token}".encode()), (b"accept", b"*/*")]
    took = []
    try:
        for _ in range(rounds + 20):
            scope: Scope = {
                "type": "http", "method": "GET", "path": "/_dash-layout", "query_string": b"", "headers": headers,
                "client": ("10.0.0.9", 5000), "http_version": "1.1", "scheme": "http",
            }  # fmt: skip
            begun = time.perf_counter()
            await gate(scope, receive, send)
            took.append((time.perf_counter() - begun) * 1000)
    finally:
        door.close()
    assert reached == rounds + 20, "somebody was not let in"
    return sorted(took[20:])


def _argon2(*, rounds: int) -> list[Figure]:
    rules = access_store.RULES.password
    stored = passwords.hash_password(access_store.PASSWORD, rules=rules)
    passwords.warm_up(rules)
    known, unknown = [], []
    for _ in range(rounds):  # turn by turn: the machine's other work falls on both
        known += _times_ms(lambda: passwords.verify(stored, "wrong", rules=rules), 1)
        unknown += _times_ms(lambda: passwords.verify(None, "wrong", rules=rules), 1)
    # What is really in the hash, not what a file says.
    used = extract_parameters(stored)
    parameters = f"argon2{used.type.name.lower()} m={used.memory_cost} KiB t={used.time_cost} p={used.parallelism}"
    return [
        Figure(
            f"argon2id memory at {used.time_cost} passes, {used.parallelism} lane(s)",
            used.memory_cost,
            "KiB",
            OWASP_KIB.get(used.time_cost, OWASP_KIB[5]) if used.type is Type.ID else None,
            better="higher",
            note="OWASP Password Storage Cheat Sheet: 19 MiB at t=2, 12 at 3, 9 at 4, 7 at 5, 46 at 1; p=1",
        ),
        Figure("password verification, p50", statistics.median(known), "ms", note=parameters),
        Figure("the same for an unknown account, p50", statistics.median(unknown), "ms", note="the dummy hash"),
    ]


def _encryption(scratch: Settings, folder: Path, *, values: int) -> Figure:
    keys = make_keys(scratch.model_copy(update={"var": folder}))
    column = [f"13{n:09d}" for n in range(values)]
    begun = time.perf_counter()
    keys.encrypt_many(column, table="personal.person", rows=range(values), field="phone")
    seconds = time.perf_counter() - begun
    return Figure("encrypt 400,000 phone numbers, one core", seconds * _VALUES / values, "s", 3.0)


def _audit(scratch: Settings, *, rows: int, writes: int) -> list[Figure]:
    with connect(scratch, role="app", autocommit=True) as conn:
        took = _times_ms(lambda: audit.record(conn, action="look", object_kind="parcel", object_id=1), writes)
    _grow_trail(scratch, rows=rows)
    with connect(scratch, role="owner") as conn:
        begun = time.perf_counter()
        verdict = audit.verify(conn)
        seconds = time.perf_counter() - begun
    assert verdict.bad_seq is None
    return [
        Figure("audit row, own transaction with fsync, p50", statistics.median(took), "ms"),
        Figure(
            "audit verify",
            verdict.rows / seconds,
            "rows/s",
            better="higher",
            note=f"{verdict.rows:,} rows in {seconds:.1f} s",
        ),
    ]


def _grow_trail(scratch: Settings, *, rows: int) -> None:
    """Add rows by COPY, chained here: the trigger chains them one by one, which is right for people and slow for a million."""
    with connect(scratch, role="admin") as conn:
        head = audit.last(conn)
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER USER")
        at, chain = int(time.time()) * 1_000_000, head.hash
        with conn.cursor().copy(
            "COPY access.audit (seq, at, login, action, object_kind, object_id, reason, previous, hash) FROM STDIN"
        ) as copy:
            for seq in range(head.seq + 1, head.seq + rows + 1):
                fields = [
                    str(seq),
                    str(at),
                    None,
                    "wang.min",
                    None,
                    "look",
                    "parcel",
                    str(seq),
                    None,
                    None,
                    None,
                    "入户核实",
                    "{}",
                ]
                previous, chain = chain, audit.Texts(seq, chain, b"", fields).recomputed(chain)
                copy.write_row(
                    (
                        seq,
                        datetime.fromtimestamp(at // 1_000_000, UTC),
                        "wang.min",
                        "look",
                        "parcel",
                        str(seq),
                        "入户核实",
                        previous,
                        chain,
                    )
                )
        conn.execute("UPDATE access.audit_head SET seq = %s, hash = %s", [head.seq + rows, chain])
        conn.execute("ALTER TABLE access.audit ENABLE TRIGGER USER")
