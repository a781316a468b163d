"""A case as the engine hands it out, by hand: for tests of the desk's presenters, which need no store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from gis.cases.model import Card, Event, Row, Step
from gis.clock import ZONE

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=ZONE)  # a Friday


def row(**changed: Any) -> Row:
    """One case, on track, due on Monday."""
    plain = Row(
        case_id=7, case_no="SJ2026112000007", process="incident", state="handling", state_name="部门处置", revision=3, title="村口路灯不亮",
        item_code="0303", item_name="道路与路灯损坏", channel="hotline", reported_at=NOON - timedelta(hours=3), due_at=NOON + timedelta(days=3),
        standing="on_track", unit="jtj", unit_name="县交通运输局", assignee_id=5, assignee_name="王建军", township_code="130529100",
        village_code="130529100201", place="甲镇 东安村", lon=115.03, lat=37.22, rating=None, reopened=0,
    )  # fmt: skip
    return replace(plain, **changed)


def step(name: str, *, fields: tuple[dict[str, Any], ...] = (), **changed: Any) -> Step:
    """One step; `fields` are forms' fields as data."""
    return replace(Step(name, f"做{name}", f"Do {name}", "plain", False, fields, (), False), **changed)


def field(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """One field of a form as the engine hands it out."""
    return {"id": name, "name": f"填{name}", "name_en": f"Fill {name}", "kind": kind, "required": False, "options": {}, "codelist": None,
            "unit": None, "min": None, "max": None, "max_length": 200, "personal": False, "public": False, "hint": ""} | more  # fmt: skip


def event(**changed: Any) -> Event:
    """One line of the history."""
    plain = Event(NOON, "take", "接单", "响应指定", "部门处置", "王建军", None, (), None, None)
    return replace(plain, **changed)


def card(**changed: Any) -> Card:
    """A whole case with everything a card can show."""
    plain = Card(
        row=row(), detail="三根路灯一周没亮。", process_name="事件", events=(event(),), steps=(step("feedback", tone="main"),), photos=(), parts=(),
        due_words=("周五 09:20 受理", "2 个工作日；周六周日休", "→ 11月24日 09:20"), reporter={"name": "李*四", "phone": "138****5678", "address": None},
        related=(), accuracy_m=12.0, source_crs="EPSG:4326", extent=None, data={},
    )  # fmt: skip
    return replace(plain, **changed)
