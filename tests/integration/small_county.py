"""A county small enough to count by hand: 2 townships × 2 villages × 2 grids, each grid 0.01° × 0.01°, seam on 115.02."""

from __future__ import annotations

from psycopg import Connection

ORIGIN = (115.0, 37.2)
SIDE = 0.01
COUNTY = "130529"


def box(x: int, y: int, width: int, height: int) -> str:
    """WKT of a MultiPolygon `width` × `height` cells with its lower left corner at cell (x, y)."""
    xs = [ORIGIN[0] + SIDE * i for i in range(x, x + width + 1)]
    ys = [ORIGIN[1] + SIDE * j for j in range(y, y + height + 1)]
    # every lattice point on the rim is a vertex, so neighbours share borders vertex by vertex
    ring = (
        [(a, ys[0]) for a in xs]
        + [(xs[-1], b) for b in ys[1:]]
        + [(a, ys[-1]) for a in xs[-2::-1]]
        + [(xs[0], b) for b in ys[-2::-1]]
    )
    return "MULTIPOLYGON(((" + ",".join(f"{a:.2f} {b:.2f}" for a, b in ring) + ")))"


def divisions() -> list[tuple[str, int, str, str | None, int, int, str]]:
    """Rows (code, level, name, parent, households, population, WKT): a 4 × 2 lattice of grids."""
    rows: list[tuple[str, int, str, str | None, int, int, str]] = [(COUNTY, 1, "小县", None, 80, 240, box(0, 0, 4, 2))]
    for t in range(2):
        township = f"{COUNTY}10{t}"
        rows.append((township, 2, f"镇{t}", COUNTY, 40, 120, box(2 * t, 0, 2, 2)))
        for v in range(2):
            village = f"{township}20{v}"
            rows.append((village, 3, f"村{t}{v}", township, 20, 60, box(2 * t, v, 2, 1)))
            rows += [
                (f"{village}00{g + 1}", 4, f"网格{g + 1}", village, 10, 30, box(2 * t + g, v, 1, 1)) for g in range(2)
            ]
    return rows


def insert(conn: Connection, *, valid_from: str = "2020-01-01") -> None:
    """Write the county's divisions; needs role owner or job."""
    for code, level, name, parent, households, population, wkt in divisions():
        conn.execute(
            "INSERT INTO onemap.division (code, level, name, parent_code, households, population, valid_from, geom) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, ST_GeomFromText(%s, 4490))",
            [code, level, name, parent, households, population, valid_from, wkt],
        )


def insert_incidents(
    conn: Connection, points: list[tuple[float, float] | None], *, reported_at: str = "2026-10-05"
) -> None:
    """Write incidents at lon/lat points (None: no position)."""
    for number, point in enumerate(points):
        wkt = None if point is None else f"POINT({point[0]} {point[1]})"
        conn.execute(
            "INSERT INTO onemap.incident (case_no, item_code, channel, title, reported_at, status, geom) "
            "VALUES (%s, '101', 'grid', '路灯不亮', %s, 'reported', ST_GeomFromText(%s, 4490))",
            [f"C{reported_at}{number}", reported_at, wkt],
        )
