"""What the basemap fills with colour (底图面): built-up ground, water and woodland."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from etl.demo.blocks import Blocks
from etl.demo.fields import usable_ground
from etl.demo.frame import table
from etl.demo.landuse import LandUse
from etl.demo.profile import CountyProfile
from etl.demo.territory import Territory
from etl.demo.villages import Villages
from etl.demo.water import Course

# Shelter belt (河岸林带) on both banks of a river, metres; fields end where it begins.
BANK_M = 20.0


def draw_ground(
    profile: CountyProfile,
    villages: Villages,
    blocks: Blocks,
    territory: Territory,
    use: LandUse,
    courses: list[Course],
    keep_clear: np.ndarray,
    outline: shapely.Polygon,
) -> gpd.GeoDataFrame:
    """kind, name, division_code, geometry (MultiPolygon, metric CRS), water last so that it is drawn on top."""
    rows: list[tuple[str, str | None, str | None, shapely.Geometry]] = []
    seats = set(villages.seat.tolist())
    for v in range(len(villages.code)):
        mine = territory.village == v
        built = np.flatnonzero(mine & territory.settled)
        if len(built):
            kind = "town" if villages.core[v] or v in seats else "settlement"
            rows.append(
                (
                    kind,
                    str(villages.short[v]),
                    str(villages.code[v]),
                    shapely.coverage_union_all(blocks.geometry[built]),
                )
            )
        trees = np.flatnonzero(mine & use.woodland)
        if len(trees):
            rows.append(("woodland", None, str(villages.code[v]), shapely.coverage_union_all(blocks.geometry[trees])))
    parts, block = usable_ground(blocks, use.pond, keep_clear, inset_m=6.0)
    ponds = shapely.buffer(shapely.buffer(parts, -14.0), 12.0, quad_segs=3)
    for pond, b in zip(ponds, block, strict=True):
        if not pond.is_empty:
            rows.append(("pond", None, str(villages.code[territory.village[b]]), pond))
    for course in courses:
        if course.kind == "river":
            belt = shapely.difference(shapely.buffer(course.surface, BANK_M - 2.0), course.surface)
            rows.append(("woodland", f"{course.name}林带", None, shapely.intersection(belt, outline)))
    rows += [(c.kind, c.name, None, c.surface) for c in courses]
    shapes = [shapely.multipolygons([p for p in shapely.get_parts(row[3]) if p.geom_type == "Polygon"]) for row in rows]
    columns = {
        "kind": [row[0] for row in rows],
        "name": [row[1] for row in rows],
        "division_code": [row[2] for row in rows],
    }
    return table(columns, np.array(shapes, dtype=object), srid=profile.metric_srid)
