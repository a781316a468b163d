"""What the colours mean, how many divisions each class holds, and the words over and under the map."""

from __future__ import annotations

from itertools import pairwise

from dash import html
from dash.development.base_component import Component

from dashboard.text import Catalogue
from dashboard.text.numbers import count, measured
from gis.codelists import codelist, name_of
from gis.divisions.measures import MEASURES, Classes
from gis.divisions.reading import Place

# LOOK: sequential, light; the fewer classes, the further apart they are taken.
SEQUENTIAL = ("#F1F5EC", "#C5E0D6", "#8AC3BB", "#479A9C", "#14616D")
_TAKEN = {1: (2,), 2: (1, 3), 3: (0, 2, 4), 4: (0, 1, 2, 3), 5: (0, 1, 2, 3, 4)}
_LAND_SHOWN = ("0102", "0103", "0101", "0201", "0204", "0307", "1104", "1202")


def colors(classes: Classes) -> list[str]:
    """Return one colour a class, light to dark."""
    return [SEQUENTIAL[i] for i in _TAKEN[len(classes.counts)]]


def legend(t: Catalogue, place: Place, measure: str, classes: Classes) -> list[Component]:
    """Return both legends; the map shows the one of what it draws (assets/40-page.js sets ``data-mode``)."""
    return [_classes(t, place, measure, classes), _land(t), _zones(t)]


def _classes(t: Catalogue, place: Place, measure: str, classes: Classes) -> Component:
    if not place.children:
        return html.Div(className="legend-classes")
    level = place.division.level + 1
    unit = t(f"unit.{MEASURES[measure].unit}")
    most = max([*classes.counts, classes.unknown, 1])
    known = sum(classes.counts) > 0
    lines = [
        _line(html.I(className="swatch", style={"background": color}), label, n, most, color)
        for color, label, n in zip(colors(classes), _labels(t, measure, classes), classes.counts, strict=True)
        if known
    ]
    lines.append(_line(html.I(className="swatch swatch-unknown"), t("word.unknown"), classes.unknown, most, "#BFC8C2"))
    return html.Div(
        [
            html.Div([html.H3([t(f"measure.{measure}"), " ", html.Small(unit)]), html.Small(t(f"legend.count_{level}"))], className="legend-head"),
            *lines,
            html.Div([html.I(className="ring-sample"), html.Span(t("legend.rings"))], className="legend-extra", id="legend-rings"),
        ],
        className="legend-classes",
    )  # fmt: skip


def _labels(t: Catalogue, measure: str, classes: Classes) -> list[str]:
    decimals = MEASURES[measure].decimals
    marks = [f"{b:,.{decimals}f}" for b in classes.breaks]
    if not marks:
        return [t("legend.all_same")]
    inner = [t("legend.range_between", a=a, b=b) for a, b in pairwise(marks)]
    return [t("legend.range_below", b=marks[0]), *inner, t("legend.range_above", a=marks[-1])]


def _line(swatch: Component, label: str, n: int, most: int, color: str) -> Component:
    bar = html.I(style={"width": f"{100 * n / most:.0f}%", "background": color}, className="legend-bar")
    return html.Div(
        [swatch, html.Span(label, className="legend-label"), html.Span(bar, className="legend-bars"), html.B(str(n))],
        className="legend-line" if n else "legend-line legend-none",
    )


def _land(t: Catalogue) -> Component:
    listed = codelist("land_class")
    lines = [
        html.Div(
            [
                html.I(className="swatch", style={"background": listed[code].get("color", "#E3E3DE")}),
                html.Span(name_of("land_class", code, language=t.language) or code),
            ],
            className="legend-line legend-plain",
        )
        for code in _LAND_SHOWN
        if code in listed
    ]
    extra = html.Div(
        [
            html.Span([html.I(className="glyph glyph-overdue"), t("legend.incident_overdue")]),
            html.Span([html.I(className="glyph glyph-open"), t("legend.incident_open")]),
            html.Span([html.I(className="glyph glyph-facility"), t("legend.facility")]),
        ],
        className="legend-extra legend-glyphs",
    )
    return html.Div([html.Div(html.H3(t("legend.title_land")), className="legend-head"), html.Div(lines, className="legend-two"), extra],
                    className="legend-land")  # fmt: skip


def _zones(t: Catalogue) -> Component:
    """Keys of the zones; each is seen while its layer is on (``data-pbf``, ``data-high-standard`` of the page)."""
    keys = [
        html.Span([html.I(className=f"zone-key zone-{kind}"), t(f"legend.{kind}")], className=f"zone zone-of-{kind}")
        for kind in ("pbf", "high_standard")
    ]
    return html.Div(keys, className="legend-extra legend-zones")


def title(t: Catalogue, place: Place, measure: str) -> list[Component]:
    """Return the card over the map: what is drawn, of what, and the whole's own value; one for far, one for near."""
    d = place.division
    near = html.Div(
        [html.H2(f"{d.name} · {t('legend.title_parcels')}"), html.P(t(f"legend.land_{d.level}"))],
        className="title-land",
    )
    if not place.children:
        return [near]
    own = MEASURES[measure].value(d.figures)
    far = [
        html.H2(f"{t(f'children.{d.level}')}{': ' if t.language == 'en' else ''}{t(f'measure.{measure}')}"),
        html.P([t(f"note.{measure}"), " · ", d.name, " ", html.B(str(measured(t, MEASURES[measure], own)))]),
    ]
    return [html.Div(far, className="title-classes"), near]


def _short(t: Catalogue, n: int) -> str:
    amount = count(t, n)
    return amount.digits + amount.unit


def months(t: Catalogue, place: Place) -> list[Component]:
    """Return incidents a month as bars; the running month is accented and labelled with its count."""
    most = max((m.incidents for m in place.months), default=0)
    if most == 0:
        return []
    bars = [
        html.Div(
            [
                html.B(_short(t, m.incidents) if m.running or m.incidents == most else ""),
                html.I(style={"height": f"{max(2, round(40 * m.incidents / most))}px"}),
                html.Span(str(m.first_day.month)),
            ],
            className="month month-running" if m.running else "month",
            title=f"{m.first_day:%Y-%m}: {count(t, m.incidents, t('unit.case'))}"
            + (f" ({t('panel.months_running')})" if m.running else ""),
        )
        for m in place.months
    ]
    return [
        html.Div([html.H3(t("panel.months")), html.Small(t("panel.months_note"))], className="months-head"),
        html.Div(bars, className="months-bars"),
    ]
