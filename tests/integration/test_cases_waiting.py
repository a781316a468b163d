"""What waits for whom (需要我办), who is found by what, what a card calls things, what reads alike, steps of many cases at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from gis.cases.filtering import Filter
from gis.settings import Settings
from tests.case_county import PHOTO, CaseCounty, case_county

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    with case_county(module_store, tmp_path_factory.mktemp("keys")) as made:
        made.add("bridge", "handler", made.scratch.county, unit="县交通运输局")
        made.add("officer", "planner", made.scratch.townships[0], unit=made.scratch.townships[0])
        yield made


def taken_over(
    county: CaseCounty, grid: str, *, level: int, unit: str | None, state: str = "handling", who: str | None = None
) -> str:
    """A case of another system: a unit and a level, nobody's name."""
    number = f"SJ20260101{next(_NUMBERS):05}"
    clock = {"reported": "waits", "feedback": "stopped"}.get(state, "runs")
    county.owner(
        "INSERT INTO onemap.case_file (case_no, channel, title, state, level, unit, assignee_id, clock_state, reported_at, accepted_at, ended_at, geom) "
        "SELECT %s, 'hotline', '桥栏杆坏了', %s, %s, %s, %s, %s, now() - interval '2 days', CASE WHEN %s <> 'reported' THEN now() - interval '1 day' END, "
        "CASE WHEN %s = 'closed' THEN now() END, ST_PointOnSurface(geom) FROM onemap.division WHERE code = %s",
        [number, state, level, unit, county.people[who].account_id if who else None, clock, state, state, grid],
    )
    return number


@pytest.fixture(scope="module")
def standing(county: CaseCounty) -> dict[str, str]:
    """Cases by what is told of them."""
    grids, villages, townships = county.scratch.grids, county.scratch.villages, county.scratch.townships
    return {
        "grid": taken_over(county, grids[0], level=4, unit=villages[0]),
        "next grid": taken_over(county, grids[1], level=4, unit=villages[0]),
        "village": taken_over(county, grids[0], level=3, unit=villages[0]),
        "township": taken_over(county, grids[0], level=2, unit=townships[0]),
        "county": taken_over(county, grids[0], level=1, unit="jtj"),
        "water": taken_over(county, grids[0], level=1, unit="swj"),
        "new": taken_over(county, grids[0], level=4, unit=None, state="reported"),
        "new elsewhere": taken_over(county, grids[-1], level=4, unit=None, state="reported"),
        "to confirm": taken_over(county, grids[0], level=4, unit=villages[0], state="feedback", who="member"),
        "closed": taken_over(county, grids[0], level=4, unit=villages[0], state="closed"),
        "the neighbour's": taken_over(county, grids[0], level=4, unit=villages[0], who="neighbour"),
    }


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("member", {"grid": "place", "new": "accept"}),
        ("neighbour", {"next grid": "place", "the neighbour's": "assigned"}),
        ("stranger_member", {}),
        ("cadre", {"village": "place", "new": "accept"}),
        ("other_cadre", {}),
        ("planner", {"township": "place", "new": "accept"}),
        ("officer", {"township": "unit", "new": "accept"}),
        ("planner2", {"new elsewhere": "accept"}),
        ("dispatcher", {"new": "accept", "new elsewhere": "accept"}),
        ("commander", {"new": "accept", "new elsewhere": "accept"}),
        ("bridge", {"county": "unit"}),
        ("water", {"water": "unit"}),
    ],
)
def test_what_waits_for_each_role_is_one_thing_everywhere(
    county: CaseCounty, standing: dict[str, str], who: str, expected: dict[str, str]
) -> None:
    person = county.people[who]
    known = {number: told for told, number in standing.items()}
    tasks = county.cases.mine(person)
    assert {known[t["case_no"]]: t["kind"] for t in tasks if t["case_no"] in known} == expected
    queue = county.cases.queue(Filter(view="mine"), size=200, principal=person)
    assert {r.case_no for r in queue.rows} == {t["case_no"] for t in tasks}
    assert queue.total == queue.counts["mine"] == len(tasks)


def test_a_unit_written_as_a_code_or_a_name_is_the_same_unit(county: CaseCounty, standing: dict[str, str]) -> None:
    county.add("bridge2", "handler", county.scratch.county, unit="jtj")
    assert {t["case_no"] for t in county.cases.mine(county.people["bridge2"])} == {standing["county"]}
    for unit in ("jtj", "县交通运输局"):
        found = county.cases.people(county.people["dispatcher"], "", unit=unit)
        assert {(p.name, p.unit_name) for p in found} == {
            ("测试bridge", "县交通运输局"),
            ("测试bridge2", "县交通运输局"),
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("网格员", {"测试member", "测试neighbour", "测试stranger_member"}),
        ("水务", {"测试water"}),
        ("swj", {"测试water"}),
        ("测试cad", {"测试cadre"}),
        ("%", set()),
    ],
)
def test_people_are_found_by_name_role_and_unit(county: CaseCounty, text: str, expected: set[str]) -> None:
    found = county.cases.people(county.people["dispatcher"], text, limit=100)
    assert {p.name for p in found} == expected


def test_a_township_finds_its_own_people_and_those_above(county: CaseCounty) -> None:
    found = {p.name for p in county.cases.people(county.people["planner2"], "网格员", limit=100)}
    assert found == set()
    assert {p.name for p in county.cases.people(county.people["planner2"], "水务", limit=100)} == {"测试water"}


def test_the_history_calls_units_and_people_by_name_and_tells_strangers_no_people(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    village, person = county.scratch.villages[0], county.people["member"]
    county.do(receipt.case_no, "assign", "planner", unit=village, person=person.account_id)
    name = county.owner("SELECT name FROM onemap.unit WHERE unit = %s", [village])[0][0]
    card = county.cases.card(receipt.case_no, principal=county.people["planner"])
    answers = dict(card.events[-1].answers)
    assert (answers["责任单位"], name in answers.values()) == (name, True)
    assert person.display_name in answers.values()
    told = [value for event in county.cases.follow(receipt.follow_code).events for _, value in event.answers]
    assert name in told
    assert not {person.display_name, str(person.account_id), village} & set(told)


def test_a_notice_says_the_news_first_and_then_which_case(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    county.do(receipt.case_no, "take", "member")
    county.do(receipt.case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")
    asked = county.cases.follow(receipt.follow_code).data["notices"][0]["words"]
    assert asked == f"已办完，请确认是否解决 · {receipt.case_no} 村口路灯不亮"
    county.do(receipt.case_no, "dispute", code=receipt.follow_code, note="还是" + "不亮" * 300)
    words = county.cases.notices(county.people["member"])[0]["words"]
    assert words.startswith("上报人说没有解决：还是不亮")
    assert words.endswith(f" · {receipt.case_no} 村口路灯不亮")


def test_the_end_of_a_part_is_offered_to_whoever_has_an_open_one(county: CaseCounty) -> None:
    whole = county.report()
    county.do(whole.case_no, "accept", "planner", item="0303")
    county.do(whole.case_no, "take", "member")
    points = [county.owner("SELECT ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom)) FROM onemap.division WHERE code = %s", [v])[0]
              for v in county.scratch.villages[:2]]  # fmt: skip
    extent = {"type": "LineString", "coordinates": [list(p) for p in points]}
    split = county.report("member", lonlat=None, extent=extent, title="排水沟堵了")
    card = county.do(split.case_no, "accept", "planner", item="0403")
    assert card is not None
    lead = next(p["village_code"] for p in card.parts if p["is_lead"])
    own, other = ("cadre", "other_cadre") if lead == county.scratch.villages[0] else ("other_cadre", "cadre")
    county.do(split.case_no, "take", own)

    def offered(case_no: str, who: str) -> bool:
        return "part_done" in {s.id for s in county.cases.steps_of([case_no], principal=county.people[who])[case_no]}

    assert not offered(whole.case_no, "cadre")
    assert not offered(split.case_no, own)
    assert offered(split.case_no, other)
    county.do(split.case_no, "part_done", other, note="清完")
    assert not offered(split.case_no, other)


def test_the_steps_of_many_cases_are_those_of_their_cards(county: CaseCounty, standing: dict[str, str]) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    county.do(receipt.case_no, "assign", "planner", unit="swj")
    numbers = [receipt.case_no, *standing.values()]
    for who in ("planner", "member", "dispatcher", "water"):
        person = county.people[who]
        steps = county.cases.steps_of(numbers, principal=person)
        assert list(steps) == numbers
        visible = {r.case_no for r in county.cases.queue(Filter(), size=200, principal=person).rows}
        for number in numbers:
            expected = county.cases.card(number, principal=person).steps if number in visible else ()
            assert steps[number] == expected
    assert "undo" in {s.id for s in county.cases.steps_of(numbers, principal=county.people["planner"])[receipt.case_no]}
    assert county.cases.steps_of(numbers) == dict.fromkeys(numbers, ())


def test_what_reads_alike_comes_first_and_a_stranger_cannot_try_words_out(county: CaseCounty) -> None:
    grid = county.scratch.grids[-1]
    here = county.at(grid)
    near = county.report(title="变压器冒烟", lonlat=here, item_code="0303")
    alike = county.report(title="村东头路灯不亮了", lonlat=(here[0] + 0.0002, here[1]), item_code="0303")

    def found(text: str, who: str | None) -> dict[str, float | None]:
        rows = county.cases.near(
            here, "0303", text, source_crs="EPSG:4490", principal=county.people[who] if who else None
        )
        return {r["case_no"]: r["likeness"] for r in rows if r["case_no"] in (near.case_no, alike.case_no)}

    plain = found("", "planner2")
    assert list(plain.items()) == [(near.case_no, None), (alike.case_no, None)]
    sorted_out = found("村东头的路灯不亮", "planner2")
    assert list(sorted_out) == [alike.case_no, near.case_no]
    assert sorted_out[near.case_no] == 0
    assert 0.5 <= (sorted_out[alike.case_no] or 0) < 1
    assert found("村东头路灯不亮了", None)[alike.case_no] == 1
    # One word out of somebody's title shows nothing.
    assert found("东头", None)[alike.case_no] == 0
