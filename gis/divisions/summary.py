"""What the page says of one division: the counts, and how those of children are summed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gis.divisions.disclosure import Count


@dataclass(frozen=True)
class Figures:
    """What is known of one division. None is 无数据.

    Attributes
    ----------
    households, population : int or None
        As registered.
    area_m2 : float or None
        Ellipsoidal area of the division.
    parcel_m2, farmland_m2, pbf_m2, high_standard_m2 : float or None
        Of contracted parcels: all, 耕地 (land class 01xx), inside 永久基本农田, inside 高标准农田.
    incidents : int
        Reported in the last 30 days.
    open, overdue : int
        Not ended (closed, returned, merged); of these, past the deadline.
    monitored : int, Suppressed or None
        防返贫监测户.
    """

    households: int | None = None
    population: int | None = None
    area_m2: float | None = None
    grids: int = 0
    parcels: int = 0
    parcel_m2: float = 0.0
    farmland_m2: float = 0.0
    pbf_m2: float | None = None
    high_standard_m2: float | None = None
    incidents: int = 0
    open: int = 0
    overdue: int = 0
    facilities: int = 0
    resources: int = 0
    monitored: Count | None = None


_COUNTED = ("grids", "parcels", "parcel_m2", "farmland_m2", "incidents", "open", "overdue", "facilities", "resources")
_PERHAPS_UNKNOWN = ("pbf_m2", "high_standard_m2")


def add(parts: Iterable[Figures]) -> Figures:
    """Sum what may be summed; a sum with an unknown part is unknown, and so is the sum of nothing.

    Households, population, area and monitored are not summed here: the division has its own.
    """
    rows = list(parts)
    total: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in _COUNTED}
    for name in _PERHAPS_UNKNOWN:
        values = [getattr(row, name) for row in rows]
        total[name] = sum(values) if values and None not in values else None
    return Figures(**total)
