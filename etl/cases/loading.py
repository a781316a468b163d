"""Cases that passed the gate, into the store: sealed, staged, numbered, inserted batch by batch in one transaction; known ones updated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from etl.cases.gate import Passed
from etl.cases.mapping import PEOPLE, CaseMapping
from etl.cases.table import Sheet, Table
from etl.copy import copy_rows
from etl.fault import Fault, Tally
from etl.quarantine import quarantine
from etl.reading import Batch
from gis.access.crypt import Keys
from gis.access.masking import mask_name, mask_phone
from gis.clock import ZONE
from gis.divisions.placing import Grids, place
from gis.store.queries import load_queries

_FOREVER = date(9999, 12, 31)
_PAUSED = frozenset({"suspended"})
_UNCLOSED = frozenset({"returned", "merged"})  # ended, but nothing was done: no 办结 time
_MASKS = {
    "reporter_name": mask_name,
    "reporter_phone": mask_phone,
    "reporter_address": lambda t: t and t[: len(t) // 2] + "*" * (len(t) - len(t) // 2),
}


@dataclass(frozen=True)
class Prepared:
    """A batch ready for the server: what is turned away, and the columns of what goes in.

    Attributes
    ----------
    fresh : ndarray of bool
        Which of the good rows are new; the others have a case already.
    """

    sheet: Sheet
    faults: dict[int, Fault]
    keys: dict[int, str | None]
    columns: dict[str, Any]
    fresh: NDArray[np.bool_]
    people: dict[str, Any]


class Loading:
    """Writes the batches of one load. All in the caller's transaction, all from one thread at a time.

    Attributes
    ----------
    rejected : Tally
        Rows in quarantine, by reason.
    new, updated, unchanged, unplaced : int
        Rows that went in; `updated` and `unchanged` are known after `finish`.
    """

    def __init__(
        self, conn: Connection, *, load_id: int, mapping: CaseMapping, table: Table, grids: Grids, keys: Keys, now: datetime,
        prefix: str, version: int, crs: str,
    ) -> None:  # fmt: skip
        self.conn, self.load_id, self.mapping, self.table, self.grids, self.keys, self.now = (
            conn,
            load_id,
            mapping,
            table,
            grids,
            keys,
            now,
        )
        self.rejected = Tally()
        self.new = self.updated = self.unchanged = self.unplaced = 0
        self._crs = crs
        self._sql = load_queries("imports_cases")
        self._fields = mapping.as_fields()
        self._bound = {
            "load_id": load_id, "prefix": prefix, "version": version, "channel": mapping.file.channel,
            "note": note_of(mapping.file.title, load_id),
        }  # fmt: skip
        # Yesterday's too: an offline phone's clock, and a day that ends during the import.
        self._recent = now.astimezone(ZONE).date() - timedelta(days=1)
        self._known: dict[str, int] = dict(
            conn.execute(self._sql["known"], {"channel": mapping.file.channel}).fetchall()
        )
        ids = conn.execute(self._sql["new_ids"], {"n": table.count}).fetchone()
        self._ids: Iterator[int] = iter(ids[0] if ids else ())
        for name in ("stage", "stage_late", "stage_known", "stage_reporter"):
            conn.execute(self._sql[name])

    def prepare(self, sheet: Sheet, passed: Passed) -> Prepared:
        """Everything of a batch that needs no server: turned, placed, sealed. While another thread writes the one before."""
        faults = {i: passed.faults.first(i) for i in passed.faults.faults}
        keys = {i: passed.values["key"][i] for i in faults}
        good = passed.good
        columns = self._columns(sheet, passed, good)
        ids = np.array([self._known.get(k, 0) for k in columns["external_ref"]], dtype=np.int64)
        fresh = ids == 0
        n = int(fresh.sum())
        ids[fresh] = [next(self._ids) for _ in range(n)]
        return Prepared(sheet, faults, keys, columns | {"case_id": ids}, fresh, self._people(passed, good, ids))

    def write(self, made: Prepared) -> None:
        """Quarantine the batch's bad rows and write the good ones."""
        self._reject(made.sheet, made.faults, made.keys)
        if not len(made.fresh):
            return
        self._copy("staged", made.columns, made.fresh)
        self._copy("staged_known", made.columns, ~made.fresh)
        people = made.people
        if people:
            masked = zip(*(people[f"{f}_masked"] for f in _short(PEOPLE)), strict=True)
            there = np.array([any(v is not None for v in row) for row in masked], dtype=bool)
            self._copy("staged_reporter", people, there & ~made.fresh)
            self._copy("personal.reporter", people, there & made.fresh)
        if n := int(made.fresh.sum()):
            self.conn.execute(self._sql["put_off"], {"before": self._recent})
            self._insert(self._recent)
            self.conn.execute("TRUNCATE staged")
            self.new += n

    def finish(self) -> None:
        """Write what waited: rows of the last days, then the known ones."""
        self.conn.execute(self._sql["take_up"])
        self._insert(_FOREVER)
        self.conn.execute("ANALYZE staged_known")
        row = self.conn.execute(self._sql["lock_known"]).fetchone()
        known = int(row[0]) if row else 0
        if not known:
            return
        away = {
            int(number): (key, Fault("handled_here", f"{case_no} 在本系统已有人办理，保留本地的，没有覆盖"))
            for number, key, case_no in self.conn.execute(self._sql["handled_here"]).fetchall()
        }
        if away:
            self.conn.execute(self._sql["leave"], {"numbers": list(away)})
            self._turn_away(away)
        self.updated = self.conn.execute(self._sql["update"], self._bound).rowcount
        self.unchanged = known - len(away) - self.updated
        self.conn.execute(self._sql["leave_reporters"])
        self.conn.execute(self._sql["update_reporters"])

    @property
    def loaded(self) -> int:
        """Rows of the file that stand in the store now."""
        return self.new + self.updated + self.unchanged

    def _insert(self, before: date) -> None:
        bound = self._bound | {"before": before}
        self.conn.execute(self._sql["insert"], bound)
        self.conn.execute(self._sql["insert_events"], bound)

    def _copy(self, table: str, columns: Mapping[str, Any], rows: NDArray[np.bool_]) -> None:
        if rows.all():
            copy_rows(self.conn, table, columns)
        elif rows.any():
            copy_rows(self.conn, table, {c: v[rows] if isinstance(v, np.ndarray) else v for c, v in columns.items()})

    def _columns(self, sheet: Sheet, passed: Passed, good: NDArray[np.intp]) -> dict[str, Any]:
        v = {name: _pick(values, good) for name, values in passed.values.items()}
        state, closed = v["state"], v["closed_at"]
        ended = ~np.isnat(closed)  # the gate: a state that ends has this time, no other has
        done = np.where(np.isnat(v["done_at"]), closed, v["done_at"])
        unclosed = np.array([s in _UNCLOSED for s in state], dtype=bool)
        now = np.datetime64(int(self.now.timestamp() * 1e6), "us")
        placed = place(v["geom"], self.grids)
        self.unplaced += placed.unplaced
        return {
            "row_number": (good + sheet.first).astype(np.int64), "day": _days(v["reported_at"]), "external_ref": v["key"], "state": state,
            "item_code": v["item"], "title": v["title"], "detail": v["detail"], "reported_at": v["reported_at"],
            "accepted_at": v["accepted_at"], "responded_at": v["responded_at"], "due_at": v["due_at"],
            "done_at": np.where(unclosed, np.datetime64("NaT"), done), "closed_at": np.where(unclosed, np.datetime64("NaT"), closed),
            "ended_at": closed,
            "clock_state": _choose(ended | ~np.isnat(done), "stopped", _choose(np.array([s in _PAUSED for s in state]), "paused", "runs")),
            # What is late already was late elsewhere: nobody here is told of it now.
            "swept": _choose(~ended & (v["due_at"] < now), "breached", "on_track"),
            "level": np.array([1 if g is None else 4 for g in v["geom"]], dtype=np.int64), "rating": v["rating"],
            "source_crs": _choose(np.array([g is None for g in v["geom"]]), None, self._crs),
            "grid_code": placed.grid, "village_code": placed.village, "township_code": placed.township, "geom": v["geom"],
        }  # fmt: skip

    def _people(self, passed: Passed, good: NDArray[np.intp], ids: NDArray[np.int64]) -> dict[str, Any]:
        """Columns of personal.reporter: no clear value gets further than this. One that came masked is kept as it came, unsealed: it is no name."""
        if not any(f in passed.values for f in PEOPLE):
            return {}
        rows = ids.tolist()
        columns: dict[str, Any] = {"case_id": ids, "load_id": self.load_id}
        for field, short in zip(PEOPLE, _short(PEOPLE), strict=True):
            clear = _pick(passed.values[field], good).tolist() if field in passed.values else [None] * len(good)
            whole = [None if v is None or "*" in v else v for v in clear]
            columns[f"{short}_enc"] = _objects(
                self.keys.encrypt_many(whole, table="personal.reporter", rows=rows, field=short)
            )
            columns[f"{short}_masked"] = _objects(
                [v if v is not None and "*" in v else _MASKS[field](v) for v in clear]
            )
            if short == "phone":
                columns["phone_key"] = _objects(self.keys.lookup_many(whole, field="phone"))
        return columns

    def _turn_away(self, away: dict[int, tuple[str, Fault]]) -> None:
        """Quarantine rows after they were staged, whole as they came: read from the file once more."""
        for sheet in self.table.batches():
            here = {n - sheet.first: found for n, found in away.items() if sheet.first <= n < sheet.first + len(sheet)}
            self._reject(sheet, {i: fault for i, (_, fault) in here.items()}, {i: key for i, (key, _) in here.items()})

    def _reject(self, sheet: Sheet, faults: Mapping[int, Fault], keys: Mapping[int, str | None]) -> None:
        if not faults:
            return
        rows = sorted(faults)
        n = len(rows)
        batch = Batch(
            np.array([sheet.first + i for i in rows], dtype=np.int64), np.full(n, None, dtype=object),
            {c: _objects([_cell(v[i]) for i in rows]) for c, v in sheet.values.items()},
        )  # fmt: skip
        # A key out of a shifted column may be a name.
        shown = {k: None if (key := keys.get(i)) is None or not key.isascii() else key[:60] for k, i in enumerate(rows)}
        quarantine(
            self.conn, load_id=self.load_id, batch=batch, faults={k: faults[i] for k, i in enumerate(rows)}, keys=shown,
            tally=self.rejected, mapping=self._fields, vault=self.keys,
        )  # fmt: skip


def note_of(title: str, load_id: int) -> str:
    """What the line of history says."""
    return f"从“{title}”导入，批次 {load_id}"


def _short(fields: tuple[str, ...]) -> list[str]:
    return [f.removeprefix("reporter_") for f in fields]


def _pick(values: Any, rows: NDArray[np.intp]) -> NDArray[Any]:
    return values[rows] if isinstance(values, np.ndarray) else _objects([values[i] for i in rows])


def _objects(values: list[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _choose(mask: NDArray[np.bool_], yes: Any, no: Any) -> NDArray[np.object_]:
    out = np.empty(len(mask), dtype=object)
    out[:] = no
    out[np.asarray(mask, dtype=bool)] = yes
    return out


def _days(utc: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The county's day of each instant: it has been 8 hours ahead since 1991."""
    return (utc + np.timedelta64(8, "h")).astype("datetime64[D]").astype("datetime64[us]")


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, date) else value  # a datetime is a date too
