"""The exchange with the store that tiles are made by: one transaction, prepared once, and no answer left for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from gis.settings import Settings
from gis.store.engine import connect
from gis.store.queries import load_queries
from gis.tiles.exchange import Question, TileConnection, exchange
from gis.tiles.gateway import TileGateway
from tests.integration.tiles.county import HERE, shipped

SET = Question.of(b"SELECT set_config('onemap.principal', %(who)s, true)")
WHO = Question.of(b"SELECT current_setting('onemap.principal', true)")
BROKEN = Question.of(b"SELECT 1 / %(n)s::integer")


def on_a_connection(settings: Settings, use: Callable[[TileConnection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with await TileConnection.connect(settings.url(role="app"), autocommit=True) as conn:
            return await use(conn)

    return asyncio.run(run())


def test_values_are_numbered_as_they_come() -> None:
    question = Question.of(b"SELECT %(b)s::int, %(a)s::int, %(b)s::int, 'x' LIKE '01%%'")
    assert question.text == b"SELECT $1::int, $2::int, $1::int, 'x' LIKE '01%'"
    assert question.order == ("b", "a")
    assert question.name != Question.of(b"SELECT %(b)s::int, %(a)s::int").name


def test_what_one_question_sets_holds_for_the_exchange_and_no_longer(county: Settings) -> None:
    async def use(conn: TileConnection) -> list[bytes | None]:
        together = await exchange(conn, (SET, {"who": "7"}), (WHO, {}))
        after = await exchange(conn, (WHO, {}))
        again = await exchange(conn, (SET, {"who": "8"}), (WHO, {}))
        return [r.get_value(0, 0) for r in (together, after, again)]

    assert on_a_connection(county, use) == [b"7", b"", b"8"]


def test_a_refusal_is_raised_and_the_connection_goes_on(county: Settings) -> None:
    async def use(conn: TileConnection) -> list[bytes | None]:
        heard = []
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await exchange(conn, (SET, {"who": "7"}), (BROKEN, {"n": 0}), (WHO, {}))
            heard.append((await exchange(conn, (WHO, {}))).get_value(0, 0))
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await exchange(conn, (BROKEN, {"n": "nonsense"}))
        with pytest.raises(psycopg.errors.UndefinedTable):
            await exchange(conn, (Question.of(b"SELECT * FROM onemap.ghost"), {}))
        return [*heard, (await exchange(conn, (SET, {"who": "8"}), (BROKEN, {"n": 1}), (WHO, {}))).get_value(0, 0)]

    assert on_a_connection(county, use)[-1] == b"8"


def test_a_question_is_prepared_once(county: Settings) -> None:
    async def use(conn: TileConnection) -> int:
        for who in ("1", "2", "3"):
            await exchange(conn, (SET, {"who": who}), (WHO, {}))
        row = await (
            await conn.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'tile_%'")
        ).fetchone()
        assert row is not None
        return int(row[0])

    assert on_a_connection(county, use) == 2


def test_an_exchange_left_in_the_middle_leaves_no_answer_to_the_next(county: Settings) -> None:
    sleep = Question.of(b"SELECT pg_sleep(5)::text")

    async def use(conn: TileConnection) -> bool:
        task = asyncio.ensure_future(exchange(conn, (sleep, {})))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return conn.closed

    assert on_a_connection(county, use) is True


def test_a_connection_that_was_cut_is_told_and_replaced(county: Settings) -> None:
    async def use() -> tuple[str, int]:
        gateway = TileGateway(county, layers=shipped(), queries=load_queries("tiles"))
        gateway._pool._max_size = 1
        layer = shipped()["divisions"]
        index = layer.level_at(HERE.z)
        assert index is not None
        await gateway.open()
        first = await gateway.make(layer, index, HERE)
        with connect(county, role="admin", autocommit=True) as conn:
            cut = "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s AND usename = 'onemap_app'"
            conn.execute(cut, [county.db_name])
        try:
            await gateway.make(layer, index, HERE)
            told = "nothing"
        except Exception as e:
            told = type(e).__name__
        again = await gateway.make(layer, index, HERE)
        await gateway.close()
        assert again.body == first.body
        return told, again.features

    told, features = asyncio.run(use())
    assert told == "StoreUnavailable"
    assert features > 0


def test_the_connection_given_back_last_is_handed_out_first(county: Settings) -> None:
    async def use() -> set[int]:
        gateway = TileGateway(county, layers=shipped(), queries=load_queries("tiles"))
        await gateway.open()
        pool = gateway._pool
        held = [await pool.getconn() for _ in range(3)]
        for conn in held:
            await pool.putconn(conn)
        served = set()
        for _ in range(6):
            async with pool.connection() as conn:
                served.add(conn.info.backend_pid)
        await gateway.close()
        return served

    assert len(asyncio.run(use())) == 1
