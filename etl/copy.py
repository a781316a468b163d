"""Bulk loading (批量入库): whole columns into a table by binary COPY, indexes dropped and rebuilt around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise, repeat
from time import perf_counter
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection, sql

from gis.errors import BadInput
from gis.settings import Role, Settings
from gis.store.engine import connect

Columns = Mapping[str, Any]
"""Column name → ndarray (also masked), sequence, or one scalar for all rows. None, NaN, NaT and masked are NULL."""

# Below this many rows keeping the indexes is cheaper than dropping and rebuilding them.
_WORTH_DROPPING = 20_000
# Rows turned into Python objects at a time: small enough to stay in the processor's cache with their WKB.
_CHUNK = 10_000
_EPOCH = np.datetime64("2000-01-01", "us")
_WHOLE = {"int2": np.int64, "int4": np.int64, "int8": np.int64}


@dataclass(frozen=True)
class LoadTimes:
    """What one `load_table` did: rows and seconds of each phase."""

    rows: int
    copy_s: float
    index_s: float
    analyse_s: float

    @property
    def total_s(self) -> float:
        """Seconds of all phases."""
        return self.copy_s + self.index_s + self.analyse_s


def table_types(conn: Connection, table: str) -> dict[str, str]:
    """Name of the type of each column one may write, as COPY needs it (``int8``, ``text``, ``geometry`` ...)."""
    rows = conn.execute(
        "SELECT a.attname, CASE WHEN t.typcategory = 'A' THEN e.typname || '[]' ELSE t.typname END "
        "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem "
        "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
        [table],
    ).fetchall()
    return dict(rows)


def copy_rows(conn: Connection, table: str, columns: Columns, *, rows: slice | None = None) -> int:
    """Append rows by one binary COPY inside the caller's transaction; indexes and triggers stay as they are.

    Parameters
    ----------
    table : str
        With its schema: ``onemap.parcel``.
    columns : Columns
        All of one length; scalars are repeated. Geometries are shapely objects in EPSG:4490 lon/lat.
        ``datetime64`` values are UTC.
    rows : slice or None
        Only these rows.

    Raises
    ------
    BadInput
        Columns of different lengths, or a column the table does not have.
    """
    types = table_types(conn, table)
    unknown = set(columns) - set(types)
    if unknown:
        raise BadInput(
            f"表 {table} 没有列：{'、'.join(sorted(unknown))}。", next_step="对照 sql/schema/ 改正字段对应。"
        )
    start, stop, _ = (rows or slice(None)).indices(count_rows(columns))
    if start >= stop:
        return 0
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(*table.split(".")), names)
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_wire_type(values, types[name]) for name, values in columns.items()])
        write = copy.write_row
        for low in range(start, stop, _CHUNK):
            chunk = slice(low, min(low + _CHUNK, stop))
            for row in zip(*(_objects(v, types[n], chunk) for n, v in columns.items()), strict=True):
                write(row)
    return stop - start


def count_rows(columns: Columns) -> int:
    """Return the length all columns share; BadInput when they differ."""
    lengths = {len(v) for v in columns.values() if _is_column(v)}
    if len(lengths) != 1:
        raise BadInput(f"各列长度不一：{sorted(lengths)}。", next_step="这是程序错误，请报告给开发者。")
    return lengths.pop()


def load_table(
    settings: Settings,
    table: str,
    columns: Columns,
    *,
    connections: int = 1,
    role: Role = "owner",
) -> LoadTimes:
    """Fill a table over several connections: drop secondary indexes when it is empty, COPY, rebuild, ANALYZE.

    Each connection commits its own part, so this is for builds that start over when killed. A failure empties a
    table that was empty before; a killed load is found and mended by `mend` at the next one. All-or-nothing
    imports use `copy_rows` in their own transaction.

    Parameters
    ----------
    connections : int
        Parallel COPYs and index builds. Two pay from about 50,000 rows on (the server spends several times the
        processor time the client does).
    role : str
        Only the owner can drop indexes; other roles load with the indexes in place.
    """
    n = count_rows(columns)
    with ExitStack() as stack:
        links = [stack.enter_context(connect(settings, role=role, autocommit=True)) for _ in range(max(1, connections))]
        pool = stack.enter_context(ThreadPoolExecutor(len(links)))
        first = links[0]
        if role == "owner":
            mend(first, table=table)
        began = perf_counter()
        schema_table = sql.Identifier(*table.split("."))
        was_empty = first.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(schema_table)).fetchone() is None
        dropped = _drop_indexes(first, table) if role == "owner" and was_empty and n >= _WORTH_DROPPING else []
        try:
            # Contiguous parts: rows that lie together stay together in the table's pages
            bounds = np.linspace(0, n, len(links) + 1).astype(int)
            parts = [slice(int(a), int(b)) for a, b in pairwise(bounds)]
            list(pool.map(lambda link, part: copy_rows(link, table, columns, rows=part), links, parts))
            copied = perf_counter()
            _rebuild(links, dropped, pool)
        except BaseException:
            if dropped:
                mend(first, table=table)
            raise
        _advance_identity(first, table, columns)
        indexed = perf_counter()
        first.execute(sql.SQL("ANALYZE {}").format(schema_table))
        return LoadTimes(n, copied - began, indexed - copied, perf_counter() - indexed)


def mend(conn: Connection, *, table: str | None = None) -> list[str]:
    """Undo bulk loads that were killed: empty their tables and put their indexes back; return the tables.

    Only tables that were empty when their load began are ever recorded, so emptying them loses nothing.
    """
    with conn.transaction():
        found = conn.execute(
            "SELECT table_name, index_name, ddl FROM intake.dropped_index WHERE table_name = coalesce(%s, table_name)",
            [table],
        ).fetchall()
        for name in {name for name, _, _ in found}:
            # TRUNCATE refuses a table that foreign keys point at; no row can point at one that was never served
            empty = sql.SQL("DELETE FROM {}" if _pointed_at(conn, name) else "TRUNCATE {}")
            conn.execute(empty.format(sql.Identifier(*name.split("."))))
        for _, index, ddl in found:
            if conn.execute("SELECT to_regclass(%s)", [index]).fetchone() == (None,):
                conn.execute(ddl)
        conn.execute("DELETE FROM intake.dropped_index WHERE table_name = coalesce(%s, table_name)", [table])
    return sorted({name for name, _, _ in found})


def _drop_indexes(conn: Connection, table: str) -> list[tuple[str, str]]:
    """Drop what no constraint stands on, remembering the DDL in the same transaction; return (index, ddl)."""
    schema, _, name = table.partition(".")
    with conn.transaction():
        found = conn.execute(
            "SELECT format('%%I.%%I', i.schemaname, i.indexname), i.indexdef FROM pg_indexes i "
            "WHERE i.schemaname = %s AND i.tablename = %s AND NOT EXISTS (SELECT FROM pg_constraint c "
            "WHERE c.conindid = format('%%I.%%I', i.schemaname, i.indexname)::regclass) "
            # GiST builds last longest: started first, two connections end together
            "ORDER BY i.indexdef NOT LIKE '%%USING gist%%', i.indexname",
            [schema, name],
        ).fetchall()
        for index, ddl in found:
            conn.execute(
                "INSERT INTO intake.dropped_index (table_name, index_name, ddl) VALUES (%s, %s, %s)",
                [table, index, ddl],
            )
            conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(*index.split("."))))
    return [(index, ddl) for index, ddl in found]


def _pointed_at(conn: Connection, table: str) -> bool:
    """Whether another table's foreign key points at this one."""
    found = conn.execute("SELECT 1 FROM pg_constraint WHERE confrelid = %s::regclass", [table]).fetchone()
    return found is not None


def _rebuild(links: Sequence[Connection], dropped: Sequence[tuple[str, str]], pool: ThreadPoolExecutor) -> None:
    todo: Iterator[tuple[str, str]] = iter(dropped)

    def work(conn: Connection) -> None:
        conn.execute("SET maintenance_work_mem = '512MB'")
        # next() on one iterator is atomic under the GIL: each index is taken once
        while (item := next(todo, None)) is not None:
            with conn.transaction():
                conn.execute(item[1].encode())
                conn.execute("DELETE FROM intake.dropped_index WHERE index_name = %s", [item[0]])

    # A table whose last index is back has no record left and so will not be emptied: it is whole.
    list(pool.map(work, links))


def _advance_identity(conn: Connection, table: str, columns: Columns) -> None:
    """Move identity sequences past the numbers the rows brought along."""
    rows = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''", [table]
    ).fetchall()
    for (name,) in rows:
        if name in columns:
            conn.execute(
                sql.SQL("SELECT setval(pg_get_serial_sequence(%s, %s), greatest(max({}), 1)) FROM {}").format(
                    sql.Identifier(name), sql.Identifier(*table.split("."))
                ),
                [table, name],
            )


def _is_column(values: Any) -> bool:
    return isinstance(values, np.ndarray) or (isinstance(values, Sequence) and not isinstance(values, str | bytes))


def _wire_type(values: Any, kind: str) -> str:
    if kind == "geometry":
        return "bytea"  # EWKB as bytes: the receive function of geometry reads just that
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return "int4" if kind == "date" else "int8"  # the binary form of a date or timestamp is this number
    return kind


def _objects(values: Any, kind: str, chunk: slice) -> Sequence[Any] | Iterator[Any]:
    """One chunk of a column as what psycopg writes."""
    if not _is_column(values):
        return repeat(values, chunk.stop - chunk.start)
    part = values[chunk]
    if kind.endswith("[]"):
        return [None if v is None else list(v) for v in part]
    if not isinstance(part, np.ndarray):
        return part
    if kind == "geometry":
        return _ewkb(part)
    if part.dtype.kind == "M":
        numbers = (part.astype("datetime64[us]") - _EPOCH).astype(np.int64)
        if kind == "date":
            numbers //= 86_400_000_000
        return _with_nulls(numbers, np.isnat(part))
    if part.dtype.kind == "f":
        missing = np.isnan(part)
        if kind in _WHOLE:
            part = np.where(missing, 0, part).astype(_WHOLE[kind])
        return _with_nulls(part, missing)
    return part.tolist()


def _with_nulls(part: NDArray[Any], missing: NDArray[np.bool_]) -> list[Any]:
    values = part.tolist()
    for i in np.flatnonzero(missing):
        values[i] = None
    return values


def _ewkb(geometry: NDArray[np.object_]) -> list[bytes | None]:
    # EMPTY and None stay what they are: the table's CHECK decides, not the loader
    with_srid = shapely.set_srid(geometry, 4490)
    return shapely.to_wkb(with_srid, include_srid=True).tolist()
