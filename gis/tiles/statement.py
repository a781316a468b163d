"""The SQL of one level, composed from its definition: identifiers quoted, values bound, nothing from a request inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

from psycopg import sql

from gis.tiles.definition import Layer, Level
from gis.tiles.grid import Tile

# Share of the tile's side that an unclipped shape may hang over: far inside the 16 bits a map holds coordinates in.
OVERHANG = 0.25
# Bound by name, the same for every level: `tile`, `box` (tile plus buffer) and `near` (tile plus overhang) as EWKB,
# edges and side in metres. Hexadecimal EWKB is read by geometry's own input function: no function call a row.
_TILE = sql.SQL("%(tile)s::geometry")
_BOX = sql.SQL("%(box)s::geometry")


def compose(layer: Layer, level: Level, *, queries: Mapping[str, LiteralString]) -> sql.Composed:
    """Return the statement that answers (tile bytes, features) for one level.

    The inner LIMIT stops a tile that would be too large before it is built; the count tells that it was reached.
    Columns are named one by one: what is not declared cannot appear.
    """
    source: sql.Composable
    if level.query is not None:
        source = sql.SQL("({})").format(sql.SQL(queries[level.query]))
    else:
        source = sql.Identifier("onemap", str(level.table))
    geom = sql.Identifier("s", level.geometry_column)
    # A line just outside still paints its width into the tile; an area outside has nothing to say in it.
    reach = _BOX if layer.geometry == "line" else _TILE
    where: list[sql.Composable] = [sql.SQL("{} && {}").format(geom, reach)]
    if layer.geometry == "point":
        # Half open: a point on the seam of two tiles is in one of them, so a label is written once.
        where.append(
            sql.SQL(
                "ST_X({g}) >= %(west)s::float8 AND ST_X({g}) < %(east)s::float8 "
                "AND ST_Y({g}) >= %(south)s::float8 AND ST_Y({g}) < %(north)s::float8"
            ).format(g=geom)
        )
    for column, values in level.keep.items():
        where.append(sql.SQL("{} = ANY({})").format(sql.Identifier("s", column), sql.Literal(list(values))))
    picked: list[sql.Composable] = [sql.Identifier("s", c) for c in level.columns]
    if level.id is not None:
        # ST_AsMVT takes the id's column out of the properties; under a name of its own both can be had.
        picked.append(sql.SQL("{} AS mvt_id").format(sql.Identifier("s", level.id)))
    inner = sql.SQL("SELECT {shape} AS mvt{columns} FROM {source} AS s WHERE {where} LIMIT {limit}").format(
        shape=_shape(level, geom),
        columns=sql.SQL("").join(sql.SQL(", {}").format(p) for p in picked),
        source=source,
        where=sql.SQL(" AND ").join(where),
        limit=sql.Literal(level.max_features + 1),
    )
    feature_id = sql.SQL("'mvt_id'") if level.id else sql.SQL("NULL")
    return sql.SQL("SELECT ST_AsMVT(t, {name}, {extent}, 'mvt', {id}), count(*) FROM ({inner}) AS t").format(
        name=sql.Literal(layer.id), extent=sql.Literal(level.extent), id=feature_id, inner=inner
    )


def _shape(level: Level, geom: sql.Composable) -> sql.Composable:
    full = sql.SQL("ST_AsMVTGeom({}, {}, {}, {}, true)").format(
        geom, _TILE, sql.Literal(level.extent), sql.Literal(level.buffer)
    )
    if level.shaping == "full":
        return full
    # ST_AsMVTGeom runs every polygon through a clipper, 3.6 us each; six thousand of them are most of a z14 tile.
    # A small shape needs no clipping, the map cuts what hangs over the edge: moving and snapping it costs a third.
    # Snapping drops repeated points and shapes that collapse; the ring is turned the way the tile specification wants
    # it (clockwise on screen).
    snap = sql.SQL(
        "ST_SnapToGrid(ST_Affine(ST_ForcePolygonCW({g}), %(scale)s::float8, 0, 0, -%(scale)s::float8, "
        "%(shift_x)s::float8, %(shift_y)s::float8), 1)"
    ).format(g=geom)
    return sql.SQL("CASE WHEN {g} @ %(near)s::geometry THEN {snap} ELSE {full} END").format(
        g=geom, snap=snap, full=full
    )


def bind(level: Level, tile: Tile) -> dict[str, Any]:
    """Return the values for the statement of `level` at `tile`."""
    west, south, east, north = tile.box()
    scale = level.extent / tile.width
    return {
        "tile": tile.ewkb(),
        "box": tile.ewkb(buffer=level.buffer / level.extent),
        "near": tile.ewkb(buffer=OVERHANG),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "side": tile.width,
        "scale": scale,
        "shift_x": -west * scale,
        "shift_y": north * scale,
    }
