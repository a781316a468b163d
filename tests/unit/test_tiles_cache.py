"""The memory of tiles keeps its bound, and an ETag changes exactly when the tile may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gis.settings import Settings
from gis.store.queries import load_queries
from gis.tiles.cache import OVERHEAD_BYTES, Kept, TileCache
from gis.tiles.definition import Layer, load_layers, read_tokens
from gis.tiles.grid import Tile
from gis.tiles.version import StoreState, etag_of_body, etag_of_state, matches, stamp


def kept(size: int, *, of: str = "s", until: float = 100.0) -> Kept:
    return Kept(body=b"x" * size, etag="e", stamp=of, until=until, level="all")


def shipped(name: str) -> Layer:
    folder = Settings().data / "layers"
    return load_layers(folder, queries=load_queries("tiles"), tokens=read_tokens(folder / "_tokens.toml"))[name]


def test_the_least_recently_used_goes_first() -> None:
    cache = TileCache(max_bytes=2 * (100 + OVERHEAD_BYTES))
    a, b, c = ("l", 1, 0, 0), ("l", 1, 0, 1), ("l", 1, 1, 0)
    cache.put(a, kept(100))
    cache.put(b, kept(100))
    assert cache.get(a, stamp="s", now=0) is not None
    cache.put(c, kept(100))
    assert cache.get(b, stamp="s", now=0) is None
    assert cache.get(a, stamp="s", now=0) is not None


def test_an_old_state_is_not_served() -> None:
    cache = TileCache(max_bytes=10_000)
    cache.put(("l", 0, 0, 0), kept(10, of="old"))
    assert cache.get(("l", 0, 0, 0), stamp="new", now=0) is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_timed_tile_ends() -> None:
    cache = TileCache(max_bytes=10_000)
    cache.put(("l", 0, 0, 0), kept(10, until=5))
    assert cache.get(("l", 0, 0, 0), stamp="s", now=4.9) is not None
    assert cache.get(("l", 0, 0, 0), stamp="s", now=5.0) is None


def test_nothing_is_kept_without_room() -> None:
    cache = TileCache(max_bytes=0)
    cache.put(("l", 0, 0, 0), kept(0))
    assert len(cache) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=60))
def test_the_bound_holds_and_the_count_is_true(puts: list[tuple[int, int]]) -> None:
    cache = TileCache(max_bytes=8000)
    for y, size in puts:
        cache.put(("l", 4, 0, y), kept(size))
        assert cache.bytes <= 8000
    held = [cache.get(("l", 4, 0, y), stamp="s", now=0) for y in range(10)]
    assert cache.bytes == sum(len(k.body) + OVERHEAD_BYTES for k in held if k)


def test_only_what_a_layer_hangs_on_changes_its_stamp() -> None:
    roads = shipped("roads")
    state = StoreState(tables={"road": "7@1", "parcel": "3@1"}, today="2026-11-22")

    def of(layer: Layer, tables: dict[str, str], today: str = "2026-11-22") -> str:
        return stamp(layer, StoreState(tables=tables, today=today), max_bytes=1)

    base = stamp(roads, state, max_bytes=1)
    assert of(roads, {"road": "7@1", "parcel": "4@9"}) == base
    assert of(roads, {"road": "8@2", "parcel": "3@1"}) != base
    assert of(roads, {"road": "7@9"}) != base  # a rebuilt store counts from one again, at another moment
    assert of(roads, {"road": "7@1"}, today="2026-11-23") != base  # a boundary may begin today
    assert of(roads.model_copy(update={"order": 99}), {"road": "7@1"}) != base


def test_each_tile_has_an_etag_of_its_own() -> None:
    tags = {etag_of_state("s", Tile(3, x, y)) for x in range(8) for y in range(8)}
    assert len(tags) == 64
    assert etag_of_body("s", b"a") != etag_of_body("s", b"b")


def test_if_none_match_is_read_as_the_standard_says() -> None:
    etag = 'W/"abc"'
    assert matches('W/"abc"', etag)
    assert matches('"abc"', etag)
    assert matches('"x", W/"abc"', etag)
    assert matches("*", etag)
    assert not matches('"abcd"', etag)
    assert not matches("abc", etag)
    assert not matches("", etag)
    assert not matches(None, etag)
