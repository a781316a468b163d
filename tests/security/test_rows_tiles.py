"""Tiles under row-level security, decoded: nothing of another's divisions, and a shared cache mixes nobody up."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mapbox_vector_tile
import psycopg
import pytest

from gis.access.principal import Principal
from gis.errors import NotFound, StoreUnavailable
from gis.store.engine import connect
from gis.store.queries import load_queries
from gis.tiles import service as service_module
from gis.tiles.exchange import Question
from gis.tiles.gateway import TileGateway
from gis.tiles.grid import Tile, tiles_over
from gis.tiles.service import TileAnswer, TileService
from gis.tiles.statement import bind, compose
from tests.scratch_county import EAST, NORTH, SOUTH, WEST
from tests.security.cases_fixture import ASSIGNED, BY_PLACE
from tests.security.rows_fixture import (  # noqa: F401 - pytest finds fixtures among a module's names
    ROLES,
    TABLES,
    Secured,
    clone,
    covered,
    rows_of,
    store_fixture,
    template_fixture,
)

# Layer → table whose number is the feature's id at the deepest zoom.
SINGLE = {"parcels": "parcel", "facilities": "facility", "resources": "resource", "incidents": "incident"}


def decode(answer: TileAnswer) -> list[dict[str, Any]]:
    if not answer.body:
        return []
    tile = mapbox_vector_tile.decode(gzip.decompress(answer.body))
    return [feature for layer in tile.values() for feature in layer["features"]]


def over(z: int) -> list[Tile]:
    return list(tiles_over(west=WEST - 0.02, south=SOUTH - 0.02, east=EAST + 0.02, north=NORTH + 0.02, z=z))


async def ask(service: TileService, who: Principal | None, layer: str, tiles: list[Tile]) -> list[dict[str, Any]]:
    return [f for t in tiles for f in decode(await service.tile(layer, t.z, t.x, t.y, principal=who))]


@pytest.fixture
def service(secured_store: Secured, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TileService, asyncio.Runner]]:
    monkeypatch.setattr(service_module, "STATE_SECONDS", 0.0)
    made = TileService(secured_store.settings)
    with asyncio.Runner() as runner:
        yield made, runner
        runner.run(made.close())


def test_single_things_are_those_of_the_scope(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    tiles, runner = service
    checked = 0
    # One service for all, so one cache: whoever asks next must not get what the one before left.
    for name in (
        "commander",
        "planner_a",
        "planner_b",
        "cadre",
        "grid_member",
        "expired",
        "disabled",
        "planner_a",
        "commander",
    ):
        who = secured_store[name]
        for layer, table in SINGLE.items():
            if who.role not in tiles.layers[layer].roles:
                continue
            where = " WHERE ended_at IS NULL" if table == "incident" else ""
            rows = secured_store.owner(f"SELECT {TABLES[table]}, geom IS NOT NULL, grid_code, village_code, township_code FROM onemap.{table}{where}")  # noqa: S608  # fmt: skip
            should = {int(key) for key, placed, *codes in rows if placed and covered(who.scope, tuple(codes))}
            if table == "incident":
                should |= BY_PLACE.get(name, set())
            try:
                seen = {f["id"] for f in runner.run(ask(tiles, who, layer, over(16)))}
            except StoreUnavailable:
                assert name == "disabled"  # the gate lets nobody disabled in; a session's last moment gets no tile
                continue
            assert seen == should, (name, layer)
            checked += len(seen)
    assert checked > 500


def test_nobody_gets_no_single_thing(service: tuple[TileService, asyncio.Runner]) -> None:
    tiles, runner = service
    for layer in SINGLE:
        assert runner.run(ask(tiles, None, layer, over(14))) == []


def test_sums_of_other_divisions_say_nothing(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    tiles, runner = service
    a = secured_store.scratch.townships[0]
    numbers = {
        "parcels",
        "area_mu",
        "land_class",
        "farmland_share_pct",
        "pbf_share_pct",
        "households",
        "monitored",
        "incidents",
    }
    foreign = known = 0
    for layer, z in (
        ("parcels", 10),
        ("parcels", 13),
        ("households", 11),
        ("households", 13),
        ("incident_history", 12),
    ):
        for feature in runner.run(ask(tiles, secured_store["planner_a"], layer, over(z))):
            says = numbers & set(feature["properties"])
            if feature["properties"]["code"].startswith(a):
                known += bool(says)
            else:
                foreign += 1
                assert not says, (layer, z, feature["properties"])
    assert foreign > 5
    assert known > 5


def test_clusters_count_ones_own(secured_store: Secured, service: tuple[TileService, asyncio.Runner]) -> None:
    tiles, runner = service

    def total(name: str) -> int:
        return sum(
            f["properties"]["incidents"] for f in runner.run(ask(tiles, secured_store[name], "incidents", over(11)))
        )

    both = secured_store.owner("SELECT count(*) FROM onemap.incident WHERE ended_at IS NULL AND geom IS NOT NULL")[0][0]
    # the case both townships share is counted by both
    assert total("planner_a") + total("planner_b") - 1 == total("commander") == both
    assert total("planner_a") > 1


def test_a_tile_holds_nothing_of_one_person_alone(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    # assigned to the grid member and reported by them, both beyond their grid: kept, the tile would serve their colleague too
    tiles, runner = service
    who = secured_store["grid_member"]
    with secured_store.asking(who) as conn:
        mine = {int(key) for key in rows_of(conn, "incident")}
    assert ASSIGNED in mine
    assert ASSIGNED not in {f["id"] for f in runner.run(ask(tiles, who, "incidents", over(16)))}


def test_an_etag_is_worth_nothing_to_another_scope(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    tiles, runner = service
    a, b = secured_store["planner_a"], secured_store["planner_b"]
    twin = replace(a, account_id=secured_store["ends_tomorrow"].account_id)
    seam = over(12)[len(over(12)) // 2]
    for layer in ("parcels", "incidents"):

        def asked(who: Principal, etag: str | None = None, layer: str = layer) -> TileAnswer:
            return runner.run(tiles.tile(layer, seam.z, seam.x, seam.y, if_none_match=etag, principal=who))

        first = asked(a)
        assert asked(a, first.etag).status == 304
        assert asked(b, first.etag).status != 304
        assert asked(b).etag != first.etag
        assert asked(twin).source == "memory"  # same role, same scope: one tile for both
        assert asked(twin, first.etag).status == 304


def test_what_everybody_may_know_is_made_once(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    tiles, runner = service
    here = over(14)[0]
    first = runner.run(tiles.tile("roads", here.z, here.x, here.y, principal=secured_store["planner_a"]))
    second = runner.run(tiles.tile("roads", here.z, here.x, here.y, principal=secured_store["planner_b"]))
    assert (first.source, second.source, first.etag) == ("store", "memory", second.etag)


def test_a_tile_under_a_changed_scope_is_not_kept(secured_template: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "STATE_SECONDS", 0.0)
    with clone(secured_template) as store, asyncio.Runner() as runner:
        tiles = TileService(store.settings)
        who, here = store["planner_a"], over(10)[0]
        # Between the gate's question and the tile's, the scope becomes another one.
        store.owner(
            "UPDATE access.scope SET division_code = %s WHERE account_id = %s",
            [store.scratch.townships[1], who.account_id],
        )
        with pytest.raises(StoreUnavailable):
            runner.run(tiles.tile("parcels", here.z, here.x, here.y, principal=who))
        assert len(tiles.cache) == 0
        runner.run(tiles.close())


def test_a_connection_serves_the_next_person_as_themselves(secured_store: Secured) -> None:
    layers = TileService(secured_store.settings).layers
    queries = load_queries("tiles")

    async def turns() -> list[int]:
        gateway = TileGateway(secured_store.settings, layers=layers, queries=queries)
        gateway._pool._max_size = gateway._pool._min_size = 1  # one connection for all
        await gateway.open()
        counts = []
        layer = layers["parcels"]
        index = layer.level_at(14)
        assert index is not None
        for who in ("commander", "planner_a", None, "commander", None):
            person = secured_store[who] if who else None
            made = [await gateway.make_for(person, layer, index, t) for t in over(14)]
            counts.append(sum(raw.features for raw in made))
        # A question that names nobody, on the same connection, after somebody's.
        public = [await gateway.make(layer, index, t) for t in over(14)]
        await gateway.close()
        return [*counts, sum(raw.features for raw in public)]

    everybody, planner, nobody, again, after, public = asyncio.run(turns())
    assert everybody == again > planner > 0
    assert nobody == after == public == 0


def test_a_failed_tile_leaves_a_sound_connection(secured_store: Secured) -> None:
    layers = TileService(secured_store.settings).layers
    index = layers["parcels"].level_at(14)
    assert index is not None

    async def turns() -> int:
        gateway = TileGateway(secured_store.settings, layers=layers, queries=load_queries("tiles"))
        gateway._pool._max_size = gateway._pool._min_size = 1
        good = gateway._scoped["parcels", "parcels"]
        await gateway.open()
        gateway._scoped["parcels", "parcels"] = Question.of(b"SELECT pg_sleep(0), 1/0")
        for _ in range(2):  # the second time it is prepared already
            with pytest.raises(psycopg.errors.DivisionByZero):
                await gateway.make_for(secured_store["commander"], layers["parcels"], index, over(14)[0])
        # Refused, so over: what was set for it holds no more.
        nobody = await gateway.make(layers["parcels"], index, over(14)[0])
        assert nobody.features == 0
        gateway._scoped["parcels", "parcels"] = good
        made = [await gateway.make_for(secured_store["planner_a"], layers["parcels"], index, t) for t in over(14)]
        await gateway.close()
        return sum(raw.features for raw in made)

    assert asyncio.run(turns()) > 0


def test_every_secured_table_a_layer_reads_is_one_it_names(secured_store: Secured) -> None:
    # A query that reads a secured table it does not name would be shared between scopes by the cache.
    service = TileService(secured_store.settings)
    queries = load_queries("tiles")
    read_in_all = set()
    with connect(secured_store.settings, role="app") as conn, psycopg.ClientCursor(conn) as cursor:
        for layer in service.layers.values():
            for level in layer.level:
                statement = compose(layer, level, queries=queries)
                cursor.execute(
                    b"EXPLAIN (FORMAT JSON, VERBOSE) " + statement.as_bytes(conn), bind(level, over(level.zoom[1])[0])
                )
                row = cursor.fetchone()
                assert row is not None
                read = {n["Relation Name"] for n in nodes(row[0][0]["Plan"]) if "Relation Name" in n} & set(TABLES)
                read_in_all |= read
                assert read <= set(layer.depends_on), (layer.id, level.name)
    assert {"parcel", "parcel_summary", "case_file", "household", "facility", "resource"} <= read_in_all


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def test_layers_name_roles_that_exist_and_households_follow_the_permission(secured_store: Secured) -> None:
    layers = TileService(secured_store.settings).layers
    counting = {role.id for role in ROLES.by_id.values() if "household.count" in role.permissions}
    assert set(layers["households"].roles) == counting
    assert {r for layer in layers.values() for r in layer.roles} <= {
        r.id for r in ROLES.by_id.values() if not r.administrator
    }


def test_a_layer_one_may_not_see_looks_absent(
    secured_store: Secured, service: tuple[TileService, asyncio.Runner]
) -> None:
    tiles, runner = service
    with pytest.raises(NotFound) as refused:
        runner.run(tiles.tile("resources", 14, 1, 1, principal=secured_store["grid_member"]))
    with pytest.raises(NotFound) as absent:
        runner.run(tiles.tile("ghost", 14, 1, 1, principal=secured_store["grid_member"]))
    assert refused.value.message == absent.value.message
