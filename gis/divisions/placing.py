"""Which grid owns a point, for many points at once: the same rule as onemap.grid_at() in the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection


@dataclass(frozen=True)
class Grids:
    """The current grids, sorted by code.

    Attributes
    ----------
    codes, villages, townships : ndarray of object, shape (n,)
        Grid code and the village and township it belongs to today.
    geometry : ndarray of shapely geometry, shape (n,)
        EPSG:4490 lon/lat.
    """

    codes: NDArray[np.object_]
    villages: NDArray[np.object_]
    townships: NDArray[np.object_]
    geometry: NDArray[np.object_]


@dataclass(frozen=True)
class Placement:
    """Codes of each point, shape (n,); None where it lies in no grid (未落点)."""

    grid: NDArray[np.object_]
    village: NDArray[np.object_]
    township: NDArray[np.object_]

    @property
    def unplaced(self) -> int:
        """How many points lie in no grid."""
        return int(sum(code is None for code in self.grid))


def read_grids(conn: Connection) -> Grids:
    """Read the current grids with their village and township."""
    rows = conn.execute(
        "SELECT g.code, v.code, v.parent_code, ST_AsBinary(g.geom) FROM onemap.division g "
        "JOIN onemap.division v ON v.code = g.parent_code AND v.valid_to IS NULL "
        "WHERE g.level = 4 AND g.valid_to IS NULL AND g.geom IS NOT NULL ORDER BY g.code"
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    codes, villages, townships = (np.array(c, dtype=object) for c in columns[:3])
    return Grids(codes, villages, townships, shapely.from_wkb(np.array(columns[3], dtype=object)))


def place(points: NDArray[np.object_], grids: Grids) -> Placement:
    """Place points in grids; a point on a shared border goes to the smallest code.

    Parameters
    ----------
    points : ndarray of shapely Point, shape (n,)
        EPSG:4490 lon/lat; None or empty stays unplaced. For a polygon or line pass ``shapely.point_on_surface``.
    grids : Grids
        As read by `read_grids`.
    """
    n = len(points)
    owner = np.full(n, len(grids.codes), dtype=np.int64)
    if n and len(grids.codes):
        tree = shapely.STRtree(points)
        grid_index, point_index = tree.query(grids.geometry, predicate="covers")
        # grids are sorted by code, so the smallest index is the smallest code
        np.minimum.at(owner, point_index, grid_index)

    def codes(values: NDArray[np.object_]) -> NDArray[np.object_]:
        with_none: NDArray[np.object_] = np.array([*values, None], dtype=object)
        return with_none[owner]

    return Placement(codes(grids.codes), codes(grids.villages), codes(grids.townships))
