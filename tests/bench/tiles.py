"""Tiles at full scale: how long and how large a tile is at every zoom, from memory, and against tipg on the same table."""

from __future__ import annotations

import gzip
import importlib
import random
import subprocess
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import mapbox_vector_tile
import shapely

from gis.errors import OnemapError
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import apply_schema, create_database
from gis.store.queries import load_queries
from gis.tiles.definition import Layer, load_layers, read_tokens
from gis.tiles.grid import Tile, tiles_over
from tests.bench.report import Figure
from tests.bench.tile_client import ask, fetch
from tests.bench.tile_servers import TIPG, ours, tipg

ROUNDS = 3
FULL = 990_000  # --scale full aims at 1,000,000 and ends within one per cent of it; each note says how many there were
ZOOMS = range(9, 17)
PEER_ZOOMS = (14, 15, 16)
SCRATCH = "onemap_bench_full"
_SQUARE = shapely.box(1, 1, 4095, 4095)  # the tile less one unit, which is what snapping may add
P95_MS, MOST_KB, CACHED_MS, TIMES_PEER = 50.0, 250.0, 3.0, 3.0


def run(settings: Settings, *, quick: bool = False) -> list[Figure]:
    """Measure.

    Parameters
    ----------
    quick : bool
        The store as it is, fewer tiles and shorter rounds; says so in each note.

    Returns
    -------
    list of Figure
        Cold figures first, then memory, then the peer.
    """
    try:
        settings = settings if quick else _full_scale(settings)
        area, parcels = _area(settings)
    except OnemapError as e:
        return [Figure("tiles", None, "ms", note=str(e))]
    if not parcels:
        return [Figure("tiles", None, "ms", note=f"库 {settings.db_name} 里没有地块")]
    scale = f"{parcels:,} parcels" + (", quick" if quick else "")
    folder = settings.data / "layers"
    layers = load_layers(folder, queries=load_queries("tiles"), tokens=read_tokens(folder / "_tokens.toml"))
    tiles = {z: _sample(settings, area, z, most=12 if quick else 60) for z in ZOOMS}
    figures: list[Figure] = []
    with ours(settings, cache_mb=0) as cold:
        figures += _cold(cold, layers, tiles, scale=scale)
        with ours(settings, cache_mb=64) as warm:
            figures += _cached(warm, tiles, scale=scale)
        try:
            with tipg(settings, buffer=layers["parcels"].level[-1].buffer) as peer:
                figures += _against(cold, peer, tiles, seconds=0.6 if quick else 1.5, scale=scale)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as e:
            figures.append(
                Figure("parcels: requests/s against tipg", None, "requests/s", note=f"tipg not executed: {e}")
            )
    return figures


def _cold(port: int, layers: dict[str, Layer], tiles: dict[int, list[Tile]], *, scale: str) -> list[Figure]:
    """Every layer at every zoom, nothing kept by us (PostgreSQL's own buffers are as they come)."""
    ask(port, [_ours("parcels", tiles[14][0])] * 8, clients=6)  # connections open, statements prepared
    figures, worst_ms, worst_kb = [], (0.0, ""), (0.0, "")
    for name, layer in layers.items():
        for z in ZOOMS:
            if layer.level_at(z) is None:
                continue
            # Far out there are two tiles in all: asked again and again, since each answer is made anew, so that the
            # 95th percentile is one of sixty and not the worst of two.
            most = 60 if name == "parcels" else 40
            asked = list(islice(cycle(tiles[z]), most))
            heard = ask(port, [_ours(name, t) for t in asked])
            if not heard.statuses <= {200, 204}:
                note = f"answers {sorted(heard.statuses)}"
                figures.append(Figure(f"{name} z{z} cold p95", None, "ms", target=P95_MS, note=note))
                continue
            p95, kb = heard.ms(0.95), max(heard.sizes) / 1000
            if name == "parcels":
                note = f"{len(asked)} answers of {len(set(asked))} tiles, median {heard.ms(0.5):.1f} ms, {scale}"
                figures.append(Figure(f"parcels z{z} cold p95", round(p95, 1), "ms", target=P95_MS, note=note))
                figures.append(Figure(f"parcels z{z} largest, gzipped", round(kb, 1), "kB", target=MOST_KB))
            else:
                worst_ms = max(worst_ms, (p95, f"{name} z{z}"))
                worst_kb = max(worst_kb, (kb, f"{name} z{z}"))
    if worst_ms[1]:
        figures.append(
            Figure(
                "all other layers, worst zoom, cold p95", round(worst_ms[0], 1), "ms", target=P95_MS, note=worst_ms[1]
            )
        )
        figures.append(
            Figure("all other layers, largest, gzipped", round(worst_kb[0], 1), "kB", target=MOST_KB, note=worst_kb[1])
        )
    return figures


def _cached(port: int, tiles: dict[int, list[Tile]], *, scale: str) -> list[Figure]:
    paths = [_ours("parcels", t) for z in ZOOMS for t in tiles[z]]
    ask(port, paths, clients=2)
    heard = ask(port, paths)
    sample = paths[len(paths) // 2]
    etag = fetch(port, sample)[2]["etag"]
    again = [fetch(port, sample, headers=f"If-None-Match: {etag}\r\n")[0] for _ in range(3)]
    return [
        Figure(
            "parcels z9-16 cached p95", round(heard.ms(0.95), 2), "ms", target=CACHED_MS,
            note=f"{len(paths)} tiles from memory, {scale}; If-None-Match answers {sorted(set(again))}",
        )
    ]  # fmt: skip


def _against(ours_: int, peer: int, tiles: dict[int, list[Tile]], *, seconds: float, scale: str) -> list[Figure]:
    """Requests a second of both servers for the same tiles, both making each tile anew, both gzipping."""
    figures = []
    for z in PEER_ZOOMS:
        mine, theirs = [_ours("parcels", t) for t in tiles[z]], [_tipg(t) for t in tiles[z]]
        same = _same_features(ours_, peer, tiles[z][:6])
        ask(peer, theirs[:8], clients=8)
        for clients in (1, 8):
            rounds = [
                (
                    ask(ours_, mine, clients=clients, seconds=seconds),
                    ask(peer, theirs, clients=clients, seconds=seconds),
                )
                for _ in range(ROUNDS)
            ]
            # Turn about, and the middle round by ratio: whatever else the machine does falls on both.
            rounds.sort(key=lambda pair: pair[0].per_second / pair[1].per_second)
            a, b = rounds[ROUNDS // 2]
            if not (a.statuses <= {200, 204} and b.statuses <= {200, 204}):
                note = f"answers {sorted(a.statuses)} and {sorted(b.statuses)}"
                figures.append(Figure(f"parcels z{z} at {clients} clients", None, "requests/s", note=note))
                continue
            figures.append(
                Figure(
                    f"parcels z{z} at {clients} clients", round(a.per_second, 1), "requests/s", better="higher",
                    peer=round(b.per_second, 1), peer_name=TIPG, ratio_target=TIMES_PEER,
                    note=f"nothing cached; gzip by ISA-L level 2 (ours, {sum(a.sizes) // len(a.sizes) // 1000} kB) and zlib level 6 "
                    f"(tipg, {sum(b.sizes) // len(b.sizes) // 1000} kB); {same}; {scale}",
                )
            )  # fmt: skip
    return figures


def _same_features(ours_: int, peer: int, tiles: Sequence[Tile]) -> str:
    """Decode both servers' tiles and compare the parcels in them, their ids and values."""
    both = beside = only_ours = only_theirs = values_differ = 0
    for t in tiles:
        a, b = _decode(ours_, _ours("parcels", t)), _decode(peer, _tipg(t))
        # We ask the index for boxes that touch the tile, tipg then tests the outlines too: a slanting parcel whose box
        # touches the tile and whose outline does not is drawn by nobody, but it is in our tile.
        beside += sum(not shapely.intersects(a[k][1], _SQUARE) for k in a.keys() - b.keys())
        only_ours += len(a.keys() - b.keys())
        only_theirs += len(b.keys() - a.keys())
        both += len(a.keys() & b.keys())
        values_differ += sum(a[k][0] != b[k][0] for k in a.keys() & b.keys())
    text = f"{both} parcels in both in {len(tiles)} tiles, {values_differ} with other values"
    if only_ours:
        text += f", {only_ours} only ours ({beside} of them lie beside the tile or touch its edge: we test boxes, tipg outlines)"
    if only_theirs:
        text += f", {only_theirs} only tipg's"
    return text


def _decode(port: int, path: str) -> dict[int, tuple[dict[str, Any], Any]]:
    """Properties and outline (tile units) by parcel."""
    status, body, fields = fetch(port, path, headers="Accept-Encoding: gzip\r\n")
    if status != 200:
        return {}
    plain = gzip.decompress(body) if fields.get("content-encoding") == "gzip" else body
    tile = mapbox_vector_tile.decode(plain, default_options={"y_coord_down": True})
    return {
        # The parcel's number: ours is the feature's id; tipg makes no ids and carries it as a property.
        f["properties"].pop("parcel_id", f.get("id")): (f["properties"], shapely.geometry.shape(f["geometry"]))
        for layer in tile.values()
        for f in layer["features"]
    }


def _ours(layer: str, tile: Tile) -> str:
    return f"/tiles/{layer}/{tile}.mvt"


def _tipg(tile: Tile) -> str:
    return (
        f"/collections/onemap.parcel/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}"
        "?geom-column=geom_3857&properties=parcel_id,land_class,in_pbf"
    )


def _area(settings: Settings) -> tuple[tuple[float, float, float, float], int]:
    """Bounds of the county in degrees (west, south, east, north), and how many parcels the store holds."""
    with connect(settings, role="job") as conn:
        box = conn.execute(
            "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(geom) AS e "
            "FROM onemap.division_now WHERE level = 1) x"
        ).fetchone()
        parcels = conn.execute("SELECT coalesce(sum(parcels), 0)::bigint FROM onemap.parcel_summary").fetchone()
    assert box is not None
    assert parcels is not None
    if box[0] is None:
        return (0.0, 0.0, 0.0, 0.0), 0
    return box, parcels[0]


def _sample(settings: Settings, area: tuple[float, float, float, float], z: int, *, most: int) -> list[Tile]:
    """Tiles of one zoom that touch the county (not only its box), the same ones every time."""
    west, south, east, north = area
    found = list(tiles_over(west=west, south=south, east=east, north=north, z=z))
    with connect(settings, role="job") as conn:
        rows = conn.execute(
            "SELECT x, y FROM unnest(%s::int[], %s::int[]) AS t(x, y) WHERE EXISTS (SELECT FROM onemap.division_now d "
            "WHERE d.level = 1 AND ST_Intersects(d.geom_3857, ST_TileEnvelope(%s, x, y))) ORDER BY x, y",
            [[t.x for t in found], [t.y for t in found], z],
        ).fetchall()
    touching = [Tile(z, x, y) for x, y in rows]
    random.Random(z).shuffle(touching)
    return touching[:most]


def _full_scale(settings: Settings) -> Settings:
    """Return settings of a store with a million parcels: this one, or a scratch database by the real generator.

    The scratch database stays for the next run (`./onemap db drop onemap_bench_full` takes it away).
    """
    for name in (settings.db_name, SCRATCH):
        candidate = settings.model_copy(update={"db_name": name})
        try:
            if _area(candidate)[1] >= FULL:
                return candidate
        except OnemapError:
            continue
    try:
        build = importlib.import_module("etl.demo.build")
    except ModuleNotFoundError as e:
        raise OnemapError("未执行：库里不足 100 万地块，也没有生成器。") from e
    candidate = settings.model_copy(update={"db_name": SCRATCH})
    if create_database(candidate, name=SCRATCH):
        apply_schema(candidate, name=SCRATCH)
    build.build_county(candidate, profile=settings.county, scale="full")
    return candidate
