"""The bar on top of the desk's pages: back to the map, which page, search, a new case, who is signed in."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboard.components import user
from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.access.principal import Principal, current

# page, its address, what it needs
_TABS = (("queue", "/desk", "incident.view"), ("reports", "/desk/reports", "incident.view"), ("handover", "/desk/handover", "incident.dispatch"))  # fmt: skip


def bar(t: Catalogue, here: str, principal: Principal | None = None) -> Component:
    """Return the bar; `here` is the page shown: queue, reports, handover or case."""
    who = principal or current.get()
    lang = "" if t.language == "zh" else f"?lang={t.language}"
    tabs = [
        html.A(t(f"desk.tab.{name}"), href=address + lang, className="desk-tab desk-tab-here" if name == here else "desk-tab",
               **({"aria-current": "page"} if name == here else {}))
        for name, address, needs in _TABS
        if who is None or who.may(needs)
    ]  # fmt: skip
    search = html.Div(
        [icon("search"), html.Div(className="slot", **slot("search", "desk-search", t("desk.search"))), html.Kbd("/")],
        className="search", role="search",
    )  # fmt: skip
    new = html.Button(
        [icon("plus"), html.Span(t("desk.new.button"))], className="control control-main", **{"data-new": "incident"}
    )
    return html.Header(
        [
            html.A(html.Img(src="/assets/mark.svg", alt="", width=28, height=28), href="/" + lang, className="mark", title=t("desk.to_map"),
                   **{"aria-label": t("desk.to_map")}),
            html.Nav([html.A([icon("map", small=True), t("desk.map")], href="/" + lang, className="desk-tab"), *tabs], className="desk-tabs",
                     **{"aria-label": t("desk.title")}),
            *([search] if here == "queue" else []),
            html.Div(
                [
                    html.Span(id="desk-mark"),
                    *([new] if here == "queue" and (who is None or who.may("incident.report")) else []),
                    html.A(t("top.other_language"), className="tag tag-language", href="?", **{"data-language": "en" if t.language == "zh" else "zh"}),
                    user.menu(t, who),
                ],
                className="top-tools",
            ),
        ],
        id="top",
    )  # fmt: skip


def synthetic(t: Catalogue) -> Component:
    """Return the sign the map's bar has: what stands here is generated."""
    return html.Span(
        [icon("flag"), html.Span(t("top.synthetic"))],
        className="tag tag-synthetic",
        title=t("top.synthetic_long"),
        tabIndex=0,
    )


def slot(kind: str, name: str, label: str, **more: str) -> dict[str, str]:
    """Return the attributes of an empty box in which assets/80-desk-fields.js makes a native input.

    Dash has no plain input, and a controlled one loses letters to its own echo.
    """
    return {"data-input": kind, "data-name": name, "data-label": label} | {f"data-{k}": v for k, v in more.items()}
