"""The phone's routes: open to everybody, with nobody in them; the base map and nothing else of the map; words complete."""

# ruff: noqa: F811
from __future__ import annotations

import json
import re

import mapbox_vector_tile
import pytest
from starlette.testclient import TestClient

from dashboard.phone.routes import PAGES
from dashboard.phone.shell import STATIC
from dashboard.text import catalogue
from gis.settings import Settings
from gis.tiles.grid import parse_tile
from tests.security.conftest import County, as_role, browser, county  # noqa: F401

pytestmark = pytest.mark.db

BASE_MAP = {"ground", "buildings", "roads", "divisions", "division_labels"}


@pytest.fixture
def stranger(county: County) -> TestClient:
    return browser(county)


def test_every_address_is_the_one_page_and_the_same_for_everybody(
    stranger: TestClient, as_role, county: County
) -> None:
    texts = set()
    for client in (stranger, as_role("grid_member")):
        for page in PAGES:
            answer = client.get(page.replace("{case_no}", "SJ2026112200001").replace("{code}", "00000-00000"))
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "http" not in policy
            assert "default-src 'none'" in policy
            texts.add(answer.text)
    assert len(texts) == 1
    assert "测试网格员" not in texts.pop()


def test_the_page_speaks_english_when_asked(stranger: TestClient) -> None:
    assert 'lang="en"' in stranger.get("/m?lang=en").text
    config = re.search(
        r'<script id="phone-config" type="application/json">(.*?)</script>', stranger.get("/m?lang=en").text
    )
    assert config is not None
    assert json.loads(config[1].replace("<\\/", "</"))["words"]["report.send"] == "Report"


def test_it_can_be_installed_and_its_worker_keeps_files_that_exist(stranger: TestClient) -> None:
    manifest = stranger.get("/m/manifest.webmanifest")
    assert manifest.headers["content-type"].startswith("application/manifest+json")
    told = manifest.json()
    assert (told["scope"], told["display"]) == ("/m", "standalone")
    assert {i["sizes"] for i in told["icons"]} == {"192x192", "512x512"}
    worker = stranger.get("/m/sw.js")
    assert worker.headers["service-worker-allowed"] == "/m"
    assert worker.headers["cache-control"] == "no-cache"
    named = set(re.findall(r'"(/(?:m|vendor)[^"]*)"', worker.text)) - {"/m/tiles/", "/m/a/", "/vendor/"}
    assert len(named) > 15
    for path in [*(i["src"] for i in told["icons"]), *named]:
        if path not in ("/m/",):
            assert stranger.get(path).status_code == 200, path


def test_a_stranger_sees_the_base_map_and_no_other_layer(stranger: TestClient, county: County) -> None:
    listed = stranger.get("/m/tiles/layers.json").json()["layers"]
    assert {layer["id"] for layer in listed} == BASE_MAP
    assert all(layer["tiles"].startswith("/m/tiles/") for layer in listed)
    everything = {path.stem for path in (county.settings.data / "layers").glob("[!_]*.toml")}
    for layer in everything:
        answer = stranger.get(f"/m/tiles/{layer}/13/6713/3171.mvt")
        # 400: a layer of theirs that has no tiles at this zoom
        assert (answer.status_code in (200, 204, 400)) == (layer in BASE_MAP), layer
        assert stranger.get(f"/tiles/{layer}/13/6713/3171.mvt").status_code == 401
    assert everything > BASE_MAP


def test_a_member_gets_no_more_of_the_map_here_than_a_stranger(stranger: TestClient, as_role) -> None:
    member = as_role("commander")
    for layer in ("parcels", "incidents", "households", "facilities"):
        assert member.get(f"/m/tiles/{layer}/13/6713/3171.mvt").status_code == 404
    assert (
        member.get("/m/tiles/divisions/13/6713/3171.mvt").content
        == stranger.get("/m/tiles/divisions/13/6713/3171.mvt").content
    )


def test_a_tile_is_the_county(stranger: TestClient, county: County) -> None:
    x, y = county.owner(
        "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_Transform(ST_PointOnSurface(geom), 3857) p FROM onemap.division WHERE level = 1) d"
    )[0]
    side = 40075016.685578488 / 2**13
    column, line = int((x + 20037508.342789244) // side), int((20037508.342789244 - y) // side)
    assert parse_tile(13, column, line)
    tile = mapbox_vector_tile.decode(stranger.get(f"/m/tiles/divisions/13/{column}/{line}.mvt").content)
    assert {f["properties"]["level"] for f in tile["divisions"]["features"]} == {1, 2, 3, 4}


def test_who_is_there_and_where_they_work(stranger: TestClient, as_role, county: County) -> None:
    nobody = stranger.get("/m/me").json()
    assert nobody["account"] is None
    assert nobody["ground"]["name"] == "测试县"
    member = as_role("grid_member").get("/m/me")
    assert member.headers["cache-control"] == "no-store"
    told = member.json()
    assert told["account"]["role"] == "grid_member"
    assert "incident.handle" in told["account"]["may"]
    assert (told["ground"]["code"], told["ground"]["name"], told["ground"]["within"]) == (
        county.scratch.grids[0],
        "第1网格",
        "东安村",
    )


def test_where_a_point_lies(stranger: TestClient, county: County) -> None:
    lon, lat = county.owner(
        "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) p FROM onemap.division WHERE code = %s) d",
        [county.scratch.grids[0]],
    )[0]
    assert stranger.get("/m/where", params={"lon": lon, "lat": lat}).json() == {
        "township": "甲镇",
        "village": "东安村",
        "grid": "第1网格",
        "inside": True,
    }
    assert stranger.get("/m/where", params={"lon": lat, "lat": lon}).status_code == 400  # swapped: no such latitude
    assert stranger.get("/m/where", params={"lon": 116.4, "lat": 39.9}).json()["inside"] is False
    for lon_, lat_ in (("NaN", "37"), ("", "37"), ("1e308", "37"), ("abc", "37"), ("115", "inf")):
        assert stranger.get("/m/where", params={"lon": lon_, "lat": lat_}).status_code == 400


def test_the_link_of_a_code_as_a_picture(stranger: TestClient) -> None:
    picture = stranger.get("/m/f/7K3MQ-X92TB/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<svg xmlns=")
    assert "<script" not in picture.text
    for wrong in ("ABC", "IIIII-LLLLL", "7K3MQ-X92TB-1"):
        assert stranger.get(f"/m/f/{wrong}/qr.svg").status_code == 404


def test_every_word_the_scripts_ask_for_exists_and_none_is_written_in_them(cluster: Settings) -> None:
    words = catalogue("zh").under("phone")
    asked, written = set(), []
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(r'\bw\("([a-z_.0-9]+)"[,)]', text))
        for number, line in enumerate(text.splitlines(), 1):
            code = line.split("// ")[0]
            if re.search(r"[\u4e00-\u9fff]", code):
                written.append(f"{path.name}:{number}")
    assert len(asked) > 100
    assert asked - set(words) == set()
    assert written == []
    for group, members in {"stage": ("before", "after", "evidence", "confirm"), "standing": ("breached", "at_risk", "on_track", "paused", "done", "none"),
                           "bearing": range(8), "rating": range(1, 6), "within": ("same_day", "hour", "day", "working_day")}.items():  # fmt: skip
        assert {f"{group}.{m}" for m in members} <= set(words)


def test_no_text_of_a_person_can_become_markup_in_the_scripts() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|\.popup", text
        ), path.name
