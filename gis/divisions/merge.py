"""区划合并: one division goes into another on a day. Old versions stay, so figures of old months stay as they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from psycopg import Connection, sql

from gis.clock import today
from gis.divisions.verify import PLACED_TABLES
from gis.errors import BadInput
from gis.store.queries import load_queries

_LEVELS = {6: 1, 9: 2, 12: 3, 15: 4}


@dataclass(frozen=True)
class Merger:
    """What a merger did.

    Attributes
    ----------
    children_moved : int
        Divisions that changed their parent; they keep their codes.
    rows_updated : dict of str to int
        Rows per table whose village or township of today changed.
    scopes_followed : int
        Scopes (权限范围) of divisions that ended, which go on as scopes of the one that stays.
    """

    into_code: str
    into_name: str
    from_names: list[str]
    on_date: date
    children_moved: int
    rows_updated: dict[str, int]
    scopes_followed: int = 0


def merge(
    conn: Connection,
    *,
    from_codes: list[str],
    into_code: str,
    on_date: date,
    name: str | None = None,
    document: str | None = None,
) -> Merger:
    """Merge townships or villages into one of their siblings, in the caller's transaction.

    Parameters
    ----------
    conn : Connection
        Role job or owner.
    from_codes : list of str
        Codes that end.
    into_code : str
        Code that goes on, with the union of the boundaries and the sum of the people.
    on_date : date
        First day of the new state; today or earlier, because the store shows the tree of today.
    name : str or None
        New name of `into_code`; None keeps it.

    Raises
    ------
    BadInput
        When a code does not hold today, the levels or parents differ, or the date does not fit the versions.
    """
    queries = load_queries("divisions_merge")
    codes = [*dict.fromkeys(from_codes), into_code]
    if into_code in from_codes or len(codes) < 2:
        raise BadInput(
            "被并入的编码不能与保留的编码相同。",
            next_step="例：./onemap divisions merge 130529200205 --into 130529200206 --on 2026-11-01",
        )
    level = _LEVELS.get(len(into_code))
    if level not in (2, 3):
        raise BadInput("只能合并乡镇（9 位）或村（12 位）。", next_step="检查编码位数。")
    if on_date > today():
        raise BadInput(f"{on_date} 还没到。", next_step="到生效当天再运行；旧月份的数字不会受影响。")
    versions = {row[0]: row for row in conn.execute(queries["standing"], {"codes": codes}).fetchall()}
    missing = [c for c in codes if c not in versions]
    if missing:
        raise BadInput(f"现行区划里没有：{'、'.join(missing)}。", next_step="用 ./onemap divisions list 查编码。")
    parents = {versions[c][2] for c in codes}
    if len(parents) != 1 or any(len(c) != len(into_code) for c in codes):
        raise BadInput("只能合并同一上级之下、同一级的区划。", next_step="跨乡镇的调整请先调整上级。")
    late = [c for c in codes if versions[c][3] >= on_date]
    if late:
        raise BadInput(
            f"{'、'.join(late)} 的现行版本从 {max(versions[c][3] for c in late)} 才开始，晚于或等于 {on_date}。",
            next_step="改用更晚的生效日期。",
        )

    values = {"from": codes[:-1], "codes": codes, "into": into_code, "on": on_date, "name": name, "document": document}
    conn.execute(queries["new_version"], values)
    moved = conn.execute(queries["move_children"], values).rowcount
    conn.execute(queries["record"], values)
    column = {2: "township_code", 3: "village_code"}[level]
    updated = {}
    for table in PLACED_TABLES:
        statement = sql.SQL("UPDATE {} SET {} = %(into)s WHERE {} = ANY(%(from)s)").format(
            sql.Identifier("onemap", table), sql.Identifier(column), sql.Identifier(column)
        )
        updated[table] = conn.execute(statement, values).rowcount
    updated["case_part"] = conn.execute(queries[{2: "township_parts", 3: "village_parts"}[level]], values).rowcount
    conn.execute("SELECT onemap.refresh_parcel_summary()")
    followed = conn.execute(queries["scopes"], values).fetchone()
    return Merger(
        into_code,
        name or str(versions[into_code][1]),
        [str(versions[c][1]) for c in codes[:-1]],
        on_date,
        moved,
        updated,
        int(followed[0]) if followed else 0,
    )
