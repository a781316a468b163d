"""The log of loads (入库记录), and taking one back: all its rows or none; the record stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from etl.cases.undoing import undo_cases
from etl.fault import TITLES, Tally
from etl.placing_again import place_again
from etl.report import Reason, reasons
from gis.errors import BadRequest, NotFound
from gis.store.queries import load_queries


@dataclass(frozen=True)
class Load:
    """One row of intake.load: which file, its hash, who, when, how many rows came in and stayed out."""

    load_id: int
    subject: str
    source_name: str
    mapping: str | None
    source_crs: str | None
    synthetic: bool
    loaded_by: str
    started_at: datetime
    finished_at: datetime | None
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    undone_at: datetime | None
    note: str | None
    sha256: str | None

    @property
    def state(self) -> str:
        """In words."""
        if self.undone_at is not None:
            return "已撤销"
        return "已完成" if self.finished_at is not None else "未完成"


def list_loads(conn: Connection, *, limit: int = 30) -> list[Load]:
    """Loads, newest first."""
    return [Load(*row) for row in conn.execute(load_queries("imports")["log"], {"limit": limit}).fetchall()]


def show_load(conn: Connection, load_id: int) -> tuple[Load, list[Reason]]:
    """One load and its quarantined rows by reason; NotFound when there is none."""
    queries = load_queries("imports")
    row = conn.execute(queries["load"], {"load_id": load_id}).fetchone()
    if row is None:
        raise NotFound(f"没有批次 {load_id}。", next_step="用 ./onemap import log 查批次号。")
    tally = Tally()
    for number, key, code, reason in conn.execute(queries["quarantined"], {"load_id": load_id}):
        if code in TITLES:
            tally.add(code, number, key, reason)
    return Load(*row), reasons(tally)


def undo_load(conn: Connection, load_id: int) -> dict[str, int]:
    """Take back the rows of a load in the caller's transaction; return rows deleted or changed by table.

    Raises
    ------
    NotFound
        No such load.
    BadRequest
        It is unfinished, undone already, not an import, or something later stands on its rows.
    """
    queries = load_queries("imports_undo")
    bound = {"load_id": load_id}
    row = conn.execute(queries["lock_load"], bound).fetchone()
    if row is None:
        raise NotFound(f"没有批次 {load_id}。", next_step="用 ./onemap import log 查批次号。")
    subject, finished, undone, name, synthetic = row
    if undone is not None:
        raise BadRequest(f"批次 {load_id}（{name}）已经撤销过了。", next_step="不需要再做什么。")
    if finished is None:
        raise BadRequest(f"批次 {load_id}（{name}）还没有完成。", next_step="等它结束再撤销。")
    take_back: dict[str, Callable[[Connection, int], dict[str, int]]] = {
        "parcels": _parcels, "facilities": _facilities, "divisions": _divisions,
    }  # fmt: skip
    if subject not in (*take_back, "incidents") or synthetic:
        raise BadRequest(
            f"批次 {load_id} 是“{subject}”，不是从文件导入的，不能这样撤销。",
            next_step="演示数据用 ./onemap reset 重建。",
        )
    if subject == "incidents":  # lines of history go only with a load that is marked
        conn.execute(queries["mark_undone"], bound)
        return undo_cases(conn, load_id)
    counts = take_back[subject](conn, load_id)
    conn.execute(queries["mark_undone"], bound)
    return counts


def _parcels(conn: Connection, load_id: int) -> dict[str, int]:
    queries, bound = load_queries("imports_undo"), {"load_id": load_id}
    _nobody(
        conn, "alerts_on_parcels", load_id, "条预警引用了这批地块，撤销会让预警失去依据。", "先处理这些预警，再撤销。"
    )
    counts = {"地块": conn.execute(queries["delete_parcels"], bound).rowcount}
    counts["承包方"] = conn.execute(queries["delete_contractors"], bound).rowcount
    conn.execute(load_queries("imports")["refresh"])
    return counts


def _facilities(conn: Connection, load_id: int) -> dict[str, int]:
    _nobody(conn, "resources_at_facilities", load_id, "个资源驻在这批设施里。", "先给这些资源换驻地，再撤销。")
    return {"设施": conn.execute(load_queries("imports_undo")["delete_facilities"], {"load_id": load_id}).rowcount}


def _divisions(conn: Connection, load_id: int) -> dict[str, int]:
    queries, bound = load_queries("imports_undo"), {"load_id": load_id}
    later = [r[0] for r in conn.execute(queries["later_divisions"], bound).fetchall()]
    if later:
        raise BadRequest(
            f"{'、'.join(later[:5])} 等 {len(later)} 个区划在这批之后又变过，不能单独撤销。",
            next_step="先撤销后来的批次。",
        )
    orphans = [r[0] for r in conn.execute(queries["orphaned_children"], bound).fetchall()]
    if orphans:
        raise BadRequest(
            f"{'、'.join(orphans[:5])} 等 {len(orphans)} 个区划以这批为上级。", next_step="先撤销后来的批次。"
        )
    gone = conn.execute(queries["delete_divisions"], bound).fetchall()
    reopened = conn.execute(
        queries["reopen_divisions"], {"codes": [g[0] for g in gone], "dates": [g[1] for g in gone]}
    ).rowcount
    moved = place_again(conn)
    return {"区划": len(gone), "恢复旧版本": reopened, "重新落点": sum(moved.values())}


def _nobody(conn: Connection, query: str, load_id: int, what: str, step: str) -> None:
    row = conn.execute(load_queries("imports_undo")[query], {"load_id": load_id}).fetchone()
    if row is not None and row[0]:
        raise BadRequest(f"有 {row[0]:,} {what}", next_step=step)
