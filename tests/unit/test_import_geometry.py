"""Each geometry check: exact hits, exact count, one near miss."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from etl.checking import POINT, POLYGON, Located, locate_geometry, metric_area
from etl.fault import Faults
from etl.mapping import read_mapping
from etl.overlap import Overlap, Strip, find_overlaps, turned_away
from etl.reference import Outline, Reference
from gis.settings import ROOT
from tests.import_files import SIDE, SOUTH, WEST, bow_tie, lonlat_box, parcel, reproject

CHECKS = read_mapping(ROOT / "data", "ny_t_2539").checks
OUTLINE = Outline("巨鹿县", lonlat_box(0, 0, 4, 4), 4526)
LONLAT = Reference(pyproj.CRS.from_epsg(4490), "EPSG:4490")
M = 9e-6  # about one metre of latitude in degrees


def judged(
    *geometry: BaseGeometry | bytes | None,
    kind: str = POLYGON,
    reference: Reference = LONLAT,
    repair: bool = False,
    multi: bool = False,
) -> tuple[Located, dict[int, list[str]]]:
    wkb = np.array([g if g is None or isinstance(g, bytes) else shapely.to_wkb(g) for g in geometry], dtype=object)
    faults = Faults()
    located = locate_geometry(
        wkb,
        kind=kind,
        reference=reference,
        outline=OUTLINE,
        checks=CHECKS,
        max_coordinate=1e9,
        faults=faults,
        repair=repair,
        multi=multi,
    )
    return located, {i: [f.code for f in found] for i, found in sorted(faults.faults.items())}


def with_coordinate(x: float, y: float) -> BaseGeometry:
    with np.errstate(invalid="ignore"):
        return shapely.transform(parcel(0), lambda c: np.vstack([c[:1], [[x, y]], c[2:]]))


def test_sound_parcels_pass_and_are_measured() -> None:
    located, faults = judged(parcel(0), parcel(1))
    assert faults == {}
    # 0.0004° by 0.0004° at 37.2°N: 35.5 m by 44.4 m
    assert located.area_m2 == pytest.approx([35.5 * 44.4] * 2, rel=0.01)
    assert located.geometry[0].equals_exact(parcel(0), 1e-12)


def test_missing_unreadable_empty() -> None:
    _, faults = judged(None, b"\x01\x03", shapely.Polygon(), parcel(0))
    assert faults == {0: ["geometry_missing"], 1: ["geometry_unreadable"], 2: ["geometry_empty"]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 2e9])
def test_wild_coordinates(value: float) -> None:
    _, faults = judged(with_coordinate(value, 37.2), with_coordinate(115.0, value), parcel(2))
    assert faults == {0: ["coordinate_not_finite"], 1: ["coordinate_not_finite"]}


def test_null_island_is_outside_not_wild() -> None:
    assert judged(shapely.box(0, 0, 0.001, 0.001))[1] == {0: ["outside_county"]}


def test_types_and_parts() -> None:
    one, two = shapely.multipolygons([parcel(0)]), shapely.multipolygons([parcel(1), parcel(2)])
    located, faults = judged(one, two, shapely.Point(WEST + 0.01, SOUTH + 0.01), parcel(3).exterior)
    assert faults == {1: ["multi_part"], 2: ["geometry_type"], 3: ["geometry_type"]}
    assert located.geometry[0].geom_type == "Polygon"
    assert judged(two, multi=True)[1] == {}


def test_z_is_dropped_and_counted() -> None:
    located, faults = judged(shapely.force_3d(parcel(0), 30.0), parcel(1))
    assert (located.had_z, faults) == (1, {})
    assert not shapely.has_z(located.geometry[0])


def test_bow_tie_is_self_crossing_and_its_neighbour_is_not() -> None:
    _, faults = judged(bow_tie(0), parcel(1), bow_tie(2))
    assert faults == {0: ["self_crossing"], 2: ["self_crossing"]}


def test_hole_outside_is_invalid_but_not_self_crossing() -> None:
    ring = parcel(5).exterior
    assert judged(shapely.Polygon(parcel(0).exterior, [ring]))[1] == {0: ["geometry_invalid"]}


def spiked(share: float) -> shapely.Polygon:
    """Parcel 0 with a loop of about `share` of its area crossing its own eastern border."""
    x0, y0, x1, y1 = parcel(0).bounds
    w, h = x1 - x0, y1 - y0
    return shapely.Polygon(
        [
            (x0, y0),
            (x1, y0),
            (x1, y0 + h / 2),
            (x1 - w * 2 * share, y1),
            (x1 + w * 1e-3, y0 + h / 2),
            (x1, y1),
            (x0, y1),
        ]
    )


def test_repair_takes_only_what_changes_nothing() -> None:
    _, faults = judged(spiked(0.0005), bow_tie(2))
    assert faults == {0: ["self_crossing"], 1: ["self_crossing"]}
    located, faults = judged(spiked(0.0005), bow_tie(2), parcel(3), repair=True)
    assert faults == {1: ["self_crossing"]}
    assert located.repaired == [0]
    assert shapely.is_valid(located.geometry[0])
    assert located.geometry[0].geom_type == "Polygon"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.002), st.floats(0, 0.002)), min_size=3, max_size=9), st.booleans())
def test_what_passes_is_sound_and_inside_whatever_is_thrown_at_it(
    corners: list[tuple[float, float]], repair: bool
) -> None:
    ring = shapely.Polygon([(WEST + 0.01 + x, SOUTH + 0.01 + y) for x, y in corners])
    located, faults = judged(ring, repair=repair)
    if faults:
        return
    kept = located.geometry[0]
    assert kept.geom_type == "Polygon"
    assert shapely.is_valid(kept)
    assert located.area_m2[0] >= CHECKS.min_area_m2  # type: ignore[operator]
    assert OUTLINE.geometry.covers(kept)


def across_the_border(inside_share: float) -> shapely.Polygon:
    east = WEST + SIDE
    return shapely.box(east - 0.0004 * inside_share, SOUTH + 0.01, east + 0.0004 * (1 - inside_share), SOUTH + 0.0104)


def test_more_than_half_must_lie_in_the_county() -> None:
    _, faults = judged(across_the_border(0.49), across_the_border(0.51), across_the_border(0.0))
    assert faults == {0: ["outside_county"], 2: ["outside_county"]}


def test_one_swapped_row_is_named_as_such() -> None:
    _, faults = judged(parcel(0), shapely.transform(parcel(1), lambda c: c[:, ::-1]))
    assert faults == {1: ["swapped_axes"]}


def test_swap_xy_turns_every_row() -> None:
    turned = Reference(LONLAT.crs, LONLAT.label, swap_xy=True)
    located, faults = judged(shapely.transform(parcel(1), lambda c: c[:, ::-1]), reference=turned)
    assert faults == {}
    assert located.geometry[0].equals_exact(parcel(1), 1e-12, normalize=True)


@pytest.mark.parametrize(("side_m", "code"), [(0.9, "area_absurd"), (1.1, None), (1400, None), (1500, "area_absurd")])
def test_absurd_areas(side_m: float, code: str | None) -> None:
    side = side_m * M
    g = shapely.box(WEST + 0.01, SOUTH + 0.01, WEST + 0.01 + side / math.cos(math.radians(37.2)), SOUTH + 0.01 + side)
    assert judged(g)[1] == ({0: [code]} if code else {})


@pytest.mark.parametrize("epsg", [4526, 4547, 3857, 4326])
def test_every_crs_lands_on_the_same_spot(epsg: int) -> None:
    source = reproject([parcel(7)], epsg)
    located, faults = judged(*source, reference=Reference(pyproj.CRS.from_epsg(epsg), f"EPSG:{epsg}"))
    assert faults == {}
    assert located.geometry[0].equals_exact(parcel(7), 1e-8)


def test_points() -> None:
    inside, outside = shapely.Point(WEST + 0.01, SOUTH + 0.01), shapely.Point(WEST - 0.01, SOUTH)
    _, faults = judged(
        inside, outside, shapely.MultiPoint([inside]), parcel(0), shapely.Point(SOUTH + 0.01, WEST + 0.01), kind=POINT
    )
    assert faults == {1: ["outside_county"], 3: ["geometry_type"], 4: ["swapped_axes"]}


# -- overlaps --


def overlaps_of(
    *geometry: shapely.Polygon, strip: int = 2, stored: dict[int, shapely.Polygon] | None = None
) -> list[Overlap]:
    order = np.argsort([g.bounds[0] for g in geometry], kind="stable")
    numbers, shapes = order + 1, np.array(geometry, dtype=object)[order]
    strips = [Strip(numbers[i : i + strip], shapes[i : i + strip]) for i in range(0, len(shapes), strip)]
    known = Strip(np.array(list(stored or {}), dtype=np.int64), np.array(list((stored or {}).values()), dtype=object))
    return find_overlaps(
        strips, neighbours=(lambda box: known) if stored else None, area=lambda g: metric_area(g, 4526), checks=CHECKS
    )


def shifted(g: shapely.Polygon, metres: float) -> shapely.Polygon:
    return shapely.transform(g, lambda c: c + np.array([metres * M / math.cos(math.radians(37.2)), 0]))


def test_neighbours_that_touch_do_not_overlap() -> None:
    a = parcel(0)
    x0, y0, x1, y1 = a.bounds
    assert overlaps_of(a, shapely.box(x1, y0, x1 + 0.0004, y1), shapely.box(x0, y1, x1, y1 + 0.0004)) == []


def test_overlap_is_measured_and_found_across_strips() -> None:
    found = overlaps_of(parcel(0), shifted(parcel(0), 10), parcel(5), strip=1)
    assert [(o.earlier, o.later) for o in found] == [(1, 2)]
    assert found[0].area_m2 == pytest.approx(25.5 * 44.4, rel=0.02)
    assert found[0].share == pytest.approx(25.5 / 35.5, rel=0.02)


def test_overlap_below_the_tolerance_is_none() -> None:
    a = parcel(0)
    x0, y0, x1, y1 = a.bounds
    width = x1 - x0
    assert overlaps_of(a, shapely.box(x1 - width * 0.004, y0, x1 + width, y1)) == []  # 0.4 % of the smaller
    assert len(overlaps_of(a, shapely.box(x1 - width * 0.006, y0, x1 + width, y1))) == 1


def test_same_parcel_twice_is_a_duplicate_and_nearly_the_same_is_not() -> None:
    assert overlaps_of(parcel(0), parcel(0))[0].both >= CHECKS.duplicate_share
    assert overlaps_of(parcel(0), shifted(parcel(0), 0.2))[0].both < CHECKS.duplicate_share


def test_parcel_inside_another_and_in_the_store() -> None:
    big = parcel(0, size=0.0006)
    found = overlaps_of(big, parcel(0), stored={-7: parcel(0)})
    assert [(o.earlier, o.later) for o in found] == [(-7, 1), (1, 2)] or [(o.earlier, o.later) for o in found] == [
        (-7, 1),
        (-7, 2),
        (1, 2),
    ]
    assert all(o.share == pytest.approx(1) for o in found)


def test_only_the_later_of_a_chain_that_still_overlaps_is_turned_away() -> None:
    chain = [Overlap(1, 2, 9, 0.5, 0.5), Overlap(2, 3, 9, 0.5, 0.5), Overlap(-4, 5, 9, 0.5, 0.5)]
    assert sorted(turned_away(chain, lambda o: "quarantine")) == [2, 5]
    assert turned_away(chain, lambda o: "warn") == {}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=14
    ),
    st.integers(1, 5),
)
def test_the_sweep_finds_what_comparing_all_pairs_finds(boxes: list[tuple[int, int, int, int]], strip: int) -> None:
    unit = 0.0002
    shapes = [
        shapely.box(WEST + x * unit, SOUTH + y * unit, WEST + (x + w) * unit, SOUTH + (y + h) * unit)
        for x, y, w, h in boxes
    ]
    expected = {
        (i + 1, j + 1)
        for i in range(len(boxes)) for j in range(i + 1, len(boxes))
        if min(boxes[i][0] + boxes[i][2], boxes[j][0] + boxes[j][2]) > max(boxes[i][0], boxes[j][0])
        and min(boxes[i][1] + boxes[i][3], boxes[j][1] + boxes[j][3]) > max(boxes[i][1], boxes[j][1])
    }  # fmt: skip
    assert {(o.earlier, o.later) for o in overlaps_of(*shapes, strip=strip)} == expected
