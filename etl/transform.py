"""Large geometry arrays from the county's metric CRS to EPSG:4490 lon/lat, on all cores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

# Coordinates one thread takes at a time; pyproj lets go of the interpreter while it computes.
_CHUNK = 200_000


def to_lonlat(coordinates: NDArray[np.float64], *, srid: int) -> NDArray[np.float64]:
    """Return lon, lat (EPSG:4490, degrees) of easting, northing in the CRS `srid`; shape (n, 2) in and out."""
    if len(coordinates) == 0:
        return np.empty((0, 2))

    def work(part: NDArray[np.float64]) -> NDArray[np.float64]:
        # always_xy: EPSG:4490 by the book is lat, lon, and 3-degree zones are northing, easting
        transformer = Transformer.from_crs(srid, 4490, always_xy=True)
        return np.column_stack(transformer.transform(part[:, 0], part[:, 1]))

    parts = [coordinates[i : i + _CHUNK] for i in range(0, len(coordinates), _CHUNK)]
    if len(parts) == 1:
        return work(parts[0])
    with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(work, parts)))


def geometry_to_lonlat(geometry: NDArray[np.object_], *, srid: int) -> NDArray[np.object_]:
    """Return a copy of geometries of the CRS `srid` in EPSG:4490 lon/lat; None stays None.

    Equal coordinates stay equal, so neighbours go on sharing their corners.
    """
    return np.asarray(shapely.transform(np.asarray(geometry, dtype=object), lambda c: to_lonlat(c, srid=srid)))


def sound_to_lonlat(geometry: NDArray[np.object_], *, srid: int, grid_m: float = 0.001) -> NDArray[np.object_]:
    """Like `geometry_to_lonlat`, for polygons we made ourselves: what rounding to degrees made cross itself is mended.

    A whisker of no width is valid in metres by a hair and invalid in degrees. Such polygons are snapped to `grid_m`
    metres, which removes it; of several parts a Polygon keeps the largest. For imported data nothing is ever mended
    silently: those rows go to quarantine.
    """
    geometry = np.asarray(geometry, dtype=object)
    out = geometry_to_lonlat(geometry, srid=srid)
    bad = np.flatnonzero(~shapely.is_valid(out) & ~shapely.is_missing(out))
    for i in bad:
        snapped = shapely.set_precision(geometry[i], grid_m)
        parts = shapely.get_parts(snapped)
        largest = parts[np.argmax(shapely.area(parts))]
        single = shapely.get_type_id(geometry[i]) == shapely.GeometryType.POLYGON
        mended = largest if single else shapely.multipolygons(parts)
        out[i] = geometry_to_lonlat(np.array([mended], dtype=object), srid=srid)[0]
    return out
