"""A file of divisions makes a whole tree or is refused with the features named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyproj
import pytest
import shapely

from etl.checking import metric_area
from etl.reference import to_store
from etl.repair import share_corners
from etl.tree import Division, check_tree
from tests.import_files import COUNTY, GRIDS, TOWNSHIPS, VILLAGES, lonlat_box, tree

ALL = [
    Division(i + 1, code, name, parent, shapely.multipolygons([g]))
    for i, (code, _, name, parent, g) in enumerate(tree())
]
STORE = {d.code: replace(d, number=0) for d in ALL}


def faults_of(new: list[Division], current: dict[str, Division] | None = None) -> list[str]:
    return check_tree(new, current or {}, county_code=COUNTY, tolerance_m2=1.0, area=lambda g: metric_area(g, 4526))


def changed(code: str, **values: object) -> list[Division]:
    return [replace(d, **values) if d.code == code else d for d in ALL]  # type: ignore[arg-type]


def only(*codes: str) -> list[Division]:
    return [d for d in ALL if d.code in codes]


def test_whole_tree_passes_into_an_empty_store_and_again_over_itself() -> None:
    assert faults_of(ALL) == []
    assert faults_of(ALL, STORE) == []
    assert faults_of(only(*VILLAGES[:2]), STORE) == []


def test_missing_parent_is_named() -> None:
    (fault,) = faults_of(only(VILLAGES[0], VILLAGES[1], *GRIDS[:4]))[:1]
    assert VILLAGES[0] in fault
    assert TOWNSHIPS[0] in fault


def test_foreign_code_and_double_code_are_named() -> None:
    faults = faults_of([*ALL, replace(ALL[1], number=99, code="130528100")])
    assert any("第 99 行130528100" in f and "不以本县" in f for f in faults)
    faults = faults_of([*ALL, replace(ALL[3], number=99)])
    assert [f for f in faults if "相同" in f] == [
        f"第 99 行{ALL[3].code} {ALL[3].name} 的编码与第 4 行{ALL[3].code} {ALL[3].name} 相同"
    ]


def test_parent_two_levels_up_is_named() -> None:
    faults = faults_of(changed(GRIDS[0], parent_code=TOWNSHIPS[0]))
    assert any(GRIDS[0] in f and "却是乡镇" in f for f in faults)


def test_sibling_left_out_and_childless_village_are_named() -> None:
    faults = faults_of(only(VILLAGES[0]), STORE)
    assert len(faults) == 1
    assert VILLAGES[1] in faults[0]
    assert "divisions merge" in faults[0]
    assert faults_of([d for d in ALL if d.parent_code != VILLAGES[3]]) == [f"第 13 行{VILLAGES[3]} 村4 没有下级网格"]


def test_overlap_of_siblings_is_measured_and_named() -> None:
    wider = shapely.multipolygons([lonlat_box(0, 0, 1.01, 2)])
    faults = faults_of(changed(GRIDS[0], geometry=wider))
    assert len(faults) == 1
    assert GRIDS[0] in faults[0]
    assert GRIDS[1] in faults[0]
    assert "重叠" in faults[0]
    sliver = shapely.multipolygons([lonlat_box(0, 0, 1 + 1e-7, 2)])  # under a tenth of a millimetre: rounding
    assert faults_of(changed(GRIDS[0], geometry=sliver)) == []


def test_gap_is_measured_and_placed() -> None:
    (fault,) = faults_of(changed(GRIDS[0], geometry=shapely.multipolygons([lonlat_box(0, 0, 0.99, 2)])))
    assert "空隙" in fault
    assert VILLAGES[0] in fault
    assert GRIDS[0] in fault
    assert "1 处" in fault


def test_overhang_is_named() -> None:
    over = shapely.multipolygons([lonlat_box(-0.01, 0, 1.01, 2)])
    (fault,) = faults_of(changed(GRIDS[0], geometry=over))
    assert "超出上级" in fault
    assert GRIDS[0] in fault


def test_new_parent_is_held_against_children_of_the_store() -> None:
    smaller = replace(STORE[VILLAGES[0]], number=1, geometry=shapely.multipolygons([lonlat_box(0, 0, 2, 1.9)]))
    faults = faults_of([smaller, replace(STORE[VILLAGES[1]], number=2)], STORE)
    assert any("超出上级 村1" in f for f in faults)
    assert any("空隙" in f and TOWNSHIPS[0] in f for f in faults)
    assert np.all([COUNTY in f for f in faults])


def test_borders_with_a_corner_on_one_side_only_tile_in_every_crs() -> None:
    """Two grids against one long side, drawn in metres: after the way to lon/lat there is no gap between them."""
    x, y = 38588500.0, 4119500.0
    drawn = np.array(
        [
            shapely.box(x, y, x + 900, y + 1800),
            shapely.box(x + 900, y, x + 1800, y + 700),
            shapely.box(x + 900, y + 700, x + 1800, y + 1800),
        ],
        dtype=object,
    )
    crs = pyproj.CRS.from_epsg(4526)

    def tiles(shapes: np.ndarray) -> bool:
        return bool(shapely.coverage_is_valid(shapely.transform(shapes, lambda c: to_store(c, crs))))

    shared = share_corners(drawn, tolerance=1e-3)
    assert not tiles(drawn)
    assert tiles(shared)
    assert [len(shapely.get_coordinates(s)) for s in shared] == [6, 5, 5]
    assert shapely.area(shared) == pytest.approx(shapely.area(drawn))
