"""Signing in and out: what a session is worth, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
from starlette.testclient import TestClient

from dashboard.http.answers import safe_next
from tests.security.conftest import OURS, PASSWORD, County, browser, sign_in, token_of

pytestmark = pytest.mark.db


def test_a_right_password_opens_the_map(county: County, anybody: TestClient) -> None:
    answer = sign_in(anybody, "planner", next="/?at=130529100")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?at=130529100")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert anybody.get("/", headers={"Accept": "text/html"}).status_code == 200


def test_an_administrator_starts_at_the_administration(anybody: TestClient) -> None:
    assert sign_in(anybody, "audit.admin").headers["location"] == "/login"
    assert anybody.get("/login").headers["location"] == "/admin"
    assert anybody.get("/admin").headers["location"] == "/admin/audit"


def test_wrong_and_unknown_are_told_the_same(anybody: TestClient) -> None:
    wrong = sign_in(anybody, "planner", "Falsch-2026-tu")
    unknown = sign_in(anybody, "nobody.here", "Falsch-2026-tu")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("planner", "X") == unknown.text.replace("nobody.here", "X")
    assert "set-cookie" not in wrong.headers


def test_no_session_that_was_there_before_survives_a_sign_in(county: County) -> None:
    # Fixation: a token planted by somebody else must not become a signed-in one.
    planted = "A" * 43
    victim = browser(county)
    victim.cookies.set("onemap_session", planted, domain="testserver.local", path="/")
    sign_in(victim, "planner")
    assert token_of(victim) != planted
    attacker = browser(county)
    attacker.cookies.set("onemap_session", planted, domain="testserver.local", path="/")
    assert attacker.get("/_dash-layout").status_code == 401


def test_signing_in_again_ends_the_session_before(county: County, as_role: Callable[[str], TestClient]) -> None:
    client = as_role("planner")
    first = token_of(client)
    sign_in(client, "planner")
    replay = browser(county)
    replay.cookies.set("onemap_session", first, domain="testserver.local", path="/")
    assert replay.get("/_dash-layout").status_code == 401
    assert client.get("/_dash-layout").status_code == 200


def test_a_captured_session_is_worth_nothing_after_sign_out(
    county: County, as_role: Callable[[str], TestClient]
) -> None:
    client = as_role("system_admin")
    captured = token_of(client)
    left = client.post("/logout", headers=OURS)
    assert (left.status_code, left.headers["location"]) == (303, "/login?out=1")
    assert "cache" in left.headers["clear-site-data"]
    before = county.owner("SELECT count(*) FROM access.account")
    replay = browser(county)
    replay.cookies.set("onemap_session", captured, domain="testserver.local", path="/")
    form = {"login": "ghost", "display_name": "鬼", "role": "analyst", "reason": "重放"}
    answers = [replay.post("/admin/accounts", data=form, headers=OURS).status_code for _ in range(5)]
    assert answers == [401] * 5
    assert county.owner("SELECT count(*) FROM access.account") == before


def test_a_change_of_role_ends_what_was_open(county: County, as_role: Callable[[str], TestClient]) -> None:
    member, guard = as_role("handler"), as_role("security_admin")
    assert member.get("/_dash-layout").status_code == 200
    number = county.numbers["handler"]
    for role in ("analyst", "handler"):
        form = {"action": "role", "role": role, "reason": "调岗"}
        changed = guard.post(f"/admin/scopes/{number}", data=form, headers=OURS)
        assert changed.headers["location"] == f"/admin/scopes/{number}?done=role"
        assert member.get("/_dash-layout").status_code == 401


def test_a_disabled_account_is_out_at_once(county: County, as_role: Callable[[str], TestClient]) -> None:
    member, office = as_role("dispatcher"), as_role("system_admin")
    number = county.numbers["dispatcher"]
    office.post(f"/admin/accounts/{number}", data={"action": "disable", "reason": "离职"}, headers=OURS)
    assert member.get("/_dash-layout").status_code == 401
    assert sign_in(browser(county), "dispatcher").status_code == 401
    office.post(f"/admin/accounts/{number}", data={"action": "enable", "reason": "返聘"}, headers=OURS)
    assert sign_in(browser(county), "dispatcher").status_code == 303


def test_guessing_has_to_wait_and_is_told_how_long(county: County) -> None:
    guesser = TestClient(county.server, client=("198.51.100.7", 1), follow_redirects=False)
    answers = [sign_in(guesser, "commander", f"Falsch-2026-{n}") for n in range(8)]
    statuses = [a.status_code for a in answers]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "data-seconds" in answers[-1].text
    # Even the right password waits now: otherwise the wait would tell that it was right.
    assert sign_in(guesser, "commander", PASSWORD).status_code == 429
    # Its owner, elsewhere, is not kept out by somebody else's guessing.
    assert (
        sign_in(TestClient(county.server, client=("203.0.113.9", 1), follow_redirects=False), "commander").status_code
        == 303
    )


def test_unknown_accounts_take_as_long_as_known_ones(county: County) -> None:
    # Ratio of medians, generous: without the work done for nothing it is about 1 : 5.
    def took(login: str, n: int) -> float:
        client = TestClient(county.server, client=(f"192.0.2.{n}", 1), follow_redirects=False)
        start = perf_counter()
        sign_in(client, login, "Falsch-2026-tu")
        return perf_counter() - start

    took("planner", 1), took("nobody", 2)
    known = median(took("grid.member", 10 + n) for n in range(9))
    unknown = median(took(f"nobody{n}", 50 + n) for n in range(9))
    assert 0.5 < known / unknown < 2


ELSEWHERE = [
    "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\\/evil.example",
    "http:evil.example", "javascript:alert(1)", "/\t/evil.example", "\t//evil.example", "/%09/evil.example", "/%2f/evil.example",
    "/%5cevil.example", "%2f%2fevil.example", "/%252f/evil.example", "/\r\nSet-Cookie:a=b", "/%0d%0aSet-Cookie:a=b", " //evil.example",
    "/login?next=https://evil.example", "/logout", "data:text/html,x", "evil.example", "?next=//evil", "/" + "a" * 3000, "/\u0000",
]  # fmt: skip


@pytest.mark.parametrize("asked", ELSEWHERE)
def test_nobody_is_led_elsewhere_after_signing_in(asked: str) -> None:
    assert safe_next(asked) == "/"


@pytest.mark.parametrize(
    "asked", ["/", "/?at=130529100", "/admin/audit?login=a&action=sign_in", "/?measure=a%20b", "/?q=%E5%A0%A4%E6%9D%91"]
)
def test_the_way_back_is_kept(asked: str) -> None:
    assert safe_next(asked) == asked


def test_the_login_itself_refuses_to_lead_elsewhere(county: County) -> None:
    for asked in ELSEWHERE:
        answer = sign_in(browser(county), "analyst", next=asked)
        assert answer.headers.get("location", "/login") == "/login", asked
        assert answer.status_code in (303, 400), asked
