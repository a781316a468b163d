"""What time it is in the county: everything is dated in China Standard Time, whatever the machine's own zone."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")


def now() -> datetime:
    """The present moment, aware, in the county's zone."""
    return datetime.now(ZONE)


def today() -> date:
    """The county's calendar day."""
    return now().date()
