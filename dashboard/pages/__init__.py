"""Pages by their address. The map stands outside of them: made once, never remounted."""

from __future__ import annotations

from collections.abc import Callable

from dash.development.base_component import Component

from dashboard.headers import current_language
from dashboard.pages import planner
from dashboard.text import Catalogue, catalogue
from gis.settings import Settings

PAGES: dict[str, Callable[[Catalogue, Settings], Component]] = {"/": planner.page}


def layout(settings: Settings) -> Component:
    """Return the layout in the language of the request."""
    return PAGES["/"](catalogue(current_language.get()), settings)
