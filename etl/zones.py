"""Protected-farmland zones: which points lie in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection

from gis.store.queries import load_queries


@dataclass(frozen=True)
class Zones:
    """Zones of the store by kind, EPSG:4490 lon/lat; a kind that has none is absent: then nothing can be said."""

    geometry: dict[str, NDArray[np.object_]]

    def contain(self, points: NDArray[np.object_], kind: str) -> NDArray[np.object_]:
        """True or False for each point, shape (n,); None throughout when no zone of that kind is loaded."""
        zones = self.geometry.get(kind)
        if zones is None:
            return np.full(len(points), None, dtype=object)
        inside = np.zeros(len(points), dtype=bool)
        _, index = shapely.STRtree(points).query(zones, predicate="covers")
        inside[index] = True
        return inside.astype(object)


def read_zones(conn: Connection) -> Zones:
    """Read 永久基本农田 (pbf) and 高标准农田 (high_standard)."""
    rows = conn.execute(load_queries("imports")["zones"]).fetchall()
    kinds = {kind for kind, _ in rows}
    return Zones({k: np.asarray(shapely.from_wkb([w for kind, w in rows if kind == k]), dtype=object) for k in kinds})
