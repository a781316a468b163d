"""The map and what floats over it. Created once; everything inside is changed by assets/*.js or by callbacks."""

from __future__ import annotations

import dash_leaflet as dl
from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue

# Before anything is known of the county: the whole country, for the blink until the first scene arrives.
_CENTER = [36.0, 104.0]


def stage(t: Catalogue) -> Component:
    """Return the map's frame."""
    buttons = [
        ("zoom-in", "plus", "zoom_in"),
        ("zoom-out", "minus", "zoom_out"),
        ("up", "arrow-up", "up"),
        ("home", "home", "home"),
    ]
    return html.Section(
        [
            dl.Map(
                id="map", center=_CENTER, zoom=5, minZoom=4, maxZoom=19, zoomSnap=0.25, zoomDelta=1, wheelPxPerZoomLevel=90,
                zoomControl=False, attributionControl=False, keyboard=True, trackViewport=False, children=[],
                style={"position": "absolute", "inset": 0},
            ),
            html.Div(id="progress", role="progressbar", hidden=True, **{"aria-label": t("app.loading")}),
            html.Div(id="map-title", className="float", **{"aria-live": "polite"}),
            html.Div(
                [
                    html.Button(icon(shape), id=f"map-{name}", title=t(f"map.{word}"), **{"data-map": name, "aria-label": t(f"map.{word}")})
                    for name, shape, word in buttons
                ],
                className="float map-buttons",
            ),
            html.Div(id="legend", className="float"),
            html.Div(id="months", className="float"),
            html.Div(
                [
                    html.Div(className="scale-bar", id="scale-bar"),
                    html.Div([html.Span(id="scale-text"), " · " + t("map.crs")]),
                    html.Div(t("map.approval")),
                    html.Div(t("map.attribution"), id="attribution"),
                ],
                id="map-foot",
            ),
            html.Div(id="callout", className="float", hidden=True),
        ],
        id="stage", role="application", **{"aria-label": t("map.aria", name="")},
    )  # fmt: skip
