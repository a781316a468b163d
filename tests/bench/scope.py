"""What row-level security costs: tiles and nearest things under a township's scope, against the filter written by hand.

Part of `./onemap bench access`.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import psycopg
from psycopg import Connection

from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.errors import OnemapError
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.pool import Pool
from gis.store.queries import load_queries
from gis.tiles.definition import Layer, load_layers, read_tokens
from gis.tiles.grid import Tile, tiles_over
from gis.tiles.statement import bind, compose
from tests.bench.report import Figure

ZOOMS = (14, 15, 16)
TIMES = 1.3
ROUNDS = 15
NEAR = ("facility", "resource")
BY_HAND = "filter by hand"
# As a page asks: which, what kind, and how far in metres.
_KNN = (
    "SELECT {t}_id, kind, name, ST_Distance(geom::geography, p.at::geography) AS metres "
    "FROM onemap.{t}, (SELECT ST_SetSRID(ST_MakePoint(%s::float8, %s::float8), 4490) AS at) p WHERE true {filter} "
    "ORDER BY geom <-> p.at LIMIT 5"
)


def under_scope(settings: Settings, *, quick: bool = False) -> list[Figure]:
    """Measure on the store as it is, in one transaction that is rolled back: the account made for it never exists.

    Both sides run on one connection, turn about, statements prepared. The policy's side is role app with the principal
    set; the other is the owner, who passes the policies, with ``township_code = ...`` in the query.
    """
    try:
        with connect(settings, role="admin") as conn:
            try:
                figures = _measure(conn, settings, quick=quick)
            finally:
                conn.rollback()
        return figures + [_as_the_web_asks(settings, table, times=40 if quick else 400) for table in NEAR]
    except (OnemapError, psycopg.Error) as e:
        return [Figure("row-level security", None, "ms", note=f"未执行：{str(e).splitlines()[0]}")]


def _measure(conn: Connection[Any], settings: Settings, *, quick: bool) -> list[Figure]:
    conn.execute("SET LOCAL max_parallel_workers_per_gather = 0")  # as the tiles' pool has it
    township = _largest(conn)
    if township is None:
        return [Figure("row-level security", None, "ms", note=f"库 {settings.db_name} 里没有地块")]
    code, box, parcels = township
    planner = _planner(conn, code, Roles.load(settings.data))
    times = 40 if quick else 400
    folder = settings.data / "layers"
    layer = load_layers(folder, queries=load_queries("tiles"), tokens=read_tokens(folder / "_tokens.toml"))["parcels"]
    note = f"{parcels:,} parcels, one township's scope, each the fastest of {ROUNDS} rounds{', quick' if quick else ''}"
    figures = [_tiles(conn, layer, z, code, box, planner, most=8 if quick else 40, note=note) for z in ZOOMS]
    for table in NEAR:
        figures.append(_nearest(conn, table, code, planner, times=times, note=note))
    return figures


def _figure(name: str, ours: float, theirs: float, *, note: str) -> Figure:
    return Figure(
        name, round(ours, 3), "ms", peer=round(theirs, 3), peer_name=BY_HAND, ratio_target=round(1 / TIMES, 3),
        note=f"{ours / theirs:.2f} × by hand; {note}",
    )  # fmt: skip


def _largest(conn: Connection[Any]) -> tuple[str, tuple[float, float, float, float], int] | None:
    row = conn.execute(
        "SELECT p.township_code, ST_XMin(d.geom), ST_YMin(d.geom), ST_XMax(d.geom), ST_YMax(d.geom), "
        "(SELECT count(*) FROM onemap.parcel) FROM onemap.parcel p JOIN onemap.division_now d ON d.code = p.township_code "
        "GROUP BY p.township_code, d.geom ORDER BY count(*) DESC LIMIT 1"
    ).fetchone()
    return None if row is None else (row[0], (row[1], row[2], row[3], row[4]), row[5])


def _planner(conn: Connection[Any], code: str, roles: Roles) -> int:
    role = roles.by_id["planner"]
    conn.execute("INSERT INTO access.role (role, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [role.id, role.name])
    row = conn.execute(
        "INSERT INTO access.account (login, display_name, role) VALUES ('bench.scope', '测速', 'planner') RETURNING account_id"
    ).fetchone()
    assert row is not None
    conn.execute("INSERT INTO access.scope (account_id, division_code) VALUES (%s, %s)", [row[0], code])
    return int(row[0])


def _tiles(
    conn: Connection[Any], layer: Layer, z: int, code: str, box: tuple[float, ...], planner: int, *, most: int, note: str
) -> Figure:  # fmt: skip
    west, south, east, north = box
    found = list(tiles_over(west=west, south=south, east=east, north=north, z=z))
    random.Random(z).shuffle(found)
    tiles: list[Tile] = found[:most]
    level = layer.level[layer.level_at(z) or 0]
    plain = compose(layer, level, queries=load_queries("tiles")).as_bytes(conn)
    by_hand = plain.replace(b"WHERE ", b"WHERE s.township_code = %(township)s AND ", 1)
    assert by_hand != plain
    values = [bind(level, t) for t in tiles]

    own = [v | {"township": code} for v in values]
    ours, theirs = _turn_about(conn, planner, (plain, values), (by_hand, own))
    return _figure(f"parcels z{z} under the policy", ours, theirs, note=f"{len(values)} tiles a round; {note}")


def _nearest(
    conn: Connection[Any], table: str, code: str, planner: int, *, times: int, note: str
) -> Figure:  # fmt: skip
    points = _points(conn, code, times)
    plain = _KNN.format(t=table, filter="").encode()
    by_hand = _KNN.format(t=table, filter="AND township_code = %s").encode()

    ours, theirs = _turn_about(conn, planner, (plain, points), (by_hand, [(*p, code) for p in points]))
    return _figure(
        f"nearest five, {table}, the bare statement", ours, theirs, note=f"{len(points)} places a round; {note}"
    )


def _as_the_web_asks(settings: Settings, table: str, *, times: int) -> Figure:
    """Nearest things through the pool, a transaction each, for a planner of this store: what a page waits for."""
    name = f"nearest five, {table}, under the policy, in its transaction"
    with connect(settings, role="owner") as conn:
        row = conn.execute(
            "SELECT a.account_id, s.division_code FROM access.account a JOIN access.scope s USING (account_id) "
            "WHERE a.role = 'planner' AND a.state = 'active' AND length(s.division_code) = 9 AND s.valid_from <= current_date "
            "AND s.valid_to IS NULL AND NOT EXISTS (SELECT FROM access.scope o WHERE o.account_id = a.account_id AND o.scope_id <> s.scope_id) "
            "ORDER BY 1 LIMIT 1"
        ).fetchone()
        if row is None:
            return Figure(name, None, "ms", note="未执行：库里没有乡镇规划员账号（./onemap up 会建演示账号）")
        points = _points(conn, row[1], times)
    planner = Principal(row[0], "planner", "测速", "planner", "", (row[1],), frozenset())
    sides: tuple[tuple[Pool, Principal | None, str, list[tuple[Any, ...]]], ...] = (
        (Pool(settings, role="app", size=1), planner, _KNN.format(t=table, filter=""), [*points]),
        (Pool(settings, role="owner", size=1), None, _KNN.format(t=table, filter="AND township_code = %s"),
         [(*p, row[1]) for p in points]),
    )  # fmt: skip
    best = ([float("inf")] * times, [float("inf")] * times)
    for pool, *_ in sides:
        pool.open()
    try:
        for _ in range(ROUNDS):
            for side, (pool, who, statement, values) in enumerate(sides):
                for i, bound in enumerate(values):
                    begun = time.perf_counter()
                    with pool.reading(principal=who) as conn_:
                        conn_.execute(statement.encode(), bound, prepare=True).fetchall()
                    best[side][i] = min(best[side][i], (time.perf_counter() - begun) * 1000)
    finally:
        for pool, *_ in sides:
            pool.close()
    return _figure(
        name, statistics.mean(best[0]), statistics.mean(best[1]),
        note=f"{times} places in {row[1]}, each the fastest of {ROUNDS} rounds, one transaction each through the pool",
    )  # fmt: skip


def _points(conn: Connection[Any], code: str, times: int) -> list[tuple[float, float]]:
    return conn.execute(
        "SELECT ST_X(p.geom), ST_Y(p.geom) FROM onemap.division_now d, ST_Dump(ST_GeneratePoints(d.geom, %s, 7)) p WHERE d.code = %s",
        [times, code],
    ).fetchall()


def _turn_about(
    conn: Connection[Any], planner: int, policy: tuple[bytes, list[Any]], hand: tuple[bytes, list[Any]]
) -> tuple[float, float]:
    """Return the mean milliseconds of an answer of each side, and hold their answers against each other.

    Each question counts with the fastest of its rounds: what others do on this machine only ever adds to an answer.
    """
    best = ([float("inf")] * len(policy[1]), [float("inf")] * len(hand[1]))
    for _ in range(ROUNDS):
        answers: list[list[Any]] = []
        for side, (statement, values), role in ((0, policy, "onemap_app"), (1, hand, "onemap_owner")):
            # The policy asks session_user, so this is what a connection of that role is.
            conn.execute(f"SET LOCAL SESSION AUTHORIZATION {role}")
            conn.execute("SELECT set_config('onemap.principal', %s, true)", ["" if side else str(planner)])
            answers.append([])
            for i, bound in enumerate(values):
                begun = time.perf_counter()
                answers[-1].append(conn.execute(statement, bound, prepare=True).fetchall())
                best[side][i] = min(best[side][i], (time.perf_counter() - begun) * 1000)
            conn.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
        if answers[0] != answers[1]:
            raise OnemapError("策略与手写条件给出的行不同。")
    return statistics.mean(best[0]), statistics.mean(best[1])
