"""What a list of cases may be filtered and sorted by; the store puts it into words (onemap.case_where) and quotes every value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from gis.clock import ZONE, now
from gis.errors import BadRequest

STANDINGS = ("breached", "at_risk", "on_track", "paused", "done", "none")
VIEWS = ("mine", "breached", "at_risk", "waiting", "confirm", "supervised", "open", "week")
SORTS = ("due", "reported", "case_no", "title", "state", "unit", "assignee")
_PLAIN = (
    "process", "states", "standing", "items", "channel", "division", "unit", "assignee_id", "level", "open", "has_photo", "supervised",
    "reopened",
)  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """What a list shows; None: everything that the asker may see.

    Attributes
    ----------
    states, items : any of these.
    standing : on_track, at_risk, breached, paused, done, none.
    view : a saved view, one of `VIEWS`.
    division : 6, 9, 12 or 15 digits. grid, village, township: the same, said by name.
    text : part of the title, or a case number.
    reported_from, reported_to : days, both included, in the county's zone.
    """

    process: str = "incident"
    states: tuple[str, ...] | None = None
    standing: str | None = None
    view: str | None = None
    items: tuple[str, ...] | None = None
    channel: str | None = None
    division: str | None = None
    unit: str | None = None
    assignee_id: int | None = None
    level: int | None = None
    mine: bool = False
    open: bool | None = None
    text: str | None = None
    reported_from: date | None = None
    reported_to: date | None = None
    has_photo: bool | None = None
    supervised: bool | None = None
    reopened: bool | None = None


def asked(wanted: Filter) -> dict[str, Any]:
    """The filter as onemap.case_where reads it, JSON values.

    Raises
    ------
    BadRequest
        For a standing, view, division or text that cannot be.
    """
    moment = now()
    said: dict[str, Any] = {"now": moment.isoformat(), "week": monday(moment).isoformat()}
    for name in _PLAIN:
        value = getattr(wanted, name)
        if value is not None:
            said[name] = list(value) if isinstance(value, tuple) else value
    if wanted.standing is not None and wanted.standing not in STANDINGS:
        raise BadRequest(f"没有状态 {wanted.standing[:20]}。", next_step=f"可选：{'、'.join(STANDINGS)}。")
    view = "mine" if wanted.mine else wanted.view
    if view is not None and view not in VIEWS:
        raise BadRequest(f"没有视图 {view[:20]}。", next_step=f"可选：{'、'.join(VIEWS)}。")
    if view is not None:
        said["view"] = view
    if wanted.division and not (
        wanted.division.isascii() and wanted.division.isdigit() and len(wanted.division) in (6, 9, 12, 15)
    ):
        raise BadRequest("区划代码不对。", next_step="用 6、9、12 或 15 位代码。")
    if wanted.reported_from:
        said["reported_from"] = datetime.combine(wanted.reported_from, time(), ZONE).isoformat()
    if wanted.reported_to:
        said["reported_to"] = datetime.combine(wanted.reported_to + timedelta(days=1), time(), ZONE).isoformat()
    if wanted.text and wanted.text.strip():
        text = wanted.text.strip()
        if len(text) > 60:
            raise BadRequest("查找的字太多。", next_step="最多 60 个字。")
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        said |= {"like": f"%{escaped}%", "number": text.upper()}
    if "\\u0000" in json.dumps(said):
        raise BadRequest("筛选条件里有不能用的字符。", next_step="请改掉后再试。")
    return said


def monday(moment: datetime) -> datetime:
    """When the week of a moment began."""
    return datetime.combine(moment.date() - timedelta(days=moment.weekday()), time(), ZONE)


def order(sort: str) -> tuple[str, bool]:
    """Name of the column and whether downwards; ``-`` in front: downwards.

    Raises
    ------
    BadRequest
        For any other name.
    """
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise BadRequest("不能按这一列排序。", next_step=f"可选：{'、'.join(SORTS)}，前面加 - 为倒序。")
    return name, sort.startswith("-")
