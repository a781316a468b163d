"""Counts of the children of a division on the tree of a day, 未落点 included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from psycopg import Connection

from gis.errors import NotFound
from gis.store.queries import load_queries


@dataclass(frozen=True)
class DivisionFigures:
    """One child (``code`` is None for 未落点): counts and the parcels' area in square metres."""

    code: str | None
    name: str
    parcels: int
    area_m2: float
    facilities: int
    households: int
    incidents: int


def figures_on(conn: Connection, *, code: str, on_date: date) -> list[DivisionFigures]:
    """Count what lies in each child of `code`, by the tree that held on `on_date`.

    Raises
    ------
    NotFound
        When `code` did not hold on that day, or has no children.
    """
    rows = conn.execute(load_queries("divisions_figures")["children_on"], {"code": code, "on": on_date}).fetchall()
    found = [DivisionFigures(*row) for row in rows]
    if not any(f.code for f in found):
        raise NotFound(f"{on_date} 没有区划 {code}，或它没有下级。", next_step="用 ./onemap divisions list 查编码。")
    return found
