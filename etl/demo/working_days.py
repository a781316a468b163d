"""Working days of the State Council's calendar (工作日, with 调休), for many dates at once."""

from __future__ import annotations

import chinese_calendar
import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]


def working_mask(days: Days) -> NDArray[np.bool_]:
    """True where a day is worked, shape (n,); `days` is datetime64[D].

    The calendar is published year by year. A year the package does not know yet falls back to Monday to Friday.
    """
    weekday = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    mask = weekday < 5
    for i, day in enumerate(days.astype("datetime64[D]").tolist()):
        try:
            mask[i] = chinese_calendar.is_workday(day)
        except NotImplementedError:
            continue
    return mask


class WorkingDays:
    """The calendar from `first` to `last`, both included, ready for vectors.

    Parameters
    ----------
    first, last : datetime64[D]
    """

    def __init__(self, first: np.datetime64, last: np.datetime64) -> None:
        days = np.arange(first, last + 1)
        self._working = days[working_mask(days)]

    def after(self, days: Days, *, count: int) -> Days:
        """Return the `count`-th working day after each day (the day itself never counts); shape (n,).

        Raises
        ------
        IndexError
            The answer lies beyond `last`.
        """
        at = np.searchsorted(self._working, days.astype("datetime64[D]"), side="right") + count - 1
        return self._working[at]

    def holds(self, days: Days) -> NDArray[np.bool_]:
        """True where a day is worked, shape (n,)."""
        found: NDArray[np.bool_] = np.isin(days.astype("datetime64[D]"), self._working)
        return found

    def shifted(self, days: Days, count: NDArray[np.int64]) -> Days:
        """Return the working day `count` working days after (before, when negative) each working day; shape (n,).

        Raises
        ------
        IndexError
            The answer lies outside the calendar.
        """
        at = np.searchsorted(self._working, days.astype("datetime64[D]")) + count
        if at.size and at.min() < 0:
            raise IndexError("before the calendar begins")
        return self._working[at]
