"""Where townships and villages lie (乡镇、村的位置): seats and settlement centres, before any boundary is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree

from etl.demo.growth import graph_of, grow, heal
from etl.demo.noise import noise
from etl.demo.outline import Ground
from etl.demo.profile import CountyProfile
from etl.demo.water import Course

_CELL_M = 160.0


@dataclass(frozen=True)
class Villages:
    """All villages of the county, ordered by code; arrays of length v.

    Attributes
    ----------
    code, name : str; parent_code : 9-digit township code; short : name without 村委会/居委会.
    seed : (v, 2) settlement centre, metres. core : (v,) bool, part of the county town's built-up area.
    households, wanted_area_m2 : (v,) what the village shall come to. seat : (t,) row of the seat's village.
    township_code, township_name : (t,) in code order. cell_xy, cell_township : coarse raster of township ground.
    """

    code: np.ndarray
    name: np.ndarray
    short: np.ndarray
    township: np.ndarray
    seed: np.ndarray
    core: np.ndarray
    households: np.ndarray
    wanted_area_m2: np.ndarray
    seat: np.ndarray
    township_code: np.ndarray
    township_name: np.ndarray
    cell_xy: np.ndarray
    cell_township: np.ndarray


def short_name(name: str) -> str:
    """Name of the place itself: 官亭村委会 → 官亭."""
    for suffix in ("村委会", "居委会", "社区"):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def place_villages(profile: CountyProfile, ground: Ground, courses: list[Course], *, households: int) -> Villages:
    """Choose ground for every township and a centre for every village."""
    rng = np.random.default_rng([profile.seed, 21])
    rows = profile.division_rows()
    townships = sorted((r for r in rows if r["level"] == "township"), key=lambda r: r["code"])
    index = {r["code"]: k for k, r in enumerate(townships)}
    villages = sorted((r for r in rows if r["level"] == "village"), key=lambda r: r["code"])
    member = np.array([index[r["parent_code"]] for r in villages])
    count = np.bincount(member, minlength=len(townships))

    cells, first, second, cost = _cells(profile, ground, courses)
    seats = _seats(profile, ground, [r["name"] for r in townships], cells, rng)
    share = count**0.62
    for seat in profile.seats:
        for k, row in enumerate(townships):
            if row["name"] == seat.name and seat.area_share:
                share[k] = seat.area_share
    start = cKDTree(cells).query(seats)[1]
    graph = graph_of(first, second, cost, size=len(cells))
    mass = np.ones(len(cells))
    area = grow(graph, start, mass=mass, target=share / share.sum() * len(cells), rounds=20)
    area = heal(area, first, second, np.ones(len(first)), start)

    room = _room(cells, area, first, second, ground, courses, profile)
    seed = np.zeros((len(villages), 2))
    core = np.zeros(len(villages), dtype=bool)
    seat_row = np.zeros(len(townships), dtype=int)
    town = 0  # the first township by code holds the county town
    for t in range(len(townships)):
        rows_t = np.flatnonzero(member == t)
        inner = min(profile.traits.town_villages, max(1, len(rows_t) // 3)) if t == town else 0
        places = _scatter(cells[(area == t) & room], seats[t], len(rows_t), inner, profile, rng)
        names = [villages[i]["name"] for i in rows_t]
        order = _name_order(places, names, townships[t]["name"], inner)
        seed[rows_t[order]] = places
        core[rows_t[order[:inner]]] = True
        seat_row[t] = rows_t[order[0]]
    weight = np.exp(rng.normal(0, 0.5, len(villages))) * np.where(core, 3.2, 1.0)
    weight[seat_row] *= 2.2
    target = np.maximum(25, weight / weight.sum() * households)
    living = target * profile.traits.house_m2 * 1.25
    wanted = np.where(core, living * 1.1, np.exp(rng.normal(0, 0.3, len(villages))) * (target / target.mean()) ** 0.45)
    whole = float(shapely.area(ground.outline))
    wanted[core] *= min(1.0, 0.5 * whole / max(wanted[core].sum(), 1.0))
    rest = whole - wanted[core].sum()
    wanted[~core] *= rest / max(wanted[~core].sum(), 1e-9)
    return Villages(
        code=np.array([r["code"] for r in villages]),
        name=np.array([r["name"] for r in villages]),
        short=np.array([short_name(r["name"]) for r in villages]),
        township=member,
        seed=seed,
        core=core,
        households=target,
        wanted_area_m2=wanted,
        seat=seat_row,
        township_code=np.array([r["code"] for r in townships]),
        township_name=np.array([r["name"] for r in townships]),
        cell_xy=cells,
        cell_township=area,
    )


def _cells(
    profile: CountyProfile, ground: Ground, courses: list[Course]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Coarse raster inside the outline with the cost of going from cell to cell; rivers are dear to cross."""
    minx, miny, maxx, maxy = ground.outline.bounds
    size = _CELL_M * max(0.4, np.sqrt(ground.factor))
    xs, ys = np.arange(minx, maxx + size, size), np.arange(miny, maxy + size, size)
    grid_x, grid_y = np.meshgrid(xs, ys)
    inside = shapely.contains_xy(ground.outline, grid_x, grid_y)
    number = np.full(grid_x.shape, -1)
    number[inside] = np.arange(inside.sum())
    cells = np.column_stack([grid_x[inside], grid_y[inside]])
    friction = np.exp(0.9 * noise(cells[:, 0], cells[:, 1], size_m=2600.0 * ground.factor**0.5, seed=profile.seed))
    for course in courses:
        if course.kind == "river":
            near = shapely.dwithin(shapely.points(cells), course.line, size)
            friction[near] *= 6.0
    firsts, seconds, steps = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = number[: number.shape[0] - dy, max(0, -dx) : number.shape[1] - max(0, dx)]
        b = number[dy:, max(0, dx) : number.shape[1] - max(0, -dx)]
        both = (a >= 0) & (b >= 0)
        firsts.append(a[both])
        seconds.append(b[both])
        steps.append(np.full(both.sum(), np.hypot(dx, dy) * size))
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    return cells, first, second, np.concatenate(steps) * (friction[first] + friction[second]) / 2


def _seats(
    profile: CountyProfile, ground: Ground, names: list[str], cells: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Seats of the profile by name; the others where they are farthest from one another, the first in the middle."""
    known = {seat.name: ground.place([(seat.lon, seat.lat)])[0] for seat in profile.seats}
    seats: list[np.ndarray | None] = [known.get(name) for name in names]
    if seats[0] is None:
        seats[0] = cells[np.argmin(np.hypot(*(cells - cells.mean(axis=0)).T))]
    edge = shapely.distance(shapely.points(cells), ground.outline.exterior)
    room = cells[edge > min(1500.0, np.quantile(edge, 0.5))]
    for k, seat in enumerate(seats):
        if seat is None:
            there = np.array([s for s in seats if s is not None])
            tries = room[rng.integers(0, len(room), 40)]
            seats[k] = tries[np.argmax(cKDTree(there).query(tries)[0] * rng.uniform(0.7, 1.0, len(tries)))]
    return np.array(seats)


def _room(
    cells: np.ndarray,
    area: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    ground: Ground,
    courses: list[Course],
    profile: CountyProfile,
) -> np.ndarray:
    """Cells where a village may have its centre: away from water, the county line and other townships."""
    points = shapely.points(cells)
    room = shapely.distance(points, ground.outline.exterior) > 330.0
    for course in courses:
        room &= ~shapely.dwithin(points, course.line, course.width_m / 2 + (230.0 if course.kind == "river" else 90.0))
    frontier = area[first] != area[second]
    border = np.unique(np.concatenate([first[frontier], second[frontier]]))
    if len(border):
        room &= cKDTree(cells[border]).query(cells)[0] > 300.0
    if profile.traits.upland_share > 0:
        high = upland(cells[:, 0], cells[:, 1], profile)
        room &= high < 0.25
    return np.asarray(room)


def upland(x: np.ndarray, y: np.ndarray, profile: CountyProfile) -> np.ndarray:
    """Height above the valley edge, about -1..1 (n,); above 0 lies hill woodland. Flat land: always -1."""
    if profile.traits.upland_share <= 0:
        return np.full(np.shape(x), -1.0)
    raw = noise(x, y, size_m=7000.0, seed=profile.seed + 5)
    sample = np.random.default_rng([profile.seed, 23]).random((2, 4000)) * 60000
    level = np.quantile(
        noise(sample[0], sample[1], size_m=7000.0, seed=profile.seed + 5), 1 - profile.traits.upland_share
    )
    return np.asarray(raw - level)


def _scatter(
    room: np.ndarray, seat: np.ndarray, count: int, inner: int, profile: CountyProfile, rng: np.random.Generator
) -> np.ndarray:
    """``count`` places, the seat first, then ``inner`` of the town on a loose street grid, then the countryside."""
    chosen: list[np.ndarray] = [seat]
    if inner > 1:
        turn = np.deg2rad(profile.traits.grain_deg)
        steps = np.array([(i, j) for i in range(-4, 5) for j in range(-4, 5)], dtype=float) * [640.0, 590.0]
        steps = steps[np.argsort(np.hypot(steps[:, 0], steps[:, 1] * 1.12), kind="stable")][1:inner]
        steps = steps + rng.normal(0, 55.0, steps.shape)
        chosen += list(seat + steps @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]))
    if len(room) == 0:
        room = seat + rng.normal(0, 800.0, (400, 2))
    room = room + rng.uniform(-0.5, 0.5, room.shape) * _CELL_M * 0.6
    spacing = 0.92 * np.sqrt(max(len(room), 1) * _CELL_M**2 / max(count - inner, 1))
    pool = rng.permutation(len(room))
    while len(chosen) < count:
        # Some villages stand close together, some far apart; where no room is left the distance shrinks.
        for i in pool:
            if len(chosen) >= count:
                break
            gap = np.hypot(*(np.array(chosen) - room[i]).T)
            if inner:
                gap[:inner] /= 0.8
            if gap.min() > spacing * np.exp(rng.normal(-0.12, 0.3)):
                chosen.append(room[i])
        spacing *= 0.9
    return np.array(chosen)


def _name_order(places: np.ndarray, names: list[str], township: str, inner: int) -> np.ndarray:
    """Which name belongs to which place: names with neighbouring codes lie side by side, town names in town."""
    n = len(names)
    stem = township.rstrip("镇乡街道")
    home = next(
        (i for i, name in enumerate(names) if name.startswith(stem)),
        next((i for i, name in enumerate(names) if stem in name), 0),
    )
    kind = np.array(
        [0 if name.endswith(("社区", "街居委会")) else 1 if name.endswith("居委会") else 2 for name in names]
    )
    listed = np.lexsort((np.arange(n), kind)) if inner else np.arange(n)
    listed = np.concatenate([[home], listed[listed != home]])
    path, left = [0], list(range(1, n))
    while left:
        here = places[path[-1]]
        if inner and len(path) < inner:
            left_town = [i for i in left if i < inner]
            pick = min(left_town, key=lambda i: float(np.hypot(*(places[i] - here))))
        elif inner:
            # Around the town name after name outward, so that 居委会 stay near and 村委会 lie on the rim.
            pick = min(
                left, key=lambda i: float(np.hypot(*(places[i] - places[0])) + 0.25 * np.hypot(*(places[i] - here)))
            )
        else:
            pick = min(left, key=lambda i: float(np.hypot(*(places[i] - here))))
        path.append(pick)
        left.remove(pick)
    order = np.empty(n, dtype=int)
    order[path] = listed
    return order
