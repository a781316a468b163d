"""Handover (交接): everything one person has goes to another, seen before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.components.desk.bar import slot
from dashboard.text import Catalogue
from gis.cases.model import Row


def ask(t: Catalogue) -> Component:
    """Return who leaves, who takes over, why."""

    def person(name: str) -> Component:
        box = html.Div(className="slot", **slot("person", name, t(f"desk.leaving.{name}")))
        return html.Div([html.Div([html.Span(t(f"desk.leaving.{name}")), html.Em("*")], className="field-label"), box, html.Div(className="field-fault", role="alert")],
                        className="field", **{"data-field": name, "data-kind": "person"})  # fmt: skip

    why = html.Div(
        [html.Div([html.Span(t("desk.leaving.reason")), html.Em("*")], className="field-label"),
         html.Textarea(name="reason", rows=2, maxLength=200, placeholder=t("desk.leaving.reason_hint"), **{"aria-label": t("desk.leaving.reason")}),
         html.Div(className="field-fault", role="alert")],
        className="field", **{"data-field": "reason", "data-kind": "note"},
    )  # fmt: skip
    button = html.Button(t("desk.leaving.preview"), className="control control-main", **{"data-preview": "1"})
    return html.Div(
        [
            html.Div(
                [person("from"), html.I(className="icon icon-arrow-right", **{"aria-hidden": "true"}), person("to")],
                className="leaving-people",
            ),
            why,
            button,
        ],
        className="leaving",
    )


def preview(
    t: Catalogue, rows: Sequence[Row], total: int, states: dict[str, int], *, giver: str, taker: str
) -> Component:
    """Return what would go over: how many by state, the first of them, and the button that does it."""
    if total == 0:
        return html.Div(html.Strong(t("desk.leaving.nothing", giver=giver)), className="desk-empty")
    sums = html.Div(
        [html.Span([name, html.B(f"{n:,}")], className="chip chip-quiet") for name, n in states.items()],
        className="leaving-states",
    )
    lines = [
        html.Tr(
            [
                html.Td(standing.badge(t, r)),
                html.Td(html.A(r.case_no, href=f"/desk/{r.case_no}", className="code text-link")),
                html.Td(r.title),
                html.Td(r.place or t("word.unplaced")),
                html.Td(r.state_name),
            ]
        )
        for r in rows
    ]
    rest = html.P(t("desk.leaving.rest", n=f"{total - len(rows):,}"), className="muted") if total > len(rows) else None
    button = html.Button(
        t("desk.leaving.do", giver=giver, taker=taker, n=f"{total:,}"),
        className="control control-main",
        **{"data-handover": "1"},
    )
    return html.Div(
        [
            html.H2(t("desk.leaving.goes", giver=giver, taker=taker, n=f"{total:,}")),
            sums,
            html.Table(html.Tbody(lines), className="plain-table"),
            rest,
            button,
        ],
        className="leaving-preview",
    )


def done(t: Catalogue, moved: int, *, taker: str, failed: Sequence[dict[str, Any]] = ()) -> Component:
    """Return what happened."""
    left = (
        [html.Ul([html.Li([html.Span(f["case_no"], className="code"), html.Span(f["message"])]) for f in failed])]
        if failed
        else []
    )
    return html.Div(
        [html.Strong(t("desk.leaving.done", n=f"{moved:,}", taker=taker)), *left], className="desk-empty good"
    )
