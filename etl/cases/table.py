"""Lists of another system, CSV or XLSX, read in batches of columns; what cannot be read safely is refused whole."""

from __future__ import annotations

import codecs
import csv
import hashlib
import itertools
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl.encoding import garbled
from etl.limits import Limits
from gis.errors import BadInput

FORMULA, RAGGED = "formula", "ragged"
_CELL = 1 << 20  # characters; longer cells are no report
_CELLS_WITH_FORMULA = re.compile(rb'<c r="[A-Z]{1,3}(\d+)"[^>]*>\s*<f[ >/]')
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Sheet:
    """Some rows.

    Attributes
    ----------
    first : int
        1-based number of the first one; the header does not count.
    values : dict of str to list
        Column → cells: str, float, datetime or None.
    spoilt : dict of int to str
        Position in the batch → `FORMULA` or `RAGGED`.
    """

    first: int
    values: dict[str, list[Any]]
    spoilt: dict[int, str]

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), []))


@dataclass
class Table:
    """An opened list.

    Attributes
    ----------
    count : int
        Lines: never fewer than there are rows (a cell may hold line breaks).
    """

    name: str
    path: Path
    sha256: str
    count: int
    columns: list[str]
    limits: Limits
    encoding: str | None = None
    delimiter: str = ","
    notes: list[str] = field(default_factory=list)
    _formulas: frozenset[int] = frozenset()

    def batches(self) -> Iterator[Sheet]:
        """Read all rows, ``batch_rows`` at a time.

        Raises
        ------
        BadInput
            More rows than allowed, or a table that breaks off.
        """
        rows = self._csv() if self.encoding else self._xlsx()
        first, size, width = 1, self.limits.file.batch_rows, len(self.columns)
        while True:
            block = list(itertools.islice(rows, size))
            if not block:
                return
            spoilt: dict[int, str] = {}
            for i, row in enumerate(block):
                if len(row) != width:
                    spoilt[i] = RAGGED
                    block[i] = (row + [None] * width)[:width]
                if first + i in self._formulas:
                    spoilt[i] = FORMULA
            yield Sheet(
                first, {c: list(v) for c, v in zip(self.columns, zip(*block, strict=True), strict=True)}, spoilt
            )
            first += len(block)
            if first > self.limits.file.max_rows:
                raise BadInput(
                    f"{self.name} 超过一次导入的上限 {self.limits.file.max_rows:,} 行。",
                    next_step="请按年份拆成几份导入。",
                )

    def _csv(self) -> Iterator[list[Any]]:
        csv.field_size_limit(_CELL)
        try:
            with self.path.open(encoding=self.encoding, newline="") as f:
                reader = csv.reader(f, delimiter=self.delimiter)
                next(reader, None)
                yield from (row for row in reader if row)
        except csv.Error as e:
            raise BadInput(f"{self.name} 不是完好的 CSV：{e}。", next_step="请重新导出为 UTF-8 的 CSV。") from e

    def _xlsx(self) -> Iterator[list[Any]]:
        rows = _sheet(self.path, self.name).iter_rows()
        next(rows, None)
        for row in rows:
            if any(v != "" for v in row):
                cells = [None if v == "" else v for v in row]
                yield cells + [None] * (len(self.columns) - len(cells))
            else:
                yield [None] * len(self.columns)


def open_table(text: str, *, encoding: str | None, limits: Limits) -> Table:
    """Open a list.

    Parameters
    ----------
    text : str
        Path of a .csv or .xlsx.
    encoding : str or None
        ``--encoding``; otherwise a BOM, else UTF-8 where all of it is, else GB18030.

    Raises
    ------
    BadInput
        Not a file of these kinds, too large, damaged, of no known encoding, without a header or without rows.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        raise BadInput(f"没有文件 {path.name}。", next_step="核对路径。")
    if path.stat().st_size > limits.file.max_geojson_bytes:
        raise BadInput(f"{path.name} 太大。", next_step="请按年份拆成几份导入。")
    match path.suffix.lower():
        case ".csv" | ".txt" | ".tsv":
            table = _open_csv(path, encoding, limits)
        case ".xlsx":
            table = _open_xlsx(path, limits)
        case ".xls":
            raise BadInput("旧式 .xls 不能导入。", next_step="请在表格软件里另存为 .xlsx 或 CSV（UTF-8）。")
        case other:
            raise BadInput(f"不能导入“{other or path.name}”。", next_step="请用 .csv 或 .xlsx。")
    doubled = {c for c in table.columns if table.columns.count(c) > 1}
    if not any(table.columns) or doubled:
        what = f"列名重复：{'、'.join(sorted(doubled))}" if doubled else "第一行没有列名"
        raise BadInput(f"{path.name} 的{what}。", next_step="第一行应是各不相同的列名。")
    if any(garbled(c) for c in table.columns):
        raise BadInput(f"{path.name} 的列名是乱码。", next_step="文件在别处转坏了，请从原系统重新导出。")
    if table.count < 1:
        raise BadInput(
            f"{path.name} 里没有任何记录（0 行），不是成功。", next_step="请检查导出时的筛选条件，重新导出。"
        )
    return table


def _open_csv(path: Path, demanded: str | None, limits: Limits) -> Table:
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    encoding, why = _encoding(raw, demanded, path.name)
    lines = max(raw.count(b"\n"), raw.count(b"\r")) + 1
    if b"\0" in raw and encoding != "utf-16":
        raise BadInput(f"{path.name} 里有空字节，不是文本。", next_step="请重新导出为 CSV。")
    del raw
    with path.open(encoding=encoding, newline="") as f:
        head = f.readline()
        delimiter = max(",\t;|", key=head.count)
        f.seek(0)
        try:
            columns = [c.strip().strip("\ufeff") for c in next(csv.reader(f, delimiter=delimiter), [])]
        except csv.Error as e:
            raise BadInput(f"{path.name} 不是完好的 CSV：{e}。", next_step="请重新导出为 UTF-8 的 CSV。") from e
    return Table(
        path.name, path, digest, lines - 1, columns, limits, encoding, delimiter, [f"编码 {encoding}（{why}）"]
    )


def _encoding(raw: bytes, demanded: str | None, name: str) -> tuple[str, str]:
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            return encoding, "文件头有 BOM"
    tries = (
        [(demanded, f"按 --encoding {demanded}")]
        if demanded
        else [("utf-8", "文字是严格的 UTF-8"), ("gb18030", "未声明编码，按 GB18030")]
    )
    for encoding, why in tries:
        try:
            raw.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        return encoding, why
    what = f"{demanded}" if demanded else "UTF-8、GB18030"
    raise BadInput(f"{name} 的文字用 {what} 读不通。", next_step="请问清来源后用 --encoding 指明，或重新导出为 UTF-8。")


def _open_xlsx(path: Path, limits: Limits) -> Table:
    a = limits.archive
    try:
        with zipfile.ZipFile(path) as z:
            parts = z.infolist()
            unpacked, packed = sum(p.file_size for p in parts), sum(p.compress_size for p in parts) or 1
            if (
                len(parts) > a.max_entries
                or unpacked > limits.file.max_geojson_bytes * 4
                or (unpacked > a.ratio_from_bytes and unpacked / packed > a.max_ratio)
            ):
                raise BadInput(f"{path.name} 展开后大得离谱，没有打开。", next_step="请另存为 CSV（UTF-8）再导入。")
            sheets = sorted(
                (p for p in parts if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", p.filename)),
                key=lambda p: (len(p.filename), p.filename),
            )
            formulas = frozenset(_formula_rows(z, sheets[0])) if sheets else frozenset()
    except (zipfile.BadZipFile, OSError) as e:
        raise BadInput(f"{path.name} 不是完好的 .xlsx。", next_step="请用表格软件打开后另存为 .xlsx 或 CSV。") from e
    sheet = _sheet(path, path.name)
    head: list[Any] = next(sheet.iter_rows(), [])
    columns = [str(v).strip() for v in head]
    while columns and not columns[-1]:
        columns.pop()
    notes = [f"{len(formulas):,} 行有公式单元格"] if formulas else []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Table(
        path.name, path, digest, max(0, sheet.total_height - 1), columns, limits, notes=notes, _formulas=formulas
    )


def _formula_rows(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[int]:
    """Rows (the first below the header is 1) of which a cell is computed: its value is only as good as the last time it was."""
    tail = b""
    with archive.open(part) as f:
        while chunk := f.read(1 << 22):
            text = tail + chunk
            yield from (int(m[1]) - 1 for m in _CELLS_WITH_FORMULA.finditer(text))
            tail = text[-300:]


def _sheet(path: Path, name: str) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
    except (CalamineError, OSError, IndexError) as e:
        raise BadInput(f"{name} 读不出来：{e}。", next_step="请用表格软件打开后另存为 .xlsx 或 CSV。") from e
