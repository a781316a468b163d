"""The web application over HTTP on a small county: pages, headers, files, callbacks by direct POST, a store that is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from dash import Input, Output, html
from dash._callback import GLOBAL_CALLBACK_MAP
from starlette.testclient import TestClient

from dashboard.app import create_app
from dashboard.callbacks.offload import Callbacks
from dashboard.callbacks.place import OUTPUTS
from dashboard.http.protect import Protection
from gis.access.principal import Principal, current
from gis.divisions.reading import Divisions
from gis.divisions.search import Search
from gis.settings import Settings
from gis.store.pool import Pool
from tests.commander import COOKIE, enrol, sign_in
from tests.scratch_county import Scratch, build_scratch

pytestmark = pytest.mark.db
ORIGIN = "http://127.0.0.1"


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Scratch]:
    key = tmp_path_factory.mktemp("keys") / "personal.key"
    settings = module_store.model_copy(update={"personal_key_file": key, "require_second_factor": False})
    return settings, build_scratch(settings)


@pytest.fixture(scope="module")
def commander(county: tuple[Settings, Scratch]) -> Principal:
    return enrol(county[0])


@pytest.fixture
def asking(commander: Principal) -> Iterator[None]:
    """The commander asks, where no gate stands in front."""
    holder = current.set(commander)
    yield
    current.reset(holder)


@pytest.fixture(scope="module")
def client(county: tuple[Settings, Scratch], commander: Principal) -> Iterator[TestClient]:
    with TestClient(create_app(county[0]), base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        sign_in(client, origin=ORIGIN)
        yield client


@pytest.fixture
def pool(county: tuple[Settings, Scratch], asking: None) -> Iterator[Pool]:
    pool = Pool(county[0])
    pool.open()
    yield pool
    pool.close()


def show(client: TestClient, place: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Call the page's callback as the browser does."""
    outputs = [{"id": o.component_id, "property": o.component_property} for o in OUTPUTS]
    name = ".." + "...".join(f"{o['id']}.{o['property']}" for o in outputs) + ".."
    body = {"output": name, "outputs": outputs, "changedPropIds": ["place.data"],
            "inputs": [{"id": "place", "property": "data", "value": place}]}  # fmt: skip
    answer = client.post("/_dash-update-component", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"]


def test_health_is_quick_and_says_how_the_store_is(client: TestClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok"}
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_names_no_foreign_host_and_allows_none(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "https://" not in answer.text.replace("http://www.w3.org", "")
    csp = answer.headers["content-security-policy"]
    assert "default-src 'none'" in csp
    assert "unsafe-eval" not in csp
    assert "http" not in csp


def test_a_deep_link_has_the_assets_from_the_first_request(
    county: tuple[Settings, Scratch], commander: Principal
) -> None:
    with TestClient(create_app(county[0]), base_url=ORIGIN) as fresh:
        sign_in(fresh, origin=ORIGIN)
        page = fresh.get("/?at=130529100&parcel=1").text
    for name in ("20-map.js", "30-state.js", "20-frame.css", "leaflet-maplibre-gl.js", "maplibre-gl.js"):
        assert name in page
    assert page.index("dash_leaflet") < page.index("leaflet-maplibre-gl.js")


def test_the_language_follows_the_address(client: TestClient) -> None:
    assert '<html lang="zh-CN">' in client.get("/").text
    assert '<html lang="en">' in client.get("/?lang=en").text
    assert "合成数据" in client.get("/_dash-layout").text
    english = client.get("/_dash-layout", headers={"x-onemap-language": "en"}).text
    assert "Synthetic data" in english
    assert "合成数据" not in english


def test_an_unknown_page_is_a_404_and_not_the_map(client: TestClient) -> None:
    page = client.get("/nowhere", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "没有这个页面" in page.text
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/nowhere", headers={"accept": "application/json"}).json()["error"]


@pytest.mark.parametrize(
    "path", ["maplibre-gl.js.map", "../../../secrets.json", "..%2f..%2f..%2fpackage.json", "package.json", ""]
)
def test_only_listed_vendor_files_are_served(client: TestClient, path: str) -> None:
    assert client.get(f"/vendor/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/tiles/divisions/10/1/2.png", "/tiles/", "/_dash-nothing", "/healthz/more"])
def test_what_no_route_answers_is_not_answered_with_the_map(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_files_are_kept_by_the_browser_when_their_address_changes_with_them(client: TestClient) -> None:
    assert "immutable" in client.get("/vendor/maplibre-gl.js?v=1").headers["cache-control"]
    assert client.get("/vendor/maplibre-gl.js").headers["cache-control"] == "no-cache"
    asset = client.get("/assets/20-map.js")
    assert asset.headers["cache-control"] == "no-cache"
    assert asset.headers["etag"]


def test_drilling_down_keeps_adding_up(client: TestClient, county: tuple[Settings, Scratch]) -> None:
    made = county[1]
    top = show(client, {})
    assert top["scene"]["data"]["at"] == made.county
    assert sorted(top["scene"]["data"]["children"]) == made.townships
    rows, totals = top["ranking"]["rowData"], top["ranking"]["dashGridOptions"]["pinnedBottomRowData"]
    assert [t["name"] for t in totals] == ["未落点", "合计"]
    assert sum(r["open"] for r in rows) + totals[0]["open"] == totals[1]["open"]
    assert totals[0]["open"] == made.incidents_unplaced
    assert round(sum(r["farmland"] for r in rows), 1) > 0


def test_each_level_sums_to_the_one_above(pool: Pool, county: tuple[Settings, Scratch]) -> None:
    divisions, made = Divisions(pool), county[1]
    whole = divisions.place()
    assert whole.division.figures.parcels == made.parcels
    for name in ("parcels", "farmland_m2", "pbf_m2", "open", "overdue", "incidents", "facilities"):
        towns = [divisions.place(t).division.figures for t in made.townships]
        villages = [divisions.place(v).division.figures for v in made.villages]
        grids = [divisions.place(g).division.figures for g in made.grids]
        sums = [sum(getattr(f, name) for f in level) for level in (towns, villages, grids)]
        assert sums[0] == pytest.approx(sums[1])
        assert sums[0] == pytest.approx(sums[2])
        assert whole.unplaced is not None
        assert getattr(whole.division.figures, name) == pytest.approx(sums[0] + getattr(whole.unplaced, name))


def test_without_zones_the_share_is_unknown(store: Settings) -> None:
    from gis.store.engine import connect

    build_scratch(store, townships=1, villages=1, grids=1)
    holder = current.set(enrol(store))
    with connect(store, role="owner") as conn:
        conn.execute("DELETE FROM onemap.farmland_zone")
    pool = Pool(store)
    pool.open()
    try:
        figures = Divisions(pool).place().division.figures
    finally:
        pool.close()
        current.reset(holder)
    assert figures.pbf_m2 is None
    assert figures.high_standard_m2 is None


def test_a_parcel_link_brings_its_grid_and_its_card(client: TestClient, county: tuple[Settings, Scratch]) -> None:
    made = county[1]
    answer = show(client, {"kind": "parcel", "key": made.parcel_code})
    assert answer["scene"]["data"]["thing"]["key"] == made.parcel_code
    assert answer["scene"]["data"]["level"] == 4
    assert "张*明" in json.dumps(answer["card"], ensure_ascii=False)


@pytest.mark.parametrize(
    "place",
    [
        {"at": "999"},
        {"at": "' OR 1=1 --"},
        {"at": "130529", "kind": "parcel", "key": "1" * 19},
        {"kind": "incident", "key": "x"},
    ],
)
def test_what_is_not_there_is_said_and_never_a_crash(client: TestClient, place: dict[str, Any]) -> None:
    said = json.dumps(show(client, place), ensure_ascii=False)
    assert "没有" in said


def test_nothing_personal_reaches_the_page(client: TestClient, county: tuple[Settings, Scratch]) -> None:
    said = json.dumps(
        [show(client, {"at": code}) for code in (county[1].county, county[1].villages[0])], ensure_ascii=False
    )
    for word in ("household_no", "H0-0", "BYYZP", "id_number"):
        assert word not in said


def test_search_finds_division_parcel_and_facility(pool: Pool, county: tuple[Settings, Scratch]) -> None:
    search, made = Search(pool), county[1]
    assert search.find("甲镇")[0].key == made.townships[0]
    assert search.find("jz")[0].key == made.townships[0]
    assert search.find(made.parcel_code[:16])[0].kind == "parcel"
    assert search.find(made.grids[0])[0].key == made.grids[0]
    assert search.find("卫生室")[0].kind == "facility"
    assert search.find("'; DROP TABLE onemap.division; --") == []
    assert search.find("%") == []
    assert search.find("  ") == []


def test_ten_slow_callbacks_do_not_hold_up_anything_else(county: tuple[Settings, Scratch]) -> None:
    """Stock Dash runs them on the event loop, one after the other, and everything else behind them."""
    app = create_app(county[0])
    dash = app.state.dash
    dash.layout = html.Div([html.Div(id="a"), html.Div(id="b")])
    release, inside = threading.Event(), threading.Semaphore(0)

    def slow(_: Any) -> str:
        inside.release()
        release.wait(20)
        return "done"

    Callbacks(dash).register(slow, Output("b", "children"), Input("a", "children"))
    dash.callback_map |= dict(GLOBAL_CALLBACK_MAP)
    body = {"output": "b.children", "outputs": {"id": "b", "property": "children"}, "changedPropIds": ["a.children"],
            "inputs": [{"id": "a", "property": "children", "value": 1}]}  # fmt: skip
    # The gate answers 404 to a callback it was not told of; this test's own is told.
    app.state.protection.table.callbacks["b.children"] = "map.view"
    with TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        sign_in(client, origin=ORIGIN)
        answers: list[int] = []
        callers = [
            threading.Thread(
                target=lambda: answers.append(client.post("/_dash-update-component", json=body).status_code)
            )
            for _ in range(10)
        ]
        for caller in callers:
            caller.start()
        # All ten are inside at the same time, and the loop still answers: no clock is needed to see it.
        assert all(inside.acquire(timeout=10) for _ in range(10))
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.get("/tiles/layers.json").status_code == 200
        assert not answers
        release.set()
        for caller in callers:
            caller.join(20)
        assert answers == [200] * 10


def test_a_store_that_is_away_is_said_and_the_page_stays(
    county: tuple[Settings, Scratch], commander: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The store goes away just behind the gate: it knew the commander, and what it let in finds nothing.
    options = Protection.options
    monkeypatch.setattr(Protection, "options", lambda *a, **k: options(*a, **k) | {"resolve": lambda *_: commander})
    away = county[0].model_copy(update={"db_name": "not_there_at_all"})
    with TestClient(create_app(away), base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        client.cookies.set(COOKIE, "known-to-the-gate")
        assert client.get("/healthz").json() == {"status": "degraded", "database": "unavailable"}
        assert client.get("/").status_code == 200
        started = time.monotonic()
        answer = show(client, {"seq": 4})
        assert answer == {"scene": {"data": {"away": True, "seq": 4}}}
        assert time.monotonic() - started < 60  # it gives up by itself; the bound only stops a hang


def test_the_pool_recovers_when_its_connections_are_killed(pool: Pool, county: tuple[Settings, Scratch]) -> None:
    from gis.store.engine import connect

    divisions = Divisions(pool)
    assert divisions.answers()
    with connect(county[0], role="admin", autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'onemap_app'"
        )
    assert divisions.answers()
