"""The demo county (示例县) built from nothing: generate, load, sum up; marked built only when all of it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter
from typing import Any

import psycopg
from psycopg import Connection, sql

from etl.copy import load_table, mend
from etl.demo.content import TableLoad, content, division_load
from etl.demo.profile import CountyProfile, load_profile
from etl.demo.terrain import Terrain, generate
from etl.lineage import Source, close_load, open_load
from gis.access.resealing import keys_of_store
from gis.divisions.placing import read_grids
from gis.errors import BadRequest, SetupProblem
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.holdings import Standing, read_standing
from gis.store.space import is_scarce

Progress = Callable[[str], None]

AS_OF = date(2026, 11, 22)  # the day the demo's data stands at, unless told otherwise
SYNTHETIC = "合成"
# One build at a time in a database; any constant will do.
_LOCK = 0x6F6E656D61700001
# From here on a table gets both connections to itself; below, two tables load side by side.
_LARGE = 400_000


@dataclass(frozen=True)
class Phase:
    """One step of a build: what, how many rows, how long."""

    name: str
    rows: int
    seconds: float


@dataclass
class BuildReport:
    """What a build did.

    Attributes
    ----------
    built : bool
        False when the county stood already and nothing was touched.
    """

    county: str
    scale: str
    built: bool
    seconds: float = 0.0
    phases: list[Phase] = field(default_factory=list)


def build_county(
    settings: Settings,
    *,
    profile: CountyProfile | str,
    scale: str = "demo",
    as_of: date = AS_OF,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the demo county into the store, from scratch.

    A county that stands is left alone unless `rebuild`. An unfinished build (killed, failed) is started over.

    Parameters
    ----------
    profile : CountyProfile or str
        The profile, or its name in ``data/counties/``.
    scale : str
        ``demo`` or ``full``.
    as_of : date
        The day the data stands at: incidents end the day before.
    rebuild : bool
        Throw away what the store holds, imported files too.
    progress : callable or None
        Told what is done, in Chinese.

    Raises
    ------
    BadRequest
        The store holds imported (not generated) data, or another county or scale, and `rebuild` is False.
    SetupProblem
        Another build is running, or the store failed half way (disk, connection).
    """
    known = load_profile(profile) if isinstance(profile, str) else profile
    name = profile if isinstance(profile, str) else known.code
    tell = progress or (lambda _: None)
    report = BuildReport(known.name, scale, built=False)
    began = perf_counter()
    with connect(settings, role="owner", autocommit=True) as conn, _alone(conn):
        if not rebuild and _stands(conn, known, scale):
            return report
        try:
            _empty(conn)
            _mark_begun(conn, known, name, scale)
            terrain = _timed(report, tell, "生成地形地块", lambda: generate(known, scale, progress=progress))
            _load_everything(settings, conn, terrain, as_of, report, tell)
            _timed(report, tell, "汇总与整理", lambda: _finish(conn))
            conn.execute("UPDATE onemap.county SET built_at = now() WHERE code = %s", [known.code])
        except psycopg.Error as e:
            reason = "磁盘满了" if is_scarce(settings) else str(e).strip().splitlines()[0]
            raise SetupProblem(
                f"建县中断：{reason}。库里的半成品不会被使用。",
                next_step="运行 ./onemap doctor 查磁盘和数据库，然后重来：./onemap county build。",
            ) from e
    report.built = True
    report.seconds = perf_counter() - began
    return report


def built(settings: Settings) -> Standing | None:
    """Return the county that stands finished in the store; None when there is none or its build was cut short."""
    with connect(settings, role="owner") as conn:
        standing = read_standing(conn)
    return standing if standing and standing.built_at else None


def _load_everything(
    settings: Settings, conn: Connection, terrain: Terrain, as_of: date, report: BuildReport, tell: Progress
) -> None:
    """Divisions first, for everything else is placed in their grids; then tables side by side on two connections."""

    def load(table: TableLoad, load_id: int) -> None:
        columns = table.columns | ({"load_id": load_id} if table.traced else {})
        times = load_table(settings, table.table, columns, connections=2 if table.rows >= _LARGE else 1)
        report.phases.append(Phase(table.table, times.rows, times.total_s))
        tell(f"入库{table.label} {times.rows:,} 行，{times.total_s:.1f} 秒")

    first = division_load(terrain)
    opened = [(first, _open(conn, first))]
    load(*opened[0])
    grids = read_grids(conn)
    running: dict[str, Future[None]] = {}
    # Two threads: the server spends most of the time, generating the next table goes on meanwhile.
    with ThreadPoolExecutor(2) as pool:
        try:
            for table in content(terrain, grids, as_of=as_of, keys=keys_of_store(settings, conn)):
                for name in table.after:
                    running[name].result()
                opened.append((table, _open(conn, table)))
                running[table.table] = pool.submit(load, *opened[-1])
            for future in running.values():
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for table, load_id in opened:
        close_load(conn, load_id, rows_loaded=table.rows)


def _open(conn: Connection, load: TableLoad) -> int:
    return open_load(conn, Source(load.subject, SYNTHETIC, crs="EPSG:4490", synthetic=True, note=load.table))


def _timed(report: BuildReport, tell: Progress, name: str, work: Callable[[], Any]) -> Any:
    began = perf_counter()
    result = work()
    report.phases.append(Phase(name, 0, perf_counter() - began))
    tell(f"{name}，{report.phases[-1].seconds:.1f} 秒")
    return result


@contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    """Hold the build's lock; the server lets go of it when we are killed."""
    row = conn.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row != (True,):
        raise SetupProblem("另一个建县任务正在进行。", next_step="等它结束，或结束那个进程后重来。")
    try:
        yield
    finally:
        if not conn.closed and not conn.broken:
            conn.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _stands(conn: Connection, profile: CountyProfile, scale: str) -> bool:
    """True when this county stands built; refuse to overwrite what is not ours to throw away."""
    standing = read_standing(conn)
    if standing and standing.built_at:
        if (standing.code, standing.scale) == (profile.code, scale):
            return True
        raise BadRequest(
            f"库里已有{standing.name}（{standing.scale}），与要建的{profile.name}（{scale}）不同。",
            next_step="换库名（ONEMAP_DB_NAME），或加 --rebuild 清空重建。",
        )
    imported = conn.execute(
        "SELECT count(*) FROM intake.load WHERE NOT synthetic AND undone_at IS NULL AND rows_loaded > 0"
    ).fetchone()
    if imported and imported[0]:
        raise BadRequest(
            f"库里有 {imported[0]} 批导入的真实数据，建示例县会清空它们。", next_step="确认不要了再加 --rebuild。"
        )
    return False


def _empty(conn: Connection) -> None:
    """Throw everything away, and mend what a killed load left; versions of tables go on counting, published processes stay."""
    mend(conn)
    with conn.transaction():
        tables = conn.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('onemap', 'personal', 'intake') "
            "AND tablename NOT IN ('table_version', 'dropped_index', 'process') AND tableowner = current_user "
            "ORDER BY 1, 2"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(*t) for t in tables)
        conn.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))


def _mark_begun(conn: Connection, profile: CountyProfile, name: str, scale: str) -> None:
    conn.execute(
        "INSERT INTO onemap.county (code, name, profile, metric_srid, scale, seed, outline_source) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [profile.code, profile.name, name, profile.metric_srid, scale, profile.seed, profile.outline.source],
    )


def _finish(conn: Connection) -> None:
    conn.execute("SELECT onemap.refresh_parcel_summary()")
    # VACUUM also sets the visibility map: the first readers need not write hint bits
    for table in ("parcel", "parcel_summary", "case_file", "household", "building"):
        conn.execute(sql.SQL("VACUUM (ANALYZE) onemap.{}").format(sql.Identifier(table)))
