"""Who may take which step from where, and what a step asks for."""

from __future__ import annotations

import pytest

from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.cases import machine
from gis.cases.catalogue import Processes
from gis.cases.definition import Relation
from gis.cases.forms import FaultyAnswers
from gis.cases.machine import Actor
from gis.errors import BadRequest, Forbidden, NotFound
from gis.settings import ROOT

PROCESSES = Processes.load(ROOT / "data")
INCIDENT, TASK = PROCESSES.current("incident"), PROCESSES.current("task")
ROLES = Roles.load(ROOT / "data")


def somebody(role: str, *relations: Relation) -> Actor:
    defined = ROLES.by_id[role]
    principal = Principal(7, role, role, role, defined.name, ("130529",), defined.permissions)
    return Actor("account", principal, frozenset(relations), defined.level)


REPORTER = Actor("reporter", None, frozenset({"reporter"}))
SYSTEM = Actor("system")


def may(state: str, actor: Actor) -> set[str]:
    return {t.id for t in machine.allowed(INCIDENT, state, actor)}


def test_the_stranger_with_the_code_confirms_and_no_more() -> None:
    assert may("feedback", REPORTER) == {"confirm", "dispute", "note"}
    assert may("reported", REPORTER) == {"urge", "note"}
    assert may("closed", REPORTER) == {"rate", "reopen"}
    assert may("returned", REPORTER) == {"appeal"}
    assert may("archived", REPORTER) == set()


def test_a_grid_member_handles_but_does_not_dispatch() -> None:
    member = somebody("grid_member", "place")
    assert may("reported", member) == {"accept_take", "accept_county", "note"}
    assert "take" in may("assigned", member)
    assert not {"reassign", "merge", "supervise", "return"} & may("assigned", member)
    assert "feedback" not in may("handling", member)  # not theirs
    assert "feedback" in may("handling", somebody("grid_member", "place", "assignee"))


def test_without_a_relation_a_role_is_nothing() -> None:
    for role in ROLES.by_id:
        for state in INCIDENT.state:
            assert may(state.id, somebody(role)) == set()


@pytest.mark.parametrize("role", ["analyst", "data_officer", "wall", "system_admin", "security_admin", "audit_admin"])
def test_who_may_only_look_takes_no_step_even_in_their_own_place(role: str) -> None:
    for state in INCIDENT.state:
        assert may(state.id, somebody(role, "place", "unit", "head")) == set()
    assert not machine.may_report(INCIDENT, somebody(role, "reporter"))


def test_the_system_takes_its_own_steps_only_and_nobody_else_takes_them() -> None:
    assert may("feedback", SYSTEM) == {"confirm_silent"}
    assert may("suspended", SYSTEM) == {"resume", "supervise"}
    assert may("handling", SYSTEM) == {"supervise", "escalate"}
    assert "confirm_silent" not in may(
        "feedback", somebody("commander", "place", "assignee", "unit", "head", "reporter")
    )
    assert machine.check(INCIDENT, "handling", "supervise", SYSTEM, {}).to == "handling"  # no reason asked of a clock


def test_extension_has_a_life_of_its_own() -> None:
    assert "grant_extension" not in may("handling", somebody("planner", "place"))
    assert {"grant_extension", "refuse_extension"} <= may("extension", somebody("planner", "place"))
    assert "feedback" in may("extension", somebody("handler", "assignee"))


def test_a_step_leads_where_it_says() -> None:
    planner = somebody("planner", "place")
    checked = machine.check(INCIDENT, "reported", "accept", planner, {"item": "0303"})
    assert (checked.to, checked.answers, checked.secrets) == ("accepted", {"item": "0303"}, {})
    assert machine.check(INCIDENT, "handling", "urge", planner, {}).to == "handling"


def test_refusals_say_what_to_do() -> None:
    planner = somebody("planner", "place")
    with pytest.raises(BadRequest, match="现在是“办结”，不能受理"):
        machine.check(INCIDENT, "closed", "accept", planner, {"item": "0303"})
    with pytest.raises(Forbidden, match="您不能受理这件办件") as e:
        machine.check(INCIDENT, "reported", "accept", REPORTER, {"item": "0303"})
    assert "管这个地方的人" in e.value.next_step
    with pytest.raises(NotFound):
        machine.check(INCIDENT, "reported", "explode", planner, {})


def test_every_fault_of_a_step_at_once() -> None:
    handler = somebody("handler", "assignee")
    with pytest.raises(FaultyAnswers) as e:
        machine.check(INCIDENT, "handling", "feedback", handler, {"colour": "red"})
    assert set(e.value.faults) == {"colour", "result", "photos"}
    with pytest.raises(FaultyAnswers) as e:
        machine.check(INCIDENT, "handling", "request_extension", handler, {"extend_days": 9})
    assert e.value.faults == {"extend_days": "“延几天”不能大于 5 天", "note": "请写明原因"}
    assert e.value.status == 400


def test_forbidden_comes_before_faults() -> None:
    with pytest.raises(Forbidden):
        machine.check(INCIDENT, "handling", "feedback", REPORTER, {})


def test_photos_are_of_this_step_and_by_class() -> None:
    handler = somebody("handler", "assignee")
    answers = {"result": "换了灯泡"}
    with pytest.raises(FaultyAnswers, match="处理后照片至少 1 张"):
        machine.check(INCIDENT, "handling", "feedback", handler, answers, photos={"before": 3}, deadline_class="2wd")
    assert (
        machine.check(INCIDENT, "handling", "feedback", handler, answers, photos={"after": 1}, deadline_class="2wd").to
        == "feedback"
    )
    # a question answered leaves nothing to photograph
    assert machine.check(INCIDENT, "handling", "feedback", handler, answers, deadline_class="same_day").to == "feedback"
    with pytest.raises(FaultyAnswers):
        machine.check(INCIDENT, "handling", "feedback", handler, answers)


def test_buttons_come_with_their_choices() -> None:
    steps = {s.id: s for s in machine.steps(INCIDENT, "reported", somebody("planner", "place"), lists=PROCESSES.lists)}
    item, deadline = steps["accept"].form
    assert item["options"]["0303"] == "道路与路灯损坏"
    assert set(deadline["options"]) == {"2h", "24h", "same_day", "2wd", "7wd", "15wd"}  # none that is for single steps
    assert steps["return"].needs_reason
    feedback = {
        s.id: s for s in machine.steps(INCIDENT, "handling", somebody("handler", "assignee"), deadline_class="24h")
    }["feedback"]
    assert feedback.evidence == ()


def test_steps_this_case_has_no_use_for_are_not_offered() -> None:
    cadre = somebody("village_cadre", "place")
    assert "part_done" in may("handling", cadre)
    left = {t.id for t in machine.allowed(INCIDENT, "handling", cadre, without=frozenset({"part.done"}))}
    assert left == may("handling", cadre) - {"part_done"}


def test_tasks_run_by_the_same_engine() -> None:
    issuer, doer = somebody("dispatcher", "reporter", "place"), somebody("handler", "unit")
    assert machine.may_report(TASK, issuer)
    assert not machine.may_report(TASK, somebody("grid_member", "reporter"))
    assert not machine.may_report(TASK, REPORTER)
    assert {t.id for t in machine.allowed(TASK, "issued", doer)} == {"sign", "object"}
    state = "issued"
    for step, actor, answers, photos in (
        ("sign", doer, {}, {}), ("start", doer, {}, {}), ("progress", doer, {"progress_pct": 40}, {}),
        ("report_back", doer, {"result": "已整改"}, {"after": 1}), ("send_back", issuer, {}, {}),
        ("report_back", doer, {"result": "已整改"}, {"after": 2}), ("verify", issuer, {"how": "on_site"}, {}), ("close", issuer, {}, {}),
    ):  # fmt: skip
        state = machine.check(TASK, state, step, actor, answers, "说明", photos).to
    assert state == "closed"


def test_who_may_is_said_in_words() -> None:
    accept = INCIDENT.transition_of("accept")
    said = machine.who_in_words(accept.who[1], permissions=ROLES.sentences)
    assert said == "管这个地方的人（能“受理、处置、反馈、办结事件”，县、乡镇、村级）"
