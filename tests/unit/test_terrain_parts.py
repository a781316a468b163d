"""What the land is grown from: profiles, balanced growth, where villages are put."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely

from etl.demo.growth import graph_of, grow, heal
from etl.demo.noise import noise
from etl.demo.outline import Ground
from etl.demo.profile import CountyProfile, load_profile
from etl.demo.roads import road_ground
from etl.demo.villages import place_villages, short_name
from etl.demo.water import plan_courses
from gis.errors import DefinitionError
from gis.settings import ROOT


def test_julu_has_its_official_townships_and_villages() -> None:
    rows = load_profile("julu").division_rows()
    assert Counter(r["level"] for r in rows) == {"township": 10, "village": 301}
    assert next(r["name"] for r in rows if r["code"] == "130529100") == "巨鹿镇"


@pytest.mark.parametrize(("name", "townships", "villages"), [("shouguang", 15, 1013), ("anji", 15, 218)])
def test_generated_lists_have_the_size_asked_for_and_say_so(name: str, townships: int, villages: int) -> None:
    profile = load_profile(name)
    rows = profile.division_rows()
    assert Counter(r["level"] for r in rows) == {"township": townships, "village": villages}
    assert all("示例" in r["name"] for r in rows)
    assert len({r["code"] for r in rows}) == len(rows)
    assert all(r["code"].startswith(profile.code) for r in rows)


def test_every_fault_of_a_profile_is_named_at_once(tmp_path: Path) -> None:
    text = (ROOT / "data/counties/julu.toml").read_text(encoding="utf-8")
    text = text.replace('code = "130529"', 'code = "13"').replace("metric_srid = 4526", "metric_srid = 4326")
    (tmp_path / "bad.toml").write_text(text.replace('relief = "plain"', 'relief = "sea"'), encoding="utf-8")
    with pytest.raises(DefinitionError) as fault:
        load_profile("bad", folder=tmp_path)
    for word in ("code", "metric_srid", "relief", "3 处"):
        assert word in str(fault.value)


def test_an_unknown_county_is_told_which_there_are() -> None:
    with pytest.raises(DefinitionError, match="julu"):
        load_profile("atlantis")


def test_broken_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("code = ", encoding="utf-8")
    with pytest.raises(DefinitionError, match="TOML"):
        load_profile("bad", folder=tmp_path)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(DefinitionError, match="demo"):
        load_profile("julu").size("huge")


def test_a_division_list_that_does_not_hang_together_names_each_fault() -> None:
    profile = load_profile("julu")
    path = ROOT / "var" / "test_divisions.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "level,code,name,parent_code\ntownship,130529100,甲镇,130529\nvillage,130529999001,乙村,130529100\n"
        "township,130529101,丙镇,130529\n",
        encoding="utf-8",
    )
    try:
        bad = CountyProfile.model_validate({**profile.model_dump(), "divisions": "var/test_divisions.csv"})
        with pytest.raises(DefinitionError) as fault:
            bad.division_rows()
    finally:
        path.unlink()
    assert "乙村" in str(fault.value)
    assert "130529101 没有村" in str(fault.value)


def test_more_households_than_the_land_holds_is_an_error() -> None:
    from etl.demo.terrain import generate

    profile = load_profile("julu").shrunk(0.01)
    crowded = {k: {**v.model_dump(), "households": 90_000_000} for k, v in profile.sizes.items()}
    with pytest.raises(DefinitionError, match="放得下"):
        generate(
            CountyProfile.model_validate({**profile.model_dump(), "sizes": crowded, "traits": {"house_m2": 101.0}})
        )


def test_growth_shares_a_line_by_the_targets() -> None:
    n = 100
    graph = graph_of(np.arange(n - 1), np.arange(1, n), np.ones(n - 1), size=n)
    label = grow(graph, np.array([30, 80]), mass=np.ones(n), target=np.array([70.0, 30.0]), rounds=40)
    assert abs((label == 0).sum() - 70) <= 3
    assert (np.diff(label) >= 0).all(), "a region in two pieces"


def test_healing_gives_a_stray_piece_to_its_neighbour() -> None:
    label = heal(np.array([0, 0, 1, 0, 1, 1]), np.arange(5), np.arange(1, 6), np.ones(5), np.array([0, 5]))
    assert label.tolist() == [0, 0, 0, 1, 1, 1]


def test_noise_is_smooth_and_the_same_every_time() -> None:
    x = np.linspace(0, 5000, 501)
    first, again = (noise(x, x * 0, size_m=1000, seed=3) for _ in range(2))
    assert (first == again).all()
    assert np.abs(np.diff(first)).max() < 0.15
    assert np.ptp(first) > 0.5


def test_road_ground_leaves_no_crack_between_pieces() -> None:
    pieces = np.array([shapely.LineString([(0, 0), (50, 0)]), shapely.LineString([(50, 0), (100, 3)])])
    whole = shapely.union_all(road_ground(pieces, np.array([4.0, 4.0])))
    assert whole.geom_type == "Polygon"
    assert whole.contains(shapely.Point(50, 3.5))


@pytest.mark.parametrize(
    ("name", "short"), [("官亭村委会", "官亭"), ("南街居委会", "南街"), ("东安社区", "东安"), ("社区", "社区")]
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short


def test_every_township_of_julu_gets_its_villages_near_its_real_seat() -> None:
    profile = load_profile("julu")
    ground = Ground(profile)
    courses = plan_courses(profile, ground)
    villages = place_villages(profile, ground, courses, households=120_000)
    assert shapely.area(ground.outline) == pytest.approx(637.8e6, rel=0.002)  # geotool-cn's polygon in EPSG:4526
    assert np.bincount(villages.township).tolist() == [62, 23, 12, 33, 20, 15, 29, 27, 46, 34]
    seat = {s.name: ground.place([(s.lon, s.lat)])[0] for s in profile.seats}
    for row, name in zip(villages.seat, villages.township_name, strict=True):
        assert np.hypot(*(villages.seed[row] - seat[name])) < 1
    assert villages.short[villages.seat].tolist()[1:4] == ["王虎寨", "西郭城", "官亭"]
    assert shapely.contains_xy(ground.outline, villages.seed[:, 0], villages.seed[:, 1]).all()
    for course in courses:
        assert shapely.distance(shapely.multipoints(villages.seed), course.line) > course.width_m
    size = villages.wanted_area_m2[~villages.core]
    assert np.quantile(size, 0.9) / np.quantile(size, 0.1) > 2, "villages as even as a honeycomb"
