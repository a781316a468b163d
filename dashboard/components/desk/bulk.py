"""Several cases at once: the bar of what may be done with all of them, and what came of it, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.text import Catalogue
from gis.cases.model import Step

Outcome = Mapping[str, Any]  # case_no, ok, message


def common(allowed: Sequence[Sequence[Step]]) -> list[Step]:
    """Return the steps that every case allows and that may be taken for many at once, in the first one's order."""
    if not allowed:
        return []
    everywhere = set.intersection(*({s.id for s in steps if s.bulk} for steps in allowed))
    return [s for s in allowed[0] if s.id in everywhere]


def bar(t: Catalogue, count: int, steps: Sequence[Step]) -> list[Component]:
    """Return the bar over the table while cases are selected."""
    if not count:
        return []
    buttons = [
        html.Button(
            s.name_en if t.language == "en" else s.name, className=f"control control-{s.tone}", **{"data-bulk": s.id}
        )
        for s in steps
    ]
    said = html.B(t("desk.bulk.selected", n=count))
    none = html.Span(t("desk.bulk.none"), className="muted") if not steps else None
    return [
        said,
        *buttons,
        none,
        html.Span(className="spring"),
        html.Button(t("desk.bulk.clear"), className="text-button", **{"data-unselect": "1"}),
    ]


def outcome(t: Catalogue, done: Sequence[Outcome]) -> Component:
    """Return the result of every case, what failed first and why."""
    failed = [d for d in done if not d["ok"]]
    ordered = [*failed, *(d for d in done if d["ok"])]
    head = t("desk.bulk.done", ok=len(done) - len(failed), n=len(done)) + (
        t("desk.bulk.failed", n=len(failed)) if failed else ""
    )
    lines = [
        html.Li(
            [
                html.I(className=f"mark-of mark-{'done' if d['ok'] else 'breached'}", **{"aria-hidden": "true"}),
                html.Span(d["case_no"], className="code"),
                html.Span(d["message"]),
            ],
            className="" if d["ok"] else "failed",
        )
        for d in ordered
    ]
    return html.Div([html.B(head), html.Ol(lines)], className="bulk-done")
