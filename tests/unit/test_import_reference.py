"""A CRS is read, demanded or matched, and always held against the county: never assumed, never shifted in silence."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from etl.checking import anchor_points
from etl.limits import read_limits
from etl.reference import Outline, Reference, decide, to_store
from gis.errors import BadInput
from gis.settings import ROOT
from tests.import_files import lonlat_box, parcel, reproject

LIMITS = read_limits(ROOT / "data")
OUTLINE = Outline("巨鹿县", lonlat_box(0, 0, 4, 4), 4526)
# ESRI's spelling of EPSG:4526, and the same without a name anybody could look up
ESRI = (
    'PROJCS["{}",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",'
    'SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",{}],PARAMETER["False_Northing",0.0],'
    'PARAMETER["Central_Meridian",114.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)


def points(epsg: int, *, swap: bool = False) -> np.ndarray:
    import shapely

    return anchor_points(
        np.array([shapely.to_wkb(g) for g in reproject([parcel(i) for i in range(20)], epsg, swap=swap)], dtype=object),
        max_coordinate=1e9,
    )


def decided(xy: np.ndarray, declared: str | None, demanded: str | None = None, *, swap_xy: bool = False) -> Reference:
    return decide(
        declared=declared, demanded=demanded, swap_xy=swap_xy, xy=xy, outline=OUTLINE, limits=LIMITS, name="甲.shp"
    )


def refused(
    xy: np.ndarray, words: str, declared: str | None, demanded: str | None = None, *, swap_xy: bool = False
) -> BadInput:
    with pytest.raises(BadInput, match=words) as caught:
        decided(xy, declared, demanded, swap_xy=swap_xy)
    return caught.value


@pytest.mark.parametrize("epsg", [4490, 4326, 4526, 4547, 3857, 32650])
def test_declared_crs_is_taken(epsg: int) -> None:
    assert decided(points(epsg), f"EPSG:{epsg}").label == f"EPSG:{epsg}"


def test_known_point_of_the_county() -> None:
    """115.03E 37.22N is (38591418, 4121424) in EPSG:4526 (DOMAIN 7)."""
    lonlat = to_store(np.array([[38591418.0, 4121424.0]]), pyproj.CRS.from_epsg(4526))
    assert lonlat[0] == pytest.approx([115.03, 37.22], abs=1e-4)


def test_missing_crs_is_refused_and_names_the_one_that_fits() -> None:
    answer = refused(points(4526), "没有坐标系", None)
    assert "EPSG:4526" in answer.message
    assert "100% 的数据落在巨鹿县" in answer.message
    assert "EPSG:4547" not in answer.message
    assert "带号" in answer.message
    assert "--crs EPSG:4526" in answer.next_step
    assert "西安80" in answer.next_step


def test_missing_crs_without_zone_prefix_names_the_other() -> None:
    answer = refused(points(4547), "没有坐标系", None)
    assert "EPSG:4547" in answer.message
    assert "EPSG:4526" not in answer.message


def test_missing_crs_in_degrees_names_both_that_fit() -> None:
    answer = refused(points(4490), "没有坐标系", None)
    assert "EPSG:4490" in answer.message
    assert "EPSG:4326" in answer.message


def test_missing_crs_elsewhere_names_none() -> None:
    assert "问清坐标系" in refused(points(28992), "都不在巨鹿县", None).next_step


def test_demanded_crs_is_taken_when_the_file_has_none() -> None:
    assert decided(points(4526), None, "EPSG:4526").label == "EPSG:4526"
    assert decided(points(4526), None, "4526").label == "EPSG:4526"


def test_demanded_crs_that_does_not_fit_is_refused() -> None:
    assert "EPSG:4526" in refused(points(4526), "矛盾", None, "EPSG:4547").message


def test_degrees_declared_on_metres_are_refused() -> None:
    answer = refused(points(4526), "EPSG:4490 解读与坐标数值矛盾", "EPSG:4490")
    assert "像是 EPSG:4526" in answer.message
    assert "带号" in answer.message


def test_zone_prefix_against_declaration() -> None:
    assert "像是 EPSG:4526" in refused(points(4526), "矛盾", "EPSG:4547").message
    assert "像是 EPSG:4547" in refused(points(4547), "矛盾", "EPSG:4526").message


def test_contradicted_declaration_gives_way_to_a_demand_that_fits() -> None:
    reference = decided(points(4526), "EPSG:4490", "EPSG:4526")
    assert reference.label == "EPSG:4526"
    assert any("不符" in n for n in reference.notes)


def test_right_declaration_does_not_give_way() -> None:
    assert "去掉 --crs" in refused(points(4526), "不一致", "EPSG:4526", "EPSG:4547").next_step


@pytest.mark.parametrize("epsg", [4526, 4547, 4490])
def test_swapped_axes_are_refused_and_read_on_demand(epsg: int) -> None:
    xy = points(epsg, swap=True)
    assert "--swap-xy" in refused(xy, "坐标轴似乎颠倒", f"EPSG:{epsg}").next_step
    assert decided(xy, f"EPSG:{epsg}", swap_xy=True).swap_xy


def test_swap_demanded_on_straight_axes_is_refused() -> None:
    refused(points(4526), "并没有颠倒", "EPSG:4526", swap_xy=True)


def test_missing_crs_and_swapped_axes_are_named_together() -> None:
    assert "--crs EPSG:4526 --swap-xy" in refused(points(4526, swap=True), "没有坐标系", None).next_step


def test_dutch_file_keeps_its_crs_for_the_rows_to_tell() -> None:
    xy = np.array([[155000.0, 463000.0], [150000.0, 460000.0]])
    assert decided(xy, "EPSG:28992").label == "EPSG:28992"


def test_unnamed_esri_prj_is_matched_with_confidence() -> None:
    reference = decided(points(4526), ESRI.format("unnamed", "38500000.0"))
    assert reference.label == "EPSG:4526"
    assert any("匹配为 EPSG:4526" in n for n in reference.notes)


def test_prj_of_no_epsg_code_is_read_by_its_parameters() -> None:
    xy = points(4526) - [38_000_000 + 7, 0]
    reference = decided(xy, ESRI.format("local", "499993.0"))
    assert not reference.label.startswith("EPSG")
    assert to_store(xy, reference.crs) == pytest.approx(points(4490), abs=1e-8)


@pytest.mark.parametrize(("epsg", "datum"), [(2362, "Xian 1980"), (2414, "Beijing 1954")])
def test_old_datums_are_refused_rather_than_shifted(epsg: int, datum: str) -> None:
    # numbers of zone 38 look the same; only the datum is tens of metres off
    middle = points(4526) + np.array([0, 2000])
    answer = refused(middle, datum, f"EPSG:{epsg}")
    assert "几十米" in answer.message
    assert "转换参数" in answer.next_step


def test_nonsense_crs_is_refused() -> None:
    refused(points(4526), "读不懂", None, "EPSG:99999999")
    refused(points(4526), "读不懂", 'PROJCS["x"', None)
