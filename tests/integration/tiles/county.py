"""A small county with a little of everything, and how the tile tests read tiles of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from dashboard.http.tiles import router
from gis.access.principal import current
from gis.settings import Settings
from gis.store.queries import load_queries
from gis.tiles.definition import Layer, load_layers, read_tokens
from gis.tiles.grid import Tile, tile_at, tiles_over
from gis.tiles.service import TileService

WEST, SOUTH, EAST, NORTH = 115.00, 37.20, 115.04, 37.22
HERE = tile_at(lon=115.0105, lat=37.2105, z=14)

# One county, one township, two villages side by side, each of four grids in a row from west to east.
SEED = """
INSERT INTO onemap.division (code, level, name, parent_code, valid_from, geom) VALUES
  ('130529', 1, '甲县', NULL, '2020-01-01', ST_Multi(ST_MakeEnvelope(115.00, 37.20, 115.04, 37.22, 4490))),
  ('130529100', 2, '乙镇', '130529', '2020-01-01', ST_Multi(ST_MakeEnvelope(115.00, 37.20, 115.04, 37.22, 4490)));
INSERT INTO onemap.division (code, level, name, parent_code, valid_from, geom)
SELECT '13052910020' || v, 3, '村' || v, '130529100', '2020-01-01',
       ST_Multi(ST_MakeEnvelope(115.00 + v * 0.02, 37.20, 115.02 + v * 0.02, 37.22, 4490)) FROM generate_series(0, 1) v;
INSERT INTO onemap.division (code, level, name, parent_code, valid_from, geom)
SELECT '13052910020' || v || '00' || g, 4, '格' || v || g, '13052910020' || v, '2020-01-01',
       ST_Multi(ST_MakeEnvelope(115.00 + v * 0.02 + g * 0.005, 37.20, 115.005 + v * 0.02 + g * 0.005, 37.22, 4490))
FROM generate_series(0, 1) v, generate_series(0, 3) g;
-- 40 x 20 parcels; a third in the west of village 0 are orchards; no zone layer, so in_pbf is unknown.
INSERT INTO onemap.parcel (parcel_code, land_class, contractor_masked, contractor_code, area_m2, geom)
SELECT lpad((i * 20 + j)::text, 19, '0'), CASE WHEN i < 5 THEN '0201' ELSE '0102' END, '张*明', '130529100200000001', 1000,
       ST_MakeEnvelope(115.00005 + i * 0.001, 37.20005 + j * 0.001, 115.00095 + i * 0.001, 37.20095 + j * 0.001, 4490)
FROM generate_series(0, 39) i, generate_series(0, 19) j;
SELECT onemap.refresh_parcel_summary();
-- Households: grids of village 0 hold 1, 5, 6, 7 (one hidden, so a second is), of village 1 hold 4, 4, 4, 4.
INSERT INTO onemap.household (household_no, members, category, category_version, geom)
SELECT 'H' || v || g || n, 3, CASE WHEN v = 1 AND n <= 3 THEN 'TPBWD' END, CASE WHEN v = 1 AND n <= 3 THEN '2021' END,
       ST_SetSRID(ST_MakePoint(115.0025 + v * 0.02 + g * 0.005, 37.205 + n * 0.0005), 4490)
FROM generate_series(0, 1) v, generate_series(0, 3) g,
     LATERAL generate_series(1, CASE WHEN v = 1 THEN 4 WHEN g = 0 THEN 1 ELSE g + 4 END) n;
INSERT INTO onemap.incident (case_no, item_code, channel, title, reported_at, due_at, closed_at, ended_at, status, geom)
SELECT 'C' || i, '0101', 'grid', '张明家的事', now() - interval '5 days',
       CASE WHEN i % 2 = 0 THEN now() - interval '1 day' ELSE now() + interval '1 day' END,
       CASE WHEN i > 6 THEN now() END, CASE WHEN i > 6 THEN now() END,
       CASE WHEN i > 6 THEN 'closed' WHEN i = 1 THEN 'reported' ELSE 'handling' END,
       ST_SetSRID(ST_MakePoint(115.010 + i * 0.0001, 37.21), 4490) FROM generate_series(1, 9) i;
INSERT INTO onemap.facility (facility_code, kind, name, duty_phone, geom)
VALUES ('F1', 'village_clinic', '村0卫生室', '0319-0000001', ST_SetSRID(ST_MakePoint(115.0105, 37.2105), 4490));
INSERT INTO intake.load (subject, source_name, synthetic, finished_at, rows_in, rows_loaded)
VALUES ('parcels', '合成', true, now(), 800, 800), ('divisions', 'names.csv', false, now(), 12, 12);
"""


def serve(settings: Settings, *, service: TileService | None = None) -> FastAPI:
    """Serve the tiles to whoever is `current` now; a test may put its own gate in front."""
    app, asker = FastAPI(), current.get()

    @app.middleware("http")
    async def gate(request: Request, call_next: Any) -> Any:
        if getattr(request.state, "principal", None) is None:
            request.state.principal = asker
        return await call_next(request)

    app.include_router(router(settings, service=service))
    return app


def shipped() -> dict[str, Layer]:
    folder = Settings().data / "layers"
    return load_layers(folder, queries=load_queries("tiles"), tokens=read_tokens(folder / "_tokens.toml"))


def changed(name: str, **level: Any) -> dict[str, Layer]:
    """The shipped layers with the last level of one layer changed."""
    layers = shipped()
    layer = layers[name]
    last = layer.level[-1].model_copy(update=level)
    return layers | {name: layer.model_copy(update={"level": (*layer.level[:-1], last)})}


def decode(content: bytes, layer: str) -> list[dict[str, Any]]:
    tile = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})
    assert list(tile) == [layer]
    features: list[dict[str, Any]] = tile[layer]["features"]
    return features


def features(web: TestClient, layer: str, tile: Tile) -> list[dict[str, Any]]:
    answer = web.get(f"/tiles/{layer}/{tile}.mvt")
    assert answer.status_code in (200, 204), answer.text
    return decode(answer.content, layer) if answer.status_code == 200 else []


def all_tiles(z: int) -> list[Tile]:
    return list(tiles_over(west=WEST, south=SOUTH, east=EAST, north=NORTH, z=z))


def positions(geometry: dict[str, Any]) -> list[tuple[float, float]]:
    def walk(part: Any) -> Iterator[tuple[float, float]]:
        if isinstance(part[0], int | float):
            yield part[0], part[1]
        else:
            for inner in part:
                yield from walk(inner)

    return list(walk(geometry["coordinates"]))
