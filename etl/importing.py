"""Import parcels or facilities from a file: read, check, quarantine, place, load — one transaction, all or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import Connection

from etl.attributes import locate
from etl.checking import anchor_points
from etl.dividing import import_divisions
from etl.fault import TITLES, Tally
from etl.gate import Gate
from etl.limits import Limits, read_limits
from etl.lineage import Source as Origin
from etl.lineage import close_load, open_load
from etl.mapping import Mapping, Subject, read_mapping
from etl.neighbours import Neighbours
from etl.offset import refuse_shifted
from etl.reading import Source, open_source
from etl.reference import Outline, Reference, country, decide, whereabouts
from etl.rejects import write_rejects
from etl.report import UNITS, NothingLoaded, Report, reasons, record
from etl.staging import Stage
from gis.access.crypt import Keys
from gis.access.resealing import keys_of_store
from gis.errors import BadInput, OnemapError, SetupProblem, StoreUnavailable
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.queries import load_queries
from gis.store.space import require_free

OnProgress = Callable[[str, int, int], None]
"""Called with the step's Chinese name, rows done, rows in all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the person asked for.

    Attributes
    ----------
    layer, encoding, crs : str or None
        Layer of a GeoPackage; encoding of a shapefile; CRS as ``EPSG:4526``, ``GCJ-02`` or ``BD-09``.
    swap_xy : bool
        The file's first number is the northing or latitude.
    repair : bool
        Mend self-crossing polygons where that changes nothing that matters.
    again : bool
        Import a file that was imported before.
    dry_run : bool
        Do everything, then take it back.
    rejects : Path or None
        Write the quarantined rows here, even when nothing is stored.
    valid_from : date or None
        First day of imported divisions.
    """

    layer: str | None = None
    encoding: str | None = None
    crs: str | None = None
    swap_xy: bool = False
    repair: bool = False
    again: bool = False
    dry_run: bool = False
    rejects: Path | None = None
    valid_from: date | None = None


def import_file(
    settings: Settings,
    *,
    subject: Subject,
    file: str,
    mapping: str,
    options: Options,
    on_progress: OnProgress = lambda step, done, total: None,
) -> Report:
    """Import one file.

    Raises
    ------
    BadInput
        The file was refused. `NothingLoaded` when it was read whole and no row was good. The store is as before.
    StoreUnavailable
        The database went away; the store is as before.
    """
    began = time.perf_counter()
    limits = read_limits(settings.data)
    require_free(settings, mb=limits.file.keep_free_mb, what="导入")
    rules = read_mapping(settings.data, mapping, subject=subject)
    with (
        open_source(file, layer=options.layer, encoding=options.encoding, limits=limits) as source,
        store_transaction(settings, keep=not options.dry_run) as conn,
    ):
        if not conn.execute(load_queries("imports")["lock"]).fetchone() == (True,):
            raise BadInput("另一个导入正在进行。", next_step="等它结束（./onemap import log 可查看）再导入。")
        notes = [*seen_before(conn, source.sha256, subject, options), *source.notes]
        if subject == "divisions":
            return import_divisions(
                conn, settings=settings, source=source, mapping=rules, limits=limits, crs=options.crs,
                swap_xy=options.swap_xy, valid_from=options.valid_from, dry_run=options.dry_run, notes=notes,
                began=began, on_progress=on_progress,
            )  # fmt: skip
        return _import_features(
            conn, settings=settings, source=source, mapping=rules, limits=limits, options=options, notes=notes, began=began,
            keys=keys_of_store(settings, conn),
            on_progress=on_progress,
        )  # fmt: skip


@contextmanager
def store_transaction(settings: Settings, *, keep: bool = True) -> Iterator[Connection]:
    """One transaction as role job: kept when `keep` and nothing went wrong; the server's errors in our words."""
    conn = connect(settings, role="job")
    same = "库与导入前一样，没有留下半份数据。"
    try:
        yield conn
        if keep:
            conn.commit()
        else:
            conn.rollback()
    except (psycopg.errors.DiskFull, psycopg.errors.ConfigurationLimitExceeded) as e:
        raise BadInput(f"数据库磁盘空间不足。{same}", next_step="清理磁盘后再导入；./onemap doctor 会指出位置。") from e
    except psycopg.errors.InsufficientPrivilege as e:
        raise SetupProblem(f"数据库权限不足：{_line(e)}。{same}", next_step="运行 ./onemap doctor。") from e
    except psycopg.IntegrityError as e:
        raise BadInput(f"数据库拒绝了其中的数据：{_line(e)}。{same}", next_step="请把这句话和文件交给开发者。") from e
    except psycopg.OperationalError as e:
        raise StoreUnavailable(
            f"导入中途与数据库断开：{_line(e)}。{same}", next_step="运行 ./onemap doctor 查原因，再导入一次。"
        ) from e
    finally:
        conn.close()  # an open transaction is rolled back by this


def _line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def read_outline(conn: Connection) -> Outline:
    """Where the county of this store lies.

    Raises
    ------
    BadInput
        The store has no county yet, or no boundary of it.
    """
    row = conn.execute(load_queries("imports")["county"]).fetchone()
    geometry = shapely.from_wkb(row[3]) if row is not None else None
    if row is None or geometry is None:
        raise BadInput(
            "库里还没有本县的界线，无法判断数据落在哪里。",
            next_step="先运行 ./onemap up 建县，或先导入区划：./onemap import divisions。",
        )
    return Outline(row[1], geometry, int(row[2]))


def seen_before(conn: Connection, sha256: str, subject: str, options: Options) -> list[str]:
    """Refuse a file that was imported before; with ``--again`` or in a dry run a note says so."""
    row = conn.execute(load_queries("imports")["same_file"], {"sha256": sha256, "subject": subject}).fetchone()
    if row is None:
        return []
    said = f"同一个文件已在 {row[1]} 导入过（批次 {row[0]}）"
    if not options.again and not options.dry_run:
        raise BadInput(
            f"{said}，没有重复导入。",
            next_step=f"要重来请先撤销：./onemap import undo {row[0]}；确要再导一次加 --again。",
        )
    return [said]


def _import_features(
    conn: Connection,
    *,
    settings: Settings,
    source: Source,
    mapping: Mapping,
    limits: Limits,
    options: Options,
    notes: list[str],
    began: float,
    keys: Keys,
    on_progress: OnProgress,
) -> Report:
    outline = read_outline(conn)
    located = locate(source.columns, mapping)
    looked_at = source.sample()
    sample = anchor_points(looked_at.wkb, max_coordinate=limits.location.max_coordinate)
    reference = decide(
        declared=source.crs_text, demanded=options.crs, swap_xy=options.swap_xy, xy=sample, outline=outline, limits=limits,
        name=source.name,
    )  # fmt: skip
    notes.extend(reference.notes)
    columns = located.get(mapping.key)
    notes += refuse_shifted(
        conn, subject=mapping.subject, wkb=looked_at.wkb, reference=reference, limits=limits, name=source.name,
        keys=looked_at.values[columns[0]] if columns else np.full(len(looked_at), None, dtype=object),
    )  # fmt: skip
    crs = reference.label + ("（对调坐标轴）" if reference.swap_xy else "")
    load_id = open_load(conn, Origin(mapping.subject, source.name, source.sha256, crs, mapping.name))

    gate = Gate(
        mapping=mapping, located=located, reference=reference, outline=outline, repair=options.repair,
        max_coordinate=limits.location.max_coordinate,
    )  # fmt: skip
    stage = Stage(
        conn, load_id=load_id, mapping=mapping, outline=outline, source=source, keys=keys,
        neighbours=Neighbours.load(settings.data),
    )  # fmt: skip
    rows_in = 0
    for batch in source.batches():
        stage.add(batch, gate.pass_through(batch))
        rows_in += len(batch)
        require_free(settings, mb=limits.file.keep_free_mb, what="导入")
        on_progress("读取和检查", rows_in, source.count)
    if rows_in == 0:
        raise BadInput(f"{source.name} 的记录都标记为已删除（0 行），不是成功。", next_step="请重新导出。")
    on_progress("核对重复和重叠", 0, 1)
    stage.hold_against_each_other(on_progress)
    on_progress("入库", 0, 1)
    _require_room(conn, settings, limits)
    loaded = stage.load()
    on_progress("入库", 1, 1)

    notes.extend(gate.notes())
    notes.extend(stage.notes)
    close_load(conn, load_id, rows_loaded=loaded, rows_quarantined=stage.rejected.total)
    conn.execute(load_queries("imports")["annotate"], {"load_id": load_id, "note": record(notes, stage.warned)})
    if options.rejects is not None and stage.rejected.total:
        # Whole: it goes to whoever has the file itself in hand.
        write_rejects(conn, load_id, out=options.rejects, vault=keys)
        notes.append(f"未导入的行已写入 {options.rejects.name}")
    report = Report(
        subject=mapping.subject, file=source.name, sha256=source.sha256, mapping=mapping.name, crs=crs,
        dry_run=options.dry_run, load_id=None if options.dry_run or not loaded else load_id, rows_in=rows_in,
        rows_loaded=loaded, rows_quarantined=stage.rejected.total, quarantined=reasons(stage.rejected),
        warnings=reasons(stage.warned), notes=list(dict.fromkeys(notes)), unplaced=stage.unplaced,
        seconds=time.perf_counter() - began,
        next_steps=next_steps(stage.rejected, load_id, options) if loaded else [],
    )  # fmt: skip
    if loaded + stage.rejected.total != rows_in:  # never a silent drop
        raise OnemapError(f"行数对不上：读 {rows_in}，入库 {loaded}，隔离 {stage.rejected.total}。库未改动。")
    if not loaded:
        raise _nothing(
            report, stage.rejected, sample, reference=reference, outline=outline, limits=limits, mapping=mapping
        )
    return report


def _require_room(conn: Connection, settings: Settings, limits: Limits) -> None:
    """Refuse before the one statement that writes everything: a database whose log finds no room stops altogether."""
    staged = conn.execute(load_queries("imports")["staged_bytes"]).fetchone()
    need = int((staged[0] if staged else 0) * limits.file.room_per_staged / 1e6)
    require_free(settings, mb=need + limits.file.keep_free_mb, what="这一批入库")


def next_steps(rejected: Tally, load_id: int, options: Options, *, example: str = "问题行.gpkg") -> list[str]:
    """What to do after an import, with its commands."""
    steps = []
    if options.dry_run:
        steps.append("这是试运行，库没有改动；确认无误后去掉 --dry-run 再导入。")
        if rejected.total and options.rejects is None:
            steps.append("要看全部有问题的行，加 --rejects 问题行.csv。")
        return steps
    if rejected.total:
        steps.append(
            f"下载未导入的行和原因：./onemap import rejects {load_id} --out {example}（要改好再导入，加 --personal --reason 改错）。"
        )
    steps.append(f"要撤销这一批：./onemap import undo {load_id}")
    return steps


def _nothing(
    report: Report,
    rejected: Tally,
    sample: NDArray[np.float64],
    *,
    reference: Reference,
    outline: Outline,
    limits: Limits,
    mapping: Mapping,
) -> NothingLoaded:
    unit = UNITS[mapping.subject]
    away = rejected.counts.get("outside_county", 0)
    if away == report.rows_in:
        place = whereabouts(sample, reference.crs, swap_xy=reference.swap_xy)
        return NothingLoaded(
            f"{report.rows_in:,} {unit}都不在{outline.name}范围内：文件坐标系 {reference.label}{country(reference.crs, limits)}，"
            f"位置约在 {place}。没有导入。",
            next_step="请确认文件是不是本县的；若坐标系写错了，用 --crs 指明正确的。", report=report,
        )  # fmt: skip
    top, _ = rejected.most()[0]
    example = rejected.examples[top][0]
    return NothingLoaded(
        f"{report.rows_in:,} {unit}都没有通过检查，没有导入：{rejected.sentence()}。例如第 {example[0]} 行：{example[2]}。",
        next_step=f"先解决“{TITLES[top]}”；加 --rejects 问题行.csv 可以得到每一行的原因。", report=report,
    )  # fmt: skip
