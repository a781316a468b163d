"""Gateway: one division as the map shows it: its path, its figures, its children with theirs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from psycopg import Connection

from gis.divisions import sight
from gis.divisions.disclosure import publishable
from gis.divisions.naming import short_name
from gis.divisions.summary import Figures, add
from gis.errors import NotFound
from gis.store.pool import Pool
from gis.store.queries import load_queries

Row = dict[str, Any]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Division:
    """One division of today.

    Attributes
    ----------
    level : int
        1 县 2 乡镇 3 村 4 网格.
    name, official_name : str
        As people say it, and as it is registered.
    bounds : tuple of float or None
        (west, south, east, north), degrees; None where it has no boundary.
    seat : tuple of float or None
        (lon, lat) of its name on the map.
    schematic : bool
        Its boundary was generated (示意).
    """

    code: str
    level: int
    name: str
    official_name: str
    parent_code: str | None
    figures: Figures
    bounds: Bounds | None = None
    seat: tuple[float, float] | None = None
    schematic: bool = False
    synthetic: bool = False


@dataclass(frozen=True)
class Step:
    """One step of the breadcrumb: the division and those beside it, as (code, name)."""

    code: str
    name: str
    level: int
    siblings: tuple[tuple[str, str], ...]
    bounds: Bounds | None = None


@dataclass(frozen=True)
class Month:
    """Incidents reported in one calendar month; `running` is the one that is not over."""

    first_day: date
    incidents: int
    running: bool


@dataclass(frozen=True)
class Place:
    """Everything the page shows of one division.

    Attributes
    ----------
    path : tuple of Step
        From the county down to the division.
    census : mapping of level to count
        Divisions below, by level.
    unplaced : Figures or None
        未落点, for the county only; included in the county's own figures, in no child's.
    """

    division: Division
    path: tuple[Step, ...]
    children: tuple[Division, ...]
    census: dict[int, int]
    unplaced: Figures | None
    months: tuple[Month, ...]
    read_at: datetime


def _bounds(row: Row) -> Bounds | None:
    return None if row["west"] is None else (row["west"], row["south"], row["east"], row["north"])


class Divisions:
    """Reads divisions from the store.

    Parameters
    ----------
    pool : Pool
        Connections of the web's role.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = load_queries("divisions")
        self._lock = threading.Lock()
        self._kept: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def place(self, code: str | None = None) -> Place:
        """Read one division; None is the county, or for somebody with a smaller scope their own part of it.

        Raises
        ------
        NotFound
            When no division of that code holds today, or it is not the asker's: both look alike.
        StoreUnavailable
            When the store is away.
        """
        with self._pool.reading() as conn:
            path = sight.open_path(conn, code or self._county(conn))
            own = path[-1]
            code = str(own["code"])
            figures = self._figures(conn, own)
            children = conn.execute(self._sql["children"], {"code": code}).fetchall()
            unplaced = self._unplaced(conn, figures) if own["level"] == 1 else None
            parts = list(figures.values()) + ([unplaced] if unplaced else [])
            monitored = self._monitored(conn, path[0]["code"])
            beside = conn.execute(self._sql["siblings"], {"parents": [s["code"] for s in path[:-1]]}).fetchall()
            census = conn.execute(self._sql["census"], {"code": code}).fetchall()
            months = conn.execute(self._sql["monthly"], {"code": code, "level": own["level"]}).fetchall()
            now = conn.execute("SELECT now() AS now").fetchone()
        total = replace(
            add(parts), households=own["households"], population=own["population"], area_m2=own["area_m2"],
            monitored=monitored.get(code),
        )  # fmt: skip
        return Place(
            division=Division(
                code, own["level"], short_name(own["name"], level=own["level"]), own["name"], own["parent_code"], total, _bounds(own),
                schematic=own["boundary_status"] == "schematic", synthetic=own["synthetic"],
            ),
            path=tuple(_step(s, sight.among(beside, path)) for s in path),
            children=tuple(_child(c, code, figures.get(c["code"], Figures()), monitored) for c in children),
            census={r["level"]: r["n"] for r in census},
            unplaced=unplaced,
            months=tuple(Month(m["month"].date(), m["n"], m is months[-1]) for m in months),
            read_at=now["now"] if now else datetime.now().astimezone(),
        )  # fmt: skip

    def county(self) -> Division | None:
        """Read the county alone, without figures; None when the store holds none yet."""
        with self._pool.reading() as conn:
            try:
                row = conn.execute(self._sql["path"], {"code": self._county(conn)}).fetchall()[-1]
            except (NotFound, IndexError):
                return None
        return Division(
            row["code"], 1, row["name"], row["name"], None, Figures(), _bounds(row), synthetic=row["synthetic"]
        )

    def names(self, codes: Sequence[str]) -> list[str]:
        """Names of divisions of today, each with the township it lies in: 堤村乡 堤村集; unknown codes are left out."""
        with self._pool.reading() as conn:
            rows = conn.execute(self._sql["scope_names"], {"codes": list(codes)}).fetchall()
        return [" ".join(short_name(n, level=lv) for n, lv in zip(r["names"], r["levels"], strict=True)) for r in rows]

    def answers(self) -> bool:
        """True when the store answers at all; asks for nothing heavy."""
        with self._pool.reading(timeout_s=1.0) as conn:
            return conn.execute("SELECT 1 AS one").fetchone() is not None

    def _county(self, conn: Connection[Row]) -> str:
        row = conn.execute(self._sql["county_code"]).fetchone()
        if row is None:
            raise NotFound("库里还没有县域数据。", next_step="运行 ./onemap up 建立示范县。")
        return str(row["code"])

    def _figures(self, conn: Connection[Row], own: Row) -> dict[str, Figures]:
        level = own["level"]
        rows = conn.execute(
            self._sql["figures"], {"code": own["code"], "level": level, "key_level": min(level + 1, 4)}
        ).fetchall()
        return {row.pop("code"): Figures(**row) for row in rows}

    def _unplaced(self, conn: Connection[Row], placed: dict[str, Figures]) -> Figures:
        row = conn.execute(self._sql["unplaced"]).fetchone() or {}
        found = Figures(**row)
        # Whether zones are known at all is a fact of the county, not of the rows that lie nowhere.
        return replace(
            found,
            pbf_m2=None if any(f.pbf_m2 is None for f in placed.values()) else found.pbf_m2,
            high_standard_m2=None
            if any(f.high_standard_m2 is None for f in placed.values())
            else found.high_standard_m2,
        )

    def _monitored(self, conn: Connection[Row], county: str) -> dict[str, Any]:
        """Decide over all that the asker sees what may be shown; kept until households, divisions or the asker change."""
        version = conn.execute(self._sql["monitored_version"]).fetchone()
        key = (county, sight.scope(), *(version or {}).values())
        with self._lock:
            if self._kept[0] == key:
                return self._kept[1]
        rows = conn.execute(self._sql["monitored"]).fetchall()
        shown = dict(
            publishable(county, [(r["township_code"], r["village_code"], r["grid_code"], r["n"]) for r in rows])
        )
        with self._lock:
            self._kept = (key, shown)
        return shown


def _step(row: Row, beside: list[Row]) -> Step:
    level = row["level"]
    siblings = tuple(
        (b["code"], short_name(b["name"], level=level)) for b in beside if b["parent_code"] == row["parent_code"]
    )
    return Step(row["code"], short_name(row["name"], level=level), level, siblings, _bounds(row))


def _child(row: Row, parent: str, figures: Figures, monitored: dict[str, Any]) -> Division:
    own = replace(
        figures, households=row["households"], population=row["population"], area_m2=row["area_m2"],
        monitored=monitored.get(row["code"]),
    )  # fmt: skip
    seat = None if row["seat_lon"] is None else (row["seat_lon"], row["seat_lat"])
    name, level = row["name"], row["level"]
    return Division(row["code"], level, short_name(name, level=level), name, parent, own, _bounds(row), seat)
