"""What a process definition must keep to beyond its form; every fault a sentence that says where. Pure apart from `Knowledge.load`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gis.access.roles import Roles
from gis.cases.calendar import Calendar
from gis.cases.deadline import Classes
from gis.cases.definition import FormField, Process, Transition, Who
from gis.cases.lists import Lists

WORDS = frozenset({"case_no", "title", "state", "due", "note", "actor"})
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# An effect that works by an answer, and the answer(s) one of which its form must ask for.
_ASKS = {
    "assign": {"unit": "unit", "person": "person"},
    "merge": {"into": "case"},
    "clock.extend": {"extend_days": "number"},
    "rate": {"rating": "rating"},
    "callback.answer": {"agrees": "bool"},
}
_AFTER_THE_END = {"reopen", "rate", "callback.answer"}


@dataclass
class Knowledge:
    """What definitions may refer to."""

    roles: Roles
    classes: Classes
    calendars: dict[str, Calendar]
    lists: Lists

    @classmethod
    def load(cls, data: Path) -> Knowledge:
        """Read roles, deadline classes, calendars and code lists; `DefinitionError` when one of them is faulty."""
        calendars = {path.stem: Calendar.load(data, path.stem) for path in sorted((data / "calendars").glob("*.toml"))}
        return cls(Roles.load(data), Classes.load(data), calendars, Lists(data))


def faults_of(process: Process, known: Knowledge) -> list[str]:
    """Return a sentence for everything wrong with a definition; empty: it may be used."""
    faults = [
        *_ids(process),
        *_references(process),
        *_graph(process),
        *_clocks(process),
        *_deadlines(process, known),
        *_forms("report", process.report, process, known),
        *_people(process, known),
        *_time(process, known),
    ]
    for transition in process.transition:
        faults += _transition(transition, process, known)
    return faults


def _ids(process: Process) -> Iterable[str]:
    for kind, ids in (("状态", [s.id for s in process.state]), ("步骤", [t.id for t in process.transition])):
        yield from (f"{kind} {i} 写了两次" for i, n in Counter(ids).items() if n > 1)
    for transition in process.transition:
        if transition.id in {"near", "bulk", "undo"}:
            yield f"步骤 {transition.id} 是保留的名字，换一个"


def _references(process: Process) -> Iterable[str]:
    states = {s.id for s in process.state}
    if process.initial not in states:
        yield f"initial：没有状态 {process.initial}"
    for t in process.transition:
        yield from (f"步骤 {t.id}：没有状态 {s}" for s in [*t.source, *filter(None, [t.to])] if s not in states)
    fields = {f.id for t in process.transition for f in t.form} | {f.id for f in process.report}
    yield from (f"public.fields：没有字段 {f}" for f in process.public.fields if f not in fields)
    personal = {f.id for f in [*process.report, *(f for t in process.transition for f in t.form)] if f.personal}
    yield from (f"public.fields：{f} 是个人信息，不能公开" for f in process.public.fields if f in personal)


def _graph(process: Process) -> Iterable[str]:
    """Unreachable states, dead ends, ways out of an end that are none."""
    ways: dict[str, set[str]] = {s.id: set() for s in process.state}
    for t in process.transition:
        for source in t.source:
            if t.to and source in ways and t.to in ways:
                ways[source].add(t.to)
    reached, edge = {process.initial}, [process.initial]
    while edge:
        new = ways.get(edge.pop(), set()) - reached
        reached |= new
        edge += new
    ends = {s.id for s in process.state if s.ends}
    if not ends:
        yield "没有结束状态（ends = true）：办件永远办不完"
    for state in process.state:
        if state.id not in reached:
            yield f"状态 {state.id}（{state.name}）走不到"
        elif not state.ends and not ways[state.id] - {state.id}:
            yield f"状态 {state.id}（{state.name}）是死路：不是结束，又没有步骤离开"
        elif not state.ends and ends and not _reaches(state.id, ends, ways):
            yield f"状态 {state.id}（{state.name}）办不到结束"
    for t in process.transition:
        for source in (s for s in t.source if s in ends):
            to_end = t.to is None or t.to in ends
            if not to_end and "reopen" not in t.effects:
                yield f"步骤 {t.id}：从已结束的 {source} 再办，要有 reopen"
            elif t.to is None and t.effects and not _AFTER_THE_END & set(t.effects):
                yield f"步骤 {t.id}：{source} 已经结束，这里只能重开、评价、回访或归档"


def _reaches(start: str, ends: set[str], ways: dict[str, set[str]]) -> bool:
    seen, edge = {start}, [start]
    while edge:
        at = edge.pop()
        if at in ends:
            return True
        edge += ways[at] - seen
        seen |= ways[at]
    return False


def _clocks(process: Process) -> Iterable[str]:
    """What the clock does in a state, and what the steps into it say."""
    states = {s.id: s for s in process.state}
    for state in process.state:
        if state.ends and state.clock != "stopped":
            yield f"状态 {state.id}：已经结束，clock 应是 stopped"
    if process.initial in states and states[process.initial].ends:
        yield f"initial：{process.initial} 是结束状态"
    for t in process.transition:
        for source in t.source:
            if t.to is None or source not in states or t.to not in states or t.to == source:
                continue
            before, after = states[source], states[t.to]
            needed = _clock_step(before.clock, after.clock)
            if needed and not needed & set(t.effects):
                yield f"步骤 {t.id}：{source} → {t.to} 时钟从 {before.clock} 变成 {after.clock}，effects 里要有 {' 或 '.join(sorted(needed))}"
            if after.ends and not before.ends and not {"end", "merge"} & set(t.effects):
                yield f"步骤 {t.id}：{t.to} 是结束状态，effects 里要有 end"
            if not after.ends and "end" in t.effects:
                yield f"步骤 {t.id}：{t.to} 不是结束状态，effects 里不能有 end"


def _clock_step(before: str, after: str) -> set[str]:
    """Effects one of which must stand where the clock changes from one to the other."""
    if before == after or after == "waits":
        return set()
    if after == "runs":
        return {"clock.start"} if before == "waits" else {"clock.start", "clock.resume"}
    return {"clock.pause"} if after == "paused" else {"clock.stop"}


def _deadlines(process: Process, known: Knowledge) -> Iterable[str]:
    deadline = process.deadline
    calendar = known.calendars.get(deadline.calendar)
    if calendar is None:
        yield f"deadline.calendar：没有日历 data/calendars/{deadline.calendar}.toml"
    elif deadline.hours not in calendar.hours:
        yield f"deadline.hours：日历 {deadline.calendar} 里没有作息 {deadline.hours}"
    if deadline.by == "fixed":
        if deadline.fixed is None:
            yield "deadline：by = fixed 要写 fixed"
        else:
            yield from _class("deadline.fixed", deadline.fixed, "case", known)
    elif deadline.fixed is not None:
        yield "deadline：by = item 时不写 fixed"
    if process.items is None:
        if deadline.by == "item":
            yield "deadline：by = item，却没有 items 事项清单"
    elif not known.lists.has(process.items):
        yield f"items：没有代码表 data/codelists/{process.items}.csv"
    elif deadline.by == "item":
        for code, row in known.lists.rows(process.items).items():
            yield from _class(f"items：事项 {code} 的 deadline", row.get("deadline", ""), "case", known)
    for state in process.state:
        if state.within:
            yield from _class(f"状态 {state.id} 的 within", state.within, None, known)
    if process.callback:
        yield from _class("callback.within", process.callback.within, None, known)
    if (deadline.extensions == 0) != (deadline.longest_extension_days == 0):
        yield "deadline：extensions 和 longest_extension_days 要么都是 0，要么都不是"


def _class(where: str, code: str, use: str | None, known: Knowledge) -> Iterable[str]:
    found = known.classes.by_code.get(code)
    if found is None:
        yield f"{where}：没有时限类别 {code or '（空）'}"
    elif use and found.use != use:
        yield f"{where}：时限类别 {code} 是给单个步骤用的，不是整件的时限"


def _people(process: Process, known: Knowledge) -> Iterable[str]:
    for who in process.who_reports:
        yield from _who("who_reports", who, known)
        if who.relation != "reporter":
            yield 'who_reports：relation 要是 "reporter"，谁上报谁就是上报人'
    first = {t.id for t in process.transition if process.initial in t.source}
    human = [t for t in process.transition if t.id in first and any(w.relation != "system" for w in t.who)]
    if not human:
        yield f"没有人能办理新来的（{process.initial} 没有人工步骤）"
    asked = [s for t in process.transition if "ask_reporter" in t.effects for s in [t.to] if s]
    ends = {s.id for s in process.state if s.ends}
    for state in asked:
        ways = {t.to in ends for t in process.transition if state in t.source and t.to and _for(t, "reporter")}
        if ways != {True, False}:
            missing = "认可" if True not in ways else "不认可"
            yield f"状态 {state}：请上报人确认（ask_reporter），却没有给上报人的{missing}步骤"
        if state not in {s for a in process.automatic for s in _transition_source(process, a.transition)}:
            yield f"状态 {state}：上报人一直不答复就停在这里，要有一个自动步骤（automatic）"


def _for(t: Transition, relation: str) -> bool:
    return any(w.relation == relation for w in t.who)


def _transition_source(process: Process, transition: str) -> list[str]:
    return [s for t in process.transition if t.id == transition for s in t.source]


def _who(where: str, who: Who, known: Knowledge) -> Iterable[str]:
    yield from (f"{where}：没有角色 {r}" for r in who.role if known.roles.of(r) is None)
    if who.permission is not None and who.permission not in known.roles.sentences:
        yield f"{where}：没有权限 {who.permission}（见 data/roles.toml）"
    if who.relation == "system" and (who.role or who.permission or who.level):
        yield f"{where}：系统自动的步骤不写角色、权限和层级"
    elif who.relation in ("place", "unit", "head") and not who.role and not who.permission:
        yield f"{where}：relation = {who.relation} 要同时写明角色或权限，否则谁都能办"
    if who.permission in known.roles.sentences:
        able = [r for r in known.roles.by_id.values() if who.permission in r.permissions]
        able = [r for r in able if (not who.role or r.id in who.role) and (not who.level or r.level in who.level)]
        if not able:
            yield f"{where}：没有哪个角色同时满足权限 {who.permission}、层级 {'、'.join(who.level) or '不限'}"


def _transition(t: Transition, process: Process, known: Knowledge) -> Iterable[str]:
    where = f"步骤 {t.id}"
    for who in t.who:
        yield from _who(where, who, known)
    yield from _forms(where, t.form, process, known)
    if t.notify and not t.words.strip():
        yield f"{where}：通知了人（notify），却没有话说（words）"
    yield from _text(where, t.words)
    if any(w.relation == "system" for w in t.who) and any(f.required for f in t.form):
        yield f"{where}：系统自动的步骤不会填表，不能有必填项"
    if any(w.relation == "system" for w in t.who) and t.evidence:
        yield f"{where}：系统自动的步骤没有照片，不能要求照片"
    kinds = {f.id: f.kind for f in t.form}
    for effect, answers in _ASKS.items():
        if effect in t.effects and not any(kinds.get(name) == kind for name, kind in answers.items()):
            wanted = "、".join(f"{name}（{kind}）" for name, kind in answers.items())
            yield f"{where}：{effect} 要靠填写的 {wanted}，表里没有"
    if "classify" in t.effects and not {"item", "deadline_class"} & set(kinds.values()):
        yield f"{where}：classify 要靠填写的事项或时限类别，表里没有"
    if "clock.extend" in t.effects and process.deadline.extensions == 0:
        yield f"{where}：deadline.extensions = 0，不能延期"
    if "clock.extend" in t.effects and not any(
        f.id == "extend_days" and f.max is not None and f.max <= process.deadline.longest_extension_days for f in t.form
    ):
        yield f"{where}：extend_days 的 max 不能超过 longest_extension_days（{process.deadline.longest_extension_days}）"
    if "sample_callback" in t.effects and process.callback is None:
        yield f"{where}：抽查回访（sample_callback）要有 [callback]"
    yield from (f"{where}：effects 里 {e} 写了两次" for e, n in Counter(t.effects).items() if n > 1)
    for evidence in t.evidence:
        for code in evidence.unless_class:
            yield from _class(f"{where} 的 unless_class", code, "case", known)


def _forms(where: str, form: list[FormField], process: Process, known: Knowledge) -> Iterable[str]:
    yield from (f"{where}：字段 {i} 写了两次" for i, n in Counter(f.id for f in form).items() if n > 1)
    elsewhere = {
        f.id: f for f in [*process.report, *(f for t in process.transition for f in t.form)]
    }  # the last of each name
    for field in form:
        at = f"{where} 的字段 {field.id}"
        if field.kind == "choice" and bool(field.options) == bool(field.codelist):
            yield f"{at}：选择题要写 options 或 codelist，写一样"
        if field.kind != "choice" and (field.options or field.codelist):
            yield f"{at}：{field.kind} 不写 options、codelist"
        if field.codelist and not known.lists.has(field.codelist):
            yield f"{at}：没有代码表 data/codelists/{field.codelist}.csv"
        if field.kind == "item" and process.items is None:
            yield f"{at}：流程没有 items 事项清单"
        if field.personal and field.public:
            yield f"{at}：个人信息不能公开"
        if field.personal and field.kind not in ("text", "longtext"):
            yield f"{at}：个人信息只能是文字（text、longtext）"
        if field.min is not None and field.max is not None and field.min > field.max:
            yield f"{at}：min 大于 max"
        other = elsewhere[field.id]
        if other.kind != field.kind or other.personal != field.personal:
            yield f"{at}：与别处同名的字段类型不同（{field.kind}、{other.kind}），会互相覆盖"


def _text(where: str, words: str) -> Iterable[str]:
    yield from (
        f"{where}：words 里不认识 {{{name}}}，可用 {'、'.join(sorted(WORDS))}"
        for name in _PLACEHOLDER.findall(words)
        if name not in WORDS
    )


def _time(process: Process, known: Knowledge) -> Iterable[str]:
    """What happens by itself."""
    by_id = {t.id: t for t in process.transition}

    def by_system(where: str, transition: str) -> Iterable[str]:
        t = by_id.get(transition)
        if t is None:
            yield f"{where}：没有步骤 {transition}"
        elif not any(w.relation == "system" for w in t.who):
            yield f'{where}：步骤 {transition} 的 who 里要有 {{ relation = "system" }}'

    for a in process.automatic:
        yield from by_system("automatic", a.transition)
        if len(_transition_source(process, a.transition)) > 1:
            yield f"automatic：步骤 {a.transition} 有几个起点，说不清从何时算起"
    for e in process.escalation:
        if e.transition:
            yield from by_system("escalation", e.transition)
        if (e.notify or e.transition) and not e.words.strip():
            yield f"escalation {e.at}：没有话说（words）"
        yield from _text(f"escalation {e.at}", e.words)
    for r in process.reminder:
        if not r.notify or not r.words.strip():
            yield f"reminder {r.before_hours} 小时：notify 和 words 都要写"
        yield from _text(f"reminder {r.before_hours} 小时", r.words)
    paused = [s for s in process.state if s.clock == "paused"]
    for state in paused:
        if state.within is None:
            yield f"状态 {state.id}：挂起要有最长时间（within）"
        if not any(state.id in _transition_source(process, a.transition) for a in process.automatic):
            yield f"状态 {state.id}：挂起到最长时间要自动恢复，缺 automatic"
