"""Cross-village cases (跨村分办): the villages a geometry touches, who leads, what is still open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from gis.access.principal import Principal
from gis.cases.definition import Effect
from gis.errors import BadRequest
from gis.store.queries import load_queries

if TYPE_CHECKING:
    from gis.cases.change import Change

_SMALLEST_SHARE_PCT = 0.5  # less is a hair's breadth over a border that nobody surveyed to the metre


def split(conn: Connection[Any], case_id: int) -> list[dict[str, Any]]:
    """The parts of a case with an extent, largest share first and leading; empty when it lies in one village.

    All keep the case's one deadline; each part goes to a member of that village's grids, the fewest open cases first.
    """
    found = conn.execute(load_queries("cases")["split_case"], {"case_id": case_id}).fetchall()
    pieces = [p for p in found if (p["share_pct"] or 0) >= _SMALLEST_SHARE_PCT]
    if len(pieces) < 2:
        return []
    return [
        {"case_id": case_id, "is_lead": n == 0, "share_pct": p["share_pct"], "assignee_id": p["account_id"],
         "village_code": p["village_code"], "township_code": p["township_code"], "name": p["name"]}
        for n, p in enumerate(pieces)
    ]  # fmt: skip


def write_parts(conn: Connection[Any], parts: list[dict[str, Any]]) -> None:
    """Add the parts of a case that has none yet."""
    for part in parts:
        conn.execute(load_queries("cases")["part"], part)


def of_whom(villages: Iterable[str], principal: Principal | None) -> list[str]:
    """Which of these villages a person answers for; a grid's member for the village of the grid."""
    scope = principal.scope if principal else ()
    return [v for v in villages if any(v.startswith(s) or v == s[:12] for s in scope)]


def without(case: Mapping[str, Any], principal: Principal | None) -> frozenset[Effect]:
    """Effects a case has no use for: nobody finishes a part (本村办完) who has none that is open."""
    return frozenset() if of_whom(case["villages_open"], principal) else frozenset({"part.done"})


def require_done(change: Change) -> None:
    """Refuse the result of the whole while a village still works on its part.

    Raises
    ------
    BadRequest
    """
    left = change.case["parts_open"]
    if left and "ask_reporter" in change.transition.effects:
        raise BadRequest(f"还有 {left} 个村的部分没有办完。", next_step="等各村点“本村办完”，再反馈总的结果。")
