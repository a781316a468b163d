"""The county's real outline (县界), read from the installed geotool-cn package at build time."""

from __future__ import annotations

from importlib import resources

import numpy as np
import shapely
from pyproj import Transformer

from etl.demo.profile import CountyProfile
from gis.errors import DefinitionError

# Every vertex of the coverage lies on this grid (metres), so both sides of a border carry the same number.
GRID_M = 0.01


class Ground:
    """The county's outline and the way from lon/lat to its metric CRS.

    Attributes
    ----------
    outline : shapely Polygon, metric CRS, on the centimetre grid.
    factor : float, length scale of a shrunk county (1 for the whole).
    """

    def __init__(self, profile: CountyProfile) -> None:
        self._to_metric = Transformer.from_crs(4490, profile.metric_srid, always_xy=True)
        whole = shapely.Polygon(self._metres(_lonlat_ring(profile.code)))
        self._centre = np.array(shapely.get_coordinates(whole.centroid)[0])
        self.factor = float(np.sqrt(profile.shrink))
        ring = self._shrink(shapely.get_coordinates(whole))
        self.outline: shapely.Polygon = shapely.set_precision(shapely.Polygon(ring), GRID_M)

    def _metres(self, lonlat: np.ndarray) -> np.ndarray:
        return np.column_stack(self._to_metric.transform(lonlat[:, 0], lonlat[:, 1]))

    def _shrink(self, metres: np.ndarray) -> np.ndarray:
        return self._centre + (metres - self._centre) * self.factor

    def place(self, lonlat: list[tuple[float, float]] | tuple[tuple[float, float], ...]) -> np.ndarray:
        """Profile points (n, 2) lon/lat CGCS2000 to (n, 2) metres, shrunk with the county."""
        return self._shrink(self._metres(np.asarray(lonlat, dtype=float).reshape(-1, 2)))


def _lonlat_ring(code: str) -> np.ndarray:
    """Largest ring of a county (islands and exclaves are left out), (n, 2) lon/lat WGS-84 (taken as CGCS2000, they differ by centimetres).

    Raises
    ------
    DefinitionError
        The package knows no outline of this code.

    Source: geotool-cn, DataV.GeoAtlas; accuracy metres, 示意.
    """
    from GeoToolCN._gtc import GTCData

    with resources.as_file(resources.files("GeoToolCN") / "data" / "china.full.gtc") as path:
        data = GTCData(str(path))
        try:
            index = data.index_of(code, "district")
            found = None if index is None else data.geometry(index)
            if found is None:
                raise DefinitionError(f"geotool-cn 里没有 {code} 的县界。", next_step="核对县级代码。")
            # One (xs, ys) pair per ring, the outer ring of each polygon first, in scaled integers.
            outer = [np.column_stack([np.array(axis) for axis in rings[0]]) / data.scale for rings in found[1]]
        finally:
            data.close()
    return max(outer, key=lambda ring: float(shapely.Polygon(ring).area))
