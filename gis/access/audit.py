"""Audit trail (审计): rows are added only, each chained to the one before; recomputed here, outside the database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from gis.access.asking import ip, records, refusals
from gis.access.principal import current
from gis.store.queries import load_queries

GENESIS = hashlib.sha256(b"onemap audit").digest()
_BATCH = 20_000


@dataclass(frozen=True)
class AuditRow:
    """One row as the audit administrator reads it."""

    seq: int
    at: datetime
    account_id: int | None
    login: str | None
    role: str | None
    action: str
    object_kind: str | None
    object_id: str | None
    address: IPv4Address | IPv6Address | None
    before_digest: str | None
    after_digest: str | None
    reason: str | None
    detail: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Number and hash of the last row at some moment."""

    seq: int
    hash: bytes


@dataclass(frozen=True)
class Verdict:
    """What a verification found.

    Attributes
    ----------
    rows : int
        Rows recomputed.
    head : Head
        Last row that is sound.
    bad_seq : int or None
        First row that is wrong or missing; None: all sound.
    fault : str
        What is wrong with it, in Chinese; empty when sound.
    """

    rows: int
    head: Head
    bad_seq: int | None = None
    fault: str = ""


def digest(state: Mapping[str, Any] | None) -> str | None:
    """SHA-256 of an object's state, to show later what it was. Never of personal fields: few digits can be guessed."""
    if state is None:
        return None
    text = json.dumps(state, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    conn: Connection[Any],
    *,
    action: str,
    object_kind: str | None = None,
    object_id: object | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one row, in the caller's transaction: no row without the deed, no deed without the row.

    Who (the transaction's principal), when, number and chain are the database's. `detail` must be free of personal data.
    """
    principal = current.get()
    values = {
        "action": action,
        "object_kind": object_kind,
        "object_id": None if object_id is None else str(object_id),
        "address": ip(principal.address) if principal else None,
        "before": digest(before),
        "after": digest(after),
        "reason": reason,
        "detail": Jsonb(dict(detail or {})),
    }
    with refusals(), conn.cursor() as cursor:
        cursor.execute(load_queries("audit")["add"], values)


def search(
    conn: Connection[Any],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    login: str | None = None,
    action: str | None = None,
    object_kind: str | None = None,
    object_id: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditRow]:
    """Rows, newest first; `action` also matches its kinds (``sign_in`` → ``sign_in.failed``). Needs audit.read; is a row itself.

    Parameters
    ----------
    before : int or None
        Rows with smaller numbers: the next page.
    """
    values = {"since": since, "until": until, "login": login, "action": action, "object_kind": object_kind,
              "object_id": object_id, "before": before, "limit": limit}  # fmt: skip
    return records(conn, "search", AuditRow, values, subject="audit")


def last(conn: Connection[Any]) -> Head:
    """The head the database holds."""
    found = conn.cursor(row_factory=tuple_row).execute(load_queries("audit")["last"]).fetchone()
    return Head(found[0], bytes(found[1])) if found and found[0] is not None else Head(0, b"")


@dataclass(frozen=True)
class Texts:
    """One row as its hash sees it: what is stored, and the texts of all its fields."""

    seq: int
    previous: bytes
    hash: bytes
    fields: list[str | None]

    def recomputed(self, previous: bytes) -> bytes:
        """The hash this row must have after a row with hash `previous`."""
        return hashlib.sha256(previous + canonical(self.fields)).digest()


def canonical(fields: list[str | None]) -> bytes:
    """Every field with its length before it, so that no two rows read alike; the same as access.audit_text()."""
    return "|".join("-" if f is None else f"{len(f)}:{f}" for f in fields).encode()


def texts(conn: Connection[Any], *, after: int = 0) -> Iterator[Texts]:
    """All rows after number `after`, in order, a batch at a time."""
    query = load_queries("audit")["texts"]
    while True:
        with refusals():
            batch = conn.cursor(row_factory=tuple_row, binary=True).execute(query, [after, _BATCH]).fetchall()
        for seq, previous, stored, fields in batch:
            yield Texts(seq, previous, stored, fields)
        if len(batch) < _BATCH:
            return
        after = batch[-1][0]


def verify(conn: Connection[Any], *, remembered: Mapping[int, bytes] | None = None) -> Verdict:
    """Recompute the whole chain and name the first row that is wrong. Needs audit.read.

    Parameters
    ----------
    remembered : mapping of int to bytes
        Heads noted outside the database (audit_head.py): row number → hash. A chain that was cut, or rewritten from
        some row on with all hashes recomputed and the head patched, still differs from them.
    """
    remembered = remembered or {}
    sound = Head(0, GENESIS)
    for row in texts(conn):
        expected = sound.seq + 1
        if row.seq != expected:
            return Verdict(sound.seq, sound, expected, f"第 {expected} 条不见了，后面接着的是第 {row.seq} 条")
        if row.previous != sound.hash:
            return Verdict(sound.seq, sound, row.seq, f"第 {row.seq} 条接不上前一条：它或前一条被换过")
        if row.hash != row.recomputed(sound.hash):
            return Verdict(sound.seq, sound, row.seq, f"第 {row.seq} 条的内容被改动过")
        if remembered.get(row.seq, row.hash) != row.hash:
            return Verdict(sound.seq, sound, row.seq, f"第 {row.seq} 条和库外留底不同：它或更早的一条被整体改写过")
        sound = Head(row.seq, row.hash)
    furthest = max([last(conn).seq, *remembered])
    if furthest > sound.seq:
        return Verdict(sound.seq, sound, sound.seq + 1, f"尾部被截掉了：第 {sound.seq + 1} 到 {furthest} 条不见了")
    if last(conn) != sound:
        return Verdict(sound.seq, sound, sound.seq, "链头记录和最后一条不符：链头被改动过")
    return Verdict(sound.seq, sound)
