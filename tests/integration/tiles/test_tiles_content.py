"""What is in a tile, decoded: the parcels, the sums below them, names once, and never a person."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from gis.access.principal import current
from gis.settings import Settings
from gis.store.engine import connect
from gis.tiles import service as service_module
from gis.tiles.definition import Layer
from gis.tiles.gateway import check_store
from gis.tiles.grid import Tile, corner, tile_at
from gis.tiles.service import TileService
from gis.tiles.statement import OVERHANG
from tests.integration.tiles.county import HERE, all_tiles, changed, decode, features, positions, shipped


def test_the_definitions_fit_the_store(county: Settings) -> None:
    with connect(county, role="app") as conn:
        assert check_store(conn, shipped()) == []


def test_a_definition_that_does_not_fit_the_store_is_told(county: Settings) -> None:
    layers = changed("parcels", columns=("land_class", "ghost")) | {
        k: v for k, v in changed("incidents", table="nowhere", query=None, tables=()).items() if k == "incidents"
    }
    incidents = layers["incidents"].model_copy(update={"cache": layers["parcels"].cache})
    with connect(county, role="app") as conn:
        faults = check_store(conn, layers | {"incidents": incidents})
    assert "parcels/parcels：parcel 没有列 ghost" in faults
    assert "incidents/points：库里没有 onemap.nowhere" in faults
    assert any("case_file 改动时不升版本" in f for f in faults)


def test_parcels_from_zoom_fourteen_are_the_parcels(web: TestClient, county: Settings) -> None:
    seen: dict[int, dict[str, Any]] = {}
    for tile in all_tiles(14):
        for feature in features(web, "parcels", tile):
            # in_pbf is unknown here: the property is absent, never false.
            assert set(feature["properties"]) == {"land_class"}
            assert feature["geometry"]["type"] == "Polygon"
            seen[feature["id"]] = feature["properties"]
    with connect(county, role="owner") as conn:
        rows: dict[int, str] = dict(conn.execute("SELECT parcel_id, land_class FROM onemap.parcel").fetchall())
    assert {k: v["land_class"] for k, v in seen.items()} == rows


@pytest.mark.parametrize("z", [9, 11, 12, 13, 14, 15, 16])
def test_geometry_stays_with_its_tile(web: TestClient, z: int) -> None:
    reach = OVERHANG * 4096
    for name in ("parcels", "divisions"):
        for tile in all_tiles(z)[:6]:
            for feature in features(web, name, tile):
                for x, y in positions(feature["geometry"]):
                    assert -reach <= x <= 4096 + reach
                    assert -reach <= y <= 4096 + reach


def test_a_corner_is_where_it_is_on_the_ground(web: TestClient, county: Settings) -> None:
    """A parcel's edges in tile units, computed here from degrees, within half a unit."""
    with connect(county, role="owner") as conn:
        row = conn.execute(
            "SELECT parcel_id FROM onemap.parcel WHERE parcel_code = %s", [f"{10 * 20 + 10:019d}"]
        ).fetchone()
    assert row is not None
    (parcel,) = [f for f in features(web, "parcels", HERE) if f["id"] == row[0]]
    xs = [x for x, _ in positions(parcel["geometry"])]
    west = corner(HERE)[0]
    width = 360 / (1 << HERE.z)
    assert min(xs) == pytest.approx((115.01005 - west) / width * 4096, abs=0.51)
    assert max(xs) == pytest.approx((115.01095 - west) / width * 4096, abs=0.51)


def test_moved_and_clipped_shapes_turn_the_same_way(county: Settings) -> None:
    """Outer rings have a positive area where y counts down (tile specification 2, section 4.3.3.3)."""

    def turns(layers: dict[str, Layer]) -> dict[int, bool]:
        async def run() -> bytes:
            service = TileService(county, layers=layers)
            answer = await service.tile("parcels", HERE.z, HERE.x, HERE.y, principal=current.get())
            await service.close()
            return gzip.decompress(answer.body)

        found = {}
        for f in decode(asyncio.run(run()), "parcels"):
            p = positions(f["geometry"])
            area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(p, p[1:] + p[:1], strict=True))
            found[f["id"]] = area > 0
        return found

    snapped, full = turns(shipped()), turns(changed("parcels", shaping="full"))
    assert set(snapped) == set(full)
    assert set(snapped.values()) == {True}
    assert set(full.values()) == {True}


def test_below_the_parcels_are_sums_by_grid_and_by_village(web: TestClient) -> None:
    grids = {f["properties"]["code"]: f["properties"] for t in all_tiles(13) for f in features(web, "parcels", t)}
    assert len(grids) == 8
    first = grids["130529100200000"]
    assert (first["parcels"], first["land_class"], first["farmland_share_pct"]) == (100, "0201", 0)
    assert first["area_mu"] == 150  # 100 000 m2 / 666.67
    assert "pbf_share_pct" not in first  # no zone layer: unknown, not 0
    villages = {f["properties"]["code"]: f["properties"] for t in all_tiles(11) for f in features(web, "parcels", t)}
    assert {v["parcels"] for v in villages.values()} == {400}
    assert villages["130529100200"]["farmland_share_pct"] == 75
    assert villages["130529100201"]["farmland_share_pct"] == 100


def test_every_zoom_of_the_county_shows_something(web: TestClient) -> None:
    for z in range(9, 17):
        middle = tile_at(lon=115.0105, lat=37.2105, z=z)
        assert features(web, "parcels", middle), z


def test_only_declared_columns_appear(web: TestClient) -> None:
    for name, layer in shipped().items():
        for level in layer.level:
            for tile in all_tiles(min(level.zoom[1], 16))[:4]:
                for feature in features(web, name, tile):
                    assert set(feature["properties"]) <= set(level.columns), name


def test_nobody_is_in_any_tile(web: TestClient) -> None:
    """Names, numbers and titles of the seed, looked for in the bytes of every layer at every zoom."""
    for name in shipped():
        for z in range(9, 17):
            for tile in all_tiles(z)[:6]:
                content = web.get(f"/tiles/{name}/{tile}.mvt").content
                for secret in ("张", "130529100200000001", "H00", "0319-"):
                    assert secret.encode() not in content, (name, z)


def test_households_are_counts_of_three_and_more(web: TestClient) -> None:
    for z in range(5, 17):
        for tile in all_tiles(z)[:8]:
            for feature in features(web, "households", tile):
                assert feature["geometry"]["type"] in ("Polygon", "MultiPolygon")
                assert set(feature["properties"]) <= {"code", "name", "households", "monitored"}
                for key in ("households", "monitored"):
                    assert feature["properties"].get(key, 3) >= 3


def test_one_hidden_grid_hides_a_second(web: TestClient) -> None:
    grids = {f["properties"]["code"]: f["properties"] for t in all_tiles(13) for f in features(web, "households", t)}
    village0 = [grids[f"13052910020000{g}"].get("households") for g in range(4)]
    village1 = [grids[f"13052910020100{g}"].get("households") for g in range(4)]
    assert village0 == [None, None, 6, 7]  # 1 is hidden; 5 too, or 19 - 5 - 6 - 7 would tell
    assert village1 == [4, 4, 4, 4]
    villages = {f["properties"]["code"]: f["properties"] for t in all_tiles(11) for f in features(web, "households", t)}
    assert villages["130529100200"]["households"] == 19
    assert "monitored" not in villages["130529100200"]
    assert villages["130529100201"]["monitored"] == 12


def test_incidents_are_the_open_ones(web: TestClient) -> None:
    points = [f["properties"] for t in all_tiles(14) for f in features(web, "incidents", t)]
    assert len(points) == 6
    assert sum(p["is_overdue"] for p in points) == 3
    assert {p["status"] for p in points} == {"reported", "handling"}


def test_incident_clusters_count_each_once(web: TestClient) -> None:
    for z in (9, 12):
        clusters = [f["properties"] for t in all_tiles(z) for f in features(web, "incidents", t)]
        assert sum(c["incidents"] for c in clusters) == 6
        assert sum(c["overdue"] for c in clusters) == 3
        assert sum(c["reported"] for c in clusters) == 1
        assert sum(c["reported"] + c["accepted"] + c["handling"] for c in clusters) == 6


@pytest.mark.parametrize("z", [9, 10, 12, 13, 14, 16])
def test_a_name_is_written_once(web: TestClient, county: Settings, z: int) -> None:
    """Also when its seat lies exactly on the seam of two tiles, and on the corner of four."""
    lon, lat = corner(tile_at(lon=115.02, lat=37.21, z=z))
    with connect(county, role="owner") as conn:
        conn.execute(
            "UPDATE onemap.division SET seat = ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), 3857), 4490) WHERE level = 3",
            list(Tile(z, *_xy(z, lon, lat)).box()[::3]),
        )
    time.sleep(service_module.STATE_SECONDS + 0.05)
    names: list[str] = []
    around = tile_at(lon=115.02, lat=37.21, z=z)
    for dx in range(-3, 4):
        for dy in range(-3, 4):
            names += [
                f["properties"]["name"]
                for f in features(web, "division_labels", Tile(z, around.x + dx, around.y + dy))
                if f["properties"]["level"] == 3
            ]
    labels = shipped()["division_labels"]
    index = labels.level_at(z)
    assert index is not None
    only_townships = labels.level[index].query == "division_labels_township"
    assert sorted(names) == ([] if only_townships else ["村0", "村1"])


def _xy(z: int, lon: float, lat: float) -> tuple[int, int]:
    tile = tile_at(lon=lon + 1e-9, lat=lat - 1e-9, z=z)
    return tile.x, tile.y
