"""The county's identity provider over the web: there, back, and in; a return nobody left for is refused."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest
import requests
from httpx2 import Response
from starlette.testclient import TestClient

from dashboard.app import create_app
from gis.access import accounts
from gis.access.rules import AccessRules
from gis.store.engine import connect
from tests.integration.oidc_server import CLIENT, SECRET, serving
from tests.security.conftest import OURS, County

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


def test_a_stranger_is_told_what_to_do_and_can_be_taken_in(
    county: County, as_role: Callable[[str], TestClient]
) -> None:
    with serving() as provider:
        provider.claims = {"sub": "777", "name": "<b>李红</b>", "preferred_username": "li.hong"}
        settings = county.settings.model_copy(
            update={"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET,
                    "oidc_login_claim": "preferred_username"}
        )  # fmt: skip
        with TestClient(create_app(settings), follow_redirects=False, client=("10.8.8.9", 1)) as client:

            def arrive() -> Response:
                there = client.get("/login/county").headers["location"]
                back = urlsplit(requests.get(there, allow_redirects=False, timeout=10).headers["location"])
                return client.get(f"{back.path}?{back.query}")

            refused = arrive()
            assert refused.status_code == 401
            assert "还没有您的账号" in refused.text
            assert "onemap_session" not in client.cookies
            arrive()
            office = as_role("system_admin")
            page = office.get("/admin/accounts").text
            assert "等待开通" in page
            assert "&lt;b&gt;李红&lt;/b&gt;" in page
            assert "2 次" in page
            assert as_role("security_admin").get("/admin/scopes").text.count("李红") == 0
            number = page.split('name="request" value="')[1].split('"')[0]
            form = {"action": "adopt", "request": number, "login": "li.hong", "display_name": "李红", "role": "analyst"}
            assert office.post("/admin/accounts", data=form, headers=OURS).status_code == 400, "no reason, no account"
            admin = form | {"role": "audit_admin", "login": "li.hong.2", "reason": "核实"}
            assert office.post("/admin/accounts", data=admin, headers=OURS).status_code == 403
            assert arrive().status_code == 401
            made = office.post("/admin/accounts", data=form | {"reason": "当面核实"}, headers=OURS)
            assert made.headers["location"].endswith("?done=adopted")
            assert "等待开通" not in office.get("/admin/accounts").text
            again = office.post("/admin/accounts", data=form | {"login": "li.hong.3", "reason": "再来"}, headers=OURS)
            assert again.status_code == 404
            assert county.owner("SELECT count(*) FROM access.account WHERE login = 'li.hong.3'") == [(0,)]
            assert arrive().headers["location"] == "/login"
            assert client.get("/_dash-layout").status_code == 200
            provider.claims = {"sub": "778", "name": "赵", "preferred_username": "zhao"}
            arrive()
            number = office.get("/admin/accounts").text.split('name="request" value="')[1].split('"')[0]
            office.post(
                "/admin/accounts", data={"action": "refuse", "request": number, "reason": "不是本县的"}, headers=OURS
            )
            arrive()
            assert "等待开通" not in office.get("/admin/accounts").text, "turned away stays turned away"


def test_the_list_of_strangers_is_bounded(county: County) -> None:
    with connect(county.settings, role="app") as conn:
        noted = [
            conn.execute("SELECT access.identity_unknown(%s, NULL, %s)", [f"x#{n}", "甲" * 500]).fetchone()
            for n in range(203)
        ]
        too_long = conn.execute("SELECT access.identity_unknown(%s, NULL, NULL)", ["x" * 401]).fetchone()
        conn.rollback()
    assert noted.count((True,)) <= 200
    assert noted[-1] == too_long == (False,)


def test_without_a_provider_the_door_says_so(county: County, anybody: TestClient) -> None:
    answer = anybody.get("/login/county?next=" + quote("/"))
    assert answer.status_code == 404
    assert "没有接入" in answer.text
    assert "用县统一身份登录" not in anybody.get("/login").text
