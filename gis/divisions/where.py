"""Where a point lies, and where somebody works, in the names people say: for whoever stands in a field with a phone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gis.divisions.naming import short_name
from gis.errors import BadRequest
from gis.store.pool import Pool
from gis.store.queries import load_queries

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Where:
    """The divisions of today a point lies in; None where it lies in none.

    Attributes
    ----------
    township, village, grid : str or None
        Short names: 堤村乡, 陈庄, 第02网格.
    inside : bool
        Whether it lies in the county at all.
    """

    township: str | None
    village: str | None
    grid: str | None
    inside: bool


@dataclass(frozen=True)
class Ground:
    """A division as a map begins with it: name, the name of what it lies in, and (west, south, east, north) in degrees."""

    code: str
    name: str
    within: str | None
    bounds: Bounds | None


class Whereabouts:
    """Answers from the division tree, which is public.

    Parameters
    ----------
    pool : Pool
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def at(self, *, lon: float, lat: float) -> Where:
        """Return what lies at a position.

        Parameters
        ----------
        lon, lat : float
            Degrees, EPSG:4490 (EPSG:4326 differs by centimetres).

        Raises
        ------
        BadRequest
            When they are no position on earth.
        """
        if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
            raise BadRequest("这不是一个位置。", next_step="请重新定位，或在图上移动图钉。")
        with self._pool.reading() as conn:
            rows = conn.execute(load_queries("where")["at"], {"lon": lon, "lat": lat}).fetchall()
        names = {row["level"]: short_name(row["name"], level=row["level"]) for row in rows}
        return Where(names.get(2), names.get(3), names.get(4), inside=1 in names)

    def county(self) -> Ground | None:
        """Return the county of this store; None before there is one."""
        with self._pool.reading() as conn:
            row = conn.execute(load_queries("where")["county"]).fetchone()
        return Ground(row["code"], row["name"], None, _bounds(row)) if row else None

    def named(self, code: str) -> Ground | None:
        """Return one division; None when nothing of that code holds today."""
        with self._pool.reading() as conn:
            row = conn.execute(load_queries("where")["named"], {"code": code}).fetchone()
        if row is None:
            return None
        within = short_name(row["parent_name"], level=row["parent_level"]) if row["parent_name"] else None
        return Ground(row["code"], short_name(row["name"], level=row["level"]), within, _bounds(row))


def _bounds(row: dict[str, Any]) -> Bounds | None:
    west, south, east, north = (row[side] for side in ("west", "south", "east", "north"))
    return None if west is None else (west, south, east, north)
