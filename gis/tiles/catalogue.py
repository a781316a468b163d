"""What the map is told about a layer: names, zooms, columns, style with its colours, whose data it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gis.tiles.definition import Layer, resolve

SYNTHETIC_NOTE = {"zh": "合成示意数据，非真实情况", "en": "Synthetic demonstration data, not the real situation"}


def describe(layer: Layer, *, synthetic: Mapping[str, bool], tokens: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    """Return the entry of one layer in /tiles/layers.json.

    ``synthetic`` is true when any load behind the layer is synthetic, false when all are real, null when nothing says.
    ``style`` holds MapLibre style layers by theme, ready to be added: source and source-layer are the layer's id.
    """
    known = [synthetic[subject] for subject in layer.loads if subject in synthetic]
    mark = any(known) if known else None
    low, high = layer.zooms
    return {
        "id": layer.id,
        "title": layer.title.model_dump(),
        "group": layer.group.model_dump(),
        "geometry": layer.geometry,
        "tiles": f"/tiles/{layer.id}/{{z}}/{{x}}/{{y}}.mvt",
        "minzoom": low,
        "maxzoom": high,
        "promote_id": layer.promote_id,
        "attribution": layer.attribution,
        "note": layer.note,
        "synthetic": mark,
        "synthetic_note": SYNTHETIC_NOTE if mark else None,
        "columns": {name: column.model_dump() for name, column in layer.columns.items()},
        "levels": [
            {"name": level.name, "minzoom": level.zoom[0], "maxzoom": level.zoom[1], "columns": list(level.columns)}
            for level in layer.level
        ],
        "style": {theme: _style(layer, colours=colours) for theme, colours in tokens.items()},
    }


def _style(layer: Layer, *, colours: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            **style.model_dump(exclude_none=True, exclude={"layout", "paint"}),
            "source": layer.id,
            "source-layer": layer.id,
            "layout": resolve(style.layout, colours=colours),
            "paint": resolve(style.paint, colours=colours),
        }
        for style in layer.style
    ]
