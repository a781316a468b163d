"""What the map can be coloured by, and into which classes its values fall. Pure: no store, no screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gis.divisions.summary import Figures

MU_M2 = 10_000 / 15  # 1 亩 = 666.67 m²


@dataclass(frozen=True)
class Measure:
    """One way to colour the children.

    Attributes
    ----------
    key : str
        Name in the address and in the text catalogue (``measure.<key>``).
    unit : {'%', '件/千人', '人/km²'}
        Key of the unit in the catalogue.
    decimals : int
        Digits shown; class breaks are rounded to them too, so that the legend tells the truth.
    numerator, denominator : callable
        Of `Figures`; None where unknown.
    factor : float
        value = factor × numerator / denominator.
    """

    key: str
    unit: str
    decimals: int
    numerator: Callable[[Figures], float | None]
    denominator: Callable[[Figures], float | None]
    factor: float = 100.0

    def value(self, figures: Figures) -> float | None:
        """Return the value, or None (无数据) where a part is unknown or nothing is there to divide by."""
        top, bottom = self.numerator(figures), self.denominator(figures)
        if top is None or not bottom:
            return None
        return self.factor * top / bottom


MEASURES: dict[str, Measure] = {
    m.key: m
    for m in (
        Measure("pbf", "percent", 1, lambda f: f.pbf_m2, lambda f: f.parcel_m2),
        Measure("farmland", "percent", 1, lambda f: f.farmland_m2, lambda f: f.area_m2),
        Measure("high_standard", "percent", 1, lambda f: f.high_standard_m2, lambda f: f.parcel_m2),
        Measure("incidents", "per_thousand", 1, lambda f: f.incidents, lambda f: f.population, 1000.0),
        Measure("overdue", "percent", 1, lambda f: f.overdue, lambda f: f.open),
        Measure("population", "per_km2", 0, lambda f: f.population, lambda f: f.area_m2, 1e6),
    )
}
DEFAULT_MEASURE = "pbf"


@dataclass(frozen=True)
class Classes:
    """Quantile classes of some values.

    Attributes
    ----------
    breaks : tuple of float
        Inner class borders, ascending; class i holds breaks[i-1] ≤ v < breaks[i].
    counts : tuple of int, length len(breaks) + 1
        How many values fall into each class.
    unknown : int
        How many are 无数据.
    of : mapping of key to class index or None
    """

    breaks: tuple[float, ...]
    counts: tuple[int, ...]
    unknown: int
    of: Mapping[str, int | None]


def classify(values: Mapping[str, float | None], *, classes: int = 5, decimals: int = 1) -> Classes:
    """Put values into at most `classes` quantile classes of distinct, printable borders.

    Values are compared as they are printed (rounded to `decimals`): two places that read the same are coloured the
    same. Ties and small sets give fewer classes, never an empty one.
    """
    known = sorted(round(v, decimals) for v in values.values() if v is not None and math.isfinite(v))
    breaks: list[float] = []
    n = min(classes, len(set(known)))
    for i in range(1, n):
        border = known[math.ceil(i * len(known) / n)]
        if border > known[0] and border not in breaks:
            breaks.append(border)
    if not breaks and n > 1:  # nearly all tie with the lowest: what differs still shows
        breaks.append(min(v for v in known if v > known[0]))
    of: dict[str, int | None] = {}
    counts = [0] * (len(breaks) + 1)
    for key, v in values.items():
        if v is None or not math.isfinite(v):
            of[key] = None
            continue
        index = sum(round(v, decimals) >= b for b in breaks)
        of[key] = index
        counts[index] += 1
    unknown = sum(index is None for index in of.values())
    return Classes(tuple(breaks), tuple(counts), unknown, of)


def spread(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Return the smallest and largest known value, or None when nothing is known."""
    known = [v for v in values if v is not None]
    return (min(known), max(known)) if known else None
