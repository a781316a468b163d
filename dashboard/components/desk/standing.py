"""How a case stands: a shape, a colour and words that say how long; never the colour alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from dash import html
from dash.development.base_component import Component

from dashboard.text import Catalogue
from gis.cases.model import Row
from gis.clock import ZONE, now


def mark(standing: str) -> Component:
    """Return the shape: ◆ breached, ▲ at risk, ● on track, ‖ paused, ✓ done, – none."""
    return html.I(className=f"mark-of mark-{standing}", **{"aria-hidden": "true"})


def badge(t: Catalogue, row: Row, *, at: datetime | None = None) -> Component:
    """Return shape and words in one chip."""
    return html.Span(
        [mark(row.standing), due_words(t, row, at=at)], className=f"standing standing-{row.standing}",
        title=due_title(t, row),
    )  # fmt: skip


def due_words(t: Catalogue, row: Row, *, at: datetime | None = None) -> str:
    """Say how a case stands in a few characters: 超期 2 天, 今天 17:30, 还有 40 分钟, 11月25日.

    Parameters
    ----------
    at : datetime or None
        The present moment, aware; None: now.
    """
    at = at or now()
    if row.standing in ("paused", "done", "none") or row.due_at is None:
        return t(f"desk.due.{row.standing if row.standing in ('paused', 'done') else 'none'}")
    if row.standing == "breached":
        return t("desk.due.over", long=long(t, at - row.due_at))
    left, due, today = row.due_at - at, row.due_at.astimezone(ZONE), at.astimezone(ZONE).date()
    if left < timedelta(hours=2):
        return t("desk.due.left", long=long(t, left))
    if due.date() == today:
        return t("desk.due.today", hm=due.strftime("%H:%M"))
    if due.date() == today + timedelta(days=1):
        return t("desk.due.tomorrow", hm=due.strftime("%H:%M"))
    return day(t, due) if due.date() - today > timedelta(days=6) else f"{weekday(t, due)} {due:%H:%M}"


def due_title(t: Catalogue, row: Row) -> str:
    """Say the deadline to the minute."""
    return t("desk.due.at", at=moment(t, row.due_at)) if row.due_at else t("desk.due.none")


def long(t: Catalogue, span: timedelta) -> str:
    """Say a length of time in its largest unit, rounded down, at least one minute."""
    minutes = max(1, int(abs(span).total_seconds() // 60))
    if minutes >= 24 * 60:
        return t("desk.long.days", n=minutes // (24 * 60))
    return t("desk.long.hours", n=minutes // 60) if minutes >= 60 else t("desk.long.minutes", n=minutes)


def weekday(t: Catalogue, at: datetime) -> str:
    """Say the day of the week in the county."""
    return t(f"desk.weekday.{at.astimezone(ZONE).isoweekday()}")


def day(t: Catalogue, at: datetime) -> str:
    """Say a day: 11月25日, with the year when it is not this one."""
    here = at.astimezone(ZONE)
    return t(
        "desk.date.day" if here.year == now().year else "desk.date.day_year", y=here.year, m=here.month, d=here.day
    )


def seen(t: Catalogue, at: datetime) -> str:
    """Say when in a narrow column: day and time of this year, the day alone of an earlier one."""
    return moment(t, at) if at.astimezone(ZONE).year == now().year else day(t, at)


def moment(t: Catalogue, at: datetime | None) -> str:
    """Say a moment in the county's time: 11月25日 17:30."""
    return f"{day(t, at)} {at.astimezone(ZONE):%H:%M}" if at else t("word.unknown")
