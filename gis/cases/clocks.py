"""The clock of a running case: started, paused, resumed, extended, stopped; what is stored, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from gis.cases import deadline_words
from gis.cases.calendar import Calendar
from gis.cases.catalogue import Processes
from gis.cases.deadline import DeadlineClass, Pause, Reckoning, promise, reckon
from gis.cases.definition import Process, State
from gis.clock import ZONE
from gis.errors import BadRequest

_UNREADABLE = "期限随原系统带来，没有推算过程"


@dataclass(frozen=True)
class Running:
    """Columns of case_file to write, and the deadline in words."""

    columns: dict[str, Any]
    due_at: datetime | None
    said: str


class Clocks:
    """Reckons with the classes and calendars of the processes.

    Parameters
    ----------
    processes : Processes
        Holds the deadline classes, the calendars and the code lists.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._classes = processes.classes

    def class_of(self, process: Process, item_code: str | None) -> str | None:
        """Code of the class a case of this item has, None: not known before it is classified."""
        if process.deadline.by == "item" and process.items is not None:
            listed = self._processes.lists.rows(process.items).get(item_code or "")
            if listed is not None and listed.get("deadline"):
                return listed["deadline"]
        return process.deadline.fixed

    def at_report(self, process: Process, *, item_code: str | None, start: datetime, state: State) -> Running:
        """The clock of a new case: running when its first state says so, otherwise a promise."""
        code = self.class_of(process, item_code)
        columns: dict[str, Any] = {
            "deadline_class": code, "due_at": None, "warn_at": None, "clock": None, "clock_state": state.clock,
        }  # fmt: skip
        if code is None:
            return Running(columns, None, "受理时确定办理期限。")
        if state.clock != "runs":
            return Running(columns, None, promise(self._classes.of(code)) + "。")
        begun = self.start(process, code=code, start=start, hours=process.deadline.hours, began="上报")
        return Running(columns | begun.columns, begun.due_at, begun.said)

    def start(self, process: Process, *, code: str, start: datetime, hours: str, began: str = "受理") -> Running:
        """Begin, or begin anew."""
        clock = {
            "class": code, "start": start.isoformat(), "began": began, "hours": hours, "calendar": process.deadline.calendar,
            "share": process.deadline.at_risk_share, "pauses": [], "extension_days": 0, "extensions": 0,
        }  # fmt: skip
        return self._stored(clock, deadline_class=code)

    def pause(self, case: Mapping[str, Any], *, at: datetime, reason: str) -> Running:
        """Stand still (挂起)."""
        clock = _clock(case)
        clock["pauses"] = [*clock.get("pauses", []), {"begin": at.isoformat(), "end": None, "reason": reason[:60]}]
        return self._stored(clock)

    def resume(self, case: Mapping[str, Any], *, at: datetime) -> Running:
        """Run on."""
        clock = _clock(case)
        clock["pauses"] = [{**p, "end": p["end"] or at.isoformat()} for p in clock.get("pauses", [])]
        return self._stored(clock)

    def extend(self, process: Process, case: Mapping[str, Any], *, days: int) -> Running:
        """Grant an extension (延期).

        Raises
        ------
        BadRequest
            Beyond the process's number of extensions or days.
        """
        clock = _clock(case)
        granted, times = clock.get("extension_days", 0) + days, clock.get("extensions", 0) + 1
        if days < 1:
            raise BadRequest("延期天数要是 1 以上的整数。", next_step="改好后再提交。")
        if times > process.deadline.extensions:
            raise BadRequest(f"已经延期 {times - 1} 次，不能再延。", next_step="请尽快办结，或由上级督办。")
        if granted > process.deadline.longest_extension_days:
            raise BadRequest(f"一共最多延期 {process.deadline.longest_extension_days} 天。", next_step="请减少天数。")
        return self._stored(clock | {"extension_days": granted, "extensions": times})

    def _stored(self, clock: dict[str, Any], **more: Any) -> Running:
        reckoned = self.reckoned(clock)
        clock = clock | {"words": list(reckoned.words)}
        columns = {"due_at": reckoned.due_at, "warn_at": reckoned.warn_at, "clock": Jsonb(clock), **more}
        return Running(columns, reckoned.due_at, reckoned.sentence if len(reckoned.words) > 1 else reckoned.words[0])

    def reckoned(self, clock: Mapping[str, Any]) -> Reckoning:
        """The deadline of a stored clock, anew."""
        pauses = [
            Pause(datetime.fromisoformat(p["begin"]), None if p["end"] is None else datetime.fromisoformat(p["end"]), p.get("reason", ""))
            for p in clock.get("pauses", [])
        ]  # fmt: skip
        if "due" in clock:
            return _taken_over(clock, pauses)
        return reckon(
            class_=self._class(clock["class"]), start=datetime.fromisoformat(clock["start"]),
            calendar=self.calendar(clock.get("calendar", "cn")), hours=clock.get("hours", "office"), pauses=pauses,
            extension_days=clock.get("extension_days", 0), share=clock.get("share", 0.75), began=clock.get("began", "受理"),
        )  # fmt: skip

    def calendar(self, name: str) -> Calendar:
        """The calendar of this name."""
        return self._processes.calendars[name]

    def within(self, code: str, since: datetime, *, hours: str = "office") -> datetime | None:
        """Until when a case that came into a state at `since` may stay there."""
        return reckon(class_=self._class(code), start=since, calendar=self.calendar("cn"), hours=hours).due_at

    def _class(self, code: str) -> DeadlineClass:
        return self._classes.of(code)


def words_of(case: Mapping[str, Any]) -> tuple[str, ...]:
    """What is said of a case's deadline: the arithmetic as it was when it was last reckoned."""
    clock = case["clock"]
    if clock:
        return tuple(clock.get("words", ()))
    return (_UNREADABLE,) if case["due_at"] is not None else ()


def _clock(case: Mapping[str, Any]) -> dict[str, Any]:
    """The stored clock; for a case taken over with its due date, one that holds to that date."""
    if case["clock"]:
        return dict(case["clock"])
    if case["due_at"] is None:
        raise BadRequest("这件办件还没有开始计时。", next_step="请先受理。")
    start = case["accepted_at"] or case["reported_at"]
    return {
        "due": case["due_at"].isoformat(),
        "start": start.isoformat(),
        "share": 0.75,
        "pauses": [],
        "extension_days": 0,
    }


def _taken_over(clock: Mapping[str, Any], pauses: list[Pause]) -> Reckoning:
    """A due date of another system, moved by what happened here; elapsed time, because nobody knows how it was reckoned."""
    due, start = (datetime.fromisoformat(clock[k]).astimezone(ZONE) for k in ("due", "start"))
    told = [f"{_UNREADABLE}：原期限 {deadline_words.moment(due)}"]
    allowed = due - start
    if days := clock.get("extension_days", 0):
        due += timedelta(days=days)
        told.append(f"批准延期 {days} 天")
    for pause in sorted(pauses, key=lambda p: p.begin):
        if pause.end is None:
            told += [
                f"{deadline_words.moment(pause.begin.astimezone(ZONE))} 起挂起{deadline_words.why(pause.reason)}，时钟停着",
                "→ 恢复后接着算",
            ]
            return Reckoning(None, None, tuple(told))
        if pause.begin < due:
            due += pause.end - pause.begin
            told.append(
                f"挂起{deadline_words.why(pause.reason)}，{deadline_words.length(pause.end - pause.begin, daily=None)}"
            )
    return Reckoning(
        due,
        due - allowed * (1 - clock.get("share", 0.75)),
        (*told, f"→ {deadline_words.due(due, start, midnight=False)}"),
    )
