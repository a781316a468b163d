"""The bar on top: mark, where we are, search, layers, and the sign that the data are synthetic."""

from __future__ import annotations

import json

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.components import user
from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.access.principal import current
from gis.divisions.measures import MEASURES
from gis.divisions.reading import Place
from gis.divisions.search import Hit


def bar(t: Catalogue, layer_menu: Component) -> Component:
    """Return the bar; its breadcrumb is filled by `crumbs`."""
    return html.Header(
        [
            html.Button(icon("panel-left"), className="icon-button only-narrow", title=t("top.figures"),
                        **{"data-drawer": "left", "aria-label": t("top.figures")}),
            html.A(html.Img(src="/assets/mark.svg", alt="", width=28, height=28), href="/", className="mark", title=t("app.name"),
                   **{"data-home": "1", "aria-label": t("map.home")}),
            *_desk(t),
            html.Nav(id="crumbs", **{"aria-label": t("app.name")}),
            html.Div(
                [
                    icon("search"),
                    # The input itself is made by assets/40-page.js: a controlled one loses letters to its own echo.
                    html.Div(id="search-box", **{"data-label": t("top.search_aria"), "data-placeholder": t("top.search"),
                            "data-short": t("top.search_short")}),
                    dcc.Store(id="search-text"),
                    html.Kbd("/"),
                    html.Div(id="search-results", role="listbox"),
                ],
                className="search", role="search",
            ),
            html.Div(
                [
                    html.Div(id="measure"),
                    layer_menu,
                    dmc.Tooltip(
                        html.Span([icon("flag"), html.Span(t("top.synthetic"))], className="tag tag-synthetic", tabIndex=0),
                        label=t("top.synthetic_long"), multiline=True, w=280, position="bottom-end",
                    ),
                    html.A(t("top.other_language"), className="tag tag-language", href="?",
                           **{"data-language": "en" if t.language == "zh" else "zh"}),
                    user.menu(t),
                ],
                className="top-tools",
            ),
            html.Button(icon("list"), className="icon-button only-narrow", title=t("top.ranking"),
                        **{"data-drawer": "right", "aria-label": t("top.ranking")}),
        ],
        id="top",
    )  # fmt: skip


def _desk(t: Catalogue) -> list[Component]:
    """The way to the desk, for whoever may see cases."""
    who = current.get()
    address = "/desk" if t.language == "zh" else f"/desk?lang={t.language}"
    return (
        [html.A(t("desk.tab.queue"), href=address, className="to-desk", title=t("desk.title"))]
        if who and who.may("incident.view")
        else []
    )


def crumbs(t: Catalogue, place: Place) -> list[Component]:
    """Return 县 ▸ 乡镇 ▸ 村 ▸ 网格: each step a link with its neighbours beside it, then what can be chosen next."""
    parts: list[Component] = []
    last = place.path[-1]
    for step in place.path:
        if parts:
            parts.append(icon("chevron-right", small=True))
        here = step is last
        parts.append(
            html.Button(
                step.name,
                className="crumb crumb-here" if here else "crumb",
                **{"data-at": step.code} | ({"aria-current": "page"} if here else {}),
            )
        )
        if len(step.siblings) > 1:
            parts.append(_siblings(t, step.code, step.siblings, t("top.siblings", what=t(f"level.{step.level}"))))
    if place.children:
        parts.append(icon("chevron-right", small=True))
        children = tuple((c.code, c.name) for c in place.children)
        parts.append(_siblings(t, "", children, t(f"choose.{last.level}"), label=t(f"choose.{last.level}")))
    return parts


def measures(t: Catalogue, chosen: str) -> list[Component]:
    """Return the choice of what the map is coloured by."""
    return [
        html.Details(
            [
                html.Summary(
                    [html.Span(t("top.measure"), className="muted"), html.Span(t(f"measure.{chosen}"), className="strong"),
                     icon("chevron-down", small=True)],
                    className="control", title=t("top.measure"),
                ),
                html.Div(
                    [
                        html.Button(
                            [html.Span(t(f"measure.{key}")), html.Small(t(f"note.{key}"), className="muted")],
                            className="menu-item menu-item-here" if key == chosen else "menu-item", **{"data-measure": key},
                        )
                        for key in MEASURES
                    ],
                    className="menu menu-tall",
                ),
            ],
            className="menu-holder",
        )
    ]  # fmt: skip


def _siblings(
    t: Catalogue, current: str, choices: tuple[tuple[str, str], ...], what: str, *, label: str | None = None
) -> Component:
    """One menu; assets/40-page.js makes its items when it is opened, from what it carries."""
    wide = "menu menu-wide" if len(choices) > 12 else "menu"
    listed = json.dumps(choices, ensure_ascii=False, separators=(",", ":"))
    return html.Details(
        [
            html.Summary(
                label or icon("chevron-down", small=True),
                className="crumb crumb-next" if label else "crumb-menu",
                title=what,
                **{"aria-label": what},
            ),
            html.Div(className=wide, **{"data-choices": listed, "data-current": current}),
        ],
        className="menu-holder",
    )


def results(t: Catalogue, text: str, hits: list[Hit]) -> list[Component]:
    """Return what the search found; the keyboard walks through it (assets/40-page.js)."""
    if not text.strip():
        return [html.Div(t("top.search_hint"), className="search-note")]
    if not hits:
        return [html.Div(t("top.search_none", text=text.strip()[:40]), className="search-note")]
    return [_result(t, hit) for hit in hits]


def _result(t: Catalogue, hit: Hit) -> Component:
    kind = t(f"level.{hit.level}") if hit.kind == "division" else t(f"kind.{hit.kind}")
    target = (
        {"data-at": hit.at or ""} if hit.kind == "division" else {f"data-{hit.kind}": hit.key, "data-at": hit.at or ""}
    )
    return html.Button(
        [
            html.Span(hit.name, className="result-name"),
            html.Span(hit.within, className="result-within"),
            html.Span(kind, className="chip"),
        ],
        className="result", role="option", **target,
    )  # fmt: skip
