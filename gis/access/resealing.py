"""Keys and the store together: does the key at hand open what is sealed, and sealing anew after a change of key (换密钥)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import tuple_row

from gis.access.audit import record
from gis.access.crypt import Keys, key_file, load_keys, make_keys
from gis.errors import DefinitionError, SetupProblem
from gis.settings import Settings

_FILE = "access/sealed.toml"
_BATCH = 5_000
_LOST = (
    "从备份恢复密钥文件（{path}），再运行一次。没有备份，这些内容就再也打不开，新密钥也打不开它们。"
    "确认放弃时：./onemap reset 清空重来。"
)


@dataclass(frozen=True)
class Sealed:
    """One encrypted column: its table, and the SQL of the row and the field its ciphertexts are bound to."""

    schema: str
    table: str
    column: str
    row: str
    field: str

    @property
    def name(self) -> str:
        """``personal.person.name_enc``."""
        return f"{self.schema}.{self.table}.{self.column}"

    @property
    def place(self) -> str:
        """Table as ciphertexts name it."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class Resealed:
    """What one run did: values sealed anew, by column; and how many are left under an older key."""

    counts: dict[str, int]
    left: int


def read_sealed(data: Path) -> list[Sealed]:
    """Read data/access/sealed.toml.

    Raises
    ------
    DefinitionError
        When it does not load.
    """
    try:
        entries = tomllib.loads((data / _FILE).read_text(encoding="utf-8"))["sealed"]
        return [
            Sealed(entry["table"].split(".")[0], entry["table"].split(".")[1], column, entry["row"], field)
            for entry in entries
            for column, field in entry["columns"].items()
        ]
    except (OSError, tomllib.TOMLDecodeError, KeyError, IndexError, TypeError, AttributeError) as e:
        raise DefinitionError(f"data/{_FILE} 读不出来：{e}") from e


def unlisted(conn: Connection[Any], columns: list[Sealed]) -> list[str]:
    """Columns of the store that look encrypted (``*_enc``) and are not listed, and listed ones that are not there."""
    found = _rows(
        conn,
        sql.SQL("SELECT table_schema || '.' || table_name || '.' || column_name FROM information_schema.columns "
                "WHERE data_type = 'bytea' AND table_schema IN ('personal', 'intake', 'access', 'onemap')"),
    )  # fmt: skip
    there, listed = {row[0] for row in found}, {c.name for c in columns}
    return sorted(({name for name in there if name.endswith("_enc")} - listed) | (listed - there))


def keys_of_store(settings: Settings, conn: Connection[Any]) -> Keys:
    """The keys of this store: read, or made when there are none and nothing is sealed yet.

    A lost key is never quietly made anew: what is sealed would be lost for good, and nobody would notice before it is needed.

    Raises
    ------
    SetupProblem
        When the key file is missing although something is sealed, or does not open it.
    """
    path = key_file(settings)
    sample = _sample(conn, read_sealed(settings.data))
    if not path.exists():
        if sample:
            raise SetupProblem(
                f"密钥文件不见了，库里却有加密的个人信息（{sample[0][0].name} 等 {len(sample)} 列）。没有新建密钥。",
                next_step=_LOST.format(path=path),
            )
        return make_keys(settings)
    keys = load_keys(settings)
    for column, row, field, ciphertext in sample:
        try:
            keys.decrypt(ciphertext, table=column.place, row=row, field=field)
        except SetupProblem as e:
            raise SetupProblem(
                f"密钥文件打不开库里已有的个人信息（{column.name}）：它不是这个库的密钥，或数据被改动过。",
                next_step=_LOST.format(path=path),
            ) from e
    return keys


def reseal(
    connect: Callable[[], Connection[Any]],
    *,
    keys: Keys,
    columns: list[Sealed],
    on_progress: Callable[[str, int], None] = lambda column, done: None,
) -> Resealed:
    """Seal every value anew that an older key sealed. A batch a transaction: stopped anywhere, the next run goes on there.

    Parameters
    ----------
    connect : callable
        Opens a connection of role owner.
    on_progress : callable
        Column and values done so far.

    Raises
    ------
    SetupProblem
        When a value does not open: its key is gone, or it was tampered with. What was done before stays done.
    """
    counts: dict[str, int] = {}
    with connect() as conn:
        record(conn, action="key.reseal_begun", object_kind="key", object_id=keys.current_id)
    for column in columns:
        done = 0
        while True:
            with connect() as conn:
                batch = _batch(conn, column, keys)
                done += batch
                if batch < _BATCH:
                    if done:
                        detail = {"column": column.name, "values": done}
                        record(conn, action="key.resealed", object_kind="key", object_id=keys.current_id, detail=detail)
                    break
            on_progress(column.name, done)
        counts[column.name] = done
        on_progress(column.name, done)
    with connect() as conn:
        return Resealed(counts, sum(older(conn, keys=keys, columns=columns).values()))


def older(conn: Connection[Any], *, keys: Keys, columns: list[Sealed]) -> dict[str, int]:
    """How many values of each column are under another key than the newest; columns without any are left out."""
    counts = {}
    for column in columns:
        [(n,)] = _rows(
            conn,
            sql.SQL("SELECT count(*) FROM {} WHERE substring({} FROM 2 FOR 4) <> {}").format(
                sql.Identifier(column.schema, column.table), sql.Identifier(column.column), sql.Literal(bytes.fromhex(keys.current_id))
            ),
        )  # fmt: skip
        if n:
            counts[column.name] = n
    return counts


def _batch(conn: Connection[Any], column: Sealed, keys: Keys) -> int:
    table, name = sql.Identifier(column.schema, column.table), sql.Identifier(column.column)
    # Locked, so that the place of a row (ctid) holds until the update below.
    rows = _rows(
        conn,
        sql.SQL("SELECT ctid::text, ({})::text, ({})::text, {} FROM {} WHERE substring({} FROM 2 FOR 4) <> {} LIMIT {} FOR UPDATE").format(
            sql.SQL(column.row), sql.SQL(column.field), name, table, name,
            sql.Literal(bytes.fromhex(keys.current_id)), sql.Literal(_BATCH),
        ),
    )  # fmt: skip
    if not rows:
        return 0
    fresh = []
    for _, row, field, ciphertext in rows:
        clear = keys.decrypt(ciphertext, table=column.place, row=row, field=field)
        fresh.append(keys.encrypt(clear, table=column.place, row=row, field=field))
    conn.execute(
        sql.SQL("UPDATE {} t SET {} = u.fresh FROM unnest(%s::text[], %s::bytea[]) u(at, fresh) WHERE t.ctid = u.at::tid").format(
            table, name
        ),
        [[r[0] for r in rows], fresh],
    )  # fmt: skip
    return len(rows)


def _sample(conn: Connection[Any], columns: list[Sealed]) -> list[tuple[Sealed, str, str, bytes]]:
    """One value of every column that has any and that this role may read."""
    found = []
    for column in columns:
        [(readable,)] = _rows(
            conn,
            sql.SQL("SELECT coalesce(has_column_privilege(to_regclass({}), {}, 'SELECT'), false)").format(
                sql.Literal(column.place), sql.Literal(column.column)),
        )  # fmt: skip
        if not readable:
            continue
        # An empty value is a test's or a killed import's: no ciphertext.
        for row, field, ciphertext in _rows(
            conn,
            sql.SQL("SELECT ({})::text, ({})::text, {} FROM {} WHERE length({}) > 0 LIMIT 1").format(
                sql.SQL(column.row), sql.SQL(column.field), sql.Identifier(column.column),
                sql.Identifier(column.schema, column.table), sql.Identifier(column.column),
            ),
        ):  # fmt: skip
            found.append((column, row, field, bytes(ciphertext)))
    return found


def _rows(conn: Connection[Any], statement: sql.Composed | sql.SQL) -> list[tuple[Any, ...]]:
    return conn.cursor(row_factory=tuple_row).execute(statement).fetchall()
