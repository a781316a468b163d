"""The queue: saved views as chips, the table of one page, and the pager under it."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.components.desk.card import state_name
from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.cases.definition import Process
from gis.cases.model import Queue, Row

PAGE_SIZE = 50
# In the order of a morning: mine, then what burns.
VIEWS = ("mine", "breached", "at_risk", "waiting", "confirm", "supervised", "week", "open", "all")
_LOUD = {"breached": "loud-breached", "at_risk": "loud-at_risk"}
SORTS = {
    "due": "due",
    "no": "case_no",
    "title": "title",
    "state": "state",
    "unit": "unit",
    "person": "assignee",
    "reported": "reported",
}


def views(t: Catalogue, counts: dict[str, int], chosen: str) -> list[Component]:
    """Return the saved views, each with how many cases stand in it; a view nobody counted has no figure."""
    return [
        html.Button(
            [html.Span(t(f"desk.view.{name}")), *([html.B(f"{counts[name]:,}", className=_LOUD.get(name, "") if counts[name] else "")] if name in counts else [])],
            className="view view-here" if name == chosen else "view", title=t(f"desk.view_note.{name}"),
            **{"data-view": name, "aria-pressed": str(name == chosen).lower()},
        )
        for name in VIEWS
    ]  # fmt: skip


def grid(t: Catalogue) -> Component:
    """Return the empty table."""
    return dag.AgGrid(
        id="desk-grid", rowData=[], columnDefs=columns(t, None), className="desk-grid", getRowId="params.data.no", columnSize=None,
        defaultColDef={"sortable": False, "resizable": True, "suppressMovable": True, "suppressHeaderMenuButton": True,
                       "sortingOrder": ["asc", "desc"], "comparator": {"function": "OnemapAsGiven"}},
        dashGridOptions={
            "rowHeight": 40, "headerHeight": 34, "localeText": t.under("grid") | t.under("desk.grid"), "animateRows": False,
            "suppressContextMenu": True, "suppressMultiSort": True, "suppressCellFocus": True, "tooltipShowDelay": 600,
            "rowSelection": {"mode": "multiRow", "checkboxes": True, "headerCheckbox": True, "enableClickSelection": False},
            "selectionColumnDef": {"width": 44, "pinned": "left", "resizable": False},
        },
        dangerously_allow_code=False, style={"height": "100%", "width": "100%"},
    )  # fmt: skip


def columns(t: Catalogue, sort: str | None) -> list[dict[str, Any]]:
    """Return the columns; `sort` is the name of the order asked for, with ``-`` in front when it falls."""

    def column(field: str, width: int, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"field": field, "headerName": t(f"desk.column.{field}"), "width": width} | more
        if field in SORTS:
            name = SORTS[field]
            made |= {"sortable": True, "sort": {name: "asc", f"-{name}": "desc"}.get(sort or "due")}
        return made

    return [
        column("due", 142, cellRenderer="DeskDue", tooltipField="due_title"),
        column("no", 148, cellRenderer="DeskNumber"),
        column("title", 260, flex=1, minWidth=170, cellRenderer="DeskTitle", tooltipField="title"),
        column("item", 150, tooltipField="item"),
        column("place", 136, tooltipField="place"),
        column("state", 96, cellRenderer="DeskState"),
        column("unit", 132, tooltipField="unit"),
        column("person", 84, tooltipField="person"),
        column("reported", 122),
    ]  # fmt: skip


def rows(t: Catalogue, queue: Queue, process: Process) -> list[dict[str, Any]]:
    """Return one row a case, all of it text."""
    return [row(t, r) | {"state": state_name(t, process, r)} for r in queue.rows]


def row(t: Catalogue, r: Row) -> dict[str, Any]:
    """Return a case as the table writes it."""
    unknown = t("desk.none")
    return {
        "no": r.case_no, "rev": r.revision, "standing": r.standing, "due": standing.due_words(t, r), "due_title": standing.due_title(t, r),
        "title": r.title, "item": r.item_name or t("desk.unclassified"), "plain": r.item_name is None, "place": r.place or t("word.unplaced"),
        "state": r.state_name, "state_id": r.state, "unit": r.unit_name or unknown, "person": r.assignee_name or unknown,
        "reported": standing.seen(t, r.reported_at), "reopened": t("desk.reopened", n=r.reopened) if r.reopened else "",
    }  # fmt: skip


def pager(t: Catalogue, total: int, page: int, size: int = PAGE_SIZE) -> list[Component]:
    """Return which cases are shown of how many, and the way to the others."""
    if total == 0:
        return []
    last = max(1, -(-total // size))
    page = min(max(1, page), last)
    shown = t("desk.pager.shown", a=f"{(page - 1) * size + 1:,}", b=f"{min(page * size, total):,}", n=f"{total:,}")

    def step(to: int, name: str, shape: str) -> Component:
        return html.Button(icon(shape, small=True), className="icon-button", disabled=not 1 <= to <= last, title=t(f"desk.pager.{name}"),
                           **{"data-page": str(to), "aria-label": t(f"desk.pager.{name}")})  # fmt: skip

    where = html.Span(t("desk.pager.page", page=f"{page:,}", last=f"{last:,}"), className="muted")
    return [
        html.Span(shown),
        html.Span(className="spring"),
        step(page - 1, "back", "chevron-left"),
        where,
        step(page + 1, "next", "chevron-right"),
    ]


def nothing(t: Catalogue, view: str, filtered: bool) -> Component:
    """Return what stands where rows would be: why there are none, and what to do."""
    words = t(
        "desk.empty.filtered"
        if filtered
        else f"desk.empty.{view if view in ('mine', 'breached', 'at_risk') else 'other'}"
    )
    again = [html.Button(t("desk.filter.clear"), className="control", **{"data-clear": "1"})] if filtered else []
    return html.Div([html.Strong(words), *again], className="desk-empty")


def away(t: Catalogue) -> Component:
    """Return what stands where rows would be while the store is away."""
    return html.Div([html.Strong(t("error.store")), html.P(t("error.store_next"))], className="desk-empty")


def refused(words: str, next_step: str) -> Component:
    """Return what stands where rows would be when the address asks for something that makes no sense."""
    return html.Div([html.Strong(words), html.P(next_step)], className="desk-empty")
