"""The county cut into blocks (田块、街块): one exact planar coverage that everything else is put together from.

Roads and water courses cut the county into faces; each face is halved again and again along its own grain until
the pieces are field blocks, or street blocks near a settlement's centre. Cuts are field tracks and lanes. All lines
are noded together on a centimetre grid, so neighbouring blocks share their vertices exactly, and so does every union.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely import STRtree

from etl.demo.noise import noise
from etl.demo.outline import GRID_M, Ground
from etl.demo.profile import CountyProfile
from etl.demo.roads import Planned
from etl.demo.villages import Villages, upland
from etl.demo.water import Course

# Line kinds in the order in which they win where two lie on one another.
BORDER, RIVER, CANAL, TRUNK, LOCAL, STREET, TRACK = range(7)
# A cut ends a little beyond the line it meets: noding then always finds the crossing.
_OVERSHOOT_M = 0.05


@dataclass(frozen=True)
class Blocks:
    """The coverage: b blocks, e edges between nodes.

    Attributes
    ----------
    geometry : (b,) Polygon; area_m2 (b,); xy (b, 2) point inside; theta (b,) grain, radians.
    built : (b,) bool, cut as street block. near : (b,) village row of the nearest settlement centre.
    pair : (p, 2) neighbouring blocks; border_m (p,) length of their common border; border_kind (p,) line kind.
    edge : (e,) LineString; edge_kind (e,); edge_source (e,) row of the planned road or -1.
    """

    geometry: np.ndarray
    area_m2: np.ndarray
    xy: np.ndarray
    theta: np.ndarray
    built: np.ndarray
    pair: np.ndarray
    border_m: np.ndarray
    border_kind: np.ndarray
    edge: np.ndarray
    edge_kind: np.ndarray
    edge_source: np.ndarray

    def __len__(self) -> int:
        return len(self.geometry)


def cut_blocks(
    profile: CountyProfile, ground: Ground, villages: Villages, courses: list[Course], planned: Planned
) -> Blocks:
    """Cut the whole county; see the module's words."""
    rng = np.random.default_rng([profile.seed, 41])
    water = np.array([c.line for c in courses], dtype=object)
    water_kind = np.array([RIVER if c.kind == "river" else CANAL for c in courses])
    lines = np.concatenate([[ground.outline.exterior], water, planned.line]).astype(object)
    kinds = np.concatenate([[BORDER], water_kind, np.where(planned.trunk >= 0, TRUNK, LOCAL)]).astype(int)
    source = np.concatenate([np.full(1 + len(water), -1), np.arange(len(planned.line))])
    noded = shapely.union_all(lines, grid_size=GRID_M)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    centre = shapely.get_coordinates(shapely.point_on_surface(faces))
    grain = np.deg2rad(profile.traits.grain_deg) + np.deg2rad(profile.traits.grain_spread_deg) * (
        noise(centre[:, 0], centre[:, 1], size_m=5000.0, seed=profile.seed + 1) + rng.normal(0, 0.35, len(faces))
    )
    grain = _follow_roads(faces, grain)
    cuts, cut_kinds = _halve(profile, villages, faces, grain, rng)
    lines = np.concatenate([lines, cuts])
    kinds = np.concatenate([kinds, cut_kinds])
    source = np.concatenate([source, np.full(len(cuts), -1)])

    edges = _without_stubs(shapely.get_parts(shapely.union_all(lines, grid_size=GRID_M)))
    blocks = shapely.get_parts(shapely.polygonize(edges))
    blocks = blocks[np.lexsort(shapely.bounds(blocks)[:, :2].T)]
    xy = shapely.get_coordinates(shapely.point_on_surface(blocks))
    edge_kind, edge_source = _kind_of(edges, lines, kinds, source)
    pair, border, kind = _neighbours(blocks, edges, edge_kind)
    face = STRtree(faces).query_nearest(shapely.points(xy), all_matches=False)[1]
    disc = _settlement_discs(profile, villages)
    built = np.zeros(len(blocks), dtype=bool)
    built[np.unique(STRtree(disc).query(shapely.points(xy), predicate="intersects")[0])] = True
    return Blocks(
        blocks, shapely.area(blocks), xy, grain[face], built, pair, border, kind, edges, edge_kind, edge_source
    )


def _without_stubs(edges: np.ndarray) -> np.ndarray:
    """Leave out what the cuts stick out beyond the lines they end on."""
    ends = shapely.get_coordinates(shapely.get_point(edges, np.array([[0], [-1]])).ravel())
    _, node, count = np.unique(np.rint(ends / GRID_M).astype(np.int64), axis=0, return_inverse=True, return_counts=True)
    loose = (count[node.ravel()] == 1).reshape(2, -1).any(axis=0)
    return np.asarray(edges[~(loose & (shapely.length(edges) < 3 * _OVERSHOOT_M))])


def _follow_roads(faces: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Turn a face's grain to its longest side where that is close: fields lie along the road."""
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(faces)).reshape(len(faces), 5, 2)
    sides = np.diff(box[:, :3], axis=1)
    longer = np.where((np.hypot(*sides[:, 0].T) > np.hypot(*sides[:, 1].T))[:, None], sides[:, 0], sides[:, 1])
    along = np.arctan2(longer[:, 1], longer[:, 0])
    off = (along - grain + np.pi / 4) % (np.pi / 2) - np.pi / 4
    return np.asarray(grain + np.where(np.abs(off) < np.deg2rad(16), 0.85, 0.0) * off)


def _settlement_discs(profile: CountyProfile, villages: Villages) -> np.ndarray:
    """Ground around each centre that is cut into street blocks: an uneven disc (v,) with room to spare."""
    rng = np.random.default_rng([profile.seed, 42])
    radius = np.sqrt(villages.households * profile.traits.house_m2 / np.pi) * 1.08 + 25
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    wobble = rng.uniform(0.78, 1.2, (len(radius), 12))
    # Rather square than round: the corners reach out.
    grain = np.deg2rad(profile.traits.grain_deg)
    wobble *= 1 + 0.22 * np.cos(4 * (turn - grain - np.pi / 4))
    ring = (
        villages.seed[:, None, :]
        + (radius[:, None] * wobble)[:, :, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)[None]
    )
    return np.asarray(shapely.polygons(ring))


def _halve(
    profile: CountyProfile, villages: Villages, faces: np.ndarray, grain: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut lines that bring every face down to block size: (c,) LineString, (c,) STREET or TRACK."""
    disc = STRtree(_settlement_discs(profile, villages))
    piece, theta = faces, grain
    cuts: list[np.ndarray] = []
    kinds: list[np.ndarray] = []
    for _ in range(24):
        area = shapely.area(piece)
        at = shapely.get_coordinates(shapely.centroid(piece))
        size = (
            profile.traits.block_ha * 1e4 * np.exp(0.5 * noise(at[:, 0], at[:, 1], size_m=1800, seed=profile.seed + 2))
        )
        # Woodland needs few lines, the foot of the hills many: its edge then follows the slope.
        size = (
            size
            * (1 + 7 * np.clip((upland(at[:, 0], at[:, 1], profile) - 0.12) / 0.35, 0, 1))
            * rng.uniform(0.8, 1.5, len(area))
        )
        town = np.zeros(len(piece), dtype=bool)
        town[np.unique(disc.query(piece, predicate="intersects")[0])] = True
        size = np.where(town, rng.uniform(0.8e4, 1.5e4, len(area)), size)
        go = area > size * 1.25
        if not go.any():
            break
        halves, segment = _cut(piece[go], theta[go], town[go], rng)
        cuts.append(segment)
        kinds.append(np.where(town[go], STREET, TRACK))
        parts, owner = shapely.get_parts(halves, return_index=True)
        good = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1)
        piece = parts[good]
        theta = np.repeat(theta[go], 2)[owner[good]] + rng.normal(0, 0.012, good.sum())
    flat = np.concatenate(cuts) if cuts else np.array([], dtype=object)
    flat_kind = np.concatenate(kinds) if kinds else np.array([], dtype=int)
    parts, owner = shapely.get_parts(flat, return_index=True)
    good = (shapely.get_type_id(parts) == 1) & (shapely.length(parts) > 0.05)
    xy = shapely.get_coordinates(shapely.get_point(parts[good], np.array([[0], [-1]])).T.ravel()).reshape(-1, 2, 2)
    ahead = xy[:, 1] - xy[:, 0]
    ahead *= _OVERSHOOT_M / np.hypot(ahead[:, 0], ahead[:, 1])[:, None]
    return np.asarray(shapely.linestrings(xy + np.stack([-ahead, ahead], axis=1))), flat_kind[owner[good]]


def _cut(
    piece: np.ndarray, theta: np.ndarray, town: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Halve polygons across their longer side along the grain: (2n,) halves and (n,) cut segments."""
    n = len(piece)
    xy, owner = shapely.get_coordinates(piece, return_index=True)
    c, s = np.cos(theta), np.sin(theta)
    u = xy[:, 0] * c[owner] + xy[:, 1] * s[owner]
    v = -xy[:, 0] * s[owner] + xy[:, 1] * c[owner]
    start = np.concatenate([[0], np.flatnonzero(np.diff(owner)) + 1])
    low = np.column_stack([np.minimum.reduceat(u, start), np.minimum.reduceat(v, start)])
    high = np.column_stack([np.maximum.reduceat(u, start), np.maximum.reduceat(v, start)])
    span = high - low
    # Where a piece is about as wide as long, chance decides, so that the pattern never repeats.
    across = np.log(span[:, 0] / span[:, 1]) + rng.normal(0, 0.22, n) > 0
    where = 0.5 + np.clip(rng.normal(0, 0.07, n), -0.18, 0.18)
    middle = low + span * np.where(np.column_stack([across, ~across]), where[:, None], 0.5)
    tilt = theta + np.where(across, np.pi / 2, 0.0) + rng.normal(0, np.where(town, 0.01, 0.025))
    centre = np.column_stack([middle[:, 0] * c - middle[:, 1] * s, middle[:, 0] * s + middle[:, 1] * c])
    along = np.column_stack([np.cos(tilt), np.sin(tilt)]) * (span.sum(axis=1) + 10)[:, None]
    left = np.column_stack([-along[:, 1], along[:, 0]])
    a, b = centre - along, centre + along
    boxes = shapely.polygons(
        np.concatenate([np.stack([a, b, b + left, a + left], axis=1), np.stack([a, b, b - left, a - left], axis=1)])
    )
    halves = shapely.intersection(np.concatenate([piece, piece]), boxes)
    order = np.arange(2 * n).reshape(2, n).T.ravel()
    return halves[order], shapely.intersection(shapely.linestrings(np.stack([a, b], axis=1)), piece)


def _kind_of(
    edges: np.ndarray, lines: np.ndarray, kinds: np.ndarray, source: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which line each noded edge came from: the one its middle lies on, the strongest kind where several do."""
    middle = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    hit, line = STRtree(lines).query(middle, predicate="dwithin", distance=5 * GRID_M)
    order = np.lexsort((line, kinds[line], hit))
    hit, line = hit[order], line[order]
    first = np.concatenate([[True], np.diff(hit) > 0]) if len(hit) else np.zeros(0, dtype=bool)
    kind, origin = np.full(len(edges), TRACK), np.full(len(edges), -1)
    kind[hit[first]] = kinds[line[first]]
    origin[hit[first]] = source[line[first]]
    return kind, origin


def segment_keys(geometry: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every segment of lines or rings as four centimetre integers, direction removed.

    Returns
    -------
    (key (s, 4) int64, owner (s,) row of the geometry, length (s,) metres)
    """
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    cm = np.rint(xy / GRID_M).astype(np.int64)
    same = np.flatnonzero(owner[1:] == owner[:-1])
    a, b = cm[same], cm[same + 1]
    flip = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    key = np.where(flip[:, None], np.hstack([b, a]), np.hstack([a, b]))
    return key, owner[same], np.hypot(*(xy[same + 1] - xy[same]).T)


def _neighbours(
    blocks: np.ndarray, edges: np.ndarray, edge_kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    key, owner, length = segment_keys(blocks)
    edge_key, edge_owner, _ = segment_keys(edges)
    _, number = np.unique(np.vstack([key, edge_key]), axis=0, return_inverse=True)
    number = number.ravel()
    kind = np.full(number.max() + 1, TRACK)
    kind[number[len(key) :]] = edge_kind[edge_owner]
    order = np.lexsort((owner, number[: len(key)]))
    num, own, long = number[: len(key)][order], owner[order], length[order]
    twin = np.flatnonzero((num[1:] == num[:-1]) & (own[1:] != own[:-1]))
    flat = own[twin].astype(np.int64) * len(blocks) + own[twin + 1]
    pairs, inverse = np.unique(flat, return_inverse=True)
    border = np.bincount(inverse, weights=long[twin])
    strongest = np.full(len(pairs), 99)
    np.minimum.at(strongest, inverse, kind[num[twin]])
    return np.column_stack([pairs // len(blocks), pairs % len(blocks)]), border, strongest
