"""The gate: every route and every callback of the app, with every role and with none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from dash import Input, Output
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.http.routes import (
    BROWSER,
    NOBODY,
    PUBLIC,
    RouteTable,
    Rule,
    asked_callback,
    outputs_of,
    read_routes,
    served_routes,
)
from gis.access.partners import issue
from gis.access.roles import KEYED as PARTNER
from gis.access.roles import Role
from gis.errors import DefinitionError
from gis.store.engine import connect
from tests.security.conftest import OURS, PASSWORD, County, browser, sign_in, token_of, words

pytestmark = pytest.mark.db
PAGE = {"Accept": "text/html"}
# What stands in for the gaps of an address.
FILLED = {
    "{transition}": "accept",
    "{case_no}": "SJ2026112200001",
    "{code}": "00000-00000",
    "{photo_id:int}": "1",
    "{path:path}": "10-base.css", "{name:path}": "leaflet-maplibre-gl.js", "{name}": "maplibre-gl.css", "{layer}": "divisions", "{rest:path}": "nothing", "{z}": "9", "{x}": "419", "{y}": "198",
    "{account_id:int}": "1", "{package_name}": "dash", "{fingerprinted_path:path}": "deps/polyfill@7.v1.js",
    "services/{code}.{form}": "services/0303.json", "{number}.{form}": "SJ2026112200001.json", "{token}.{form}": "1.json", ".{form}": ".xml",
}  # fmt: skip
# A key decides there, no role does: tests/security/test_open311.py.
KEYED = ("POST", "/open311/v2/requests.{form}")


def address_of(path: str) -> str:
    for gap, value in FILLED.items():
        path = path.replace(gap, value)
    return path if path.startswith("/") else "/anything"


def body_of(output: str, dash_app: Any) -> dict[str, Any]:
    known = next(c for c in dash_app._callback_list if c["output"] == output)
    return {
        "output": output,
        "outputs": [dict(zip(("id", "property"), one.rsplit(".", 1), strict=True)) for one in outputs_of(output)],
        "inputs": [{"id": i["id"], "property": i["property"], "value": None} for i in known["inputs"]],
        "state": [{"id": i["id"], "property": i["property"], "value": None} for i in known["state"]],
        "changedPropIds": [],
    }


def routes_of(county: County) -> list[tuple[str, str]]:
    return [(method, path) for path, methods in served_routes(county.server.routes) for method in sorted(methods)]


# The table covers the application -------------------------------------------------------------------------------


def test_every_route_and_every_callback_has_a_row_and_no_row_is_for_nothing(county: County) -> None:
    faults = county.protection.table.faults(
        routes=county.server.routes, callbacks=county.server.state.dash.callback_map
    )
    assert faults == []


def test_a_new_route_and_a_new_callback_are_noticed(county: County) -> None:
    async def new() -> None: ...

    def made(_: object) -> object: ...

    dash_app = county.server.state.dash
    routes, callbacks = list(county.server.routes), dict(dash_app.callback_map)
    county.server.add_api_route("/api/new", new, methods=["PUT"])
    dash_app.callback(Output("newcomer", "children"), Input("search", "value"))(made)
    faults = county.protection.table.faults(routes=county.server.routes, callbacks=dash_app.callback_map or callbacks)
    new_routes = [r for r in county.server.routes if r not in routes]
    for route in new_routes:
        county.server.router.routes.remove(route)
    dash_app.callback_map.pop("newcomer.children", None)
    dash_app._callback_list[:] = [c for c in dash_app._callback_list if c["output"] != "newcomer.children"]
    assert "PUT /api/new: no row in routes.toml" in faults
    assert new_routes


def test_a_callback_without_a_row_is_a_fault() -> None:
    table = RouteTable([], {"known.children": "map.view"})
    assert table.faults(routes=[], callbacks=["..known.children...unknown.data.."]) == [
        "callback unknown.data: no row in routes.toml"
    ]
    assert table.callback("..known.children...unknown.data..") is None
    assert table.callback("known.children") == {"map.view"}


def people(county: County) -> list[Role]:
    """Roles somebody can sign in as; another system (partner) cannot: the test below."""
    return [role for role in county.roles.by_id.values() if role.id != PARTNER]


# route × role ---------------------------------------------------------------------------------------------------


def expected(rule: Rule, permissions: frozenset[str]) -> bool:
    return rule.allows(permissions)


def test_route_by_role_matrix(county: County, as_role: Callable[[str], TestClient]) -> None:
    table, checked = county.protection.table, 0
    rules = {(rule.path, method): rule for rule in table.rules for method in rule.methods}
    for role in people(county):
        for method, path in routes_of(county):
            if method == "WEBSOCKET" or path in ("/logout", "/password"):
                continue  # below: they end the session this loop needs
            if (method, path) == KEYED:
                continue
            rule = rules[path, method]
            client = sessions_of(county, as_role, role.id)
            headers = OURS if method == "POST" else {}
            answer = client.request(method, address_of(path), headers=headers)
            allowed = NOBODY not in rule.needs and rule.allows(role.permissions)
            if NOBODY in rule.needs:
                assert answer.status_code == 404, (role.id, method, path)
            elif allowed:
                assert answer.status_code not in (401, 403), (role.id, method, path, answer.text[:200])
            else:
                assert answer.status_code == 403, (role.id, method, path, answer.status_code)
            checked += 1
    served = [
        r for r in routes_of(county) if r[0] != "WEBSOCKET" and r[1] not in ("/logout", "/password") and r != KEYED
    ]
    assert checked == len(served) * len(people(county))


_open: dict[str, TestClient] = {}


def sessions_of(county: County, as_role: Callable[[str], TestClient], role: str) -> TestClient:
    """One session a role; signing out and in again is another test's business."""
    client = _open.get(role)
    if (
        client is None
        or client.get("/sheet/sheet.css").status_code != 200
        or client.get("/vendor/x").status_code == 401
    ):
        client = _open[role] = as_role(role)
    return client


def test_another_system_comes_in_nowhere_but_by_its_key(county: County) -> None:
    client = browser(county)
    for password in (PASSWORD, "", "x"):
        sign_in(client, PARTNER, password)
        assert token_of(client) == "None"
    with connect(county.settings, role="owner") as conn:
        key = issue(conn, account_id=county.numbers[PARTNER], name="热线", idle=timedelta(days=1), reason="测试")
    for method, path in routes_of(county):
        rule, _ = county.protection.table.find(address_of(path), method)
        if rule is None or rule.public:
            continue
        assert (
            browser(county)
            .request(method, address_of(path), headers=OURS | {"Authorization": f"Bearer {key}"})
            .status_code
            == 401
        ), path
        shown = browser(county)
        shown.cookies.set("onemap_session", key)
        assert shown.request(method, address_of(path), headers=OURS).status_code == 401, path


def test_nobody_comes_in_without_signing_in(county: County) -> None:
    rules = {(rule.path, method): rule for rule in county.protection.table.rules for method in rule.methods}
    closed = 0
    for method, path in routes_of(county):
        if method == "WEBSOCKET" or PUBLIC in rules[path, method].needs:
            continue
        client = browser(county)
        asked = client.request(method, address_of(path), headers=OURS)
        if path != "/assets/{path:path}":  # its example is one of the files the login needs
            assert asked.status_code == 401, (method, path, asked.status_code)
            assert set(asked.json()) == {"error", "message", "next_step"}
        seen = client.request(method, address_of(path), headers=OURS | PAGE)
        script = path.startswith(("/_dash", "/_reload", "/tiles", "/api", "/vendor", "/assets"))
        if not script:
            assert (seen.status_code, seen.headers["location"][:6]) == (303, "/login"), (method, path)
        elif path != "/assets/{path:path}":
            assert seen.status_code == 401, (method, path)
        closed += 1
    assert closed > 20


# The phone: one page with nobody in it, its files, the base map, and what a villager without an account may ask.
# Open311 is public by its specification; a POST shows a key of its own (tests/security/test_open311.py).
OPEN311 = {"/open311/{rest:path}"} | {
    f"/open311/v2/{name}.{{form}}"
    for name in ("discovery", "services", "services/{code}", "requests", "requests/{number}", "tokens/{token}")
}
PHONE = {
    "/m", "/m/report", "/m/mine", "/m/tasks", "/m/notices", "/m/t/{case_no}", "/m/f", "/m/f/{code}", "/m/f/{code}/qr.svg", "/m/sw.js",
    "/m/manifest.webmanifest", "/m/a/{name}", "/m/me", "/m/where", "/m/tiles/layers.json", "/m/tiles/{layer}/{z}/{x}/{y}.mvt",
    "/vendor/idb.js", "/vendor/maplibre-gl.js", "/vendor/maplibre-gl.css",
    "/api/reports", "/api/follow/{code}", "/api/follow/{code}/{transition}", "/api/photos/{photo_id:int}", "/api/cases/near", "/api/suggest",
}  # fmt: skip


def test_what_is_open_is_what_should_be(county: County) -> None:
    public = {rule.path for rule in county.protection.table.rules if rule.public}
    assert public == {
        "/healthz", "/login", "/login/code", "/login/password", "/login/county", "/login/county/return", "/wall/enter", "/receipt", "/receipt/offline", "/sheet/{name}",
        "/favicon.ico", "/_favicon.ico", "/assets/10-base.css", "/assets/mark.svg", "/vendor/inter-latin.woff2",
        "/vendor/inter-latin-ext.woff2",
    } | PHONE | OPEN311  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/docs", "/redoc", "/openapi.json", "/assets/00-net.js", "/assets/../app.py", "/_dash-layout/", "//_dash-layout", "/_dash-layout%2f",
     "/login/../_dash-layout", "/login/anything", "/healthz/", "/HEALTHZ", "/_dash-component-suites/dash/../app.py", "/events", "/files/1",
     "/tiles/", "/tiles/layers.json/", "/.git/config", "/admin/", "/sheet/", "/sheet/../assets/00-net.js"],
)  # fmt: skip
def test_what_is_not_written_down_is_closed(anybody: TestClient, path: str) -> None:
    assert anybody.get(path).status_code == 401


def test_the_websocket_is_closed_to_everybody(county: County, as_role: Callable[[str], TestClient]) -> None:
    for client in (browser(county), as_role("commander")):
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/_dash-ws-callback"):
            pass
        assert caught.value.code == 1008


# callbacks --------------------------------------------------------------------------------------------------------


def test_every_callback_by_direct_post_without_login_is_401(county: County) -> None:
    dash_app = county.server.state.dash
    assert len(dash_app.callback_map) >= 6
    for output in dash_app.callback_map:
        answer = browser(county).post("/_dash-update-component", json=body_of(output, dash_app), headers=OURS)
        assert answer.status_code == 401, output


def test_callback_by_role_matrix(county: County, as_role: Callable[[str], TestClient]) -> None:
    dash_app, table = county.server.state.dash, county.protection.table
    for role in people(county):
        client = as_role(role.id)
        for output in dash_app.callback_map:
            answer = client.post("/_dash-update-component", json=body_of(output, dash_app), headers=OURS)
            needed = table.callback(output)
            if needed is None:
                assert any(table.callbacks[one] == BROWSER for one in outputs_of(output))
                assert answer.status_code == 404, (role.id, output)
            elif needed <= role.permissions:
                assert answer.status_code in (200, 204), (role.id, output, answer.text[:300])
            else:
                assert answer.status_code == 403, (role.id, output)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{}", 400), (b'{"output": 1}', 400), (b'{"output": "nothing.children"}', 404), (b"\xff\xfe", 400),
     (b"[" * 100_000, 400), (b'{"output": "' + b"a" * 2_100_000 + b'"}', 413), (b'{"output": "scene.data", "output": "place.data"}', 404)],
)  # fmt: skip
def test_a_callback_that_is_none_is_refused(as_role: Callable[[str], TestClient], body: bytes, status: int) -> None:
    client = as_role("commander")
    answer = client.post("/_dash-update-component", content=body, headers=OURS | {"Content-Type": "application/json"})
    assert answer.status_code == status


def test_a_callback_runs_as_the_person_who_asks(
    county: County, as_role: Callable[[str], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gis.access.principal import current
    from gis.divisions.search import Search

    seen: list[object] = []
    monkeypatch.setattr(Search, "find", lambda self, text: seen.append(current.get()) or [])
    body = body_of("search-results.children", county.server.state.dash)
    for role in ("planner", "analyst"):
        as_role(role).post("/_dash-update-component", json=body, headers=OURS)
    assert [getattr(one, "role", None) for one in seen] == ["planner", "analyst"]
    assert current.get() is None


def test_asked_callback_reads_the_same_key_as_dash() -> None:
    assert (
        asked_callback(b'{"output": "a.b", "output": "c.d"}')
        == json.loads(b'{"output": "a.b", "output": "c.d"}')["output"]
    )


# writes from elsewhere ---------------------------------------------------------------------------------------------

FOREIGN = [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://testserver.evil.example"}, {"Origin": "http://testserver:81"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {},
    {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "testserver"}, {"Referer": "http://testserver/admin/accounts"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_write_from_elsewhere_is_refused_and_changes_nothing(
    county: County, as_role: Callable[[str], TestClient], headers: dict[str, str]
) -> None:
    client = as_role("system_admin")
    before = county.owner("SELECT count(*) FROM access.account")
    form = {"login": "csrf", "display_name": "甲", "role": "analyst", "reason": "外站"}
    assert client.post("/admin/accounts", data=form, headers=headers).status_code == 403
    assert county.owner("SELECT count(*) FROM access.account") == before
    # nor may another site sign somebody in as somebody else
    assert (
        browser(county).post("/login", data={"login": "planner", "password": "x"}, headers=headers).status_code == 403
    )
    callback = body_of("search-results.children", county.server.state.dash)
    assert as_role("planner").post("/_dash-update-component", json=callback, headers=headers).status_code == 403


def test_sec_fetch_site_or_origin_alone_is_enough(as_role: Callable[[str], TestClient]) -> None:
    client = as_role("system_admin")
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}):
        assert client.post("/admin/accounts", data={"reason": "x"}, headers=headers).status_code == 400


# headers -----------------------------------------------------------------------------------------------------------


def test_headers_of_every_kind_of_answer(county: County, as_role: Callable[[str], TestClient]) -> None:
    client = as_role("planner")
    answers = [
        browser(county).get("/login"), browser(county).get("/", headers=PAGE), browser(county).get("/_dash-layout"),
        client.get("/", headers=PAGE), client.get("/admin", headers=PAGE), client.get("/nothing", headers=PAGE),
        client.get("/_dash-layout"), client.get("/tiles/layers.json"), client.get("/vendor/none"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "geolocation=(self)" in answer.headers["permissions-policy"]
        if answer.headers.get("content-type", "").startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-frame-options"] == "DENY"


def test_nothing_a_person_gets_may_be_kept_for_others(county: County, as_role: Callable[[str], TestClient]) -> None:
    client = as_role("planner")
    for path in ("/tiles/layers.json", "/tiles/divisions/9/419/198.mvt", "/_dash-layout", "/_dash-dependencies", "/"):
        answer = client.get(path)
        assert "public" not in answer.headers["cache-control"], path
        assert "cookie" in answer.headers["vary"].lower(), path
    kept = client.get("/_dash-component-suites/dash/deps/polyfill@7.v1.js").headers["cache-control"]
    assert "public" not in kept


def test_foreign_and_absent_look_alike(as_role: Callable[[str], TestClient]) -> None:
    client = as_role("planner")
    bodies = [{"kind": "person", "id": n, "field": "name", "reason": "入户核实"} for n in (999_999, 1)]
    first, second = (client.post("/api/reveal", json=body, headers=OURS) for body in bodies)
    assert (first.status_code, first.content) == (second.status_code, second.content) == (404, first.content)


def test_a_refusal_is_calm_and_shows_the_way_back(as_role: Callable[[str], TestClient]) -> None:
    page = as_role("planner").get("/admin/accounts", headers=PAGE)
    assert page.status_code == 403
    assert "这里不归您管" in words(page.text)
    assert 'href="/"' in page.text


def test_too_many_requests_are_told_how_long_to_wait(county: County) -> None:
    client = TestClient(county.server, client=("198.51.100.200", 1), follow_redirects=False)
    answers = [client.post("/login", content=b"", headers=OURS).status_code for _ in range(61)]
    assert answers[-1] == 429
    assert answers[0] != 429
    last = client.post("/login", content=b"", headers=OURS | PAGE)
    assert int(last.headers["retry-after"]) >= 1
    assert "请等" in words(last.text)


def test_when_the_store_is_away_nobody_comes_in(
    county: County, as_role: Callable[[str], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gis.errors import StoreUnavailable

    client = as_role("commander")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("数据库连不上。")

    monkeypatch.setattr("gis.access.sessions.principal_of", away)
    assert client.get("/_dash-layout").status_code == 503
    assert client.get("/", headers=PAGE).status_code == 503


def test_the_table_refuses_unknown_permissions(tmp_path: Any) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(
        '[[route]]\npath = "/x"\nmethods = ["GET"]\nneeds = "map.veiw"\nkind = "page"\n[callback]\n"a.b" = "nothing"\n'
    )
    with pytest.raises(DefinitionError, match=r"map\.veiw"):
        read_routes(path, permissions={"map.view"})
