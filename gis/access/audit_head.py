"""The audit trail's head, noted outside the database: what is cut off or rewritten there is still known here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from gis.access.audit import Head, last
from gis.clock import now
from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.queries import load_queries


def head_file(settings: Settings) -> Path:
    """``var/audit-head.json``: one JSON object a line, appended only. Copy it to another machine now and then."""
    return settings.audit_head_file or settings.var / "audit-head.json"


def remember(settings: Settings, conn: Connection[Any]) -> Head:
    """Append today's head when it has moved on. Cheap: call it at start, at stop, every few minutes, after a backup.

    Lines carry the database's identity, because one installation may hold several, one after another.
    """
    head = last(conn)
    noted = remembered(settings, conn)
    if head.seq and noted.get(head.seq) != head.hash:
        line = json.dumps(
            {"database": _identity(conn), "seq": head.seq, "hash": head.hash.hex(), "at": now().isoformat()}
        )
        path = head_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write of one short line with O_APPEND: two processes never mix theirs.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (line + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return head


def remembered(settings: Settings, conn: Connection[Any]) -> dict[int, bytes]:
    """Heads noted so far for this database: row number → hash. The first note of a number counts.

    Raises
    ------
    SetupProblem
        When a line cannot be read: the file was tampered with.
    """
    own = _identity(conn)
    return {seq: noted for database, seq, noted in reversed(_notes(head_file(settings))) if database == own}


def earlier(settings: Settings, conn: Connection[Any]) -> int:
    """Furthest row noted for a database of this name that was dropped, rebuilt or restored since; 0: none."""
    own = _identity(conn)
    name = own.partition("/")[0]
    return max(
        (
            seq
            for database, seq, _ in _notes(head_file(settings))
            if database != own and database.partition("/")[0] == name
        ),
        default=0,
    )


def _notes(path: Path) -> list[tuple[str, int, bytes]]:
    notes: list[tuple[str, int, bytes]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], start=1):
        try:
            entry = json.loads(line)
            notes.append((str(entry["database"]), int(entry["seq"]), bytes.fromhex(entry["hash"])))
        except (ValueError, KeyError, TypeError) as e:
            raise SetupProblem(
                f"审计留底 {path.name} 第 {number} 行读不出来。",
                next_step="和备份里的留底比对，改好后再运行 ./onemap audit verify。",
            ) from e
    return notes


def _identity(conn: Connection[Any]) -> str:
    """Name, cluster and number of the database: a rebuilt one starts a trail of its own."""
    found = conn.cursor(row_factory=tuple_row).execute(load_queries("audit")["identity"]).fetchone()
    assert found is not None  # a SELECT without FROM always answers
    return str(found[0])
