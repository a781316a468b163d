"""The land of the demo county (示例县的地): divisions, roads, water, houses, parcels, from a profile and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from etl.demo.basemap import BANK_M, draw_ground
from etl.demo.blocks import Blocks, cut_blocks
from etl.demo.fields import VERGE_M, Strips, cut_strips, usable_ground
from etl.demo.houses import Lots, build, lay_out
from etl.demo.landuse import LAND_USE, LandUse, assign_uses
from etl.demo.network import build_network
from etl.demo.outline import Ground
from etl.demo.profile import CountyProfile
from etl.demo.roads import Planned, plan_roads, road_ground
from etl.demo.territory import Territory, draw, settle
from etl.demo.villages import Villages, place_villages
from etl.demo.water import plan_courses
from etl.demo.zones import draw_zones

Objects = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Parcels:
    """Contracted parcels (承包地块), column by column; all arrays have the length n.

    Attributes
    ----------
    geometry : (n,) shapely Polygon, metric CRS, simple and valid, never overlapping one another.
    grid_code : (n,) str, 15 digits: the one grid the parcel lies in (at least 0.3 m from its border).
    land_class : (n,) str, 三调地类 code (0102, 0201, 1104A ...).
    land_use : (n,) str or None, TDLYLX 011/012/013 for arable land, else None.
    area_m2 : (n,) float, square metres in the metric CRS.
    in_pbf, in_high_standard : (n,) bool, the zone that holds the parcel's block.
    block : (n,) int, field block (田块) the parcel was cut from; strips of one block are alike.
    strip : (n, 2) int, index of the left and the right neighbour in the same row of strips, -1 for none.
    """

    geometry: Objects
    grid_code: Objects
    land_class: Objects
    land_use: Objects
    area_m2: Floats
    in_pbf: Bools
    in_high_standard: Bools
    block: Ints
    strip: Ints

    def __len__(self) -> int:
        return len(self.geometry)


@dataclass(frozen=True)
class Terrain:
    """Everything that lies on the ground of a demo county, in its metric CRS.

    Attributes
    ----------
    divisions : level 1-4, code, name, parent_code, urban_rural, households, population, seat (Point),
        geometry (MultiPolygon); ordered by level, then code. Levels share vertices and nest exactly.
    ground : kind (settlement, town, river, canal, pond, woodland), name, division_code, geometry (MultiPolygon).
    buildings : (h,) shapely Polygon, one courtyard house (院落) per household.
    house_point : (h, 2) float, easting and northing of the house; inside its grid.
    house_grid : (h,) str, 15-digit grid code; sorted by it.
    road_nodes : (m, 2) float, easting and northing; the row number is the node id.
    roads : class, ref, name, from_node, to_node, oneway, surface, width_m, geometry (LineString): one component.
    zones : kind (pbf, high_standard), zone_code, name, division_code, geometry (MultiPolygon).
    parcels : the contracted parcels.
    """

    profile: CountyProfile
    scale: str
    metric_srid: int
    divisions: gpd.GeoDataFrame
    ground: gpd.GeoDataFrame
    buildings: Objects
    house_point: Floats
    house_grid: Objects
    road_nodes: Floats
    roads: gpd.GeoDataFrame
    zones: gpd.GeoDataFrame
    parcels: Parcels


def generate(profile: CountyProfile, scale: str = "demo", *, progress: Callable[[str], None] | None = None) -> Terrain:
    """Build the county's land. The same profile and scale give the same bytes, whatever the machine's load.

    Parameters
    ----------
    profile : see ``load_profile``; ``profile.shrunk(0.02)`` builds a small one.
    scale : demo or full; full has more and narrower parcels on the same land.
    progress : called with one line of Chinese before each step.

    Raises
    ------
    DefinitionError
        The profile names a scale, a division list or an outline that is not there.
    """
    say = progress or (lambda _: None)
    sizes = profile.size(scale)
    say("读县界，定河渠与村址")
    ground = Ground(profile)
    courses = plan_courses(profile, ground)
    villages = place_villages(profile, ground, courses, households=sizes.households)
    say("修路，切田块")
    planned, trunks = plan_roads(profile, ground, villages, courses)
    blocks = cut_blocks(profile, ground, villages, courses, planned)
    say("盖房，划村界与网格")
    wet = np.array([c.surface for c in courses], dtype=object)
    lots = _lots(profile, blocks, villages, planned, wet)
    territory = settle(profile, sizes, villages, blocks, lots.block)
    divisions = draw(profile, sizes, villages, blocks, territory)
    lots = lots.take(territory.lots)
    house_grid = territory.grid_code[territory.grid[lots.block]]
    order = np.lexsort((lots.centre[:, 0], -lots.centre[:, 1], house_grid))
    lots, house_grid = lots.take(order), house_grid[order]
    use = assign_uses(profile, villages, blocks, territory)
    say("连路网")
    network = build_network(profile, villages, blocks, planned, trunks, settled=territory.settled, wild=use.woodland)
    say("分地块，划保护区")
    banks = shapely.buffer(wet, np.array([BANK_M if c.kind == "river" else 4.0 for c in courses]))
    clear, main = _keep_clear(network.roads, banks)
    parts, part_block = usable_ground(blocks, use.farmed, clear, inset_m=VERGE_M)
    strips = cut_strips(profile, blocks, territory, use, parts, part_block, count=sizes.parcels)
    zones = draw_zones(villages, blocks, territory, use, main, srid=profile.metric_srid)
    return Terrain(
        profile=profile,
        scale=scale,
        metric_srid=profile.metric_srid,
        divisions=divisions,
        ground=draw_ground(profile, villages, blocks, territory, use, courses, clear, ground.outline),
        buildings=build(lots, seed=profile.seed),
        house_point=lots.centre,
        house_grid=house_grid.astype(object),
        road_nodes=network.nodes,
        roads=network.roads,
        zones=zones,
        parcels=_parcels(strips, territory, use),
    )


def _lots(profile: CountyProfile, blocks: Blocks, villages: Villages, planned: Planned, wet: Objects) -> Lots:
    """Room for houses on all street blocks, clear of streets, roads and water."""
    centre = villages.seed[villages.core]
    town = shapely.dwithin(shapely.multipoints(centre), shapely.points(blocks.xy), 700.0)
    wide = np.where(planned.trunk >= 0, 14.0, 5.0)
    clear = np.concatenate([road_ground(planned.line, wide), shapely.buffer(wet, 25.0)])
    parts, block = usable_ground(blocks, blocks.built & (blocks.area_m2 < 3e4), clear, inset_m=3.2)
    room = np.full(len(blocks), None, dtype=object)
    order = np.argsort(shapely.area(parts), kind="stable")
    room[block[order]] = parts[order]  # of several parts the largest
    return lay_out(profile, blocks, room, town=town)


def _keep_clear(roads: gpd.GeoDataFrame, banks: Objects) -> tuple[Objects, Objects]:
    """Ground of roads wider than a track and of water, with verges; and of main roads and water alone."""
    width = roads["width_m"].to_numpy()
    wide = width > 4
    strips = road_ground(roads.geometry.to_numpy(), width / 2 + 1.2)
    return np.concatenate([strips[wide], banks]), np.concatenate([strips[width >= 9], banks])


def _parcels(strips: Strips, territory: Territory, use: LandUse) -> Parcels:
    """Strips with their grid, class and zones; ordered by grid, neighbours renumbered."""
    grid = territory.grid_code[territory.grid[strips.block]]
    order = np.argsort(grid, kind="stable")
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(order)), -1
    block = strips.block[order]
    land = strips.land_class[order]
    return Parcels(
        geometry=strips.geometry[order],
        grid_code=grid[order].astype(object),
        land_class=land,
        land_use=np.array([LAND_USE.get(code) for code in land], dtype=object),
        area_m2=shapely.area(strips.geometry[order]),
        in_pbf=use.pbf[block],
        in_high_standard=use.high_standard[block],
        block=block,
        strip=place[strips.neighbour[order]],
    )
