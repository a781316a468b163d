"""Which days are worked (工作日, with 调休) and at which hours: from chinesecalendar and data/calendars/*.toml. Pure."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import chinese_calendar

from gis.clock import ZONE
from gis.errors import DefinitionError

_DAY = timedelta(days=1)
_SPAN = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$")
_PACKAGE_YEARS = frozenset(day.year for day in chinese_calendar.constants.holidays)
_FURTHEST_DAYS = 20_000  # a deadline beyond is a fault in the data, not a long search
Span = tuple[timedelta, timedelta]


@dataclass(frozen=True)
class Season:
    """The hours of a day, from one (month, day) to another, both included; `since` None: the rest of the year."""

    since: tuple[int, int] | None
    until: tuple[int, int] | None
    spans: tuple[Span, ...]

    def holds(self, day: date) -> bool:
        """Whether these are the hours of `day`; a season may run over New Year."""
        if self.since is None or self.until is None:
            return True
        at = (day.month, day.day)
        return self.since <= at <= self.until if self.since <= self.until else at >= self.since or at <= self.until


@dataclass(frozen=True)
class Hours:
    """Office hours (作息) of one kind of unit; the last season is the one without dates. `daily`: worked a day, in every season."""

    seasons: tuple[Season, ...]
    daily: timedelta

    def spans(self, day: date) -> tuple[Span, ...]:
        """From when to when a worked `day` is worked, as time since its midnight."""
        return next(s.spans for s in self.seasons if s.holds(day))


@dataclass(frozen=True)
class DayKind:
    """What a day is: worked or not, the festival it belongs to ('' for a plain weekend), whether anybody announced it."""

    worked: bool
    name: str
    announced: bool


@dataclass
class Calendar:
    """One calendar.

    Attributes
    ----------
    hours : office hours by name (``office``, ``duty``).
    days : what the file says of single days: (worked, name).
    announced : years the file is complete for.
    """

    name: str
    hours: dict[str, Hours]
    names: dict[str, str]
    days: dict[date, tuple[bool, str]]
    announced: frozenset[int]
    _known: dict[date, DayKind] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, data: Path, name: str = "cn") -> Calendar:
        """Read ``calendars/<name>.toml`` of the data folder.

        Raises
        ------
        DefinitionError
            With every fault found.
        """
        where = f"data/calendars/{name}.toml"
        try:
            raw = tomllib.loads((data / "calendars" / f"{name}.toml").read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as e:
            raise DefinitionError(f"{where} 读不出来：{e}") from e
        faults: list[str] = []
        unknown = set(raw) - {"name", "zone", "source", "announced", "day", "names", "hours"}
        faults += [f"不认识的字段 {key}" for key in sorted(unknown)]
        faults += [f"缺 {key}" for key in ("name", "source", "hours") if not raw.get(key)]
        if raw.get("zone", ZONE.key) != ZONE.key:
            faults.append(f"zone 只支持 {ZONE.key}")
        hours = {kind: made for kind, blocks in raw.get("hours", {}).items() if (made := _hours(kind, blocks, faults))}
        days = _days(raw.get("day", []), faults)
        if faults:
            raise DefinitionError(f"{where}：{'；'.join(faults)}。", next_step="改好这个文件再启动。")
        return cls(
            name=raw["name"], hours=hours, names=dict(raw.get("names", {})), days=days,
            announced=frozenset(raw.get("announced", [])),
        )  # fmt: skip

    def kind(self, day: date) -> DayKind:
        """What `day` is."""
        if day not in self._known:
            self._known[day] = self._kind(day)
        return self._known[day]

    def _kind(self, day: date) -> DayKind:
        if day in self.days:
            return DayKind(*self.days[day], announced=True)
        if day.year in _PACKAGE_YEARS and day.year not in self.announced:
            rest, name = chinese_calendar.get_holiday_detail(day)
            return DayKind(not rest, self.names.get(name, name) if name else "", announced=True)
        return DayKind(day.weekday() < 5, "", announced=day.year in self.announced)

    def opening(self, at: datetime, *, hours: str) -> datetime:
        """Return the first moment not before `at` that is worked."""
        at = at.astimezone(ZONE)
        day, since = at.date(), _since_midnight(at)
        if self.kind(day).worked:
            for begins, ends in self.hours[hours].spans(day):
                if since < ends:
                    return _moment(day, max(since, begins))
        day = self._step(day, 1)
        return _moment(day, self.hours[hours].spans(day)[0][0])

    def worked(self, begin: datetime, end: datetime, *, hours: str) -> timedelta:
        """Return the time worked between two moments; zero when `end` is not later."""
        if end <= begin:
            return timedelta()
        first, last = (self.opening(t, hours=hours) for t in (begin, end))
        whole, day = 0, first.date()
        while day < last.date():
            day = self._step(day, 1)
            whole += 1
        return whole * self.hours[hours].daily + self._position(last, hours) - self._position(first, hours)

    def after(self, start: datetime, span: timedelta, *, hours: str) -> datetime:
        """Return the moment when `span` of working time has passed since `start`; a negative span looks back.

        Where working time stands still (lunch, night, rest days) it is the moment work begins again. So n working days after a
        moment within office hours is the same time of day, n working days on.
        """
        first = self.opening(start, hours=hours)
        whole, rest = divmod(self._position(first, hours) + span, self.hours[hours].daily)
        if abs(whole) > _FURTHEST_DAYS:
            raise ValueError(f"deadline {whole} working days away")
        day = first.date()
        for _ in range(abs(whole)):
            day = self._step(day, 1 if whole > 0 else -1)
        for begins, ends in self.hours[hours].spans(day):
            if rest < ends - begins:
                return _moment(day, begins + rest)
            rest -= ends - begins
        raise AssertionError("the rest is shorter than a day's work")

    def _step(self, day: date, way: int) -> date:
        """Return the next worked day, or the one before."""
        for _ in range(400):
            day += way * _DAY
            if self.kind(day).worked:
                return day
        raise ValueError(f"no working day within a year of {day}")

    def _position(self, at: datetime, hours: str) -> timedelta:
        """Time worked since the day began, of a worked moment."""
        since = _since_midnight(at)
        return sum(
            (min(since, ends) - begins for begins, ends in self.hours[hours].spans(at.date()) if since > begins),
            timedelta(),
        )


def _since_midnight(at: datetime) -> timedelta:
    return at.replace(tzinfo=None) - datetime.combine(at.date(), time.min)


def _moment(day: date, since: timedelta) -> datetime:
    return (datetime.combine(day, time.min) + since).replace(tzinfo=ZONE)


def _hours(kind: str, blocks: Any, faults: list[str]) -> Hours | None:
    """Return the hours of one kind, seasons with dates first; faults are noted."""
    seasons: list[Season] = []
    before = len(faults)
    for block in blocks if isinstance(blocks, list) else []:
        spans = [_span(text, where=f"hours.{kind}", faults=faults) for text in block.get("spans", [])]
        edges = [edge for span in spans if span for edge in span]
        if not spans or edges != sorted(set(edges)):
            faults.append(f"hours.{kind} 的时段要先后分明：{block.get('spans')}")
        if ("from" in block) != ("to" in block):
            faults.append(f"hours.{kind} 的季节要同时写 from 和 to")
        since, until = (_month_day(block.get(k), where=f"hours.{kind}.{k}", faults=faults) for k in ("from", "to"))
        if not block.get("source"):
            faults.append(f"hours.{kind} 缺 source")
        seasons.append(Season(since, until, tuple(s for s in spans if s)))
    seasons.sort(key=lambda s: s.since is None)
    if sum(s.since is None for s in seasons) != 1:
        faults.append(f"hours.{kind} 要有且只有一段不写 from、to 的常年作息")
    lengths = {sum((e - b for b, e in s.spans), timedelta()) for s in seasons}
    if len(lengths) > 1:
        faults.append(f"hours.{kind} 各季每天的工时不相等，工作日就数不清")
    return Hours(tuple(seasons), daily=next(iter(accumulate(lengths)))) if len(faults) == before else None


def _span(text: str, *, where: str, faults: list[str]) -> Span | None:
    found = _SPAN.match(str(text))
    if not found:
        faults.append(f"{where} 的时段要写成 08:30-12:00：{text}")
        return None
    h1, m1, h2, m2 = map(int, found.groups())
    span = (timedelta(hours=h1, minutes=m1), timedelta(hours=h2, minutes=m2))
    if span[1] > _DAY:
        faults.append(f"{where} 的时段超过 24:00：{text}")
    return span


def _month_day(text: str | None, *, where: str, faults: list[str]) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(f"2024-{text}")  # a leap year: 02-29 is a date
    except ValueError:
        faults.append(f"{where} 要写成 06-01：{text}")
        return None
    return day.month, day.day


def _days(rows: list[dict[str, Any]], faults: list[str]) -> dict[date, tuple[bool, str]]:
    days: dict[date, tuple[bool, str]] = {}
    for row in rows:
        day, kind = row.get("date"), row.get("kind")
        if not isinstance(day, date) or isinstance(day, datetime):
            faults.append(f"[[day]] 的 date 要写成 2027-01-01：{day}")
        elif kind not in ("rest", "work"):
            faults.append(f"[[day]] {day} 的 kind 只能是 rest 或 work")
        elif not row.get("name") or not row.get("source"):
            faults.append(f"[[day]] {day} 缺 name 或 source")
        elif day in days:
            faults.append(f"[[day]] {day} 写了两次")
        else:
            days[day] = (kind == "work", row["name"])
    return days
