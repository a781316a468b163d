"""The desk's office pages: reports per unit, and handing over everything of a person who leaves."""

from __future__ import annotations

from typing import Any

from dash import Input, Output

from dashboard.callbacks.desk import when_asked
from dashboard.callbacks.desk_leaving import Leaving
from dashboard.callbacks.desk_report import Report
from dashboard.callbacks.offload import Callbacks
from dashboard.headers import current_language
from dashboard.text import catalogue


def register(callbacks: Callbacks, report: Report, leaving: Leaving) -> None:
    """Register the report's period and the two steps of a handover."""

    def show(sent: dict[str, Any] | None) -> tuple[Any, Any]:
        return report.shown(catalogue(current_language.get()), sent or {})

    def preview(sent: dict[str, Any] | None) -> Any:
        return leaving.preview(catalogue(current_language.get()), sent or {})

    def hand_over(sent: dict[str, Any] | None) -> Any:
        return leaving.done(catalogue(current_language.get()), sent or {})

    period = [Output("desk-period", "children"), Output("desk-report", "children")]
    callbacks.register(when_asked(show), period, Input("desk-period-asked", "data"), prevent_initial_call=True)
    callbacks.register(
        when_asked(preview),
        Output("desk-leaving", "children"),
        Input("desk-leaving-asked", "data"),
        prevent_initial_call=True,
    )
    callbacks.register(
        when_asked(hand_over),
        Output("desk-leaving-said", "children"),
        Input("desk-leaving-done", "data"),
        prevent_initial_call=True,
    )
