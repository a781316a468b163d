"""Mending (修复) a polygon that crosses itself, only where nobody could tell the difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray


def repair_polygons(
    geometry: NDArray[np.object_],
    *,
    max_change: float,
    area: Callable[[NDArray[np.object_]], NDArray[np.float64]],
    multi: bool = False,
) -> NDArray[np.object_]:
    """Mend invalid polygons.

    Parameters
    ----------
    geometry : ndarray of shapely geometry, shape (n,)
        Invalid polygons.
    max_change : float
        A mended polygon whose area differs by this share or more is not taken: a bow-tie (蝴蝶结) has no true area.
    area : callable
        Square metres of an array of geometries.
    multi : bool
        True keeps all parts; False keeps the largest, which must have all but a crumb of the area.

    Returns
    -------
    ndarray of shapely geometry, shape (n,)
        The mended polygon; None where it should not be taken.
    """
    # "structure" keeps the area the rings enclose; the default method would add up crossings
    fixed = np.asarray(shapely.make_valid(geometry, method="structure", keep_collapsed=False), dtype=object)
    usable = np.isin(shapely.get_type_id(fixed), (3, 6)) & ~shapely.is_empty(fixed) & shapely.is_valid(fixed)
    result = np.full(len(geometry), None, dtype=object)
    rows = np.flatnonzero(usable)
    if len(rows):
        # a crossing leaves a crumb beside the parcel; without it the parcel must still be the same
        kept = fixed[rows] if multi else _largest(fixed[rows])
        before, whole, after = area(geometry[rows]), area(fixed[rows]), area(kept)
        low, high = np.minimum(np.minimum(before, whole), after), np.maximum(np.maximum(before, whole), after)
        same = high - low < max_change * high
        result[rows[same]] = kept[same]
    return result


def share_corners(geometry: NDArray[np.object_], *, tolerance: float) -> NDArray[np.object_]:
    """Give every polygon the corners its neighbours have on its straight sides, so that a common border is common in any CRS.

    Parameters
    ----------
    geometry : ndarray of shapely geometry, shape (n,)
        In the CRS of the file; None and what is not sound stays as it is.
    tolerance : float
        How far a corner may lie from the side, in units of the CRS.
    """
    result = geometry.copy()
    sound = np.flatnonzero(~shapely.is_missing(geometry))
    sound = sound[np.isfinite(shapely.bounds(geometry[sound])).all(axis=1) & shapely.is_valid(geometry[sound])]
    tree = shapely.STRtree(geometry[sound])
    for i in sound:
        near = sound[tree.query(geometry[i], predicate="dwithin", distance=tolerance)]
        corners = shapely.multipoints(shapely.get_coordinates(geometry[near[near != i]]))
        snapped = shapely.snap(geometry[i], corners, tolerance)
        if shapely.is_valid(snapped):
            result[i] = snapped
    return result


def _largest(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """The largest part of each polygon or multipolygon, shape (n,)."""
    parts, owner = shapely.get_parts(geometry, return_index=True)
    order = np.lexsort((shapely.area(parts), owner))
    last = np.flatnonzero(np.diff(owner[order], append=-1))
    return np.asarray(parts[order][last], dtype=object)
