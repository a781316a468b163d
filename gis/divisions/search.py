"""Finding a place: by name, by pinyin initials, by code; parcels by code, facilities by name."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any, Literal

from pypinyin import Style, lazy_pinyin

from gis.divisions import sight
from gis.divisions.naming import short_name
from gis.store.pool import Pool
from gis.store.queries import load_queries

MOST = 8  # what fits under the search box without scrolling


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes
    ----------
    kind : {'division', 'parcel', 'facility'}
    key : str
        Division code, parcel code, facility number.
    name : str
    within : str
        Name of what it lies in; empty for the county.
    level : int or None
        Of a division.
    at : str or None
        Division to open together with it.
    """

    kind: Literal["division", "parcel", "facility"]
    key: str
    name: str
    within: str = ""
    level: int | None = None
    at: str | None = None


@dataclass(frozen=True)
class _Entry:
    code: str
    level: int
    name: str
    within: str
    initials: str
    spelt: str


def spell(name: str) -> tuple[str, str]:
    """Return the pinyin initials and the whole pinyin of a name, lower case: 堤村乡 → ``dcx``, ``dicunxiang``."""
    letters = lazy_pinyin(name, style=Style.FIRST_LETTER, errors="ignore")
    return "".join(letters).lower(), "".join(lazy_pinyin(name, errors="ignore")).lower()


def rank(entry: _Entry, text: str) -> int | None:
    """Return how well a name fits (0 best), or None."""
    if entry.name == text or entry.code == text:
        return 0
    if entry.name.startswith(text):
        return 1
    if text in entry.name:
        return 2
    low = text.lower()
    if low.isdigit():
        return 3 if entry.code.startswith(low) else None
    if entry.initials.startswith(low):
        return 3
    if entry.spelt.startswith(low):
        return 4
    return 5 if len(low) > 1 and low in entry.initials else None


def _entry(row: dict[str, Any]) -> _Entry:
    name = short_name(row["name"], level=row["level"])
    return _Entry(row["code"], row["level"], name, row["parent_name"] or "", *spell(name))


class Search:
    """Answers the search box. Names of the 312 divisions above the grids are kept, until the divisions change."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._divisions = load_queries("divisions")
        self._things = load_queries("parcels")
        self._lock = threading.Lock()
        self._version: int | None = None
        self._entries: list[_Entry] = []

    def find(self, text: str) -> list[Hit]:
        """Return the best hits, at most 8; an empty text finds nothing."""
        text = re.sub(r"\s+", "", text)[:40]
        if not text:
            return []
        with self._pool.reading() as conn:
            entries = self._names(conn)
            mine = sight.below(conn)
            ranked = sorted(
                (r, e.level, e.code, e) for e in entries if e.code in mine and (r := rank(e, text)) is not None
            )
            hits = [Hit("division", e.code, e.name, e.within, e.level, e.code) for _, _, _, e in ranked[:MOST]]
            digits = text.isdigit() and text.isascii()
            # ';' sorts right after '9': the range is "starts with these digits", and the index answers it
            bound: dict[str, Any] = {"first": text, "last": text + ";", "limit": MOST, "text": text}
            if digits and len(text) >= 12 and len(hits) < MOST:
                rows = conn.execute(self._divisions["grids_like"], bound).fetchall()
                hits += [
                    Hit("division", r["code"], r["name"], r["parent_name"], 4, r["code"])
                    for r in rows
                    if sight.may_open(conn, r["code"])
                ]
            if digits and len(text) >= 9 and len(hits) < MOST:
                names = {e.code: e.name for e in entries}
                rows = conn.execute(self._things["parcels_like"], bound).fetchall()
                hits += [
                    Hit("parcel", r["parcel_code"], r["name"] or r["parcel_code"], names.get(r["village_code"], ""),
                        at=r["village_code"]) for r in rows
                ]  # fmt: skip
            if not digits and len(text) >= 2 and len(hits) < MOST:
                names = {e.code: e.name for e in entries}
                rows = conn.execute(self._things["facilities_like"], bound).fetchall()
                hits += [
                    Hit(
                        "facility",
                        str(r["facility_id"]),
                        r["name"],
                        names.get(r["village_code"], ""),
                        at=r["village_code"],
                    )
                    for r in rows
                ]
        return hits[:MOST]

    def _names(self, conn: Any) -> list[_Entry]:
        version = conn.execute(self._divisions["version"]).fetchone()["version"]
        with self._lock:
            if self._version != version:
                rows = conn.execute(self._divisions["names"]).fetchall()
                self._entries = [_entry(r) for r in rows]
                self._version = version
            return self._entries
