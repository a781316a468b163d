"""A hand-made county of a few divisions for tests of the map: small, exact, no resemblance to a real place claimed."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from gis.settings import Settings
from gis.store.engine import connect

WEST, SOUTH, EAST, NORTH = 114.97, 37.17, 115.09, 37.26
Point = tuple[float, float]
Ring = list[Point]


@dataclass(frozen=True)
class Scratch:
    """What was made: counts the tests compare with, and one of each thing."""

    county: str
    townships: list[str]
    villages: list[str]
    grids: list[str]
    parcels: int
    parcel_code: str
    parcel_at: Point
    incidents_unplaced: int


def build_scratch(
    settings: Settings, *, townships: int = 2, villages: int = 3, grids: int = 2, strips: int = 12
) -> Scratch:
    """Fill an empty store: `townships` side by side, each of `villages`, each of `grids`, each of `strips` parcels."""
    rng = random.Random(5)
    county = "130529"
    made: dict[int, list[tuple[str, str | None, str, list[Ring]]]] = {1: [], 2: [], 3: [], 4: []}
    parcels: list[tuple[str, str, Ring]] = []
    dx = (EAST - WEST) / townships
    dy = (NORTH - SOUTH) / villages
    wobble = {(i, j): (rng.uniform(-0.1, 0.1) * dx, rng.uniform(-0.1, 0.1) * dy)
              for i in range(townships + 1) for j in range(villages + 1)}  # fmt: skip

    def node(i: int, j: int) -> Point:
        ox, oy = wobble[i, j]
        return round(WEST + i * dx + ox, 6), round(SOUTH + j * dy + oy, 6)

    for i in range(townships):
        town = f"{county}{100 + i}"
        cells: list[Ring] = []
        for j in range(villages):
            village = f"{town}{201 + j}"
            a, b, c, d = node(i, j), node(i + 1, j), node(i + 1, j + 1), node(i, j + 1)
            cells.append([a, b, c, d, a])
            pieces: list[Ring] = []
            for g in range(grids):
                corners = _slice(a, b, c, d, g / grids, (g + 1) / grids)
                grid = f"{village}{g + 1:03d}"
                made[4].append((grid, village, f"第{g + 1}网格", [corners]))
                pieces.append(corners)
                for s in range(strips):
                    p, q, r, t = corners[:4]
                    strip = _slice(p, t, r, q, (s + 0.08) / strips, (s + 0.92) / strips)
                    parcels.append((f"{village}00{len(parcels) + 1:05d}", grid, strip))
            made[3].append((village, town, f"{'东西南北中'[j % 5]}{'安定泰和平'[i % 5]}村", pieces))
        made[2].append((town, county, f"{'甲乙丙丁戊己'[i % 6]}{'镇' if i % 2 == 0 else '乡'}", cells))
    made[1].append((county, None, "测试县", [r for t in made[2] for r in t[3]]))
    now = datetime.now(UTC)
    with connect(settings, role="owner") as conn:
        load = conn.execute(
            "INSERT INTO intake.load (subject, source_name, synthetic, finished_at) VALUES ('scratch', '合成', true, now()) "
            "RETURNING load_id"
        ).fetchone()
        assert load is not None
        for level, rows in made.items():
            for code, parent, name, rings in rows:
                wkt = json.dumps({"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]})
                people = {1: None, 2: None, 3: 1200, 4: 1200 // grids}[level]
                people = people if people else 1200 * villages * (townships if level == 1 else 1)
                conn.execute(
                    "INSERT INTO onemap.division (code, level, name, parent_code, households, population, valid_from, "
                    "boundary_status, load_id, geom) VALUES (%s, %s, %s, %s, %s, %s, '2023-01-01', 'schematic', %s, "
                    "ST_Multi(ST_UnaryUnion(ST_SnapToGrid(ST_SetSRID(ST_GeomFromGeoJSON(%s), 4490), 1e-7))))",
                    [code, level, name, parent, people // 3, people, load[0], wkt],
                )
        classes = ["0102", "0102", "0102", "0103", "0201", "0102", "1104", "0102", "1202", "0102"]
        for n, (code, grid, ring) in enumerate(parcels):
            conn.execute(
                "INSERT INTO onemap.parcel (parcel_code, name, contractor_masked, contract_code, land_class, planting, "
                "soil_grade, declared_pbf, in_pbf, in_high_standard, area_m2, declared_area_mu, east, south, west, north, "
                "grid_code, village_code, township_code, load_id, geom) SELECT %s, '东地', '张*明', %s, %s, 'LS', '03', "
                "%s, %s, %s, ST_Area(g::geography), ST_Area(g::geography) * 15 / 10000, '路', '渠', '王*军', '林带', "
                "%s, %s, %s, %s, g FROM ST_SetSRID(ST_GeomFromGeoJSON(%s), 4490) g",
                [code, code[:14] + "0001J", classes[n % 10], n % 3 != 0, n % 5 != 0, n % 2 == 0, grid, grid[:12], grid[:9],
                 load[0], json.dumps({"type": "Polygon", "coordinates": [ring]})],
            )  # fmt: skip
        conn.execute("SELECT onemap.refresh_parcel_summary()")
        conn.execute(
            "INSERT INTO onemap.farmland_zone (zone_code, kind, area_m2, load_id, geom) SELECT 'P1', 'pbf', 1, %s, geom "
            "FROM onemap.division WHERE level = 2 ORDER BY code LIMIT 1", [load[0]],
        )  # fmt: skip
        conn.execute(
            "INSERT INTO onemap.farmland_zone (zone_code, kind, area_m2, load_id, geom) SELECT 'H1', 'high_standard', 1, %s, "
            "geom FROM onemap.division WHERE level = 2 ORDER BY code LIMIT 1", [load[0]],
        )  # fmt: skip
        for n, (grid, village, _, rings) in enumerate(made[4]):
            x = sum(p[0] for p in rings[0][:4]) / 4
            y = sum(p[1] for p in rings[0][:4]) / 4
            conn.execute(
                "INSERT INTO onemap.facility (facility_code, kind, name, capacity, capacity_unit, duty_phone, grid_code, "
                "village_code, township_code, load_id, geom) VALUES (%s, 'village_clinic', %s, 4, '床', '0319-4000000', %s, %s, "
                "%s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                [f"F{n}", f"{n + 1}号卫生室", grid, village, grid[:9], load[0], x, y],
            )
            for k in range(5):
                conn.execute(
                    "INSERT INTO onemap.household (household_no, members, category, category_version, grid_code, village_code, "
                    "township_code, load_id, geom) VALUES (%s, 3, %s, %s, %s, %s, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                    [f"H{n}-{k}", "BYYZP" if k <= n % 5 else None, "2021" if k <= n % 5 else None, grid, village, grid[:9],
                     load[0], x + k * 1e-4, y],
                )  # fmt: skip
                conn.execute(
                    "INSERT INTO onemap.incident (case_no, item_code, channel, title, reported_at, accepted_at, due_at, closed_at, "
                    "ended_at, status, grid_code, village_code, township_code, load_id, geom) VALUES (%s, 'S01', 'grid', '路灯不亮', "
                    "now() - make_interval(days => %s, hours => 3), now(), now() + make_interval(days => %s), %s, %s, %s, %s, %s, %s, %s, "
                    "ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                    [f"C{n}-{k}", k * 20, k - 2, *([now, now, "closed"] if k == 4 else [None, None, "handling"]), grid, village, grid[:9],
                     load[0], x + math.cos(k) * 1e-3, y + math.sin(k) * 1e-3],
                )  # fmt: skip
        conn.execute(
            "INSERT INTO onemap.incident (case_no, item_code, channel, title, reported_at, status, load_id) "
            "VALUES ('C-nowhere', 'S01', 'hotline', '没有位置的来电', now() - interval '1 day', 'accepted', %s)", [load[0]],
        )  # fmt: skip
        conn.execute(
            "INSERT INTO onemap.road_node (node_id, geom) VALUES (1, ST_SetSRID(ST_MakePoint(%s, %s), 4490)), "
            "(2, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
            [WEST, (SOUTH + NORTH) / 2, EAST, (SOUTH + NORTH) / 2],
        )
        conn.execute(
            "INSERT INTO onemap.road (name, class, from_node, to_node, length_m, load_id, geom) SELECT '测试路', 'national', 1, 2, 1, "
            "%s, ST_MakeLine(a.geom, b.geom) FROM onemap.road_node a, onemap.road_node b WHERE a.node_id = 1 AND b.node_id = 2",
            [load[0]],
        )
        conn.execute(
            "INSERT INTO onemap.county (code, name, profile, metric_srid, scale, built_at) "
            "VALUES (%s, '测试县', 'scratch', 4526, 'demo', now())", [county],
        )  # fmt: skip
    sample = parcels[strips // 2]
    ring = sample[2]
    return Scratch(
        county=county, townships=[r[0] for r in made[2]], villages=[r[0] for r in made[3]], grids=[r[0] for r in made[4]],
        parcels=len(parcels), parcel_code=sample[0],
        parcel_at=(sum(p[0] for p in ring[:4]) / 4, sum(p[1] for p in ring[:4]) / 4), incidents_unplaced=1,
    )  # fmt: skip


def _slice(a: Point, b: Point, c: Point, d: Point, start: float, end: float) -> Ring:
    """Cut a quadrilateral a-b-c-d along a→b from `start` to `end` (shares of the side)."""

    def between(p: Point, q: Point, t: float) -> Point:
        return round(p[0] + (q[0] - p[0]) * t, 7), round(p[1] + (q[1] - p[1]) * t, 7)

    p, q = between(a, b, start), between(a, b, end)
    r, s = between(d, c, end), between(d, c, start)
    return [p, q, r, s, p]
