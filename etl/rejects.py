"""Quarantined rows handed back (退回清单): as a GeoPackage to mend them in QGIS, or a CSV to read them in a table."""

from __future__ import annotations

import csv
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from psycopg import Connection

from etl.sealing import open_row
from gis.access.crypt import Keys
from gis.errors import BadInput, NotFound
from gis.store.queries import load_queries

_OURS = ("行号", "编码", "原因代码", "原因")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def write_rejects(conn: Connection, load_id: int, *, out: Path, vault: Keys | None = None) -> int:
    """Write all quarantined rows of a load with their reasons; return how many.

    The file is readable by its owner only: with `vault` it holds names and identity numbers.

    Parameters
    ----------
    vault : Keys or None
        Opens what is sealed: the rows are whole, as they came. None: personal fields are masked, what else is sealed is
        marked; such a file is for reading, not for importing again.
    out : Path
        ``.csv`` (UTF-8 with BOM, cells that spreadsheets would run neutralised by a leading apostrophe) or
        ``.gpkg`` (with the geometry as it came, in the CRS of the load).

    Raises
    ------
    NotFound
        No such load, or nothing was quarantined.
    BadInput
        The format is not one of the two, or the file is there already.
    """
    if out.suffix.lower() not in (".csv", ".gpkg"):
        raise BadInput(f"不能写成“{out.suffix or out.name}”。", next_step="请用 .csv 或 .gpkg，如 --out 问题行.gpkg。")
    if out.exists():
        raise BadInput(f"文件 {out.name} 已存在，没有覆盖。", next_step="换一个文件名。")
    queries = load_queries("imports")
    load = conn.execute(queries["load"], {"load_id": load_id}).fetchone()
    if load is None:
        raise NotFound(f"没有批次 {load_id}。", next_step="用 ./onemap import log 查批次号。")
    rows = conn.execute(queries["rejects"], {"load_id": load_id}).fetchall()
    if not rows:
        raise NotFound(f"批次 {load_id} 没有被隔离的行。", next_step="全部通过，不需要处理。")
    if vault is not None:
        rows = [
            (*row[:4], open_row(vault, load_id=load_id, number=row[0], shown=row[4], sealed=row[6]), row[5])
            for row in rows
        ]
    columns = list(dict.fromkeys(c for row in rows for c in row[4]))
    try:
        os.close(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if out.suffix.lower() == ".csv":
            _write_csv(rows, columns, out)
        else:
            _write_geopackage(rows, columns, crs=str(load[4] or ""), out=out)
    except OSError as e:
        raise BadInput(
            f"写不了 {out.name}：{e.strerror}。", next_step="请检查文件夹是否存在、能否写入、磁盘是否已满。"
        ) from e
    return len(rows)


def _write_csv(rows: list[tuple[Any, ...]], columns: list[str], out: Path) -> None:
    with out.open("w", encoding="utf-8-sig", newline="") as f:
        writer = csv.writer(f)
        writer.writerow([*_OURS, *(neutral(c) for c in columns)])
        for number, key, code, reason, properties, *_ in rows:
            writer.writerow(
                [number, neutral(key), code, neutral(reason), *(neutral(properties.get(c)) for c in columns)]
            )


def neutral(value: object) -> object:
    """A cell no spreadsheet runs as a formula; taking one leading apostrophe off again gives the value back."""
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text if text.startswith(_FORMULA) else text


def _write_geopackage(rows: list[tuple[Any, ...]], columns: list[str], *, crs: str, out: Path) -> None:
    from pyogrio import raw

    taken = {c.lower() for c in (*_OURS, "fid", "geom")}
    named = [c if c.lower() not in taken else f"{c}_" for c in columns]
    fields = [np.array([r[0] for r in rows], dtype=np.int64)]
    fields += [_texts([r[i] for r in rows]) for i in (1, 2, 3)]
    fields += [_texts([r[4].get(c) for r in rows]) for c in columns]
    geometry = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        geometry[i] = None if row[5] is None else bytes(row[5])
    fresh = out.with_name(f".{out.stem}.part.gpkg")
    fresh.unlink(missing_ok=True)
    code = crs.split("（")[0]
    try:
        if not code.startswith("EPSG:"):
            warnings.filterwarnings("ignore", message="'crs' was not provided", module="pyogrio")
        raw.write(
            str(fresh), geometry, fields, [*_OURS, *named], geometry_type="Unknown", driver="GPKG", layer="rejects",
            crs=code if code.startswith("EPSG:") else None,
        )  # fmt: skip
        fresh.chmod(0o600)
        fresh.replace(out)
    except BaseException:
        fresh.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
        raise


def _texts(values: list[Any]) -> Any:
    return np.array(
        [None if v is None else v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values],
        dtype=object,
    )
