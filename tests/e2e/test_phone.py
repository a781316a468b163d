"""Reporting from the field: without a network, with a bad one, with a closed page; nothing twice and nothing lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

from gis.settings import Settings
from tests.case_county import PASSWORD, case_county
from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.phone import Phones, hand, picture, served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.db,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's chromium"),
]


@pytest.fixture(scope="module")
def phones(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    with (
        case_county(module_store, tmp_path_factory.mktemp("keys")) as county,
        served(county, tmp_path_factory.mktemp("photos")) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def sound(phones: Phones) -> Iterator[None]:
    phones.trouble.reset()
    yield
    phones.trouble.reset()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_three_reports_without_a_network_one_pressed_twice_are_exactly_three_cases(
    browser: Browser, phones: Phones
) -> None:
    grids, before = phones.county.scratch.grids, phones.cases()
    with hand(browser, phones) as seen:
        seen.start()
        seen.offline(True)
        seen.again()  # it starts without a network too
        seen.page.goto(phones.base + "/m")
        seen.page.wait_for_selector("#report")
        seen.write("村口路灯三天不亮", item="道路与路灯损坏", photo=picture())
        seen.at(phones.county.at(grids[1]))
        seen.page.evaluate("() => phone.go('/m/report')")
        seen.page.wait_for_function("() => phone.place.fix()")
        seen.page.fill("#words", "桥头涵管塌了一块")
        seen.page.evaluate("() => { const b = document.querySelector('#report'); b.click(); b.click(); b.click() }")
        seen.page.wait_for_selector(".view-mine .rows")
        seen.at(phones.county.at(grids[2]))
        seen.write("北坑边上倒了一车垃圾", photo=picture((30, 60, 90)))
        seen.wait_states("queued", "queued", "queued")
        expect(seen.page.locator(".banner")).to_contain_text("没有网络，3 件都在手机里")
        assert seen.page.locator(".row .state").all_inner_texts() == ["已保存"] * 3
        assert phones.cases() == before
        seen.offline(False)
        seen.wait_states("done", "done", "done")
        expect(seen.page.locator(".row .state", has_text="已收到")).to_have_count(3)
        assert phones.cases() == before + 3
        rows = phones.county.owner(
            "SELECT c.title, c.channel, c.source_crs, c.accuracy_m, c.item_code, count(p.photo_id) FROM onemap.case_file c "
            "LEFT JOIN onemap.case_photo p USING (case_id) GROUP BY c.case_id ORDER BY c.case_id DESC LIMIT 3"
        )
        assert sorted(rows) == [
            ("北坑边上倒了一车垃圾", "public", "EPSG:4326", 6.0, None, 1),
            ("村口路灯三天不亮", "public", "EPSG:4326", 6.0, "0303", 1),
            ("桥头涵管塌了一块", "public", "EPSG:4326", 6.0, None, 0),
        ]
        # the receipt is on the phone: number and code, and what was sent is not kept twice
        kept = seen.page.evaluate(
            "async () => [(await phone.store.all('outbox')).map(r => [r.answer.case_no, r.answer.follow_code]), (await phone.store.all('photos')).map(p => p.bytes)]"
        )
        assert all(no.startswith("SJ") and len(code) == 11 for no, code in kept[0])
        assert kept[1] == [None, None]
        assert (seen.console, seen.foreign) == ([], [])


def test_the_same_thing_twice_by_mistake_is_asked_about_without_a_network_too(browser: Browser, phones: Phones) -> None:
    before = phones.cases()
    with hand(browser, phones, at=phones.county.at(phones.county.scratch.grids[3])) as seen:
        seen.start("/m/report")
        seen.offline(True)
        seen.write("涵管塌了")
        seen.page.evaluate("() => phone.go('/m/report')")
        seen.page.wait_for_function("() => phone.place.fix()")
        seen.page.fill("#words", "涵管塌了")
        seen.page.click("#report")
        expect(seen.page.locator(".sheet .lead")).to_contain_text("是同一件吗")
        expect(seen.page.locator(".near")).to_contain_text("还在您手机里等着发")
        seen.page.locator(".near .small").click()
        seen.wait_states("queued")
        seen.offline(False)
        seen.wait_states("done")
        assert phones.cases() == before + 1


def test_a_guess_shows_its_grounds_and_is_never_applied_by_itself(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones, at=phones.county.at(phones.county.scratch.grids[5])) as seen:
        seen.start("/m/report")
        seen.page.evaluate("""() => { const ask = phone.ask; phone.ask = (path, more) => path.startsWith('/api/suggest') ? Promise.resolve({ suggestions: [
            { item_code: '0404', item_name: '积水内涝', confidence: 0.82, because: '积水、路面' }, { item_code: '0303', item_name: '道路与路灯损坏', confidence: 0.11, because: '路' }] }) : ask(path, more) }""")
        seen.page.fill("#words", "村西路面积水")
        first = seen.page.locator(".pick").first
        expect(first).to_contain_text("积水内涝")
        expect(first).to_contain_text("很像")
        expect(first).to_have_attribute("aria-checked", "false")
        expect(seen.page.locator(".what-why")).to_contain_text("“积水”“路面”")
        expect(seen.page.locator(".report-sheet")).to_contain_text("积水内涝 82%")
        seen.press()
        seen.wait_states("done")
        assert phones.county.owner("SELECT item_code FROM onemap.case_file WHERE title = '村西路面积水'") == [(None,)]


def test_a_neighbours_report_is_offered_before_one_is_made_twice(browser: Browser, phones: Phones) -> None:
    place = phones.county.at(phones.county.scratch.grids[4])
    told = phones.county.report(title="路灯坏了", lonlat=place)
    before = phones.cases()
    with hand(browser, phones, at=place) as seen:
        seen.start("/m/report")
        seen.page.wait_for_function("() => phone.place.fix()")
        seen.page.fill("#words", "路灯不亮")
        seen.page.click("#report")
        # Other tests' cases lie here too; one told in the same words stands first.
        near = seen.page.locator(".near", has_text="道路与路灯损坏").first
        expect(near).to_be_visible()
        near.locator(".small").click()
        expect(seen.page.locator(".view-mine")).to_contain_text(told.case_no)
        assert phones.cases() == before
        assert seen.states() == []


def test_an_answer_lost_on_the_way_back_is_asked_for_again_and_not_a_second_case(
    browser: Browser, phones: Phones
) -> None:
    before = phones.cases()
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        phones.trouble.path, phones.trouble.lose = "/api/reports", 2
        seen.write("水管漏水", photo=picture())
        seen.wait_states("done", timeout_s=30)
        assert phones.cases() == before + 1
        assert phones.trouble.lose == 0
        assert phones.county.owner(
            "SELECT count(*) FROM onemap.case_photo p JOIN onemap.case_file c USING (case_id) WHERE c.title = '水管漏水'"
        ) == [(1,)]


def test_a_page_closed_while_it_sends_loses_nothing(browser: Browser, phones: Phones) -> None:
    before = phones.cases()
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        phones.trouble.path = "/api/reports"
        phones.trouble.hold.set()
        phones.trouble.lose = 1
        seen.write("井盖不见了", photo=picture())
        seen.wait_states("sending")
        while phones.cases() == before:  # the county has it, the phone does not know yet
            seen.page.wait_for_timeout(50)
        seen.again()
        phones.trouble.hold.clear()
        seen.page.goto(phones.base + "/m/mine")
        seen.page.wait_for_function("() => window.phone && phone.ready")
        seen.wait_states("done", timeout_s=30)
        expect(seen.page.locator(".row .state")).to_have_text("已收到")
        assert phones.cases() == before + 1


def test_the_worker_sends_when_no_page_is_open(browser: Browser, phones: Phones) -> None:
    before = phones.cases()
    with hand(browser, phones) as seen:
        assert seen.context is not None
        seen.start("/m/report")
        seen.offline(True)
        seen.write("护林标牌倒了", photo=picture())
        seen.wait_states("queued")
        seen.page.goto("about:blank")
        seen.offline(False)
        [worker] = seen.context.service_workers
        # what the browser's background sync calls
        left = worker.evaluate(
            "async () => { for (const r of await phone.store.all('outbox')) await phone.store.change(r.key, (x) => ({ ...x, next_at: 0 })); return (await phone.send.run({ strict: true })).left }"
        )
        assert left == 0
        assert phones.cases() == before + 1
        seen.page.goto(phones.base + "/m/mine")
        expect(seen.page.locator(".row .state")).to_have_text("已收到")


def test_a_portal_that_says_yes_to_everything_is_no_receipt(browser: Browser, phones: Phones) -> None:
    before = phones.cases()
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        phones.trouble.path = "/api/reports"
        phones.trouble.refuse = [
            (200, b"<html>Welcome to the free wifi</html>", "text/html"),
            (502, b"bad gateway", "text/plain"),
        ]
        seen.write("电线垂下来了")
        seen.wait_states("done", timeout_s=40)
        assert phones.cases() == before + 1


def test_what_is_refused_says_what_to_change_and_goes_out_changed(browser: Browser, phones: Phones) -> None:
    before = phones.cases()
    said = {
        "error": "BadRequest",
        "message": "说明里有不能保存的字符。",
        "next_step": "改掉后再提交。",
        "faults": {"detail": "不能有控制字符"},
    }
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        phones.trouble.path, phones.trouble.refuse = (
            "/api/reports",
            [(400, json.dumps(said).encode(), "application/json")],
        )
        seen.write("第一版", photo=picture())
        seen.wait_states("blocked")
        key = seen.page.evaluate("async () => (await phone.store.all('outbox'))[0].key")
        seen.page.locator(".row-open").click()
        expect(seen.page.locator(".sheet")).to_contain_text("说明里有不能保存的字符")
        expect(seen.page.locator(".sheet")).to_contain_text("不能有控制字符")
        seen.page.get_by_role("button", name="改一改").click()
        expect(seen.page.locator("#words")).to_have_value("第一版")
        expect(seen.page.locator(".shot-caption")).to_be_visible()
        seen.page.fill("#words", "第二版")
        seen.press()
        seen.wait_states("done")
        assert seen.page.evaluate("async () => (await phone.store.all('outbox'))[0].key") == key
        assert phones.cases() == before + 1
        assert phones.county.owner("SELECT count(*) FROM onemap.case_file WHERE title = '第二版'") == [(1,)]


def test_too_fast_waits_as_long_as_the_county_asks(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        phones.trouble.path = "/api/reports"
        phones.trouble.refuse = [
            (
                429,
                json.dumps({"error": "TooManyRequests", "message": "太快了", "next_step": ""}).encode(),
                "application/json",
            )
        ]
        seen.write("树倒在路上")
        expect(seen.page.locator(".row .state")).to_have_text("稍等再发")
        seen.wait_states("done", timeout_s=30)


def test_a_session_that_ended_keeps_the_report_for_whoever_made_it(browser: Browser, phones: Phones) -> None:
    county, before = phones.county, phones.cases()
    member = county.people["member"].account_id
    with hand(browser, phones, who="member") as seen:
        assert seen.context is not None
        seen.start("/m")
        seen.page.wait_for_selector(".view-tasks")
        seen.offline(True)
        seen.write("渠边护栏断了")
        county.owner("UPDATE access.session SET ended_at = now() WHERE ended_at IS NULL")
        seen.offline(False)
        seen.wait_states("signin")
        assert phones.cases() == before
        expect(seen.page.locator(".view-mine")).to_contain_text("登录后发")
        # somebody else signs in on this phone: it is not theirs
        seen.context.add_cookies([phones.cookie("cadre")])  # type: ignore[list-item]
        seen.page.goto(phones.base + "/m/mine")
        seen.page.wait_for_function("() => phone.me.known")
        expect(seen.page.locator(".row .state")).to_have_text("别的账号")
        assert phones.cases() == before
        seen.context.add_cookies([phones.cookie("member")])  # type: ignore[list-item]
        seen.page.goto(phones.base + "/m/mine")
        seen.wait_states("done")
        assert county.owner("SELECT reporter_id, channel FROM onemap.case_file ORDER BY case_id DESC LIMIT 1") == [
            (member, "grid")
        ]


def test_a_photo_leaves_the_phone_small_and_without_its_position(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        seen.page.set_input_files(".album input", {"name": "old.jpg", "mimeType": "image/jpeg", "buffer": picture()})
        seen.page.wait_for_selector(".shot-caption")
        expect(seen.page.locator(".shot-caption")).to_contain_text("朝东南 135°")
        photo = seen.page.evaluate("""async () => { const [p] = await phone.store.all('photos');
            const text = new TextDecoder('latin1').decode(p.bytes);
            return [p.width, p.height, p.taken_at, p.lonlat, p.azimuth_deg, text.includes('Exif'), p.bytes.byteLength] }""")
        assert photo[:2] == [1600, 1200]
        assert photo[2].startswith("2026-11-20T02:41:00")
        assert photo[3] == pytest.approx([115.03608, 37.20311], abs=1e-4)
        assert photo[4:6] == [135, False]


def test_the_draft_survives_a_closed_page(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        seen.page.set_input_files(".shutter input", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture()})
        seen.page.wait_for_selector(".shot-caption")
        seen.page.fill("#words", "写了一半")
        expect(seen.page.locator(".saved")).to_contain_text("已存")
        seen.page.wait_for_timeout(400)
        seen.again()
        seen.page.goto(phones.base + "/m/report")
        expect(seen.page.locator("#words")).to_have_value("写了一半")
        expect(seen.page.locator(".shot-caption")).to_be_visible()
        assert seen.states() == ["draft"]


def test_a_full_phone_is_said_and_the_draft_stays(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        seen.page.fill("#words", "手机满了")
        expect(seen.page.locator(".saved")).to_contain_text("已存")
        seen.page.evaluate(
            "() => { phone.store.put = async () => { throw new DOMException('full', 'QuotaExceededError') } }"
        )
        seen.page.click("#report")
        seen.page.wait_for_selector(".near, #say .bad")
        if seen.page.locator(".near").count():
            seen.page.locator(".sheet-foot .main").click()
        expect(seen.page.locator("#say")).to_contain_text("手机存储满了")
        expect(seen.page.locator("#words")).to_have_value("手机满了")
        assert seen.states() == ["draft"]


def test_the_pin_is_moved_by_hand_by_key_and_without_a_map(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        seen.page.wait_for_function("() => phone.place.fix()")
        seen.page.context.route("**/vendor/maplibre-gl.js*", lambda r: r.abort())
        seen.page.fill("#words", "移一移")
        expect(seen.page.locator(".where")).to_contain_text("位置精确到 6 米")
        expect(seen.page.locator(".saved")).to_contain_text("已存")
        before = seen.page.evaluate("async () => (await phone.store.all('outbox'))[0].lonlat")
        seen.page.locator(".where").click()
        pin = seen.page.locator(".sheet .pin:visible").first
        pin.focus()
        for _ in range(5):
            pin.press("ArrowRight")
        seen.page.get_by_role("button", name="就是这里").click()
        expect(seen.page.locator(".where")).to_contain_text("位置由您指定")
        seen.page.wait_for_timeout(400)
        after = seen.page.evaluate(
            "async () => { const [r] = await phone.store.all('outbox'); return [r.lonlat, r.accuracy_m, r.by_hand] }"
        )
        assert after[0][0] > before[0]
        assert after[0][1] == pytest.approx(before[1], abs=1e-6)
        assert after[1:] == [None, True]


def test_keys_reach_everything_and_twice_the_type_breaks_nothing(browser: Browser, phones: Phones) -> None:
    with hand(browser, phones, is_mobile=False, has_touch=False) as seen:
        seen.start("/m/report")
        seen.page.wait_for_selector(".where .link:not(:empty)")
        reached = set()
        for _ in range(25):
            seen.page.keyboard.press("Tab")
            reached.add(
                seen.page.evaluate(
                    "() => { const e = document.activeElement; return e.id || e.className || e.type || e.tagName }"
                )
            )
        assert {"report", "words", "pick", "mic", "where"} <= {r.split()[0] for r in reached}
        for path in ("/m/report", "/m/mine", "/m/f"):
            seen.page.evaluate("path => phone.go(path)", path)
            seen.page.wait_for_timeout(300)
            seen.page.evaluate("() => document.documentElement.style.setProperty('font-size', '32px')")
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390, path
            seen.page.evaluate("() => document.documentElement.style.removeProperty('font-size')")
        sizes = seen.page.evaluate("""() => { phone.go('/m/report'); return new Promise(d => setTimeout(() => d([...document.querySelectorAll('button, a, .choose, summary')]
            .filter(e => e.offsetParent && !e.closest('.map')).map(e => { const r = e.getBoundingClientRect(); return [e.className || e.tagName, Math.round(r.width), Math.round(r.height)] })), 500)) }""")
        assert [s for s in sizes if s[2] < 48 or s[1] < 44] == []
        assert {s[0]: s[2] for s in sizes}["main"] >= 56


def test_who_signs_in_on_a_phone_that_was_nobodys_comes_to_their_tasks(browser: Browser, phones: Phones) -> None:
    """By the login itself, which knows a phone; and by /m, whose kept page was a stranger's a moment ago."""
    name = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/124.0 Mobile Safari/537.36"
    with hand(browser, phones, user_agent=name) as seen:
        seen.start()
        seen.page.wait_for_url("**/m/report")
        seen.page.goto(phones.base + "/login")
        seen.page.fill("#login", "member")
        seen.page.fill("#password", PASSWORD)
        seen.page.click("#enter")
        seen.page.wait_for_url("**/m/tasks")
        expect(seen.page.locator(".view-tasks h1")).to_have_text("待办任务")
        seen.page.goto(phones.base + "/m")
        seen.page.wait_for_url("**/m/tasks")
        assert seen.console == []


@pytest.mark.parametrize(("begun", "view"), [(False, "tasks"), (True, "report")])
def test_a_slow_answer_to_who_is_there_takes_no_begun_report_away(
    browser: Browser, phones: Phones, begun: bool, view: str
) -> None:
    """The page of a stranger is drawn while the county is slow; the member's tasks follow, unless a report was begun."""
    with hand(browser, phones) as seen:
        seen.start()
        seen.page.wait_for_url("**/m/report")
        assert seen.context is not None
        seen.context.add_cookies([phones.cookie("member")])  # type: ignore[list-item]
        held: list[Any] = []
        seen.context.route("**/m/me", lambda route: held.append(route))
        seen.page.goto(phones.base + "/m")
        seen.page.wait_for_selector("#words")
        if begun:
            seen.page.fill("#words", "井盖没了")
        seen.page.wait_for_function("() => !phone.me.known")
        assert held
        for one in held:
            one.continue_()
        seen.page.wait_for_function("() => phone.me.known && phone.me.account")
        seen.page.wait_for_selector(f".view-{view}")
        assert seen.page.url.endswith(f"/m/{view}")
        if begun:
            expect(seen.page.locator("#words")).to_have_value("井盖没了")
