"""As an attacker would: every address by every spelling and method, bodies that never end, names that are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient

from dashboard.http import gate
from dashboard.http.routes import PUBLIC, served_routes
from tests.security.conftest import OURS, County, browser, token_of
from tests.security.test_gate import address_of

pytestmark = pytest.mark.db
_address = count()
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "GETS", "get")


def asked(
    county: County, method: str, raw: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    """One request at the whole application exactly as written, without a client that tidies it; from an address of its own."""
    n = next(_address)
    sent: list[dict[str, object]] = []
    raw_path, _, query = raw.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(raw_path), "raw_path": raw_path.encode("latin-1"), "query_string": query.encode(), "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in {"host": "testserver", **(headers or {})}.items()],
        "client": (f"100.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 1), "server": ("testserver", 80),
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(county.server(scope, receive, send))  # type: ignore[arg-type]
    start = next(m for m in sent if m["type"] == "http.response.start")
    return int(str(start["status"])), b"".join(
        bytes(m.get("body", b"")) for m in sent if m["type"] == "http.response.body"
    )  # type: ignore[arg-type]


def spellings(path: str) -> Iterator[str]:
    """Other ways to write an address that some program somewhere takes for the same."""
    head, _, tail = path[1:].partition("/")
    yield from (path, path + "/", "/" + path, path + "//", "/." + path, "/x/.." + path, path + "?", path + "%00", path + "%20", path + ";x=1",
                path + "/.", path + "/%2e", path + "%2f", path + "#x", path.upper(), "/%2e" + path, "/%2f" + path[1:], "//evil.example" + path,
                "\\" + path[1:], "/login/.." + path, "/login/%2e%2e" + path, "/sheet/.." + path, "/assets/10-base.css/.." + path,
                "/healthz;" + path, "/login%2f.." + path, path + "%0d%0aX: y", "http://testserver" + path)  # fmt: skip
    if head:
        yield "/" + "".join(f"%{ord(c):02x}" for c in head) + ("/" + tail if tail else "")
        yield f"/{head[0]}%{ord(head[1]) if len(head) > 1 else 97:02x}{head[2:]}" + ("/" + tail if tail else "")
        yield f"/{head}%252f{tail}"


def test_no_spelling_and_no_method_opens_what_is_closed(county: County) -> None:
    rules = {(rule.path, method): rule for rule in county.protection.table.rules for method in rule.methods}
    public = {address_of(rule.path) for rule in county.protection.table.rules if rule.public}
    tried = 0
    for path, _ in served_routes(county.server.routes):
        address = address_of(path)
        kinds = [r for (p, _), r in rules.items() if p == path]
        if address in public or any(PUBLIC in r.needs for r in kinds):
            continue
        for raw in spellings(address):
            for method in METHODS if raw == address else ("GET", "POST", "HEAD"):
                status, body = asked(
                    county,
                    method,
                    raw,
                    {
                        **OURS,
                        "X-HTTP-Method-Override": "GET",
                        "X-Original-URL": "/login",
                        "X-Forwarded-For": "127.0.0.1",
                    },
                )
                assert status in (303, 401), (method, raw, status, body[:100])
                tried += 1
    assert tried > 1500


def test_a_signed_in_person_gets_no_further_by_spelling(county: County, as_role: Callable[[str], TestClient]) -> None:
    """What a role may not, it may not under another name either: 200 is only ever the answer to an address of the table."""
    table, tried = county.protection.table, 0
    for role in ("planner", "audit_admin", "wall"):
        cookie = f"onemap_session={token_of(as_role(role))}"
        permissions = county.roles.by_id[role].permissions
        for path, methods in served_routes(county.server.routes):
            rule = next((r for r in table.rules if r.path == path and methods & r.methods), None)
            if rule is None or rule.public or rule.allows(permissions) or "WEBSOCKET" in methods:
                continue
            for raw in spellings(address_of(path)):
                status, _ = asked(county, "GET", raw, {"cookie": cookie})
                # A spelling that leads to another row is that row's to decide; it is never this one's content.
                assert status in (400, 403, 404, 405), (role, raw, status)
                tried += 1
    assert tried > 300


@pytest.mark.parametrize(
    "header", ["Host", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Proto", "X-Original-Host", "X-Host"]
)
def test_a_forged_name_of_the_server_appears_in_no_answer(county: County, header: str) -> None:
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    for path in ("/login", "/", "/login/county", "/favicon.ico", "/receipt", "/wall/enter", "/_dash-layout"):
        client = browser(county)
        answer = client.get(path, headers={header: value, "Accept": "text/html"})
        assert "evil.example" not in answer.text + str(answer.headers), (path, header)


def test_cookies_given_twice_or_strangely_open_nothing(county: County, as_role: Callable[[str], TestClient]) -> None:
    good = token_of(as_role("planner"))
    other = "B" * 43
    for cookie in (f"onemap_session={other}", f"ONEMAP_SESSION={good}", f"onemap_session%3d{good}", f"x=onemap_session={good}", f"onemap_session={good}x",
                   f"onemap_session={good[:-1]}", f"onemap_session={good.swapcase()}", "onemap_session=" + "é" * 43, f"__Host-onemap_session={good}"):  # fmt: skip
        assert (
            asked(county, "GET", "/_dash-layout", {"cookie": cookie.encode("latin-1", "replace").decode("latin-1")})[0]
            == 401
        ), cookie
    for value in (f"Basic {good}", f"bearer{good}", f"Token {good}", "Bearer", "Bearer  "):
        assert asked(county, "GET", "/_dash-layout", {"authorization": value})[0] == 401, value


# bodies ------------------------------------------------------------------------------------------------------------------

CHUNK = b"a" * 65_536
MOST = 30 * 2**20  # a photo of a case; nothing else comes near


def test_no_body_is_read_without_end(county: County, as_role: Callable[[str], TestClient]) -> None:
    """100 MB at every address that takes a body, without and with a session: answered long before all of it was read."""
    roles = (None, "commander", "system_admin", "security_admin", "audit_admin", "data_officer")
    tokens = {role: token_of(as_role(role)) if role else None for role in roles}
    kinds = (
        "application/x-www-form-urlencoded",
        "application/json",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
    )
    for path, methods in served_routes(county.server.routes):
        for method in sorted(methods & {"POST", "PUT", "PATCH"}):
            for role, token in tokens.items():
                for kind in kinds:
                    headers = {**OURS, "content-type": kind} | ({"cookie": f"onemap_session={token}"} if token else {})
                    read = 0

                    async def endless() -> AsyncIterator[bytes]:
                        while True:
                            yield CHUNK

                    async def ask(method: str = method, path: str = path, headers: dict[str, str] = headers) -> int:
                        source = endless()
                        status = 0

                        async def receive() -> dict[str, object]:
                            nonlocal read
                            read += len(CHUNK)
                            if read > 100 * 2**20:
                                return {"type": "http.disconnect"}
                            return {"type": "http.request", "body": await anext(source), "more_body": True}

                        async def send(message: dict[str, object]) -> None:
                            nonlocal status
                            if message["type"] == "http.response.start":
                                status = int(str(message["status"]))

                        n = next(_address)
                        scope = {
                            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
                            "path": address_of(path), "raw_path": address_of(path).encode(), "query_string": b"", "root_path": "",
                            "headers": [(k.lower().encode(), v.encode()) for k, v in {"host": "testserver", **headers}.items()],
                            "client": (f"101.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 1), "server": ("testserver", 80),
                        }  # fmt: skip
                        await county.server(scope, receive, send)  # type: ignore[arg-type]
                        return status

                    status = asyncio.run(ask())
                    assert 300 <= status < 500, (method, path, role, kind, status)
                    assert read <= (MOST if role else 3 * 2**20), (method, path, role, kind, read)


def test_a_body_that_drips_is_given_up(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    paced = gate._Pace.__init__
    monkeypatch.setattr(
        gate._Pace, "__init__", lambda self, receive: paced(self, receive, grace_s=0.3, bytes_per_s=1000)
    )

    async def drip() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        begun, status = loop.time(), 0

        async def receive() -> dict[str, object]:
            await asyncio.sleep(0.05)
            return {"type": "http.request", "body": b"a", "more_body": True}

        async def send(message: dict[str, object]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))

        headers = {"host": "testserver", "content-type": "application/x-www-form-urlencoded", **OURS}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/login",
            "raw_path": b"/login", "query_string": b"", "root_path": "", "client": ("102.1.1.1", 1), "server": ("testserver", 80),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        async with asyncio.timeout(20):
            await county.server(scope, receive, send)  # type: ignore[arg-type]
        return status, loop.time() - begun

    status, _ = asyncio.run(drip())
    assert status == 408


# SQL in every field --------------------------------------------------------------------------------------------------------

INJECTIONS = [
    "' OR '1'='1", "'; DROP TABLE access.audit; --", "1 OR 1=1", "1) OR (1=1", "\\' OR 1=1 --", "' UNION SELECT login, password_hash FROM access.account --",
    "%' OR true --", "%", "_", "%%%%", "$$; SELECT pg_sleep(5); $$", "'||pg_sleep(5)||'", "${1}", "%(login)s", "%s", "{0}", "\u2019 OR 1=1", "0x31", "1e400",
    "NaN", "-1", "9" * 40, "[]", "{}", "null", "\U0001f600" * 20, "a" * 3000, "\\", "\"", "'", "''", ";", "/*", "--", "\t", "\r\n",
]  # fmt: skip
FIELDS = (
    "q",
    "login",
    "role",
    "state",
    "page",
    "action",
    "kind",
    "id",
    "since",
    "until",
    "before",
    "next",
    "at",
    "measure",
    "thing",
    "month",
    "done",
)


def test_sql_in_every_field_is_text_and_finds_nothing_more(
    county: County, as_role: Callable[[str], TestClient]
) -> None:  # fmt: skip
    pages = {
        "system_admin": ["/admin/accounts"], "security_admin": ["/admin/scopes", "/admin/sessions"], "audit_admin": ["/admin/audit"],
        "commander": ["/", "/tiles/layers.json"], None: ["/login", "/receipt", "/wall/enter"],
    }  # fmt: skip
    accounts, asked = county.owner("SELECT count(*) FROM access.account"), 0
    for role, paths in pages.items():
        signed_in = as_role(role) if role else None
        for payload in INJECTIONS:
            client = signed_in or browser(county)
            for path in paths:
                answer = client.get(path, params=dict.fromkeys(FIELDS, payload), headers={"Accept": "text/html"})
                assert answer.status_code < 500, (role, path, payload)
                asked += 1
                if path == "/admin/accounts" and len(payload.strip()) > 2:
                    assert "没有符合条件的账号" in client.get(path, params={"q": payload}).text, payload
    client = as_role("commander")
    for payload in INJECTIONS:
        for address in (
            f"/tiles/{payload}/14/1/1.mvt",
            f"/tiles/parcels/{payload}/1/1.mvt",
            f"/tiles/parcels/14/{payload}/1.mvt",
        ):
            status, _ = asked_raw(county, address, token_of(client))
            assert status in (400, 404), (address, status)
        for kind, number, field in (
            (payload, 1, "name"),
            ("person", payload, "name"),
            ("person", 1, payload),
            ("contractor", payload, "name"),
        ):
            body = {"kind": kind[:40], "id": number, "field": field[:40], "reason": "入户核实"}
            answer = client.post("/api/reveal", json=body, headers=OURS)
            assert answer.status_code in (400, 404, 429), (body, answer.status_code)
    assert county.owner("SELECT count(*) FROM access.account") == accounts
    assert county.owner("SELECT count(*) > 0 FROM access.audit") == [(True,)]
    assert asked > 200


def asked_raw(county: County, address: str, token: str) -> tuple[int, bytes]:
    return asked(county, "GET", quote(address, safe="/"), {"cookie": f"onemap_session={token}"})
