"""The children as a table: a few figures each, sortable; a row is a way in, and lights up on the map."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import html
from dash.development.base_component import Component

from dashboard.text import Catalogue
from dashboard.text.numbers import Amount, count, measured, mu
from gis.divisions.measures import MEASURES, MU_M2, spread
from gis.divisions.reading import Division, Place
from gis.divisions.summary import Figures

Row = dict[str, Any]


def frame(t: Catalogue) -> list[Component]:
    """Return the heading and the empty table."""
    return [
        html.Div(id="ranking-head", className="ranking-head"),
        html.Div(
            dag.AgGrid(
                id="ranking", rowData=[], columnDefs=columns(t, "pbf"), className="ranking-grid",
                getRowId="params.data.code", columnSize=None,
                defaultColDef={"sortable": True, "resizable": False, "suppressMovable": True, "suppressHeaderMenuButton": True,
                               "sortingOrder": ["desc", "asc"]},
                dashGridOptions=options(t, []),
                dangerously_allow_code=False, style={"height": "100%", "width": "100%"},
            ),
            id="ranking-holder",
        ),
    ]  # fmt: skip


def options(t: Catalogue, pinned: list[Row]) -> Row:
    """Return the grid's options; the totals are pinned under it."""
    return {
        "rowHeight": 36, "headerHeight": 34, "localeText": t.under("grid"), "animateRows": False,
        "suppressContextMenu": True, "pinnedBottomRowData": pinned,
    }  # fmt: skip


def columns(t: Catalogue, measure: str) -> list[Row]:
    """Return the columns; the second one is the measure the map is coloured by."""
    number = {"type": "rightAligned", "cellRenderer": "OnemapNumber"}
    return [
        {"field": "name", "headerName": t("table.name"), "flex": 1, "minWidth": 70, "cellRenderer": "OnemapName"},
        {"field": "value", "headerName": t(f"short.{measure}"), "headerTooltip": t(f"measure.{measure}"), "width": 82, "cellRenderer": "OnemapBar", "sort": "desc",
         "type": "rightAligned"},
        {"field": "farmland", "headerName": t("table.farmland"), "width": 78, **number},
        {"field": "open", "headerName": t("table.open"), "width": 50, **number},
        {"field": "overdue", "headerName": t("table.overdue"), "width": 46, "cellRenderer": "OnemapOverdue", "type": "rightAligned"},
    ]  # fmt: skip


def rows(t: Catalogue, place: Place, measure: str) -> list[Row]:
    """Return one row a child; `share` is where its value lies between 0 and the largest, for the bar."""
    chosen = MEASURES[measure]
    values = {c.code: chosen.value(c.figures) for c in place.children}
    ends = spread(list(values.values()))
    top = ends[1] if ends and ends[1] > 0 else None
    return [_row(t, c, measured(t, chosen, values[c.code]), values[c.code], top) for c in place.children]


def _row(t: Catalogue, child: Division, text: Amount, value: float | None, top: float | None) -> Row:
    f = child.figures
    return {
        "code": child.code, "name": child.name,
        "value": value, "value_text": text.digits, "unknown": value is None,
        "share": None if value is None or top is None else round(value / top, 4),
        "farmland": round(f.farmland_m2 / MU_M2, 1), "farmland_text": str(mu(t, f.farmland_m2)),
        "open": f.open, "open_text": f"{f.open:,}", "overdue": f.overdue, "overdue_text": f"{f.overdue:,}",
    }  # fmt: skip


def totals(t: Catalogue, place: Place, measure: str) -> list[Row]:
    """Return the rows under the table: 未落点 (county only) and 合计; they show that the figures add up."""
    if not place.children:
        return []
    chosen = MEASURES[measure]

    def line(name: str, code: str, f: Figures, value: float | None) -> Row:
        text = measured(t, chosen, value) if code == "total" else Amount("—")
        return {"code": code, "name": name, "value": value, "value_text": text.digits, "unknown": value is None,
                "share": None, "farmland": 0, "farmland_text": str(mu(t, f.farmland_m2)), "open": f.open,
                "open_text": f"{f.open:,}", "overdue": f.overdue, "overdue_text": f"{f.overdue:,}"}  # fmt: skip

    lines = [line(t("word.unplaced"), "unplaced", place.unplaced, None)] if place.unplaced else []
    own = place.division.figures
    return [*lines, line(t("word.total"), "total", own, chosen.value(own))]


def height(place: Place) -> dict[str, str]:
    """Return the style that makes the table as high as its rows, and no higher than there is room."""
    lines = len(place.children) + (2 if place.unplaced else 1)
    return {"flex": f"0 1 {34 + 36 * lines + 4}px"}


def heading(t: Catalogue, place: Place) -> list[Component]:
    """Return the words over the table: how many children there are, or that there are none and what to do."""
    level = place.division.level
    if level == 4:
        return [html.Div(t("table.leaf"), className="empty")]
    if not place.children:
        return [html.Div([html.Strong(t("table.empty")), html.P(t("table.empty_next"))], className="empty")]
    n = count(t, len(place.children)).digits
    return [html.H2(t(f"count.{level + 1}", n=n)), html.Span(t("table.sub"), className="muted")]
