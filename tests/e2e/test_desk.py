"""The desk: finding, taking steps, two people at once, many at once, handing over, any process, and nothing that runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

from gis.settings import Settings
from tests.case_county import CaseCounty, case_county
from tests.e2e.browser import CHROMIUM, chromium
from tests.e2e.desk import desk, with_subsidy
from tests.e2e.phone import Phones, served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.db,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's chromium"),
]


@pytest.fixture(scope="module")
def phones(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    folder = tmp_path_factory.mktemp("desk")
    with case_county(with_subsidy(module_store, folder), folder) as county, served(county, folder / "photos") as made:
        yield made


@pytest.fixture(scope="module")
def county(phones: Phones) -> CaseCounty:
    return phones.county


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_a_filter_is_an_address_and_the_address_shows_the_same_to_a_colleague(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    lamps = [county.report("member", title=f"路灯不亮第{n}处", item_code="0303").case_no for n in range(3)]
    county.report("member", title="水管漏水", item_code="0301")
    with desk(browser, phones, "dispatcher", "/desk?view=waiting") as one:
        assert len(one.numbers) >= 4
        one.page.locator("#desk-filter-item summary").click()
        one.page.locator("[data-choose='item'][data-code='0303']").click()
        one.page.keyboard.press("Escape")
        one.page.locator("#desk-search").fill("路灯不亮第")
        expect(one.page.locator("#desk-pager")).to_contain_text("共 3 件")
        one.page.locator(".desk-grid .ag-header-cell[col-id='no']").click()
        one.page.wait_for_function("() => location.search.includes('sort=case_no')")
        one.page.locator(".desk-grid .ag-header-cell[col-id='no']").click()
        one.page.wait_for_function("() => location.search.includes('sort=-case_no')")
        one.drawn()
        assert one.numbers == sorted(lamps, reverse=True)
        address = one.page.url.removeprefix(one.base)
        assert all(part in address for part in ("view=waiting", "item=0303", "sort=-case_no"))
        assert (one.console, one.failed, one.foreign) == ([], [], [])
    with desk(browser, phones, "commander", address) as two:
        assert two.numbers == sorted(lamps, reverse=True)
        expect(two.page.locator("#desk-search")).to_have_value("路灯不亮第")
        two.page.locator(f".ag-center-cols-container .ag-row[row-id='{lamps[0]}']").click()
        expect(two.page.locator("#desk-card")).to_contain_text(lamps[0])
        two.page.go_back()
        expect(two.page.locator("#desk-card")).not_to_be_visible()
        assert two.numbers == sorted(lamps, reverse=True)


def test_what_is_elsewhere_looks_like_what_is_nowhere(browser: Browser, phones: Phones, county: CaseCounty) -> None:
    case_no = county.report("member").case_no
    with (
        desk(browser, phones, "planner2", f"/desk/{case_no}") as theirs,
        desk(browser, phones, "planner2", "/desk/SJ2026010199999") as nowhere,
    ):
        here, there = theirs.page.locator("#desk-card").inner_text(), nowhere.page.locator("#desk-card").inner_text()
        assert here.replace(case_no, "N") == there.replace("SJ2026010199999", "N")
        assert "没有找到" in here
    with desk(browser, phones, "planner2", f"/desk?text={case_no}&view=all") as list_of:
        assert list_of.numbers == []


def test_a_step_asks_for_what_it_needs_and_the_card_says_how_the_deadline_came_about(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    case_no = county.report(
        None, title="污水外溢", item_code=None, reporter_name="李老四", reporter_phone="13812345678"
    ).case_no
    with desk(browser, phones, "planner", f"/desk?case={case_no}") as page:
        expect(page.page.locator("#desk-card")).to_contain_text("受理后开始计时")
        expect(page.page.locator("#desk-card")).not_to_contain_text("13812345678")
        expect(page.page.locator("#desk-card")).to_contain_text("138****5678")
        dialog = page.take("accept")
        dialog.locator("[data-send]").click()
        expect(dialog.locator("[data-field='item'] .field-fault")).to_have_text("请填写")
        assert county.state(case_no) == "reported"
        dialog.locator("[data-select='item'] select").select_option("0303")
        expect(dialog.locator("[data-field='item'] .field-fault")).to_be_empty()
        dialog.locator("[data-template]").first.click()
        dialog.locator("[data-send]").click()
        expect(page.toast()).to_contain_text("受理：已办")
        expect(page.page.locator(".case-due")).to_contain_text("工作日")
        expect(page.page.locator(".timeline li").first).to_contain_text("受理")
        expect(page.page.locator(".timeline li").first).to_contain_text("测试planner")
        assert county.state(case_no) == "accepted"
        assert (page.console, page.failed, page.foreign) == ([], [], [])


def test_who_is_typed_and_not_picked_is_never_dropped(browser: Browser, phones: Phones, county: CaseCounty) -> None:
    one = county.add("picked", "handler", county.scratch.county, unit="swj")
    case_no = county.report("member", item_code="0301").case_no
    with desk(browser, phones, "planner", f"/desk?case={case_no}") as page:
        dialog = page.take("accept")
        expect(dialog.locator("[data-select='item'] select")).to_have_value("0301")
        dialog.locator("[data-send]").click()
        expect(page.toast()).to_contain_text("受理：已办")
        dialog = page.take("assign")
        unit, person = (dialog.locator(f"[data-field='{name}'] input[role='combobox']") for name in ("unit", "person"))
        unit.click()
        expect(dialog.locator(".pick-head").first).to_have_text("与本件有关")
        unit.fill("没有的单位")
        person.fill("测试pick")
        dialog.locator("[data-send]").click()
        expect(dialog.locator("[data-field='unit'] .field-fault")).to_contain_text("“没有的单位”还没有选定")
        expect(dialog.locator("[data-field='person'] .field-fault")).to_contain_text("“测试pick”还没有选定")
        unit.fill("水务")
        unit.press("Enter")
        expect(unit).to_have_value("县水务局")
        person.fill("测试picked")
        person.press("Enter")  # before the answer has come: taken when it is the only one
        expect(dialog.locator("[data-field='person'] input[type='hidden']")).to_have_value(str(one.account_id))
        unit.fill("县")
        unit.press("ArrowDown")
        unit.press("ArrowDown")
        expect(dialog.locator(".walked")).to_have_count(1)
        unit.press("Escape")
        expect(dialog).to_be_visible()
        unit.fill("水务")
        unit.press("ArrowDown")
        unit.press("Enter")
        dialog.locator("[data-send]").click()
        expect(page.toast()).to_contain_text("派单：已办")
        assert county.owner("SELECT assignee_id FROM onemap.case_file WHERE case_no = %s", [case_no]) == [
            (one.account_id,)
        ]
        assert (page.console, page.failed, page.foreign) == ([], [], [])


def test_a_planned_page_says_that_it_is_not_there_yet(browser: Browser, phones: Phones) -> None:
    with desk(browser, phones, "commander") as page:
        for address, words in (("/wall", "指挥大屏还没有建好"), ("/wall?lang=en", "not built yet")):
            answer = page.page.goto(page.base + address)
            assert answer is not None
            assert answer.status == 404
            expect(page.page.locator("main")).to_contain_text(words)
        assert page.page.locator("main a").get_attribute("href") == "/?lang=en"


def test_a_step_taken_by_mistake_is_taken_back(browser: Browser, phones: Phones, county: CaseCounty) -> None:
    case_no = county.report("member").case_no
    county.do(case_no, "accept", "planner", item="0303")
    with desk(browser, phones, "planner", f"/desk?case={case_no}") as page:
        dialog = page.take("assign")
        dialog.locator("[data-select='unit'] select").select_option("swj")
        dialog.locator("[data-send]").click()
        expect(page.toast()).to_contain_text("派单：已办")
        page.toast().get_by_role("button", name="撤回").click()
        expect(page.toast()).to_contain_text("已撤回")
        assert county.state(case_no) == "accepted"


def test_two_at_once_get_one_winner_and_one_clear_message(browser: Browser, phones: Phones, county: CaseCounty) -> None:
    case_no = county.report("member").case_no
    with (
        desk(browser, phones, "planner", f"/desk?case={case_no}") as first,
        desk(browser, phones, "dispatcher", f"/desk?case={case_no}") as second,
    ):
        dialogs = [page.take("accept") for page in (first, second)]
        for dialog in dialogs:
            dialog.locator("[data-select='item'] select").select_option("0303")
        dialogs[0].locator("[data-send]").click()
        expect(first.toast()).to_contain_text("已办")
        dialogs[1].locator("[data-send]").click()
        expect(second.toast()).to_contain_text("测试planner")
        expect(second.toast()).to_contain_text("已为您刷新")
        expect(second.page.locator(".dialog")).to_have_count(0)
        expect(second.page.locator(".case-head")).to_contain_text("分类受理")
        assert second.failed == [f"409 {second.base}/api/cases/{case_no}/accept"]
    accepted = county.owner(
        "SELECT count(*) FROM onemap.case_event JOIN onemap.case_file USING (case_id) WHERE case_no = %s AND transition = 'accept'",
        [case_no],
    )
    assert accepted == [(1,)]


def test_many_at_once_say_how_many_first_and_what_became_of_each(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    numbers = [county.report("member", title=f"成批第{n}件").case_no for n in range(12)]
    with desk(browser, phones, "planner", "/desk?view=waiting&text=成批第") as page:
        assert len(page.numbers) == 12
        page.page.locator(".ag-header-cell[col-id='ag-Grid-SelectionColumn'] input").click()
        expect(page.page.locator("#desk-bulk-bar")).to_contain_text("已选 12 件")
        page.page.locator("[data-bulk='accept']").click()
        dialog = page.page.locator(".dialog")
        dialog.locator("[data-select='item'] select").select_option("0303")
        county.do(numbers[5], "accept", "dispatcher", item="0301")  # meanwhile, elsewhere
        dialog.locator("[data-send]").click()
        expect(dialog.locator(".dialog-said")).to_contain_text("将对 12 件分别“受理”")
        assert county.state(numbers[0]) == "reported"
        dialog.locator("[data-send]").click()
        expect(dialog.locator(".bulk-done")).to_contain_text("办成 11 / 12 件", timeout=20_000)
        failed = dialog.locator(".bulk-done li.failed")
        expect(failed).to_have_count(1)
        expect(failed).to_contain_text(numbers[5])
        expect(failed).to_contain_text("测试dispatcher")
        dialog.get_by_text("关闭").click()
        expect(page.page.locator("#desk-empty")).to_contain_text("没有")
    assert {county.state(no) for no in numbers} == {"accepted"}


def test_a_case_taken_down_at_the_desk_seals_who_called_and_offers_what_may_be_the_same(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    lon, lat = county.at(county.scratch.grids[2])
    there = county.report("stranger_member", title="先报的这件", lonlat=(lon, lat)).case_no
    with desk(browser, phones, "dispatcher") as page:
        page.page.keyboard.press("n")
        dialog = page.page.locator(".dialog-new")
        dialog.locator("[data-field='title'] input").fill("热线说路灯坏了")
        place = dialog.locator("[data-input='point'] input")
        place.fill(f"{lon + 0.0002},{lat}")
        place.press("Tab")
        expect(dialog.locator(".near-here")).to_contain_text(there)
        dialog.locator("[data-field='reporter_name'] input").fill("赵大爷")
        dialog.locator("[data-field='reporter_phone'] input").fill("13900001111")
        dialog.locator("[data-send]").click()
        expect(dialog.locator(".receipt")).to_contain_text("已登记 SJ")
        expect(dialog.locator(".receipt-code")).to_have_text(re.compile(r"查询码 [0-9A-Z]{5}-?[0-9A-Z]{5}"))
        dialog.locator(".control-main").click()
        expect(page.page.locator("#desk-card")).to_contain_text("139****1111")
    stored = county.owner("SELECT c.channel, r.phone_enc IS NOT NULL, strpos(row_to_json(c)::text, '13900001111') FROM onemap.case_file c "
                          "JOIN personal.reporter r USING (case_id) WHERE c.title = '热线说路灯坏了'")  # fmt: skip
    assert stored == [("hotline", True, 0)]


def test_everything_of_one_who_leaves_goes_over_at_once(browser: Browser, phones: Phones, county: CaseCounty) -> None:
    leaver, taker = (
        county.add("leaver", "handler", county.scratch.county, unit="swj"),
        county.add("taker", "handler", county.scratch.county, unit="swj"),
    )
    numbers = []
    for n in range(3):
        numbers.append(county.report("member", title=f"交接第{n}件").case_no)
        county.do(numbers[-1], "accept", "planner", item="0301")
        county.do(numbers[-1], "assign", "planner", unit="swj", person=leaver.account_id)
    with desk(browser, phones, "dispatcher", "/desk/handover") as page:
        for name, who in (("from", "测试leaver"), ("to", "测试taker")):
            page.page.locator(f"[data-field='{name}'] input[type='text']").fill(who)
            page.page.locator(f"[data-field='{name}'] [data-person]").first.click()
        page.page.locator("[data-preview]").click()
        expect(page.page.locator("[data-field='reason'] .field-fault")).to_have_text("请填写")
        page.page.locator("[data-field='reason'] textarea").fill("岗位调整")
        page.page.locator("[data-preview]").click()
        expect(page.page.locator("#desk-leaving")).to_contain_text("3 件")
        page.page.locator("[data-handover]").click()
        assert county.owner("SELECT count(*) FROM onemap.case_file WHERE assignee_id = %s", [taker.account_id]) == [
            (0,)
        ]  # asked once more
        page.page.locator("[data-handover]").click()
        expect(page.page.locator("#desk-leaving-said")).to_contain_text("已交接 3 件")
    assert county.owner(
        "SELECT count(*) FROM onemap.case_file WHERE assignee_id = %s AND case_no = ANY (%s)",
        [taker.account_id, numbers],
    ) == [(3,)]
    assert county.owner("SELECT count(*) FROM access.audit WHERE action = 'case.handover'") == [(1,)]
    with desk(browser, phones, "member", "/desk") as other:
        expect(other.page.locator(".desk-tabs")).not_to_contain_text("交接")
        other.page.goto(other.base + "/desk/handover")
        assert "403" in " ".join(other.failed)


def test_a_process_dropped_in_as_a_file_has_its_board_and_its_forms(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    with desk(browser, phones, "planner", "/desk?process=subsidy&show=board") as page:
        expect(page.page.locator(".board-column h3").first).to_contain_text("申请")
        page.page.keyboard.press("n")
        dialog = page.page.locator(".dialog-new")
        dialog.locator("[data-field='title'] input").fill("张三的补贴")
        dialog.locator("[data-option='seed']").click()
        dialog.locator("[data-field='amount'] input").fill("800")
        dialog.locator("[data-field='id_number'] input").fill("130529197001011234")
        dialog.locator("[data-send]").click()
        expect(dialog.locator(".receipt")).to_contain_text("已登记 BT")
        dialog.locator("[data-cancel]").click()
        expect(page.page.locator("[data-state='applied'] .board-card")).to_contain_text("张三的补贴")
        page.page.locator("[data-state='applied'] .board-card").click()
        expect(page.page.locator(".case-facts")).to_contain_text("良种补贴")
        expect(page.page.locator(".case-facts")).not_to_contain_text("130529197001011234")


def test_the_keyboard_alone_finds_opens_walks_and_goes_back(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    for n in range(3):
        county.report("member", title=f"键盘第{n}件")
    with desk(browser, phones, "planner", "/desk?view=waiting") as page:
        keys = page.page.keyboard
        keys.press("/")
        keys.type("键盘第")
        expect(page.page.locator("#desk-pager")).to_contain_text("共 3 件")
        keys.press("Escape")
        keys.press("j")
        keys.press("j")
        keys.press("Enter")
        second = page.numbers[1]
        expect(page.page.locator("#desk-card")).to_contain_text(second)
        keys.press("k")
        expect(page.page.locator("#desk-card")).to_contain_text(page.numbers[0])
        keys.press("x")
        expect(page.page.locator("#desk-bulk-bar")).to_contain_text("已选 1 件")
        keys.press("Escape")
        expect(page.page.locator("#desk-card")).not_to_be_visible()
        assert "case=" not in page.page.url


def test_the_map_knows_the_desk_and_is_not_touched_by_it(browser: Browser, phones: Phones) -> None:
    with desk(browser, phones, "planner", "/desk") as page:
        assert page.page.locator("script[src*='20-map']").count() == 0
        page.page.locator(".desk-tabs a").first.click()
        page.page.wait_for_function(
            "() => window.onemap && onemap.marks && onemap.marks.length && onemap.marks.at(-1).painted !== null"
        )
        assert page.page.locator("script[src*='80-desk']").count() == 0
        page.page.locator(".to-desk").click()
        page.drawn()
        assert page.page.url == page.base + "/desk"
        assert (page.console, page.foreign) == ([], [])


PAYLOADS = [
    "<script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "<svg onload=window.pwned=1>", "\"><script>window.pwned=1</script>",
    "'><img src=x onerror=window.pwned=1>", "<iframe srcdoc='<script>parent.pwned=1</script>'>", "<a href=javascript:window.pwned=1>x</a>", "javascript:window.pwned=1",
    "<details open ontoggle=window.pwned=1>", "<body onload=window.pwned=1>", "{{constructor.constructor('window.pwned=1')()}}", "${window.pwned=1}",
    "</title><script>window.pwned=1</script>", "</textarea><script>window.pwned=1</script>", "<math><mtext><img src=x onerror=window.pwned=1>",
    "<input autofocus onfocus=window.pwned=1>", "<video><source onerror=window.pwned=1>", "<style>@import'data:,*{x:expression(window.pwned=1)}'</style>",
    "<object data=javascript:window.pwned=1>", "<embed src=javascript:window.pwned=1>", "<form action=javascript:window.pwned=1><button autofocus>",
    "<marquee onstart=window.pwned=1>", "<select autofocus onfocus=window.pwned=1>", "&#60;img src=x onerror=window.pwned=1&#62;", "<img/src=x/onerror=window.pwned=1>",
]  # fmt: skip
WRAPS = ["{}", "灯坏了{}请来修", "{}" + "\u2028", "\u202e{}"]


def test_nothing_that_people_write_runs_on_any_surface_of_the_desk(
    browser: Browser, phones: Phones, county: CaseCounty
) -> None:
    texts = [wrap.format(payload)[:110] for wrap in WRAPS for payload in PAYLOADS]
    assert len(texts) == 100
    at = county.at(county.scratch.grids[3])
    numbers = [
        county.report("stranger_member", title=text, detail=text, lonlat=at, item_code="0302").case_no for text in texts
    ]
    evil = numbers[1]
    county.owner("UPDATE onemap.unit SET name = %s WHERE unit = 'gdgs' RETURNING 1", [PAYLOADS[1]])
    county.do(evil, "accept", "planner", item="0302", note=" ".join(PAYLOADS[:12]))
    county.do(evil, "assign", "planner", unit="gdgs", note=" ".join(PAYLOADS[12:]))
    county.do(evil, "suspend", "dispatcher", pause_reason="other", until="2026-12-01", note=PAYLOADS[2])
    with desk(browser, phones, "commander", "/desk?item=0302&sort=case_no") as page:
        run = page.page.evaluate

        def untouched() -> None:
            page.page.wait_for_timeout(60)
            assert run("window.pwned") is None
            assert (
                run(
                    "document.querySelectorAll('#desk script, #desk iframe, #desk object, #desk embed, #desk math, #desk video').length"
                )
                == 0
            )
            assert run("document.querySelectorAll('#desk img[src=x], #desk a[href^=javascript]').length") == 0

        for at_page in (1, 2):
            run("n => onemap.desk.go({page: n, item: '0302', sort: 'case_no'})", at_page)
            page.drawn()
            page.page.evaluate("onemap.desk.grid().ensureIndexVisible(onemap.desk.rows().length - 1)")
            untouched()
        for number in numbers:
            page.show(number)
            assert run("document.querySelector('.case h2').textContent.length") > 0
        untouched()
        page.show(evil)
        expect(page.page.locator(".timeline")).to_contain_text("onerror")
        page.take("note")
        untouched()
        page.page.keyboard.press("Escape")
        page.page.locator("[data-compare]").first.click()
        expect(page.page.locator(".compare")).to_be_visible()
        untouched()
        page.page.keyboard.press("Escape")
        page.page.locator("#desk-filter-unit summary").click()
        untouched()
        for path in (
            "/desk?item=0302&show=board",
            f"/desk/{evil}",
            "/desk/reports?period=year",
            "/desk?text=" + PAYLOADS[1].replace(" ", "%20"),
            "/desk?view=<svg/onload=window.pwned=1>",
        ):
            page.open(path)
            untouched()
        run("document.title")
        assert [w for w in page.console if "Content Security Policy" in w] == []
