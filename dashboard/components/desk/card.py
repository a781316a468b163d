"""The case card (办件卡): how it stands and why, what can be done next, then everything known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import history, standing
from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.cases.definition import Process
from gis.cases.model import Card, Row, Step
from gis.cases.suggest import Suggestion
from gis.codelists import name_of

_BUTTONS = 3  # beside each other; the rest go into the menu
# Kinds of answers that the card shows by another way: its map, its unit, its person, its item.
_ELSEWHERE = ("extent", "point", "unit", "person", "item")
_PERSONAL = ("name", "phone", "address")


def card(
    t: Catalogue,
    case: Card,
    process: Process,
    *,
    suggested: Sequence[Suggestion] = (),
    may_reveal: bool = False,
    own_page: bool = False,
) -> Component:
    """Return the card.

    Parameters
    ----------
    process : Process
        The version the case runs by: names of steps, states and answers.
    suggested : sequence of Suggestion
        Items for a case that has none, the likeliest first.
    may_reveal : bool
        Offer to show one personal field with a reason.
    own_page : bool
        The card is the page, not a drawer beside the queue.
    """
    row = case.row
    return html.Article(
        [
            _top(t, case, own_page=own_page),
            _head(t, case, process),
            _path(t, case, process),
            _deadline(t, case, process),
            _actions(t, case.steps),
            *([_suggested(t, case, suggested)] if suggested and row.item_code is None else []),
            _section(t, "detail", [html.P(case.detail, className="case-detail")]) if case.detail else None,
            _section(t, "where", [_map(t, case)]),
            _section(t, "photos", history.photos(t, case.photos)) if case.photos else None,
            _section(t, "facts", [_facts(t, case, process, may_reveal=may_reveal)]),
            _section(t, "parts", [history.parts(t, case.parts)]) if case.parts else None,
            _section(t, "related", [history.related(t, case.related)]) if case.related else None,
            _section(t, "timeline", [history.timeline(t, case)]),
        ],
        className="case", key=f"{row.case_no}/{row.revision}", **{"aria-label": f"{row.case_no} {row.title}", "data-no": row.case_no, "data-revision": str(row.revision)},
    )  # fmt: skip


def missing(t: Catalogue, case_no: str) -> Component:
    """Return what stands there for a case that does not exist or is not theirs: one answer for both."""
    return html.Article(
        [
            html.Div([html.Span(className="spring"), _close(t)], className="case-top"),
            html.H2(t("desk.missing", no=case_no[:40])),
            html.P(t("desk.missing_next")),
            html.A(t("desk.tab.queue"), href="/desk", className="control"),
        ],
        className="case case-missing",
    )


def _top(t: Catalogue, case: Card, *, own_page: bool) -> Component:
    no = case.row.case_no
    return html.Div(
        [
            standing.badge(t, case.row),
            html.Button([html.Span(no, className="code"), icon("copy", small=True)], className="case-no", title=t("desk.copy_no"), **{"data-copy-text": no, "aria-label": t("desk.copy_no")}),
            html.Span(className="spring"),
            html.Button(icon("print"), className="icon-button", title=t("desk.print"), **{"data-print": "1", "aria-label": t("desk.print")}),
            *([] if own_page else [html.A(icon("open"), href=f"/desk/{no}", className="icon-button", title=t("desk.own_page"), **{"aria-label": t("desk.own_page")}), _close(t)]),
        ],
        className="case-top",
    )  # fmt: skip


def _close(t: Catalogue) -> Component:
    return html.Button(
        icon("close"),
        className="icon-button",
        title=t("word.close"),
        **{"data-close": "1", "aria-label": t("word.close")},
    )


def state_name(t: Catalogue, process: Process, row: Row) -> str:
    """Return the state in the language of the page; the engine's own word for a state of an older version."""
    return (
        next((s.name_en for s in process.state if s.id == row.state), row.state_name)
        if t.language == "en"
        else row.state_name
    )


def _head(t: Catalogue, case: Card, process: Process) -> Component:
    row = case.row
    chips = [html.Span(state_name(t, process, row), className="chip chip-state")]
    if row.reopened:
        chips.append(html.Span(t("desk.reopened", n=row.reopened), className="chip chip-red"))
    if row.rating is not None:
        chips.append(html.Span(t("desk.rated", n=row.rating), className="chip chip-quiet"))
    where = row.place or t("word.unplaced")
    return html.Div(
        [
            html.H2(row.title),
            html.Div([*chips, html.Span(row.item_name or t("desk.unclassified")), html.Span(where), html.Span(name_of("incident_channel", row.channel, language=t.language))],
                     className="case-sub"),
        ],
        className="case-head",
    )  # fmt: skip


def _path(t: Catalogue, case: Card, process: Process) -> Component:
    """The steps of the process in a line; those behind are filled, the one it stands in is named in full."""
    names: dict[int, str] = {}
    for state in process.state:
        names.setdefault(state.step, state.name_en if t.language == "en" else state.name)
    by_id = {s.id: s for s in process.state}
    here = by_id.get(case.row.state)
    now = here.step if here else 0
    # A case that ended early, 退回, never went through the steps between: only what its history tells is behind it.
    told = {e.to_state for e in case.events}
    been = {s.step for s in process.state if s.name in told} if here and here.ends else set(range(1, now))
    parts = []
    for step, name in sorted(names.items()):
        where = "now" if step == now else "done" if step < now and step in been else "next"
        label = (here.name_en if t.language == "en" else here.name) if here and step == now else name
        parts.append(
            html.Li(html.Span(label), className=f"path-{where}", **({"aria-current": "step"} if step == now else {}))
        )
    return html.Ol(parts, className="case-path", **{"aria-label": t("desk.path")})


def _deadline(t: Catalogue, case: Card, process: Process) -> Component:
    row = case.row
    waits = any(s.clock == "waits" and s.id == row.state for s in process.state)
    title = (
        t("desk.due.at", at=standing.moment(t, row.due_at))
        if row.due_at
        else t("desk.due.waits" if waits else "desk.due.none")
    )
    words = case.due_words or ((t("desk.due.taken_over"),) if row.due_at else ())
    return html.Div(
        [html.Div([html.B(title), *([html.Span(standing.due_words(t, row))] if row.due_at else [])], className="due-head"), html.Ol([html.Li(w) for w in words])],
        className=f"case-due case-due-{row.standing}",
    )  # fmt: skip


def _actions(t: Catalogue, steps: Sequence[Step]) -> Component:
    """The steps that may be taken now: the main ones as buttons, the rest in a menu; dangerous ones always in the menu."""
    if not steps:
        return html.Div(t("desk.no_steps"), className="case-actions case-actions-none muted")
    ordered = sorted(steps, key=lambda s: {"main": 0, "plain": 1, "danger": 2}[s.tone])
    # Merging is rare and starts from the other case beside this one; what moves the case on stands in front.
    first = [s for s in ordered if s.tone != "danger" and not any(f["kind"] == "case" for f in s.form)][:_BUTTONS]
    rest = [s for s in ordered if s not in first]
    menu = html.Details(
        [html.Summary(icon("more"), className="control", title=t("desk.more_steps"), **{"aria-label": t("desk.more_steps")}),
         html.Div([_step(t, s, "menu-item menu-danger" if s.tone == "danger" else "menu-item") for s in rest], className="menu menu-steps")],
        className="menu-holder",
    )  # fmt: skip
    return html.Div(
        [*(_step(t, s, f"control control-{'main' if n == 0 and s.tone == 'main' else 'plain'}") for n, s in enumerate(first)), *([menu] if rest else [])],
        className="case-actions",
    )  # fmt: skip


def _step(t: Catalogue, step: Step, look: str) -> Component:
    return html.Button(step.name_en if t.language == "en" else step.name, className=look, **{"data-take": step.id})


def _suggested(t: Catalogue, case: Card, suggested: Sequence[Suggestion]) -> Component:
    takes = next((s.id for s in case.steps if any(f["kind"] == "item" for f in s.form)), None)
    field = next((f["id"] for s in case.steps if s.id == takes for f in s.form if f["kind"] == "item"), "")
    return html.Div(
        [
            html.Div([html.B(t("desk.suggested")), html.Span(t(f"desk.made_from.{suggested[0].made_from}"), className="muted small")]),
            *(
                html.Button(
                    [html.Span(s.name), html.B(f"{100 * s.share:.0f}%")], title=t("desk.because", words=" ".join(s.because)), className="suggestion", disabled=takes is None,
                    **{"data-take": takes or "", "data-prefill": f"{field}={s.code}"},
                )
                for s in suggested[:3]
            ),
        ],
        className="case-suggested",
    )  # fmt: skip


def _map(t: Catalogue, case: Card) -> Component:
    row = case.row
    if row.lon is None and not case.extent:
        return html.Div(t("desk.no_place"), className="case-noplace")
    known = (
        [t("desk.accuracy", m=f"{case.accuracy_m:,.0f}")]
        if case.accuracy_m is not None
        else [t("desk.accuracy_unknown")]
    )
    if case.source_crs:
        known.append(t("desk.source_crs", crs=case.source_crs))
    return html.Div(
        [
            html.Div(id="desk-map", className="case-map", role="img", **{"aria-label": t("desk.map_aria", place=row.place)}),
            html.Div([html.Span(" · ".join(known)), *([html.A(t("desk.on_map"), href=f"/?incident={row.case_id}", className="text-link")] if row.process == "incident" else [])], className="case-map-foot"),
        ]
    )  # fmt: skip


def _facts(t: Catalogue, case: Card, process: Process, *, may_reveal: bool) -> Component:
    row = case.row
    lines: list[tuple[str, Any]] = [
        (t("desk.fact.process"), f"{case.process_name} v{process.version}"),
        (t("desk.fact.reported"), standing.moment(t, row.reported_at)),
        (t("desk.fact.unit"), row.unit_name),
        (t("desk.fact.person"), row.assignee_name),
        *(
            (t(f"desk.fact.reporter_{f}"), _hidden(t, case, f, may_reveal=may_reveal))
            for f in _PERSONAL
            if case.reporter and case.reporter.get(f)
        ),
        *answers(t, case.data, process),
    ]
    if case.reporter is None:
        lines.insert(4, (t("desk.fact.reporter"), html.Span(t("desk.fact.reporter_closed"), className="muted")))
    known = [
        (label, html.Span(t("desk.none"), className="unknown") if value in (None, "") else value)
        for label, value in lines
    ]
    return html.Dl([part for label, value in known for part in (html.Dt(label), html.Dd(value))])


def _hidden(t: Catalogue, case: Card, field: str, *, may_reveal: bool) -> Component:
    masked = (case.reporter or {}).get(field) or ""
    reveal = [
        html.Button(
            t("desk.reveal.button"), className="text-button", **{"data-reveal": field, "data-id": str(case.row.case_id)}
        )
    ]
    return html.Span(
        [html.Span(masked, className="code masked"), *(reveal if may_reveal else [])], className="personal"
    )


def answers(t: Catalogue, data: dict[str, Any], process: Process) -> list[tuple[str, str]]:
    """Return what the forms of the process have collected, by the fields' names, in the order of the process."""
    fields = {f.id: f for f in [*process.report, *(f for step in process.transition for f in step.form)]}
    lines = []
    for name, one in fields.items():
        value = data.get(name)
        if value is None or value == "" or one.kind in _ELSEWHERE or one.personal:
            continue
        said = one.options.get(str(value)) or (
            name_of(one.codelist or "deadline_class", str(value), language=t.language)
            if one.codelist or one.kind == "deadline_class"
            else None
        )
        if said is None:
            said = (
                t("word.yes" if value else "word.no")
                if isinstance(value, bool)
                else "、".join(map(str, value))
                if isinstance(value, list)
                else str(value)
            )
        lines.append(
            (
                (one.name_en or one.name) if t.language == "en" else one.name,
                f"{said} {one.unit}".strip() if one.unit else said,
            )
        )
    return lines


def _section(t: Catalogue, name: str, body: Any) -> Component:
    return html.Section([html.H3(t(f"desk.section.{name}")), *body], className=f"case-section case-{name}")
