"""The card of a case: everything about it that one person may see; and what whoever holds its code may see, which is less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from psycopg import Connection

from gis.access.principal import Principal
from gis.cases import clocks, follow, forms, machine
from gis.cases.acting import ABSENT, Acting, step_name, undoable
from gis.cases.catalogue import Processes
from gis.cases.definition import FormField, Process
from gis.cases.model import Card, Event, Step
from gis.cases.parts import without
from gis.cases.reading import Reading, standing, state_name
from gis.errors import NotFound
from gis.store.pool import Pool
from gis.store.queries import load_queries

# No gateway to the telephone network here: what would be sent is shown, and nobody is told that it was.
_MOST_CASES = 500
NO_GATEWAY = "未接短信网关，没有发出"


class Cards:
    """Reads cards.

    Parameters
    ----------
    acting : Acting
        Knows who is what to a case.
    """

    def __init__(self, pool: Pool, *, processes: Processes, reading: Reading, acting: Acting) -> None:
        self._pool = pool
        self._processes = processes
        self._reading = reading
        self._acting = acting
        self._sql = load_queries("cases_reading")

    def card(self, case_no: str, *, principal: Principal) -> Card:
        """The whole card, as a signed-in person may see it.

        Raises
        ------
        NotFound
            When there is none, or not for this person: the two look alike.
        """
        with self._pool.reading(principal=principal) as conn:
            asked = {"case_no": case_no}
            with conn.pipeline():
                first = conn.execute(self._sql["card"], asked)
                events = conn.execute(self._sql["events"], asked)
                photos = conn.execute(self._sql["photos"], asked)
                parts = conn.execute(self._sql["parts"], asked)
                related = conn.execute(self._sql["related"], asked)
            case = first.fetchone()
            if case is None:
                raise ABSENT
            process = self._processes.of(conn, case["process"], case["process_version"])
            told, pictures, pieces = events.fetchall(), photos.fetchall(), parts.fetchall()
            named, units = self._named(conn, process, told)
            names = self._reading.names(conn, [case["assignee_id"], *(p["assignee_id"] for p in pieces), *named])
            called = units | {str(account): name for account, name in names.items()}
            reporter = None
            if principal.may("incident.handle"):
                found = conn.execute(self._sql["reporter"], {"case_id": case["case_id"]}).fetchone()
                if found and any(found.values()):
                    reporter = {
                        "name": found["name_masked"],
                        "phone": found["phone_masked"],
                        "address": found["address_masked"],
                    }
            actor = self._acting.actor(case, principal=principal, held=None)
            return Card(
                row=self._reading.row(conn, case, names), detail=case["detail"], process_name=process.name,
                events=_taken_over(case, process) or tuple(self._event(process, e, pictures, called) for e in told),
                steps=self._steps(process, case, actor, told[-1] if told else None, principal),
                photos=tuple(_photo(p) for p in pictures),
                parts=tuple({**p, "assignee_name": names.get(p["assignee_id"] or 0)} for p in pieces),
                due_words=clocks.words_of(case), reporter=reporter,
                related=tuple(self._related(conn, r) for r in related.fetchall()), accuracy_m=case["accuracy_m"],
                source_crs=case["source_crs"], extent=case["extent"], data=dict(case["data"]),
            )  # fmt: skip

    def steps_of(self, numbers: Iterable[str], *, principal: Principal) -> dict[str, tuple[Step, ...]]:
        """Steps this person may take now, of many cases in one query; none for a case that is not there for them."""
        wanted = list(dict.fromkeys(numbers))[:_MOST_CASES]
        found: dict[str, tuple[Step, ...]] = dict.fromkeys(wanted, ())
        with self._pool.reading(principal=principal) as conn:
            for case in conn.execute(self._sql["steps_of"], {"numbers": wanted}).fetchall():
                process = self._processes.of(conn, case["process"], case["process_version"])
                actor = self._acting.actor(case, principal=principal, held=None)
                last = case if case["transition"] is not None else None
                found[case["case_no"]] = self._steps(process, case, actor, last, principal)
        return found

    def followed(self, code: str) -> Card:
        """The card for whoever holds its code: what happened and when, public answers, their own photos; no names, no notes.

        Raises
        ------
        NotFound
            When there is no case of this code.
        """
        held = follow.hash_of(code)
        with self._pool.reading(follow=held) as conn:
            number = conn.execute(load_queries("cases")["followed"]).fetchone()
            if number is None:
                raise NotFound("没有这个查询码。", next_step="请核对 10 位查询码；字母 I、L、O、U 不会出现。")
            asked = {"case_no": number["case_no"]}
            with conn.pipeline():
                first = conn.execute(self._sql["card"], asked)
                events = conn.execute(self._sql["events"], asked)
                photos = conn.execute(self._sql["photos"], asked)
                notices = conn.execute(self._sql["notices_to_reporter"])
            case = first.fetchone()
            assert case is not None
            process = self._processes.of(conn, case["process"], case["process_version"])
            actor = self._acting.actor(case, principal=None, held=held)
            told = [e for e in events.fetchall() if e["is_public"]]
            shown = {e["event_id"] for e in told}
            pictures = [p for p in photos.fetchall() if p["event_id"] in shown]
            row = replace(
                self._reading.row(conn, case, {}), assignee_id=None, unit=None, reopened=case["reopened"],
                state_name=process.state_of(case["state"]).public_name,
            )  # fmt: skip
            public = _public_fields(process)
            called = self._named(conn, process, told)[1]
            return Card(
                row=row, detail=case["detail"], process_name=process.name,
                events=_taken_over(case, process) or tuple(self._event(process, e, pictures, called, public=public) for e in told),
                steps=machine.steps(process, case["state"], actor, deadline_class=case["deadline_class"], lists=self._processes.lists,
                                    without=without(case, None)),
                photos=tuple(_photo(p) for p in pictures), parts=(), due_words=clocks.words_of(case), reporter=None, related=(),
                accuracy_m=None, source_crs=None, extent=None,
                data={"notices": [{**n, "sent": NO_GATEWAY} for n in notices.fetchall()]}
                | {k: v for k, v in case["data"].items() if k in process.public.fields},
            )  # fmt: skip

    def _steps(
        self,
        process: Process,
        case: Mapping[str, Any],
        actor: machine.Actor,
        last: Mapping[str, Any] | None,
        principal: Principal,
    ) -> tuple[Step, ...]:
        own = machine.steps(
            process, case["state"], actor, deadline_class=case["deadline_class"], lists=self._processes.lists,
            without=without(case, principal),
        )  # fmt: skip
        back = undoable(process, last, principal)
        if back is None:
            return own
        return (*own, Step("undo", f"撤回“{back.name}”", f"Undo {back.name_en}", "plain", False, (), (), False))

    def _named(
        self, conn: Connection[Any], process: Process, told: list[dict[str, Any]]
    ) -> tuple[list[int], dict[str, str]]:
        """What the answers name by number or code: accounts, and the names of units by code."""
        people: set[int] = set()
        units: set[str] = set()
        for e in told:
            fields = _fields(process, e["transition"])
            for k, v in (e["data"] or {}).items():
                if k in fields and fields[k].kind == "person" and v is not None:
                    people.add(int(v))
                elif k in fields and fields[k].kind == "unit" and v is not None:
                    units.add(str(v))
        found = conn.execute(self._sql["unit_names"], {"units": sorted(units)}).fetchall() if units else []
        return sorted(people), {r["unit"]: r["name"] for r in found}

    def _event(
        self,
        process: Process,
        e: Mapping[str, Any],
        pictures: list[dict[str, Any]],
        called: Mapping[str, str],
        *,
        public: frozenset[str] | None = None,
    ) -> Event:
        """One line; with `public`, as strangers read it: no people, no note but a public step's reason, public answers.

        Parameters
        ----------
        called : names of units by code, and of accounts by number.
        """
        fields = _fields(process, e["transition"])
        answers = tuple(
            (fields[k].name, forms.shown(fields[k], v, lists=self._processes.lists, items=process.items, names=called))
            for k, v in (e["data"] or {}).items()
            if k in fields and (public is None or (fields[k].public and fields[k].kind != "person"))
        )
        told = tuple(("说明", t) for t in (e["data"] or {}).get("_told", [])) if public is None else ()
        actor = e["actor_name"] if public is None else "上报人" if e["actor_kind"] == "reporter" else "承办单位"
        return Event(
            at=e["at"], transition=e["transition"], name=step_name(process, e["transition"]),
            from_state=None if e["from_state"] is None else state_name(process, e["from_state"]),
            to_state=state_name(process, e["to_state"]), actor=actor, note=e["note"] if public is None or e["is_public"] else None,
            answers=answers + told, due_before=e["due_before"], due_after=e["due_after"],
            photos=tuple(p["photo_id"] for p in pictures if p["event_id"] == e["event_id"]),
        )  # fmt: skip

    def _related(self, conn: Connection[Any], r: Mapping[str, Any]) -> dict[str, Any]:
        process = self._processes.of(conn, r["process"], r["process_version"])
        return {
            "case_no": r["case_no"], "title": r["title"], "state_name": state_name(process, r["state"]), "standing": standing(r),
            "why": r["why"], "distance_m": None if r["dist_m"] is None else round(r["dist_m"]), "reported_at": r["reported_at"],
        }  # fmt: skip


def _photo(p: Mapping[str, Any]) -> dict[str, Any]:
    names = ("photo_id", "stage", "state", "taken_at", "lon", "lat", "azimuth_deg", "accuracy_m", "width", "height")
    return {name: p[name] for name in names}


def _fields(process: Process, transition: str) -> dict[str, FormField]:
    if transition == "report":
        return {f.id: f for f in process.report}
    return next(({f.id: f for f in t.form} for t in process.transition if t.id == transition), {})


def _public_fields(process: Process) -> frozenset[str]:
    return frozenset(f.id for t in process.transition for f in t.form if f.public) | frozenset(process.public.fields)


def _taken_over(case: Mapping[str, Any], process: Process) -> tuple[Event, ...]:
    """The history of a case taken over from another system, told from its dates; nothing for a case that has events."""
    if case["revision"] > 0 or case["clock"] is not None:
        return ()
    steps = [
        ("reported_at", "上报"),
        ("accepted_at", "受理"),
        ("responded_at", "响应"),
        ("done_at", "反馈结果"),
        ("closed_at", "办结"),
    ]
    if case["accepted_at"] is None and case["due_at"] is None:
        return ()
    made = []
    for column, name in steps:
        if case[column] is not None:
            made.append(
                Event(at=case[column], transition="import", name=name, from_state=None, to_state="", actor="原系统", note=None,
                      answers=(), due_before=None, due_after=None)
            )  # fmt: skip
    return tuple(sorted(made, key=lambda e: e.at))
