"""Lists of cases: queue, board, tasks, notices, duplicates, figures per unit. Each reads what the asker may see, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg import Connection
from psycopg.types.json import Jsonb

from gis.access.principal import Principal
from gis.cases import filtering, place
from gis.cases.catalogue import Processes
from gis.cases.definition import Process
from gis.cases.filtering import Filter
from gis.cases.model import Queue, Row, Standing
from gis.clock import now
from gis.divisions.naming import short_name
from gis.errors import BadRequest
from gis.store.pool import Pool
from gis.store.queries import load_queries

_MOST_ROWS = 200
_DEFAULT_DUPLICATE_M = 250.0  # issue 4; an item's own distance is in its row of the code list
_DUPLICATE_DAYS = 14


@dataclass(frozen=True)
class Person:
    """Somebody a case may be given to."""

    account_id: int
    name: str
    role: str
    role_name: str
    unit_name: str | None
    place: str
    active: bool
    open_cases: int


@dataclass(frozen=True)
class Unit:
    """A responsible unit (责任单位)."""

    unit: str
    name: str
    level: int
    division_code: str | None = None


class Reading:
    """Reads lists of cases.

    Parameters
    ----------
    pool : Pool
    processes : Processes
        Name the states and items.
    """

    def __init__(self, pool: Pool, *, processes: Processes, role_names: Mapping[str, str]) -> None:
        self._pool = pool
        self._processes = processes
        self._role_names = role_names
        self._sql = load_queries("cases_reading")

    def queue(
        self, asked: Filter, *, sort: str = "due", page: int = 1, size: int = 50, principal: Principal | None = None
    ) -> Queue:
        """One page of a list, how many rows it has in all, and the saved views counted.

        Raises
        ------
        BadRequest
            For a filter, order or page that cannot be.
        """
        if not 1 <= page <= 100_000 or not 1 <= size <= _MOST_ROWS:
            raise BadRequest(f"页码从 1 起，每页最多 {_MOST_ROWS} 行。", next_step="改好再试。")
        by, down = filtering.order(sort)
        values = {
            "asked": Jsonb(filtering.asked(asked)),
            "sort": by,
            "down": down,
            "size": size,
            "skip": (page - 1) * size,
        }
        moment = now()
        counting = {"process": asked.process, "_now": moment, "_week": filtering.monday(moment)}
        with self._pool.reading(principal=principal) as conn:
            with conn.pipeline():
                first = conn.execute(self._sql["page"], values)
                counts = conn.execute(self._sql["counts"], counting)
            found = first.fetchone()
            assert found is not None
            rows = conn.execute(self._sql["rows"], {"ids": found["ids"]}).fetchall()
            return Queue(rows=tuple(self.rows(conn, rows)), total=found["total"], counts=dict(counts.fetchone() or {}))

    def board(
        self, asked: Filter, *, size: int = 20, principal: Principal | None = None
    ) -> dict[str, tuple[int, tuple[Row, ...]]]:
        """Cases by state, in the order of the process's states: how many, and the first of each, next due first."""
        states = [s.id for s in self._processes.current(asked.process).state]
        values = {"asked": Jsonb(filtering.asked(asked)), "states": states, "size": min(size, _MOST_ROWS)}
        with self._pool.reading(principal=principal) as conn:
            columns = conn.execute(self._sql["board"], values).fetchall()
            found = conn.execute(self._sql["rows"], {"ids": [i for c in columns for i in c["ids"]]}).fetchall()
            rows = self.rows(conn, found)
        return {c["state"]: (c["n"], tuple(r for r in rows if r.state == c["state"])) for c in columns}

    def tasks(self, principal: Principal) -> list[dict[str, Any]]:
        """What waits for a person, the same as view ``mine``, next due first.

        Returns
        -------
        Rows with ``kind`` (assigned, part, callback, accept: nobody accepted it yet, unit or place: nobody has it yet) and the
        call-back's number.
        """
        with self._pool.reading(principal=principal) as conn:
            found = conn.execute(self._sql["tasks"]).fetchall()
            rows = self.rows(conn, found)
        return [
            asdict(row) | {"kind": f["kind"], "callback_id": f["callback_id"], "asked_at": f["asked_at"]}
            for row, f in zip(rows, found, strict=True)
        ]  # fmt: skip

    def notices(self, principal: Principal) -> list[dict[str, Any]]:
        """What a person was told: unseen first, then the last week's."""
        with self._pool.reading(principal=principal) as conn:
            return list(conn.execute(self._sql["notices"]).fetchall())

    def seen(self, principal: Principal, ids: Iterable[int]) -> int:
        """Mark notices as seen; returns how many were news."""
        with self._pool.writing(principal=principal) as conn:
            return conn.execute(self._sql["seen"], {"ids": list(ids)[:500]}).rowcount

    def near(
        self, lonlat: Any, item_code: str | None = None, text: str = "", asset: tuple[str, int] | None = None, *,
        source_crs: str = "EPSG:4490", principal: Principal | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Open cases that may be the same thing: by the same asset, or near, recent, of the same item.

        Returns
        -------
        Rows of case_no, item_code, item_name, state, state_name, reported_at, dist_m, days, why, likeness (0-1, of `text` to
        the title by pairs of characters, coarse; None without a text). Those alike by half or more first, then the nearest.
        Nothing that anybody wrote: strangers ask this too.
        """
        here = place.position(lonlat, source_crs)
        if here is None:
            raise BadRequest("没有位置。", next_step="先定位。")
        process = self._processes.current("incident")
        listed = self._processes.lists.rows(process.items or "incident_item")
        row = listed.get(item_code or "")
        dist_m = float((row or {}).get("duplicate_m") or _DEFAULT_DUPLICATE_M)
        asked = {
            "lon": here.lon, "lat": here.lat, "dist_m": dist_m, "items": [item_code] if row else None,
            "since": now() - timedelta(days=_DUPLICATE_DAYS), "text": text.strip() or None,
        }  # fmt: skip
        if not (-180 <= here.lon <= 180 and -90 <= here.lat <= 90):
            raise BadRequest("位置不对：经纬度超出了地球。", next_step="重新定位。")
        with self._pool.reading(principal=principal) as conn:
            found = [dict(r) | {"why": "near"} for r in conn.execute(self._sql["near"], asked).fetchall()]
            if asset is not None:
                same = conn.execute(
                    self._sql["same_asset"], {"kind": asset[0], "id": asset[1], "text": asked["text"]}
                ).fetchall()
                known = {r["case_no"] for r in same}
                found = [dict(r) | {"why": "asset", "dist_m": None} for r in same] + [
                    f for f in found if f["case_no"] not in known
                ]
        states = {s.id: s.public_name for s in process.state}
        for one in found:
            one["item_name"] = (listed.get(one["item_code"] or "") or {}).get("name")
            one["state_name"] = states.get(one["state"], one["state"])
            one["days"] = max(0, (now() - one["reported_at"]).days)
        return found

    def people(self, principal: Principal, text: str = "", *, unit: str | None = None, limit: int = 20) -> list[Person]:
        """People who may be given a case: of the asker's divisions and above, and of the asker's unit.

        Parameters
        ----------
        text : part of a name, of a role's name or of a unit's name; or a login or a unit's code.
        unit : code or name of a unit.
        """
        said = text.strip()[:40]
        roles = [role for role, name in self._role_names.items() if said and said in name]
        with self._pool.reading(principal=principal) as conn:
            asked = {"text": said, "roles": roles, "unit": unit, "limit": limit}
            found = conn.execute(self._sql["people"], asked).fetchall()
            codes = [r["division_code"] for r in found]
            names = {
                r["code"]: r["name"] for r in conn.execute(self._sql["division_names"], {"codes": codes}).fetchall()
            }
        return [
            Person(
                r["account_id"], r["display_name"], r["role"], self._role_names.get(r["role"], r["role"]), r["unit_name"],
                names.get(r["division_code"], r["division_code"]), r["state"] == "active", r["open_cases"],
            )
            for r in found
        ]  # fmt: skip

    def units(self, principal: Principal | None = None) -> list[Unit]:
        """All responsible units, the county's first."""
        with self._pool.reading(principal=principal) as conn:
            found = conn.execute(load_queries("cases")["units"]).fetchall()
        return [Unit(r["unit"], r["name"], r["level"], r["division_code"]) for r in found]

    def units_report(self, asked: Filter, *, principal: Principal | None = None) -> list[dict[str, Any]]:
        """Figures per unit, each rate beside its denominator; a rate without one is None, never 0."""
        with self._pool.reading(principal=principal, timeout_s=10) as conn:
            found = conn.execute(self._sql["unit_figures"], {"asked": Jsonb(filtering.asked(asked))}).fetchall()
        return [dict(r) | _rates(r) for r in found]

    def disagreement(self, *, since: datetime, principal: Principal | None = None) -> list[dict[str, Any]]:
        """Per handler: call-backs asked, answered, and those that found something else than was reported."""
        with self._pool.reading(principal=principal) as conn:
            found = conn.execute(self._sql["disagreement"], {"since": since}).fetchall()
            names = self.names(conn, (r["handler_id"] for r in found))
        return [
            dict(r) | {"handler_name": names.get(r["handler_id"]), "rate": r["disagreed"] / r["answered"] if r["answered"] else None}
            for r in found
        ]  # fmt: skip

    def rows(self, conn: Connection[Any], found: list[dict[str, Any]]) -> list[Row]:
        """Rows of the queries as lists show them."""
        names = self.names(conn, (r["assignee_id"] for r in found))
        return [self.row(conn, r, names) for r in found]

    def row(self, conn: Connection[Any], r: Mapping[str, Any], names: Mapping[int, str]) -> Row:
        """One row, with the names of its process's own version."""
        process = self._processes.of(conn, r["process"], r["process_version"])
        return Row(
            case_id=r["case_id"], case_no=r["case_no"], process=r["process"], state=r["state"], state_name=state_name(process, r["state"]),
            revision=r["revision"], title=r["title"], item_code=r["item_code"], item_name=self.item_name(process, r["item_code"]),
            channel=r["channel"], reported_at=r["reported_at"], due_at=r["due_at"], standing=standing(r), unit=r["unit"],
            unit_name=r["unit_name"], assignee_id=r["assignee_id"], assignee_name=names.get(r["assignee_id"] or 0),
            township_code=r["township_code"], village_code=r["village_code"], place=place_name(r), lon=r["lon"], lat=r["lat"],
            rating=r["rating"], reopened=r["reopened"],
        )  # fmt: skip

    def names(self, conn: Connection[Any], ids: Iterable[int | None]) -> dict[int, str]:
        """Names of accounts, for whoever is signed in."""
        wanted = sorted({i for i in ids if i is not None})
        if not wanted:
            return {}
        found = conn.execute(load_queries("cases")["names"], {"ids": wanted}).fetchall()
        return {r["account_id"]: r["display_name"] for r in found}

    def item_name(self, process: Process, code: str | None) -> str | None:
        """Name of an item; the code itself when the list has it no more."""
        if code is None or process.items is None:
            return code
        row = self._processes.lists.rows(process.items).get(code)
        return row["name"] if row else code


def standing(r: Mapping[str, Any]) -> Standing:
    """How a case stands with its deadline now."""
    if r["ended_at"] is not None or r["clock_state"] == "stopped":
        return "done"
    if r["clock_state"] == "paused":
        return "paused"
    if r["due_at"] is None or r["clock_state"] == "waits":
        return "none"
    moment = now()
    if r["due_at"] < moment:
        return "breached"
    return "at_risk" if r["warn_at"] is not None and r["warn_at"] <= moment else "on_track"


def state_name(process: Process, state: str) -> str:
    """Name of a state; the id itself for one the version does not know."""
    return next((s.name for s in process.state if s.id == state), state)


def place_name(r: Mapping[str, Any]) -> str:
    """甲镇 东安村; 未落点 without a place."""
    parts = [
        short_name(r[name], level=level) if r[name] else ""
        for name, level in (("township_name", 2), ("village_name", 3))
    ]
    return " ".join(p for p in parts if p) or "未落点"


def _rates(r: Mapping[str, Any]) -> dict[str, float | None]:
    """Rates of one row; formulas: DOMAIN.md 5 (P), each published with its denominator."""
    pairs: dict[Literal["reply_rate", "close_rate", "on_time_rate", "satisfied_rate", "rated_share"], tuple[str, str]] = {
        "reply_rate": ("replied", "accepted"), "close_rate": ("closed", "accepted"), "on_time_rate": ("on_time", "due"),
        "satisfied_rate": ("satisfied", "rated"), "rated_share": ("rated", "closed"),
    }  # fmt: skip
    return {name: r[a] / r[b] if r[b] else None for name, (a, b) in pairs.items()}
