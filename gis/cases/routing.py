"""Who gets a case (责任清单): item × level decides unit and role, the place decides who of them; never by chance."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gis.errors import DefinitionError

if TYPE_CHECKING:
    from gis.cases.change import Change, Desk
from gis.cases.lists import Lists

_FILE = "codelists/duty.csv"
_LEVELS = {"county": 1, "township": 2, "village": 3, "grid": 4}
_DIGITS = {1: 6, 2: 9, 3: 12, 4: 15}


@dataclass(frozen=True)
class Duty:
    """One row of the duty list: at this level, cases of this item are this unit's, or these roles' at the place."""

    item: str
    level: int
    unit: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Routed:
    """Where a case goes; account_id None: the unit decides who."""

    unit: str | None
    unit_name: str | None
    account_id: int | None
    name: str | None


class Duties:
    """The duty list of a data folder; a case nobody is listed for goes to the office of its place."""

    def __init__(self, rows: list[Duty]) -> None:
        self._rows = {(row.item, row.level): row for row in rows}

    @classmethod
    def load(cls, data: Path) -> Duties:
        """Read data/codelists/duty.csv: columns item (a code, a category's two digits, or ``*``), level, unit, role.

        Raises
        ------
        DefinitionError
            When the file is missing or a row makes no sense.
        """
        try:
            with (data / _FILE).open(encoding="utf-8", newline="") as f:
                rows = list(csv.DictReader(f))
        except OSError as e:
            raise DefinitionError(f"data/{_FILE} 读不出来：{e}", next_step="还原 data/codelists/ 下的文件。") from e
        made = []
        for number, row in enumerate(rows, 2):
            level = _LEVELS.get(row.get("level") or "")
            roles = tuple((row.get("role") or "").split())
            if not row.get("item") or level is None or not (row.get("unit") or roles):
                raise DefinitionError(
                    f"data/{_FILE} 第 {number} 行：item、level、unit 或 role 不对。", next_step="改好再启动。"
                )
            made.append(Duty(row["item"], level, row.get("unit") or None, roles))
        return cls(made)

    def of(self, item: str | None, level: int) -> Duty | None:
        """The row that says most about an item at a level: its own, its category's, everybody's."""
        for key in (item or "", (item or "")[:2], "*"):
            if row := self._rows.get((key, level)):
                return row
        return None


def first_level(lists: Lists, items: str | None, item: str | None, *, placed: bool) -> int:
    """Where a new case lies: 简单 at the place, 复杂 with the township, 重大 with the county (``start_level`` of its item).

    A village's matters begin with the grid member who stands nearest; without a place nobody stands near, so the county.
    """
    if not placed:
        return 1
    row = lists.rows(items).get(item or "") if items else None
    level = int((row or {}).get("start_level") or 3)
    return 4 if level >= 3 else level


def route(desk: Desk, change: Change, *, level: int, unit: str | None = None) -> Routed:
    """Find unit and person for a case.

    Of the people of the unit (or role) whose scope covers the place, the nearest scope is asked first, then who has the
    fewest open cases. Nobody there: the case stays with the unit, and the level above is not asked by itself.

    Parameters
    ----------
    level : 1 县 2 乡镇 3 村 4 网格: where the case lies.
    unit : a unit somebody chose; None: the duty list's, else the office of the place.
    """
    case = change.case
    duty = desk.duties.of(change.now("item_code"), level) if unit is None else None
    name, roles = None, duty.roles if duty else ()
    unit = unit or (duty.unit if duty else None)
    if unit is None:
        office = _office(desk, case, level)
        unit, name = (office["unit"], office["name"]) if office else (None, None)
    else:
        known = unit_of(desk, unit)
        name = known["name"] if known else None
    units = [u for u in (unit, name) if u]
    found = None
    for wanted_units, wanted_roles in ((units or None, None), (None, list(roles) or None)):
        if wanted_units is None and wanted_roles is None:
            continue
        found = desk.conn.execute(
            desk.sql["candidates"],
            {"units": wanted_units, "roles": wanted_roles, "grid": case["grid_code"], "village": case["village_code"],
             "township": case["township_code"], "without": [], "limit": 1},
        ).fetchone()  # fmt: skip
        if found is not None:
            break
    return Routed(unit, name, found["account_id"] if found else None, found["display_name"] if found else None)


def unit_of(desk: Desk, unit: str) -> Mapping[str, Any] | None:
    """The published unit of this code."""
    row: Mapping[str, Any] | None = desk.conn.execute(desk.sql["unit"], {"unit": unit}).fetchone()
    return row


def _office(desk: Desk, case: Mapping[str, Any], level: int) -> Mapping[str, Any] | None:
    """The office of the case's place at a level; a grid has none and its village answers for it."""
    level = min(level, 3)
    code = case["grid_code"] or case["village_code"] or case["township_code"]
    if level == 1 or code is None:
        code, level = (code or "")[:6], 1
    code = code[: _DIGITS[level]] if level != 3 else case["village_code"]
    row: Mapping[str, Any] | None = desk.conn.execute(
        desk.sql["unit_of_place"], {"code": code, "level": level}
    ).fetchone()
    return row
