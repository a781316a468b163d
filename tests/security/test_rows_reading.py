"""What the pages read through the pool, under row-level security: cards, search and figures are one's own or absent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gis.access.principal import Principal, current
from gis.divisions.cards import Things
from gis.divisions.search import Search
from gis.errors import NotFound
from gis.store.pool import Pool
from tests.security.rows_fixture import (  # noqa: F401 - pytest finds fixtures among a module's names
    TABLES,
    Secured,
    store_fixture,
    template_fixture,
)

COUNT = "SELECT count(*)::int AS n FROM onemap.parcel"


@pytest.fixture
def pool(secured_store: Secured) -> Iterator[Pool]:
    made = Pool(secured_store.settings, size=1)  # one connection for all: what is left behind on it would show
    made.open()
    yield made
    made.close()


def number(pool: Pool, principal: Principal | None = None) -> int:
    with pool.reading(principal=principal) as conn:
        row = conn.execute(COUNT).fetchone()
    assert row is not None
    return int(row["n"])


def test_a_connection_is_lent_to_each_as_themselves(secured_store: Secured, pool: Pool) -> None:
    whole = secured_store.scratch.parcels
    assert [number(pool, secured_store[n]) for n in ("commander", "planner_a", "commander")] == [
        whole,
        whole // 2,
        whole,
    ]
    assert number(pool) == 0


def test_the_requests_principal_is_taken_by_itself(secured_store: Secured, pool: Pool) -> None:
    held = current.set(secured_store["planner_a"])
    try:
        assert number(pool) == secured_store.scratch.parcels // 2
    finally:
        current.reset(held)
    assert number(pool) == 0


def test_the_principal_goes_along_into_a_callbacks_thread(secured_store: Secured, pool: Pool) -> None:
    async def request(name: str) -> int:
        current.set(secured_store[name])
        return await asyncio.to_thread(number, pool)

    async def both() -> list[int]:
        return list(await asyncio.gather(request("planner_a"), request("commander")))

    whole = secured_store.scratch.parcels
    assert asyncio.run(both()) == [whole // 2, whole]


def test_where_the_request_came_from_is_told_too(secured_store: Secured, pool: Pool) -> None:
    with pool.reading(principal=secured_store["planner_a"]) as conn:
        row = conn.execute("SELECT current_setting('onemap.address') AS a, access.address()::text AS b").fetchone()
    assert row == {"a": "10.0.0.9", "b": "10.0.0.9/32"}


def test_reading_cannot_write(secured_store: Secured, pool: Pool) -> None:
    with pytest.raises(Exception, match="read-only"), pool.reading(principal=secured_store["commander"]) as conn:
        conn.execute("UPDATE onemap.case_file SET rating = 1")


@pytest.mark.parametrize("kind", ["parcel", "facility", "resource", "incident"])
def test_foreign_and_absent_look_alike(secured_store: Secured, pool: Pool, kind: Any) -> None:
    number_of = TABLES[kind]
    a, b = secured_store.scratch.townships[:2]

    def one_of(township: str) -> str:
        return str(secured_store.owner(
            f"SELECT {number_of} FROM onemap.{kind} WHERE township_code = %s ORDER BY 1 LIMIT 1", [township]  # noqa: S608
        )[0][0])  # fmt: skip

    held = current.set(secured_store["planner_a"])
    try:
        assert Things(pool).thing(kind, one_of(a)).key
        with pytest.raises(NotFound) as foreign:
            Things(pool).thing(kind, one_of(b))
        with pytest.raises(NotFound) as absent:
            Things(pool).thing(kind, "99999999")
    finally:
        current.reset(held)
    assert foreign.value.message.replace(one_of(b), "#") == absent.value.message.replace("99999999", "#")
    assert foreign.value.next_step == absent.value.next_step


def test_search_finds_only_ones_own_things(secured_store: Secured, pool: Pool) -> None:
    b = secured_store.scratch.townships[1]
    foreign = secured_store.owner("SELECT parcel_code FROM onemap.parcel WHERE township_code = %s LIMIT 1", [b])[0][0]
    names = secured_store.owner("SELECT name, township_code FROM onemap.facility WHERE township_code IS NOT NULL")

    def found(who: str, text: str) -> list[str]:
        held = current.set(secured_store[who])
        try:
            return [hit.kind for hit in Search(pool).find(text) if hit.kind != "division"]
        finally:
            current.reset(held)

    assert found("commander", foreign) == ["parcel"]
    assert found("planner_a", foreign) == []
    assert found("planner_a", foreign[:12]) == []  # nor by a guess at how it begins
    for name, township in names:
        assert bool(found("planner_a", name)) is (township != b), name


def test_an_index_does_not_tell_what_the_policy_hides(secured_store: Secured) -> None:
    b = secured_store.scratch.townships[1]
    [[code, number_]] = secured_store.owner(
        "SELECT parcel_code, parcel_id FROM onemap.parcel WHERE township_code = %s LIMIT 1", [b]
    )
    probes: list[tuple[str, list[Any]]] = [
        ("SELECT count(*) FROM onemap.parcel WHERE parcel_code = %s", [code]),
        ("SELECT count(*) FROM onemap.parcel WHERE parcel_id = %s", [number_]),
        ("SELECT count(*) FROM onemap.parcel WHERE parcel_code >= %s AND parcel_code <= %s", [code, code]),
        ("SELECT count(*) FROM onemap.alert WHERE township_code = %s", [b]),
        ("SELECT count(*) FROM onemap.household WHERE grid_code LIKE %s || '%%'", [b]),
        ("SELECT count(*) FROM onemap.parcel_summary WHERE grid_code LIKE %s || '%%'", [b]),
        ("SELECT count(*) FROM onemap.facility f, onemap.division d WHERE d.code = %s AND f.geom && d.geom AND ST_Covers(d.geom, f.geom)", [b]),
        # An expression that fails on one row only would tell that the row is there.
        ("SELECT count(*) FROM onemap.parcel WHERE 1 / (CASE WHEN parcel_code = %s THEN 0 ELSE 1 END) = 1 AND township_code = %s", [code, b]),
    ]  # fmt: skip
    with secured_store.asking(secured_store["planner_a"]) as conn:
        assert [conn.execute(query.encode(), values).fetchone() for query, values in probes] == [(0,)] * len(probes)
