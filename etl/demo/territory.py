"""Who owns which block: townships, villages and grids (乡镇、村、网格) grown over the blocks, then drawn."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from scipy.spatial import cKDTree

from etl.demo.blocks import CANAL, LOCAL, RIVER, TRUNK, Blocks
from etl.demo.frame import table
from etl.demo.growth import graph_of, grow, heal
from etl.demo.noise import noise
from etl.demo.profile import CountyProfile, Sizes
from etl.demo.villages import Villages
from gis.errors import DefinitionError

# How much dearer a border of each kind is to cross: territories end at rivers rather than in the middle of a field.
_BARRIER = {RIVER: 6.0, TRUNK: 1.8, CANAL: 1.4, LOCAL: 1.1}


@dataclass(frozen=True)
class Territory:
    """Owner of every block: village (b,) row in Villages; settled (b,) bool; households (b,) count.

    ``lots`` are the rows of the lots that carry a house; ``grid`` (b,) row in ``grid_code`` (g,).
    """

    village: np.ndarray
    settled: np.ndarray
    households: np.ndarray
    lots: np.ndarray
    grid: np.ndarray
    grid_code: np.ndarray


def settle(
    profile: CountyProfile, sizes: Sizes, villages: Villages, blocks: Blocks, lot_block: np.ndarray
) -> Territory:
    """Grow villages inside townships, fill settlements from their centres, grow grids around groups of houses."""
    rng = np.random.default_rng([profile.seed, 61])
    first, second = blocks.pair.T
    cost = _crossing_cost(profile, blocks)
    seed_block, township = _townships(villages, blocks, first, second)
    inner = township[first] == township[second]
    graph = graph_of(first[inner], second[inner], cost[inner], size=len(blocks))
    village = grow(graph, seed_block, mass=blocks.area_m2, target=villages.wanted_area_m2, rounds=24)
    village = heal(village, first[inner], second[inner], blocks.border_m[inner], seed_block)

    if village.min() < 0:
        raise DefinitionError(f"{profile.name} 的县界不连片，有地分不到村。", next_step="核对县界与河流走向。")
    capacity = np.bincount(lot_block, minlength=len(blocks))
    wanted = _fit(
        villages.households,
        np.bincount(village, weights=capacity, minlength=len(villages.code)) * 0.97,
        sizes.households,
    )
    settled, lots = _fill(profile, blocks, villages, village, capacity, wanted, lot_block, rng)
    if len(lots) != sizes.households:
        raise DefinitionError(
            f"{profile.name} 的村庄只放得下 {len(lots)} 户，概况要 {sizes.households} 户。",
            next_step="调小 households 或 traits.house_m2。",
        )
    households = np.bincount(lot_block[lots], minlength=len(blocks))
    settled |= _town_ground(villages, blocks, village)
    grid, codes = _grids(villages, blocks, village, households, first, second, cost, sizes.grids)
    return Territory(village, settled, households, lots, grid, codes)


def _crossing_cost(profile: CountyProfile, blocks: Blocks) -> np.ndarray:
    first, second = blocks.pair.T
    cost = np.hypot(*(blocks.xy[first] - blocks.xy[second]).T) + 5.0
    factor = np.ones(len(cost))
    for kind, dear in _BARRIER.items():
        factor[blocks.border_kind == kind] = dear
    middle = (blocks.xy[first] + blocks.xy[second]) / 2
    rough = np.exp(0.45 * noise(middle[:, 0], middle[:, 1], size_m=700.0, seed=profile.seed + 3))
    return np.asarray(cost * factor * rough)


def _townships(
    villages: Villages, blocks: Blocks, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Block of every village centre (v,), distinct, and the township of every block (b,)."""
    township = villages.cell_township[cKDTree(villages.cell_xy).query(blocks.xy)[1]]
    seed_block = np.full(len(villages.code), -1)
    taken: set[int] = set()
    for row, near in enumerate(cKDTree(blocks.xy).query(villages.seed, k=min(24, len(blocks)))[1]):
        free = [int(b) for b in near if int(b) not in taken]
        seed_block[row] = next((b for b in free if township[b] == villages.township[row]), free[0])
        taken.add(int(seed_block[row]))
        township[seed_block[row]] = villages.township[row]
    township = heal(township, first, second, blocks.border_m, seed_block[villages.seat])
    # Healing may have handed a stray centre's block away; the centre then moves to the nearest own block.
    for v in np.flatnonzero(township[seed_block] != villages.township):
        own = np.flatnonzero(township == villages.township[v])
        own = own[~np.isin(own, seed_block)]
        seed_block[v] = own[np.argmin(np.hypot(*(blocks.xy[own] - villages.seed[v]).T))]
    return seed_block, township


def _fit(wanted: np.ndarray, room: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers near ``wanted`` that add up to ``total`` and never exceed ``room``."""
    room = np.floor(room)
    share = wanted * total / wanted.sum()
    for _ in range(40):
        share = np.minimum(share, room)
        lack = total - share.sum()
        if lack < 0.5:
            break
        free = np.maximum(room - share, 0) * (wanted > 0)
        share += lack * free / max(free.sum(), 1e-9)
    return _whole(share, min(total, int(room.sum())))


def _whole(share: np.ndarray, total: int) -> np.ndarray:
    """Largest remainders: whole numbers (n,) close to ``share`` (n,) whose sum is ``total``."""
    if share.sum() <= 0:
        return np.zeros(len(share), dtype=int)
    share = share * total / share.sum()
    whole = np.floor(share + 1e-9).astype(int)
    order = np.lexsort((np.arange(len(share)), whole - share))
    whole[order[: total - whole.sum()]] += 1
    return whole


def _fill(
    profile: CountyProfile,
    blocks: Blocks,
    villages: Villages,
    village: np.ndarray,
    capacity: np.ndarray,
    wanted: np.ndarray,
    lot_block: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill street blocks from the centre outward: (b,) settled, and rows of the lots that carry a house."""
    # Villages of the plain are more square than round, each with its own length to breadth.
    away = blocks.xy - villages.seed[village]
    turn = np.deg2rad(profile.traits.grain_deg)
    stretch = np.exp(rng.normal(0, 0.2, len(wanted)))[village]
    u = np.abs(away[:, 0] * np.cos(turn) + away[:, 1] * np.sin(turn)) * stretch
    v = np.abs(-away[:, 0] * np.sin(turn) + away[:, 1] * np.cos(turn)) / stretch
    far = (0.6 * np.maximum(u, v) + 0.4 * np.hypot(u, v)) * np.exp(rng.normal(0, 0.11, len(blocks)))
    usable = np.flatnonzero(capacity > 0)
    order = usable[np.lexsort((far[usable], village[usable]))]
    before = np.cumsum(capacity[order])
    start = np.searchsorted(village[order], np.arange(len(wanted)))
    base = np.where(start > 0, before[np.maximum(start - 1, 0)], 0)
    running = before - base[village[order]] - capacity[order]
    # A few lots per village stand empty.
    settled = np.zeros(len(blocks), dtype=bool)
    settled[order[running < np.ceil(wanted * 1.025)[village[order]]]] = True
    lot_village = village[lot_block]
    pool = np.flatnonzero(settled[lot_block])
    luck = rng.random(len(pool))
    pool = pool[np.lexsort((luck, lot_village[pool]))]
    rank = np.arange(len(pool)) - np.searchsorted(lot_village[pool], lot_village[pool])
    return settled, np.sort(pool[rank < wanted[lot_village[pool]]])


def _town_ground(villages: Villages, blocks: Blocks, village: np.ndarray) -> np.ndarray:
    """Small blocks between the town's neighbourhoods (b,) bool: offices, schools, works; no farmland, no courtyards."""
    centre = villages.seed[villages.core]
    if len(centre) < 3:
        return np.zeros(len(blocks), dtype=bool)
    hull = shapely.buffer(shapely.convex_hull(shapely.multipoints(centre)), 150.0)
    inside = shapely.contains_xy(hull, blocks.xy[:, 0], blocks.xy[:, 1])
    return np.asarray(inside & villages.core[village] & (blocks.area_m2 < 4e4))


def _grids(
    villages: Villages,
    blocks: Blocks,
    village: np.ndarray,
    households: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    cost: np.ndarray,
    total: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Grid of every block (b,) and the 15-digit codes (g,), numbered from north to south in each village."""
    lived = np.flatnonzero(households > 0)
    per_village = np.bincount(village, weights=households, minlength=len(villages.code))
    blocks_of = np.bincount(village[lived], minlength=len(villages.code))
    count = np.maximum(1, _fit(np.maximum(per_village, 1), np.maximum(blocks_of, 1), total))
    sources: list[int] = []
    owner: list[int] = []
    groups: list[np.ndarray] = []
    for v in range(len(villages.code)):
        rows = lived[village[lived] == v]
        if len(rows) == 0:
            rows = np.flatnonzero(village == v)[:1]
        for group in _split(rows, blocks.xy, households, int(count[v])):
            middle = np.average(blocks.xy[group], axis=0, weights=households[group] + 1)
            sources.append(int(group[np.argmin(np.hypot(*(blocks.xy[group] - middle).T))]))
            owner.append(v)
            groups.append(group)
    order = np.lexsort((blocks.xy[sources, 0], -blocks.xy[sources, 1], np.array(owner)))
    source, of = np.array(sources)[order], np.array(owner)[order]
    group_of = np.concatenate([np.full(len(groups[g]), k) for k, g in enumerate(order)])
    start = np.concatenate([groups[g] for g in order])
    inner = village[first] == village[second]
    # Every lived-in block pulls the fields nearest to it to its group; streets and tracks are where grids meet.
    graph = graph_of(first[inner], second[inner], cost[inner], size=len(blocks))
    nearest = grow(graph, start, mass=blocks.area_m2, target=np.ones(len(start)), rounds=1)
    grid = np.where(nearest >= 0, group_of[np.maximum(nearest, 0)], -1)
    grid = heal(grid, first[inner], second[inner], blocks.border_m[inner], source)
    number = np.arange(len(of)) - np.searchsorted(of, of) + 1
    codes = np.array([f"{villages.code[v]}{n:03d}" for v, n in zip(of, number, strict=True)])
    return grid, codes


def _split(rows: np.ndarray, xy: np.ndarray, weight: np.ndarray, parts: int) -> list[np.ndarray]:
    """Split blocks into ``parts`` groups of about equal weight by halving across the longer extent."""
    if parts <= 1 or len(rows) <= 1:
        return [rows]
    left = parts // 2
    axis = int(np.argmax(np.ptp(xy[rows], axis=0)))
    rows = rows[np.argsort(xy[rows, axis], kind="stable")]
    run = np.cumsum(weight[rows])
    cut = int(np.clip(np.argmin(np.abs(run - run[-1] * left / parts)) + 1, left, len(rows) - (parts - left)))
    return _split(rows[:cut], xy, weight, left) + _split(rows[cut:], xy, weight, parts - left)


def draw(
    profile: CountyProfile, sizes: Sizes, villages: Villages, blocks: Blocks, territory: Territory
) -> gpd.GeoDataFrame:
    """All four levels as polygons; each level is the exact union of the next."""
    rng = np.random.default_rng([profile.seed, 62])
    grid_village = np.array([np.searchsorted(villages.code, code[:12]) for code in territory.grid_code])
    grids = _unions(blocks.geometry, territory.grid, len(territory.grid_code))
    village_shape = _unions(grids, grid_village, len(villages.code))
    township_shape = _unions(village_shape, villages.township, len(villages.township_code))
    county = _unions(township_shape, np.zeros(len(township_shape), dtype=int), 1)
    households = np.bincount(territory.grid, weights=territory.households, minlength=len(grids)).astype(int)
    people = _whole(households * np.exp(rng.normal(0, 0.05, len(grids))), sizes.population)
    grid_seat = _grid_seats(blocks, territory, grids)
    grid_no = [
        f"{villages.short[v]}第{int(c[12:])}网格" for v, c in zip(grid_village, territory.grid_code, strict=True)
    ]

    def total(values: np.ndarray, key: np.ndarray, size: int) -> np.ndarray:
        return np.bincount(key, weights=values, minlength=size).astype(int)

    village_h, village_p = (total(a, grid_village, len(villages.code)) for a in (households, people))
    town_h, town_p = (total(a, villages.township, len(villages.township_code)) for a in (village_h, village_p))
    centres = np.asarray(shapely.points(villages.seed))
    none: list[str | None] = [None]
    columns = {
        "level": np.repeat([1, 2, 3, 4], [1, len(township_shape), len(village_shape), len(grids)]),
        "code": [profile.code, *villages.township_code, *villages.code, *territory.grid_code],
        "name": [profile.name, *villages.township_name, *villages.name, *grid_no],
        "parent_code": [None]
        + [profile.code] * len(township_shape)
        + [c[:9] for c in villages.code]
        + [c[:12] for c in territory.grid_code],
        "urban_rural": none * (1 + len(township_shape)) + _urban_rural(villages) + none * len(grids),
        "households": np.concatenate([[households.sum()], town_h, village_h, households]),
        "population": np.concatenate([[people.sum()], town_p, village_p, people]),
        "seat": [centres[villages.seat[0]], *centres[villages.seat], *centres, *grid_seat],
    }
    shapes = np.concatenate([county, township_shape, village_shape, grids])
    return table(columns, _multi(shapes), srid=profile.metric_srid)


def _urban_rural(villages: Villages) -> list[str | None]:
    """城乡分类: 121 镇中心区, 122 镇乡结合区, 210 乡中心区, 220 村庄; derived, not official."""
    seat = set(villages.seat.tolist())
    codes: list[str | None] = []
    for v, township in enumerate(villages.township):
        rural = villages.township_name[township].endswith("乡")
        if villages.core[v] or (v in seat and not rural):
            codes.append("121")
        elif v in seat:
            codes.append("210")
        else:
            codes.append("122" if township == 0 and villages.code[v][9] in "01" else "220")
    return codes


def _grid_seats(blocks: Blocks, territory: Territory, grids: np.ndarray) -> np.ndarray:
    """A point inside each grid, in its most lived-in block."""
    seats = shapely.point_on_surface(grids)
    order = np.lexsort((territory.households, territory.grid))
    last = np.concatenate([np.diff(territory.grid[order]) > 0, [True]])
    best = order[last]
    seats[territory.grid[best]] = shapely.points(blocks.xy[best])
    return np.asarray(seats)


def _unions(parts: np.ndarray, label: np.ndarray, size: int) -> np.ndarray:
    """Union of the parts of each label, keeping every shared vertex."""
    order = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[order], np.arange(size + 1))
    shapes = np.empty(size, dtype=object)
    for k in range(size):
        shapes[k] = shapely.coverage_union_all(parts[order[edges[k] : edges[k + 1]]])
    return shapes


def _multi(shapes: np.ndarray) -> np.ndarray:
    """Polygons as MultiPolygons."""
    multi = np.empty(len(shapes), dtype=object)
    for k, shape in enumerate(shapes):
        multi[k] = shapely.multipolygons(shapely.get_parts(shape))
    return multi
