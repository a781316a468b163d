"""Pages by their address: each opens as a document of its own, so going to the desk and back never remounts the map."""

from __future__ import annotations

import re
from collections.abc import Callable

from dash import html
from dash.development.base_component import Component

from dashboard.headers import current_language, current_page
from dashboard.pages import desk, planner
from dashboard.text import Catalogue, catalogue
from gis.settings import Settings

Page = Callable[[Catalogue, Settings], Component]

# As FastAPI writes the address; the first that fits decides.
PAGES: dict[str, Page] = {
    "/": planner.page,
    "/desk": desk.queue,
    "/desk/reports": desk.reports,
    "/desk/handover": desk.handover,
    "/desk/{case_no}": desk.case,
}
_PATTERNS = [(re.compile(re.sub(r"\{\w+\}", "[A-Za-z0-9_-]{1,40}", path)), page) for path, page in PAGES.items()]


def page_at(path: str) -> Page | None:
    """Return the page of an address; None: no page of ours."""
    return next((page for pattern, page in _PATTERNS if pattern.fullmatch(path)), None)


def layout(settings: Settings) -> Component:
    """Return the layout of the page that asks, in the language of the request."""
    return (page_at(current_page.get()) or planner.page)(catalogue(current_language.get()), settings)


def every_id(settings: Settings) -> Component:
    """Return one bare component for each id of any page, so that Dash can check callbacks of all pages on each of them."""
    bare: dict[str, Component] = {}
    for page in PAGES.values():
        for part in page(catalogue("zh"), settings)._traverse():
            name = getattr(part, "id", None)
            if isinstance(part, Component) and name is not None:
                bare.setdefault(str(name), type(part)(id=name))
    return html.Div([*bare.values()])
