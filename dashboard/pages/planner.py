"""Page `/`: the planner's map. The frame only; what it says comes by callbacks."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.components import layers, ranking, stage, topbar
from dashboard.text import Catalogue
from gis.settings import Settings

_THEME = {
    "fontFamily": "var(--font)",
    "primaryColor": "accent",
    "defaultRadius": 8,
    "colors": {
        "accent": [
            "#E6EEF7",
            "#CFDEEF",
            "#A6C2DF",
            "#7AA4CE",
            "#5286BC",
            "#2F6AA7",
            "#14508C",
            "#124779",
            "#0F3C66",
            "#0B2F51",
        ]
    },
}


def page(t: Catalogue, settings: Settings) -> Component:
    """Return the frame of the page."""
    frame = html.Div(
        [
            topbar.bar(t, layers.menu(t, tianditu=settings.tianditu_key is not None)),
            html.Main(
                [
                    html.Aside(html.Div(id="figures", className="panel-body"), id="left", className="panel"),
                    stage.stage(t),
                    html.Aside(
                        [html.Div(id="card"), *ranking.frame(t)], id="right", className="panel",
                    ),
                    html.Div(
                        [
                            html.Button(t("top.figures"), className="tab-left", **{"data-sheet-tab": "left"}),
                            html.Button([html.Span(t("top.ranking"), className="when-list"), html.Span(t("top.card"), className="when-card")],
                                        className="tab-right", **{"data-sheet-tab": "right"}),
                            html.Button(t("top.fold"), **{"data-drawer": "none"}),
                        ],
                        className="sheet-tabs",
                    ),
                ]
            ),
            html.Div(id="toast", role="status", **{"aria-live": "polite"}), 
            dcc.Store(id="boot", data=True),
            dcc.Store(id="place"),
            dcc.Store(id="scene"),
            html.Div(id="sink", hidden=True),
        ],
        id="page",
    )  # fmt: skip
    return dmc.MantineProvider(frame, theme=_THEME, forceColorScheme="light")
