"""Protected farmland zones (永久基本农田保护区) and high-standard farmland projects (高标准农田项目区), 示意."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from shapely import STRtree

from etl.demo.blocks import Blocks
from etl.demo.frame import table
from etl.demo.landuse import LandUse
from etl.demo.territory import Territory
from etl.demo.villages import Villages


def draw_zones(
    villages: Villages, blocks: Blocks, territory: Territory, use: LandUse, keep_clear: np.ndarray, *, srid: int
) -> gpd.GeoDataFrame:
    """One row per contiguous zone: PBF by village, high standard by township; main roads and water left out."""
    tree = STRtree(keep_clear)
    rows: list[tuple[str, str, str, str, shapely.MultiPolygon]] = []
    township = villages.township[territory.village]
    for kind, chosen, owner, codes, names, letter, title in (
        ("pbf", use.pbf, territory.village, villages.code, villages.short, "P", "永久基本农田"),
        (
            "high_standard",
            use.high_standard,
            township,
            villages.township_code,
            villages.township_name,
            "H",
            "高标准农田项目区",
        ),
    ):
        for k in range(len(codes)):
            mine = np.flatnonzero(chosen & (owner == k))
            if not len(mine):
                continue
            whole = shapely.coverage_union_all(blocks.geometry[mine])
            near = np.sort(tree.query(whole, predicate="intersects"))
            if len(near):
                whole = shapely.difference(whole, shapely.union_all(keep_clear[near]))
            parts = [p for p in shapely.get_parts(whole) if p.geom_type == "Polygon" and p.area > 100]
            parts.sort(key=lambda p: (-round(p.area), p.bounds))
            rows += [
                (
                    kind,
                    f"{codes[k]}{letter}{n:03d}",
                    f"{names[k]}{title}{n:02d}（示意）",
                    str(codes[k]),
                    shapely.MultiPolygon([part]),
                )
                for n, part in enumerate(parts, start=1)
            ]
    columns = {
        "kind": [row[0] for row in rows],
        "zone_code": [row[1] for row in rows],
        "name": [row[2] for row in rows],
        "division_code": [row[3] for row in rows],
    }
    return table(columns, np.array([row[4] for row in rows], dtype=object), srid=srid)
