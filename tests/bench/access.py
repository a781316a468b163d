"""What access costs: the gate's question, argon2id, encrypting a column, recomputing the audit trail."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from gis.access import audit, passwords, sessions
from gis.access.crypt import make_keys
from gis.access.sign_in import Visitor
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import apply_schema, create_database, drop_database
from tests import access_store
from tests.bench.report import Figure

_AUDIT_ROWS = 1_000_000
_VALUES = 400_000


def run(settings: Settings, *, quick: bool = False) -> list[Figure]:
    """Measure in a scratch database of its own."""
    name = f"bench_access_{os.getpid()}"
    scratch = settings.model_copy(update={"db_name": name})
    create_database(settings, name=name)
    try:
        apply_schema(settings, name=name)
        access_store.prepare(scratch)
        with TemporaryDirectory() as folder:
            return [
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
    return [
        Figure(
            "session → principal, one query, p50",
            statistics.median(took),
            "ms",
            1.0,
            note=f"p95 {took[int(rounds * 0.95)]:.2f} ms",
        ),
        Figure("unknown token, p50", statistics.median(nobody), "ms"),
    ]


def _argon2(*, rounds: int) -> list[Figure]:
    rules = access_store.RULES.password
    stored = passwords.hash_password(access_store.PASSWORD, rules=rules)
    passwords.warm_up(rules)
    known, unknown = [], []
    for _ in range(rounds):  # turn by turn: the machine's other work falls on both
        known += _times_ms(lambda: passwords.verify(stored, "wrong", rules=rules), 1)
        unknown += _times_ms(lambda: passwords.verify(None, "wrong", rules=rules), 1)
    parameters = f"argon2id m={rules.memory_kib} KiB t={rules.passes} p={rules.lanes}"
    return [
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
