"""Import divisions (区划): all rows are right and the tree adds up, or nothing goes in; old versions end, features move."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection

from etl.attributes import locate
from etl.checking import anchor_points, metric_area
from etl.copy import copy_rows
from etl.fault import Tally
from etl.gate import Gate
from etl.limits import Limits
from etl.lineage import Source as Origin
from etl.lineage import close_load, open_load
from etl.mapping import Mapping
from etl.placing_again import place_again
from etl.reading import Batch, Source
from etl.reference import Outline, decide
from etl.repair import share_corners
from etl.report import Report, record
from etl.tree import LEVELS, Division, check_tree
from gis.clock import today
from gis.divisions.verify import PLACED_NAMES, DivisionRules
from gis.errors import BadInput
from gis.settings import Settings
from gis.store.queries import load_queries

_LISTED = 20  # faults named in the sentence; the count says how many more
_CORNER_M, _CORNER_DEG = 1e-3, 1e-8  # a corner this near a neighbour's side lies on it: a millimetre
# China on land, degrees: where a county may lie before its outline is known. Source: EPSG area of use 1067, rounded out.
_CHINA = (73.0, 16.0, 136.0, 54.0)


def import_divisions(
    conn: Connection,
    *,
    settings: Settings,
    source: Source,
    mapping: Mapping,
    limits: Limits,
    crs: str | None,
    swap_xy: bool,
    valid_from: date | None,
    dry_run: bool,
    notes: list[str],
    began: float,
    on_progress: Callable[[str, int, int], None],
) -> Report:
    """Import a file of divisions in the caller's transaction.

    Raises
    ------
    BadInput
        No or a wrong ``valid_from``; any row with a fault; a tree with a hole, an overlap or a missing parent.
        The sentence names the features.
    """
    on = _day(valid_from)
    current, since = _current(conn)
    county = _county(conn, current)
    located = locate(source.columns, mapping)
    sample = anchor_points(source.sample().wkb, max_coordinate=limits.location.max_coordinate)
    reference = decide(
        declared=source.crs_text,
        demanded=crs,
        swap_xy=swap_xy,
        xy=sample,
        outline=county[1],
        limits=limits,
        name=source.name,
    )
    gate = Gate(
        mapping=mapping, located=located, reference=reference, outline=county[1], repair=False,
        max_coordinate=limits.location.max_coordinate,
    )  # fmt: skip
    new, columns, faults = _read(source, gate, on_progress)
    if not faults:
        on_progress("核对区划树", 0, 1)
        tolerance = DivisionRules.load(settings.data).tolerance["area_m2"].value
        faults = check_tree(
            new, current, county_code=county[0], tolerance_m2=tolerance,
            area=lambda g: metric_area(g, county[1].metric_srid),
        )  # fmt: skip
        faults += [
            f"{d} 的现行版本自 {since[d.code]} 起生效，新版本须晚于该日"
            for d in new
            if d.code in since and since[d.code] >= on
        ]
    if faults:
        more = f"；另有 {len(faults) - _LISTED} 处" if len(faults) > _LISTED else ""
        raise BadInput(
            f"区划文件 {source.name} 有 {len(faults)} 处问题，一行也没有导入：{'；'.join(faults[:_LISTED])}{more}。",
            next_step="区划必须整份正确才能入库：请改好这些要素，再整份导入。",
        )
    label = reference.label + ("（对调坐标轴）" if reference.swap_xy else "")
    load_id = open_load(conn, Origin("divisions", source.name, source.sha256, label, mapping.name))
    queries = load_queries("imports_divisions")
    ended = conn.execute(queries["close"], {"codes": [d.code for d in new], "on": on}).rowcount
    copy_rows(
        conn, "onemap.division",
        columns | {"level": np.array([d.level for d in new]), "valid_from": on, "boundary_status": "official", "load_id": load_id},
    )  # fmt: skip
    on_progress("重新落点", 0, 1)
    moved = place_again(conn)
    notes = [*notes, *reference.notes, *gate.notes(), f"自 {on} 起生效", f"结束旧版本 {ended} 个"]
    if any(moved.values()):
        notes.append("重新落点：" + "、".join(f"{PLACED_NAMES[t]} {n:,}" for t, n in moved.items() if n))
    close_load(conn, load_id, rows_loaded=len(new))
    conn.execute(load_queries("imports")["annotate"], {"load_id": load_id, "note": record(notes, Tally())})
    return Report(
        subject="divisions", file=source.name, sha256=source.sha256, mapping=mapping.name, crs=label, dry_run=dry_run,
        load_id=None if dry_run else load_id, rows_in=len(new), rows_loaded=len(new), rows_quarantined=0, quarantined=[],
        warnings=[], notes=notes, unplaced=0, seconds=time.perf_counter() - began,
        next_steps=["这是试运行，库没有改动；确认无误后去掉 --dry-run 再导入。"] if dry_run
        else ["核对：./onemap divisions verify", f"要撤销这一批：./onemap import undo {load_id}"],
    )  # fmt: skip


def _day(valid_from: date | None) -> date:
    if valid_from is None:
        raise BadInput(
            "导入区划要说明从哪天起生效。", next_step="加 --valid-from 2026-11-01 这样的日期（以批复文件为准）。"
        )
    if valid_from > today():
        raise BadInput(f"生效日期 {valid_from} 还没到。", next_step="到生效当天再导入；旧月份的数字不会受影响。")
    return valid_from


def _current(conn: Connection) -> tuple[dict[str, Division], dict[str, date]]:
    rows = conn.execute(load_queries("imports_divisions")["current"]).fetchall()
    tree = {
        code: Division(0, code, name, parent, None if wkb is None else shapely.from_wkb(wkb))
        for code, _, name, parent, _, wkb in rows
    }
    return tree, {row[0]: row[4] for row in rows}


def _county(conn: Connection, current: dict[str, Division]) -> tuple[str, Outline]:
    """Code of the county and where it lies; all of China while it has no boundary yet."""
    row = conn.execute(load_queries("imports")["county"]).fetchone()
    if row is None:
        raise BadInput("库里还没有登记本县的代码和平面坐标系。", next_step="先运行 ./onemap up 建县，再导入区划。")
    code, name, srid, wkb = row
    known = shapely.from_wkb(wkb)
    outline = known if known is not None else shapely.box(*_CHINA)
    return str(code), Outline(str(name) if known is not None else "中国", outline, int(srid))


def _read(
    source: Source, gate: Gate, on_progress: Callable[[str, int, int], None]
) -> tuple[list[Division], dict[str, NDArray[np.object_]], list[str]]:
    """Every row through the gate: divisions, the columns to store, and what is wrong, row by row."""
    # a county re-drawn larger may leave its old outline: each child is held against its parent instead
    new: list[Division] = []
    columns: dict[str, list[object]] = {
        k: [] for k in ("code", "name", "parent_code", "urban_rural", "households", "population", "geom")
    }
    faults: list[str] = []
    batches = list(source.batches())  # a county has a few thousand divisions: all at once
    corners = _with_common_corners(batches, geographic=gate.reference.crs.is_geographic)
    done = 0
    for batch in corners:
        passed = gate.pass_through(batch)
        for i in range(len(batch)):
            if i in passed.faults.faults:
                faults.append(_named(batch, passed.values, i, passed.faults.first(i).reason))
                continue
            values = {k: passed.values[k][i] if k in passed.values else None for k in columns if k != "geom"}
            code = str(values["code"])
            if values["parent_code"] is None and LEVELS[len(code)] > 1:
                values["parent_code"] = code[:-3]
            geometry = passed.located.geometry[i]
            if geometry.geom_type == "Polygon":
                geometry = shapely.multipolygons([geometry])
            parent = values["parent_code"]
            new.append(
                Division(
                    int(batch.number[i]), code, str(values["name"]), None if parent is None else str(parent), geometry
                )
            )
            for k, column in columns.items():
                column.append(geometry if k == "geom" else values[k])
        done += len(batch)
        on_progress("读取和检查", done, source.count)
    return new, {k: _column(v) for k, v in columns.items()}, faults


def _with_common_corners(batches: list[Batch], *, geographic: bool) -> list[Batch]:
    """The batches with each border's corners on both its sides: what tiles in the file's CRS tiles in ours."""
    wkb = np.concatenate([b.wkb for b in batches]) if batches else np.empty(0, object)
    with np.errstate(invalid="ignore"):
        geometry = np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), dtype=object)
        shared = shapely.to_wkb(share_corners(geometry, tolerance=_CORNER_DEG if geographic else _CORNER_M))
    wkb = np.where(shapely.is_missing(geometry), wkb, shared)
    ends = np.cumsum([len(b) for b in batches])
    return [Batch(b.number, wkb[e - len(b) : e], b.values) for b, e in zip(batches, ends, strict=True)]


def _named(batch: Batch, values: dict[str, NDArray[np.object_]], i: int, reason: str) -> str:
    label = " ".join(str(v) for v in (values["code"][i], values["name"][i]) if v is not None)
    return f"第 {batch.number[i]} 行 {label}：{reason}".replace("  ", " ")


def _column(values: list[object]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = value
    return column
