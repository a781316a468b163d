"""Following by code and a grid member's day: confirm, say no, rate; close with evidence in the field; two at once; hostile text."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

from gis.settings import Settings
from tests.case_county import PHOTO, case_county
from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.phone import Hand, Phones, hand, picture, served

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def handled(phones: Phones, **fields: object) -> tuple[str, str]:
    """A villager's report, taken by the member of its grid; number and code."""
    receipt = phones.county.report(**fields)
    phones.county.do(receipt.case_no, "accept", "planner", item="0303")
    phones.county.do(receipt.case_no, "take", "member")
    return receipt.case_no, receipt.follow_code


def row(phones: Phones, case_no: str, *columns: str) -> tuple[object, ...]:
    """The named columns of a case: state, revision, reopened, rating."""
    found = phones.county.owner("SELECT to_jsonb(c) FROM onemap.case_file c WHERE case_no = %s", [case_no])[0][0]
    return tuple(found[column] for column in columns)


def shoot(seen: Hand, photo: bytes) -> None:
    seen.page.set_input_files(
        ".sheet .tile input >> nth=0", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo}
    )
    seen.page.wait_for_selector(".sheet figure.tile")


def test_a_villager_follows_says_no_it_reopens_says_yes_and_rates(browser: Browser, phones: Phones) -> None:
    county = phones.county
    with hand(browser, phones) as seen:
        seen.start("/m/report")
        seen.write("电线杆上的灯不亮", item="道路与路灯损坏", photo=picture())
        seen.wait_states("done")
        answer = seen.page.evaluate("async () => (await phone.store.all('outbox'))[0].answer")
        case_no, code = answer["case_no"], answer["follow_code"]
        county.do(case_no, "accept", "planner", item="0303")
        county.do(case_no, "take", "member")
        county.do(case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")
        # with the code as somebody types it
        seen.page.goto(phones.base + "/m/f")
        seen.page.fill("#code", code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url(f"**/m/f/{code}")
        page = seen.page.locator(".view-follow")
        expect(page).to_contain_text("已办完，等您确认")
        expect(page).to_contain_text("换了灯泡")
        expect(page).to_contain_text("2 个工作日")  # the deadline says how it was reckoned
        expect(page).not_to_contain_text("测试")  # no names
        seen.page.click("[data-step=dispute]")
        seen.page.locator(".sheet-foot .main").click()
        expect(seen.page.locator(".faults")).to_contain_text("还没填")
        seen.page.fill("#step-note", "晚上看了，还是不亮")
        shoot(seen, picture((10, 10, 10)))
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("done", "done")
        assert row(phones, case_no, "state", "reopened") == ("handling", 1)
        expect(page).to_contain_text("正在办理")
        county.do(case_no, "feedback", "member", photos=(PHOTO,), result="换了整流器")
        seen.page.goto(phones.base + f"/m/f/{code}")
        expect(page).to_contain_text("换了整流器")
        seen.page.click("[data-step=confirm]")
        seen.page.locator(".star").nth(3).click()
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("done", "done", "done")
        expect(page).to_contain_text("已办结")
        assert row(phones, case_no, "state", "rating") == ("closed", 4)
        assert county.owner(
            "SELECT count(*) FROM onemap.case_photo p JOIN onemap.case_event e USING (event_id) WHERE e.transition = 'dispute' AND p.stage = 'confirm'"
        ) == [(1,)]
        assert (seen.console, seen.foreign) == ([], [])


def test_a_wrong_code_and_no_network_are_said(browser: Browser, phones: Phones) -> None:
    _, code = handled(phones)
    with hand(browser, phones) as seen:
        seen.start("/m/f")
        seen.page.fill("#code", "ABC")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator(".fault")).to_contain_text("10 位")
        seen.page.goto(phones.base + "/m/f/00000-00000")
        expect(seen.page.locator(".empty")).to_contain_text("没有这个查询码")
        seen.page.goto(phones.base + f"/m/f/{code}")
        expect(seen.page.locator(".view-follow")).to_contain_text("正在办理")
        seen.offline(True)
        seen.page.goto(phones.base + f"/m/f/{code}")
        expect(seen.page.locator(".stale")).to_contain_text("停在")
        expect(seen.page.locator(".view-follow")).to_contain_text("正在办理")


def test_a_member_closes_with_evidence_where_there_is_no_network(browser: Browser, phones: Phones) -> None:
    case_no, _ = handled(phones, title="井盖破损")
    place = phones.county.at(phones.county.scratch.grids[0])
    with hand(browser, phones, who="member") as seen:
        seen.start("/m")
        expect(seen.page.locator(f'[data-case="{case_no}"]')).to_contain_text("井盖破损")
        seen.page.wait_for_function(
            "async no => { const t = await phone.store.get('tasks', no); window.__kept = Boolean(t && t.card); return true }",
            arg=case_no,
        )
        for _ in range(100):  # downloaded in the background, before anybody opened it
            if seen.page.evaluate("async no => Boolean((await phone.store.get('tasks', no) || {}).card)", case_no):
                break
            seen.page.wait_for_timeout(50)
        seen.offline(True)
        seen.again()
        seen.page.goto(phones.base + f"/m/t/{case_no}")
        seen.page.locator(".thumb-steps [data-step=feedback]").click()
        seen.page.wait_for_function("() => phone.place.fix()")
        seen.page.evaluate("() => { phone.place.heading = () => 135 }")
        shoot(seen, picture())
        expect(seen.page.locator(".evidence .note")).to_contain_text("朝东南 135°")
        seen.page.fill("#field-result", "换了新井盖")
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("queued")
        expect(seen.page.locator(".view-task")).to_contain_text("已存手机")
        assert row(phones, case_no, "state") == ("handling",)
        seen.page.close()
        seen.offline(False)
        seen.page = seen.context.new_page()  # type: ignore[union-attr]
        seen.page.goto(phones.base + "/m/mine")
        seen.page.wait_for_function("() => window.phone && phone.ready")
        seen.wait_states("done")
        assert row(phones, case_no, "state") == ("feedback",)
        photo = phones.county.owner(
            "SELECT p.stage, p.azimuth_deg, p.accuracy_m, ST_X(p.geom), ST_Y(p.geom), p.taken_at IS NOT NULL FROM onemap.case_photo p JOIN onemap.case_file c "
            "USING (case_id) WHERE c.case_no = %s AND p.stage = 'after'", [case_no],
        )[0]  # fmt: skip
        assert photo == (
            "after",
            135.0,
            6.0,
            pytest.approx(place[0], abs=1e-6),
            pytest.approx(place[1], abs=1e-6),
            True,
        )


def test_a_step_whose_answer_is_lost_is_taken_once(browser: Browser, phones: Phones) -> None:
    case_no, _ = handled(phones)
    with hand(browser, phones, who="member") as seen:
        seen.start(f"/m/t/{case_no}")
        seen.page.locator(".thumb-steps [data-step=feedback]").click()
        shoot(seen, picture())
        seen.page.fill("#field-result", "好了")
        phones.trouble.path, phones.trouble.lose = "/api/cases/", 1
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("done", timeout_s=30)
        assert row(phones, case_no, "state", "revision") == ("feedback", 3)


def test_who_was_slower_sees_what_happened_and_decides(browser: Browser, phones: Phones) -> None:
    case_no, _ = handled(phones)
    with hand(browser, phones, who="member") as seen:
        seen.start(f"/m/t/{case_no}")
        seen.page.wait_for_selector(".thumb-steps")
        seen.offline(True)
        seen.page.locator(".thumb-steps [data-step=feedback]").click()
        shoot(seen, picture())
        seen.page.fill("#field-result", "我这边好了")
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("queued")
        phones.county.do(case_no, "urge", "planner", note="快一点")
        seen.offline(False)
        seen.wait_states("conflict")
        assert row(phones, case_no, "state") == ("handling",)
        seen.page.evaluate("() => phone.go('/m/mine')")
        seen.page.locator(".row[data-state=conflict] .row-open").click()
        expect(seen.page.locator(".sheet")).to_contain_text("催办")
        expect(seen.page.locator(".sheet")).to_contain_text("快一点")
        seen.page.get_by_role("button", name="再交一次").click()
        seen.wait_states("done")
        assert row(phones, case_no, "state") == ("feedback",)


def test_every_form_field_of_a_process_is_drawn_from_its_definition(browser: Browser, phones: Phones) -> None:
    case_no, _ = handled(phones)
    with hand(browser, phones, who="member") as seen:
        seen.start(f"/m/t/{case_no}")
        seen.page.get_by_role("button", name="其他办法").click()
        seen.page.locator(".sheet [data-step=request_extension]").click()
        seen.page.fill("#field-extend_days", "9")
        seen.page.locator(".sheet-foot .main").click()
        expect(seen.page.locator(".faults")).to_contain_text("不能大于 5")
        seen.page.fill("#field-extend_days", "2")
        seen.page.fill("#step-note", "等配件")
        expect(seen.page.locator(".faults")).to_be_empty()
        seen.page.locator(".sheet-foot .main").click()
        seen.wait_states("done")
        assert row(phones, case_no, "state") == ("extension",)


HANDLERS = [
    "onerror",
    "onload",
    "onfocus",
    "onmouseover",
    "onanimationstart",
    "onpointerenter",
    "ontoggle",
    "onbegin",
    "onclick",
    "onstart",
]
SHAPES = [
    "<img src=x {h}=xss()>", "<svg {h}=xss()>", "\"><script>xss()</script><i {h}=xss()>", "'-xss()-'<b {h}=xss()>", "<iframe srcdoc='<script>parent.xss()</script>' {h}=xss()>",
    "<input autofocus {h}=xss()>", "<details open {h}=xss()>", "<a href=javascript:xss() {h}=xss()>x</a>", "{{{{constructor.constructor('xss()')()}}}}{h}", "</title><script>xss()</script>{h}",
]  # fmt: skip
PAYLOADS = [shape.format(h=handler) for shape in SHAPES for handler in HANDLERS]


def test_a_hundred_hostile_texts_are_text_on_every_surface(browser: Browser, phones: Phones) -> None:
    assert len(set(PAYLOADS)) == 100
    county, kept = phones.county, []
    for n in range(10):
        some = PAYLOADS[n * 10 : n * 10 + 10]
        receipt = county.report(title=some[0][:120], detail="\n".join(some), reporter_name=some[1][:40])
        county.do(receipt.case_no, "accept", "planner", item="0303")
        county.do(receipt.case_no, "take", "member")
        county.do(receipt.case_no, "note", "planner", note="\n".join(some))
        county.do(receipt.case_no, "feedback", "member", photos=(PHOTO,), result="".join(some)[:500])
        kept.append(receipt)
    county.do(kept[0].case_no, "dispute", code=kept[0].follow_code, note=PAYLOADS[0])
    with hand(browser, phones, who="member") as seen:
        seen.page.add_init_script("window.__xss = 0; window.xss = () => { window.__xss += 1 }")
        seen.start("/m/tasks")
        shown = 0
        addresses = [
            "/m/tasks",
            "/m/notices",
            "/m/mine",
            *(f"/m/t/{r.case_no}" for r in kept),
            *(f"/m/f/{r.follow_code}" for r in kept),
        ]
        for address in addresses:
            seen.page.goto(phones.base + address)
            seen.page.wait_for_selector(".page > *")
            seen.page.wait_for_timeout(250)
            if "/t/" in address or "/f/" in address:
                expect(seen.page.locator(".said").first).to_contain_text("xss()")
                shown += seen.page.locator(".said").filter(has_text="xss()").count()
            assert (
                seen.page.evaluate(
                    "() => document.querySelectorAll('main script, main iframe, main [onerror], main [onload], main [onclick]').length"
                )
                == 0
            )
        assert shown >= 20
        # typed by the person, in drafts, in the queue, in what is asked about and in the map's words
        seen.page.goto(phones.base + "/m/report")
        seen.page.fill("#words", PAYLOADS[0])
        seen.page.wait_for_timeout(900)
        seen.page.click("#report")
        seen.page.wait_for_selector(".near, .view-mine .rows")
        seen.page.wait_for_timeout(300)
        assert seen.page.evaluate("window.__xss") == 0
        assert seen.dialogs == []
