"""What time does by itself: marks, notices, escalations and automatic steps, each once; call-backs; clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gis.access.crypt import load_keys
from gis.access.roles import Roles
from gis.cases.acting import Acting
from gis.cases.callback import drawn
from gis.cases.clocks import Clocks
from gis.cases.routing import Duties
from gis.cases.sweep import Sweep
from gis.clock import now
from gis.settings import Settings
from gis.store.pool import Pool
from tests.case_county import PHOTO, CaseCounty, case_county


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    with case_county(module_store, tmp_path_factory.mktemp("keys")) as made:
        yield made


@pytest.fixture(scope="module")
def sweep(county: CaseCounty) -> Iterator[Sweep]:
    pool = Pool(county.settings, role="job", size=3)
    pool.open()
    processes = county.cases.processes
    clocks, duties = Clocks(processes), Duties.load(county.settings.data)
    acting = Acting(
        pool,
        processes=processes,
        clocks=clocks,
        duties=duties,
        roles=Roles.load(county.settings.data),
        keys=load_keys(county.settings),
    )
    yield Sweep(pool, processes=processes, clocks=clocks, duties=duties, acting=acting)
    pool.close()


def handled(county: CaseCounty) -> str:
    receipt = county.report()
    county.do(receipt.case_no, "accept", "planner", item="0303")
    county.do(receipt.case_no, "take", "member")
    return receipt.case_no


def kinds(county: CaseCounty, case_no: str) -> list[str]:
    return [r[0] for r in county.owner(
        "SELECT n.kind FROM onemap.case_notice n JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s AND n.kind NOT IN ('accept', 'take') ORDER BY 1",
        [case_no])]  # fmt: skip


def late(county: CaseCounty, case_no: str, hours: float) -> None:
    """Let its deadline have passed so many hours ago."""
    county.owner(
        "UPDATE onemap.case_file SET due_at = %s, warn_at = %s WHERE case_no = %s",
        [now() - timedelta(hours=hours), now() - timedelta(hours=hours + 5), case_no],
    )


def test_a_case_at_risk_is_told_of_once(county: CaseCounty, sweep: Sweep) -> None:
    case_no = handled(county)
    county.owner(
        "UPDATE onemap.case_file SET warn_at = %s, due_at = %s WHERE case_no = %s",
        [now() - timedelta(minutes=1), now() + timedelta(days=3), case_no],
    )
    sweep.run()
    sweep.run()
    assert kinds(county, case_no) == ["at_risk"]
    assert county.owner("SELECT swept FROM onemap.case_file WHERE case_no = %s", [case_no]) == [("at_risk",)]


def test_a_late_case_is_supervised_once_and_climbs_after_a_day(county: CaseCounty, sweep: Sweep) -> None:
    case_no = handled(county)
    late(county, case_no, 1)
    for _ in range(3):
        sweep.run()
    steps = county.owner(
        "SELECT e.transition, e.actor_kind, e.actor_name FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s "
        "AND e.actor_kind = 'system'", [case_no],
    )  # fmt: skip
    assert steps == [("supervise", "system", "系统")]
    assert county.owner(
        "SELECT supervised_at IS NOT NULL, swept FROM onemap.case_file WHERE case_no = %s", [case_no]
    ) == [(True, "breached")]
    late(county, case_no, 25)
    county.owner("ALTER TABLE onemap.case_event DISABLE TRIGGER case_event_append_only")
    county.owner(
        "UPDATE onemap.case_event e SET at = at - interval '25 hours' FROM onemap.case_file c WHERE c.case_id = e.case_id AND c.case_no = %s",
        [case_no],
    )
    county.owner("ALTER TABLE onemap.case_event ENABLE TRIGGER case_event_append_only")
    late(county, case_no, 24.5)
    for _ in range(3):
        sweep.run()
    climbed = county.owner(
        "SELECT count(*) FILTER (WHERE e.transition = 'escalate'), c.level, c.state FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) "
        "WHERE c.case_no = %s GROUP BY 2, 3", [case_no],
    )  # fmt: skip
    assert climbed == [(1, 3, "accepted")]


def test_what_was_taken_over_is_marked_and_left_to_people(county: CaseCounty, sweep: Sweep) -> None:
    county.owner(
        "INSERT INTO onemap.case_file (case_no, state, channel, title, reported_at, due_at, warn_at, clock_state) VALUES "
        "('SJ2024010100001', 'handling', 'hotline', '旧系统的', now() - interval '9 days', now() - interval '3 days', now() - interval '4 days', 'runs')"
    )
    sweep.run()
    assert county.owner("SELECT swept, revision FROM onemap.case_file WHERE case_no = 'SJ2024010100001'") == [
        ("breached", 0)
    ]
    assert kinds(county, "SJ2024010100001") == []


def test_silence_is_taken_as_agreement_after_five_days(county: CaseCounty, sweep: Sweep) -> None:
    case_no = handled(county)
    county.do(case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")
    sweep.run()
    assert county.state(case_no) == "feedback"
    county.owner("ALTER TABLE onemap.case_event DISABLE TRIGGER case_event_append_only")
    county.owner(
        "UPDATE onemap.case_event e SET at = at - interval '5 days 1 hour' FROM onemap.case_file c WHERE c.case_id = e.case_id AND c.case_no = %s",
        [case_no],
    )
    county.owner("ALTER TABLE onemap.case_event ENABLE TRIGGER case_event_append_only")
    sweep.run()
    sweep.run()
    assert county.state(case_no) == "closed"
    assert county.owner("SELECT count(*) FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s AND e.transition = 'confirm_silent'",
                        [case_no]) == [(1,)]  # fmt: skip


def test_two_sweeps_at_once_do_everything_once(county: CaseCounty, sweep: Sweep) -> None:
    from concurrent.futures import ThreadPoolExecutor

    numbers = [handled(county) for _ in range(5)]
    for number in numbers:
        late(county, number, 1)
    with ThreadPoolExecutor(3) as many:
        list(many.map(lambda _: sweep.run(), range(3)))
    sweep.run()
    for number in numbers:
        done = county.owner(
            "SELECT count(*) FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s AND e.transition = 'supervise'",
            [number],
        )
        assert done == [(1,)]


def test_a_call_back_goes_to_another_grid_and_disagreement_is_counted_by_handler(county: CaseCounty) -> None:
    """Closed until one is drawn; five in a hundred are."""
    asked = None
    for _ in range(200):
        receipt = county.report()
        case_id = county.owner("SELECT case_id FROM onemap.case_file WHERE case_no = %s", [receipt.case_no])[0][0]
        if drawn(case_id, 0, share=0.05):
            asked = receipt
            break
    assert asked is not None
    case_no = asked.case_no
    county.do(case_no, "accept", "planner", item="0303")
    county.do(case_no, "take", "member")
    county.do(case_no, "feedback", "member", photos=(PHOTO,), result="换了灯泡")
    county.do(case_no, "confirm", code=asked.follow_code)
    row = county.owner(
        "SELECT b.asked_id, b.handler_id FROM onemap.case_callback b JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s",
        [case_no],
    )
    people = {p.account_id: name for name, p in county.people.items()}
    assert [people[row[0][0]], people[row[0][1]]] in (["neighbour", "member"], ["stranger_member", "member"])
    who = people[row[0][0]]
    assert case_no in {t["case_no"] for t in county.cases.mine(county.people[who]) if t["kind"] == "callback"}
    assert (
        county.do(case_no, "callback", who, note="灯还是不亮", agrees=False) is None
    )  # answered: no longer theirs to see
    figures = county.cases.lists.disagreement(since=now() - timedelta(days=1), principal=county.people["dispatcher"])
    assert [(f["handler_name"], f["answered"], f["disagreed"], f["rate"]) for f in figures] == [
        ("测试member", 1, 1, 1.0)
    ]


def test_five_in_a_hundred_are_drawn() -> None:
    assert 400 < sum(drawn(n, 0, share=0.05) for n in range(10_000)) < 600


def test_events_stand_in_order_of_revision_when_the_clock_runs_back(
    county: CaseCounty, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gis.cases.acting as acting

    receipt = county.report()
    monkeypatch.setattr(acting, "now", lambda: now() - timedelta(hours=1))
    county.do(receipt.case_no, "accept", "planner", item="0303")
    monkeypatch.setattr(acting, "now", lambda: now() + timedelta(hours=1))
    county.do(receipt.case_no, "take", "member")
    card = county.cases.card(receipt.case_no, principal=county.people["planner"])
    assert [e.transition for e in card.events] == ["report", "accept", "take"]
    sequence = county.owner(
        "SELECT action FROM access.audit WHERE object_kind = 'case' AND object_id = %s ORDER BY seq",
        [str(card.row.case_id)],
    )
    assert [s[0] for s in sequence] == ["case.report", "case.accept", "case.take"]
