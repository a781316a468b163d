"""Where things happen in each village of the demo county: at houses, on roads, in fields, by water, at its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.demo.lists import shape
from etl.demo.terrain import Terrain

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spots:
    """Candidate points sorted by village: those of village v are points[start[v] : start[v + 1]]."""

    points: Floats
    start: Ints

    def count(self) -> Ints:
        """Candidates of each village."""
        return np.diff(self.start)


@dataclass(frozen=True)
class Places:
    """Villages of the county and their places; metric CRS.

    Attributes
    ----------
    codes, names, committees, township : (v,) village code, short name (南街, 孔寨村), full name, township code.
    centre : (v, 2) of the settlement.
    weight : (v,) relative number of reports: households times a village's own habit.
    spots : by kind of place: house, road, field, water, center.
    """

    codes: Objects
    names: Objects
    committees: Objects
    township: Objects
    centre: Floats
    weight: Floats
    spots: dict[str, Spots]

    def township_index(self, village: Ints) -> Ints:
        """Number of each village's township, shape (n,)."""
        return np.unique(self.township.astype(str), return_inverse=True)[1][village]

    def draw_villages(self, place: Objects, rng: np.random.Generator) -> Ints:
        """Village of each incident by its kind of place; shape (n,)."""
        out = np.empty(len(place), dtype=np.int64)
        for kind in np.unique(place.astype(str)):
            who = np.flatnonzero(place == kind)
            has = self.spots[kind].count() > 0
            weight = self.weight * has
            if weight.sum() == 0:
                weight = self.weight
            if kind == "field":
                weight = weight * np.sqrt(self.spots["field"].count() + 1)
            out[who] = rng.choice(len(weight), size=len(who), p=weight / weight.sum())
        return out

    def draw_points(self, village: Ints, place: Objects, rng: np.random.Generator) -> Floats:
        """Position of each incident, shape (n, 2), metric CRS; a few spots of a village draw most of its reports."""
        form = shape("incident")["place"]
        out = self.centre[village] + rng.normal(0, 60, (len(village), 2))
        for kind in np.unique(place.astype(str)):
            spots = self.spots[kind]
            start, count = spots.start[village], spots.count()[village]
            who = np.flatnonzero((place == kind) & (count > 0))
            power = form["hotspot_power"] if kind in ("house", "road") else 1.0
            pick = start[who] + (count[who] * rng.random(len(who)) ** power).astype(np.int64)
            out[who] = spots.points[pick] + rng.normal(0, form["jitter_m"], (len(who), 2))
        return out


def find_places(terrain: Terrain, *, seed: int) -> Places:
    """Collect each village's candidate places; their order within a village is random, so 'first' means a hotspot."""
    rng = np.random.default_rng([seed, 74])
    form = shape("incident")["place"]
    divisions = terrain.divisions
    rows = divisions[divisions["level"] == 3].sort_values("code")
    codes = rows["code"].to_numpy(dtype=object)
    names = np.array([short_name(x) for x in rows["name"]], dtype=object)
    boundaries = rows.geometry.to_numpy()
    seats = np.array(
        [p if p is not None else g.point_on_surface() for p, g in zip(rows["seat"], boundaries, strict=True)]
    )
    centre = shapely.get_coordinates(seats)

    village = {code: i for i, code in enumerate(codes)}
    house_village = np.array([village[g[:12]] for g in terrain.house_grid], dtype=np.int64)
    households = np.bincount(house_village, minlength=len(codes)).astype(float)
    habit = np.minimum(rng.lognormal(0, form["village_sigma"], len(codes)), form["village_highest"])
    weight = (households + 20) * habit

    parcels = terrain.parcels
    field_village = np.array([village[g[:12]] for g in parcels.grid_code], dtype=np.int64)
    field_points = shapely.get_coordinates(shapely.point_on_surface(parcels.geometry)).reshape(-1, 2)
    tree = shapely.STRtree(boundaries)

    def inside(points: Floats) -> tuple[Floats, Ints]:
        at, of = tree.query(shapely.points(points), predicate="intersects") if len(points) else (np.zeros(0, int),) * 2
        _, first = np.unique(at, return_index=True)
        return points[at[first]], of[first]

    def spots(points: Floats, of: Ints, *, centred: bool = False) -> Spots:
        # hotspots lie near the middle of the settlement, with chance mixed in
        key = rng.random(len(of))
        if centred:
            key = key + np.hypot(*(points - centre[of]).T) / 300.0
        order = np.lexsort((key, of))
        return Spots(points[order], np.searchsorted(of[order], np.arange(len(codes) + 1)))

    return Places(
        codes=codes,
        names=names,
        committees=rows["name"].to_numpy(dtype=object),
        township=rows["parent_code"].to_numpy(dtype=object),
        centre=centre,
        weight=weight,
        spots={
            "house": spots(terrain.house_point, house_village, centred=True),
            "field": spots(field_points, field_village),
            "road": spots(*inside(_along_roads(terrain)), centred=True),
            "water": spots(*inside(_at_water(terrain))),
            "center": spots(centre, np.arange(len(codes))),
        },
    )


def short_name(name: str) -> str:
    """The village's name as people say it: without 居委会, 村委会, 村民委员会."""
    for ending in ("居民委员会", "村民委员会", "居委会", "村委会"):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            base = name.removesuffix(ending)
            return base + "村" if ending.startswith("村") and not base.endswith(("村", "社区")) else base
    return name


def _along_roads(terrain: Terrain, *, step_m: float = 120.0) -> Floats:
    """Points along the roads people drive, every `step_m`; field tracks left out."""
    roads = terrain.roads[terrain.roads["class"] != "track"]
    lines = roads.geometry.to_numpy()
    if len(lines) == 0:
        return np.empty((0, 2))
    length = shapely.length(lines)
    times = np.maximum(1, (length / step_m).astype(int))
    of = np.repeat(np.arange(len(lines)), times)
    k = np.arange(len(of)) - np.repeat(np.cumsum(times) - times, times)
    return shapely.get_coordinates(shapely.line_interpolate_point(lines[of], (k + 0.5) / times[of], normalized=True))


def _at_water(terrain: Terrain, *, step_m: float = 80.0) -> Floats:
    """Points on the banks of rivers, canals and ponds."""
    ground = terrain.ground
    banks = shapely.boundary(ground[ground["kind"].isin(["river", "canal", "pond"])].geometry.to_numpy())
    banks = banks[~shapely.is_empty(banks)]
    return shapely.get_coordinates(shapely.segmentize(banks, step_m)) if len(banks) else np.empty((0, 2))
