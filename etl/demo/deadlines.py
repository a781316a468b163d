"""When generated cases are due (时限): the rule of gis/cases/deadline.py for many at once; a test holds the two together."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from etl.demo.lists import code_list
from etl.demo.working_days import WorkingDays
from gis.cases.calendar import Calendar, Span
from gis.settings import ROOT

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]

_US = 1_000_000
AT_RISK = 0.75  # share of the time allowed from which on a case is at risk, as data/processes/incident.toml has it


def due_times(start: Times, deadline: Objects) -> Times:
    """When each case is due that began at `start`, Beijing time; see `due_and_warn`."""
    return due_and_warn(start, deadline)[0]


def due_and_warn(start: Times, deadline: Objects) -> tuple[Times, Times]:
    """When each case is due and from when it is at risk, Beijing time; shape (n,) each, NaT where `start` is.

    Hours run round the clock. 当天 ends at midnight, of the next day when it began after the cut-off hour. Working days: from
    the next moment of office hours, the same time of day, n working days on.

    Parameters
    ----------
    start : datetime64[us], Beijing; when the clock began
    deadline : codes of data/codelists/deadline_class.csv
    """
    due = np.full(len(start), np.datetime64("NaT"), dtype="datetime64[us]")
    warn = due.copy()
    known = ~np.isnat(start)
    if not known.any():
        return due, warn
    day = start.astype("datetime64[D]")
    calendar = WorkingDays(day[known].min() - 15, day[known].max() + 60)
    for row in code_list("deadline_class"):
        who = np.flatnonzero((deadline == row["code"]) & known)
        if who.size == 0:
            continue
        amount = int(row["amount"])
        if row["unit"] == "working_day":
            due[who], warn[who] = _working(start[who], calendar, amount)
            continue
        if row["unit"] == "hour":
            due[who] = start[who] + np.timedelta64(amount, "h")
        else:
            hour = (start[who] - day[who]) // np.timedelta64(1, "h")
            due[who] = day[who] + amount + 1 + (hour >= int(row["cutoff_hour"] or 24))
        warn[who] = due[who] - _share(due[who] - start[who])
    return due, warn


def _working(start: Times, calendar: WorkingDays, amount: int) -> tuple[Times, Times]:
    """Due and at-risk times of a class of `amount` working days, in office hours."""
    spans = _spans()
    day = start.astype("datetime64[D]")
    since = (start - day).astype("timedelta64[us]").astype(np.int64)
    late = ~calendar.holds(day) | (since >= spans[-1][1])
    day = np.where(late, calendar.after(day, count=1), day)
    done = np.zeros(len(start), dtype=np.int64)
    for begins, ends in spans:  # worked so far that day
        done += np.where(late, 0, np.clip(since - begins, 0, ends - begins))
    daily = sum(ends - begins for begins, ends in spans)
    remains = round((1 - AT_RISK) * amount * daily)
    due = _moment(calendar, day, done + amount * daily, daily)
    return due, _moment(calendar, day, done + amount * daily - remains, daily)


def _moment(calendar: WorkingDays, day: Times, worked: Ints, daily: int) -> Times:
    """The moment when `worked` microseconds of office time have passed since `day` opened."""
    whole, rest = np.divmod(worked, daily)
    out = calendar.shifted(day, whole).astype("datetime64[us]")
    offset = np.full(len(day), -1, dtype=np.int64)
    before = 0
    for begins, ends in _spans():
        offset = np.where((offset < 0) & (rest < before + ends - begins), begins + rest - before, offset)
        before += ends - begins
    return out + offset.astype("timedelta64[us]")


def _share(span: NDArray[np.timedelta64]) -> NDArray[np.timedelta64]:
    left: Ints = np.rint(span.astype("timedelta64[us]").astype(np.int64) * (1 - AT_RISK)).astype(np.int64)
    return left.astype("timedelta64[us]")


@cache
def _spans() -> list[tuple[int, int]]:
    """Office hours outside any season, microseconds since midnight."""
    spans: tuple[Span, ...] = Calendar.load(ROOT / "data").hours["office"].seasons[-1].spans
    return [(int(b.total_seconds()) * _US, int(e.total_seconds()) * _US) for b, e in spans]
