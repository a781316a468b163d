"""The menu of layers: what can be shown, in groups, and how strong the colour is. State lives in the address."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue

# layer → shown at first
GROUPS: dict[str, dict[str, bool]] = {
    "theme": {"choropleth": True, "rings": True},
    "land": {"parcels": True, "pbf": False, "high_standard": False},
    "things": {"incidents": True, "facilities": True, "resources": False},
    "base": {"names": True, "roads": True, "ground": True, "buildings": True},
}
_CLOSE_ONLY = {"parcels", "incidents", "facilities", "resources", "buildings"}


def menu(t: Catalogue, *, tianditu: bool) -> Component:
    """Return the button and its panel; 天地图 is offered only where a key is set."""
    groups = {g: dict(names) for g, names in GROUPS.items()}
    if tianditu:
        groups["base"]["tianditu"] = False
    boxes = [
        html.Div(
            [
                html.Div(t(f"layers.group_{group}"), className="layers-group"),
                *(_box(t, n, on) for n, on in names.items()),
            ],
            className="layers-column",
        )
        for group, names in groups.items()
    ]
    strength = html.Div(
        [
            html.Label(t("layers.opacity"), htmlFor="opacity"),
            dmc.Slider(id="opacity", value=90, min=20, max=100, step=5, size="sm", updatemode="drag",
                       thumbSize=16, label=None),
        ],
        className="layers-opacity",
    )  # fmt: skip
    return dmc.Popover(
        [
            dmc.PopoverTarget(
                html.Button([icon("layers"), html.Span(t("top.layers"))], className="control", id="layers-button",
                            **{"aria-haspopup": "dialog"})
            ),
            dmc.PopoverDropdown(html.Div([*boxes, strength], className="layers-menu")),
        ],
        position="bottom-end", offset=6, shadow="none", radius=10, withinPortal=True, keepMounted=True,
    )  # fmt: skip


def _box(t: Catalogue, name: str, shown: bool) -> Component:
    label = [t(f"layers.{name}")]
    if name in _CLOSE_ONLY:
        label.append(html.Small(t("layers.from_zoom")))
    return dmc.Checkbox(id={"type": "layer", "name": name}, label=html.Span(label), checked=shown, size="xs", radius=4)
