"""The demo county's land: borders that tile, parcels that never overlap, roads that join, on small counties."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from shapely import STRtree

from etl.demo.profile import load_profile
from etl.demo.roads import joined
from etl.demo.terrain import Terrain, generate
from gis.settings import ROOT

SMALL = 0.02


@pytest.fixture(scope="module")
def julu() -> Terrain:
    return generate(load_profile("julu").shrunk(SMALL))


@pytest.fixture(scope="module", params=["shouguang", "anji"])
def other(request: pytest.FixtureRequest) -> Terrain:
    return generate(load_profile(request.param).shrunk(SMALL))


def level(terrain: Terrain, number: int) -> np.ndarray:
    divisions = terrain.divisions
    return np.asarray(divisions.geometry[divisions["level"] == number])


def digest(terrain: Terrain) -> str:
    """SHA-256 over every coordinate and code of a terrain."""
    total = hashlib.sha256()
    for shapes in (
        terrain.buildings,
        terrain.parcels.geometry,
        *(f.geometry.to_numpy() for f in (terrain.divisions, terrain.ground, terrain.roads, terrain.zones)),
    ):
        total.update(b"".join(shapely.to_wkb(shapes)))
    for column in (terrain.house_grid, terrain.parcels.grid_code, terrain.parcels.land_class):
        total.update("|".join(column).encode())
    total.update(terrain.road_nodes.tobytes() + terrain.parcels.strip.tobytes())
    for frame in (terrain.divisions, terrain.ground, terrain.roads, terrain.zones):
        plain = frame.drop(columns=[c for c in ("geometry", "seat") if c in frame])
        total.update(plain.to_csv().encode())
    return total.hexdigest()


def assert_divisions_tile(terrain: Terrain) -> None:
    county = level(terrain, 1)[0]
    for number in (2, 3, 4):
        shapes = level(terrain, number)
        assert shapely.is_valid(shapes).all()
        assert shapely.coverage_is_valid(shapes), f"level {number} has gaps or overlaps"
        assert shapely.area(shapely.symmetric_difference(shapely.coverage_union_all(shapes), county)) == 0
        assert shapely.get_num_geometries(shapes).max() == 1, f"level {number} has a detached piece"


def assert_parcels_keep_clear(terrain: Terrain) -> None:
    parcels = terrain.parcels
    assert shapely.is_valid(parcels.geometry).all()
    assert (shapely.get_type_id(parcels.geometry) == 3).all()
    assert shapely.get_num_interior_rings(parcels.geometry).max() == 0
    tree = STRtree(parcels.geometry)
    first, second = tree.query(parcels.geometry, predicate="intersects")
    assert (first == second).all(), "parcels touch or overlap one another"
    roads = terrain.roads
    surface = shapely.buffer(roads.geometry.to_numpy(), roads["width_m"].to_numpy() / 2, cap_style="flat")
    for name, obstacle in (
        ("roads", surface),
        ("houses", terrain.buildings),
        ("basemap ground", terrain.ground.geometry.to_numpy()),
    ):
        assert tree.query(obstacle, predicate="intersects").shape[1] == 0, f"parcels lie on {name}"
    grids = dict(zip(terrain.divisions["code"], terrain.divisions.geometry, strict=True))
    own = np.array([grids[code] for code in parcels.grid_code])
    assert shapely.contains(own, parcels.geometry).all()
    assert shapely.distance(shapely.boundary(own), parcels.geometry).min() > 0.3


def assert_roads_are_one(terrain: Terrain) -> None:
    roads = terrain.roads
    ends = roads[["from_node", "to_node"]].to_numpy()
    assert joined(len(terrain.road_nodes), ends[:, 0], ends[:, 1]).max() == 0
    for column, index in ((0, 0), (1, -1)):
        at = shapely.get_coordinates(shapely.get_point(roads.geometry.to_numpy(), index))
        assert np.abs(at - terrain.road_nodes[ends[:, column]]).max() < 1e-6
    real = STRtree(roads.geometry[roads["class"] != "track"].to_numpy())
    villages = terrain.divisions[terrain.divisions["level"] == 3]
    far = real.query_nearest(villages["seat"].to_numpy(), return_distance=True)[1]
    assert far.max() < 30, "a village without a road"


def test_each_level_tiles_the_next_without_gap_or_overlap(julu: Terrain) -> None:
    assert_divisions_tile(julu)


def test_borders_still_match_after_going_to_longitude_and_latitude(julu: Terrain) -> None:
    to_lonlat = Transformer.from_crs(julu.metric_srid, 4490, always_xy=True)
    for number in (2, 3, 4):
        turned = shapely.transform(level(julu, number), lambda xy: np.column_stack(to_lonlat.transform(*xy.T)))
        assert shapely.coverage_is_valid(turned)


def test_codes_names_and_sums_hang_together(julu: Terrain) -> None:
    divisions = julu.divisions
    by_level = {n: divisions[divisions["level"] == n] for n in (1, 2, 3, 4)}
    rows = julu.profile.division_rows()
    assert sorted(by_level[3]["code"]) == sorted(r["code"] for r in rows if r["level"] == "village")
    assert dict(zip(by_level[3]["code"], by_level[3]["name"], strict=True)) == {
        r["code"]: r["name"] for r in rows if r["level"] == "village"
    }
    assert by_level[1]["parent_code"].tolist() == [None]
    for number in (2, 3, 4):
        assert set(by_level[number]["parent_code"]) == set(by_level[number - 1]["code"])
        assert all(
            c.startswith(p) for c, p in zip(by_level[number]["code"], by_level[number]["parent_code"], strict=True)
        )
        for figure in ("households", "population"):
            assert by_level[number][figure].sum() == by_level[1][figure].iloc[0]
    sizes = julu.profile.size("demo")
    assert by_level[1]["households"].iloc[0] == sizes.households
    assert by_level[1]["population"].iloc[0] == sizes.population
    assert len(by_level[4]) == sizes.grids
    assert (by_level[4]["households"] > 0).all()


def test_seats_lie_in_their_division(julu: Terrain) -> None:
    assert shapely.intersects(julu.divisions.geometry.to_numpy(), julu.divisions["seat"].to_numpy()).all()


def test_one_house_per_household_inside_its_grid_and_apart(julu: Terrain) -> None:
    divisions = julu.divisions[julu.divisions["level"] == 4]
    codes, count = np.unique(julu.house_grid.astype(str), return_counts=True)
    assert dict(zip(codes, count, strict=True)) == dict(zip(divisions["code"], divisions["households"], strict=True))
    grids = dict(zip(divisions["code"], divisions.geometry, strict=True))
    own = np.array([grids[code] for code in julu.house_grid])
    assert shapely.contains(own, julu.buildings).all()
    assert shapely.contains_xy(own, julu.house_point[:, 0], julu.house_point[:, 1]).all()
    first, second = STRtree(julu.buildings).query(julu.buildings, predicate="intersects")
    assert (first == second).all()


def test_parcels_keep_clear_of_everything(julu: Terrain) -> None:
    assert_parcels_keep_clear(julu)


def test_parcel_count_and_attributes(julu: Terrain) -> None:
    parcels, wanted = julu.parcels, julu.profile.size("demo").parcels
    assert abs(len(parcels) - wanted) <= 0.03 * wanted
    np.testing.assert_allclose(parcels.area_m2, shapely.area(parcels.geometry))
    assert {"0102", "0103", "0201"} <= set(parcels.land_class)
    arable = np.isin(parcels.land_class.astype(str), ["0101", "0102", "0103"])
    assert [use is not None for use in parcels.land_use] == arable.tolist()
    share = parcels.area_m2[parcels.in_pbf].sum() / parcels.area_m2.sum()
    assert share == pytest.approx(julu.profile.land.pbf, abs=0.04)


def test_uses_come_in_clusters(julu: Terrain) -> None:
    parcels = julu.parcels
    has = np.flatnonzero(parcels.strip[:, 1] >= 0)
    like = parcels.land_class[has] == parcels.land_class[parcels.strip[has, 1]]
    _, count = np.unique(parcels.land_class.astype(str), return_counts=True)
    by_chance = ((count / count.sum()) ** 2).sum()
    assert like.mean() > 0.95 > by_chance


def test_neighbours_are_mutual_and_a_ridge_apart(julu: Terrain) -> None:
    parcels = julu.parcels
    has = np.flatnonzero(parcels.strip[:, 1] >= 0)
    right = parcels.strip[has, 1]
    assert len(has) > len(parcels) / 2
    assert (parcels.strip[right, 0] == has).all()
    assert (parcels.grid_code[right] == parcels.grid_code[has]).all()
    assert shapely.distance(parcels.geometry[has], parcels.geometry[right]).max() < 1.3


def test_fields_are_no_lattice(julu: Terrain) -> None:
    parcels = julu.parcels
    width = 2 * parcels.area_m2 / shapely.length(parcels.geometry)
    assert width.std() / width.mean() > 0.3
    corner = shapely.get_coordinates(
        shapely.get_point(shapely.get_exterior_ring(parcels.geometry), np.array([[0], [1]])).T.ravel()
    )
    side = np.diff(corner.reshape(-1, 2, 2), axis=1)[:, 0]
    bearing = np.rad2deg(np.arctan2(side[:, 1], side[:, 0])) % 90
    assert len(np.unique(bearing.round(1))) > 50


def test_zones_say_the_same_as_the_flags(julu: Terrain) -> None:
    inner = shapely.point_on_surface(julu.parcels.geometry)
    assert julu.zones["zone_code"].is_unique
    for kind, flag in (("pbf", julu.parcels.in_pbf), ("high_standard", julu.parcels.in_high_standard)):
        zones = julu.zones.geometry[julu.zones["kind"] == kind].to_numpy()
        assert shapely.is_valid(zones).all()
        inside = np.zeros(len(flag), dtype=bool)
        inside[STRtree(zones).query(inner, predicate="intersects")[0]] = True
        assert (inside == flag).all()


def test_roads_are_one_component_that_reaches_every_village(julu: Terrain) -> None:
    assert_roads_are_one(julu)


def test_same_seed_same_bytes_in_another_process(julu: Terrain) -> None:
    code = (
        "from etl.demo.profile import load_profile as l; from etl.demo.terrain import generate as g;"
        f"from tests.unit.test_terrain import digest as d; print(d(g(l('julu').shrunk({SMALL}))))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(julu)


def test_another_seed_is_another_county(julu: Terrain) -> None:
    profile = julu.profile.model_copy(update={"seed": 4})
    assert digest(generate(profile)) != digest(julu)


def test_full_scale_cuts_the_same_land_into_more_parcels(julu: Terrain) -> None:
    full = generate(julu.profile, "full")
    wanted = julu.profile.size("full").parcels
    assert abs(len(full.parcels) - wanted) <= 0.03 * wanted
    assert full.divisions.geometry.geom_equals_exact(julu.divisions.geometry, 0).all()
    assert_parcels_keep_clear(full)


def test_another_county_is_only_another_profile(other: Terrain) -> None:
    assert_divisions_tile(other)
    assert_parcels_keep_clear(other)
    assert_roads_are_one(other)
    named = other.divisions[other.divisions["level"].isin([2, 3])]["name"]
    assert named.str.startswith("示例").all()
    wanted = other.profile.size("demo").parcels
    assert abs(len(other.parcels) - wanted) <= 0.03 * wanted
