"""The left panel: what this division is and its figures, each with its denominator; a row colours the map."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue
from dashboard.text.numbers import Amount, count, measured, moment, mu, share
from gis.divisions.disclosure import Suppressed
from gis.divisions.measures import MEASURES
from gis.divisions.reading import Place
from gis.divisions.summary import Figures

Children = Sequence[Component | str]


def panel(t: Catalogue, place: Place, measure: str) -> list[Component]:
    """Return the panel of one division."""
    d = place.division
    marks = [html.Span(t(f"level.{d.level}"), className="chip")]
    if d.schematic:
        marks.append(html.Span(t("word.schematic"), className="chip chip-quiet"))
    below = [t(f"count.{level}", n=count(t, n).digits) for level, n in sorted(place.census.items()) if level > d.level]
    head = html.Div(
        [
            html.Div([html.H1(d.name), *marks], className="place-name"),
            html.Div(" · ".join(below) or place.path[-2].name, className="place-below"),
            html.Div(t("panel.choose"), className="muted small"),
        ],
        className="panel-head",
    )
    return [head, *_rows(t, place, measure), *_plain(t, place), _footer(t, place)]


def _rows(t: Catalogue, place: Place, measure: str) -> list[Component]:
    """Rows that are measures: pressing one colours the map by it."""
    f = place.division.figures
    density = measured(t, MEASURES["population"], MEASURES["population"].value(f))
    rate = measured(t, MEASURES["incidents"], MEASURES["incidents"].value(f))
    overdue = html.B(count(t, f.overdue).digits, className="breached") if f.overdue else "0"
    return [
        _row(t, place, measure, "pbf", t("panel.pbf"), share(t, f.pbf_m2, f.parcel_m2),
             [t("panel.pbf_note", part=mu(t, f.pbf_m2), whole=mu(t, f.parcel_m2))]),
        _row(t, place, measure, "farmland", t("panel.farmland"), mu(t, f.farmland_m2),
             [t("panel.farmland_note", parcels=count(t, f.parcels, t("unit.parcel")), share=share(t, f.farmland_m2, f.area_m2))]),
        _row(t, place, measure, "high_standard", t("panel.high_standard"), share(t, f.high_standard_m2, f.parcel_m2),
             [t("panel.pbf_note", part=mu(t, f.high_standard_m2), whole=mu(t, f.parcel_m2))]),
        _row(t, place, measure, "incidents", t("panel.incidents"), count(t, f.incidents, t("unit.case")),
             [t("panel.incidents_note", rate=rate.digits, population=count(t, f.population))]),
        _row(t, place, measure, "overdue", t("panel.open"), count(t, f.open, t("unit.case")),
             _around(t("panel.open_note", overdue="\0", share=share(t, f.overdue, f.open)), overdue)
             if f.open else [t("panel.open_none")]),
        _row(t, place, measure, "population", t("panel.population"), count(t, f.population, t("unit.people")),
             [t("panel.population_note", households=count(t, f.households, t("unit.household")), density=density)]),
    ]  # fmt: skip


def _plain(t: Catalogue, place: Place) -> list[Component]:
    """Rows that are no measure of the map."""
    f = place.division.figures
    hidden = isinstance(f.monitored, Suppressed)
    monitored = (
        Amount(t("word.withheld"))
        if isinstance(f.monitored, Suppressed)
        else count(t, f.monitored, t("unit.household"))
    )
    note = (
        t("panel.monitored_withheld")
        if hidden
        else t("panel.monitored_note", households=count(t, f.households, t("unit.household")))
    )
    rows = [
        _fact(
            t("panel.facilities"),
            count(t, f.facilities, t("unit.place")),
            t("panel.facilities_note", resources=count(t, f.resources)),
        ),
        _fact(t("panel.monitored"), monitored, note),
    ]
    if place.unplaced is not None:
        rows.append(_unplaced(t, place.unplaced))
    return rows


def _unplaced(t: Catalogue, f: Figures) -> Component:
    n = f.incidents + f.parcels + f.facilities
    if n == 0 and f.open == 0:
        return _fact(t("panel.unplaced"), Amount("0"), t("panel.unplaced_none"))
    note = t("panel.unplaced_note", incidents=count(t, f.incidents).digits, parcels=count(t, f.parcels).digits)
    return _fact(t("panel.unplaced"), count(t, n), note, hint=t("panel.unplaced_hint"))


def _row(t: Catalogue, place: Place, chosen: str, key: str, label: str, amount: Amount, note: Children) -> Component:
    here = key == chosen
    return html.Button(
        [
            html.Div([html.Span(label, className="figure-label"), html.Span(t(f"measure.{key}"), className="sr-only")]),
            html.Div(
                [_amount(t, amount), _strip(place, key)],
                className="figure-line",
            ),
            html.Div(note, className="figure-note"),
        ],
        className="figure figure-here" if here else "figure", **{"data-measure": key, "aria-pressed": "true" if here else "false"},
    )  # fmt: skip


def _fact(label: str, amount: Amount, note: str, *, hint: str | None = None) -> Component:
    unknown = not any(ch.isdigit() for ch in amount.digits)
    value = html.Span(
        [
            html.Span(amount.digits, className="fact-digits unknown" if unknown else "fact-digits"),
            html.Span(amount.unit, className="unit"),
        ]
    )
    return html.Div(
        [html.Div([html.Span(label, className="figure-label"), value], className="fact-line"), html.Div(note, className="figure-note")],
        className="fact", **({"title": hint} if hint else {}),
    )  # fmt: skip


def _amount(t: Catalogue, amount: Amount) -> Component:
    if amount.digits == t("word.unknown"):
        return html.Span(amount.digits, className="figure-digits unknown")
    return html.Span([html.Span(amount.digits, className="figure-digits"), html.Span(amount.unit, className="unit")])


def _strip(place: Place, key: str) -> Component:
    """Where the children lie between the lowest and the highest, and where the whole lies: ticks and a dot, no rank."""
    measure = MEASURES[key]
    values = [v for c in place.children if (v := measure.value(c.figures)) is not None]
    own = measure.value(place.division.figures)
    if len(values) < 3 or own is None or max(values) <= min(values):
        return html.Span(className="strip")
    low, high = min(values), max(values)

    def left(v: float) -> float:
        return 100 * (min(max(v, low), high) - low) / (high - low)

    # One picture instead of fifty elements: a township's panel would carry three hundred.
    ticks = "".join(f"M{left(v):.1f} 0v8" for v in values)
    drawing = (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='-.7 0 101.4 8' preserveAspectRatio='none'%3E"
        f"%3Cpath d='M0 4h100' stroke='%23BFC8C2'/%3E%3Cpath d='{ticks}' stroke='%2398A39D' stroke-width='1.4'/%3E%3C/svg%3E"
    )
    return html.Span(
        html.I(className="strip-dot", style={"left": f"{left(own):.1f}%"}),
        className="strip strip-drawn", style={"backgroundImage": f'url("{drawing}")'}, **{"aria-hidden": "true"},
    )  # fmt: skip


def _around(text: str, middle: Component | str) -> Children:
    before, _, after = text.partition("\0")
    return [before, middle, after]


def _footer(t: Catalogue, place: Place) -> Component:
    source = t("word.synthetic") if place.division.synthetic else ""
    parts = [p for p in (source, t("panel.updated", at=moment(t, place.read_at))) if p]
    d = place.division
    return html.Div([html.Div(" · ".join(parts)), html.Div(f"{d.official_name} {d.code}")], className="panel-foot")


def missing(t: Catalogue, title: str, next_step: str) -> list[Component]:
    """Return the panel when there is nothing of that code: what happened, and the way out."""
    return [
        html.Div(
            [
                icon("flag"),
                html.Strong(title),
                html.P(next_step),
                html.Button(t("error.to_county"), className="control", **{"data-home": "1"}),
            ],
            className="empty",
        )
    ]
