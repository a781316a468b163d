"""The search box: text in, results out."""

from __future__ import annotations

from typing import Any

from dash import Input, Output

from dashboard.callbacks.offload import Callbacks
from dashboard.components.topbar import results
from dashboard.headers import current_language
from dashboard.text import catalogue
from gis.divisions.search import Search


def register(callbacks: Callbacks, search: Search) -> None:
    """Register the search box."""

    def find(text: str | None) -> list[Any]:
        text = text or ""
        return results(catalogue(current_language.get()), text, search.find(text))

    callbacks.register(
        find, Output("search-results", "children"), Input("search-text", "data"), prevent_initial_call=True
    )
