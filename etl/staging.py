"""Rows that passed the gate wait here, in a temporary table, are held against each other and the store, and go in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Lookup
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection

from etl.checking import metric_area
from etl.copy import copy_rows
from etl.fault import Fault, Tally
from etl.gate import Passed
from etl.mapping import Mapping
from etl.neighbours import Neighbours
from etl.overlap import Overlap, Strip, find_overlaps, turned_away
from etl.quarantine import quarantine
from etl.reading import Batch, Source
from etl.reference import Outline
from etl.sealing import has_words, seal
from etl.zones import read_zones
from gis.access.crypt import Keys
from gis.access.masking import mask_name
from gis.divisions.placing import place, read_grids
from gis.store.queries import load_queries

_PARCEL = (
    "name", "issuer_code", "contractor_code", "contract_code", "ownership", "parcel_kind", "land_use", "land_class",
    "planting", "soil_grade", "purpose", "acquired_by", "declared_pbf", "declared_area_mu", "east", "south", "west", "north",
)  # fmt: skip
_SIDES = ("east", "south", "west", "north")
_FACILITY = ("kind", "name", "capacity", "capacity_unit", "open_hours", "duty_phone")
_ROUND = 1e-8  # degrees, about 1 mm: corners closer than this are the same corner
_STRIP_ROWS = 20_000


class Stage:
    """Rows of one load between the gate and the store. All in the caller's transaction.

    Attributes
    ----------
    rejected, warned : Tally
        Rows in quarantine, and rows loaded with a warning, by reason.
    unplaced : int
        Loaded rows that lie in no grid; known after `load`.
    """

    def __init__(
        self, conn: Connection, *, load_id: int, mapping: Mapping, outline: Outline, source: Source, keys: Keys,
        neighbours: Neighbours,
    ) -> None:  # fmt: skip
        self.conn, self.load_id, self.mapping, self.outline, self.source = conn, load_id, mapping, outline, source
        self.keys, self.neighbours = keys, neighbours
        self._sides_masked = 0
        self.rejected, self.warned, self.notes = Tally(), Tally(), list[str]()
        self.unplaced = 0
        self._away: dict[int, tuple[str, Fault]] = {}
        self.queries = load_queries("imports")
        self.grids = read_grids(conn)
        self.zones = read_zones(conn)
        self.parcels = mapping.subject == "parcels"
        conn.execute(self.queries[f"stage_{mapping.subject}"])
        if self.parcels:
            conn.execute(self.queries["stage_contractors"])

    def add(self, batch: Batch, passed: Passed) -> None:
        """Quarantine the batch's bad rows and stage the good ones."""
        keys = passed.values[self.mapping.key]
        first = {i: passed.faults.first(i) for i in passed.faults.faults}
        raw = self._raw_keys(batch)
        quarantine(
            self.conn, load_id=self.load_id, batch=batch, faults=first,
            keys={i: keys[i] if keys[i] is not None else raw(i) for i in first}, tally=self.rejected,
            mapping=self.mapping, vault=self.keys,
        )  # fmt: skip
        good = passed.good
        for i in good:
            for fault in passed.faults.warnings.get(int(i), ()):
                self.warned.add(fault.code, int(batch.number[i]), keys[i], fault.reason)
        if len(good):
            copy_rows(self.conn, "staged", self._columns(batch, passed, good))
            if self.parcels:
                self._stage_contractors(batch, passed, good)

    def hold_against_each_other(self, on_progress: Callable[[str, int, int], None]) -> None:
        """Turn away duplicates of the file and of the store, and overlaps where the mapping says so."""
        self.conn.execute("ANALYZE staged")
        if self.parcels:
            self.conn.execute("ANALYZE staged_contractor")
        for number, key, first in self.conn.execute(self.queries["duplicate_keys"]).fetchall():
            self._away[number] = (
                key,
                Fault("duplicate_key", f"编码 {key} 与第 {first} 行相同，保留先出现的第 {first} 行"),
            )
        self._turn_away()
        for number, key, load in self.conn.execute(self.queries[f"{self.mapping.subject}_in_store"]).fetchall():
            whence = f"（批次 {load}）" if load is not None else ""
            self._away[number] = (key, Fault("duplicate_in_store", f"编码 {key} 在库中已有{whence}，未覆盖"))
        self._turn_away()
        if self.mapping.checks.on_duplicate_geometry != "off":
            for number, key, first in self.conn.execute(self.queries["duplicate_geometry"]).fetchall():
                fault = Fault("duplicate_geometry", f"图形与第 {first} 行完全相同")
                self._answer(number, key, fault, self.mapping.checks.on_duplicate_geometry)
            self._turn_away()
        if self.mapping.checks.on_overlap != "off":
            self._overlaps(on_progress)

    def load(self) -> int:
        """Write the staged rows into the store; return how many."""
        bound = {"load_id": self.load_id}
        loaded = self.conn.execute(self.queries[f"insert_{self.mapping.subject}"], bound).rowcount
        row = self.conn.execute(self.queries["unplaced"]).fetchone()
        self.unplaced = int(row[0]) if row else 0
        if self._sides_masked:
            self.notes.append(f"四至里 {self._sides_masked:,} 处像是人名，已脱敏，库中不留原文")
        if self.parcels:
            self.conn.execute(self.queries["insert_contractors"], bound)
            for number, key, code in self.conn.execute(self.queries["contractors_differ"]).fetchall():
                self.warned.add("contractor_differs", number, key, f"承包方 {code} 的名称与库中不同，库中未改")
            if loaded:
                self.conn.execute(self.queries["refresh"])
        return loaded

    # -- what goes into the staging tables --

    def _columns(self, batch: Batch, passed: Passed, good: NDArray[np.intp]) -> dict[str, Any]:
        values = {f: v[good] for f, v in passed.values.items()}
        geometry = passed.located.geometry[good]
        spots = np.asarray(shapely.point_on_surface(geometry), dtype=object) if self.parcels else geometry
        placed = place(spots, self.grids)
        columns: dict[str, Any] = {
            "row_number": batch.number[good], "key": values[self.mapping.key], "geom_key": _geometry_keys(geometry),
            "grid_code": placed.grid, "village_code": placed.village, "township_code": placed.township, "geom": geometry,
        }  # fmt: skip
        for name in _PARCEL if self.parcels else _FACILITY:
            if name in values:
                columns[name] = values[name]
        if self.parcels:
            columns["area_m2"] = passed.located.area_m2[good]
            columns["in_pbf"] = self.zones.contain(spots, "pbf")
            columns["in_high_standard"] = self.zones.contain(spots, "high_standard")
            columns["contractor_masked"] = _map(values.get("contractor_name"), mask_name, len(good))
            self._hide_people(columns, values.get("contractor_name"))
            measured = values.get("declared_area_m2")
            if measured is not None:  # the file's own 亩 first, its m² turned into 亩 where there is none
                mu = values.get("declared_area_mu", np.full(len(good), None, dtype=object))
                columns["declared_area_mu"] = np.array(
                    [a if a is not None else (None if b is None else float(b) * 3 / 2000) for a, b in zip(mu, measured, strict=True)],
                    dtype=object,
                )  # fmt: skip
        else:
            columns["capability"] = _map(values.get("capability"), lambda v: list(v or ()), len(good))
        return columns

    def _hide_people(self, columns: dict[str, Any], holders: NDArray[np.object_] | None) -> None:
        """Mask whoever is named in 四至 and in the parcel's own name; in the clear they are kept nowhere."""
        for side in _SIDES:
            if side in columns:
                clear = columns[side]
                columns[side] = _map(clear, self.neighbours.masked, len(clear))
                self._sides_masked += int((columns[side] != clear).sum())
        if "name" in columns and holders is not None:
            pairs = zip(columns["name"], holders, strict=True)
            columns["name"] = np.array([self.neighbours.without(n, h) for n, h in pairs], dtype=object)

    def _stage_contractors(self, batch: Batch, passed: Passed, good: NDArray[np.intp]) -> None:
        names, codes = passed.values.get("contractor_name"), passed.values.get("contractor_code")
        if names is None or codes is None:
            return
        rows = np.array([i for i in good if names[i] is not None and codes[i] is not None], dtype=np.intp)
        if len(rows):
            clear = {"name": names[rows]}
            for ours, theirs in (
                ("id_number", "contractor_id_number"),
                ("phone", "contractor_phone"),
                ("witness", "witness"),
            ):
                if theirs in passed.values:
                    clear[ours] = passed.values[theirs][rows]
            columns: dict[str, Any] = {
                "row_number": batch.number[rows],
                "contractor_code": codes[rows],
                # Not even the staging table holds a clear name.
                **seal(self.keys, table="personal.contractor", rows=codes[rows], clear=clear),
            }
            copy_rows(self.conn, "staged_contractor", columns)

    def _raw_keys(self, batch: Batch) -> Callable[[int], str | None]:
        """What the file has where its key could not be read, for the list of rejects."""
        lower = {c.lower(): c for c in batch.values}
        column = next(
            (lower[n.lower()] for n in self.mapping.fields[self.mapping.key].names if n.lower() in lower), None
        )
        if column is None:
            return lambda i: None
        values = batch.values[column]
        # A shifted column puts a name where the key should be.
        return lambda i: None if values[i] is None or has_words(str(values[i])) else str(values[i])[:60]

    # -- turning rows away after they were staged --

    def _answer(self, number: int, key: str, fault: Fault, response: str) -> None:
        if response == "quarantine":
            self._away[number] = (key, fault)
        elif response == "warn":
            self.warned.add(fault.code, number, key, fault.reason)

    def _turn_away(self) -> None:
        """Move staged rows to the quarantine, whole as they came: read from the file once more."""
        if not self._away:
            return
        numbers = np.array(sorted(self._away), dtype=np.int64)
        self.conn.execute(self.queries["unstage"], {"numbers": numbers.tolist()})
        batch = self.source.rows(numbers)
        quarantine(
            self.conn, load_id=self.load_id, batch=batch, faults={i: self._away[int(n)][1] for i, n in enumerate(numbers)},
            keys={i: self._away[int(n)][0] for i, n in enumerate(numbers)}, tally=self.rejected,
            mapping=self.mapping, vault=self.keys,
        )  # fmt: skip
        self._away.clear()

    def _overlaps(self, on_progress: Callable[[str, int, int], None]) -> None:
        checks = self.mapping.checks
        has_parcels = self.conn.execute(self.queries["any_parcel"]).fetchone() == (True,)
        found = find_overlaps(
            self._strips(on_progress), neighbours=self._neighbours if has_parcels else None,
            area=lambda g: metric_area(g, self.outline.metric_srid), checks=checks,
        )  # fmt: skip
        if not found:
            return

        def response(o: Overlap) -> str:
            return checks.on_duplicate_geometry if o.both >= checks.duplicate_share else checks.on_overlap

        away = turned_away(found, response)
        names = self._names(found)
        keys = self._keys([o.later for o in found])
        warned: set[int] = set()
        for o in found:
            with_whom = names.get(o.earlier) or f"第 {o.earlier} 行"
            if o.both >= checks.duplicate_share:
                fault = Fault("duplicate_geometry", f"图形与{with_whom}几乎完全相同（{o.both:.1%}）")
            else:
                fault = Fault("overlap", f"与{with_whom}重叠 {o.area_m2:.1f} 平方米（占较小地块 {o.share:.1%}）")
            if away.get(o.later) is o:
                self._away[o.later] = (keys[o.later], fault)
            elif o.later not in away and o.earlier not in away and o.later not in warned and response(o) == "warn":
                warned.add(o.later)
                self.warned.add(fault.code, o.later, keys[o.later], fault.reason)
        self._turn_away()

    def _strips(self, on_progress: Callable[[str, int, int], None]) -> Iterator[Strip]:
        done = 0
        with self.conn.cursor(name="strips") as cursor:
            cursor.execute(self.queries["strips"])
            while rows := cursor.fetchmany(_STRIP_ROWS):
                yield _strip(rows)
                done += len(rows)
                on_progress("核对重复和重叠", done, self.source.count - self.rejected.total)

    def _neighbours(self, box: tuple[float, float, float, float]) -> Strip:
        bound = dict(zip(("west", "south", "east", "north"), box, strict=True))
        return _strip(self.conn.execute(self.queries["parcels_near"], bound, binary=True).fetchall())

    def _names(self, found: list[Overlap]) -> Lookup[int, str]:
        ids = sorted({-o.earlier for o in found if o.earlier < 0})
        rows = self.conn.execute(self.queries["parcel_codes"], {"ids": ids}).fetchall() if ids else []
        return {number: f"库中地块 {code}" for number, code in rows}

    def _keys(self, numbers: list[int]) -> dict[int, str]:
        rows = self.conn.execute(self.queries["keys"], {"numbers": sorted(set(numbers))}).fetchall()
        return {int(number): str(key) for number, key in rows}


def _strip(rows: list[tuple[Any, ...]]) -> Strip:
    number = np.array([r[0] for r in rows], dtype=np.int64)
    return Strip(number, np.asarray(shapely.from_wkb(np.array([r[1] for r in rows], dtype=object)), dtype=object))


def _geometry_keys(geometry: NDArray[np.object_]) -> NDArray[np.int64]:
    """One number for each geometry, equal for equal shapes wherever their rings begin and whichever way they turn."""
    plain = shapely.normalize(shapely.transform(geometry, lambda c: np.round(c / _ROUND)))
    return np.array([hash(b) for b in shapely.to_wkb(plain).tolist()], dtype=np.int64)


def _map(values: NDArray[np.object_] | None, turn: Callable[[Any], Any], n: int) -> NDArray[np.object_]:
    # filled one by one: numpy would turn a list of lists into a table
    result = np.empty(n, dtype=object)
    for i in range(n):
        result[i] = turn(None if values is None else values[i])
    return result
