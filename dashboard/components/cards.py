"""Cards of single things: parcel, facility, resource, incident. Unknown is said, sources are named, persons are masked."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue
from dashboard.text.numbers import count, moment, mu
from gis.codelists import name_of
from gis.divisions.cards import Thing

Row = dict[str, Any]
Lines = list[tuple[str, Any]]


def card(t: Catalogue, thing: Thing, where: str) -> Component:
    """Return the card of one thing; `where` names village and grid."""
    made = {"parcel": _parcel, "facility": _facility, "resource": _resource, "incident": _incident}[thing.kind](
        t, thing.fields
    )
    title, sub, badge, lead, lines = made
    return html.Article(
        [
            html.Div(
                [
                    html.Span(t(f"kind.{thing.kind}"), className="card-kind"),
                    *([badge] if badge else []),
                    html.Span(className="spring"),
                    html.Button([icon("link", small=True), html.Span(t("card.copy"))], className="text-button", **{"data-copy": "1"}),
                    html.Button(icon("close"), className="icon-button", title=t("card.close"), **{"data-close": "1", "aria-label": t("card.close")}),
                ],
                className="card-top",
            ),
            html.H2(title),
            html.Div(sub, className="card-sub"),
            *([lead] if lead else []),
            html.Dl([part for label, value in lines for part in (html.Dt(label), html.Dd(value))]),
            _source(t, thing.fields, where),
        ],
        className="card", **{"aria-label": f"{t(f'kind.{thing.kind}')} {title}"},
    )  # fmt: skip


def _known(t: Catalogue, value: object) -> Component | str:
    return html.Span(t("word.unknown"), className="unknown") if value is None or value == "" else str(value)


def _yes(t: Catalogue, value: bool | None) -> str:
    return t("word.unknown") if value is None else t("word.yes") if value else t("word.no")


def _parcel(t: Catalogue, f: Row) -> tuple[str, str, Component | None, Component, Lines]:
    digits = f["parcel_code"]
    spaced = " ".join((digits[:6], digits[6:9], digits[9:12], digits[12:14], digits[14:]))
    area = mu(t, f["area_m2"], parcel=True)
    declared = f"{f['declared_area_mu']:,.2f} {t('unit.mu')}" if f["declared_area_mu"] else t("word.unknown")
    land = name_of("land_class", f["land_class"], language=t.language)
    grade = t("card.soil_value", n=int(f["soil_grade"])) if f["soil_grade"] else None
    lead = html.Div(
        [
            html.Div(
                [
                    html.Div([html.B(area.digits), html.Small(area.unit)]),
                    html.Span(t("card.area_m2", m2=f"{f['area_m2']:,.0f}")),
                ]
            ),
            html.Div(
                [
                    html.Div(html.B(_known(t, land), className="word")),
                    html.Span(f"{t('card.land_class')} {f['land_class'] or ''}"),
                ]
            ),
            html.Div([html.Div(html.B(_known(t, grade), className="word")), html.Span(t("card.soil"))]),
        ],
        className="card-three",
    )
    agree, doubtful = _pbf(f)
    decided = f["in_pbf"] if f["in_pbf"] is not None else f["declared_pbf"]
    pbf = [
        html.Span(_yes(t, decided), className="strong"),
        html.Div(t(f"card.{agree}"), className="doubt" if doubtful else "muted"),
    ]
    sides = html.Div(
        [html.Span([html.Small(t(f"card.{side}")), _known(t, f[side])]) for side in ("east", "south", "west", "north")],
        className="sides",
    )
    planting = (
        t(f"planting.{f['planting']}") if f["planting"] and f"planting.{f['planting']}" in t.words else f["planting"]
    )
    lines: Lines = [
        (t("card.pbf"), pbf),
        (t("card.high_standard"), _yes(t, f["in_high_standard"])),
        (t("card.planting"), _known(t, planting)),
        (t("card.contractor"), _known(t, f["contractor_masked"])),
        (t("card.contract"), html.Span(_known(t, f["contract_code"]), className="code")),
        (t("card.declared_area"), declared),
        (t("card.sides"), sides),
    ]
    return f["name"] or t("kind.parcel"), spaced, _pbf_badge(t, decided), lead, lines


def _pbf(f: Row) -> tuple[str, bool]:
    """Say how zone and declaration stand to one another: (key of the sentence, is it worth a second look)."""
    zone, declared = f["in_pbf"], f["declared_pbf"]
    if zone is None:
        return "pbf_no_zone", False
    if declared is None:
        return "pbf_no_declared", False
    if zone == declared:
        return "pbf_agree", False
    return ("pbf_zone_only" if zone else "pbf_declared_only"), True


def _pbf_badge(t: Catalogue, inside: bool | None) -> Component | None:
    return html.Span(t("card.pbf"), className="chip chip-accent") if inside else None


def _facility(t: Catalogue, f: Row) -> tuple[str, str, Component | None, None, Lines]:
    kind = name_of("facility_kind", f["kind"], language=t.language) or f["kind"]
    capacity = (
        f"{count(t, f['capacity']).digits} {f['capacity_unit'] or ''}".strip() if f["capacity"] is not None else None
    )
    lines: Lines = [
        (t("card.facility_capacity"), _known(t, capacity)),
        (t("card.facility_hours"), _known(t, f["open_hours"])),
        (t("card.facility_phone"), html.Span(_known(t, f["duty_phone"]), className="code")),
        (t("card.facility_can"), _capabilities(t, f["capability"])),
    ]
    return f["name"], kind, None, None, lines


def _resource(t: Catalogue, f: Row) -> tuple[str, str, Component | None, None, Lines]:
    kind = name_of("resource_kind", f["kind"], language=t.language) or f["kind"]
    lines: Lines = [
        (t("card.resource_quantity"), f"{f['quantity']} {f['unit'] or ''}".strip()),
        (t("card.resource_state"), t(f"state.{f['state']}")),
        (t("card.resource_at"), _known(t, moment(t, f["position_at"]) if f["position_at"] else None)),
        (t("card.facility_can"), _capabilities(t, f["capability"])),
    ]
    return f["name"], kind, None, None, lines


def _incident(t: Catalogue, f: Row) -> tuple[str, str, Component | None, None, Lines]:
    badge = html.Span(t("card.overdue"), className="chip chip-red") if f["overdue"] else None
    lines: Lines = [
        (t("card.incident_status"), t(f"status.{f['status']}")),
        (t("card.incident_item"), _known(t, name_of("incident_item", f["item_code"], language=t.language))),
        (t("card.incident_channel"), _known(t, name_of("incident_channel", f["channel"], language=t.language))),
        (t("card.incident_reported"), moment(t, f["reported_at"])),
        (t("card.incident_due"), moment(t, f["due_at"])),
        (t("card.incident_closed"), moment(t, f["closed_at"]) if f["closed_at"] else "—"),
        (t("card.incident_work"), html.A(t("card.to_desk"), href=f"/desk/{f['case_no']}", className="text-link")),
    ]
    return f["title"], f"{t('card.incident_no')} {f['case_no']}", badge, None, lines


def _capabilities(t: Catalogue, tags: list[str]) -> Component | str:
    names = [name_of("capability", tag, language=t.language) or tag for tag in tags]
    return (", " if t.language == "en" else "、").join(names) if names else _known(t, None)


def _source(t: Catalogue, f: Row, where: str) -> Component:
    if f["load_id"] is None:
        source = t("card.source_unknown")
    else:
        source = t("card.source_value", source=f["source_name"] or "", load=f["load_id"], at=moment(t, f["loaded_at"]))
    chip = [html.Span(t("word.synthetic"), className="chip chip-quiet")] if f.get("synthetic") else []
    return html.Footer(
        [
            html.Div(where),
            html.Div([f"{t('card.source')}：" if t.language == "zh" else f"{t('card.source')}: ", source, " ", *chip]),
        ]
    )


def missing(t: Catalogue, kind: str, key: str) -> Component:
    """Return the card of a thing that is not there."""
    what = t("error.missing_thing", kind=t(f"kind.{kind}"), key=key[:40])
    close = html.Button(t("word.close"), className="control", **{"data-close": "1"})
    return html.Article([html.H2(what), html.P(t("error.missing_thing_next")), close], className="card card-missing")
