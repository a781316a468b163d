"""Code lists: data/codelists/*.csv, read once a process; the name behind a code."""

from __future__ import annotations

import csv
from functools import cache

from gis.errors import DefinitionError
from gis.settings import ROOT

Entry = dict[str, str]


@cache
def codelist(name: str) -> dict[str, Entry]:
    """Read ``data/codelists/<name>.csv`` keyed by its ``code`` column, in the file's order.

    Raises
    ------
    DefinitionError
        When the file is missing or has no ``code`` column.
    """
    path = ROOT / "data" / "codelists" / f"{name}.csv"
    if not path.is_file():
        raise DefinitionError(f"缺少代码表 {path.name}。", next_step="还原 data/codelists/ 下的文件。")
    with path.open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    if rows and "code" not in rows[0]:
        raise DefinitionError(f"代码表 {path.name} 没有 code 列。", next_step="补上 code 列。")
    return {row["code"]: {k: v or "" for k, v in row.items()} for row in rows}


def name_of(listed: str, code: str | None, *, language: str = "zh") -> str | None:
    """Return the name of a code; the code itself when it is not listed, None for None (无数据)."""
    if code is None or code == "":
        return None
    entry = codelist(listed).get(code)
    if entry is None:
        return code
    return (entry.get("name_en") if language == "en" else None) or entry["name"]
