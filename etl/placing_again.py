"""Features placed again (重新落点) after boundaries changed: set-based, by the database's own rule."""

from __future__ import annotations

from psycopg import Connection, sql

from gis.divisions.verify import PLACED_TABLES
from gis.store.queries import load_queries


def place_again(conn: Connection) -> dict[str, int]:
    """Place every feature by the current grids and refresh the sums; return rows changed per table."""
    statement = load_queries("imports_divisions")["place_again"]
    changed = {}
    for table, key in PLACED_TABLES.items():
        query = sql.SQL(statement).format(table=sql.Identifier(table), key=sql.Identifier(key))
        changed[table] = conn.execute(query).rowcount
    conn.execute(load_queries("imports")["refresh"])
    return changed
