"""What the desk shows for what is asked: one reading of the engine, one presenter, every error in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dash import no_update
from dash.development.base_component import Component

from dashboard.callbacks.desk_asked import Asked
from dashboard.components.desk import bar, board, bulk, card, compare, filters, form, intake, offices, queue
from dashboard.text import Catalogue
from gis.access.principal import current
from gis.cases.definition import Process
from gis.cases.engine import Cases, Done
from gis.cases.filtering import Filter
from gis.cases.model import Card, Row, Step
from gis.cases.reading import Person
from gis.cases.suggest import Suggestion
from gis.codelists import codelist
from gis.divisions.choices import Around, Choices
from gis.divisions.naming import short_name
from gis.errors import NotFound, OnemapError, StoreUnavailable

_BULK_MOST = 200  # cases of one bulk step; what one page of the queue can hold four times over


class Desk:
    """Reads for the desk.

    Parameters
    ----------
    cases : Cases
        The engine, asked in this process as whoever asks the page.
    divisions : Choices
        Names, for the place filter.
    suggest : callable
        Text → items it may be, the likeliest first (事项建议).
    generated : callable
        Subject of a load → whether any of it is generated (合成).
    """

    def __init__(
        self, cases: Cases, divisions: Choices, *, suggest: Callable[[str], list[Suggestion]] | None = None,
        generated: Callable[[str], bool] | None = None,
    ) -> None:  # fmt: skip
        self._cases = cases
        self._divisions = divisions
        self._suggest = suggest
        self._generated = generated

    def mark(self, t: Catalogue) -> Any:
        """Return the sign that cases here are generated; nothing when all are real, no change while nobody knows."""
        try:
            return bar.synthetic(t) if self._generated and self._generated("incidents") else None
        except StoreUnavailable:
            return no_update

    # ---- the list

    def listed(self, t: Catalogue, asked: Asked) -> list[Any]:
        """Return every output of the list for one address."""
        answer: dict[str, Any] = {"seq": asked.seq, "show": "board" if asked.board else "list"}
        try:
            process, wanted, who = self._process(asked.process), filter_of(asked), current.get()
            around = self._divisions.around(asked.at)
            if asked.board:
                found, columns = (
                    self._cases.queue(wanted, size=1, principal=who),
                    self._cases.board(wanted, size=board.FIRST, principal=who),
                )
                shown = board.board(t, process, columns)
            else:
                found, shown = (
                    self._cases.queue(
                        wanted, sort=asked.sort or "due", page=asked.page, size=queue.PAGE_SIZE, principal=who
                    ),
                    [],
                )
            tools = filters.bar(t, self._menus(t, asked, process, around), filtered=asked.filtered, board=asked.board)
        except StoreUnavailable:
            return [no_update] * 7 + [answer | {"away": True}]
        except OnemapError as e:
            return [no_update, no_update, no_update, [], queue.refused(e.message, e.next_step), [], [], answer]
        empty = queue.nothing(t, asked.view, asked.filtered) if not found.total and not asked.board else None
        pages = [] if asked.board else queue.pager(t, found.total, asked.page)
        rows = [] if asked.board else queue.rows(t, found, process)
        return [queue.views(t, found.counts, asked.view), tools, queue.columns(t, asked.sort), rows, empty, shown, pages,
                answer | {"total": found.total, "bounds": around.bounds}]  # fmt: skip

    def _menus(self, t: Catalogue, asked: Asked, process: Process, around: Around) -> list[Component]:
        english = t.language == "en"
        processes = [
            (p.process, p.name_en if english else p.name) for p in self._cases.processes.current_by_id.values()
        ]
        states = [(s.id, s.name_en if english else s.name) for s in process.state]
        lists = {name: [(code, (e.get("name_en") if english else None) or e["name"]) for code, e in codelist(name).items()]
                 for name in ("incident_item", "incident_channel")}  # fmt: skip
        units = [(u.unit, u.name) for u in self._units(t)]
        return [
            filters.menu(t, "process", processes, [asked.process], many=False, quiet=asked.process == "incident"),
            filters.menu(t, "state", states, asked.states),
            *([filters.menu(t, "item", lists["incident_item"], asked.items)] if process.items == "incident_item" else []),
            filters.menu(t, "at", [*around.path, *((code, f"　{name}") for code, name in around.children)], [asked.at or ""], many=False),
            filters.menu(t, "unit", units, [asked.unit or ""], many=False),
            filters.people(t, str(asked.who) if asked.who else None, asked.who_name or str(asked.who or "")),
            filters.menu(t, "channel", lists["incident_channel"], [asked.channel or ""], many=False),
            filters.dates(t, asked.start, asked.end),
        ]  # fmt: skip

    # ---- one case

    def card(self, t: Catalogue, sent: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the card of a case, and what its map draws."""
        case_no, shown = _text(sent.get("no")), {"no": _text(sent.get("no")), "seq": sent.get("seq")}
        if not case_no:
            return None, shown | {"closed": True}
        try:
            case = self._cases.card(case_no, principal=current.get())
        except NotFound:
            return card.missing(t, case_no), shown | {"missing": True}
        except StoreUnavailable:
            return no_update, shown | {"away": True}
        principal = current.get()
        made = card.card(
            t, case, self._process(case.row.process), suggested=self._suggested(case.row.title, case.detail) if case.row.item_code is None else (),
            may_reveal=principal is not None and principal.may("person.reveal"), own_page=bool(sent.get("page")),
        )  # fmt: skip
        return made, shown | {
            "revision": case.row.revision,
            "title": f"{case.row.case_no} {case.row.title}",
        } | place_of(case)

    def _suggested(self, title: str, detail: str | None) -> list[Suggestion]:
        return self._suggest(f"{title} {detail or ''}".strip()) if self._suggest else []

    # ---- dialogs

    def dialog(self, t: Catalogue, sent: Mapping[str, Any]) -> Any:
        """Return the dialog asked for: a step, a step for many, a new case, two cases side by side; nothing closes it."""
        try:
            match sent.get("kind"):
                case "step":
                    return self._step(t, sent)
                case "bulk":
                    return self._bulk_step(t, sent)
                case "new":
                    return intake.dialog(
                        t,
                        self._process(_text(sent.get("process")) or "incident"),
                        units=self._units(t),
                        seq=_int(sent.get("seq")),
                    )
                case "compare":
                    return compare.beside(t, self._one(sent.get("no")), self._one(sent.get("other")))
        except OnemapError as e:
            return form.told(t, e.message, e.next_step)
        return None

    def _step(self, t: Catalogue, sent: Mapping[str, Any]) -> Component:
        case = self._one(sent.get("no"))
        step = next((s for s in case.steps if s.id == sent.get("step")), None)
        if step is None:
            return form.told(t, t("desk.step_gone"), t("desk.step_gone_next"))
        near = [c["case_no"] for c in case.related if c.get("why") in ("near", "asset")]
        # What the case is already stands there; what it may be is only shown.
        given, guesses = _prefill(sent.get("prefill")), []
        if item := next((f["id"] for f in step.form if f["kind"] == "item"), None):
            if case.row.item_code:
                given = {item: case.row.item_code} | given
            elif item not in given:
                guesses = intake.guesses(t, self._suggested(case.row.title, case.detail))
        return form.dialog(
            t, step, case_no=case.row.case_no, title=case.row.title, revision=case.row.revision, units=self._units(t, case.row), near=near,
            prefill=given, guesses=guesses, templates=templates(step.id, case.row.process, case.row.item_code), seq=_int(sent.get("seq")),
        )  # fmt: skip

    def _bulk_step(self, t: Catalogue, sent: Mapping[str, Any]) -> Component:
        numbers = _numbers(sent.get("cases"))
        steps = {s.id: s for s in bulk.common(self._steps(numbers))}
        step = steps.get(_text(sent.get("step")))
        if step is None:
            return form.told(t, t("desk.step_gone"), t("desk.step_gone_next"))
        return form.dialog(
            t, step, case_no="", title="", revision=0, units=self._units(t), templates=templates(step.id, "incident", None),
            count=len(numbers), seq=_int(sent.get("seq")),
        )  # fmt: skip

    def _one(self, case_no: Any) -> Card:
        return self._cases.card(_text(case_no), principal=current.get())

    def _steps(self, numbers: Sequence[str]) -> list[Sequence[Step]]:
        """The steps each case allows; one that is gone meanwhile allows none."""
        found = self._cases.steps_of(numbers, principal=current.get())
        return [found.get(number, ()) for number in numbers]

    def _units(self, t: Catalogue, row: Row | None = None) -> list[offices.Office]:
        """Every unit, those of the case and of whoever asks first."""
        who = current.get()
        here = (row.unit, row.village_code, row.township_code) if row else ()
        return offices.ordered(t, self._cases.units(who), here=here, own=who.scope if who else ())

    def _process(self, name: str) -> Process:
        return self._cases.processes.current(name)

    # ---- people, duplicates, many at once

    def people(self, t: Catalogue, sent: Mapping[str, Any]) -> list[Component]:
        """Return the people whose name is looked for."""
        text = _text(sent.get("text"))
        who, unit = current.get(), _text(sent.get("unit")) or None
        found = self._cases.people(who, text, unit=unit) if who and (text or unit) else []
        units = {u.unit: u.name for u in self._cases.units(who)} if found else {}
        return filters.found(
            t, [(p.account_id, p.name, where_of(t, p, units)) for p in found], str(_int(sent.get("seq")))
        )

    def near(self, t: Catalogue, sent: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return what may be the same as a new case, and the items its text sounds like."""
        lonlat, text = sent.get("lonlat"), _text(sent.get("text"), 400)
        item = _text(sent.get("item")) or None
        close: Sequence[dict[str, Any]] = []
        try:
            if isinstance(lonlat, list) and len(lonlat) == 2:
                close = self._cases.near((float(lonlat[0]), float(lonlat[1])), item, text, principal=current.get())
        except (OnemapError, ValueError, TypeError):
            close = []  # the report itself will say what is wrong with the position
        return intake.near(t, close), intake.guesses(t, self._suggested(text, None) if text and not item else [])

    def bulk_bar(self, t: Catalogue, sent: Sequence[str]) -> Any:
        """Return the bar of steps every selected case allows."""
        numbers = _numbers(sent)
        try:
            return bulk.bar(t, len(numbers), bulk.common(self._steps(numbers)) if numbers else [])
        except OnemapError as e:
            return [e.message]

    def act_many(self, t: Catalogue, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Take one step for a part of the selected cases; the browser sends the next part when this one is done."""
        wanted = [(str(c[0]), _int(c[1])) for c in list(sent.get("cases") or [])[:_BULK_MOST]]
        answers, note = dict(sent.get("answers") or {}), _text(sent.get("note"), 2000)
        who = current.get()
        assert who is not None  # the gate let them in
        try:
            done = self._cases.act_many(wanted, _text(sent.get("step")), answers, note, principal=who)
        except OnemapError as e:
            done = [Done(no, False, type(e).__name__, f"{e.message} {e.next_step}".strip()) for no, _ in wanted]
        return {"seq": sent.get("seq"), "done": [asdict(d) for d in done]}


def filter_of(asked: Asked) -> Filter:
    """Turn what the address asks into the engine's filter."""
    return Filter(
        process=asked.process, states=asked.states or None, view=None if asked.view == "all" else asked.view, items=asked.items or None, channel=asked.channel, division=asked.at,
        unit=asked.unit, assignee_id=asked.who, text=asked.text or None, reported_from=asked.start, reported_to=asked.end,
    )  # fmt: skip


def where_of(t: Catalogue, person: Person, units: Mapping[str, str]) -> str:
    """Say what somebody is and where, and how much they have already."""
    what = " · ".join(
        filter(
            None,
            (person.role_name, units.get(person.unit_name or "", person.unit_name), short_name(person.place, level=3)),
        )
    )
    return (
        f"{what} · {t('desk.filter.has', n=person.open_cases)}"
        if person.active
        else f"{what} · {t('desk.filter.left')}"
    )


def place_of(case: Card) -> dict[str, Any]:
    """Return what the card's small map draws: the point with its accuracy, the extent, the parts; geometry, no words."""
    row: Row = case.row
    return {
        "lon": row.lon,
        "lat": row.lat,
        "accuracy_m": case.accuracy_m,
        "extent": case.extent,
        "standing": row.standing,
    }


def templates(step: str, process: str, item: str | None) -> list[tuple[str, str]]:
    """Return the sentences kept for a step (常用语) as (title, sentence): those of the case's item first."""
    try:
        listed = codelist("response_template").values()
    except OnemapError:
        return []
    fitting = [
        e for e in listed if e["process"] in (process, "") and e["transition"] in (step, "") and e["item"] in (item, "")
    ]
    return [(e["title"] or e["name"], e["name"]) for e in sorted(fitting, key=lambda e: e["item"] == "")][:12]


def _text(value: Any, longest: int = 60) -> str:
    return value.strip()[:longest] if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53 else 0


def _numbers(value: Any) -> list[str]:
    return [n for n in value if isinstance(n, str) and len(n) <= 40][:_BULK_MOST] if isinstance(value, list) else []


def _prefill(value: Any) -> dict[str, str]:
    """``field=value`` as a suggestion's button carries it."""
    name, _, given = _text(value, 120).partition("=")
    return {name: given} if name and given else {}
