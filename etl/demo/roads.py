"""Which roads there are before fields are laid out (路网规划): through roads, and roads from village to village."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import Delaunay, cKDTree

from etl.demo.outline import Ground
from etl.demo.profile import CountyProfile
from etl.demo.villages import Villages
from etl.demo.water import Course, sideways, smooth_line

# Carriageway with verge, metres, by class; a track (生产路) carries a tractor.
WIDTH_M = {"national": 20.0, "provincial": 15.0, "county": 9.0, "township": 7.0, "village": 5.0, "track": 3.5}


@dataclass(frozen=True)
class Planned:
    """Centre lines: kind trunk or local; ``trunk`` is the row in ``names`` or -1."""

    line: np.ndarray
    trunk: np.ndarray


def plan_roads(
    profile: CountyProfile, ground: Ground, villages: Villages, courses: list[Course]
) -> tuple[Planned, list[dict[str, object]]]:
    """Through roads of the profile, roads between neighbouring villages, and roads out of the county.

    Returns
    -------
    (Planned, trunks)
        ``trunks``: name, ref, road_class, width_m, expressway of each through road.
    """
    rng = np.random.default_rng([profile.seed, 31])
    trunks, names = _trunks(profile, ground, villages)
    seed = villages.seed
    pairs = _neighbours(seed)
    slow = [line for line, name in zip(trunks, names, strict=True) if not name["expressway"]]
    band = shapely.union_all([shapely.buffer(line, 230.0) for line in slow]) if slow else shapely.Polygon()
    straight = shapely.linestrings(seed[pairs].reshape(-1, 2, 2))
    beside = shapely.length(shapely.intersection(straight, band)) / np.maximum(shapely.length(straight), 1)
    pairs = pairs[(beside < 0.55) | (villages.core[pairs].all(axis=1) & (beside < 0.8))]
    lines = [_curve(seed[a], seed[b], rng, 0.008 if villages.core[[a, b]].all() else 0.035) for a, b in pairs]
    lines += _spurs(seed, slow, pairs)
    lines += _exits(seed, ground.outline, courses)
    inside = shapely.intersection(np.array(lines, dtype=object), ground.outline)
    local = [p for p in shapely.get_parts(inside) if p.geom_type == "LineString" and p.length > 5]
    return (
        Planned(np.array(trunks + local, dtype=object), np.array(list(range(len(trunks))) + [-1] * len(local))),
        names,
    )


def _trunks(
    profile: CountyProfile, ground: Ground, villages: Villages
) -> tuple[list[shapely.LineString], list[dict[str, object]]]:
    planned: list[tuple[np.ndarray, dict[str, object]]] = [
        (
            ground.place(t.points),
            {
                "name": t.name,
                "ref": t.ref,
                "road_class": t.road_class,
                "width_m": t.width_m,
                "expressway": t.expressway,
            },
        )
        for t in profile.trunks
    ]
    if not planned:
        minx, miny, maxx, maxy = ground.outline.bounds
        span = np.array([maxx - minx, maxy - miny])
        town = villages.seed[villages.seat[0]] + [150.0, 180.0]
        planned = [
            (
                town + span * np.array(way),
                {"name": name, "ref": None, "road_class": kind, "width_m": width, "expressway": False},
            )
            for way, name, kind, width in (
                ([[-1.1, -0.05], [0, 0], [1.1, 0.1]], "国道（示例）", "national", 20.0),
                ([[-0.06, -1.1], [0.01, 0], [0.05, 1.1]], "省道一（示例）", "provincial", 15.0),
                ([[-1.1, 0.3], [0.02, 0.21], [1.1, 0.28]], "省道二（示例）", "provincial", 15.0),
            )
        ]
    lines: list[shapely.LineString] = []
    names: list[dict[str, object]] = []
    for points, name in planned:
        clipped = shapely.intersection(shapely.LineString(smooth_line(points, step_m=160.0)), ground.outline)
        for part in shapely.get_parts(clipped):
            if part.length > 300:
                lines.append(part)
                names.append(name)
    return lines, names


def _neighbours(seed: np.ndarray) -> np.ndarray:
    """Village pairs joined by a road (e, 2): Gabriel graph, sharp forks thinned, nobody left with a single road."""
    n = len(seed)
    if n < 4:
        return np.array([(a, b) for a in range(n) for b in range(a + 1, n)]).reshape(-1, 2)
    triangles = Delaunay(seed).simplices
    pairs = np.unique(
        np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1), axis=0
    )
    length = np.hypot(*(seed[pairs[:, 0]] - seed[pairs[:, 1]]).T)
    middle = seed[pairs].mean(axis=1)
    gabriel = cKDTree(seed).query(middle)[0] >= length / 2 - 1e-6
    tree = minimum_spanning_tree(csr_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(n, n))).tocoo()
    must = {tuple(sorted(map(int, p))) for p in zip(tree.row, tree.col, strict=True)}
    chosen: list[tuple[int, int]] = []
    heading: list[list[float]] = [[] for _ in range(n)]
    for k in np.argsort(length, kind="stable"):
        a, b = int(pairs[k, 0]), int(pairs[k, 1])
        way = float(np.arctan2(*(seed[b] - seed[a])[::-1]))
        sharp = (
            min((_turn(way, h) for h in heading[a]), default=9.0) < 0.6
            or min((_turn(way + np.pi, h) for h in heading[b]), default=9.0) < 0.6
        )
        few = min(len(heading[a]), len(heading[b])) < 2
        if (a, b) in must or (not sharp and ((gabriel[k] and length[k] < 4500) or (few and length[k] < 5000))):
            chosen.append((a, b))
            heading[a].append(way)
            heading[b].append(way + np.pi)
    return np.array(chosen)


def _turn(a: float, b: float) -> float:
    return abs((a - b + np.pi) % (2 * np.pi) - np.pi)


def _curve(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, bow: float) -> shapely.LineString:
    """Road from a to b with the slight bends an old road has."""
    length = float(np.hypot(*(b - a)))
    t = np.linspace(0, 1, max(3, round(length / 110) + 1))
    high = np.clip(rng.normal(0, bow, 2), -2 * bow, 2 * bow) * length
    shift = high[0] * np.sin(np.pi * t) + 0.35 * high[1] * np.sin(2 * np.pi * t)
    return shapely.LineString(sideways(a + (b - a) * t[:, None], shift))


def _spurs(seed: np.ndarray, trunks: list[shapely.LineString], pairs: np.ndarray) -> list[shapely.LineString]:
    """Short roads from villages to the through road they lie beside."""
    spurs = []
    roads = shapely.linestrings(seed[pairs].reshape(-1, 2, 2)) if len(pairs) else np.array([], dtype=object)
    linked = np.bincount(pairs.ravel(), minlength=len(seed)) if len(pairs) else np.zeros(len(seed), dtype=int)
    for trunk in trunks:
        for k, point in enumerate(np.asarray(shapely.points(seed))):
            far = shapely.distance(point, trunk)
            if 60 < far < 1100:
                foot = shapely.line_interpolate_point(trunk, shapely.line_locate_point(trunk, point))
                spur = shapely.LineString([point, foot])
                way = shapely.dwithin(roads, shapely.line_interpolate_point(spur, 0.6, normalized=True), far * 0.45)
                if linked[k] < 2 or not way.any():
                    spurs.append(spur)
    return spurs


def _exits(seed: np.ndarray, outline: shapely.Polygon, courses: list[Course]) -> list[shapely.LineString]:
    """Roads into the neighbouring counties, about every four kilometres of the county line."""
    rim = outline.exterior
    at = shapely.line_interpolate_point(rim, np.arange(0, rim.length, 3800.0))
    water = shapely.union_all([c.line for c in courses])
    used: set[int] = set()
    exits = []
    for k in cKDTree(seed).query(shapely.get_coordinates(at))[1]:
        if k in used:
            continue
        used.add(int(k))
        point = shapely.Point(seed[k])
        foot = shapely.line_interpolate_point(rim, shapely.line_locate_point(rim, point))
        line = shapely.LineString([point, foot])
        if line.length < 2500 and not shapely.intersects(line, water):
            exits.append(line)
    return exits


def road_ground(lines: np.ndarray, half_m: np.ndarray) -> np.ndarray:
    """Ground (n,) Polygon that roads cover, ``half_m`` (n,) metres to either side.

    Each line is drawn half a metre longer than it is: no hairline crack is left where two pieces of a road meet.
    """
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    step = np.flatnonzero(np.diff(owner, prepend=-1))
    last = np.append(step[1:], len(owner)) - 1
    for end, inner in ((step, step + 1), (last, last - 1)):
        out = xy[end] - xy[inner]
        xy[end] += out * (0.5 / np.maximum(np.hypot(out[:, 0], out[:, 1]), 1e-9))[:, None]
    longer = shapely.linestrings(xy, indices=owner)
    return np.asarray(shapely.buffer(longer, half_m, cap_style="flat", join_style="mitre"))


def joined(size: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Component number (n,) of each node of a road graph."""
    ones = np.ones(len(first))
    return np.asarray(connected_components(csr_matrix((ones, (first, second)), shape=(size, size)), directed=False)[1])
