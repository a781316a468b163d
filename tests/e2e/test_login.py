"""Signing in as people do it: on a phone, with a session that ends under an open page, at a machine that others use too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from gis.settings import Settings
from gis.store.engine import connect
from tests.e2e.browser import CHROMIUM, chromium, watched
from tests.security.conftest import PASSWORD, County, county  # noqa: F401
from tests.security.live import live

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.db,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's chromium"),
]
PHONE = {"width": 390, "height": 844, "device_scale_factor": 2, "has_touch": True}
_seen: list[tuple[str, str | None]] = []


@pytest.fixture(scope="module")
def base(county: County) -> Iterator[str]:  # noqa: F811
    with live(county, seen=_seen) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def enter(page: Page, login: str, password: str = PASSWORD) -> None:
    page.fill("#login", login)
    page.fill("#password", password)
    page.click("#enter")
    page.wait_for_load_state()


def test_the_login_fits_a_phone_and_loads_nothing_from_elsewhere(browser: Browser, base: str) -> None:
    with watched(browser, base, **PHONE) as seen:
        page = seen.page
        page.goto(base + "/login")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for field in ("#login", "#password", "#enter"):
            box = page.locator(field).bounding_box()
            assert box is not None
            assert box["height"] >= 48
            assert box["y"] + box["height"] < 844
        size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('#login')).fontSize)")
        assert size >= 16  # below that a phone zooms in
        assert page.get_attribute("#login", "autocomplete") == "username"
        assert page.get_attribute("#password", "autocomplete") == "current-password"
        assert (seen.console, seen.foreign, seen.failed) == ([], [], [])


def test_the_password_can_be_shown_and_caps_lock_is_noticed(browser: Browser, base: str) -> None:
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        press = "(on) => document.querySelector('#password').dispatchEvent(new KeyboardEvent('keydown', {key: 'A', modifierCapsLock: on}))"
        expect(page.locator("#caps")).to_be_hidden()
        page.evaluate(press, True)
        expect(page.locator("#caps")).to_be_visible()
        page.evaluate(press, False)
        expect(page.locator("#caps")).to_be_hidden()
        page.fill("#password", "geheim")
        page.click("[data-show=password]")
        assert page.get_attribute("#password", "type") == "text"
        page.click("[data-show=password]")
        assert page.get_attribute("#password", "type") == "password"


def test_the_way_back_leads_to_what_was_asked_for(browser: Browser, base: str) -> None:
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/?at=130529100&measure=population")
        assert "/login?next=" in page.url
        enter(page, "planner", "Falsch-2026-tu")
        expect(page.locator("[role=alert]")).to_be_visible()
        assert page.input_value("#login") == "planner"
        enter(page, "planner")
        assert page.url.startswith(base + "/?at=130529100&measure=population")


def test_a_session_that_ends_under_an_open_page_leads_to_the_login_and_back(
    browser: Browser,
    base: str,
    county: County,  # noqa: F811
) -> None:
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "analyst")
        page.goto(base + "/?at=130529101")
        seen.settle()
        county.owner("UPDATE access.session SET ended_at = now() WHERE ended_at IS NULL")
        page.fill("#search", "东")
        page.wait_for_url(re.compile(r"/login\?expired=1"))
        expect(page.locator(".note-plain")).to_contain_text("过期")
        enter(page, "analyst")
        assert page.url == base + "/?at=130529101"
        seen.settle()


def test_nothing_is_left_for_the_next_person_at_this_machine(browser: Browser, base: str) -> None:
    tile = "/tiles/divisions/9/419/198.mvt"
    ask = f"async () => {{ const a = await fetch('{tile}'); return [a.status, a.headers.get('cache-control')] }}"
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "commander")
        status, kept = page.evaluate(ask)
        assert status in (200, 204)
        asked = _seen.count((tile, "commander"))
        if "max-age" in kept and "max-age=0" not in kept:
            # the same person is answered from the browser's own cache: it does keep this tile
            page.evaluate(ask)
            assert _seen.count((tile, "commander")) == asked
        page.goto(base + "/")
        page.goto(base + "/login?again=1")  # signed in still: another person takes over without signing out
        enter(page, "planner")
        page.evaluate(ask)
        assert (tile, "planner") in _seen
        page.goto(base + "/password")
        page.evaluate(
            "() => { const f = document.createElement('form'); f.method = 'post'; f.action = '/logout'; document.body.append(f); f.submit() }"
        )
        page.wait_for_url(re.compile(r"/login\?out=1"))
        page.go_back()
        page.wait_for_load_state()
        assert "/login" in page.url
        assert page.evaluate(ask)[0] == 401


def test_three_administrators_have_three_doors(browser: Browser, base: str) -> None:
    doors = {"system.admin": ["账号", "流程"], "security.admin": ["角色与范围", "会话与设备"], "audit.admin": ["审计"]}
    for login, tabs in doors.items():
        with watched(browser, base) as seen:
            page = seen.page
            page.goto(base + "/login")
            enter(page, login)
            assert page.locator(".office-tabs a").all_inner_texts() == tabs
            assert (seen.console, seen.foreign, seen.failed) == ([], [], [])


def test_an_account_is_made_given_a_scope_and_its_owner_sets_a_password(browser: Browser, base: str) -> None:
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "system.admin")
        page.locator("details.act > summary").first.click()
        page.fill("#new-login", "zhang.san")
        page.fill("#new-name", "张三")
        page.select_option("#new-role", "planner")
        page.fill("#new-reason", "新到岗")
        page.get_by_role("button", name="新建，并生成临时密码").click()
        given = page.locator("#given").inner_text()
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "security.admin")
        page.get_by_role("link", name="张三").click()
        page.fill("#division", "130529100")
        page.fill("#why-grant", "分管甲镇")
        page.get_by_role("button", name="授予", exact=True).click()
        expect(page.locator(".note-good")).to_contain_text("范围已授予")
        expect(page.locator("main")).to_contain_text("甲镇")
    with watched(browser, base, **PHONE) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "zhang.san", given)
        assert "/login/password" in page.url
        page.goto(base + "/")
        assert "/login" in page.url  # half-way in is not in
        page.goto(base + "/login/password")
        page.fill("#password", "Xin-mima-2026")
        page.fill("#repeat", "Xin-mima-2027")
        page.click("#enter")
        expect(page.locator("[role=alert]")).to_contain_text("不一样")
        page.fill("#password", "Xin-mima-2026")
        page.fill("#repeat", "Xin-mima-2026")
        page.click("#enter")
        page.wait_for_url(base + "/")


def test_the_audit_is_read_verified_and_exported(browser: Browser, base: str) -> None:
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "audit.admin")
        page.select_option("#action", "sign_in")
        page.get_by_role("button", name="查找").click()
        actions = set(page.locator("td[data-label=做了什么] .sub").all_inner_texts())
        assert actions
        assert all(a == "sign_in" or a.startswith("sign_in.") for a in actions)
        page.get_by_role("button", name="核验全部记录").click()
        expect(page.locator(".note-good")).to_contain_text("全部对得上")
        page.fill("#why-export", "季度检查")
        with page.expect_download() as download:
            page.get_by_role("button", name="导出 CSV").click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert text.startswith("序号,时间,账号")
        page.goto(base + "/admin/audit?action=audit")
        expect(page.locator("tbody")).to_contain_text("季度检查")
        expect(page.locator("tbody")).to_contain_text("audit.verified")


def out_of_reach(store: Settings, *, away: bool) -> None:
    """Take the store away under everybody, or give it back: connections are cut and no new ones are let in."""
    with connect(store, role="admin", database="postgres", autocommit=True) as conn:
        conn.execute(f'ALTER DATABASE "{store.db_name}" ALLOW_CONNECTIONS {not away}'.encode())
        if away:
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [store.db_name])


def test_a_store_that_goes_away_under_an_open_page_is_said_and_comes_back(
    browser: Browser, base: str, county: County  # noqa: F811
) -> None:  # fmt: skip
    with watched(browser, base) as seen:
        page = seen.page
        page.goto(base + "/login")
        enter(page, "planner")
        seen.settle()
        name = page.inner_text("#crumbs")
        try:
            out_of_reach(county.settings, away=True)
            # Somebody acts: the page stays, says so in Chinese, and since when what it shows is old.
            page.evaluate("onemap.refresh()")
            toast = page.locator("#toast.shown.bad")
            expect(toast).to_be_visible(timeout=15_000)
            expect(toast).to_contain_text(re.compile(r"连不上"))
            expect(toast).to_contain_text(re.compile(r"屏幕上是 \d\d:\d\d 的数据"))
            assert page.inner_text("#crumbs") == name
            assert page.url.startswith(base + "/?") or page.url == base + "/", "nobody is sent to the login"
            # Whoever comes now is told the same, and not let in.
            refused = page.context.request.get(base + "/_dash-layout")
            assert (refused.status, refused.json()["error"]) == (503, "StoreUnavailable")
            expect(toast).to_be_visible()
        finally:
            out_of_reach(county.settings, away=False)
        # By itself, with nobody touching anything.
        expect(page.locator("#toast.shown.good")).to_contain_text("已重新连上", timeout=25_000)
        assert page.context.request.get(base + "/_dash-layout").status == 200
        seen.settle()
        assert page.inner_text("#crumbs") == name


def test_an_idle_page_notices_that_the_store_is_away(browser: Browser, base: str, county: County) -> None:  # noqa: F811
    with watched(browser, base) as seen:
        page = seen.page
        # A beat every second instead of thirty.
        page.add_init_script(
            "(() => { const every = window.setInterval.bind(window);"
            " window.setInterval = (f, ms, ...more) => every(f, ms === 30000 ? 1000 : ms, ...more); })()"
        )
        page.goto(base + "/login")
        enter(page, "planner")
        seen.settle()
        try:
            out_of_reach(county.settings, away=True)
            expect(page.locator("#toast.shown.bad")).to_contain_text(
                re.compile(r"屏幕上是 \d\d:\d\d 的数据"), timeout=15_000
            )
        finally:
            out_of_reach(county.settings, away=False)
        expect(page.locator("#toast.shown.good")).to_be_visible(timeout=25_000)
