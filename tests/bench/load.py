"""`./onemap bench load`: a million parcels validated, placed, copied, indexed, analysed; raw COPY beside to_postgis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from time import perf_counter
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import create_engine

from etl.copy import copy_rows, load_table
from etl.demo.content import content, division_load
from etl.demo.profile import load_profile
from etl.demo.terrain import generate
from gis.access.crypt import make_keys
from gis.divisions.placing import Grids, place, read_grids
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import apply_schema, create_database, drop_database
from tests.bench.report import Figure

Objects = NDArray[np.object_]

VERTICES = 12
TARGET_S = 60.0
PEER_ROWS = 200_000  # enough for a steady rate; to_postgis takes minutes for a million
PEER_RATIO = 3.0
_THREADS = 2


def run(settings: Settings, *, scale: Literal["demo", "full"] = "full", quick: bool = False) -> list[Figure]:
    """Measure in a scratch database of our own, dropped at the end.

    The parcels are the demo county's at `scale` (full: 1,000,000), each filled up to 12 vertices, with every column
    of the register. Making them is not timed; everything from geometry in memory to a table ready to serve is.
    """
    terrain = generate(load_profile("julu"), "demo" if quick else scale)
    dense = replace(terrain.parcels, geometry=twelve_vertices(terrain.parcels.geometry))
    terrain = replace(terrain, parcels=dense)
    with _scratch(settings) as scratch:
        divisions = division_load(terrain)
        load_table(scratch, divisions.table, divisions.columns)
        with connect(scratch, role="owner") as conn:
            grids = read_grids(conn)
        parcels = next(content(terrain, grids, as_of=date(2026, 11, 22), keys=make_keys(settings)))
        columns = parcels.columns
        began = perf_counter()
        faults = validate(columns)
        validated = perf_counter()
        columns |= place_in_threads(columns["geom"], grids)
        placed = perf_counter()
        times = load_table(scratch, parcels.table, columns, connections=_THREADS)
        figures = _load_figures(parcels.rows, faults, validated - began, placed - validated, times, quick=quick)
        n = min(PEER_ROWS // (10 if quick else 1), parcels.rows)
        return [*figures, _raw_copy(scratch, {k: v[:n] for k, v in columns.items()}, n)]


def validate(columns: dict[str, Any]) -> int:
    """Count rows the store would refuse: unsound geometry, areas, codes out of form or doubled."""
    geometry: Objects = columns["geom"]

    def unsound(part: Objects) -> int:
        west, south, east, north = shapely.bounds(part).T
        # written so that NaN fails
        inside = (west >= 73) & (east <= 136) & (south >= 3) & (north <= 54)
        return int((~(inside & shapely.is_valid(part) & ~shapely.is_empty(part))).sum())

    with ThreadPoolExecutor(_THREADS) as pool:
        bad = sum(pool.map(unsound, np.array_split(geometry, _THREADS)))
    area = columns["area_m2"]
    bad += int((~((area > 0) & (area < 1e9))).sum())
    codes = columns["parcel_code"].tolist()
    bad += sum(not (len(c) == 19 and c.isdigit()) for c in codes) + len(codes) - len(set(codes))
    return bad


def place_in_threads(geometry: Objects, grids: Grids) -> dict[str, Objects]:
    """Grid, village and township of each parcel by its inner point (gis.divisions.placing)."""

    def work(part: Objects) -> tuple[Objects, Objects, Objects]:
        found = place(shapely.point_on_surface(part), grids)
        return found.grid, found.village, found.township

    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(work, np.array_split(geometry, _THREADS)))
    names = ("grid_code", "village_code", "township_code")
    return {name: np.concatenate([p[i] for p in parts]) for i, name in enumerate(names)}


def twelve_vertices(geometry: Objects) -> Objects:
    """Polygons with `VERTICES` corners: those with fewer get points along their first side; shape (n,)."""
    rings = shapely.get_exterior_ring(geometry)
    coordinates = shapely.get_coordinates(rings)
    count = shapely.get_num_coordinates(rings)
    start = np.cumsum(count) - count
    extra = np.maximum(VERTICES + 1 - count, 0)
    row = np.repeat(np.arange(len(count)), extra)
    step = np.arange(len(row)) - np.repeat(np.cumsum(extra) - extra, extra) + 1
    share = (step / (extra[row] + 1))[:, None]
    first, second = coordinates[start][row], coordinates[start + 1][row]
    filled = np.insert(coordinates, np.repeat(start + 1, extra), first + (second - first) * share, axis=0)
    ring = np.repeat(np.arange(len(count)), count + extra)
    return np.asarray(shapely.polygons(shapely.linearrings(filled, indices=ring)))


def _load_figures(
    rows: int, faults: int, validate_s: float, place_s: float, times: Any, *, quick: bool
) -> list[Figure]:
    note = f"{rows:,} 地块，{VERTICES} 顶点，不合格 {faults}"
    total = validate_s + place_s + times.total_s
    phases = {
        "校验": validate_s,
        "落点": place_s,
        "COPY": times.copy_s,
        "建索引": times.index_s,
        "ANALYZE": times.analyse_s,
    }
    return [
        Figure("一百万地块入库，合计", total, "s", target=None if quick else TARGET_S, note=note),
        *(Figure(f"　其中 {name}", seconds, "s") for name, seconds in phases.items()),
    ]


def _raw_copy(scratch: Settings, columns: dict[str, Any], rows: int) -> Figure:
    """The same rows into the same bare table, by our COPY and by geopandas; no index, no trigger, no check."""
    kept = ("parcel_id", "parcel_code", "name", "land_class", "in_pbf", "area_m2", "grid_code", "geom")
    small = {k: columns[k] for k in kept}
    frame = gpd.GeoDataFrame({k: v for k, v in small.items() if k != "geom"}, geometry=small["geom"], crs=4490)
    frame = frame.rename_geometry("geom")
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: connect(scratch, role="owner"), pool_size=1, max_overflow=0
    )

    def ours() -> None:
        with connect(scratch, role="owner") as conn:
            copy_rows(conn, "onemap.bare_parcel", small)

    def theirs() -> None:
        frame.to_postgis("bare_parcel", engine, schema="onemap", if_exists="append", index=False)

    try:
        rates = {name: rows / _best(scratch, work) for name, work in (("ours", ours), ("theirs", theirs))}
    finally:
        engine.dispose()
    return Figure(
        "裸 COPY",
        rates["ours"],
        "rows/s",
        better="higher",
        peer=rates["theirs"],
        peer_name="geopandas.to_postgis",
        ratio_target=PEER_RATIO,
        note=f"{rows:,} 行，同表同列，单连接，两次取快",
    )


def _best(scratch: Settings, work: Callable[[], None]) -> float:
    """Seconds of the faster of two runs into a fresh bare table."""
    seconds = []
    for _ in range(2):
        with connect(scratch, role="owner") as conn:
            conn.execute("DROP TABLE IF EXISTS onemap.bare_parcel")
            conn.execute(
                "CREATE TABLE onemap.bare_parcel (parcel_id bigint, parcel_code text, name text, land_class text, "
                "in_pbf boolean, area_m2 double precision, grid_code text, geom geometry(Polygon, 4490))"
            )
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds)


@contextmanager
def _scratch(settings: Settings) -> Iterator[Settings]:
    name = f"bench_load_{secrets.token_hex(4)}"
    create_database(settings, name=name)
    try:
        apply_schema(settings, name=name)
        yield settings.model_copy(update={"db_name": name})
    finally:
        drop_database(settings, name=name)
