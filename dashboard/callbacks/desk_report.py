"""Reports per unit: the period asked for, the figures, the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from dashboard.callbacks.desk_asked import day
from dashboard.components.desk import queue, units
from dashboard.text import Catalogue
from gis.access.principal import current
from gis.cases.engine import Cases
from gis.cases.filtering import Filter
from gis.clock import ZONE, today
from gis.errors import OnemapError

_LONGEST = timedelta(days=800)


class Report:
    """Figures per unit over a period."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def shown(self, t: Catalogue, sent: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the picker and the table."""
        name, start, end = period(sent)
        level = "village" if sent.get("level") == "village" else "office"
        body: Any
        try:
            lines, total, villages = self.lines(start, end), None, self._villages()
            if len(lines) > 1:
                *lines, total = lines
            shown = [line for line in lines if (line["unit"] in villages) == (level == "village")]
            body = [units.table(t, shown, total), *units.disagreement(t, self.checked(start))]
        except OnemapError as e:
            body = queue.refused(e.message, e.next_step)
        return units.picker(t, start, end, name, level), body

    def lines(self, start: date, end: date) -> Sequence[Mapping[str, Any]]:
        """Return one line a unit and their sum, cases reported in the period, both days included."""
        found = self._cases.units_report(Filter(reported_from=start, reported_to=end), principal=current.get())
        return [*found, units.sum_of(found)] if len(found) > 1 else found

    def _villages(self) -> frozenset[str]:
        return frozenset(u.unit for u in self._cases.units(current.get()) if u.level >= 3)

    def checked(self, start: date) -> Sequence[Mapping[str, Any]]:
        """Return independent call-backs per handler since the first day."""
        return self._cases.lists.disagreement(since=datetime.combine(start, time(), ZONE), principal=current.get())


def period(sent: Mapping[str, Any], *, now: date | None = None) -> tuple[str, date, date]:
    """Return (name, first day, last day): two days asked for, or one of the named periods; the month when neither is sound."""
    now = now or today()
    first = now.replace(day=1)
    last_month = first - timedelta(days=1)
    named = {
        "week": (now - timedelta(days=now.weekday()), now),
        "month": (first, now),
        "last_month": (last_month.replace(day=1), last_month),
        "quarter": (now.replace(month=3 * ((now.month - 1) // 3) + 1, day=1), now),
        "year": (now.replace(month=1, day=1), now),
    }
    start, end = day(sent.get("from")), day(sent.get("to"))
    if start and end and start <= end <= start + _LONGEST:
        return "", start, end
    name = str(sent.get("period"))
    name = name if name in named else "month"
    return name, *named[name]
