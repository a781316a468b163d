"""The county's identity provider over the web: there, back, and in; a return nobody left for is refused."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
import requests
from starlette.testclient import TestClient

from dashboard.app import create_app
from gis.access import accounts
from gis.access.rules import AccessRules
from gis.store.engine import connect
from tests.integration.oidc_server import CLIENT, SECRET, serving
from tests.security.conftest import County

pytestmark = pytest.mark.db


def test_there_and_back(county: County) -> None:
    rules = AccessRules.load(county.settings.data)
    with connect(county.settings, role="owner") as conn:
        accounts.add(conn, login="wang.min", display_name="王敏", role="analyst", rules=rules, reason="测试")
    with serving() as provider:
        settings = county.settings.model_copy(
            update={"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET,
                    "oidc_login_claim": "preferred_username"}
        )  # fmt: skip
        app = create_app(settings)
        with TestClient(app, follow_redirects=False, client=("10.8.8.8", 1)) as client:
            assert "用县统一身份登录" in client.get("/login").text

            def leave(next_: str) -> str:
                there = client.get("/login/county", params={"next": next_}).headers["location"]
                assert there.startswith(provider.issuer)
                back = urlsplit(requests.get(there, allow_redirects=False, timeout=10).headers["location"])
                return f"{back.path}?{back.query}"

            back = leave("/?at=130529100")
            entered = client.get(back)
            assert (entered.status_code, entered.headers["location"]) == (303, "/?at=130529100")
            assert client.get("/_dash-layout").status_code == 200
            assert client.get(back).status_code == 401, "a return is good once"
            client.cookies.clear()
            assert client.get(leave("//evil.example")).headers["location"] == "/login"
            client.cookies.clear()
            forged = client.get("/login/county/return", params={"code": "x", "state": "y"})
            assert forged.status_code == 401
            assert "onemap_session" not in client.cookies


def test_without_a_provider_the_door_says_so(county: County, anybody: TestClient) -> None:
    answer = anybody.get("/login/county?next=" + quote("/"))
    assert answer.status_code == 404
    assert "没有接入" in answer.text
    assert "用县统一身份登录" not in anybody.get("/login").text
