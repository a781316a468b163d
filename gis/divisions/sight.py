"""Which divisions the asker may open: those of their scope and what lies below. Others answer like absent ones.

A figure is shown only where the scope covers the whole division, never a part that looks like the whole. So whoever asks
for what lies above their scope (a township planner who opens the county) is shown their own division instead.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from gis.access.principal import current
from gis.errors import NotFound
from gis.store.queries import load_queries

Row = dict[str, Any]


def scope() -> frozenset[str]:
    """Division codes of the asker's scope; nobody has none."""
    who = current.get()
    return frozenset(who.scope) if who else frozenset()


def open_path(conn: Connection[Row], code: str) -> list[Row]:
    """Return the steps from the county down to `code`, or to the asker's own division when `code` lies above it.

    Raises
    ------
    NotFound
        When nothing of that code holds today, or it is not the asker's.
    """
    path = _path(conn, code)
    mine = scope()
    if path and covers(path, mine):
        return path
    for own in sorted(mine) if path else ():
        below = _path(conn, own)
        if any(step["code"] == code for step in below):
            return below
    raise NotFound(f"没有编码为 {code} 的区划。", next_step="回到全县，或搜索名称。")


def covers(path: list[Row], mine: frozenset[str]) -> bool:
    """True when one of the steps is in scope: a scope holds for all below, by the tree and not by the code's prefix."""
    return any(step["code"] in mine for step in path)


def may_open(conn: Connection[Row], code: str) -> bool:
    """True when the asker's scope covers this division."""
    return covers(_path(conn, code), scope())


def below(conn: Connection[Row]) -> frozenset[str]:
    """Codes of the counties, townships and villages the asker may open."""
    rows = conn.execute(load_queries("divisions")["below"], {"codes": sorted(scope())}).fetchall()
    return frozenset(row["code"] for row in rows)


def among(beside: list[Row], path: list[Row]) -> list[Row]:
    """Keep the neighbours of the steps of `path` that the asker may open, and the steps themselves."""
    mine = scope()
    on_path = {step["code"] for step in path}
    kept = []
    for row in beside:
        above = path[: next((i + 1 for i, step in enumerate(path) if step["code"] == row["parent_code"]), 0)]
        if row["code"] in mine or row["code"] in on_path or covers(above, mine):
            kept.append(row)
    return kept


def _path(conn: Connection[Row], code: str) -> list[Row]:
    return conn.execute(load_queries("divisions")["path"], {"code": code}).fetchall()
