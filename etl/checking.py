"""Geometry of a batch: read, judged, turned into EPSG:4490, measured. Pure: arrays in, arrays and faults out."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from etl.fault import Faults
from etl.mapping import Checks
from etl.reference import STORE_SRID, Outline, Reference
from etl.repair import repair_polygons

POLYGON, POINT = "polygon", "point"
_SINGLE = {POLYGON: 3, POINT: 0}  # shapely type ids
_MULTI = {POLYGON: 6, POINT: 4}
_NAMED = {POLYGON: "面", POINT: "点"}
_TYPES = {0: "点", 1: "线", 2: "线", 3: "面", 4: "多点", 5: "多线", 6: "多面", 7: "图形集合"}
M2 = {"m2": 1.0, "mu": 2000.0 / 3.0, "ha": 10_000.0}  # square metres in one; 15 亩 = 1 公顷 exactly
UNIT_NAMES = {"m2": "平方米", "mu": "亩", "ha": "公顷"}
_REASON = re.compile(r"^(?P<what>[A-Za-z -]+)\[(?P<x>\S+) (?P<y>\S+)\]")
_INVALID = {
    "Self-intersection": "边界自相交", "Ring Self-intersection": "边界与自己相接", "Too few points in geometry component": "点太少，不成面",
    "Hole lies outside shell": "孔洞在边界之外", "Nested holes": "孔洞套孔洞", "Nested shells": "面套面",
    "Duplicate Rings": "边界重复", "Interior is disconnected": "内部不连通", "Invalid Coordinate": "坐标无效",
}  # fmt: skip


@dataclass(frozen=True)
class Located:
    """Geometry of a batch as the store wants it.

    Attributes
    ----------
    geometry : ndarray of shapely geometry, shape (n,)
        EPSG:4490 lon/lat, 2D, single part; None where the row has a fault that leaves no geometry.
    area_m2 : ndarray of float64, shape (n,)
        In the county's metric CRS; NaN where there is none and for points.
    repaired : list of int
        Positions whose geometry was repaired.
    had_z : int
        Rows whose Z values were dropped.
    """

    geometry: NDArray[np.object_]
    area_m2: NDArray[np.float64]
    repaired: list[int]
    had_z: int


def anchor_points(wkb: NDArray[np.object_], *, max_coordinate: float) -> NDArray[np.float64]:
    """The first coordinate of each geometry that has a finite one, shape (m, 2), in the file's own order."""
    geometry = read_wkb(wkb)
    coords, index = shapely.get_coordinates(geometry[~shapely.is_missing(geometry)], return_index=True)
    fine = np.isfinite(coords).all(axis=1) & (np.abs(coords) <= max_coordinate).all(axis=1)
    _, first = np.unique(index[fine], return_index=True)
    return np.asarray(coords[fine][first], dtype=np.float64)


def locate_geometry(
    wkb: NDArray[np.object_],
    *,
    kind: str,
    reference: Reference,
    outline: Outline,
    checks: Checks,
    max_coordinate: float,
    faults: Faults,
    repair: bool = False,
    multi: bool = False,
) -> Located:
    """Judge and place the geometry of a batch.

    Parameters
    ----------
    wkb : ndarray of object, shape (n,)
        In the CRS of `reference`; None where missing.
    kind : {'polygon', 'point'}
    repair : bool
        Take `shapely.make_valid` where it changes the area by less than ``checks.repair_area_share``.
    multi : bool
        Keep several parts (divisions); the result is a MultiPolygon throughout.
    """
    n = len(wkb)
    geometry = read_wkb(wkb)
    missing = shapely.is_missing(geometry)
    for i in np.flatnonzero(missing):
        if wkb[i] is None:
            faults.add(i, "geometry_missing", "这一行没有图形")
        else:
            faults.add(i, "geometry_unreadable", "图形数据读不出（环没有闭合或数据损坏）")
    had_z = shapely.has_z(geometry)
    geometry = np.asarray(shapely.force_2d(geometry), dtype=object)
    ok = ~missing
    ok &= _mark(ok & shapely.is_empty(geometry), faults, "geometry_empty", "图形是空的，一个点也没有")
    ok &= _finite(geometry, ok, faults, max_coordinate)
    geometry, ok = _single(geometry, ok, kind, faults, multi=multi)

    result = np.full(n, None, dtype=object)
    rows = np.flatnonzero(ok)
    if len(rows) == 0:
        return Located(result, np.full(n, np.nan), [], int(had_z.sum()))
    result[rows] = transform(geometry[rows], reference)
    unplaced = rows[~np.isfinite(shapely.bounds(result[rows])).all(axis=1)]
    for i in unplaced:
        faults.add(i, "outside_county", f"坐标按 {reference.label} 换算不出经纬度")
        result[i] = None
    rows = np.setdiff1d(rows, unplaced)
    repaired: list[int] = []
    if kind == POLYGON:
        repaired = _validity(result, rows, outline=outline, checks=checks, faults=faults, repair=repair, multi=multi)
        rows = rows[~shapely.is_missing(result[rows])]
    rows = _inside(result, geometry, rows, reference=reference, outline=outline, checks=checks, faults=faults)
    area = np.full(n, np.nan)
    if kind == POLYGON and len(rows):
        area[rows] = metric_area(result[rows], outline.metric_srid)
        _plausible(area, rows, checks, faults)
    return Located(result, area, repaired, int(had_z.sum()))


def metric_area(geometry: NDArray[np.object_], srid: int) -> NDArray[np.float64]:
    """Square metres of EPSG:4490 geometries, measured in the county's metric CRS."""
    return np.asarray(shapely.area(to_metric(geometry, srid)), dtype=np.float64)


def to_metric(geometry: NDArray[np.object_], srid: int) -> NDArray[np.object_]:
    """EPSG:4490 lon/lat to easting, northing of the metric CRS."""
    transformer = pyproj.Transformer.from_crs(STORE_SRID, srid, always_xy=True)
    return np.asarray(
        shapely.transform(geometry, lambda c: np.column_stack(transformer.transform(c[:, 0], c[:, 1]))), dtype=object
    )


def compare_areas(
    declared: NDArray[np.object_], area_m2: NDArray[np.float64], *, unit: str, checks: Checks, faults: Faults
) -> NDArray[np.object_]:
    """Hold a declared area against the measured one; return it with zeros taken for what they are: unknown.

    A ratio near 666.67, 15 or 10000 (or an inverse) says the number is in another unit.
    """
    result = declared.copy()
    wrong = {other: M2[unit] / M2[other] for other in M2 if other != unit}
    for i, value in enumerate(declared):
        if value is None:
            continue
        number = float(value)
        if number == 0:
            result[i] = None
            faults.add(i, "area_absurd", "申报面积是 0，按无数据处理", response="warn")
            continue
        if number < 0 or number > 1e9:
            faults.add(i, "area_absurd", f"申报面积 {number:g} {UNIT_NAMES[unit]} 不合理")
            continue
        if not area_m2[i] > 0:
            continue
        measured = area_m2[i] / M2[unit]
        ratio = number / measured
        if 1 / checks.area_ratio <= ratio <= checks.area_ratio:
            continue
        text = f"申报 {number:g} {UNIT_NAMES[unit]}，图形量得 {measured:.2f} {UNIT_NAMES[unit]}，相差 {max(ratio, 1 / ratio):.1f} 倍"
        other = next((o for o, r in wrong.items() if abs(ratio / r - 1) <= checks.unit_tolerance), None)
        if other is not None:
            faults.add(
                i,
                "area_unit",
                f"{text}，像是把{UNIT_NAMES[other]}填进了{UNIT_NAMES[unit]}",
                response=checks.on_area_unit,
            )
        else:
            faults.add(i, "area_mismatch", text, response=checks.on_area_mismatch)
    return result


def read_wkb(wkb: NDArray[np.object_]) -> NDArray[np.object_]:
    with np.errstate(invalid="ignore"):  # NaN coordinates are ours to report
        return np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), dtype=object)


def _mark(mask: NDArray[np.bool_], faults: Faults, code: str, reason: str) -> NDArray[np.bool_]:
    for i in np.flatnonzero(mask):
        faults.add(i, code, reason)
    return ~mask


def _finite(
    geometry: NDArray[np.object_], ok: NDArray[np.bool_], faults: Faults, max_coordinate: float
) -> NDArray[np.bool_]:
    rows = np.flatnonzero(ok)
    coords, index = shapely.get_coordinates(geometry[rows], return_index=True)
    with np.errstate(invalid="ignore"):
        wild = ~(np.abs(coords) <= max_coordinate).all(axis=1)  # NaN compares false, so it is wild too
    mask = np.zeros(len(geometry), dtype=bool)
    mask[rows[np.unique(index[wild])]] = True
    first: dict[int, NDArray[np.float64]] = {}
    for at in np.flatnonzero(wild):
        first.setdefault(int(rows[index[at]]), coords[at])
    for i, (x, y) in first.items():
        faults.add(i, "coordinate_not_finite", f"有坐标不是有效数字：({x:g}, {y:g})")
    return ~mask


def _single(
    geometry: NDArray[np.object_], ok: NDArray[np.bool_], kind: str, faults: Faults, *, multi: bool
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """One part a row: a multi-geometry of one part is that part."""
    types, parts = shapely.get_type_id(geometry), shapely.get_num_geometries(geometry)
    is_multi = types == _MULTI[kind]
    for i in np.flatnonzero(ok & ~is_multi & (types != _SINGLE[kind])):
        faults.add(i, "geometry_type", f"图形是{_TYPES.get(int(types[i]), '其他类型')}，应为{_NAMED[kind]}")
    ok = ok & (is_multi | (types == _SINGLE[kind]))
    if multi:
        return geometry, ok
    for i in np.flatnonzero(ok & is_multi & (parts > 1)):
        faults.add(i, "multi_part", f"图形有 {parts[i]} 个互不相连的部分，请拆成 {parts[i]} 行并各给编码")
    one = ok & is_multi & (parts == 1)
    geometry = geometry.copy()
    geometry[one] = shapely.get_geometry(geometry[one], 0)
    return geometry, ok & ~(is_multi & (parts > 1))


def transform(geometry: NDArray[np.object_], reference: Reference, *, swap: bool = False) -> NDArray[np.object_]:
    """Geometry of the file in EPSG:4490 lon/lat; what cannot be transformed is not finite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(shapely.transform(geometry, lambda c: reference.to_store(c, swap=swap)), dtype=object)


def _validity(
    result: NDArray[np.object_],
    rows: NDArray[np.intp],
    *,
    outline: Outline,
    checks: Checks,
    faults: Faults,
    repair: bool,
    multi: bool,
) -> list[int]:
    """Blank invalid polygons with their reason, or repair them; judged as they would be stored."""
    invalid = rows[~shapely.is_valid(result[rows])]
    if len(invalid) == 0:
        return []
    repaired: list[int] = []
    fixed = (
        repair_polygons(result[invalid], max_change=checks.repair_area_share, multi=multi, area=lambda g: metric_area(g, outline.metric_srid))
        if repair
        else np.full(len(invalid), None, dtype=object)
    )  # fmt: skip
    reasons = np.atleast_1d(shapely.is_valid_reason(result[invalid]))
    for i, sound, reason in zip(invalid, fixed, reasons, strict=True):
        if sound is not None:
            result[i] = sound
            repaired.append(int(i))
            continue
        match = _REASON.match(str(reason))
        what = match["what"].strip() if match else str(reason)
        where = f"，位置 {float(match['x']):.6f}°E {float(match['y']):.6f}°N" if match else ""
        code = "self_crossing" if "elf-intersection" in what else "geometry_invalid"
        faults.add(i, code, f"{_INVALID.get(what, what)}{where}")
        result[i] = None
    return repaired


def _inside(
    result: NDArray[np.object_],
    source: NDArray[np.object_],
    rows: NDArray[np.intp],
    *,
    reference: Reference,
    outline: Outline,
    checks: Checks,
    faults: Faults,
) -> NDArray[np.intp]:
    """Note what lies outside the county; return the rows that lie inside: only those have an area worth measuring."""
    shapely.prepare(outline.geometry)
    doubtful = rows[~shapely.covers(outline.geometry, result[rows])]
    if len(doubtful) == 0:
        return rows
    # a share of an area is the same in degrees: both shrink alike
    whole = shapely.area(result[doubtful])
    share = np.zeros(len(doubtful))
    touching = shapely.intersects(outline.geometry, result[doubtful])
    cut = shapely.area(shapely.intersection(result[doubtful[touching]], outline.geometry))
    share[touching] = np.divide(cut, whole[touching], out=np.zeros(len(cut)), where=whole[touching] > 0)
    out = share < checks.inside_share
    far = doubtful[out]
    if len(far) == 0:
        return rows
    swapped = transform(source[far], reference, swap=True)
    turned = np.asarray(np.isfinite(shapely.bounds(swapped)).all(axis=1))
    turned[turned] = shapely.intersects(outline.geometry, swapped[turned])
    anchors = shapely.get_coordinates(shapely.get_point(_rings(result[far]), 0))
    for i, part, turn, (lon, lat) in zip(far, share[out], turned, anchors, strict=True):
        where = f"{lon:.4f}°E {lat:.4f}°N"
        if turn:
            faults.add(i, "swapped_axes", f"坐标轴颠倒：对调两个坐标后落在{outline.name}内")
        elif part > 0:
            faults.add(i, "outside_county", f"只有 {part:.0%} 的面积在{outline.name}范围内")
        else:
            faults.add(i, "outside_county", f"不在{outline.name}范围内，位置 {where}")
    return np.setdiff1d(rows, far)


def _rings(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """A line with the outer ring's first coordinate, for polygons and points alike."""
    first = np.asarray(shapely.get_geometry(geometry, 0), dtype=object)
    kinds = shapely.get_type_id(first)
    answer = first.copy()
    polygon = kinds == 3
    answer[polygon] = shapely.get_exterior_ring(first[polygon])
    point = kinds == 0
    coords = shapely.get_coordinates(first[point])
    if len(coords):
        answer[point] = shapely.linestrings(np.stack([coords, coords], axis=1))
    return answer


def _plausible(area: NDArray[np.float64], rows: NDArray[np.intp], checks: Checks, faults: Faults) -> None:
    low, high = checks.min_area_m2 or 0.0, checks.max_area_m2 or np.inf
    for i in rows[(area[rows] < low) | (area[rows] > high) | (area[rows] <= 0)]:
        limit = f"小于 {low:g}" if area[i] < low else f"大于 {high:g}"
        faults.add(i, "area_absurd", f"图形面积 {area[i]:.2f} 平方米，{limit} 平方米")
