"""Where the person who is signed in works, by name: read once a page, written into their menu."""

from __future__ import annotations

from dash import Input, Output

from dashboard.callbacks.offload import Callbacks
from dashboard.headers import current_language
from dashboard.text import catalogue
from gis.access.principal import current
from gis.divisions.reading import Divisions
from gis.errors import StoreUnavailable

_SHOWN = 2  # names; more are counted


def register(callbacks: Callbacks, divisions: Divisions) -> None:
    """Register the words in the menu; they stand on every page that has the menu."""

    def where(_: object) -> list[str]:
        principal = current.get()
        try:
            names = divisions.names(principal.scope) if principal else []
        except StoreUnavailable:
            names = []  # the page says elsewhere that the store is away
        text = " · ".join(["", *names[:_SHOWN]])
        if len(names) > _SHOWN:
            text += catalogue(current_language.get())("user.more", n=len(names) - _SHOWN)
        return [text, text]

    # It asks itself: it runs when a page brings the element.
    callbacks.register(
        where,
        [Output("user-where", "children"), Output("user-where-card", "children")],
        Input("user-where", "id"),
    )
