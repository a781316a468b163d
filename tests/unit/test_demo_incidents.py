"""Incidents of the demo county look like life: rhythm, places, deadlines, ends; and are the same every time."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from etl.demo.deadlines import AT_RISK, due_and_warn, due_times
from etl.demo.incidents import Incidents, last_numbers, report_incidents
from etl.demo.lists import code_list
from etl.demo.places import Places, Spots
from etl.demo.working_days import WorkingDays, working_mask
from gis.cases.calendar import Calendar
from gis.cases.deadline import Classes, reckon
from gis.clock import ZONE
from gis.settings import ROOT

AS_OF = date(2026, 11, 22)
COUNT = 40_000
KINDS = ("house", "field", "road", "water", "center")


def hand_made_places(villages: int = 60) -> Places:
    """Villages on a lattice of 2 km, six townships of ten, twenty spots of each kind around each centre."""
    rng = np.random.default_rng(3)
    lattice = np.array([(x, y) for y in range(6) for x in range(10)], dtype=float)[:villages]
    centre = lattice * 2000 + [38_590_000, 4_120_000]
    spots = {}
    for kind in KINDS:
        points = np.repeat(centre, 20, axis=0) + rng.uniform(-600, 600, (20 * villages, 2))
        spots[kind] = Spots(points, np.arange(0, 20 * villages + 1, 20))
    codes = np.array([f"1305291{i // 10:02d}{201 + i % 10}" for i in range(villages)], dtype=object)
    return Places(
        codes=codes,
        names=np.array([f"甲{i}村" for i in range(villages)], dtype=object),
        committees=np.array([f"甲{i}村委会" for i in range(villages)], dtype=object),
        township=np.array([c[:9] for c in codes], dtype=object),
        centre=centre,
        weight=rng.lognormal(0, 0.8, villages) * 400,
        spots=spots,
    )


@pytest.fixture(scope="module")
def incidents() -> Incidents:
    return report_incidents(hand_made_places(), count=COUNT, as_of=AS_OF, seed=11)


def local(times: np.ndarray) -> np.ndarray:
    return times + np.timedelta64(8, "h")


def test_exactly_so_many_in_exactly_two_years(incidents: Incidents) -> None:
    assert len(incidents) == COUNT
    days = local(incidents.reported).astype("datetime64[D]")
    assert days.min() >= np.datetime64(AS_OF) - 730
    assert days.max() == np.datetime64(AS_OF) - 1
    assert len(np.unique(days)) == 730


def test_case_numbers_are_unique_and_in_order_of_time(incidents: Incidents) -> None:
    assert len(set(incidents.case_no)) == COUNT
    assert (np.diff(incidents.reported.astype(np.int64)) >= 0).all()
    assert incidents.case_no.tolist() == sorted(incidents.case_no)


def test_all_items_of_four_categories_occur(incidents: Incidents) -> None:
    items = code_list("incident_item")
    assert len(items) == 22
    assert len({i["category"] for i in items}) == 4
    assert set(incidents.item) == {i["code"] for i in items}


def test_times_follow_one_another(incidents: Incidents) -> None:
    for earlier, later in (("reported", "accepted"), ("accepted", "responded"), ("responded", "closed")):
        a, b = getattr(incidents, earlier), getattr(incidents, later)
        both = ~np.isnat(a) & ~np.isnat(b)
        assert both.any()
        assert (a[both] <= b[both]).all(), (earlier, later)
    assert (incidents.due > incidents.reported).all()


def test_done_and_ended_follow_the_status(incidents: Incidents) -> None:
    closed, returned, feedback = (incidents.status == s for s in ("closed", "returned", "feedback"))
    assert (~np.isnat(incidents.done) == (closed | feedback)).all()
    assert (incidents.done[closed] == incidents.closed[closed]).all()
    assert feedback.any()
    assert (incidents.done[feedback] >= incidents.responded[feedback]).all()
    assert (incidents.done[feedback] <= np.datetime64(AS_OF) - np.timedelta64(8, "h")).all()
    assert (~np.isnat(incidents.ended) == (closed | returned)).all()
    assert (incidents.ended[returned] == incidents.responded[returned]).all()
    waiting = incidents.status == "reported"
    assert (np.isnat(incidents.due) == waiting).all()  # nobody has begun the clock
    assert (np.isnat(incidents.warn) == waiting).all()
    assert (incidents.accepted[~waiting] < incidents.warn[~waiting]).all()
    assert (incidents.warn[~waiting] < incidents.due[~waiting]).all()
    assert (incidents.level[closed] == incidents.handled_level[closed]).all()
    assert set(incidents.level[~closed]) <= {1, 2, 3, 4}


def test_the_last_numbers_are_those_of_the_days(incidents: Incidents) -> None:
    prefix, day, last = last_numbers(incidents.case_no)
    days, counts = np.unique(local(incidents.reported).astype("datetime64[D]"), return_counts=True)
    assert set(prefix) == {"SJ"}
    assert (day == days).all()
    assert (last == counts).all()


def test_status_agrees_with_the_times(incidents: Incidents) -> None:
    closed = incidents.status == "closed"
    assert np.array_equal(closed, ~np.isnat(incidents.closed))
    assert np.array_equal(closed, incidents.handled_level > 0)
    assert not incidents.rating[~closed].any()
    assert np.isnat(incidents.accepted[incidents.status == "reported"]).all()
    midnight = np.datetime64(AS_OF) - np.timedelta64(8, "h")
    assert incidents.closed[closed].max() < midnight


def test_shares_are_those_of_a_working_county(incidents: Incidents) -> None:
    closed = incidents.status == "closed"
    assert 0.93 < closed.mean() < 0.97
    due = (incidents.due < np.datetime64(AS_OF) - np.timedelta64(8, "h")) & (incidents.status != "returned")
    on_time = (incidents.closed <= incidents.due)[due]
    assert 0.88 < on_time.mean() < 0.95
    rated = incidents.rating[incidents.rating > 0]
    assert 0.57 < len(rated) / closed.sum() < 0.63
    assert (rated >= 4).mean() > 0.95


def test_two_townships_are_clearly_worse(incidents: Incidents) -> None:
    due = (incidents.due < np.datetime64(AS_OF) - np.timedelta64(8, "h")) & (incidents.status != "returned")
    township = np.array([v[:9] for v in incidents.village])
    shares = sorted((incidents.closed <= incidents.due)[due & (township == t)].mean() for t in np.unique(township))
    assert shares[1] < 0.90 < shares[2]


def test_handling_times_have_a_heavy_tail(incidents: Incidents) -> None:
    lamps = (incidents.item == "0303") & (incidents.status == "closed")
    hours = (incidents.closed - incidents.reported)[lamps] / np.timedelta64(1, "h")
    assert np.percentile(hours, 99) > 8 * np.median(hours)


def test_days_and_seasons(incidents: Incidents) -> None:
    when = local(incidents.reported)
    hour = (when - when.astype("datetime64[D]")) // np.timedelta64(1, "h")
    month = when.astype("datetime64[M]").astype(int) % 12 + 1
    counts = np.bincount(hour, minlength=24)
    assert counts[8:12].sum() > 4 * counts[0:4].sum()
    weekday = (when.astype("datetime64[D]").astype(int) + 3) % 7
    assert np.bincount(weekday)[:5].mean() > 1.1 * np.bincount(weekday)[5:].mean()
    share = {
        item: np.isin(month[incidents.item == item], months).mean()
        for item, months in (("0404", (7, 8)), ("0401", (6, 10)), ("0308", (11, 12, 1, 2, 3)))
    }
    assert share["0404"] > 0.45
    assert share["0401"] > 0.6
    assert share["0308"] == 1.0


def test_spring_festival_is_quiet(incidents: Incidents) -> None:
    days = local(incidents.reported).astype("datetime64[D]")
    festival = ((days >= np.datetime64("2026-02-16")) & (days <= np.datetime64("2026-02-22"))).sum() / 7
    assert festival < 0.7 * COUNT / 730


def test_storms_come_in_bursts(incidents: Incidents) -> None:
    days = local(incidents.reported).astype("datetime64[D]").astype(int)
    water = days[incidents.item == "0404"]
    daily = np.bincount(water - water.min())
    assert daily.max() > 15 * max(1.0, float(daily.mean()))


def test_villages_differ_more_than_chance(incidents: Incidents) -> None:
    counts = np.unique(incidents.village.astype(str), return_counts=True)[1]
    assert counts.var() > 20 * counts.mean()  # Poisson would be 1
    assert np.percentile(counts, 90) > 5 * np.percentile(counts, 10)


def test_a_few_have_no_position_and_say_no_crs(incidents: Incidents) -> None:
    missing = np.isnan(incidents.point[:, 0])
    assert 0.001 < missing.mean() < 0.006
    assert all(c is None for c in incidents.source_crs[missing])
    assert all(c is not None for c in incidents.source_crs[~missing])


def test_titles_are_filled_in(incidents: Incidents) -> None:
    assert all("{" not in t and t.startswith("甲") for t in incidents.title)
    assert len(set(incidents.title)) > 2000


def test_no_camera_reports_a_question(incidents: Incidents) -> None:
    assert (incidents.channel == "sensor").any()
    questions = np.isin(incidents.item.astype(str), ["0101", "0307", "0304"])
    assert not np.isin(incidents.channel[questions].astype(str), ["sensor", "patrol"]).any()


def test_same_seed_same_incidents() -> None:
    a, b = (report_incidents(hand_made_places(), count=500, as_of=AS_OF, seed=5) for _ in range(2))
    assert a.title.tolist() == b.title.tolist()
    assert np.array_equal(a.point, b.point, equal_nan=True)
    assert np.array_equal(a.closed.astype(np.int64), b.closed.astype(np.int64))


@pytest.mark.parametrize(
    ("reported", "deadline", "due"),
    [
        ("2026-11-20T10:00", "2h", "2026-11-20T12:00"),
        ("2026-11-20T10:00", "24h", "2026-11-21T10:00"),
        ("2026-11-20T10:00", "same_day", "2026-11-21T00:00"),
        ("2026-11-20T18:00", "same_day", "2026-11-22T00:00"),  # after the cut-off: the next day counts
        ("2026-11-20T10:00", "2wd", "2026-11-24T10:00"),  # Friday → Monday, Tuesday
        # 调休: Sunday 4 January 2026 is worked, 1-3 January are not
        ("2025-12-31T10:00", "2wd", "2026-01-05T10:00"),
        # National Day 2026: 1-7 October off, Saturday 10 October worked
        ("2026-09-30T09:00", "7wd", "2026-10-15T09:00"),
        ("2026-10-03T22:00", "2wd", "2026-10-10T08:30"),  # in the holiday: counted from the next opening
    ],
)
def test_deadlines(reported: str, deadline: str, due: str) -> None:
    got = due_times(np.array([reported], dtype="datetime64[us]"), np.array([deadline], dtype=object))
    assert got[0] == np.datetime64(due)


def test_deadlines_are_those_the_program_reckons() -> None:
    rng = np.random.default_rng(4)
    calendar, classes = Calendar.load(ROOT / "data"), Classes.load(ROOT / "data")
    start = np.datetime64("2025-01-05", "s") + rng.integers(0, 720 * 86400, 1500).astype("timedelta64[s]")
    codes = np.array([c for c, row in classes.by_code.items() if row.use == "case"], dtype=object)
    deadline = rng.choice(codes, size=len(start))
    due, warn = due_and_warn(start.astype("datetime64[us]"), deadline)
    for i in range(len(start)):
        one = reckon(
            class_=classes.of(deadline[i]),
            start=start[i].tolist().replace(tzinfo=ZONE),
            calendar=calendar,
            share=AT_RISK,
        )
        assert one.due_at is not None
        assert one.warn_at is not None
        assert due[i] == np.datetime64(one.due_at.replace(tzinfo=None)), (start[i], deadline[i])
        assert warn[i] == np.datetime64(one.warn_at.replace(tzinfo=None)), (start[i], deadline[i])


def test_a_year_without_a_published_calendar_falls_back_to_weekdays() -> None:
    days = np.arange(np.datetime64("2099-06-01"), np.datetime64("2099-06-08"))  # a Monday
    assert working_mask(days).tolist() == [True] * 5 + [False] * 2


def test_the_answer_must_lie_within_the_calendar() -> None:
    with pytest.raises(IndexError):
        WorkingDays(np.datetime64("2026-11-02"), np.datetime64("2026-11-04")).after(
            np.array(["2026-11-03"], dtype="datetime64[D]"), count=3
        )
