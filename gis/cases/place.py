"""Where a report lies: positions as declared turned into EPSG:4490, and refused in words when they cannot be in the county."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from psycopg import Connection
from shapely.geometry.base import BaseGeometry

from gis.crs import from_shifted, shifted_name
from gis.errors import BadInput, BadRequest

# WGS-84 and CGCS2000 agree within centimetres: a phone's position is one of both.
_SAME = frozenset({"EPSG:4326", "EPSG:4490"})
_KINDS = frozenset({"Point", "LineString", "Polygon", "MultiLineString", "MultiPolygon"})
_MOST_VERTICES = 5_000  # a person draws a hundred


@dataclass(frozen=True)
class Place:
    """A position in EPSG:4490 and the system it was declared in."""

    lon: float
    lat: float
    source_crs: str

    @property
    def ewkt(self) -> str:
        """As PostGIS takes it."""
        return f"SRID=4490;POINT({self.lon!r} {self.lat!r})"


def position(lonlat: Any, source_crs: str | None) -> Place | None:
    """Turn what was sent into EPSG:4490; None stays None (未落点).

    Parameters
    ----------
    lonlat : (lon, lat), degrees, in `source_crs`.
    source_crs : EPSG:4326, EPSG:4490, GCJ-02 or BD-09, as declared; never guessed.

    Raises
    ------
    BadRequest
        When it is not two finite degrees on the earth, or its system is not said or not known.
    """
    if lonlat is None:
        return None
    if (
        not isinstance(lonlat, (list, tuple)) or len(lonlat) != 2
        or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in lonlat)
    ):  # fmt: skip
        raise BadRequest("位置不对：应为经度、纬度两个数。", next_step="重新定位，或去掉位置再提交。")
    try:
        lon, lat = float(lonlat[0]), float(lonlat[1])
    except OverflowError:
        lon = lat = math.inf
    if not (math.isfinite(lon) and math.isfinite(lat)) or abs(lon) > 180 or abs(lat) > 180:
        raise BadRequest("位置不对：经纬度超出了地球。", next_step="重新定位，或去掉位置再提交。")
    if not source_crs:
        raise BadRequest(
            "没有说明位置的坐标系。",
            next_step="写明 source_crs：EPSG:4326（手机）、GCJ-02（高德、腾讯）或 BD-09（百度）。",
        )
    if source_crs.upper() in _SAME:
        return Place(lon, lat, source_crs.upper())
    shifted = shifted_name(source_crs)
    if shifted is None:
        raise BadRequest(f"不认识坐标系 {source_crs[:40]}。", next_step="可用：EPSG:4326、EPSG:4490、GCJ-02、BD-09。")
    turned = from_shifted(np.array([[lon, lat]]), shifted)[0]
    if not np.isfinite(turned).all():
        raise BadRequest("位置不对：经纬度超出了地球。", next_step="重新定位，或去掉位置再提交。")
    return Place(float(turned[0]), float(turned[1]), shifted)


def inside_query() -> str:
    """Query whose row tells the grid of a point, whether the county covers it, and whether it would were lon and lat swapped.

    The county's outline is asked only where no grid was found: nearly never.
    """
    return (
        "SELECT g.grid_code, v.code AS village_code, v.parent_code AS township_code, CASE WHEN g.grid_code IS NOT NULL THEN true ELSE coalesce((SELECT bool_or(ST_Covers(d.geom, p.here)) "
        "FROM onemap.division d WHERE d.level = 1 AND d.valid_to IS NULL), true) END AS inside, "
        "CASE WHEN g.grid_code IS NULL AND abs(ST_X(p.here)) <= 90 THEN "
        "(SELECT bool_or(ST_Covers(d.geom, ST_FlipCoordinates(p.here))) FROM onemap.division d WHERE d.level = 1 AND d.valid_to IS NULL) END "
        "AS swapped FROM (SELECT %(geom)s::geometry AS here) p, LATERAL (SELECT onemap.grid_at(p.here) AS grid_code) g "
        "LEFT JOIN onemap.division gd ON gd.level = 4 AND gd.code = g.grid_code AND gd.valid_to IS NULL "
        "LEFT JOIN onemap.division v ON v.level = 3 AND v.code = gd.parent_code AND v.valid_to IS NULL"
    )


def require_inside(found: dict[str, Any] | None) -> None:
    """Refuse a point outside the county, in words; nothing is moved or stored elsewhere.

    Raises
    ------
    BadInput
        Saying that longitude and latitude were swapped, when that is it.
    """
    if found is None or found["inside"]:
        return
    if found["swapped"]:
        raise BadInput("经度和纬度写反了：对调之后正好在本县。", next_step="请按“经度、纬度”的顺序再提交。")
    raise BadInput(
        "这个位置不在本县。", next_step="请在地图上把图钉拖到事发地点；确实在县外的，请向当地反映，或去掉位置再提交。"
    )


def locate(conn: Connection[Any], place: Place) -> None:
    """Ask the store whether the county covers a place; see `require_inside`."""
    require_inside(conn.execute(inside_query(), {"geom": place.ewkt}).fetchone())


def extent(given: Any) -> BaseGeometry | None:
    """Turn a GeoJSON geometry (EPSG:4490) into a sound shape of few vertices; None stays None.

    Raises
    ------
    BadInput
        When it is no geometry of ours, is not finite, crosses itself, is empty or too detailed.
    """
    if given is None:
        return None
    wrong = BadInput("范围不对。", next_step="请重新画线或画面；不要自己交叉。")
    if not isinstance(given, dict) or given.get("type") not in _KINDS:
        raise wrong
    text = json.dumps(given, allow_nan=False) if _finite(given.get("coordinates")) else ""
    try:
        shape = shapely.force_2d(shapely.from_geojson(text))
    except (shapely.errors.GEOSException, ValueError):
        raise wrong from None
    bounds = np.array(shapely.bounds(shape))
    if shapely.is_empty(shape) or not np.isfinite(bounds).all() or np.abs(bounds).max() > 180:
        raise wrong
    if shapely.get_num_coordinates(shape) > _MOST_VERTICES:
        raise BadInput(f"范围的点太多，最多 {_MOST_VERTICES} 个。", next_step="请画得简单一些。")
    if not shapely.is_valid(shape):
        raise BadInput("范围的边线自己交叉了。", next_step="请重新画。")
    return shape


def _finite(coordinates: Any, depth: int = 0) -> bool:
    """Whether it is nested lists of finite numbers, not deeper than a multipolygon."""
    if isinstance(coordinates, list):
        return depth < 5 and bool(coordinates) and all(_finite(c, depth + 1) for c in coordinates)
    return (
        isinstance(coordinates, (int, float))
        and not isinstance(coordinates, bool)
        and abs(coordinates) <= 180
        and math.isfinite(coordinates)
    )
