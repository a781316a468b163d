"""Does the tree of divisions add up? Codes, parents, gaps, overlaps, Σ children = parent, features where they belong."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from psycopg import Connection, sql
from pydantic import BaseModel, PositiveFloat

from gis.store.queries import load_queries

# Tables whose rows lie in a grid, with their key.
PLACED_TABLES = {
    "parcel": "parcel_id", "facility": "facility_id", "resource": "resource_id",
    "household": "household_id", "case_file": "case_id", "alert": "alert_id",
}  # fmt: skip
PLACED_NAMES = {
    "parcel": "地块", "facility": "设施", "resource": "资源", "household": "农户", "case_file": "办件", "alert": "预警",
}  # fmt: skip


class Threshold(BaseModel):
    """One number of data/rules/divisions.toml with its unit and source."""

    value: PositiveFloat
    unit: str
    source: str


class DivisionRules(BaseModel):
    """data/rules/divisions.toml."""

    tolerance: dict[Literal["area_m2", "area_share"], Threshold]
    sample: dict[Literal["rows"], Threshold]

    @classmethod
    def load(cls, data: Path) -> DivisionRules:
        """Read and validate the file."""
        with (data / "rules" / "divisions.toml").open("rb") as f:
            return cls.model_validate(tomllib.load(f))


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes
    ----------
    verdict : {'ok', 'fault', 'not executed'}
        ``not executed`` when there was nothing to check: that is not a success.
    detail : str
        The figures that were compared.
    faults : list of str
        What does not add up, a sentence each.
    """

    name: str
    verdict: Literal["ok", "fault", "not executed"]
    detail: str
    faults: list[str] = field(default_factory=list)


def verify(conn: Connection, *, rules: DivisionRules) -> list[Check]:
    """Run all checks against the divisions that hold today.

    Parameters
    ----------
    conn : Connection
        Any role that may read the onemap schema.
    """
    queries = load_queries("divisions_verify")
    tolerance = {"tolerance": rules.tolerance["area_m2"].value, "share": rules.tolerance["area_share"].value}
    counts: dict[int, int] = dict(conn.execute(queries["level_counts"]).fetchall())
    if not counts:
        return [Check("区划", "not executed", "库里没有区划")]

    def check(name: str, query: str, sentence: str, detail: str = "") -> Check:
        rows = conn.execute(queries[query], tolerance).fetchall()
        return Check(name, "fault" if rows else "ok", detail, [sentence.format(*row) for row in rows])

    shape = " · ".join(
        f"{what} {counts.get(level, 0)}" for level, what in ((1, "县"), (2, "乡镇"), (3, "村"), (4, "网格"))
    )
    one_county = Check(
        "县级唯一",
        "ok" if counts.get(1) == 1 else "fault",
        shape,
        [] if counts.get(1) == 1 else [f"县级有 {counts.get(1, 0)} 个，应为 1"],
    )
    return [
        one_county,
        check("上级存在", "orphans", "{0} {1}：上级 {2} 不存在或已撤销"),
        check("下级存在", "childless", "{0} {1}：没有下级区划"),
        _prefixes(conn),
        check("有边界", "without_boundary", "{0} {1}：没有边界"),
        check(
            "无空隙无外溢",
            "gaps",
            "{0} {1}：空隙 {2:.1f} m²，越界 {3:.1f} m²，在 {4:.6f}, {5:.6f}",
            "下级拼起来 = 上级",
        ),
        check("互不重叠", "overlaps", "{0} {1} 与 {2} {3} 重叠 {4:.1f} m²"),
        check("面积相加", "area_sums", "{0} {1}：本级 {2:.1f} m²，下级合计 {3:.1f} m²", _area(conn)),
        check("户数人口相加", "people_sums", "{0} {1}：户 {2} ≠ {3}，或人口 {4} ≠ {5}", _people(conn)),
        *[_placed(conn, table) for table in PLACED_TABLES],
        *[_misplaced(conn, table, rows=int(rules.sample["rows"].value)) for table in PLACED_TABLES],
    ]


def _prefixes(conn: Connection) -> Check:
    rows = conn.execute(load_queries("divisions_verify")["foreign_prefix"]).fetchall()
    faults = [
        f"{code} {name}：编码不以上级 {parent} 开头，也没有区划调整记录"
        for code, name, parent, explained in rows
        if not explained
    ]
    kept = sum(1 for row in rows if row[3])
    detail = f"{kept} 个因并村沿用原编码" if kept else "下级编码以上级编码开头"
    return Check("编码衔接", "fault" if faults else "ok", detail, faults)


def _area(conn: Connection) -> str:
    rows = conn.execute(
        "SELECT level, sum(area_m2) / 1e6 FROM onemap.division_now GROUP BY level ORDER BY level"
    ).fetchall()
    names = {1: "县", 2: "Σ乡镇", 3: "Σ村", 4: "Σ网格"}
    return " = ".join(f"{names[level]} {km2:.4f}" for level, km2 in rows if km2 is not None) + " km²"


def _people(conn: Connection) -> str:
    rows = conn.execute(
        "SELECT level, sum(households), sum(population) FROM onemap.division_now GROUP BY level ORDER BY level"
    ).fetchall()
    return " = ".join(f"{h} 户 {p} 人" for _, h, p in rows if h is not None and p is not None)


def _placed(conn: Connection, table: str) -> Check:
    query = sql.SQL(load_queries("divisions_verify")["placed_counts"]).format(table=sql.Identifier("onemap", table))
    row = conn.execute(query).fetchone()
    assert row is not None
    total, unplaced, *by_level = row
    name = f"{PLACED_NAMES[table]}逐级相加"
    if total == 0:
        return Check(name, "not executed", "没有数据")
    detail = (
        f"{total} = 网格 {by_level[0]} = 村 {by_level[1]} = 乡镇 {by_level[2]} = 县 {by_level[3]}，另未落点 {unplaced}"
    )
    faults = [
        f"{what}一级 {count} + 未落点 {unplaced} ≠ {total}"
        for what, count in zip(("网格", "村", "乡镇", "县"), by_level, strict=True)
        if count + unplaced != total
    ]
    return Check(name, "fault" if faults else "ok", detail, faults)


def _misplaced(conn: Connection, table: str, *, rows: int) -> Check:
    query = sql.SQL(load_queries("divisions_verify")["misplaced"]).format(
        table=sql.Identifier("onemap", table), key=sql.Identifier(PLACED_TABLES[table])
    )
    row = conn.execute(query, {"rows": rows}).fetchone()
    assert row is not None
    looked, wrong, first = row
    name = f"{PLACED_NAMES[table]}落点复核"
    if looked == 0:
        return Check(name, "not executed", "没有数据")
    faults = [f"{wrong} 条所在网格与位置不符，例如 {PLACED_TABLES[table]} = {first}"] if wrong else []
    return Check(
        name,
        "fault" if wrong else "ok",
        f"抽查 {looked} 条，全部与数据库规则一致" if not wrong else f"抽查 {looked} 条",
        faults,
    )
