"""What the store holds, table by table: rows, size, placed and unplaced, generated or imported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection, sql

_SCHEMAS = ["onemap", "personal", "intake"]


@dataclass(frozen=True)
class Standing:
    """The county this store holds.

    Attributes
    ----------
    built_at : datetime or None
        None while its build is unfinished.
    """

    code: str
    name: str
    profile: str
    scale: str
    built_at: datetime | None


@dataclass(frozen=True)
class Holding:
    """One table.

    Attributes
    ----------
    table : with its schema.
    bytes : table, indexes and TOAST together.
    placed, unplaced : rows with and without a grid (未落点); None where rows carry no grid.
    synthetic : rows of generated loads (合成); None where rows carry no load.
    """

    table: str
    comment: str
    rows: int
    bytes: int
    placed: int | None
    unplaced: int | None
    synthetic: int | None


def read_standing(conn: Connection) -> Standing | None:
    """Return the county of this store, or None when there is none (not even begun)."""
    row = conn.execute(
        "SELECT code, name, profile, scale, built_at FROM onemap.county ORDER BY built_at NULLS LAST LIMIT 1"
    ).fetchone()
    return Standing(*row) if row else None


def read_holdings(conn: Connection) -> list[Holding]:
    """Count every table of ours exactly; needs a role that may read all of them (owner)."""
    tables = conn.execute(
        "SELECT n.nspname, c.relname, coalesce(obj_description(c.oid), ''), pg_total_relation_size(c.oid), "
        "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'grid_code'), "
        "EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'load_id') "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "ORDER BY array_position(%s::text[], n.nspname::text), c.relname",
        [_SCHEMAS, _SCHEMAS],
    ).fetchall()
    return [_holding(conn, *row) for row in tables]


def _holding(
    conn: Connection, schema: str, name: str, comment: str, size: int, on_ground: bool, traced: bool
) -> Holding:
    # The record of loads counts its own rows, not the rows it is about
    traced = traced and schema != "intake"
    counts = [
        sql.SQL("count(*)"),
        sql.SQL("count(t.grid_code)" if on_ground else "NULL::bigint"),
        sql.SQL("count(*) FILTER (WHERE l.synthetic)" if traced else "NULL::bigint"),
    ]
    source = sql.SQL("{} t").format(sql.Identifier(schema, name))
    if traced:
        source += sql.SQL(" LEFT JOIN intake.load l USING (load_id)")
    row = conn.execute(sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(counts), source)).fetchone()
    assert row is not None
    rows, placed, synthetic = row
    unplaced = None if placed is None else rows - placed
    return Holding(f"{schema}.{name}", comment, rows, size, placed, unplaced, synthetic)
