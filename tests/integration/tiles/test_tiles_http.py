"""Tiles over HTTP: nonsense, limits, what a browser may keep, who asks at once, and who may see."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from gis.access.principal import current
from gis.errors import TooLarge
from gis.settings import Settings
from gis.store.engine import connect
from gis.tiles import gateway as gateway_module
from gis.tiles.definition import Layer
from gis.tiles.grid import Tile, tile_at
from gis.tiles.service import TileAnswer, TileService
from tests.integration.tiles.county import HERE, changed, decode, serve, shipped


def test_nothing_there_is_204(web: TestClient) -> None:
    far = tile_at(lon=100, lat=30, z=14)
    answer = web.get(f"/tiles/parcels/{far}.mvt")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"]


@pytest.mark.parametrize(
    "path",
    ["14/-1/0", "14/16384/0", "14/0/16384", "99/0/0", "a/0/0", "14/1.5/0", "14/1e3/0", "14/0x1/0", "4/0/0", "17/0/0"],
)
def test_nonsense_is_400_in_words(web: TestClient, path: str) -> None:
    answer = web.get(f"/tiles/parcels/{path}.mvt")
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == {"error", "message", "next_step"}
    assert "瓦片" in body["message"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    ["ghost", "parcel", "household", "person", "parcels;DROP TABLE onemap.parcel", "parcels'--", "_tokens", "pg_class"],
)
def test_an_unknown_layer_is_404(web: TestClient, county: Settings, name: str) -> None:
    answer = web.get(f"/tiles/{name}/14/0/0.mvt")
    assert answer.status_code == 404
    with connect(county, role="owner") as conn:
        assert conn.execute("SELECT count(*) FROM onemap.parcel").fetchone() == (800,)


def test_what_the_browser_holds_is_not_sent_again(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"/tiles/parcels/{HERE}.mvt"
    etag = web.get(url).headers["etag"]

    async def no_query(*_: object) -> None:
        raise AssertionError("a tile was asked of the store")

    monkeypatch.setattr(gateway_module.TileGateway, "make", no_query)
    monkeypatch.setattr(gateway_module.TileGateway, "make_for", no_query)
    again = web.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert again.headers["cache-control"] == "private, max-age=60, must-revalidate"
    assert web.get(url).headers["x-tile-source"] == "memory"


@pytest.mark.usefixtures("always_fresh")
def test_a_statement_that_touches_the_table_makes_it_new(web: TestClient, county: Settings) -> None:
    url = f"/tiles/facilities/{HERE}.mvt"
    before = web.get(url)
    roads = web.get(f"/tiles/roads/{HERE}.mvt").headers["etag"]
    with connect(county, role="owner") as conn:
        conn.execute("UPDATE onemap.facility SET name = '改名卫生室'")
    after = web.get(url, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert decode(after.content, "facilities")[0]["properties"]["name"] == "改名卫生室"
    # Another table's tiles stay what they were.
    assert web.get(f"/tiles/roads/{HERE}.mvt").headers["etag"] == roads


def test_a_timed_layer_shows_news_after_its_time(county: Settings) -> None:
    layers = shipped()
    soon = layers["incidents"].cache.model_copy(update={"seconds": 1})
    layers["incidents"] = layers["incidents"].model_copy(update={"cache": soon})
    with TestClient(serve(county, service=TileService(county, layers=layers))) as web:
        url = f"/tiles/incidents/{HERE}.mvt"
        first = web.get(url)
        assert web.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
        with connect(county, role="owner") as conn:
            conn.execute("UPDATE onemap.incident SET item_code = '0102' WHERE case_no = 'C1'")
        try:
            time.sleep(1.1)
            later = web.get(url, headers={"If-None-Match": first.headers["etag"]})
            assert later.status_code == 200
            assert "0102" in {f["properties"]["item_code"] for f in decode(later.content, "incidents")}
        finally:
            with connect(county, role="owner") as conn:
                conn.execute("UPDATE onemap.incident SET item_code = '0101' WHERE case_no = 'C1'")


def test_a_tile_over_the_limit_is_answered_coarser_and_says_so(county: Settings) -> None:
    small = county.model_copy(update={"tile_max_bytes": 4_000})
    with TestClient(serve(small)) as web:
        answer = web.get(f"/tiles/parcels/{HERE}.mvt")
        assert answer.status_code == 200
        assert answer.headers["x-tile-coarser"] == "bytes"
        assert answer.headers["x-tile-level"] == "grids"
        assert "parcels" in decode(answer.content, "parcels")[0]["properties"]


def test_too_many_features_are_answered_coarser_and_say_so(county: Settings) -> None:
    service = TileService(county, layers=changed("parcels", max_features=50))
    with TestClient(serve(county, service=service)) as web:
        answer = web.get(f"/tiles/parcels/{HERE}.mvt")
        assert answer.headers["x-tile-coarser"] == "features"
        assert answer.headers["x-tile-level"] == "grids"


def test_too_large_without_anything_coarser_is_an_error(county: Settings) -> None:
    layer = shipped()["parcels"]
    only = layer.model_copy(update={"level": (layer.level[-1].model_copy(update={"max_features": 5}),)})
    service = TileService(county, layers={"parcels": only})

    async def run() -> None:
        try:
            await service.tile("parcels", HERE.z, HERE.x, HERE.y, principal=current.get())
        finally:
            await service.close()

    with pytest.raises(TooLarge, match="上限"):
        asyncio.run(run())


def test_the_same_tile_asked_ten_times_at_once_is_made_once(county: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = gateway_module.TileGateway.make_for

    async def counted(self: Any, asker: Any, layer: Layer, index: int, tile: Tile) -> Any:
        made.append(tile)
        return await make(self, asker, layer, index, tile)

    monkeypatch.setattr(gateway_module.TileGateway, "make_for", counted)

    async def run() -> set[bytes]:
        service = TileService(county)
        answers = await asyncio.gather(
            *(service.tile("parcels", HERE.z, HERE.x, HERE.y, principal=current.get()) for _ in range(10))
        )
        await service.close()
        return {a.body for a in answers}

    assert len(asyncio.run(run())) == 1
    assert made == [HERE]


def test_one_who_leaves_does_not_take_the_tile_along(county: Settings) -> None:
    async def run() -> int:
        service = TileService(county)
        await service.open()
        first = asyncio.ensure_future(service.tile("parcels", HERE.z, HERE.x, HERE.y, principal=current.get()))
        second = asyncio.ensure_future(service.tile("parcels", HERE.z, HERE.x, HERE.y, principal=current.get()))
        await asyncio.sleep(0.01)
        first.cancel()
        try:
            (left,) = await asyncio.gather(second, return_exceptions=True)
        finally:
            await service.close()
        return left.status if isinstance(left, TileAnswer) else 0

    assert asyncio.run(run()) == 200


def test_a_client_that_cannot_unpack_gets_the_same_tile_plain(web: TestClient) -> None:
    url = f"/tiles/parcels/{HERE}.mvt"
    packed = web.get(url, headers={"Accept-Encoding": "gzip"})
    plain = web.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content  # the client unpacks
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert plain.headers["vary"] == "Accept-Encoding"
    assert plain.headers["content-type"] == "application/vnd.mapbox-vector-tile"


def test_head_answers_without_a_body_and_other_methods_do_not(web: TestClient) -> None:
    url = f"/tiles/parcels/{HERE}.mvt"
    head = web.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == web.get(url).headers["etag"]
    assert web.post(url).status_code == 405
    assert "access-control-allow-origin" not in web.get(url, headers={"Origin": "http://elsewhere"}).headers


def test_the_catalogue_tells_what_the_map_needs(web: TestClient) -> None:
    layers = {one["id"]: one for one in web.get("/tiles/layers.json").json()["layers"]}
    parcels = layers["parcels"]
    assert parcels["tiles"] == "/tiles/parcels/{z}/{x}/{y}.mvt"
    assert (parcels["minzoom"], parcels["maxzoom"]) == (5, 16)
    assert parcels["synthetic"] is True
    assert "合成" in parcels["synthetic_note"]["zh"]
    assert layers["divisions"]["synthetic"] is False
    assert layers["roads"]["synthetic"] is None  # nothing was loaded: nobody knows
    for theme in ("light", "dark"):
        for style in parcels["style"][theme]:
            assert (style["source"], style["source-layer"]) == ("parcels", "parcels")
            assert "$" not in str(style)
    assert "roles" not in parcels


def test_a_layer_that_is_not_for_you_looks_like_none(county: Settings) -> None:
    app, commander = serve(county), current.get()
    assert commander is not None

    @app.middleware("http")
    async def gate(request: Request, call_next: Any) -> Any:
        request.state.principal = replace(commander, role=request.headers.get("x-roles", ""))
        return await call_next(request)

    with TestClient(app) as web:
        url = f"/tiles/households/{tile_at(lon=115.0105, lat=37.2105, z=11)}.mvt"
        refused = web.get(url, headers={"x-roles": "public"})
        absent = web.get(url.replace("households", "ghost"), headers={"x-roles": "public"})
        assert (refused.status_code, refused.json()) == (404, absent.json())
        assert web.get(url, headers={"x-roles": "planner"}).status_code == 200
        # Now it is in memory: still not for everybody.
        assert web.get(url, headers={"x-roles": "public"}).status_code == 404
        seen = web.get("/tiles/layers.json", headers={"x-roles": "public"}).json()["layers"]
        assert "households" not in {one["id"] for one in seen}
        assert "divisions" in {one["id"] for one in seen}
        assert web.get("/tiles/layers.json", headers={"x-roles": ""}).json() == {"layers": []}


def test_a_store_that_is_away_is_503_in_words(county: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "_WAIT_S", 0.3)
    with TestClient(serve(county.model_copy(update={"db_name": "no_such_store"}))) as web:
        answer = web.get(f"/tiles/parcels/{HERE}.mvt")
    assert answer.status_code == 503
    assert "取不到" in answer.json()["message"]


def test_the_tiles_role_can_only_read(county: Settings) -> None:
    """The pool's sessions refuse to write even what the app's role may."""

    async def run() -> str:
        service = TileService(county)
        await service.open()
        async with service._gateway._pool.connection() as conn:
            row = await (
                await conn.execute("SELECT current_user || ' ' || current_setting('transaction_read_only')")
            ).fetchone()
        await service.close()
        assert row is not None
        return str(row[0])

    assert asyncio.run(run()) == "onemap_app on"
