"""Tile arithmetic: numbers small enough to check by hand, and everything that is no tile is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.errors import BadRequest
from gis.tiles.grid import HALF_WORLD, Tile, corner, parse_tile, tile_at, tiles_over


def test_the_world_is_one_tile_at_zoom_zero() -> None:
    assert Tile(0, 0, 0).box() == (-HALF_WORLD, -HALF_WORLD, HALF_WORLD, HALF_WORLD)


def test_zoom_one_is_four_quarters_counted_from_the_north_west() -> None:
    assert Tile(1, 0, 0).box() == (-HALF_WORLD, 0, 0, HALF_WORLD)
    assert Tile(1, 1, 1).box() == (0, -HALF_WORLD, HALF_WORLD, 0)


def test_the_demo_county_lies_where_other_maps_put_it() -> None:
    # 115.037 E 37.221 N: x = floor((115.037+180)/360 * 2^14) = 13427; y by the Mercator formula.
    assert tile_at(lon=115.037, lat=37.221, z=14) == Tile(14, 13427, 6364)


@given(z=st.integers(0, 22), data=st.data())
def test_neighbours_share_their_edge_to_the_last_bit(z: int, data: st.DataObject) -> None:
    last = (1 << z) - 1
    x, y = data.draw(st.integers(0, last)), data.draw(st.integers(0, last))
    here = Tile(z, x, y).box()
    if x < last:
        assert Tile(z, x + 1, y).box()[0] == here[2]
    if y < last:
        assert Tile(z, x, y + 1).box()[3] == here[1]


@given(lon=st.floats(73, 135), lat=st.floats(4, 53), z=st.integers(0, 22))
def test_a_point_lies_in_its_tile(lon: float, lat: float, z: int) -> None:
    tile = tile_at(lon=lon, lat=lat, z=z)
    west, north = corner(tile)
    east, south = corner(Tile(z, tile.x + 1, tile.y + 1))
    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9


def test_the_parent_holds_its_four_children() -> None:
    assert {Tile(3, x, y).parent() for x in (4, 5) for y in (2, 3)} == {Tile(2, 2, 1)}


def test_tiles_over_a_box_are_all_that_touch_it() -> None:
    found = list(tiles_over(west=-10, south=-10, east=10, north=10, z=1))
    assert found == [Tile(1, 0, 0), Tile(1, 1, 0), Tile(1, 0, 1), Tile(1, 1, 1)]


@pytest.mark.parametrize(
    ("z", "x", "y"),
    [
        ("-1", "0", "0"), ("23", "0", "0"), ("99999999999", "0", "0"), ("1.5", "0", "0"), ("", "0", "0"), ("a", "0", "0"),
        ("1", "2", "0"), ("1", "0", "2"), ("1", "-1", "0"), ("0", "1", "0"), ("14", "1e3", "0"), ("14", " 1", "0"),
        ("14", "+1", "0"), ("１４", "0", "0"), ("14", "٣", "0"), ("14", "0x1", "0"), ("14", "1_0", "0"), ("14", "nan", "0"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(z: str, x: str, y: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_tile(z, x, y)
    assert "瓦片地址有误" in caught.value.message
    assert caught.value.next_step


def test_the_last_tile_of_the_deepest_zoom_is_one() -> None:
    last = (1 << 22) - 1
    assert parse_tile("22", str(last), str(last)) == Tile(22, last, last)
