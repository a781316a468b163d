"""Rivers and canals (河渠): meandering courses and the ground they cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.interpolate import CubicSpline

from etl.demo.outline import Ground
from etl.demo.profile import CountyProfile


@dataclass(frozen=True)
class Course:
    """One river or canal: name, kind, width (m), centre line clipped to the county, and its surface."""

    name: str
    kind: str
    width_m: float
    line: shapely.Geometry
    surface: shapely.Geometry


def smooth_line(points: np.ndarray, *, step_m: float) -> np.ndarray:
    """Spline through (n, 2) points, a vertex about every ``step_m``."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], max(2, round(along[-1] / step_m) + 1))
    return (
        np.asarray(CubicSpline(along, points, axis=0)(at))
        if len(points) > 2
        else np.column_stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])])
    )


def sideways(line: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move each vertex of (n, 2) ``line`` by (n,) ``shift`` metres to its left."""
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-9)[:, None]
    return np.asarray(line + np.column_stack([-ahead[:, 1], ahead[:, 0]]) * shift[:, None])


def plan_courses(profile: CountyProfile, ground: Ground) -> list[Course]:
    """Courses of the profile, or one made-up river where it names none."""
    rng = np.random.default_rng([profile.seed, 11])
    planned = [(c.name, c.kind, c.width_m, ground.place(c.points)) for c in profile.courses]
    if not planned:
        minx, miny, maxx, maxy = ground.outline.bounds
        middle = np.array([(minx + maxx) / 2, (miny + maxy) / 2])
        span = np.array([maxx - minx, maxy - miny])
        planned = [
            ("示例河", "river", 45.0, middle + span * [[-0.25, -0.62], [-0.12, -0.2], [-0.2, 0.2], [-0.05, 0.62]]),
            ("示例干渠", "canal", 12.0, middle + span * [[-0.62, 0.12], [0.0, 0.1], [0.62, 0.2]]),
        ]
    return [_course(name, kind, width, points, ground.outline, rng) for name, kind, width, points in planned]


def _course(
    name: str, kind: str, width: float, points: np.ndarray, outline: shapely.Polygon, rng: np.random.Generator
) -> Course:
    line = smooth_line(points, step_m=60.0 if kind == "river" else 150.0)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    bend = np.zeros(len(line))
    waves = ((3100.0, 150.0), (1500.0, 85.0), (760.0, 38.0)) if kind == "river" else ((5200.0, 60.0), (2600.0, 18.0))
    for wave, high in waves:
        # The swing swells and fades along the course, as old channels do.
        swell = 0.55 + 0.45 * np.sin(2 * np.pi * (along / (wave * 3.7) + rng.random()))
        bend += high * swell * np.sin(2 * np.pi * (along / wave + rng.random() + 0.15 * np.sin(along / wave * 1.7)))
    line = sideways(line, bend)
    half = (
        width
        / 2
        * (
            1
            + (0.28 if kind == "river" else 0.0)
            * np.sin(along / 900 + rng.random() * 6)
            * np.sin(along / 2100 + rng.random() * 6)
        )
    )
    banks = np.vstack([sideways(line, half), sideways(line, -half)[::-1]])
    surface = shapely.intersection(shapely.make_valid(shapely.Polygon(banks)), outline)
    surface = shapely.union_all([p for p in shapely.get_parts(surface) if p.geom_type == "Polygon"])
    return Course(name, kind, width, shapely.intersection(shapely.LineString(line), outline), surface)
