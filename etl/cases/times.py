"""Times of another system: text, Excel serial numbers and real dates, in the declared time zone, to UTC."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_SERIALS = (20_000.0, 80_000.0)  # days since 1899-12-30: 1954 to 2119
_EPOCH = np.datetime64("1899-12-30T00:00:00", "us")
UNREADABLE, FOREIGN, TWICE = "time_unreadable", "foreign_timezone", "time_twice"


def read_times(
    values: Sequence[Any], *, formats: Sequence[str], zone: ZoneInfo
) -> tuple[NDArray[np.datetime64], dict[int, str], int]:
    """Turn a column of times into UTC.

    Parameters
    ----------
    values : sequence
        Cells: str, number, datetime, date or None.
    formats : sequence of str
        strptime formats, tried in order.
    zone : ZoneInfo
        What a time without an offset is in.

    Returns
    -------
    datetime64[us], shape (n,)
        UTC; NaT where there is none.
    faults : dict of int to str
        Position → `UNREADABLE`, `FOREIGN` (an offset the zone did not have then) or `TWICE` (an hour the clocks showed twice, or never).
    serials : int
        How many were Excel's day numbers.
    """
    n = len(values)
    local = np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    faults: dict[int, str] = {}
    text = [v if isinstance(v, str) else None for v in values]
    for i, v in enumerate(values):
        if isinstance(v, datetime):
            if v.tzinfo is not None:
                text[i] = v.isoformat()
            else:
                local[i] = np.datetime64(v, "us")
        elif isinstance(v, date):
            local[i] = np.datetime64(v, "us")
        elif isinstance(v, int | float) and not isinstance(v, bool):
            text[i] = repr(float(v))
    # Text has Python's own strings throughout: asking every cell what it is costs more than reading it.
    left = np.array([i for i, t in enumerate(text) if t is not None and not t.isspace() and t], dtype=np.intp)
    column = np.array([text[i].strip() for i in left], dtype=object)
    with_offset: list[tuple[int, str]] = []
    for form in formats:
        if not len(left):
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pd.to_datetime(
                pd.Series(column, dtype=object), format=form, errors="coerce", utc="%z" in form
            ).to_numpy(dtype="datetime64[us]")
        read = ~np.isnat(found)
        if "%z" in form:
            with_offset += [(int(i), str(t)) for i, t in zip(left[read], column[read], strict=True)]
        else:
            local[left[read]] = found[read]
        left, column = left[~read], column[~read]
    serials = 0
    rest: list[tuple[int, str]] = []
    for i, t in zip(left.tolist(), column.tolist(), strict=True):
        days = _serial(t)
        if days is None:
            rest.append((i, t))
            continue
        local[i] = _EPOCH + np.timedelta64(round(days * 86_400) * 1_000_000, "us")
        serials += 1
    utc = _to_utc(local, zone, faults)
    for i, t in [*with_offset, *rest]:
        at = _with_offset(t)
        if at is None:
            faults[i] = UNREADABLE
        elif at.utcoffset() != at.astimezone(zone).utcoffset():
            faults[i] = FOREIGN
        else:
            utc[i] = np.datetime64(at.replace(tzinfo=None) - (at.utcoffset() or timedelta()), "us")
    return utc, faults, serials


def _to_utc(local: NDArray[np.datetime64], zone: ZoneInfo, faults: dict[int, str]) -> NDArray[np.datetime64]:
    there = pd.DatetimeIndex(local).tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    utc = there.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]").copy()
    for i in np.flatnonzero(np.isnat(utc) & ~np.isnat(local)):
        faults[int(i)] = TWICE
    return utc


def _serial(text: str) -> float | None:
    try:
        days = float(text)
    except ValueError:
        return None
    return days if _SERIALS[0] <= days <= _SERIALS[1] else None


def _with_offset(text: str) -> datetime | None:
    """An ISO time that names its offset; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
