"""Icons: 24 px grid, 1.8 stroke, drawn by the style sheet as a mask so that they take the colour of the text."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component


def icon(name: str, *, small: bool = False) -> Component:
    """Return one icon; its label is the business of the control it stands in."""
    return html.I(className=f"icon icon-{name}" + (" icon-small" if small else ""), **{"aria-hidden": "true"})
