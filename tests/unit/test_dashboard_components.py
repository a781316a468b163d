"""Presenters without a browser: pages compared as data."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from dash._utils import to_json

from dashboard.components import cards, figures, legend, ranking, topbar
from dashboard.components.scene import scene
from dashboard.headers import policy
from dashboard.pages import layout
from dashboard.text import Catalogue, catalogue
from gis.divisions.cards import Thing
from gis.divisions.disclosure import SUPPRESSED
from gis.divisions.measures import MEASURES, classify
from gis.divisions.reading import Division, Month, Place, Step
from gis.divisions.summary import Figures
from gis.settings import Settings

T = catalogue("zh")
LANGUAGES = pytest.mark.parametrize("t", [catalogue("zh"), catalogue("en")], ids=["zh", "en"])


def child(n: int, **changed: Any) -> Division:
    f = Figures(households=100, population=400, area_m2=2e6, grids=2, parcels=50, parcel_m2=1e6, farmland_m2=8e5,
                pbf_m2=1e5 * n, high_standard_m2=5e5, incidents=n, open=n, overdue=n // 2, facilities=1, monitored=5)  # fmt: skip
    code = f"13052910{n}"
    return Division(
        code, 2, f"第{n}镇", f"第{n}镇", "130529", replace(f, **changed), (115.0, 37.0, 115.1, 37.1), (115.05, 37.05)
    )


def place(*children: Division, level: int = 1) -> Place:
    own = Figures(households=300, population=1200, area_m2=6e6, parcels=150, parcel_m2=3e6, farmland_m2=2.4e6, pbf_m2=6e5,
                  high_standard_m2=1.5e6, incidents=7, open=6, overdue=2, monitored=SUPPRESSED)  # fmt: skip
    steps = (
        (Step("130529", "巨鹿县", 1, ()),)
        if level == 1
        else (
            Step("130529", "巨鹿县", 1, ()),
            Step("130529101", "一镇", 2, (("130529101", "一镇"), ("130529102", "二镇"))),
        )
    )
    division = Division(
        steps[-1].code, level, steps[-1].name, steps[-1].name, None, own, (115.0, 37.0, 115.2, 37.2), synthetic=True
    )
    months = (Month(date(2026, 10, 1), 40, False), Month(date(2026, 11, 1), 7, True))
    return Place(
        division,
        steps,
        children,
        {level: 1, level + 1: len(children)},
        Figures(incidents=1, open=1, pbf_m2=0.0, high_standard_m2=0.0) if level == 1 else None,
        months,
        datetime(2026, 11, 22, 10, 42).astimezone(),
    )


PARCEL = {
    "parcel_id": 1, "parcel_code": "1305292002090000123", "name": "东地", "contractor_masked": "张*明", "contract_code": None, "ownership": None,
    "parcel_kind": "10", "land_class": "0102", "planting": "LS", "soil_grade": "04", "declared_pbf": True, "in_pbf": True, "in_high_standard": None,
    "area_m2": 4546.7, "declared_area_mu": None, "east": "路", "south": "渠", "west": None, "north": "林带", "load_id": None, "source_name": None,
    "synthetic": None, "loaded_at": None,
}  # fmt: skip


def shown(component: Any) -> str:
    return to_json(component)


@LANGUAGES
def test_every_presenter_speaks_both_languages(t: Catalogue) -> None:
    p = place(child(1), child(2), child(3))
    classes = classify({c.code: MEASURES["pbf"].value(c.figures) for c in p.children})
    said = shown([topbar.crumbs(t, p), figures.panel(t, p, "pbf"), ranking.rows(t, p, "pbf"), ranking.totals(t, p, "pbf"), legend.legend(t, p, "pbf", classes),
                  legend.title(t, p, "pbf"), legend.months(t, p), scene(t, p, "pbf", classes, None), topbar.measures(t, "pbf")])  # fmt: skip
    assert "第1镇" in said
    if t.language == "en":
        assert "亩" not in said


@LANGUAGES
def test_the_layout_stands_in_both_languages(t: Catalogue) -> None:
    from dashboard.headers import current_language

    token = current_language.set(t.language)
    try:
        said = shown(layout(Settings(tianditu_key=None)))
    finally:
        current_language.reset(token)
    assert t("top.synthetic") in said
    assert t("map.approval") in said
    assert "tianditu" not in said


def test_tianditu_is_offered_only_with_a_key() -> None:
    assert "tianditu" in shown(layout(Settings(tianditu_key="k")))
    assert "tianditu.gov.cn" in policy(script_hashes=[], tianditu=True)
    assert "tianditu" not in policy(script_hashes=[], tianditu=False)
    assert "unsafe-eval" not in policy(script_hashes=[], tianditu=True)


def test_unplaced_has_its_own_row_and_the_total_includes_it() -> None:
    rows = ranking.totals(T, place(child(1), child(2)), "pbf")
    assert [r["name"] for r in rows] == ["未落点", "合计"]
    assert rows[0]["open"] == 1


def test_an_unknown_value_is_said_and_hatched_never_zero() -> None:
    p = place(child(1, pbf_m2=None), child(2))
    row = ranking.rows(T, p, "pbf")[0]
    assert (row["value"], row["value_text"], row["share"]) == (None, "无数据", None)
    classes = classify({c.code: MEASURES["pbf"].value(c.figures) for c in p.children})
    assert scene(T, p, "pbf", classes, None)["children"][p.children[0].code]["class"] is None


def test_a_withheld_count_is_not_shown_anywhere() -> None:
    p = place(child(1), child(2))
    said = shown(figures.panel(T, p, "pbf"))
    assert "不公开" in said
    assert "Suppressed" not in said


def test_the_breadcrumb_offers_the_neighbours() -> None:
    said = shown(topbar.crumbs(T, place(child(1), level=2)))
    assert "130529102" in said
    assert "选择村" in said


@pytest.mark.parametrize(
    ("zone", "declared", "word"),
    [(True, True, "card.pbf_agree"), (True, False, "card.pbf_zone_only"), (False, True, "card.pbf_declared_only"),
     (None, True, "card.pbf_no_zone"), (True, None, "card.pbf_no_declared")],
)  # fmt: skip
def test_the_card_says_how_zone_and_declaration_stand(zone: bool | None, declared: bool | None, word: str) -> None:
    thing = Thing("parcel", PARCEL["parcel_code"], PARCEL | {"in_pbf": zone, "declared_pbf": declared}, None, None)
    assert T(word) in shown(cards.card(T, thing, "堤村乡 陈庄"))


def test_the_parcel_card_names_area_class_and_what_is_unknown() -> None:
    said = shown(cards.card(T, Thing("parcel", PARCEL["parcel_code"], PARCEL, None, None), "堤村乡 陈庄"))
    for word in ("6.82", "4,547 m²", "水浇地", "4 等", "张*明", "130529 200 209 00 00123", "来源没有记录", "无数据"):
        assert word in said


def test_a_missing_thing_says_so_and_offers_a_way_out() -> None:
    said = shown(cards.missing(T, "parcel", "1" * 19))
    assert "没有找到" in said
    assert "data-close" in said
