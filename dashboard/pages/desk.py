"""Pages of the desk (工作台): queue and board, one case, reports per unit, handover. Frames only; callbacks fill them."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.components.desk import bar, leaving
from dashboard.components.desk import queue as table
from dashboard.text import Catalogue
from gis.settings import Settings

# Asked for by whoever shows a card; a page without one must not ask, its outputs are not there.
_CASE = ("desk-case", "desk-shown", "desk-ask", "desk-near-asked")


def queue(t: Catalogue, settings: Settings) -> Component:
    """Return page `/desk`: saved views, filters, the table or the board, the card beside it."""
    return _page(
        t, "queue",
        [
            html.Div(
                [
                    html.Nav(id="desk-views", className="views", **{"aria-label": t("desk.views")}),
                    html.Div(id="desk-filters", className="filters", role="toolbar", **{"aria-label": t("desk.filters")}),
                    html.Div(id="desk-bulk-bar", className="bulk-bar"),
                    html.Div([table.grid(t), html.Div(id="desk-empty")], id="desk-table"),
                    html.Div(id="desk-board", className="board"),
                    html.Footer(id="desk-pager", className="pager"),
                ],
                id="desk-list",
            ),
            html.Aside(id="desk-card", className="drawer", tabIndex=-1, **{"aria-live": "polite"}),
        ],
        stores=(*_CASE, "desk-asked", "desk-answer", "desk-picked", "desk-bulk", "desk-bulk-done"),
    )  # fmt: skip


def case(t: Catalogue, settings: Settings) -> Component:
    """Return page `/desk/{case_no}`: one case, also on paper."""
    return _page(t, "case", [html.Div(id="desk-card", className="case-page")], stores=_CASE)


def reports(t: Catalogue, settings: Settings) -> Component:
    """Return page `/desk/reports`."""
    body = html.Div(
        [
            html.H1(t("desk.report.title")),
            html.P(t("desk.report.sub"), className="muted"),
            html.Div(id="desk-period"),
            html.Div(id="desk-report"),
        ],
        className="desk-office",
    )
    return _page(t, "reports", [body], stores=("desk-period-asked",))


def handover(t: Catalogue, settings: Settings) -> Component:
    """Return page `/desk/handover`."""
    body = html.Div(
        [
            html.H1(t("desk.leaving.title")),
            html.P(t("desk.leaving.sub"), className="muted"),
            leaving.ask(t),
            html.Div(id="desk-leaving"),
            html.Div(id="desk-leaving-said"),
        ],
        className="desk-office",
    )
    return _page(t, "handover", [body], stores=("desk-leaving-asked", "desk-leaving-done"))


def _page(t: Catalogue, name: str, body: list[Component], *, stores: tuple[str, ...]) -> Component:
    """Return the frame: bar, body, the dialog, the toast; stores hold ids and filters only."""
    shared = ("desk-boot", "desk-person")
    return html.Div(
        [
            bar.bar(t, name),
            html.Main(body),
            html.Div(id="desk-dialog", className="dialog-holder"),
            html.Div(id="desk-lightbox", className="lightbox", hidden=True, **{"aria-label": t("desk.section.photos")}),
            html.Div(id="toast", role="status", **{"aria-live": "polite"}),
            *(dcc.Store(id=store, data=True if store == "desk-boot" else None) for store in (*shared, *stores)),
            # What is found while somebody types; the script puts it where it was asked for. A dialog must not hold an output: Dash
            # does not recover from an answer to a part that is gone.
            html.Div([html.Div(id=found) for found in ("desk-people", "desk-near", "desk-guess", "desk-sink")], hidden=True),
        ],
        id="desk", **{"data-desk": name},
    )  # fmt: skip
