"""What a deadline's arithmetic says: dates, rest days and 调休 as people here write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import groupby

from gis.cases.calendar import Calendar

UNITS = {"hour": "小时", "day": "天", "working_day": "个工作日"}
_WEEK = "一二三四五六日"
_DAY = timedelta(days=1)


def weekday(day: date) -> str:
    """周六."""
    return f"周{_WEEK[day.weekday()]}"


def moment(at: datetime) -> str:
    """10-08 周四 16:20."""
    return f"{at:%m-%d} {weekday(at)} {at:%H:%M}"


def due(at: datetime, start: datetime, *, midnight: bool) -> str:
    """The result; the year when it is another than the start's, and 24:00 of the day before instead of 00:00."""
    ends = midnight and at.hour == at.minute == 0
    day = at.date() - _DAY if ends else at.date()
    year = "" if day.year == start.year else f"{day.year}-"
    return f"{year}{day:%m-%d} {weekday(day)} {'24:00' if ends else f'{at:%H:%M}'}"


def why(reason: str) -> str:
    """A reason in brackets, or nothing."""
    return f"（{reason}）" if reason else ""


def length(span: timedelta, *, daily: timedelta | None) -> str:
    """How much time a pause gives back; in working days when `daily` is a day's work."""
    if not span:
        return "没占用工作时间，不补"
    day, unit = (daily, "个工作日") if daily else (_DAY, "天")
    whole, rest = divmod(span, day)
    minutes, seconds = divmod(rest.seconds, 60)
    parts = [f"{whole} {unit}" if whole else "", f"{minutes // 60} 小时" if minutes >= 60 else ""]
    parts += [f"{minutes % 60} 分钟" if minutes % 60 else "", f"{seconds} 秒" if seconds and not whole else ""]
    return "补 " + " ".join(filter(None, parts))


def waiting(start: datetime, begin: datetime, calendar: Calendar) -> list[str]:
    """Why the count begins later than the start; nothing when it does not."""
    if begin <= start:
        return []
    kind = calendar.kind(start.date())
    if not kind.worked:
        because = f"{kind.name}放假" if kind.name else f"{weekday(start)}休息"
    elif begin.date() == start.date():
        because = "还没上班" if start.hour < 11 else "午休"
    else:
        because = "已经下班"
    return [f"{because}，从 {moment(begin)} 算起"]


def calendar_facts(first: date, last: date, calendar: Calendar) -> list[str]:
    """What the calendar did between two days: rest days skipped, festivals, worked weekends, years nobody announced."""
    told: list[str] = []
    days = [first + n * _DAY for n in range(1, (last - first).days + 1)]
    rests = [d for d in days if not calendar.kind(d).worked]
    for name, group in _runs(rests, calendar):
        run = list(group)
        span = f"{run[0]:%m-%d}" if len(run) == 1 else f"{run[0]:%m-%d} 至 {run[-1]:%m-%d}"
        told.append(f"{span} {name}放假" if name else f"{span} {''.join(weekday(d) for d in run)}休")
    for day in days:
        kind = calendar.kind(day)
        if kind.worked and day.weekday() >= 5:
            told.append(f"{day:%m-%d} {weekday(day)}{kind.name}调休上班")
    told.sort(key=lambda text: _order(text, first))
    unannounced = sorted({d.year for d in days if not calendar.kind(d).announced})
    return told + [f"{year} 年放假安排还没公布，先按周末休息算" for year in unannounced]


def _runs(rests: list[date], calendar: Calendar) -> list[tuple[str, list[date]]]:
    """Rest days in a row that rest for the same reason."""

    def key(numbered: tuple[int, date]) -> tuple[str, date]:
        return calendar.kind(numbered[1]).name, numbered[1] - numbered[0] * _DAY

    return [(name, [day for _, day in group]) for (name, _), group in groupby(enumerate(rests), key=key)]


def _order(text: str, first: date) -> tuple[bool, str]:
    """In order of time although the clauses carry no year: what comes before the first day's date is next year's."""
    return text[:5] < f"{first:%m-%d}", text[:5]
