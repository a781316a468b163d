"""Words of cases that several places need: names of a report's fields, who acted, what a notice says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gis.clock import ZONE

FIELDS = {
    "title": "标题", "detail": "说明", "reporter_name": "姓名", "reporter_phone": "电话", "reporter_address": "地址",
    "external_ref": "原编号",
}  # fmt: skip
STANDINGS = {
    "on_track": "正常",
    "at_risk": "临期",
    "breached": "超期",
    "paused": "挂起",
    "done": "已停表",
    "none": "未计时",
}
_LONGEST = 500
_WHICH = re.compile(r" ?\{case_no\}(?: ?\{title\})? ?")
LEVELS = {1: "县", 2: "乡镇", 3: "村", 4: "网格"}


def moment(at: datetime | None) -> str:
    """11-22 10:05; for none: 未定."""
    return "未定" if at is None else f"{at.astimezone(ZONE):%m-%d %H:%M}"


def notice(template: str, case: Mapping[str, Any], *, state: str, note: str, actor: str) -> str:
    """A notice's words with its blanks filled; a template without blanks stays as it is.

    The news first, then which case: a list on a phone cuts the end of a line off, whatever order a definition has them in.
    """
    values = {
        "case_no": case["case_no"], "title": case["title"], "state": state, "due": moment(case.get("due_at")), "note": note,
        "actor": actor,
    }  # fmt: skip
    words = _WHICH.sub("", template)
    for name, value in values.items():
        words = words.replace("{" + name + "}", str(value))
    return of_case(words, case) if _WHICH.search(template) else words[:_LONGEST]


def of_case(news: str, case: Mapping[str, Any]) -> str:
    """News of a case: 已办完，请确认是否解决 · SJ2026112200017 村口路灯不亮."""
    which = f" · {case['case_no']} {case['title']}"
    return news.strip().rstrip("。")[: max(0, _LONGEST - len(which))] + which


def somebody_was_quicker(event: Mapping[str, Any] | None, *, step: str) -> str:
    """Who did what when, for the one who came second."""
    if event is None:
        return "这件办件刚刚被改动过，您的操作没有执行。"
    return f"{event['actor_name']} 已在 {event['at'].astimezone(ZONE):%H:%M:%S} “{step}”，您的操作没有执行。"
