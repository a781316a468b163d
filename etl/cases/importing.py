"""Import cases from another system's list: read, check, quarantine, seal, number, load or update — one transaction, all or nothing."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from etl.cases.gate import CaseGate, locate
from etl.cases.loading import Loading
from etl.cases.mapping import CaseMapping, read_case_mapping
from etl.cases.table import Sheet, Table, open_table
from etl.fault import TITLES
from etl.importing import OnProgress, Options, next_steps, read_outline, seen_before, store_transaction
from etl.limits import Limits, read_limits
from etl.lineage import Source as Origin
from etl.lineage import close_load, open_load
from etl.reference import decide
from etl.rejects import write_rejects
from etl.report import NothingLoaded, Report, reasons, record
from gis.access import audit
from gis.access.resealing import keys_of_store
from gis.clock import now
from gis.divisions.placing import read_grids
from gis.errors import BadInput, OnemapError
from gis.settings import Settings
from gis.store.queries import load_queries
from gis.store.space import require_free

_STEP = "读取、检查和入库"


def import_cases(
    settings: Settings, *, file: str, mapping: str, options: Options, on_progress: OnProgress = lambda step, done, total: None
) -> Report:  # fmt: skip
    """Import one list of cases.

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
    table = open_table(file, encoding=options.encoding, limits=limits)
    with store_transaction(settings, keep=not options.dry_run) as conn:
        if not conn.execute(load_queries("imports")["lock"]).fetchone() == (True,):
            raise BadInput("另一个导入正在进行。", next_step="等它结束（./onemap import log 可查看）再导入。")
        process = conn.execute(load_queries("imports_cases")["process"]).fetchone()
        if process is None:
            raise BadInput("库里还没有发布事件流程。", next_step="先运行一次 ./onemap up，再导入。")
        version, definition = process
        rules = read_case_mapping(settings.data, mapping, states=frozenset(s["id"] for s in definition["state"]))
        notes = [*seen_before(conn, table.sha256, "incidents", options), *table.notes]
        return _import(
            conn, settings=settings, table=table, mapping=rules, limits=limits, options=options, notes=notes, began=began,
            version=version, prefix=definition["prefix"], on_progress=on_progress,
        )  # fmt: skip


def _import(
    conn: Connection, *, settings: Settings, table: Table, mapping: CaseMapping, limits: Limits, options: Options, notes: list[str],
    began: float, version: int, prefix: str, on_progress: OnProgress,
) -> Report:  # fmt: skip
    keys, outline = keys_of_store(settings, conn), read_outline(conn)
    located = locate(table.columns, mapping)
    sheets = table.batches()
    first = next(sheets, None)
    if first is None:
        raise BadInput(
            f"{table.name} 里没有任何记录（0 行），不是成功。", next_step="请检查导出时的筛选条件，重新导出。"
        )
    swap = options.swap_xy or mapping.file.swap_xy
    reference = decide(
        declared=None, demanded=options.crs or mapping.file.crs, swap_xy=swap, xy=_sample(first, located, limits), outline=outline,
        limits=limits, name=table.name,
    )  # fmt: skip
    notes.extend(reference.notes)
    crs = reference.label + ("（对调坐标轴）" if reference.swap_xy else "")
    load_id = open_load(conn, Origin("incidents", table.name, table.sha256, crs, mapping.name))
    gate = CaseGate(mapping=mapping, located=located, reference=reference, outline=outline, now=now())
    loading = Loading(
        conn, load_id=load_id, mapping=mapping, table=table, grids=read_grids(conn), keys=keys, now=gate.now, prefix=prefix,
        version=version, crs=reference.label,
    )  # fmt: skip
    rows_in = _run(
        chain([first], sheets),
        gate,
        loading,
        settings=settings,
        limits=limits,
        total=table.count,
        on_progress=on_progress,
    )
    on_progress("更新已有的", 0, 1)
    loading.finish()
    on_progress("更新已有的", 1, 1)

    notes += [f"新增 {loading.new:,} 件，更新 {loading.updated:,} 件，未变 {loading.unchanged:,} 件", *gate.notes()]
    if loading.new or loading.updated:
        conn.execute(load_queries("imports_cases")["tell"], {"load_id": load_id})
    close_load(conn, load_id, rows_loaded=loading.loaded, rows_quarantined=loading.rejected.total)
    conn.execute(
        load_queries("imports")["annotate"], {"load_id": load_id, "note": record(notes, type(loading.rejected)())}
    )
    audit.record(
        conn, action="case.import", object_kind="load", object_id=load_id,
        detail={"new": loading.new, "updated": loading.updated, "quarantined": loading.rejected.total, "mapping": mapping.name},
    )  # fmt: skip
    if options.rejects is not None and loading.rejected.total:
        write_rejects(conn, load_id, out=options.rejects, vault=keys)
        notes.append(f"未导入的行已写入 {options.rejects.name}")
    report = Report(
        subject="incidents", file=table.name, sha256=table.sha256, mapping=mapping.name, crs=crs, dry_run=options.dry_run,
        load_id=None if options.dry_run or not loading.loaded else load_id, rows_in=rows_in, rows_loaded=loading.loaded,
        rows_quarantined=loading.rejected.total, quarantined=reasons(loading.rejected), warnings=[], notes=list(dict.fromkeys(notes)),
        unplaced=loading.unplaced, seconds=time.perf_counter() - began,
        next_steps=next_steps(loading.rejected, load_id, options, example="问题行.csv") if loading.loaded else [],
    )  # fmt: skip
    if loading.loaded + loading.rejected.total != rows_in:  # never a silent drop
        raise OnemapError(f"行数对不上：读 {rows_in}，入库 {loading.loaded}，隔离 {loading.rejected.total}。库未改动。")
    if not loading.loaded:
        top = loading.rejected.most()[0][0]
        raise NothingLoaded(
            f"{table.name} 的 {rows_in:,} 行都没有通过检查，没有导入：{loading.rejected.sentence()}。",
            next_step=f"先解决“{TITLES[top]}”；加 --rejects 问题行.csv 可以得到每一行的原因。", report=report,
        )  # fmt: skip
    return report


def _run(
    sheets: chain[Sheet], gate: CaseGate, loading: Loading, *, settings: Settings, limits: Limits, total: int, on_progress: OnProgress
) -> int:  # fmt: skip
    """Check and seal one batch while the server writes the one before: two cores are busy, two batches are in memory."""
    rows = 0
    with ThreadPoolExecutor(1, thread_name_prefix="onemap-load") as writer:
        writing: Future[None] | None = None
        try:
            for sheet in sheets:
                ready = loading.prepare(sheet, gate.pass_through(sheet))
                if writing is not None:
                    writing.result()
                require_free(settings, mb=limits.file.keep_free_mb, what="导入")
                writing = writer.submit(loading.write, ready)
                rows += len(sheet)
                on_progress(_STEP, rows, max(rows, total))
        finally:
            if writing is not None:
                writing.result()
    return rows


def _sample(sheet: Sheet, located: dict[str, list[str]], limits: Limits) -> NDArray[np.float64]:
    """Positions of the first rows that have one, for deciding whether the declared CRS can be right."""
    if "x" not in located or "y" not in located:
        return np.empty((0, 2))
    found: list[tuple[float, float]] = []
    for x, y in zip(sheet.values[located["x"][0]], sheet.values[located["y"][0]], strict=True):
        try:
            point = float(x), float(y)
        except (TypeError, ValueError):
            continue
        if np.isfinite(point).all() and any(abs(v) > 1e-6 for v in point):
            found.append(point)
        if len(found) == limits.location.sample_rows:
            break
    return np.array(found, dtype=np.float64).reshape(-1, 2)
