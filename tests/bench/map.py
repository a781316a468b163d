"""Benchmark of the first map: first useful paint, each drill step, memory; a real browser, no GPU, the county as built."""

from __future__ import annotations

import os
import statistics
from typing import Any

from gis.access.principal import Principal, current
from gis.settings import Settings
from gis.store.pool import Pool
from tests.bench.report import Figure

RUNS = 5
STEPS = ("county_township", "township_village", "village_grid", "grid_village", "village_township", "township_county")
_NAMES = {"county_township": "县 → 乡镇", "township_village": "乡镇 → 村", "village_grid": "村 → 网格",
          "grid_village": "网格 → 村（返回）", "village_township": "村 → 乡镇（返回）", "township_county": "乡镇 → 县（返回）"}  # fmt: skip


def run(settings: Settings) -> list[Figure]:
    """Measure the map of the store `settings` names.

    A step counts from the click until breadcrumb and figures are on screen, the flight is over and every tile is
    drawn (``onemap.marks``, set by the page itself). First useful paint: from the start of navigation until the county
    is coloured and its figures stand beside it, with an empty cache, signed in already.
    """
    try:
        from tests.commander import cookie, enrol
        from tests.e2e.browser import CHROMIUM, chromium, serving, watched
    except ImportError as e:
        return [_not(f"playwright: {e}")]
    if not os.path.exists(CHROMIUM):
        return [_not("没有 chromium：apt-get install chromium")]
    # Whoever measures sees the whole county. The commander is added to this store and stays there.
    principal = enrol(settings)
    routes = _routes(settings, principal)
    if not routes:
        return [_not("库里没有可下钻的区划")]
    firsts: list[float] = []
    steps: dict[str, list[float]] = {name: [] for name in STEPS}
    shown: list[float] = []
    with serving(settings) as server, chromium() as browser:
        session = cookie(server.base)
        for n in range(RUNS):
            with watched(browser, server.base, session=session) as seen:
                seen.open("/")
                mark = seen.page.evaluate("onemap.marks.at(-1)")
                firsts.append(mark["painted"])  # performance.now() counts from the start of navigation
                township, village, grid = routes[n % len(routes)]
                for name, code in zip(STEPS, (township, village, grid, village, township, None), strict=True):
                    seen.page.wait_for_timeout(400)
                    if name in STEPS[:3]:
                        mark = _click(seen, str(code))
                    else:
                        mark = seen.after(lambda page=seen.page: page.keyboard.press("Escape"))
                    steps[name].append(mark["painted"] - mark["asked"])
                    shown.append(mark["shown"] - mark["asked"])
        memory = server.memory_mb()
    figures = [
        Figure(
            "首次可用画面，中位",
            _s(statistics.median(firsts)),
            "s",
            3.0,
            note=f"{RUNS} 次，空缓存；最慢 {_s(max(firsts))} s",
        ),
        *(
            Figure(
                f"下钻一步 {_NAMES[name]}，中位",
                _s(statistics.median(values)),
                "s",
                1.0,
                note=f"最慢 {_s(max(values))} s",
            )
            for name, values in steps.items()
        ),
        Figure("面包屑与数据更新，p95", _s(sorted(shown)[int(0.95 * (len(shown) - 1))]), "s", 1.0),
        Figure("网页进程内存峰值", round(memory), "MB", 400),
    ]
    return figures


def _click(seen: Any, code: str) -> dict[str, Any]:
    """Click the child on the map where it is really on top; a case's mark over it would be chosen instead."""
    x, y = seen.page.evaluate(
        """code => { const map = onemap.map, r = document.getElementById('map').getBoundingClientRect();
        const s = map.scene.children[code].seat, p = map.leaflet.latLngToContainerPoint([s[1], s[0]]);
        for (let d = 0; d < 60; d += 6) for (const [i, j] of [[0, d], [d, 0], [0, -d], [-d, 0], [d, d], [-d, -d]]) {
          const at = map.leaflet.containerPointToLatLng([p.x + i, p.y + j]), q = map.gl.project([at.lng, at.lat]);
          const has = layers => map.gl.queryRenderedFeatures([[q.x - 8, q.y - 8], [q.x + 8, q.y + 8]], { layers });
          if (has(['incident', 'facility', 'resource']).length) continue;
          if (map.gl.queryRenderedFeatures(q, { layers: ['child-hit'] }).some(f => f.properties.code === code)) return [r.x + p.x + i, r.y + p.y + j];
        }
        return [r.x + p.x, r.y + p.y] }""",
        code,
    )
    seen.page.mouse.click(x, y)
    seen.page.wait_for_function("code => onemap.place.at === code", arg=code)
    mark: dict[str, Any] = seen.settle()
    return mark


def _routes(settings: Settings, principal: Principal) -> list[tuple[str, str, str]]:
    """Choose one village in each of some townships, the one with the most parcels, and its first grid: the heaviest views."""
    pool = Pool(settings, size=1)
    pool.open()
    asking = current.set(principal)  # the pool reads as somebody: nobody sees no parcels
    try:
        with pool.reading() as conn:
            rows = conn.execute(
                "SELECT DISTINCT ON (v.parent_code) v.parent_code AS township, v.code AS village, min(g.code) AS grid "
                "FROM onemap.division_now v JOIN onemap.division_now g ON g.parent_code = v.code "
                "LEFT JOIN onemap.parcel_summary s ON s.grid_code = g.code WHERE v.level = 3 "
                "GROUP BY v.parent_code, v.code ORDER BY v.parent_code, sum(s.parcels) DESC NULLS LAST"
            ).fetchall()
    finally:
        current.reset(asking)
        pool.close()
    return [(r["township"], r["village"], r["grid"]) for r in rows]


def _s(milliseconds: float) -> float:
    return round(milliseconds / 1000, 2)


def _not(why: str) -> Figure:
    return Figure("首次可用画面", None, "s", 3.0, note=why)
