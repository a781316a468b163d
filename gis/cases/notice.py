"""Who is told what (提醒): relations turned into accounts, words filled in. A reporter without an account reads theirs by code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gis.cases import wording
from gis.cases.definition import Relation

if TYPE_CHECKING:
    from gis.cases.change import Change, Desk

_MOST_OF_A_PLACE = 3


def of_transition(change: Change, desk: Desk) -> list[dict[str, Any]]:
    """The notices a step gives, nobody told twice, nobody told of what they did themselves."""
    step = change.transition
    if not step.notify or not step.words:
        return []
    case = {**change.case, **change.columns}
    words = wording.notice(step.words, case, state=change.target.name, note=change.note, actor=actor_name(change))
    public_words = wording.notice(step.words, case, state=change.target.public_name, note=change.note, actor="承办单位")
    told: dict[int | None, str] = {}
    for relation in step.notify:
        for account in whom(desk, case, relation):
            told.setdefault(account, public_words if account is None else words)
    if change.account_id is not None:
        told.pop(change.account_id, None)
    return [
        {"case_id": case["case_id"], "to_account": account, "kind": step.id, "words": said} for account, said in told.items()
    ]  # fmt: skip


def whom(desk: Desk, case: dict[str, Any], relation: Relation) -> Iterable[int | None]:
    """Accounts a relation names; None: the reporter, who has no account here."""
    if relation == "reporter":
        return [case["reporter_id"]]
    if relation == "assignee":
        return [case["assignee_id"]] if case["assignee_id"] is not None else []
    if relation == "head":
        unit = desk.conn.execute(desk.sql["unit"], {"unit": case["unit"]}).fetchone() if case["unit"] else None
        if unit is not None and unit["head_id"] is not None:
            return [unit["head_id"]]
        return _people(desk, case, units=None, roles=["planner"] if (case["level"] or 3) > 1 else ["commander"])
    if relation == "unit":
        if not case["unit"]:
            return []
        unit = desk.conn.execute(desk.sql["unit"], {"unit": case["unit"]}).fetchone()
        return _people(desk, case, units=[case["unit"], *([unit["name"]] if unit else [])], roles=None)
    if relation == "place":
        return _people(desk, case, units=None, roles=None)
    return []


def actor_name(change: Change) -> str:
    """Who acted, as it is shown and kept."""
    kind = change.actor.kind
    if change.actor.principal is not None:
        return change.actor.principal.display_name
    return {"reporter": "上报人", "system": "系统", "partner": "对接系统", "import": "导入"}.get(kind, "系统")


def _people(desk: Desk, case: dict[str, Any], *, units: list[str] | None, roles: list[str] | None) -> list[int | None]:
    found = desk.conn.execute(
        desk.sql["candidates"],
        {"units": units, "roles": roles, "grid": case["grid_code"], "village": case["village_code"], "township": case["township_code"],
         "without": [], "limit": _MOST_OF_A_PLACE},
    ).fetchall()  # fmt: skip
    return [row["account_id"] for row in found]
