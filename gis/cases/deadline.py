"""Deadlines (时限) and the arithmetic behind them, in words. Pure: a class, a start, a calendar in; a moment and its reasons out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from gis.cases import deadline_words as words
from gis.cases.calendar import Calendar
from gis.clock import ZONE
from gis.errors import DefinitionError

Unit = Literal["hour", "day", "working_day"]
Use = Literal["case", "state"]
_FILE = "codelists/deadline_class.csv"


@dataclass(frozen=True)
class DeadlineClass:
    """One row of data/codelists/deadline_class.csv.

    Attributes
    ----------
    unit : ``hour`` runs round the clock; ``day`` ends at midnight after `amount` further days, one more when it began at
        `cutoff_hour` or later; ``working_day`` counts days of the calendar's office hours.
    use : ``case`` for whole cases, ``state`` for how long one step may take.
    """

    code: str
    name: str
    unit: Unit
    amount: int
    cutoff_hour: int | None
    use: Use

    @property
    def length(self) -> str:
        """How long, in words: 2 个工作日."""
        if self.unit == "day" and self.amount == 0:
            return "当天"
        return f"{self.amount} {words.UNITS[self.unit]}"


class Classes:
    """All deadline classes (时限类别), by code, in the file's order."""

    def __init__(self, rows: Sequence[DeadlineClass]) -> None:
        self.by_code = {row.code: row for row in rows}

    def of(self, code: str) -> DeadlineClass:
        """The class of this code; `DefinitionError` when there is none."""
        try:
            return self.by_code[code]
        except KeyError:
            raise DefinitionError(
                f"没有时限类别 {code}。", next_step=f"在 data/{_FILE} 里补上，或改用已有的。"
            ) from None

    @classmethod
    def load(cls, data: Path) -> Classes:
        """Read the code list of the data folder; `DefinitionError` with every fault found."""
        rows, faults = [], []
        try:
            with (data / _FILE).open(encoding="utf-8", newline="") as f:
                listed = list(csv.DictReader(f))
        except OSError as e:
            raise DefinitionError(f"data/{_FILE} 读不出来：{e}") from e
        for number, row in enumerate(listed, 2):
            made = _row(row)
            if isinstance(made, str):
                faults.append(f"第 {number} 行：{made}")
            else:
                rows.append(made)
        if len({row.code for row in rows}) != len(rows):
            faults.append("有代码重复")
        if faults or not rows:
            raise DefinitionError(f"data/{_FILE}：{'；'.join(faults) or '没有内容'}。")
        return cls(rows)


@dataclass(frozen=True)
class Pause:
    """挂起: from when to when the clock stood still; `end` None: it still does."""

    begin: datetime
    end: datetime | None
    reason: str = ""


@dataclass(frozen=True)
class Reckoning:
    """A deadline and how it came about.

    Attributes
    ----------
    due_at, warn_at : Asia/Shanghai. None while the clock stands still: nobody knows yet.
    words : one clause each, the result last; `sentence` strings them together.
    """

    due_at: datetime | None
    warn_at: datetime | None
    words: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """周四 10-08 16:20 受理，2 个工作日；… → 10-10 周六 16:20."""
        return "；".join(self.words[:-1]) + f" {self.words[-1]}"


def reckon(
    *,
    class_: DeadlineClass,
    start: datetime,
    calendar: Calendar,
    hours: str = "office",
    pauses: Sequence[Pause] = (),
    extension_days: int = 0,
    share: float = 0.75,
    began: str = "受理",
) -> Reckoning:
    """Reckon when something is due.

    Parameters
    ----------
    start : aware; when the clock began to run.
    hours : office hours of the unit in charge; only classes in working days ask for them.
    pauses : in any order; what overlaps counts once. A pause gives back exactly the time that it took: working time for a
        class in working days, elapsed time otherwise. One that began after the deadline had passed gives back nothing.
    extension_days : granted in all (延期): working days, or days for the other classes.
    share : of the time allowed; from there on it is at risk (临期).
    began : what started the clock, for the words.

    Notes
    -----
    Working days: who takes a case in outside office hours begins with the next opening; from there the same time of day, n
    working days on, so the result lies in office hours, never on a rest day, and never earlier for a later start.
    """
    start = start.astimezone(ZONE)
    told = [f"{words.moment(start)} {began}，{class_.length}"]
    if class_.unit == "working_day":
        begin = calendar.opening(start, hours=hours)
        told += words.waiting(start, begin, calendar)
        clock: _Office | _Round = _Office(calendar, hours)
        allowed = (class_.amount + extension_days) * calendar.hours[hours].daily
        due = clock.after(begin, allowed)
    else:
        begin, clock = start, _Round()
        due = _natural(class_, start) + timedelta(days=extension_days)
        if class_.cutoff_hour is not None and start.hour >= class_.cutoff_hour:
            told.append(f"{class_.cutoff_hour} 时以后算次日")
        allowed = due - start
    if extension_days:
        told.append(f"批准延期 {extension_days} {words.UNITS[_extension_unit(class_)]}")
    running = True
    for pause in _merged(pauses, begin):
        if pause.begin >= due:
            told.append(f"{words.moment(pause.begin)} 起挂起，已过期限，不补时间")
            break
        if pause.end is None:
            told.append(f"{words.moment(pause.begin)} 起挂起{words.why(pause.reason)}，时钟停着")
            running = False
            break
        given = clock.between(pause.begin, pause.end)
        due = clock.after(due, given)
        back = words.length(given, daily=clock.daily)
        told.append(f"{words.moment(pause.begin)} 至 {words.moment(pause.end)} 挂起{words.why(pause.reason)}，{back}")
    if not running:
        return Reckoning(None, None, (*told, "→ 恢复后接着算"))
    if class_.unit == "working_day":
        told += words.calendar_facts(begin.date(), due.date(), calendar)
    warn = clock.after(due, -(allowed * (1 - share)))
    return Reckoning(due, warn, (*told, f"→ {words.due(due, start, midnight=class_.unit == 'day')}"))


def promise(class_: DeadlineClass, *, began: str = "受理") -> str:
    """Say how long it will take before the clock has started: 受理后 2 个工作日内办结."""
    if class_.unit == "day" and class_.amount == 0:
        late = f"（{class_.cutoff_hour} 时以后{began}的次日办结）" if class_.cutoff_hour is not None else ""
        return f"{began}当天办结{late}"
    return f"{began}后 {class_.length}内办结"


class _Office:
    """Time that passes in office hours only."""

    def __init__(self, calendar: Calendar, hours: str) -> None:
        self.calendar, self.hours = calendar, hours
        self.daily: timedelta | None = calendar.hours[hours].daily

    def after(self, at: datetime, span: timedelta) -> datetime:
        return self.calendar.after(at, span, hours=self.hours)

    def between(self, begin: datetime, end: datetime) -> timedelta:
        return self.calendar.worked(begin, end, hours=self.hours)


class _Round:
    """Time that passes round the clock."""

    daily: timedelta | None = None

    def after(self, at: datetime, span: timedelta) -> datetime:
        return at + span

    def between(self, begin: datetime, end: datetime) -> timedelta:
        return end - begin


def _natural(class_: DeadlineClass, start: datetime) -> datetime:
    if class_.unit == "hour":
        return start + timedelta(hours=class_.amount)
    late = class_.cutoff_hour is not None and start.hour >= class_.cutoff_hour
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=class_.amount + 1 + late)


def _merged(pauses: Sequence[Pause], begin: datetime) -> list[Pause]:
    """Return the pauses in order, cut at `begin`, those that overlap or touch made one."""
    out: list[Pause] = []
    for pause in sorted(pauses, key=lambda p: p.begin):
        first = max(pause.begin.astimezone(ZONE), begin)
        end = None if pause.end is None else pause.end.astimezone(ZONE)
        if end is not None and end <= first:
            continue
        if out and (out[-1].end is None or first <= out[-1].end):
            last = out.pop()
            end = None if last.end is None or end is None else max(last.end, end)
            first, reason = last.begin, last.reason or pause.reason
        else:
            reason = pause.reason
        out.append(Pause(first, end, reason))
    return out


def _extension_unit(class_: DeadlineClass) -> Unit:
    return "working_day" if class_.unit == "working_day" else "day"


def _row(row: dict[str, str]) -> DeadlineClass | str:
    """Return the class of one row, or what is wrong with it."""
    if not row.get("code") or not row.get("name") or not row.get("source"):
        return "缺 code、name 或 source"
    unit: Any = row.get("unit")
    use: Any = row.get("use")
    amount, cutoff = row.get("amount") or "", row.get("cutoff_hour") or ""
    if unit not in get_args(Unit) or use not in get_args(Use):
        return f"unit 或 use 不对：{unit}、{use}"
    if not amount.isdigit() or (int(amount) == 0 and unit != "day") or int(amount) > 1000:
        return f"amount 不对：{amount}"
    if cutoff and (unit != "day" or not cutoff.isdigit() or not 0 < int(cutoff) < 24):
        return f"cutoff_hour 不对：{cutoff}"
    return DeadlineClass(row["code"], row["name"], unit, int(amount), int(cutoff) if cutoff else None, use)
