"""Which parcels lie on one another: a sweep from west to east that holds only a strip of the county in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.mapping import Checks
from gis.errors import BadInput

_QUERY = 500  # geometries a tree query takes at once: bounds the pairs in memory
_MOST_PAIRS = 500_000  # a file with more overlaps than this is not a parcel layer


@dataclass(frozen=True)
class Strip:
    """Parcels sorted by their western edge.

    Attributes
    ----------
    number : ndarray of int64, shape (n,)
        Row number in the file, > 0; the store's own parcels are negative.
    geometry : ndarray of shapely Polygon, shape (n,)
        EPSG:4490 lon/lat.
    """

    number: NDArray[np.int64]
    geometry: NDArray[np.object_]


class Overlap(NamedTuple):
    """Two parcels on one another; `later` is the one that would be turned away.

    share is the overlap's part of the smaller parcel, both the smaller of the two parts.
    """

    earlier: int
    later: int
    area_m2: float
    share: float
    both: float


def find_overlaps(
    strips: Iterable[Strip],
    *,
    neighbours: Callable[[tuple[float, float, float, float]], Strip] | None,
    area: Callable[[NDArray[np.object_]], NDArray[np.float64]],
    checks: Checks,
) -> list[Overlap]:
    """Find pairs that overlap by more than the tolerance.

    Parameters
    ----------
    strips : iterable of Strip
        All parcels of the file, western edge ascending over all strips.
    neighbours : callable or None
        Parcels of the store that meet a bounding box (west, south, east, north); None: the store is empty.
    area : callable
        Square metres of an array of EPSG:4490 geometries.

    Returns
    -------
    list of Overlap
        Sorted by the later row, then the earlier; a pair with the store has a negative `earlier`.
    """
    found: dict[tuple[int, int], Overlap] = {}
    held_number, held = np.empty(0, np.int64), np.empty(0, object)
    for strip in strips:
        if len(strip.number) == 0:
            continue
        bounds = shapely.bounds(strip.geometry)
        if len(held):
            still = shapely.bounds(held)[:, 2] >= bounds[:, 0].min()
            held_number, held = held_number[still], held[still]
        others_number = np.concatenate([held_number, strip.number])
        others = np.concatenate([held, strip.geometry])
        if neighbours is not None:
            west, south = bounds[:, :2].min(axis=0)
            east, north = bounds[:, 2:].max(axis=0)
            stored = neighbours((float(west), float(south), float(east), float(north)))
            others_number = np.concatenate([others_number, stored.number])
            others = np.concatenate([others, stored.geometry])
        _meet(strip, others_number, others, held=len(held), area=area, checks=checks, found=found)
        held_number = np.concatenate([held_number, strip.number])
        held = np.concatenate([held, strip.geometry])
    return sorted(found.values(), key=lambda o: (o.later, o.earlier))


def _meet(
    strip: Strip,
    others_number: NDArray[np.int64],
    others: NDArray[np.object_],
    *,
    held: int,
    area: Callable[[NDArray[np.object_]], NDArray[np.float64]],
    checks: Checks,
    found: dict[tuple[int, int], Overlap],
) -> None:
    tree = shapely.STRtree(others)
    shapely.prepare(strip.geometry)
    # degrees² that cannot reach the tolerance anywhere in China: 1 degree is at most 111.7 km
    least = 0.2 * checks.overlap_m2 / 111_700.0**2
    for start in range(0, len(strip.number), _QUERY):
        mine, theirs = tree.query(strip.geometry[start : start + _QUERY])
        mine = mine + start
        # each pair once: a held or stored parcel, or one of this strip with a smaller number
        keep = (strip.number[mine] > others_number[theirs]) | (theirs < held)
        mine, theirs = mine[keep], theirs[keep]
        keep = shapely.intersects(strip.geometry[mine], others[theirs])
        mine, theirs = mine[keep], theirs[keep]
        # neighbours that share a border, nearly all pairs of a parcel layer, need no intersection
        keep = ~shapely.touches(strip.geometry[mine], others[theirs])
        mine, theirs = mine[keep], theirs[keep]
        cut = np.asarray(shapely.intersection(strip.geometry[mine], others[theirs]), dtype=object)
        big = shapely.area(cut) > least
        if not big.any():
            continue
        mine, theirs, cut = mine[big], theirs[big], cut[big]
        common, own, other = area(cut), area(strip.geometry[mine]), area(others[theirs])
        smaller, larger = np.minimum(own, other), np.maximum(own, other)
        real = (common > checks.overlap_m2) & (common > checks.overlap_share * smaller)
        for k in np.flatnonzero(real):
            a, b = int(strip.number[mine[k]]), int(others_number[theirs[k]])
            pair = (min(a, b), max(a, b))
            found[pair] = Overlap(*pair, float(common[k]), float(common[k] / smaller[k]), float(common[k] / larger[k]))
        if len(found) > _MOST_PAIRS:
            raise BadInput(
                f"文件里互相重叠的地块超过 {_MOST_PAIRS:,} 对，不像是地块图层。",
                next_step="请检查图层是否选错，或是否合并了几个年份。",
            )


def turned_away(overlaps: list[Overlap], response: Callable[[Overlap], str]) -> dict[int, Overlap]:
    """Rows that go to quarantine: the later of a pair whose earlier one stays.

    Parameters
    ----------
    overlaps : list of Overlap
        Sorted by the later row.
    response : callable
        ``off``, ``warn`` or ``quarantine`` for a pair.
    """
    away: dict[int, Overlap] = {}
    for o in overlaps:
        if response(o) == "quarantine" and o.earlier not in away and o.later not in away:
            away[o.later] = o
    return away
