"""The case engine over a real store: reports, steps, two at once, codes, routing, parts, call-backs, undo, handing over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from gis.cases.model import Report, Taken
from gis.errors import BadInput, BadRequest, Conflict, Forbidden, NotFound
from gis.settings import Settings
from tests.case_county import PHOTO, CaseCounty, case_county


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    with case_county(module_store, tmp_path_factory.mktemp("keys")) as made:
        yield made


def to_feedback(county: CaseCounty, case_no: str) -> None:
    """From reported to the result."""
    county.do(case_no, "accept", "planner", item="0303")
    county.do(case_no, "take", "member")
    county.do(case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")


def test_five_steps_from_a_villager_to_a_closed_confirmed_case(county: CaseCounty) -> None:
    receipt = county.report(reporter_name="李四", reporter_phone="13800001111")
    assert receipt.state == "reported"
    assert "2 个工作日" in receipt.due_words
    county.do(receipt.case_no, "accept", "planner", item="0303")
    card = county.cases.card(receipt.case_no, principal=county.people["planner"])
    assert card.row.assignee_name == "测试member"  # item × place: the member of that grid
    assert card.due_words[-1].startswith("→")
    assert card.reporter == {"name": "李*", "phone": "138****1111", "address": None}
    county.do(receipt.case_no, "take", "member")
    with pytest.raises(BadRequest, match="照片"):
        county.do(receipt.case_no, "feedback", "member", result="换了灯泡")
    county.do(receipt.case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")
    seen = county.cases.follow(receipt.follow_code)
    assert seen.row.state_name == "已办完，等您确认"
    assert [s.id for s in seen.steps if s.id == "confirm"] == ["confirm"]
    county.do(receipt.case_no, "confirm", code=receipt.follow_code, rating=5)
    assert county.state(receipt.case_no) == "closed"
    row = county.owner(
        "SELECT rating, done_at <= due_at, closed_at IS NOT NULL, ended_at IS NOT NULL, handled_level, revision FROM onemap.case_file "
        "WHERE case_no = %s", [receipt.case_no],
    )[0]  # fmt: skip
    assert row == (5, True, True, True, 4, 4)
    history = county.owner(
        "SELECT e.revision, e.transition, e.actor_name FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) "
        "WHERE c.case_no = %s ORDER BY 1", [receipt.case_no],
    )  # fmt: skip
    assert history == [
        (0, "report", "上报人"), (1, "accept", "测试planner"), (2, "take", "测试member"), (3, "feedback", "测试member"),
        (4, "confirm", "上报人"),
    ]  # fmt: skip


def test_a_stranger_sees_no_name_and_no_other_case(county: CaseCounty) -> None:
    receipt, other = county.report(), county.report()
    to_feedback(county, receipt.case_no)
    seen = county.cases.follow(receipt.follow_code)
    assert "测试" not in repr(seen)
    assert seen.row.case_no == receipt.case_no
    assert {e.transition for e in seen.events} == {"report", "accept", "take", "feedback"}
    with pytest.raises(NotFound):
        county.cases.follow("00000-00000")
    with pytest.raises(NotFound):  # another's case by one's own code
        county.do(other.case_no, "urge", code=receipt.follow_code)


def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(county: CaseCounty) -> None:
    key = str(uuid.uuid4())
    first = county.report(key=key)
    again = county.report(key=key)
    assert again.repeated
    assert (again.case_no, again.follow_code, again.due_words) == (first.case_no, first.follow_code, first.due_words)
    with pytest.raises(BadInput, match="凭据"):
        county.report(key=key, title="别的事")
    assert len(county.owner("SELECT 1 FROM onemap.submission WHERE key = %s", [key])) == 1


def test_who_comes_second_is_told_who_did_what(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    with pytest.raises(Conflict, match=r"测试planner 已在 .* “受理”"):
        county.cases.act(Taken(receipt.case_no, "accept", 0, {"item": "0301"}), principal=county.people["dispatcher"])


def test_another_township_sees_nothing_and_gets_the_answer_of_an_absent_case(county: CaseCounty) -> None:
    receipt = county.report()
    messages = []
    for case_no in (receipt.case_no, "SJ2020010199999"):
        with pytest.raises(NotFound) as e:
            county.cases.act(Taken(case_no, "accept", 0, {"item": "0303"}), principal=county.people["planner2"])
        messages.append(str(e.value))
    assert messages[0] == messages[1]
    assert county.state(receipt.case_no) == "reported"


def test_a_grid_member_reports_beyond_their_grid_and_follows_it(county: CaseCounty) -> None:
    receipt = county.report("member", lonlat=county.at(county.scratch.grids[-1]))
    card = county.cases.card(receipt.case_no, principal=county.people["member"])
    assert card.row.township_code == county.scratch.townships[1]
    with pytest.raises(Forbidden):
        county.do(receipt.case_no, "accept", "member", item="0303")
    assert receipt.case_no in {
        r.case_no for r in county.cases.queue(county_filter(), size=200, principal=county.people["planner2"]).rows
    }


def county_filter(**more: object):
    from gis.cases.filtering import Filter

    return Filter(**more)  # type: ignore[arg-type]


def test_one_may_take_back_what_one_just_did_and_nobody_else_may(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    before = county.owner(
        "SELECT unit, assignee_id, due_at, data FROM onemap.case_file WHERE case_no = %s", [receipt.case_no]
    )
    card = county.do(receipt.case_no, "assign", "planner", unit="swj")
    assert card is not None
    assert "undo" in {s.id for s in card.steps}
    assert card.row.assignee_name == "测试water"
    with pytest.raises(BadRequest, match="撤回"):
        county.do(receipt.case_no, "undo", "dispatcher")
    county.do(receipt.case_no, "undo", "planner")
    after = county.owner(
        "SELECT unit, assignee_id, due_at, data FROM onemap.case_file WHERE case_no = %s", [receipt.case_no]
    )
    assert after == before
    assert county.state(receipt.case_no) == "accepted"


def test_a_pause_moves_the_deadline_and_an_extension_is_limited(county: CaseCounty) -> None:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    county.do(receipt.case_no, "take", "member")
    due = county.owner("SELECT due_at FROM onemap.case_file WHERE case_no = %s", [receipt.case_no])[0][0]
    county.do(receipt.case_no, "suspend", "planner", note="等配件", pause_reason="material", until="2026-12-01")
    paused = county.owner("SELECT due_at, clock_state FROM onemap.case_file WHERE case_no = %s", [receipt.case_no])[0]
    assert paused == (None, "paused")
    card = county.do(receipt.case_no, "resume", "planner")
    assert card is not None
    assert card.row.due_at is not None
    assert card.row.due_at >= due
    pauses = county.owner("SELECT clock->'pauses' FROM onemap.case_file WHERE case_no = %s", [receipt.case_no])[0][0]
    assert [(p["reason"], p["end"] is not None) for p in pauses] == [("等配件", True)]
    county.do(receipt.case_no, "request_extension", "member", note="还要两天", extend_days=2)
    longer = county.do(receipt.case_no, "grant_extension", "planner", extend_days=2)
    assert longer is not None
    assert longer.row.due_at is not None
    assert longer.row.due_at > card.row.due_at
    county.do(receipt.case_no, "request_extension", "member", note="再来", extend_days=1)
    with pytest.raises(BadRequest, match="已经延期 1 次"):
        county.do(receipt.case_no, "grant_extension", "planner", extend_days=1)


def test_not_solved_goes_back_and_reopening_starts_a_new_clock(county: CaseCounty) -> None:
    receipt = county.report()
    to_feedback(county, receipt.case_no)
    county.do(receipt.case_no, "dispute", code=receipt.follow_code, note="还是不亮")
    assert county.state(receipt.case_no) == "handling"
    county.do(receipt.case_no, "feedback", "member", photos=(PHOTO,), result="又修了")
    county.do(receipt.case_no, "confirm", code=receipt.follow_code)
    card = county.do(receipt.case_no, "reopen", code=receipt.follow_code, note="又坏了")
    assert card is not None
    assert card.row.reopened == 2
    assert county.owner(
        "SELECT ended_at, closed_at, done_at FROM onemap.case_file WHERE case_no = %s", [receipt.case_no]
    ) == [(None, None, None)]


def test_the_reporter_of_a_merged_case_follows_the_other(county: CaseCounty) -> None:
    first, second = county.report(), county.report(title="路灯坏了")
    county.do(first.case_no, "accept", "planner", item="0303")
    county.do(second.case_no, "merge", "planner", into=first.case_no, note="同一盏灯")
    assert county.state(second.case_no) == "merged"
    assert county.cases.follow(second.follow_code).row.case_no == first.case_no
    card = county.cases.card(first.case_no, principal=county.people["planner"])
    assert {(r["case_no"], r["why"]) for r in card.related} >= {(second.case_no, "merged")}
    with pytest.raises(BadRequest, match="自己"):
        county.do(first.case_no, "merge", "planner", into=first.case_no)


def test_a_ditch_across_two_villages_has_a_lead_and_waits_for_every_part(county: CaseCounty) -> None:
    a, b = (county.owner("SELECT ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom)) FROM onemap.division WHERE code = %s", [v])[0]
            for v in county.scratch.villages[:2])  # fmt: skip
    receipt = county.report(
        "member", lonlat=None, extent={"type": "LineString", "coordinates": [list(a), list(b)]}, title="排水沟堵了"
    )
    card = county.do(receipt.case_no, "accept", "planner", item="0403")
    assert card is not None
    assert [p["village_code"] for p in card.parts if p["is_lead"]] != []
    assert {p["village_code"] for p in card.parts} == set(county.scratch.villages[:2])
    assert sum(p["share_pct"] for p in card.parts) == pytest.approx(100, abs=0.5)
    lead = next(p["village_code"] for p in card.parts if p["is_lead"])
    other = "other_cadre" if lead == county.scratch.villages[0] else "cadre"
    own = "cadre" if other == "other_cadre" else "other_cadre"
    # the other village works on it although the case lies elsewhere
    assert county.cases.card(receipt.case_no, principal=county.people[other]).row.case_no == receipt.case_no
    county.do(receipt.case_no, "take", own)
    with pytest.raises(BadRequest, match="还有 1 个村"):
        county.do(receipt.case_no, "feedback", own, photos=(PHOTO,), result="通了")
    county.do(receipt.case_no, "part_done", other, note="我村这段清完")
    county.do(receipt.case_no, "feedback", own, photos=(PHOTO,), result="通了")
    assert county.state(receipt.case_no) == "feedback"


def test_a_case_climbs_from_the_grid_to_the_county_and_no_further(county: CaseCounty) -> None:
    receipt = county.report(item_code="0301")
    county.do(receipt.case_no, "accept", "planner", item="0301")
    levels = []
    for _ in range(3):
        county.do(receipt.case_no, "escalate", "dispatcher", note="管不了")
        levels.append(county.owner("SELECT level FROM onemap.case_file WHERE case_no = %s", [receipt.case_no])[0][0])
    assert levels == [3, 2, 1]
    card = county.cases.card(receipt.case_no, principal=county.people["dispatcher"])
    assert (card.row.unit, card.row.assignee_name) == ("swj", "测试water")
    with pytest.raises(BadRequest, match="县一级"):
        county.do(receipt.case_no, "escalate", "dispatcher", note="再升")


def test_everything_of_a_person_who_leaves_goes_over_at_once(county: CaseCounty) -> None:
    leaving = county.add("leaving", "grid_member", county.scratch.grids[0])
    numbers = []
    for _ in range(3):
        receipt = county.report()
        county.do(receipt.case_no, "accept", "planner", item="0303")
        county.do(receipt.case_no, "take", "leaving")
        numbers.append(receipt.case_no)
    planner = county.people["planner"]
    assert county.cases.handover_preview(leaving.account_id, principal=planner)["total"] == 3
    given = county.cases.handover(leaving.account_id, county.people["member"].account_id, "调离", principal=planner)
    assert given == 3
    assert county.cases.handover_preview(leaving.account_id, principal=planner)["total"] == 0
    for number in numbers:
        assert county.cases.card(number, principal=planner).row.assignee_name == "测试member"
    with pytest.raises(Forbidden):
        county.cases.handover(
            leaving.account_id, county.people["member"].account_id, "调离", principal=county.people["cadre"]
        )


def test_one_step_for_many_says_what_became_of_each(county: CaseCounty) -> None:
    good, stale = county.report(), county.report()
    county.do(stale.case_no, "accept", "dispatcher", item="0303")
    done = county.cases.act_many(
        [(good.case_no, 0), (stale.case_no, 0), ("SJ2020010100001", 0)],
        "accept",
        {"item": "0303"},
        "",
        principal=county.people["planner"],
    )
    assert [(d.ok, d.error) for d in done] == [(True, ""), (False, "Conflict"), (False, "NotFound")]
    with pytest.raises(BadRequest, match="成批"):
        county.cases.act_many([(good.case_no, 1)], "feedback", {}, "", principal=county.people["planner"])


def test_a_step_repeated_under_its_key_is_taken_once(county: CaseCounty) -> None:
    receipt = county.report()
    taken, key = Taken(receipt.case_no, "accept", 0, {"item": "0303"}), str(uuid.uuid4())
    for _ in range(3):
        card = county.cases.act(taken, principal=county.people["planner"], key=key)
        assert card is not None
        assert card.row.revision == 1


@pytest.mark.parametrize(
    ("lonlat", "crs"),
    [((float("nan"), 37.2), "EPSG:4326"), ((115.0, float("inf")), "EPSG:4326"), ((1e308, -1e308), "EPSG:4326"), ((None, None), "EPSG:4326"),
     ((115.0, 37.2), None), ((115.0, 37.2), "EPSG:9999"), ((115.0,), "EPSG:4326"), (("115", "37"), "EPSG:4326"), ((True, False), "EPSG:4326"),
     ((10**400, 37), "EPSG:4326")],
)  # fmt: skip
def test_a_position_that_cannot_be_is_refused(county: CaseCounty, lonlat: object, crs: str | None) -> None:
    before = county.owner("SELECT count(*) FROM onemap.case_file")
    with pytest.raises(BadRequest):
        county.report(lonlat=lonlat, source_crs=crs)
    assert county.owner("SELECT count(*) FROM onemap.case_file") == before


def test_swapped_longitude_and_latitude_are_recognised_and_said(county: CaseCounty) -> None:
    lon, lat = county.at(county.scratch.grids[0])
    with pytest.raises(BadInput, match="写反"):
        county.report(lonlat=(lat, lon))
    with pytest.raises(BadInput, match="不在本县"):
        county.report(lonlat=(116.4, 39.9))


def test_a_declared_system_is_converted(county: CaseCounty) -> None:
    import numpy as np

    from gis.crs import metres_apart, to_shifted

    here = np.array([county.at(county.scratch.grids[0])])
    for system in ("GCJ-02", "BD-09"):
        shifted = to_shifted(here, system)[0]  # type: ignore[arg-type]
        receipt = county.report(lonlat=(float(shifted[0]), float(shifted[1])), source_crs=system)
        lies = county.owner(
            "SELECT ST_X(geom), ST_Y(geom), source_crs FROM onemap.case_file WHERE case_no = %s", [receipt.case_no]
        )[0]
        assert lies[2] == system
        assert np.hypot(*metres_apart(np.array([lies[:2]]), here)[0]) < 2


def test_a_report_keeps_its_process_version_and_the_audit_chain_holds(county: CaseCounty) -> None:
    from gis.access.audit import verify
    from gis.store.engine import connect

    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    with connect(county.settings, role="owner") as conn:
        assert verify(conn).bad_seq is None
    actions = county.owner(
        "SELECT action, login FROM access.audit WHERE object_kind = 'case' AND object_id = "
        "(SELECT case_id::text FROM onemap.case_file WHERE case_no = %s) ORDER BY seq", [receipt.case_no],
    )  # fmt: skip
    assert actions == [("case.report", None), ("case.accept", "planner")]


def test_the_report_of_a_stranger_may_hold_no_handling(county: CaseCounty) -> None:
    with pytest.raises(Forbidden):
        county.cases.report(Report(key=str(uuid.uuid4()), title="x", channel="hotline"))


@pytest.mark.parametrize(
    "who", ["dispatcher", "planner", "planner2", "cadre", "other_cadre", "member", "stranger_member", "water"]
)
def test_lists_count_exactly_what_the_policies_show(county: CaseCounty, who: str) -> None:
    """The lists ask about scope in a way of their own (onemap.case_where): it must say the same as row-level security."""
    from gis.cases.filtering import Filter

    person = county.people[who]
    with county.pool.reading(principal=person) as conn:
        seen = {
            r["case_no"]: r["state"]
            for r in conn.execute("SELECT case_no, state FROM onemap.case_file WHERE process = 'incident'").fetchall()
        }
    queue = county.cases.queue(Filter(), size=200, principal=person)
    assert queue.total == len(seen)
    assert {r.case_no for r in queue.rows} == set(seen)
    board = county.cases.board(Filter(), principal=person)
    assert {s: n for s, (n, _) in board.items() if n} == {s: list(seen.values()).count(s) for s in set(seen.values())}
    assert sum(u["reported"] for u in county.cases.units_report(Filter(), principal=person)) == len(seen)


def test_nobody_sees_a_list(county: CaseCounty) -> None:
    from gis.cases.filtering import Filter

    queue = county.cases.queue(Filter())
    assert (queue.total, queue.rows) == (0, ())


@pytest.mark.parametrize(
    "wanted",
    [{"states": ("reported",)}, {"items": ("0303",)}, {"view": "open"}, {"view": "waiting"}, {"standing": "done"}, {"text": "路灯"}, {"channel": "grid"},
     {"unit": "swj"}, {"level": 3}, {"has_photo": True}, {"has_photo": False}, {"reopened": True}, {"division": "130529100"}, {"supervised": False},
     {"text": "50%_\\"}, {"text": "' OR 1=1 --"}],
)  # fmt: skip
def test_a_filter_shows_what_it_says(county: CaseCounty, wanted: dict[str, object]) -> None:
    plain: dict[str, str] = {
        "states": "state = 'reported'", "items": "item_code = '0303'", "channel": "channel = 'grid'", "unit": "unit = 'swj'", "level": "level = 3",
        "reopened": "reopened > 0", "division": "township_code = '130529100'", "supervised": "supervised_at IS NULL",
        "standing": "(ended_at IS NOT NULL OR clock_state = 'stopped')",
    }  # fmt: skip
    name, value = next(iter(wanted.items()))
    clause = (
        {
            "open": "ended_at IS NULL",
            "waiting": "ended_at IS NULL AND accepted_at IS NULL",
            "路灯": "title LIKE '%%路灯%%'",
            "50%_\\": "false",
            "' OR 1=1 --": "false",
            True: "EXISTS (SELECT FROM onemap.case_photo p WHERE p.case_id = c.case_id)",
            False: "NOT EXISTS (SELECT FROM onemap.case_photo p WHERE p.case_id = c.case_id)",
        }.get(value if not isinstance(value, tuple) else None, "")
        if name in ("view", "text", "has_photo")
        else plain[name]
    )  # type: ignore[arg-type]
    query = f"SELECT count(*) FROM onemap.case_file c WHERE process = 'incident' AND {clause}"  # noqa: S608
    expected = county.owner(query)[0][0]
    assert county.cases.queue(county_filter(**wanted), principal=county.people["dispatcher"]).total == expected
