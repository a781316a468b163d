"""Does a file of divisions make a tree? Codes, parents, completeness, overlaps and gaps between siblings. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

LEVELS = {6: 1, 9: 2, 12: 3, 15: 4}
LEVEL_NAMES = {1: "县", 2: "乡镇", 3: "村", 4: "网格"}


@dataclass(frozen=True)
class Division:
    """One division as it would stand.

    Attributes
    ----------
    number : int
        Row in the file; 0 for one that stands in the store already.
    geometry : shapely geometry or None
        EPSG:4490 lon/lat, MultiPolygon.
    """

    number: int
    code: str
    name: str
    parent_code: str | None
    geometry: BaseGeometry | None

    @property
    def level(self) -> int:
        """1 县 2 乡镇 3 村 4 网格."""
        return LEVELS[len(self.code)]

    def __str__(self) -> str:
        where = f"第 {self.number} 行" if self.number else "库中"
        return f"{where}{self.code} {self.name}"


def check_tree(
    new: list[Division],
    current: dict[str, Division],
    *,
    county_code: str,
    tolerance_m2: float,
    area: Callable[[NDArray[np.object_]], NDArray[np.float64]],
) -> list[str]:
    """Return what does not add up, a sentence each; empty when the file may go in.

    Parameters
    ----------
    new : list of Division
        Rows of the file.
    current : dict of str to Division
        Versions that stand in the store, by code.
    tolerance_m2 : float
        Overlap, gap or overhang that counts as rounding.
    area : callable
        Square metres of EPSG:4490 geometries, for whole divisions. What is left between borders is laid over one
        another and measured in lon/lat, scaled by the family's own m² per degree²: projected, the sides of a sliver
        of no width would bend apart and enclose an area that is not there.
    """
    faults = [f"{d} 的编码不以本县 {county_code} 开头" for d in new if not d.code.startswith(county_code)]
    seen: dict[str, Division] = {}
    for d in new:
        if d.code in seen:
            faults.append(f"{d} 的编码与{seen[d.code]} 相同")
        seen.setdefault(d.code, d)
    after = current | seen
    faults += _parents(seen, after)
    faults += _complete(seen, current, after)
    if faults:
        return faults  # a tree that is broken has no siblings to compare
    return _borders(seen, after, tolerance_m2=tolerance_m2, area=area)


def _parents(seen: dict[str, Division], after: dict[str, Division]) -> list[str]:
    faults = []
    for d in seen.values():
        if d.level == 1:
            if d.parent_code is not None:
                faults.append(f"{d} 是县，不应有上级 {d.parent_code}")
        elif d.parent_code is None or d.parent_code not in after:
            faults.append(f"{d} 的上级 {d.parent_code or '（空）'} 在文件和库里都没有")
        elif after[d.parent_code].level != d.level - 1:
            parent = after[d.parent_code]
            faults.append(f"{d} 是{LEVEL_NAMES[d.level]}，上级 {parent} 却是{LEVEL_NAMES[parent.level]}")
    return faults


def _complete(seen: dict[str, Division], current: dict[str, Division], after: dict[str, Division]) -> list[str]:
    """Siblings come together: a parent with some children in the file has all of them there."""
    faults = []
    touched = {d.parent_code for d in seen.values() if d.parent_code}
    for d in current.values():
        if d.parent_code in touched and d.code not in seen:
            faults.append(f"{d} 是现行区划，文件里没有它（同一上级的要一起更新；撤并请用 ./onemap divisions merge）")
    deepest = max((d.level for d in after.values()), default=1)
    parents = {d.parent_code for d in after.values()}
    for d in seen.values():
        if d.level < deepest and d.code not in parents:
            faults.append(f"{d} 没有下级{LEVEL_NAMES[d.level + 1]}")
    return faults


def _borders(
    seen: dict[str, Division],
    after: dict[str, Division],
    *,
    tolerance_m2: float,
    area: Callable[[NDArray[np.object_]], NDArray[np.float64]],
) -> list[str]:
    children: dict[str, list[Division]] = defaultdict(list)
    for d in after.values():
        if d.parent_code is not None and d.geometry is not None:
            children[d.parent_code].append(d)
    touched = {d.parent_code for d in seen.values() if d.parent_code} | {c for c in seen if c in children}
    faults = []
    for code in sorted(touched):
        parent = after[code]
        family = sorted(children[code], key=lambda d: d.code)
        shapes = np.array([d.geometry for d in family], dtype=object)
        scale = float(area(shapes[:1])[0] / shapely.area(shapes[0]))
        faults += _overlaps(family, shapes, tolerance_m2, scale)
        if parent.geometry is not None:
            faults += _outside(parent, parent.geometry, family, shapes, tolerance_m2, scale)
    return faults


def _overlaps(
    family: list[Division],
    shapes: NDArray[np.object_],
    tolerance_m2: float,
    scale: float,
) -> list[str]:
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = first < second
    first, second = first[pairs], second[pairs]
    common = scale * shapely.area(shapely.intersection(shapes[first], shapes[second]))
    order = np.flatnonzero(common > tolerance_m2)
    return [f"{family[first[k]]} 与{family[second[k]]} 重叠 {common[k]:,.1f} 平方米" for k in order]


def _outside(
    parent: Division,
    whole: BaseGeometry,
    family: list[Division],
    shapes: NDArray[np.object_],
    tolerance_m2: float,
    scale: float,
) -> list[str]:
    over = scale * shapely.area(shapely.difference(shapes, whole))
    faults = [f"{family[k]} 超出上级 {parent.name} {over[k]:,.1f} 平方米" for k in np.flatnonzero(over > tolerance_m2)]
    gap = shapely.difference(whole, shapely.union_all(shapes))
    pieces = np.asarray(shapely.get_parts(gap), dtype=object)
    sizes = scale * shapely.area(pieces)
    if len(pieces) and sizes.sum() > tolerance_m2:
        spot = pieces[int(np.argmax(sizes))].representative_point()
        near = np.argsort(shapely.distance(shapes, spot), kind="stable")[:2]
        beside = "、".join(f"{family[k].code} {family[k].name}" for k in sorted(near))
        real = int((sizes > 0.01 * tolerance_m2).sum())
        faults.append(f"{parent} 的下级之间有空隙，共 {sizes.sum():,.1f} 平方米 {real} 处，最大一处在 {beside} 附近")
    return faults
