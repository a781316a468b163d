"""What belongs to a case: its history (经过), photos, the villages it touches, cases it has to do with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.text import Catalogue
from gis.cases.model import Card, Event
from gis.divisions.naming import short_name

_STAGES = ("before", "evidence", "after", "confirm")
Thing = dict[str, Any]


def timeline(t: Catalogue, case: Card) -> Component:
    """Return the events, the latest first; a case taken over from before has the dates it came with."""
    if not case.events:
        return html.Div(t("desk.no_events"), className="muted")
    return html.Ol([_event(t, e) for e in reversed(case.events)], className="timeline")


def _event(t: Catalogue, e: Event) -> Component:
    said: list[Any] = [html.P(e.note, className="event-note")] if e.note else []
    if e.answers:
        said.append(html.Dl([part for label, value in e.answers for part in (html.Dt(label), html.Dd(value))]))
    if e.due_after and e.due_before and e.due_after != e.due_before:
        said.append(
            html.P(
                t("desk.due.moved", a=standing.moment(t, e.due_before), b=standing.moment(t, e.due_after)),
                className="event-due",
            )
        )
    if e.photos:
        said.append(html.Div([thumb(t, n, "") for n in e.photos], className="event-photos"))
    return html.Li(
        [
            html.Div([html.B(e.name), html.Span(e.actor), html.Time(standing.moment(t, e.at), dateTime=e.at.isoformat())], className="event-head"),
            *said,
        ],
        className="event-moved" if e.from_state != e.to_state else "event-stays",
    )  # fmt: skip


def photos(t: Catalogue, taken: Sequence[Thing]) -> list[Component]:
    """Return the photos by stage: before, at hand, after; one that is not ready says so."""
    groups = []
    for stage in _STAGES:
        these = [p for p in taken if p.get("stage") == stage]
        if these:
            groups.append(
                html.Figure(
                    [
                        html.Figcaption(t(f"desk.stage.{stage}")),
                        html.Div([_photo(t, p) for p in these], className="photos"),
                    ]
                )
            )
    return groups


def _photo(t: Catalogue, photo: Thing) -> Component:
    if photo.get("state", "ready") != "ready":
        return html.Div(t(f"desk.photo.{photo['state']}"), className="photo photo-waiting")
    at = photo.get("taken_at")
    said = t("desk.photo.taken", at=standing.moment(t, at)) if at else t("desk.photo.time_unknown")
    return thumb(t, photo["photo_id"], said)


def thumb(t: Catalogue, photo_id: int, said: str) -> Component:
    """Return a small photo that opens large, with what is said of it under it."""
    label = t("desk.photo.open", n=photo_id)
    return html.Button(
        [html.Img(src=f"/api/photos/{photo_id}?size=thumb", alt=said or label), *([html.Small(said)] if said else [])],
        className="photo", title=label, **{"data-photo": str(photo_id), "data-caption": said},
    )  # fmt: skip


def parts(t: Catalogue, touched: Sequence[Thing]) -> Component:
    """Return the villages a case touches: who leads, each one's share, who has done theirs."""
    head = html.Tr([html.Th(t(f"desk.part.{name}")) for name in ("village", "share", "person", "done")])
    return html.Table([html.Thead(head), html.Tbody([_part(t, p) for p in touched])], className="plain-table")


def _part(t: Catalogue, p: Thing) -> Component:
    lead = [html.Span(t("desk.part.lead"), className="chip chip-accent")] if p.get("is_lead") else []
    share = f"{p['share_pct']:.0f}%" if p.get("share_pct") is not None else t("word.unknown")
    done = standing.moment(t, p["done_at"]) if p.get("done_at") else t("desk.part.open")
    return html.Tr(
        [html.Td([html.Span(short_name(p.get("village_name") or "", level=3) or p.get("village_code") or t("word.unknown")), *lead]), html.Td(share, className="number"),
         html.Td(p.get("assignee_name") or t("desk.none")), html.Td(done)]
    )  # fmt: skip


def related(t: Catalogue, cases: Sequence[Thing]) -> Component:
    """Return the cases it has to do with, each with the reason; a near one may be laid beside it and merged."""
    return html.Ul([_one(t, c) for c in cases], className="related")


def _one(t: Catalogue, c: Thing) -> Component:
    why = c.get("why", "near")
    far = c.get("distance_m")
    said = t(f"desk.why.{why}") + (f" {far:,.0f} m" if far is not None and why == "near" else "")
    state = c.get("state_name") or ""
    compare = (
        html.Button(t("desk.compare.button"), className="text-button", **{"data-compare": c["case_no"]})
        if why in ("near", "asset")
        else None
    )
    return html.Li(
        [
            html.Button([standing.mark(c.get("standing") or "none"), html.Span(c.get("title") or c["case_no"], className="related-title")], className="related-open", **{"data-case": c["case_no"]}),
            html.Div([html.Span(said, className="chip chip-quiet"), html.Span(state), html.Span(standing.moment(t, c.get("reported_at")) if c.get("reported_at") else ""), compare],
                     className="related-why"),
        ]
    )  # fmt: skip
