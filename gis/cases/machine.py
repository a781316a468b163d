"""Which step may be taken from where, by whom, with what: a process definition run by the `transitions` library. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast

from transitions import EventData, Machine

from gis.access.principal import Principal
from gis.cases import forms
from gis.cases.definition import Effect, Evidence, Process, Relation, Transition, Who
from gis.cases.lists import Lists
from gis.cases.model import ActorKind, Step
from gis.errors import BadRequest, Forbidden, NotFound

# What somebody without an account may do: role `public` of data/roles.toml, which a test holds it to.
STRANGER = frozenset({"incident.report"})
_LONGEST_NOTE = 1000
_machines: dict[int, tuple[Process, Machine]] = {}
_lock = Lock()


@dataclass(frozen=True)
class Actor:
    """Who takes a step.

    Attributes
    ----------
    principal : the account; None for a reporter by code, a partner system, the system itself.
    relations : to this case, as the store says; ``place``: it lies in the account's scope.
    level : of the account's role.
    """

    kind: ActorKind
    principal: Principal | None = None
    relations: frozenset[Relation] = frozenset()
    level: str | None = None

    def may(self, permission: str) -> bool:
        """Whether they hold a permission; the system holds none and needs none."""
        if self.principal is not None:
            return self.principal.may(permission)
        return self.kind in ("reporter", "partner") and permission in STRANGER


@dataclass(frozen=True)
class Checked:
    """A step that may be taken: where it leads, and its answers in the shape they are kept in."""

    transition: Transition
    to: str
    answers: dict[str, Any]
    secrets: forms.Secrets
    note: str


@dataclass
class _Walk:
    """One attempt: what `transitions` moves, and what it finds wrong on the way."""

    process: Process
    state: str
    actor: Actor
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    photos: Mapping[str, int] = field(default_factory=dict)
    deadline_class: str | None = None
    lists: Lists | None = None
    faults: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    secrets: forms.Secrets = field(default_factory=dict)
    refused: bool = False


def allowed(
    process: Process, state: str, actor: Actor, *, without: frozenset[Effect] = frozenset()
) -> list[Transition]:
    """Steps `actor` may take from `state`, in the file's order; none with an effect of `without`, which this case has no use for."""
    machine = _machine(process)
    open_here = set(machine.get_triggers(state)) if state in machine.states else set()
    return [
        t for t in process.transition if t.id in open_here and not without & set(t.effects) and fits_any(t.who, actor)
    ]


def steps(
    process: Process,
    state: str,
    actor: Actor,
    *,
    deadline_class: str | None = None,
    lists: Lists | None = None,
    without: frozenset[Effect] = frozenset(),
) -> tuple[Step, ...]:
    """The same as buttons and forms need them; choices filled in, photos this case's class does not need left out."""
    return tuple(
        Step(
            id=t.id, name=t.name, name_en=t.name_en, tone=t.tone, needs_reason=t.reason, bulk=t.bulk,
            form=tuple(forms.described(f, lists=lists, items=process.items) for f in t.form),
            evidence=tuple(e.model_dump() for e in evidence_of(t, deadline_class)),
        )
        for t in allowed(process, state, actor, without=without)
    )  # fmt: skip


def evidence_of(transition: Transition, deadline_class: str | None) -> list[Evidence]:
    """Photos a step must bring for a case of this class."""
    return [e for e in transition.evidence if deadline_class is None or deadline_class not in e.unless_class]


def check(
    process: Process,
    state: str,
    transition_id: str,
    actor: Actor,
    answers: Mapping[str, Any],
    note: str = "",
    photos: Mapping[str, int] | None = None,
    *,
    deadline_class: str | None = None,
    lists: Lists | None = None,
) -> Checked:
    """Say whether this step may be taken now, and return its answers ready to keep.

    Parameters
    ----------
    photos : how many of each stage come with this step.
    deadline_class : the case's, for steps whose photos depend on it.
    lists : code lists to choose from; None: this installation's.

    Raises
    ------
    NotFound
        No such step in this version of the process.
    Forbidden
        Somebody else takes this step.
    BadRequest
        Not from this state.
    FaultyAnswers
        A BadRequest with everything wrong with answers, reason and photos.
    """
    transition = next((t for t in process.transition if t.id == transition_id), None)
    if transition is None:
        raise NotFound(f"“{process.name}”没有这一步。", next_step="刷新页面再试。")
    if state not in transition.source:
        here = next((s.name for s in process.state if s.id == state), state)
        raise BadRequest(f"现在是“{here}”，不能{transition.name}。", next_step="刷新页面，看看现在可以做什么。")
    walk = _Walk(process, state, actor, answers, note.strip(), photos or {}, deadline_class, lists)
    moved = _machine(process).events[transition_id].trigger(walk)
    if walk.refused:
        raise Forbidden(f"您不能{transition.name}这件办件。", next_step=_who_can(transition))
    if not moved:
        raise forms.FaultyAnswers(walk.faults)
    return Checked(transition, walk.state, walk.kept, walk.secrets, walk.note)


def may_report(process: Process, actor: Actor) -> bool:
    """Whether `actor` may begin a case of this process; whoever does is its reporter."""
    return fits_any(process.who_reports, actor)


def fits_any(who: list[Who], actor: Actor) -> bool:
    """Whether one of the kinds of people fits."""
    return any(fits(one, actor) for one in who)


def fits(who: Who, actor: Actor) -> bool:
    """Whether all that is asked of a person holds for this one. The system takes only what is the system's, and nobody else does."""
    if who.relation == "system" or actor.kind == "system":
        return who.relation == "system" and actor.kind == "system"
    return (
        who.relation in actor.relations
        and (who.permission is None or actor.may(who.permission))
        and (not who.role or (actor.principal is not None and actor.principal.role in who.role))
        and (not who.level or actor.level in who.level)
    )


def _machine(process: Process) -> Machine:
    """The machine of a definition, made once; definitions are few and never change once read."""
    known = _machines.get(id(process))
    if known is not None and known[0] is process:
        return known[1]
    with _lock:
        machine = Machine(
            model=None,
            states=[s.id for s in process.state],
            transitions=[
                {"trigger": t.id, "source": source, "dest": t.to, "conditions": [_is_theirs, _is_complete]}
                for t in process.transition
                for source in t.source
            ],
            initial=process.initial,
            auto_transitions=False,
            send_event=True,
        )
        _machines[id(process)] = (process, machine)
    return machine


def _is_theirs(event: EventData) -> bool:
    walk = cast(_Walk, event.model)
    walk.refused = not fits_any(walk.process.transition_of(event.event.name).who, walk.actor)
    return not walk.refused


def _is_complete(event: EventData) -> bool:
    walk = cast(_Walk, event.model)
    transition = walk.process.transition_of(event.event.name)
    walk.kept, walk.secrets, walk.faults = forms.sorted_out(
        transition.form, walk.answers, lists=walk.lists, items=walk.process.items
    )
    if transition.reason and not walk.note and walk.actor.kind != "system":
        walk.faults["note"] = "请写明原因"
    if len(walk.note) > _LONGEST_NOTE:
        walk.faults["note"] = f"说明最多 {_LONGEST_NOTE} 字，现在 {len(walk.note)} 字"
    missing = [
        f"{_STAGES[e.stage]}照片至少 {e.at_least} 张"
        for e in evidence_of(transition, walk.deadline_class)
        if walk.photos.get(e.stage, 0) < e.at_least
    ]
    if missing:
        walk.faults["photos"] = "请附上：" + "、".join(missing)
    return not walk.faults


_STAGES = {"before": "处理前", "after": "处理后", "evidence": "取证", "confirm": "确认"}
_RELATIONS = {
    "place": "管这个地方的人", "assignee": "责任人", "unit": "责任单位", "head": "责任单位负责人", "reporter": "上报人",
    "other_grid": "被请来回访的网格员", "system": "系统到时自动",
}  # fmt: skip


def who_in_words(
    who: Who, *, roles: Mapping[str, str] | None = None, permissions: Mapping[str, str] | None = None
) -> str:
    """A kind of person in words: 管这个地方的人（有“调度”权限，县、乡镇）."""
    levels = {"county": "县", "township": "乡镇", "village": "村", "grid": "网格"}
    parts = ["、".join((roles or {}).get(r, r) for r in who.role)]
    if who.permission:
        parts.append(f"能“{(permissions or {}).get(who.permission, who.permission)}”")
    parts.append("、".join(levels[x] for x in who.level) + "级" if who.level else "")
    detail = "，".join(filter(None, parts))
    return _RELATIONS[who.relation] + (f"（{detail}）" if detail else "")


def _who_can(transition: Transition) -> str:
    return "这一步由" + "、".join(dict.fromkeys(_RELATIONS[w.relation] for w in transition.who)) + "来做。"
