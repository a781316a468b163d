"""How numbers are written: thousands, 万 from 10,000, 亩, percent, dates; unknown is 无数据, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboard.text import Catalogue
from gis.clock import ZONE, now
from gis.divisions.measures import MU_M2, Measure


@dataclass(frozen=True)
class Amount:
    """A number as it is read: digits and unit apart, because they are set in different sizes."""

    digits: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.digits} {self.unit}".strip()


def count(t: Catalogue, value: float | int | None, unit: str = "") -> Amount:
    """Write a count: 3,315; in Chinese 6.2 万 from 10,000 on."""
    if value is None:
        return Amount(t("word.unknown"))
    if t.language == "zh" and abs(value) >= 10_000:
        return Amount(f"{value / 10_000:,.1f}".replace("-", "−"), f"万{unit}")
    if abs(value) >= 100_000:
        return Amount(f"{value / 1000:,.0f}k".replace("-", "−"), unit)
    return Amount(f"{value:,.0f}".replace("-", "−"), unit)


def mu(t: Catalogue, area_m2: float | None, *, parcel: bool = False) -> Amount:
    """Write an area in 亩: two decimals for a parcel, one for totals, 万亩 from 10,000."""
    unit = t("unit.mu")
    if area_m2 is None:
        return Amount(t("word.unknown"))
    value = area_m2 / MU_M2
    if parcel:
        return Amount(f"{value:,.2f}", unit)
    if t.language == "zh" and value >= 10_000:
        return Amount(f"{value / 10_000:,.1f}", f"万{unit}")
    if value >= 10_000:
        return Amount(f"{value / 1000:,.1f}k", unit)
    return Amount(f"{value:,.1f}" if value < 1000 else f"{value:,.0f}", unit)


def share(t: Catalogue, part: float | None, whole: float | None) -> Amount:
    """Write part of whole in percent, one decimal."""
    if part is None or not whole:
        return Amount(t("word.unknown"))
    return Amount(f"{100 * part / whole:.1f}", "%")


def measured(t: Catalogue, measure: Measure, value: float | None) -> Amount:
    """Write a measure's value with its unit."""
    if value is None:
        return Amount(t("word.unknown"))
    return Amount(f"{value:,.{measure.decimals}f}", t(f"unit.{measure.unit}"))


def moment(t: Catalogue, at: datetime | None) -> str:
    """Write a date and time of the county, whatever the machine's zone: 11月22日 10:42, with the year when it is not this one."""
    if at is None:
        return t("word.unknown")
    at = at.astimezone(ZONE)
    year = at.year != now().year
    return t("date.year" if year else "date.short", y=at.year, m=at.month, d=at.day, hm=at.strftime("%H:%M"))
