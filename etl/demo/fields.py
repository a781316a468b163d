"""Field blocks cut into strips (条田): the contracted parcels, every one inside its block and clear of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely import STRtree

from etl.demo.blocks import Blocks
from etl.demo.landuse import LandUse
from etl.demo.profile import CountyProfile
from etl.demo.territory import Territory

# Half a field track and its verge, and the ridge (田埂) between two strips, metres.
VERGE_M = 2.4
RIDGE_M = 0.4


@dataclass(frozen=True)
class Strips:
    """Parcels before they are named: geometry (n,), block (n,), land_class (n,), neighbours (n, 2) or -1."""

    geometry: np.ndarray
    block: np.ndarray
    land_class: np.ndarray
    neighbour: np.ndarray


def usable_ground(
    blocks: Blocks, wanted: np.ndarray, keep_clear: np.ndarray, *, inset_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """What is left of blocks inside their tracks and clear of roads and water.

    Parameters
    ----------
    wanted : (b,) bool. keep_clear : (k,) polygons of wide roads and water with their verges.

    Returns
    -------
    (part (m,) Polygon, block (m,) row)
    """
    rows = np.flatnonzero(wanted)
    ground = shapely.buffer(blocks.geometry[rows], -inset_m, join_style="mitre", mitre_limit=2.0)
    piece, obstacle = (
        STRtree(keep_clear).query(ground, predicate="intersects") if len(keep_clear) else (rows[:0], rows[:0])
    )
    order = np.lexsort((obstacle, piece))
    piece, obstacle = piece[order], obstacle[order]
    rank = np.arange(len(piece)) - np.searchsorted(piece, piece)
    for r in range(int(rank.max()) + 1 if len(rank) else 0):
        now = rank == r
        ground[piece[now]] = shapely.difference(ground[piece[now]], keep_clear[obstacle[now]])
    parts, owner = shapely.get_parts(shapely.simplify(ground, 0.08), return_index=True)
    good = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 120) & shapely.is_valid(parts)
    return parts[good], rows[owner[good]]


def cut_strips(
    profile: CountyProfile,
    blocks: Blocks,
    territory: Territory,
    use: LandUse,
    parts: np.ndarray,
    block: np.ndarray,
    *,
    count: int,
) -> Strips:
    """Cut usable ground into about ``count`` parcels (±3 %)."""
    rng = np.random.default_rng([profile.seed, 82])
    village = territory.village[block]
    habit = rng.normal(0, 0.16, territory.village.max() + 1)
    big = {"1202": 0.55, "1104A": 1.8, "0201": 1.25, "0202": 1.5, "0302": 2.5}
    land = use.land_class[block]
    factor = np.exp(habit[village] + rng.normal(0, 0.14, len(parts))) * np.array([big.get(c, 1.0) for c in land])
    turned = rng.random(len(parts)) < 0.24
    theta = (blocks.theta[block] + np.pi / 4) % (np.pi / 2) - np.pi / 4 + np.where(turned, np.pi / 2, 0.0)
    frame = frame_of(parts, theta + rng.normal(0, 0.006, len(parts)))
    area = shapely.area(parts)
    mean = float((area / factor).sum() / count)
    # Slivers at slanting ends are no parcels; a cut of every tenth block on trial tells how many will be lost.
    trial = np.arange(0, len(parts), max(1, min(10, len(parts) // 100)))
    for _ in range(2):
        planned = _numbers(frame, area, mean * factor)[2]
        got = len(
            _cut(
                frame.take(trial), parts[trial], block[trial], land[trial], area[trial], (mean * factor)[trial], profile
            ).geometry
        )
        mean *= float(planned.sum() * got / max(planned[trial].sum(), 1) / count)
    return _cut(frame, parts, block, land, area, mean * factor, profile)


@dataclass(frozen=True)
class Frame:
    """Polygons in their own turned frames: cos and sin of the turn (n,), low and high corner (n, 2)."""

    c: np.ndarray
    s: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def take(self, rows: np.ndarray) -> Frame:
        """The frames of these rows."""
        return Frame(self.c[rows], self.s[rows], self.low[rows], self.high[rows])


def frame_of(polygons: np.ndarray, theta: np.ndarray) -> Frame:
    """Extent of each polygon along its own axes, turned by ``theta`` (n,) radians."""
    c, s = np.cos(theta), np.sin(theta)
    xy, owner = shapely.get_coordinates(polygons, return_index=True)
    u = xy[:, 0] * c[owner] + xy[:, 1] * s[owner]
    v = -xy[:, 0] * s[owner] + xy[:, 1] * c[owner]
    start = np.concatenate([[0], np.flatnonzero(np.diff(owner)) + 1])
    low = np.column_stack([np.minimum.reduceat(u, start), np.minimum.reduceat(v, start)])
    high = np.column_stack([np.maximum.reduceat(u, start), np.maximum.reduceat(v, start)])
    return Frame(c, s, low, high)


def _numbers(frame: Frame, area: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of strips per part, strips per row, and both together (n,)."""
    span = frame.high - frame.low
    length = np.sqrt(mean * 11.5)  # a strip is about eleven times as long as wide
    rows = np.maximum(1, np.rint(span[:, 1] / length)).astype(int)
    per_row = np.maximum(1, np.rint(area / mean / rows)).astype(int)
    return rows, per_row, rows * per_row


def _cut(
    frame: Frame,
    parts: np.ndarray,
    block: np.ndarray,
    land: np.ndarray,
    area: np.ndarray,
    mean: np.ndarray,
    profile: CountyProfile,
) -> Strips:
    rng = np.random.default_rng([profile.seed, 83])
    rows, per_row, _ = _numbers(frame, area, mean)
    span = frame.high - frame.low
    tier_part = np.repeat(np.arange(len(parts)), rows)
    tier_no = _position(rows)
    step = (span[:, 1] / rows)[tier_part]
    inner = rng.normal(0, 0.05, len(tier_part)) * step
    inner[tier_no == 0] = 0.0
    low_v = frame.low[tier_part, 1] + tier_no * step + inner
    high_v = np.concatenate([low_v[1:], [0.0]])
    last = tier_no == rows[tier_part] - 1
    high_v[last] = frame.high[tier_part[last], 1] + 1.0
    low_v[tier_no == 0] -= 1.0

    strips = per_row[tier_part]
    tier = np.repeat(np.arange(len(tier_part)), strips)
    number = _position(strips)
    width = np.clip(np.exp(rng.normal(0, 0.34, len(tier))), 0.45, 2.4)
    run = np.cumsum(width)
    first = np.concatenate([[0], np.cumsum(strips)[:-1]])
    base = (run - width)[first]
    whole = run[first + strips - 1] - base
    part = tier_part[tier]
    scale = (span[part, 0] + 2.0) / whole[tier]
    a = frame.low[part, 0] - 1.0 + (run - width - base[tier]) * scale + RIDGE_M / 2
    b = frame.low[part, 0] - 1.0 + (run - base[tier]) * scale - RIDGE_M / 2
    lo, hi = low_v[tier] + RIDGE_M / 2, high_v[tier] - RIDGE_M / 2
    u, v = np.stack([a, b, b, a], axis=1), np.stack([lo, lo, hi, hi], axis=1)
    c, s = frame.c[part][:, None], frame.s[part][:, None]
    boxes = np.asarray(shapely.polygons(np.stack([u * c - v * s, u * s + v * c], axis=2)))
    shapely.prepare(parts)
    cut = boxes.copy()
    ends = ~shapely.contains_properly(parts[part], boxes)
    cut[ends] = shapely.intersection(boxes[ends], parts[part[ends]])
    many = np.flatnonzero(shapely.get_type_id(cut) != 3)
    for k in many:
        pieces = [g for g in shapely.get_parts(cut[k]) if g.geom_type == "Polygon"]
        cut[k] = max(pieces, key=lambda g: g.area) if pieces else shapely.Polygon()
    size, rim = shapely.area(cut), shapely.length(cut)
    good = (
        (size > 0.12 * mean[part])
        & (2 * size / np.maximum(rim, 1e-9) > 1.3)
        & (shapely.get_num_interior_rings(cut) == 0)
    )
    label = _classes_in_rows(land, part, number, strips[tier], profile, rng)
    index = np.where(good, np.cumsum(good) - 1, -1)
    left = np.where(number > 0, np.concatenate([[-1], index[:-1]]), -1)
    right = np.where(number < strips[tier] - 1, np.concatenate([index[1:], [-1]]), -1)
    geometry, beside = cut[good], np.column_stack([left, right])[good]
    for side in (0, 1):
        # In a bent block two strips next in number can lie apart.
        has = np.flatnonzero(beside[:, side] >= 0)
        far = shapely.distance(geometry[has], geometry[beside[has, side]]) > 3 * RIDGE_M
        beside[has[far], side] = -1
    return Strips(geometry, block[part[good]], label[good], beside)


def _position(counts: np.ndarray) -> np.ndarray:
    """0..count-1 for each group, in one row."""
    return np.arange(counts.sum()) - np.repeat(np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)


def _classes_in_rows(
    land: np.ndarray,
    part: np.ndarray,
    number: np.ndarray,
    size: np.ndarray,
    profile: CountyProfile,
    rng: np.random.Generator,
) -> np.ndarray:
    """Most strips carry their block's class; where a block is mixed the others lie together at one end."""
    share = np.where(land == profile.land.main_class, 1.0, np.clip(rng.normal(0.9, 0.25, len(land)), 0.35, 1.0))
    label = land[part].copy()
    label[(number + 0.5) / size > share[part]] = profile.land.main_class
    few = rng.random(len(land)) < 0.035
    where = rng.random(len(land))
    odd = few[part] & (land[part] == profile.land.main_class) & (np.abs((number + 0.5) / size - where[part]) < 0.11)
    if profile.land.orchard > 0:
        label[odd] = "0201"
    return np.asarray(label)
