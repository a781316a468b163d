"""A new case taken down at the desk (热线、来访、公开留言): what, where, who reported (sealed), and what may be the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.components.desk.bar import slot
from dashboard.components.desk.form import field, required, select
from dashboard.components.desk.offices import Office
from dashboard.text import Catalogue
from gis.cases.definition import Process
from gis.cases.suggest import Suggestion
from gis.codelists import codelist

# Written by a report itself; the rest of a process's report form follows below.
_OWN = ("title", "detail", "item", "item_code", "channel", "reporter_name", "reporter_phone", "reporter_address")


def dialog(t: Catalogue, process: Process, *, units: Sequence[Office], seq: int = 0) -> Component:
    """Return the form of a new case of one process."""
    name = process.name_en if t.language == "en" else process.name
    channels = {
        code: (e.get("name_en") if t.language == "en" else None) or e["name"]
        for code, e in codelist("incident_channel").items()
    }
    items = {
        code: (e.get("name_en") if t.language == "en" else None) or e["name"]
        for code, e in codelist("incident_item").items()
    }
    # Only what people report has a reporter to be sealed; a task of the office has none.
    from_people = any(who.permission in (None, "incident.report") for who in process.who_reports)
    boxes = [
        _labelled(t, "title", html.Div(className="slot", **slot("text", "title", t("desk.new.title"), length="120")), must=True),
        _labelled(t, "detail", html.Textarea(name="detail", rows=4, maxLength=2000, **{"aria-label": t("desk.new.detail")})),
        _labelled(t, "channel", select(t, "channel", t("desk.new.channel"), channels, value="hotline" if from_people else "patrol"), must=True),
        *([_labelled(t, "item", select(t, "item_code", t("desk.new.item"), items, grouped=True))] if process.items == "incident_item" else []),
        html.Div(className="guess-here"),
        *(field(t, f.model_dump(), units=units) for f in process.report if f.id not in _OWN),
        _labelled(t, "place", html.Div(className="slot", **slot("point", "place", t("desk.new.place"))), hint=True),
        html.Div(className="near-here"),
        *([_reporter(t)] if from_people else []),
        _labelled(t, "photos", html.Div(className="slot", **slot("photos", "before", t("desk.new.photos"), least="0"))),
    ]  # fmt: skip
    return html.Div(
        [
            html.Div([html.H2(t("desk.new.head", process=name)), html.P(t("desk.new.sub" if from_people else "desk.new.sub_plain"), className="muted")], className="dialog-head"),
            html.Div(boxes, className="dialog-body"),
            html.Div(role="alert", className="dialog-said"),
            html.Div(
                [html.Button(t("desk.cancel"), className="control", **{"data-cancel": "1"}),
                 html.Button(t("desk.new.send"), className="control control-main", **{"data-send": "1"})],
                className="dialog-foot",
            ),
        ],
        className="dialog dialog-new", role="dialog", key=f"new/{process.process}/{seq}",
        **{"aria-modal": "true", "aria-label": t("desk.new.button"), "data-new-process": process.process},
    )  # fmt: skip


def _reporter(t: Catalogue) -> Component:
    return html.Fieldset(
        [
            html.Legend([t("desk.new.reporter"), html.Span(t("desk.form.personal"), className="chip chip-quiet")]),
            *(
                _labelled(
                    t,
                    f"reporter_{f}",
                    html.Div(
                        className="slot",
                        **slot(
                            "tel" if f == "phone" else "text",
                            f"reporter_{f}",
                            t(f"desk.new.reporter_{f}"),
                            length="120",
                        ),
                    ),
                )
                for f in ("name", "phone", "address")
            ),
        ],
    )


def _labelled(t: Catalogue, name: str, box: Component, *, must: bool = False, hint: bool = False) -> Component:
    label = html.Div([html.Span(t(f"desk.new.{name}")), *required(t, must)], className="field-label")
    said = [html.Small(t(f"desk.new.{name}_hint"), className="field-hint")] if hint else []
    return html.Div([label, box, *said, html.Div(className="field-fault", role="alert")], className=f"field field-{name}",
                    **{"data-field": {"item": "item_code"}.get(name, name), "data-kind": "report"})  # fmt: skip


def near(t: Catalogue, cases: Sequence[dict[str, Any]]) -> list[Component]:
    """Return open cases close by that may be the same, to be opened beside the form before anything is sent."""
    if not cases:
        return []
    lines = [
        html.Li(
            [html.Button([html.Span(c["case_no"], className="code"), html.Span(c.get("title") or c.get("item_name") or "")], className="text-button", **{"data-peek": c["case_no"]}),
             html.Span(" · ".join(filter(None, (f"{c['dist_m']:,.0f} m" if c.get("dist_m") is not None else "", c.get("state_name") or "",
                                                standing.moment(t, c["reported_at"]) if c.get("reported_at") else ""))), className="muted")]
        )
        for c in cases
    ]  # fmt: skip
    return [html.Div([html.B(t("desk.new.near", n=len(cases))), html.Ul(lines)], className="near")]


def guesses(t: Catalogue, suggested: Sequence[Suggestion]) -> list[Component]:
    """Return what the text sounds like; one press chooses it, nothing is chosen by itself."""
    if not suggested:
        return []
    buttons = [
        html.Button(
            [html.Span(s.name), html.B(f"{100 * s.share:.0f}%")],
            title=t("desk.because", words=" ".join(s.because)),
            className="suggestion",
            type="button",
            **{"data-guess": s.code},
        )
        for s in suggested[:3]
    ]
    return [html.Div([html.Small(t("desk.new.guess"), className="muted"), *buttons], className="templates")]
