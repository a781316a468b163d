"""The one callback of the page: a place (and perhaps a thing) is asked for; panels, table, legend and map follow."""

from __future__ import annotations

from typing import Any

from dash import ALL, Input, Output, no_update
from dash.dependencies import ClientsideFunction

from dashboard.callbacks.offload import Callbacks
from dashboard.components import cards, figures, legend, ranking, topbar
from dashboard.components.scene import scene
from dashboard.headers import current_language
from dashboard.text import Catalogue, catalogue
from gis.divisions.cards import Thing, Things
from gis.divisions.measures import DEFAULT_MEASURE, MEASURES, classify
from gis.divisions.reading import Divisions, Place
from gis.errors import NotFound, StoreUnavailable

FIGURES = 2  # place of the left panel in OUTPUTS
KINDS = ("parcel", "facility", "resource", "incident")
OUTPUTS = [
    Output("crumbs", "children"), Output("measure", "children"), Output("figures", "children"), Output("card", "children"),
    Output("ranking-head", "children"), Output("ranking", "columnDefs"), Output("ranking", "rowData"),
    Output("ranking", "dashGridOptions"), Output("ranking-holder", "style"), Output("legend", "children"), Output("map-title", "children"),
    Output("months", "children"), Output("scene", "data"),
]  # fmt: skip


def register(callbacks: Callbacks, divisions: Divisions, things: Things) -> None:
    """Register what follows a change of place, and the two hand-overs to the script."""

    def show(asked: dict[str, Any] | None) -> list[Any]:
        t, asked = catalogue(current_language.get()), asked or {}
        try:
            return present(t, asked, *read(divisions, things, asked))
        except NotFound:
            return absent(t, asked, home(divisions, things))
        except StoreUnavailable:
            # What is on screen stays; the script says so and tries again.
            return [no_update] * (len(OUTPUTS) - 1) + [{"away": True, "seq": asked.get("seq")}]

    callbacks.register(show, OUTPUTS, Input("place", "data"), prevent_initial_call=True)
    app = callbacks.app
    app.clientside_callback(ClientsideFunction("onemap", "start"), Output("place", "data"), Input("boot", "data"))
    app.clientside_callback(
        ClientsideFunction("onemap", "layer"), Output("sink", "title"), Input({"type": "layer", "name": ALL}, "checked"),
        prevent_initial_call=True,
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("onemap", "opacity"),
        Output("sink", "lang"),
        Input("opacity", "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("onemap", "show"),
        Output("sink", "children"),
        Input("scene", "data"),
        prevent_initial_call=True,
    )


def read(divisions: Divisions, things: Things, asked: dict[str, Any]) -> tuple[Place, Thing | None]:
    """Read the place asked for and the thing in it; a thing alone brings the grid it lies in with it."""
    kind, key, at = str(asked.get("kind") or ""), str(asked.get("key") or ""), asked.get("at")
    thing = None
    if kind in KINDS and key:
        try:
            thing = things.thing(kind, key)  # type: ignore[arg-type]
        except NotFound:
            thing = Thing(kind, key, {}, None, None)  # type: ignore[arg-type]
    if not at and thing is not None and thing.grid_code:
        at = thing.grid_code
    return divisions.place(str(at) if at else None), thing


def present(t: Catalogue, asked: dict[str, Any], place: Place, thing: Thing | None) -> list[Any]:
    """Return every output for a place that exists."""
    measure = str(asked.get("measure")) if asked.get("measure") in MEASURES else DEFAULT_MEASURE
    chosen = MEASURES[measure]
    classes = classify({c.code: chosen.value(c.figures) for c in place.children}, decimals=chosen.decimals)
    where = " ".join(step.name for step in place.path[1:]) or place.division.name
    card: Any = None
    if thing is not None:
        card = cards.card(t, thing, where) if thing.fields else cards.missing(t, thing.kind, thing.key)
    return [
        topbar.crumbs(t, place), topbar.measures(t, measure), figures.panel(t, place, measure), card,
        ranking.heading(t, place), ranking.columns(t, measure), ranking.rows(t, place, measure),
        ranking.options(t, ranking.totals(t, place, measure)), ranking.height(place), legend.legend(t, place, measure, classes),
        legend.title(t, place, measure), legend.months(t, place),
        scene(t, place, measure, classes, thing) | {"seq": asked.get("seq")},
    ]  # fmt: skip


def home(divisions: Divisions, things: Things) -> Place | None:
    """Read what the asker sees first; None while the store holds no county."""
    try:
        return read(divisions, things, {})[0]
    except (NotFound, StoreUnavailable):
        return None


def absent(t: Catalogue, asked: dict[str, Any], place: Place | None) -> list[Any]:
    """Return every output for a place that is not there: what happened and the way out, beside the map of one's own place."""
    code = str(asked.get("at") or "")[:40]
    if place is None:
        said = figures.missing(t, t("error.empty_store"), t("error.empty_store_next"))
        return [
            [],
            no_update,
            said,
            None,
            [],
            no_update,
            [],
            no_update,
            no_update,
            [],
            [],
            [],
            {"at": code, "seq": asked.get("seq"), "missing": True},
        ]
    shown = present(t, {"measure": asked.get("measure"), "seq": asked.get("seq")}, place, None)
    shown[FIGURES] = [
        *figures.missing(t, t("error.missing_place"), t("error.missing_place_next", code=code)),
        *shown[FIGURES],
    ]
    return shown
