"""The first map in a real browser: drilling, the address, coming back, finding, a card, a phone, an absent server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as PlaywrightError

from gis.settings import Settings
from tests.commander import cookie, enrol
from tests.e2e.browser import CHROMIUM, Served, Session, Watched, chromium, free_port, serving, watched
from tests.scratch_county import Scratch, build_scratch

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.db,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's chromium"),
]


# A pixel near the middle where a parcel of this grid lies and no case's mark over it.
PARCEL_IN_SIGHT = """() => {
  const { leaflet, gl, scene } = onemap.map, r = document.getElementById('map').getBoundingClientRect();
  const [w, s, e, n] = scene.bounds, p = leaflet.latLngToContainerPoint([(s + n) / 2, (w + e) / 2]);
  for (let d = 0; d < 120; d += 4) {
    const at = leaflet.containerPointToLatLng([p.x + 30, p.y + d]), q = gl.project([at.lng, at.lat]);
    const near = [[q.x - 8, q.y - 8], [q.x + 8, q.y + 8]];
    if (gl.queryRenderedFeatures(near, { layers: ['incident', 'facility'] }).length) continue;
    if (gl.queryRenderedFeatures(q, { layers: ['parcel-fill'] }).length) return [r.x + p.x + 30, r.y + p.y + d];
  }
  throw new Error('no parcel in sight');
}"""


@pytest.fixture(scope="module")
def made(module_store: Settings) -> Scratch:
    scratch = build_scratch(module_store, townships=3, villages=3, grids=2, strips=14)
    enrol(module_store)
    return scratch


@pytest.fixture(scope="module")
def server(module_store: Settings, made: Scratch) -> Iterator[Served]:
    with serving(module_store) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def session(server: Served) -> Session:
    # One for the module: the gate counts attempts to sign in.
    return cookie(server.base)


@pytest.fixture
def seen(browser: Browser, server: Served, session: Session) -> Iterator[Watched]:
    with watched(browser, server.base, session=session) as opened:
        yield opened
        assert opened.foreign == []
        assert opened.console == []
        assert opened.failed == []


def test_drill_from_the_county_to_a_parcel_by_clicking_and_back(seen: Watched, made: Scratch) -> None:
    page = seen.page
    seen.open("/")
    assert seen.crumbs == ["测试县"]
    drawn = page.evaluate("[...new Set(onemap.map.gl.queryRenderedFeatures().map(f => f.layer.id))]")
    assert {"child-fill", "kids", "county-line", "trunk"} <= set(drawn)
    expect(page.locator("#figures h1")).to_have_text("测试县")
    seen.click(made.townships[1])
    assert f"at={made.townships[1]}" in page.url
    assert seen.crumbs == ["测试县", "乙乡"]
    expect(page.locator("#ranking-head h2")).to_have_text("3 个村")
    village = f"{made.townships[1]}202"
    seen.click(village)
    assert seen.crumbs[2] == "西定村"
    expect(page.locator("#ranking-head h2")).to_have_text("2 个网格")
    grid = f"{village}001"
    seen.click(grid)
    assert seen.crumbs[3] == "第1网格"
    assert page.locator("#page").get_attribute("data-mode") == "land"
    x, y = page.evaluate(PARCEL_IN_SIGHT)
    seen.after(lambda: page.mouse.click(x, y))
    expect(page.locator("#card .card-sub")).to_contain_text("130529")
    assert re.search(r"parcel=\d{19}", page.url)
    assert page.evaluate("onemap.map.gl.querySourceFeatures('thing').length") > 0
    for expected in ([*seen.crumbs], seen.crumbs[:3], seen.crumbs[:2], seen.crumbs[:1]):
        seen.after(page.go_back)
        assert seen.crumbs == expected
    seen.after(page.go_forward)
    assert seen.crumbs == ["测试县", "乙乡"]


def test_the_map_is_never_remounted(seen: Watched, made: Scratch) -> None:
    seen.open("/")
    seen.page.evaluate(
        "document.getElementById('map').dataset.mine = 'yes'; window.firstCanvas = onemap.map.gl.getCanvas()"
    )
    seen.click(made.townships[0])
    seen.after(seen.page.go_back)
    assert seen.page.evaluate(
        "document.getElementById('map').dataset.mine === 'yes' && onemap.map.gl.getCanvas() === window.firstCanvas"
    )


def test_a_link_restores_everything_in_a_fresh_browser(seen: Watched, made: Scratch) -> None:
    grid = made.grids[0]
    seen.open(
        f"/?at={grid}&parcel={made.parcel_code}&measure=overdue&layers=choropleth,parcels,pbf,names,ground&fade=60"
    )
    page = seen.page
    expect(page.locator("#card .card-sub")).to_have_text(re.compile(r"130529 \d{3} \d{3} \d{2} \d{5}"))
    expect(page.locator(".figure-here")).to_have_attribute("data-measure", "overdue")
    shown = page.evaluate("Object.keys(onemap.layers).filter(k => onemap.layers[k]).sort()")
    assert shown == ["choropleth", "ground", "names", "parcels", "pbf"]
    assert page.evaluate("onemap.opacity") == 60
    assert page.evaluate("onemap.map.gl.getLayoutProperty('road', 'visibility')") == "none"
    page.click("#layers-button")
    expect(page.get_by_label("道路")).not_to_be_checked()
    expect(page.get_by_label("永久基本农田", exact=True)).to_be_checked()
    page.get_by_label("道路").check()
    page.wait_for_url(re.compile("roads"))
    assert page.evaluate("onemap.map.gl.getLayoutProperty('road', 'visibility')") == "visible"


def test_escape_goes_up_one_level_at_a_time(seen: Watched, made: Scratch) -> None:
    seen.open(f"/?at={made.grids[0]}&parcel={made.parcel_code}")
    expect(seen.page.locator("#card article")).to_be_visible()
    steps = []
    for _ in range(4):
        seen.after(lambda: seen.page.keyboard.press("Escape"))
        steps.append((len(seen.crumbs), seen.page.locator("#card article").count()))
    assert steps == [(4, 0), (3, 0), (2, 0), (1, 0)]


def test_search_by_keyboard_finds_and_goes(seen: Watched, made: Scratch) -> None:
    seen.open("/")
    page = seen.page
    page.keyboard.press("/")
    page.keyboard.type("yx")
    expect(page.locator(".result").first).to_contain_text("乙乡")
    page.keyboard.press("Enter")
    page.wait_for_function("() => onemap.place.at === '130529101'")
    seen.settle()
    assert seen.crumbs == ["测试县", "乙乡"]
    page.keyboard.press("/")
    page.keyboard.type(made.parcel_code)
    expect(page.locator(".result").first).to_contain_text("地块")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#card .card-sub")).to_be_visible()
    seen.settle()
    page.keyboard.press("/")
    page.keyboard.type("没有的地方")
    expect(page.locator(".search-note")).to_contain_text("没有找到")


def test_table_and_map_light_each_other_and_a_row_is_a_way_in(seen: Watched, made: Scratch) -> None:
    seen.open("/")
    page = seen.page
    code = made.townships[2]
    page.mouse.move(*seen.spot(code))
    expect(page.locator(f'#ranking .ag-row[row-id="{code}"]')).to_have_class(re.compile("lit"))
    expect(page.locator("#callout strong")).to_have_text("丙镇")
    row = page.locator(f'#ranking .ag-row[row-id="{made.townships[0]}"]')
    row.hover()
    expect(page.locator("#callout strong")).to_have_text("甲镇")
    assert page.evaluate(
        f"onemap.map.gl.getFeatureState({{source: 'divisions', sourceLayer: 'divisions', id: '{made.townships[0]}'}}).hover"
    )
    row.click()
    page.wait_for_function(f"() => onemap.place.at === '{made.townships[0]}'")
    seen.settle()
    assert seen.crumbs == ["测试县", "甲镇"]


def test_another_measure_colours_the_map_and_the_legend_counts_every_child(seen: Watched) -> None:
    seen.open("/")
    page = seen.page
    seen.after(lambda: page.click('.figure[data-measure="overdue"]'))
    expect(page.locator("#map-title .title-classes h2")).to_contain_text("超期")
    assert "measure=overdue" in page.url
    counts = [int(x) for x in page.locator(".legend-classes .legend-line b").all_inner_texts()]
    assert sum(counts) == 3


def test_a_lost_graphics_context_is_rebuilt(seen: Watched, made: Scratch) -> None:
    seen.open("/")
    page = seen.page
    page.evaluate("onemap.map.gl.painter.context.gl.getExtension('WEBGL_lose_context').loseContext()")
    page.wait_for_function(
        "() => onemap.map.rebuilt === 1 && onemap.map.ready"
        " && onemap.map.gl.queryRenderedFeatures({layers: ['child-fill']}).length > 0"
    )
    seen.click(made.townships[1])
    assert seen.crumbs == ["测试县", "乙乡"]
    assert page.evaluate("onemap.map.gl.queryRenderedFeatures({layers: ['child-fill']}).length") > 0


def test_an_english_page_and_a_way_back_to_chinese(seen: Watched) -> None:
    seen.open("/?lang=en")
    page = seen.page
    expect(page.locator("#ranking-head h2")).to_have_text("3 townships")
    seen.after(lambda: page.click('.figure[data-measure="incidents"]'))
    assert "lang=en" in page.url
    page.click(".tag-language")
    page.wait_for_function("() => window.onemap && onemap.config && onemap.config.language === 'zh'")
    seen.settle()
    expect(page.locator("#ranking-head h2")).to_have_text("3 个乡镇")
    assert "measure=incidents" in page.url


def test_a_code_that_is_not_in_use_is_said_with_a_way_out(seen: Watched) -> None:
    page = seen.page
    page.goto(seen.base + "/?at=999999999")
    expect(page.locator("#figures")).to_contain_text("没有这个区划")
    page.click("#figures [data-home]")
    expect(page.locator("#figures h1")).to_have_text("测试县")


def test_a_phone_has_a_map_and_a_sheet(browser: Browser, server: Served, session: Session, made: Scratch) -> None:
    phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with watched(browser, server.base, width=390, height=844, session=session, **phone) as seen:
        seen.open("/")
        page = seen.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator("#figures h1")).to_be_visible()
        page.tap(".tab-right")
        row = page.locator(f'#ranking .ag-row[row-id="{made.townships[1]}"]')
        expect(row).to_be_visible()
        row.tap()
        page.wait_for_function(f"() => onemap.place.at === '{made.townships[1]}'")
        seen.settle()
        assert seen.crumbs == ["测试县", "乙乡"]
        page.tap(".sheet-tabs [data-drawer]")
        expect(page.locator("#right")).to_be_hidden()
        assert seen.console == []


def test_a_tablet_folds_both_panels_into_drawers(browser: Browser, server: Served, session: Session) -> None:
    with watched(browser, server.base, width=1024, height=768, session=session) as seen:
        seen.open("/")
        page = seen.page
        expect(page.locator("#left")).to_be_hidden()
        page.click('[data-drawer="left"]')
        expect(page.locator("#figures h1")).to_be_visible()
        page.click('#top [data-drawer="right"]')
        expect(page.locator("#ranking-head h2")).to_be_visible()
        expect(page.locator("#left")).to_be_hidden()


def test_an_absent_server_is_said_and_the_page_recovers(
    browser: Browser, module_store: Settings, session: Session, made: Scratch
) -> None:
    port = free_port()
    with serving(module_store, port=port) as first, watched(browser, first.base, session=session) as seen:
        seen.open("/")
        page = seen.page
        first.process.terminate()
        first.process.wait(10)
        page.evaluate(f"onemap.go({{at: '{made.townships[0]}'}})")
        expect(page.locator("#toast")).to_contain_text("连不上")
        with serving(module_store, port=port):
            # The page asks by itself too: the button may go away under the hand that reaches for it.
            with suppress(PlaywrightError):
                page.get_by_role("button", name="现在重试").click(timeout=3000)
            expect(page.locator("#toast")).to_contain_text("已重新连上")
            seen.settle()
            assert seen.crumbs == ["测试县", "甲镇"]
