"""Cases: reports taken in per second, the queue over all years, duplicates, the sweep, and what is left after a hundred kills."""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg import sql

from gis.access.crypt import load_keys, make_keys
from gis.access.principal import Principal
from gis.access.roles import Roles, publish
from gis.cases.acting import Acting
from gis.cases.clocks import Clocks
from gis.cases.engine import Cases, open_cases
from gis.cases.filtering import SORTS, Filter
from gis.cases.publishing import publish_cases
from gis.cases.routing import Duties
from gis.cases.sweep import Sweep
from gis.clock import now
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import apply_schema, create_database, drop_database
from gis.store.pool import Pool
from tests.bench import case_import
from tests.bench.report import Figure
from tests.case_county import case_county
from tests.case_kills import acknowledged_under_kills, half_rows, worker_under_kills
from tests.case_serving import serving
from tests.case_web import photo

_COPIED = ("intake.load", "onemap.division", "onemap.county", "onemap.case_file", "onemap.case_number")


def run(settings: Settings, *, quick: bool = False) -> list[Figure]:
    """Measure on a copy of the county's cases; the county itself is only read."""
    figures: list[Figure] = []
    with TemporaryDirectory() as folder, _copy(settings, Path(folder)) as (own, rows):
        lists = _Lists(own)
        try:
            figures += _queue(lists, rows=rows, quick=quick)
            figures.append(_near(lists, quick=quick))
            figures.append(_sweep(own, lists))
        finally:
            lists.close()
        figures += _reports(own, quick=quick)
    figures += _kills(settings, quick=quick)
    figures += case_import.figures(settings, rows=20_000 if quick else case_import.ROWS)
    figures += case_import.suggestion_figures(settings)
    return figures


@contextmanager
def _copy(settings: Settings, folder: Path) -> Iterator[tuple[Settings, int]]:
    """A scratch database with the divisions and all cases of the county."""
    name = f"bench_cases_{secrets.token_hex(3)}"
    own = settings.model_copy(
        update={"db_name": name, "photos": folder / "photos", "personal_key_file": folder / "personal.key", "production": True,
                "require_second_factor": False}
    )  # fmt: skip
    make_keys(own)
    create_database(settings, name=name)
    try:
        apply_schema(own, name=name)
        with connect(settings, role="owner") as source, connect(own, role="owner") as target:
            publish(target, Roles.load(own.data))
            publish_cases(target, own.data)
            for table in _COPIED:
                columns = ", ".join(
                    r[0] for r in target.execute(
                        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = '' "
                        "AND NOT attisdropped ORDER BY attnum", [table]).fetchall()
                )  # fmt: skip
                named, listed = sql.SQL(table), sql.SQL(columns)  # type: ignore[arg-type]
                take = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)").format(listed, named)
                put = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(named, listed)
                with source.cursor().copy(take) as out, target.cursor().copy(put) as into:
                    for block in out:
                        into.write(bytes(block))
            target.execute(
                "SELECT setval('onemap.case_file_case_id_seq', (SELECT max(case_id) + 1 FROM onemap.case_file))"
            )
            counted = target.execute("SELECT count(*) FROM onemap.case_file").fetchone()
        with connect(own, role="owner", autocommit=True) as conn:
            conn.execute("VACUUM ANALYZE onemap.case_file")
            conn.execute("VACUUM ANALYZE onemap.division")
        yield own, counted[0] if counted else 0
    finally:
        drop_database(settings, name=name)


class _Lists:
    """The engine as a county dispatcher and a township planner ask it."""

    def __init__(self, settings: Settings) -> None:
        self.pool = Pool(settings)
        self.pool.open()
        self.cases: Cases = open_cases(settings, pool=self.pool, keys=load_keys(settings))
        roles = Roles.load(settings.data)
        with connect(settings, role="owner") as conn:
            county = conn.execute("SELECT code FROM onemap.division WHERE level = 1 AND valid_to IS NULL").fetchone()
            township = conn.execute(
                "SELECT township_code FROM onemap.case_file GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
            ).fetchone()
            assert county is not None
            assert township is not None
            self.people = []
            for role, code in (("dispatcher", county[0]), ("planner", township[0])):
                made = conn.execute(
                    "INSERT INTO access.account (login, display_name, role) VALUES (%s, %s, %s) RETURNING account_id",
                    [f"bench.{role}", role, role],
                ).fetchone()
                assert made is not None
                conn.execute("INSERT INTO access.scope (account_id, division_code) VALUES (%s, %s)", [made[0], code])
                defined = roles.by_id[role]
                self.people.append(Principal(made[0], role, role, role, defined.name, (code,), defined.permissions))
            self.points = conn.execute(
                "SELECT ST_X(geom), ST_Y(geom), item_code FROM onemap.case_file WHERE geom IS NOT NULL ORDER BY md5(case_id::text) LIMIT 200"
            ).fetchall()

    def close(self) -> None:
        """Give the connections back."""
        self.pool.close()


def _filters() -> dict[str, Filter]:
    today = date.today()  # noqa: DTZ011
    return {
        "全部": Filter(), "在办": Filter(open=True), "办结": Filter(states=("closed",)), "超期": Filter(standing="breached"),
        "已停表": Filter(standing="done"), "事项": Filter(items=("0402", "0303")), "来源": Filter(channel="grid"), "单位": Filter(unit="swj"),
        "责任人": Filter(assignee_id=1), "层级": Filter(level=3), "两个字": Filter(text="路灯"), "没有的字": Filter(text="魑魅"),
        "近一年": Filter(reported_from=today - timedelta(days=365)), "有照片": Filter(has_photo=True), "无照片": Filter(has_photo=False),
        "本周办结": Filter(view="week"), "我的": Filter(view="mine"), "重开过": Filter(reopened=True),
        "几个一起": Filter(states=("closed",), items=("0402",), channel="grid", text="垃圾", reported_from=today - timedelta(days=300)),
    }  # fmt: skip


def _queue(lists: _Lists, *, rows: int, quick: bool) -> list[Figure]:
    """Every filter by every order, for two people; the middle of several runs each, and the worst of those."""
    runs = 2 if quick else 5
    worst, where, spent = 0.0, "", []
    for person in lists.people:
        for name, asked in _filters().items():
            for sort in ("due", "-reported") if quick else (*SORTS, "-reported", "-due"):
                took = []
                for _ in range(runs):
                    begun = time.perf_counter()
                    lists.cases.queue(asked, sort=sort, principal=person)
                    took.append(1000 * (time.perf_counter() - begun))
                middle = statistics.median(took)
                spent.append(middle)
                if middle > worst:
                    worst, where = middle, f"{name} {sort} {person.role}"
    note = f"{rows} 件；含取名、总数和各视图计数；{len(spent)} 种筛选×排序×人各 {runs} 次的中位数"
    return [
        Figure("队列一页，最慢的筛选", worst, "ms", target=100, note=f"{where}；{note}"),
        Figure("队列一页，全部筛选的中位数", statistics.median(spent), "ms", note=note),
    ]


def _near(lists: _Lists, *, quick: bool) -> Figure:
    took = []
    for lon, lat, item in lists.points[: 50 if quick else 200]:
        begun = time.perf_counter()
        lists.cases.near((lon, lat), item, principal=lists.people[0])
        took.append(1000 * (time.perf_counter() - begun))
    return Figure(
        "附近同类，p95", sorted(took)[int(len(took) * 0.95)], "ms", target=10, note=f"{len(took)} 处，连同事务和取名"
    )


def _sweep(settings: Settings, lists: _Lists) -> Figure:
    """One sweep in which every open case changes its standing, the worst minute there can be."""
    pool = Pool(settings, role="job", size=3)
    pool.open()
    try:
        processes = lists.cases.processes
        clocks, duties = Clocks(processes), Duties.load(settings.data)
        acting = Acting(
            pool,
            processes=processes,
            clocks=clocks,
            duties=duties,
            roles=Roles.load(settings.data),
            keys=load_keys(settings),
        )
        with pool.writing() as conn:
            conn.execute("UPDATE onemap.case_file SET swept = 'on_track' WHERE ended_at IS NULL")
        sweep = Sweep(pool, processes=processes, clocks=clocks, duties=duties, acting=acting)
        begun = time.perf_counter()
        swept = sweep.run()
        took = time.perf_counter() - begun
    finally:
        pool.close()
    return Figure(
        "时限巡检，全部在办",
        took,
        "s",
        target=1,
        note=f"改变 {swept.marked} 件，提醒 {swept.notices} 条，步骤 {swept.steps} 个",
    )


@dataclass
class _Load:
    """What came of a load: latency in ms from the moment a request was due to be sent."""

    took: list[float] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def p95(self) -> float:
        """95th percentile, ms."""
        return sorted(self.took)[int(len(self.took) * 0.95)] if self.took else float("nan")


def _reports(settings: Settings, *, quick: bool) -> list[Figure]:
    seconds = 5 if quick else 60
    with connect(settings, role="owner") as conn:
        points = conn.execute(
            "SELECT ST_X(geom), ST_Y(geom) FROM onemap.case_file WHERE geom IS NOT NULL ORDER BY md5(case_no) LIMIT 500"
        ).fetchall()
    pictures = [_picture(n) for n in range(8)]
    size = sum(len(p) for p in pictures) // len(pictures) // 1000
    with serving(settings, worker=True) as servers:
        port = servers.listening.getsockname()[1]
        asyncio.run(_send(port, rate=10, seconds=2, points=points, pictures=None))  # everything it loads once is loaded
        with_photo = asyncio.run(_send(port, rate=20, seconds=seconds, points=points, pictures=pictures))
        time.sleep(2)
        plain = asyncio.run(_send(port, rate=102, seconds=seconds, points=points, pictures=None))
    with connect(settings, role="owner") as conn:
        stored = {
            r[0]
            for r in conn.execute(
                "SELECT case_no FROM onemap.case_file WHERE load_id IS NULL OR revision = 0"
            ).fetchall()
        }
        photos = conn.execute("SELECT count(*) FROM onemap.case_photo").fetchone()
    lost = len({*with_photo.numbers, *plain.numbers} - stored)
    floor = _floor(settings, seconds=2 if quick else 10)
    return [
        Figure(
            "带照片上报到确认，p95", with_photo.p95, "ms", target=150,
            note=f"每秒 20 件，每件一张 {size} kB 照片，{seconds} s；确认 {len(with_photo.numbers)}，失败 {len(with_photo.failed)} {with_photo.failed[:1] or ''}；照片已落盘；同一进程同时转码",
        ),
        Figure(
            "不带照片上报", len(plain.numbers) / plain.seconds, "件/s", target=100, better="higher", peer=floor, peer_name="同库单表 INSERT 逐条提交",
            note=f"{seconds} s，确认 {len(plain.numbers)}，失败 {len(plain.failed)} {plain.failed[:1] or ''}，p95 {plain.p95:.0f} ms；网页、库、发送端同在这台机器",
        ),
        Figure("确认过却没有存下的", float(lost), "件", target=0, note=f"{len(with_photo.numbers) + len(plain.numbers)} 件确认，照片 {photos[0] if photos else 0} 张在库"),
    ]  # fmt: skip


def _picture(n: int) -> bytes:
    """About 500 kB of photo."""
    return photo(size=(1000, 740 + n), noise=True)


def _floor(settings: Settings, *, seconds: float) -> float:
    """What the store alone does: one row a transaction over one connection, durable, no checks, no history."""
    done, end = 0, time.monotonic() + seconds
    with connect(settings, role="owner", autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS public.floor (id bigint GENERATED ALWAYS AS IDENTITY, body text)")
        while time.monotonic() < end:
            conn.execute("INSERT INTO public.floor (body) VALUES (%s)", ["村口路灯不亮"])
            done += 1
        conn.execute("DROP TABLE public.floor")
    return done / seconds


async def _send(
    port: int, *, rate: float, seconds: float, points: list[tuple[float, float]], pictures: list[bytes] | None
) -> _Load:
    """An open load: each request at its own moment, however the ones before fare; over connections that are kept."""
    load = _Load()
    idle: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
    loop = asyncio.get_running_loop()
    begun = loop.time() + 0.2

    async def one(n: int) -> None:
        due = begun + n / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        request = _request(
            points[n % len(points)], None if pictures is None else pictures[n % len(pictures)] + str(n).encode(), n
        )
        try:
            reader, writer = idle.get_nowait() if not idle.empty() else await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            await writer.drain()
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = int(next(h for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")).split(b":")[1])
            body = await reader.readexactly(length)
            if head.split()[1] != b"201":
                load.failed.append(f"{head.split()[1].decode()} {body[:120].decode()}")
                writer.close()
                return
            load.took.append(1000 * (loop.time() - due))
            load.numbers.append(json.loads(body)["case_no"])
            idle.put_nowait((reader, writer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as e:
            load.failed.append(type(e).__name__)

    await asyncio.gather(*(one(n) for n in range(int(rate * seconds))))
    load.seconds = max(seconds, loop.time() - begun)
    while not idle.empty():
        idle.get_nowait()[1].close()
    return load


def _request(at: tuple[float, float], picture: bytes | None, n: int) -> bytes:
    content = json.dumps(
        {"title": f"村口路灯不亮 {n}", "item_code": "0303", "lonlat": list(at), "source_crs": "EPSG:4326"}
    ).encode()
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="report"\r\nContent-Type: application/json\r\n\r\n'
        + content
        + b"\r\n"
    ]
    if picture is not None:
        parts.append(
            b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
            + picture
            + b"\r\n"
        )
    body = b"".join(parts) + b"--b--\r\n"
    head = (
        f"POST /api/reports HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _kills(settings: Settings, *, quick: bool) -> list[Figure]:
    """SECURITY.md 1 and 3, as often as it asks for."""
    web, jobs = (5, 3) if quick else (100, 50)
    name = f"bench_kills_{secrets.token_hex(3)}"
    with TemporaryDirectory() as folder:
        own = settings.model_copy(
            update={"db_name": name, "photos": Path(folder) / "photos", "personal_key_file": Path(folder) / "personal.key", "production": True,
                    "require_second_factor": False}
        )  # fmt: skip
        create_database(settings, name=name)
        try:
            apply_schema(own, name=name)
            with case_county(own, Path(folder)) as county:
                acknowledged, lost, resent = acknowledged_under_kills(county, kills=web)
                half = len(half_rows(county))
                stuck, twice, longest = worker_under_kills(county, kills=jobs)
        finally:
            drop_database(settings, name=name)
    return [
        Figure(
            f"kill -9 网页进程 {web} 次：确认过却丢的",
            float(lost),
            "件",
            target=0,
            note=f"确认 {acknowledged} 件，其中 {resent} 件没等到答复、同一凭据重发",
        ),
        Figure(f"kill -9 网页进程 {web} 次：不完整的办件", float(half), "件", target=0),
        Figure(f"kill -9 任务进程 {jobs} 次：卡住的任务", float(stuck), "个", target=0, note=f"做了两遍的 {twice} 个"),
        Figure(
            f"kill -9 任务进程 {jobs} 次：最后一次以后全部做完", longest, "s", target=90, note=f"截至 {now():%H:%M}"
        ),
    ]
