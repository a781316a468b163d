"""Two cases that may be one, side by side, and the step that merges the later into the earlier."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import history, standing
from dashboard.text import Catalogue
from gis.cases.model import Card, Row

_LINES = ("title", "detail", "item", "place", "reported", "state", "unit")


def beside(t: Catalogue, this: Card, other: Card) -> Component:
    """Return both cases line by line; what differs is marked. Merging keeps the one reported first."""
    keeps, goes = sorted((this, other), key=lambda c: (c.row.reported_at, c.row.case_id))
    step = next((s for s in goes.steps if any(f["kind"] == "case" for f in s.form)), None)
    head = html.Tr([html.Th(""), *(html.Th([standing.badge(t, c.row), html.Span(c.row.case_no, className="code"), html.Small(t(f"desk.compare.{role}"), className="muted")])
                                   for c, role in ((keeps, "keeps"), (goes, "goes")))])  # fmt: skip
    lines = []
    for name in _LINES:
        a, b = _value(t, keeps, name), _value(t, goes, name)
        lines.append(
            html.Tr([html.Th(t(f"desk.compare.{name}")), html.Td(a), html.Td(b)], className="" if a == b else "differs")
        )
    photos = html.Tr(
        [
            html.Th(t("desk.section.photos")),
            *(
                html.Td([history.thumb(t, p["photo_id"], "") for p in c.photos if p.get("state", "ready") == "ready"])
                for c in (keeps, goes)
            ),
        ]
    )
    field = next((f["id"] for f in step.form if f["kind"] == "case"), "") if step else ""
    merge = html.Button(t("desk.compare.merge", goes=goes.row.case_no, keeps=keeps.row.case_no), className="control control-main", disabled=step is None,
                        **{"data-take": step.id if step else "", "data-of": goes.row.case_no, "data-prefill": f"{field}={keeps.row.case_no}"})  # fmt: skip
    why = [] if step else [html.P(t("desk.compare.may_not"), className="muted")]
    return html.Div(
        [
            html.Div(html.H2(t("desk.compare.head")), className="dialog-head"),
            html.Div([html.Table([html.Thead(head), html.Tbody([*lines, photos])], className="plain-table compare"), *why], className="dialog-body"),
            html.Div([html.Button(t("desk.cancel"), className="control", **{"data-cancel": "1"}), merge], className="dialog-foot"),
        ],
        className="dialog dialog-wide", role="dialog", key=f"{goes.row.case_no}+{keeps.row.case_no}", **{"aria-modal": "true", "aria-label": t("desk.compare.head")},
    )  # fmt: skip


def _value(t: Catalogue, case: Card, name: str) -> str:
    row: Row = case.row
    return {
        "title": row.title, "detail": case.detail or "", "item": row.item_name or t("desk.unclassified"), "place": row.place or t("word.unplaced"),
        "reported": standing.moment(t, row.reported_at), "state": row.state_name, "unit": row.unit_name or t("desk.none"),
    }[name]  # fmt: skip
