"""Tile arithmetic: which square of Web Mercator a z/x/y is, and which of them are nonsense."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import asinh as _asinh
from math import atan, degrees, floor, pi, radians, sinh, tan

from gis.errors import BadRequest

HALF_WORLD = 20037508.342789244  # metres of EPSG:3857 from the origin to the antimeridian: pi x 6378137
DEEPEST_ZOOM = 22  # MapLibre asks no deeper
_EWKB_BOX = struct.Struct("<BIIII10d")


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile 瓦片 of the XYZ scheme (y counts down from the north)."""

    z: int
    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.z}/{self.x}/{self.y}"

    @property
    def width(self) -> float:
        """Side length in metres of EPSG:3857 (on the ground at latitude φ: times cos φ)."""
        return 2 * HALF_WORLD / (1 << self.z)

    def box(self, *, buffer: float = 0.0) -> tuple[float, float, float, float]:
        """Return (xmin, ymin, xmax, ymax) in EPSG:3857 metres.

        Parameters
        ----------
        buffer : float
            Widening on every side, as a share of the tile's side.
        """
        side = self.width
        grow = side * buffer
        # Each edge is one expression of its own number, so neighbours agree on it to the last bit: a point on an
        # edge then belongs to exactly one tile.
        return (
            self.x * side - HALF_WORLD - grow,
            HALF_WORLD - (self.y + 1) * side - grow,
            (self.x + 1) * side - HALF_WORLD + grow,
            HALF_WORLD - self.y * side + grow,
        )

    def ewkb(self, *, buffer: float = 0.0) -> str:
        """Return `box` as the hexadecimal EWKB of a polygon, the form PostGIS reads a parameter in."""
        a, b, c, d = self.box(buffer=buffer)
        return _EWKB_BOX.pack(1, 0x20000003, 3857, 1, 5, a, b, a, d, c, d, c, b, a, b).hex()

    def parent(self) -> Tile:
        """The tile one zoom up that contains this one."""
        return Tile(self.z - 1, self.x >> 1, self.y >> 1)


def parse_tile(z: str | int, x: str | int, y: str | int) -> Tile:
    """Return the tile that z/x/y name.

    Raises
    ------
    BadRequest
        When one of them is not a plain whole number or lies outside its range.
    """
    numbers = []
    for name, value in (("z", z), ("x", x), ("y", y)):
        text = str(value)
        # isdecimal() alone would let other scripts' digits through; seven digits hold every tile of zoom 22.
        if not (text.isascii() and text.isdecimal() and len(text) <= 7):
            raise BadRequest(
                f"瓦片地址有误：{name} 应为不带符号的整数。", next_step="地址形如 /tiles/parcels/14/13422/6334.mvt。"
            )
        numbers.append(int(text))
    zoom, column, row = numbers
    if zoom > DEEPEST_ZOOM:
        raise BadRequest(f"瓦片地址有误：级别 z={zoom} 超出 0–{DEEPEST_ZOOM}。", next_step="请缩小地图后再试。")
    last = (1 << zoom) - 1
    if column > last or row > last:
        raise BadRequest(
            f"瓦片地址有误：z={zoom} 时 x、y 只能是 0–{last}。", next_step="地址形如 /tiles/parcels/14/13422/6334.mvt。"
        )
    return Tile(zoom, column, row)


def tile_at(*, lon: float, lat: float, z: int) -> Tile:
    """Return the tile of zoom `z` that holds a point (degrees, EPSG:4490 taken as WGS 84: they differ by centimetres)."""
    n = 1 << z
    x = floor((lon + 180) / 360 * n)
    y = floor((1 - _asinh(tan(radians(lat))) / pi) / 2 * n)
    return Tile(z, min(max(x, 0), n - 1), min(max(y, 0), n - 1))


def tiles_over(*, west: float, south: float, east: float, north: float, z: int) -> Iterator[Tile]:
    """Yield the tiles of zoom `z` that touch a box in degrees, row by row from the north-west."""
    first = tile_at(lon=west, lat=north, z=z)
    last = tile_at(lon=east, lat=south, z=z)
    for y in range(first.y, last.y + 1):
        for x in range(first.x, last.x + 1):
            yield Tile(z, x, y)


def corner(tile: Tile) -> tuple[float, float]:
    """Return the north-west corner (lon, lat) in degrees."""
    n = 1 << tile.z
    return tile.x / n * 360 - 180, degrees(atan(sinh(pi * (1 - 2 * tile.y / n))))
