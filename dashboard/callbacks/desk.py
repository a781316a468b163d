"""The desk: the list follows its address, the card follows the case, a form follows the step; writes go through the API."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dash import Input, Output
from dash.dependencies import ClientsideFunction
from dash.exceptions import PreventUpdate

from dashboard.callbacks.desk_asked import parse
from dashboard.callbacks.desk_shown import Desk
from dashboard.callbacks.offload import Callbacks
from dashboard.headers import current_language
from dashboard.text import Catalogue, catalogue

LIST = [
    Output("desk-views", "children"), Output("desk-filters", "children"), Output("desk-grid", "columnDefs"), Output("desk-grid", "rowData"),
    Output("desk-empty", "children"), Output("desk-board", "children"), Output("desk-pager", "children"), Output("desk-answer", "data"),
]  # fmt: skip


def when_asked(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Guard a callback against a store that has only just come onto the page: Dash fires for that too."""

    @functools.wraps(function)
    def guarded(sent: Any) -> Any:
        if sent is None:
            raise PreventUpdate
        return function(sent)

    return guarded


def register(callbacks: Callbacks, desk: Desk) -> None:
    """Register list, card, forms, people, duplicates and bulk bar; then what the browser does alone."""

    def words() -> Catalogue:
        return catalogue(current_language.get())

    def mark(_: Any) -> Any:
        return desk.mark(words())

    def show_list(sent: dict[str, Any] | None) -> list[Any]:
        return desk.listed(words(), parse(sent))

    def show_case(sent: dict[str, Any] | None) -> tuple[Any, Any]:
        return desk.card(words(), sent or {})

    def show_dialog(sent: dict[str, Any] | None) -> Any:
        return desk.dialog(words(), sent or {})

    def find_people(sent: dict[str, Any] | None) -> Any:
        return desk.people(words(), sent or {})

    def near(sent: dict[str, Any] | None) -> tuple[Any, Any]:
        return desk.near(words(), sent or {})

    def bulk_bar(sent: list[str] | None) -> Any:
        return desk.bulk_bar(words(), sent or [])

    def bulk(sent: dict[str, Any] | None) -> Any:
        return desk.act_many(words(), sent or {})

    asks: list[tuple[Callable[[Any], Any], Any, str]] = [
        (show_list, LIST, "desk-asked"),
        (show_case, [Output("desk-card", "children"), Output("desk-shown", "data")], "desk-case"),
        (show_dialog, Output("desk-dialog", "children"), "desk-ask"),
        (find_people, Output("desk-people", "children"), "desk-person"),
        (near, [Output("desk-near", "children"), Output("desk-guess", "children")], "desk-near-asked"),
        (bulk_bar, Output("desk-bulk-bar", "children"), "desk-picked"),
        (bulk, Output("desk-bulk-done", "data"), "desk-bulk"),
    ]
    for function, outputs, store in asks:
        callbacks.register(when_asked(function), outputs, Input(store, "data"), prevent_initial_call=True)
    callbacks.register(when_asked(mark), Output("desk-mark", "children"), Input("desk-boot", "data"))
    for name, output, source in (
        ("start", "title", "desk-boot"),
        ("answered", "lang", "desk-answer"),
        ("shown", "children", "desk-shown"),
        ("bulkDone", "className", "desk-bulk-done"),
        ("peopleFound", "dir", "desk-people"),
        ("nearFound", "role", "desk-near"),
    ):
        callbacks.app.clientside_callback(
            ClientsideFunction("desk", name),
            Output("desk-sink", output),
            Input(source, "children" if source in ("desk-people", "desk-near") else "data"),
            prevent_initial_call=name != "start",
        )
