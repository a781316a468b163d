"""Receipts (公示码): one code a month for the notice board that fixes every audit row of that month, and slips to check one row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from gis.access.asking import refusals
from gis.access.audit import canonical
from gis.clock import ZONE
from gis.errors import BadRequest, NotFound
from gis.store.queries import load_queries

# Crockford's base32: no I, L, O, U, so that nobody copies a wrong letter from the board.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 20  # characters, 100 bits of the root
_BATCH = 50_000


@dataclass(frozen=True)
class Step:
    """One step up the tree: the sibling's hash and on which side it stands."""

    side: str
    hash: bytes


@dataclass(frozen=True)
class Receipt:
    """A month's root.

    Attributes
    ----------
    month : str
        ``2026-10``.
    rows, first_seq, last_seq : int
        How many rows, from which number to which.
    root : bytes
        32 bytes; `code` is its beginning, to be read and typed by people.
    complete : bool
        False while the month is not over: the root will change, so it must not go on the board.
    """

    month: str
    county: str
    rows: int
    first_seq: int
    last_seq: int
    root: bytes
    complete: bool

    @property
    def code(self) -> str:
        """``XXXX-XXXX-XXXX-XXXX-XXXX``."""
        return code_of(self.root)


@dataclass(frozen=True)
class Slip:
    """What a villager gets of one row: what is public, the row's hash (which tells nothing), and the way to the root.

    Attributes
    ----------
    public : list of str or None
        Number, time (China Standard Time), action, kind of object, object id.
    """

    month: str
    county: str
    rows: int
    public: list[str | None]
    row_hash: bytes
    path: list[Step]
    code: str

    def as_dict(self) -> dict[str, Any]:
        """The slip as the offline page reads it; hashes in hex."""
        return {
            "month": self.month, "county": self.county, "rows": self.rows, "public": self.public, "row_hash": self.row_hash.hex(),
            "path": [[s.side, s.hash.hex()] for s in self.path],
        }  # fmt: skip


def leaf(public: list[str | None], row_hash: bytes) -> bytes:
    """Leaf of one row: its public texts and its chain hash. 0x00 and 0x01 keep leaves and nodes apart (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x00" + hashlib.sha256(canonical(public)).digest() + row_hash).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Inner node of the tree."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree(leaves: list[bytes]) -> list[list[bytes]]:
    """Levels of the Merkle tree, leaves first; a last one without a sibling moves up as it is (the tree of RFC 6962)."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append(above + ([below[-1]] if len(below) % 2 else []))
    return levels


def path_of(levels: list[list[bytes]], index: int) -> list[Step]:
    """Siblings from one leaf up to the top."""
    steps = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            steps.append(Step("left" if sibling < index else "right", level[sibling]))
        index //= 2
    return steps


def root_of(top: bytes, *, month: str, county: str, rows: int) -> bytes:
    """The root on the board: the tree's top together with county, month and number of rows."""
    return hashlib.sha256(f"onemap receipt\n{county}\n{month}\n{rows}\n".encode() + top).digest()


def code_of(root: bytes) -> str:
    """First 100 bits of a root in groups of four characters."""
    number = int.from_bytes(root, "big") >> (len(root) * 8 - CODE_LENGTH * 5)
    text = "".join(ALPHABET[number >> (5 * i) & 31] for i in reversed(range(CODE_LENGTH)))
    return "-".join(text[i : i + 4] for i in range(0, CODE_LENGTH, 4))


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """First moment of a month and of the next, China Standard Time.

    Raises
    ------
    BadRequest
        When it is not written ``2026-10``.
    """
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=ZONE)
    except ValueError:
        raise BadRequest(f"月份写法不对：{month}。", next_step="例：--month 2026-10") from None
    return first, first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def read_month(conn: Connection[Any], month: str) -> list[tuple[int, bytes, list[str | None]]]:
    """Number, hash and public texts of every row of a month, in order. Needs audit.read."""
    since, until = month_bounds(month)
    found: list[tuple[int, bytes, list[str | None]]] = []
    while True:
        after = found[-1][0] if found else 0
        with refusals():
            batch = conn.cursor(row_factory=tuple_row, binary=True).execute(
                load_queries("audit")["month"], {"since": since, "until": until, "after": after, "limit": _BATCH}
            ).fetchall()  # fmt: skip
        found.extend(batch)
        if len(batch) < _BATCH:
            return found


def receipt(conn: Connection[Any], *, month: str, county: str, at: datetime) -> tuple[Receipt, list[list[bytes]]]:
    """A month's receipt and its tree.

    Parameters
    ----------
    at : datetime
        The present moment: a month that is not over yet is marked.

    Raises
    ------
    NotFound
        When the month has no rows.
    """
    rows = read_month(conn, month)
    if not rows:
        raise NotFound(f"{month} 没有审计记录。", next_step="核对月份。")
    levels = tree([leaf(public, row_hash) for _, row_hash, public in rows])
    made = Receipt(
        month=month,
        county=county,
        rows=len(rows),
        first_seq=rows[0][0],
        last_seq=rows[-1][0],
        root=root_of(levels[-1][0], month=month, county=county, rows=len(rows)),
        complete=at >= month_bounds(month)[1],
    )
    return made, levels


def slip(conn: Connection[Any], *, month: str, county: str, seq: int, at: datetime) -> tuple[Receipt, Slip]:
    """A villager's slip for one row of a month.

    Raises
    ------
    NotFound
        When the row is not of that month.
    """
    made, levels = receipt(conn, month=month, county=county, at=at)
    rows = read_month(conn, month)
    index = next((i for i, (number, _, _) in enumerate(rows) if number == seq), None)
    if index is None:
        raise NotFound(
            f"{month} 没有第 {seq} 条审计记录。",
            next_step=f"该月的记录从第 {made.first_seq} 条到第 {made.last_seq} 条。",
        )
    _, row_hash, public = rows[index]
    return made, Slip(
        month=month,
        county=county,
        rows=made.rows,
        public=public,
        row_hash=row_hash,
        path=path_of(levels, index),
        code=made.code,
    )
