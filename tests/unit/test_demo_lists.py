"""The demo's code lists and shapes hang together: every code one of them names is known to the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etl.demo.facilities import furnish
from etl.demo.lists import code_list, draw, only_where, ranks, shape
from gis.errors import DefinitionError
from tests.unit.test_demo_incidents import hand_made_places


def codes(name: str) -> set[str]:
    return {row["code"] for row in code_list(name)}


@pytest.mark.parametrize(
    "name",
    ["capability", "deadline_class", "facility_kind", "household_category", "incident_channel", "incident_item",
     "resource_kind", "supply_class"],
)  # fmt: skip
def test_codes_are_unique_named_and_sourced(name: str) -> None:
    rows = code_list(name)
    assert len({r["code"] for r in rows}) == len(rows)
    assert all(r["name"] and r["source"] for r in rows)


@pytest.mark.parametrize("name", ["facility_kind", "resource_kind"])
def test_kinds_have_known_capabilities(name: str) -> None:
    for row in code_list(name):
        assert set(row["capability"].split(";")) <= codes("capability"), row["code"]


def test_resources_have_known_homes_and_supplies() -> None:
    for row in code_list("resource_kind"):
        assert set(row["home_kind"].split(";")) <= codes("facility_kind"), row["code"]
        assert row["supply_class"] in codes("supply_class") | {""}
        assert (row["form"] == "supply") <= (row["supply_class"] != "")


def test_supply_classes_have_the_form_of_the_standard() -> None:
    # GB/T 38565-2020: seven digits 1+2+2+2, the first 1, 2 or 3
    assert all(len(c) == 7 and c.isdigit() and c[0] in "123" for c in codes("supply_class"))


def test_incident_items_are_complete() -> None:
    phrases = [p["item_code"] for p in code_list("incident_phrase")]
    assert set(phrases) == codes("incident_item")
    for row in code_list("incident_item"):
        assert phrases.count(row["code"]) >= 4
        assert row["deadline"] in codes("deadline_class")
        assert len(row["months"].split()) == 12
        assert len(row["hours"].split()) == 8
        assert sum(float(row[f"level_{k}"]) for k in ("county", "township", "village", "grid")) == pytest.approx(100)
        assert row["source"] == "示例"


def test_every_item_can_come_from_a_grid_member() -> None:
    assert all("people" in row["noticed_by"].split() for row in code_list("incident_item"))


def test_bursts_name_known_items() -> None:
    for burst in shape("incident")["burst"]:
        assert set(burst["weights"]) <= codes("incident_item")
        assert set(burst["months"]) <= set(range(1, 13))


def test_shares_add_up_to_one() -> None:
    outcome, people, parcel = shape("incident")["outcome"], shape("people"), shape("parcel")
    for shares in (outcome["rating"], outcome["rating_late"], people["household"]["members"]):
        assert sum(shares) == pytest.approx(1)
    for name, weights in parcel["weights"].items():
        if isinstance(weights, dict):
            assert sum(weights.values()) == pytest.approx(1), name
    assert set(people["monitored"]["weights_2021"]) <= codes("household_category")


def test_a_broken_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("code,name\n1,a\n2,b,c\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"bad\.csv.*\[3\]"):
        code_list("bad", folder=tmp_path)
    with pytest.raises(DefinitionError, match=r"none\.csv"):
        code_list("none", folder=tmp_path)
    (tmp_path / "bad.toml").write_text("a = ", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"bad\.toml"):
        shape("bad", folder=tmp_path)


def test_ranks_count_within_a_group() -> None:
    assert ranks(np.array([5, 3, 5, 5, 3])).tolist() == [0, 0, 1, 2, 1]
    assert ranks(np.array([], dtype=np.int64)).tolist() == []


def test_only_where_leaves_the_rest_unknown() -> None:
    assert only_where(np.array([True, False]), np.array(["a", "b"], dtype=object)).tolist() == ["a", None]


def test_draw_keeps_to_the_weights() -> None:
    drawn = draw(np.random.default_rng(0), {"a": 3.0, "b": 1.0}, 4000)
    assert 0.72 < (drawn == "a").mean() < 0.78


def test_facilities_of_every_kind_and_about_as_many_as_asked() -> None:
    places = hand_made_places()
    names = {t: f"{t}镇" for t in places.township}
    facilities, resources = furnish(
        places, county="130529", county_name="甲县", township_names=names, total=500, seed=1
    )
    assert 450 <= len(facilities) + len(resources) <= 520
    assert set(facilities.columns["kind"]) == codes("facility_kind")
    assert set(resources.columns["kind"]) == codes("resource_kind")
    for rows, key in ((facilities, "facility_code"), (resources, "resource_code")):
        assert len(set(rows.columns[key])) == len(rows)
        assert np.isfinite(rows.point).all()
    assert all("{" not in n for n in [*facilities.columns["name"], *resources.columns["name"]])
    assert all(p.startswith("0") for p in facilities.columns["duty_phone"])
    # every village has its committee, whatever had to be thinned out
    assert (facilities.columns["kind"] == "village_committee").sum() == len(places.codes)
    assert resources.home.max() < len(facilities)


def test_facilities_do_not_stand_inside_one_another() -> None:
    places = hand_made_places()
    names = {t: f"{t}镇" for t in places.township}
    facilities, _ = furnish(places, county="130529", county_name="甲县", township_names=names, total=500, seed=1)
    gaps = np.hypot(*(facilities.point[:, None] - facilities.point[None]).transpose(2, 0, 1))
    np.fill_diagonal(gaps, np.inf)
    assert (gaps.min(axis=1) < 25).mean() < 0.03
