"""A tiny county and nasty files for the tests of imports: everything small enough to count by hand."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pyproj
import shapely
from psycopg import Connection, sql
from shapely.geometry.base import BaseGeometry

from gis.settings import Settings
from gis.store.engine import connect

# A square near 115.0E 37.2N: 2 townships side by side, 4 villages, 8 grids, every border shared corner by corner.
WEST, SOUTH, SIDE = 115.00, 37.20, 0.04
COUNTY = "130529"
TOWNSHIPS = ("130529100", "130529101")
VILLAGES = tuple(f"{t}{v}" for t in TOWNSHIPS for v in ("201", "202"))
GRIDS = tuple(f"{v}{g}" for v in VILLAGES for g in ("001", "002"))


def lonlat_box(column: float, row: float, width: float, height: float) -> shapely.Polygon:
    """A box in quarters of the county: (0, 0, 4, 4) is the whole of it. EPSG:4490."""
    q = SIDE / 4
    x0, y0, x1, y1 = (
        round(v, 9)
        for v in (WEST + column * q, SOUTH + row * q, WEST + (column + width) * q, SOUTH + (row + height) * q)
    )
    return shapely.box(x0, y0, x1, y1)


def tree() -> list[tuple[str, int, str, str | None, BaseGeometry]]:
    """Code, level, name, parent and boundary of all 15 divisions."""
    rows: list[tuple[str, int, str, str | None, BaseGeometry]] = [(COUNTY, 1, "巨鹿县", None, lonlat_box(0, 0, 4, 4))]
    for t, township in enumerate(TOWNSHIPS):
        rows.append((township, 2, f"第{t + 1}镇", COUNTY, lonlat_box(2 * t, 0, 2, 4)))
        for v in range(2):
            village = VILLAGES[2 * t + v]
            rows.append((village, 3, f"村{2 * t + v + 1}", township, lonlat_box(2 * t, 2 * v, 2, 2)))
            for g in range(2):
                rows.append((GRIDS[4 * t + 2 * v + g], 4, f"网格{g + 1}", village, lonlat_box(2 * t + g, 2 * v, 1, 2)))
    return rows


def build_county(settings: Settings, *, divisions: bool = True) -> None:
    """Put the tiny county into an empty store, as its owner."""
    with connect(settings, role="owner") as conn:
        conn.execute(
            "INSERT INTO onemap.county (code, name, profile, metric_srid, scale, built_at) VALUES (%s, '巨鹿县', 'tiny', 4526, 'demo', now())",
            [COUNTY],
        )
        for code, level, name, parent, geometry in tree() if divisions else ():
            conn.execute(
                "INSERT INTO onemap.division (code, level, name, parent_code, valid_from, geom) "
                "VALUES (%s, %s, %s, %s, '2020-01-01', ST_Multi(ST_GeomFromText(%s, 4490)))",
                [code, level, name, parent, geometry.wkt],
            )


def reproject(geometry: Sequence[BaseGeometry | None], epsg: int, *, swap: bool = False) -> list[BaseGeometry | None]:
    """EPSG:4490 lon/lat to x, y of another CRS; `swap` turns the axes."""
    transformer = pyproj.Transformer.from_crs(4490, epsg, always_xy=True)

    def work(c: np.ndarray) -> np.ndarray:
        out = np.column_stack(transformer.transform(c[:, 0], c[:, 1]))
        return out[:, ::-1] if swap else out

    return [None if g is None else shapely.transform(g, work) for g in geometry]


def apart(a: BaseGeometry, b: BaseGeometry | None) -> float:
    """How far two shapes are from being the same, in their CRS's unit; where their rings begin does not matter."""
    return float(shapely.hausdorff_distance(a, b))


def parcel(index: int, *, size: float = 0.0004) -> shapely.Polygon:
    """Parcel `index` of a field of separate boxes of about 35 × 44 m, rows of 50 from the county's corner."""
    x = WEST + 0.0005 + (index % 50) * 0.0007
    y = SOUTH + 0.0005 + (index // 50) * 0.0007
    return shapely.box(x, y, x + size, y + size)


def bow_tie(index: int, *, size: float = 0.0004) -> shapely.Polygon:
    """Parcel `index` with two corners exchanged: its border crosses itself."""
    x0, y0, x1, y1 = parcel(index, size=size).bounds
    return shapely.Polygon([(x0, y0), (x1, y1), (x1, y0), (x0, y1)])


def dkbm(index: int) -> str:
    """A parcel code of 19 digits."""
    return f"{COUNTY}100201{index:07d}"


def write(
    path: Path,
    geometry: Sequence[BaseGeometry | None],
    fields: dict[str, Sequence[object]],
    *,
    epsg: int | None = 4490,
    encoding: str | None = None,
    geometry_type: str = "Polygon",
    layer: str | None = None,
    append: bool = False,
) -> Path:
    """Write a layer with pyogrio; the driver follows the suffix."""
    from pyogrio import raw

    driver = {".shp": "ESRI Shapefile", ".gpkg": "GPKG", ".geojson": "GeoJSON"}[path.suffix]
    columns = []
    for values in fields.values():
        plain = all(isinstance(v, float | int) for v in values)
        columns.append(np.array(values) if plain else np.array(values, dtype=object))
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        wkb = np.array([None if g is None else shapely.to_wkb(g) for g in geometry], dtype=object)
        raw.write(
            str(path), wkb, columns, list(fields), geometry_type=geometry_type, driver=driver, layer=layer, append=append,
            crs=f"EPSG:{epsg}" if epsg else None, **({"encoding": encoding} if encoding else {}),
        )  # fmt: skip
    return path


def zip_parts(path: Path, target: Path, *, skip: Sequence[str] = ()) -> Path:
    """Zip a shapefile's parts without some of them."""
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for part in sorted(path.parent.glob(f"{path.stem}.*")):
            if part.suffix not in (*skip, ".zip"):
                archive.write(part, part.name)
    return target


def set_ldid(dbf: Path, value: int) -> None:
    """Set the language driver id of a .dbf."""
    data = bytearray(dbf.read_bytes())
    data[29] = value
    dbf.write_bytes(data)


def patch_double(shp: Path, value: float, *, record: int = 0) -> None:
    """Overwrite the second x of a polygon record (one ring) in a .shp: NaN, infinity, 1e308."""
    data = bytearray(shp.read_bytes())
    at = 100
    for _ in range(record):
        at += 8 + struct.unpack(">i", data[at + 4 : at + 8])[0] * 2
    # record header 8, type 4, box 32, parts 4, points 4, one part index 4, then the first point's 16
    struct.pack_into("<d", data, at + 8 + 4 + 32 + 4 + 4 + 4 + 16, value)
    shp.write_bytes(data)


def counts(settings: Settings) -> dict[str, int]:
    """Rows of every table an import may touch: equal before and after means the store is as it was."""
    tables = ("onemap.parcel", "onemap.facility", "onemap.division", "onemap.parcel_summary", "personal.contractor",
              "intake.load", "intake.quarantine")  # fmt: skip
    with connect(settings, role="owner") as conn:
        return {t: _count(conn, t) for t in tables}


def _count(conn: Connection, table: str) -> int:
    row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))).fetchone()
    assert row is not None
    return int(row[0])
