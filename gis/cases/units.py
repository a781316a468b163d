"""Units in charge (责任单位): departments from data/codelists/unit.csv, township and village offices from the division tree."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from gis.errors import DefinitionError
from gis.store.queries import load_queries

_FILE = "codelists/unit.csv"
_LEVELS = {"county": 1, "township": 2, "village": 3}


@dataclass(frozen=True)
class UnitRow:
    """One department: `level` 1 县 2 乡镇 3 村; `general`: answers for the county when no duty names another."""

    code: str
    name: str
    level: int
    hours: str
    general: bool
    source: str


def read_units(data: Path, *, hours: frozenset[str]) -> list[UnitRow]:
    """Read the departments; `hours` are the office hours the calendar knows.

    Raises
    ------
    DefinitionError
        With every fault found.
    """
    try:
        with (data / _FILE).open(encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
    except OSError as e:
        raise DefinitionError(f"data/{_FILE} 读不出来：{e}", next_step="还原 data/codelists/ 下的文件。") from e
    faults, made = [], []
    for number, row in enumerate(rows, 2):
        level = _LEVELS.get(row.get("level") or "")
        if not row.get("code") or not row.get("name") or not row.get("source") or level is None:
            faults.append(f"第 {number} 行：code、name、level 或 source 不对")
        elif row.get("office_hours") not in hours:
            faults.append(f"第 {number} 行：日历里没有作息 {row.get('office_hours')}")
        elif row["code"].isdigit():
            faults.append(f"第 {number} 行：全是数字的编号留给乡镇和村")
        else:
            made.append(
                UnitRow(row["code"], row["name"], level, row["office_hours"], row.get("general") == "1", row["source"])
            )
    if sum(row.general for row in made) != 1 and not faults:
        faults.append("要有且只有一个 general = 1 的单位")
    if faults:
        raise DefinitionError(f"data/{_FILE}：{'；'.join(faults)}。", next_step="改好再启动。")
    return made


def publish_units(conn: Connection[Any], units: list[UnitRow]) -> None:
    """Bring the store's units up to date (role owner, at every start); heads stay as they were set, nothing is removed."""
    queries = load_queries("units")
    with conn.cursor() as cursor:
        for unit in units:
            cursor.execute(
                queries["departments_publish"],
                {"code": unit.code, "name": unit.name, "level": unit.level, "hours": unit.hours, "general": unit.general, "source": unit.source},
            )  # fmt: skip
        cursor.execute(queries["offices_publish"])
