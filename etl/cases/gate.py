"""The gate every batch of cases goes through: values turned into ours, and what is wrong with which row. Pure but for counting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from etl.cases import times
from etl.cases.mapping import NEEDED, PEOPLE, TIMES, CaseMapping, plain_word
from etl.cases.table import FORMULA, RAGGED, Sheet
from etl.encoding import garbled
from etl.fault import Faults
from etl.reference import Outline, Reference
from gis.errors import BadInput

_LONGEST = {
    "title": 200,
    "detail": 4000,
    "external_ref": 80,
    "reporter_name": 60,
    "reporter_phone": 40,
    "reporter_address": 200,
}
_ENDS = frozenset({"closed", "archived", "returned", "merged"})  # states that end a case of process incident
_NAMES = {
    "external_ref": "编号", "title": "标题", "status": "状态", "reported_at": "上报时间", "accepted_at": "受理时间",
    "responded_at": "响应时间", "due_at": "时限", "done_at": "反馈时间", "closed_at": "办结时间",
}  # fmt: skip
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_SOON = np.timedelta64(10, "m")  # clocks of two systems differ
_NO_CONTROL = str.maketrans({c: None for c in range(32) if c not in (9, 10)})


@dataclass
class Passed:
    """A batch after the gate.

    Attributes
    ----------
    values : dict
        Ours: ``key``, ``title``, ``detail``, ``item``, ``state`` and the people's columns as lists, times as datetime64 (UTC),
        ``rating`` as floats with NaN, ``geom`` as points of EPSG:4490 or None.
    faults : Faults
        By position in the batch.
    """

    values: dict[str, Any]
    faults: Faults
    n: int

    @property
    def good(self) -> NDArray[np.intp]:
        """Positions of rows without a fault."""
        return np.array([i for i in range(self.n) if i not in self.faults.faults], dtype=np.intp)


@dataclass
class CaseGate:
    """Checks of one import; counts what it met on the way.

    Parameters
    ----------
    located : dict of str to list of str
        Columns of the file by field of ours.
    now : datetime
        With an offset; later times are in the future.
    """

    mapping: CaseMapping
    located: dict[str, list[str]]
    reference: Reference
    outline: Outline
    now: datetime
    unknown_items: Counter[str] = field(default_factory=Counter)
    unknown_states: Counter[str] = field(default_factory=Counter)
    serials: int = 0
    without_item: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _width: int | None = None
    _items: dict[str, str | None] = field(default_factory=dict)
    _states: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapely.prepare(self.outline.geometry)

    def pass_through(self, sheet: Sheet) -> Passed:
        """Check one batch."""
        faults, n = Faults(), len(sheet)
        for i, what in sheet.spoilt.items():
            if what == RAGGED:
                faults.add(i, "ragged_row", "这一行的列数与表头不同，内容可能错位")
            elif what == FORMULA:
                faults.add(i, "formula_cell", "这一行有公式单元格，值未必是最新的；请粘贴为数值后再导出")
        cells = {f: self._cells(sheet, f) for f in self.mapping.file.fields}
        for column in cells.values():
            for i, v in enumerate(column):
                if type(v) is str and v[:1] == "=":
                    faults.add(i, "formula_cell", "有以 = 开头的单元格，是公式，不是值")
        values: dict[str, Any] = {"key": self._keys(cells["external_ref"], faults)}
        values["title"] = self._words(cells["title"], "title", faults, needed=True)
        values["detail"] = self._words(cells.get("detail", [None] * n), "detail", faults)
        values["item"] = self._items_of(cells.get("item", [None] * n), faults)
        values["state"] = self._states_of(cells["status"], faults)
        for name in TIMES:
            values[name] = self._times(cells.get(name), name, n, faults)
        self._order(values, faults)
        values["geom"] = self._points(cells.get("x"), cells.get("y"), n, faults)
        values["rating"] = self._ratings(cells.get("rating"), n, faults)
        for name in PEOPLE:
            if name in cells:
                values[name] = self._words(cells[name], name, faults)
        self._doubled(values["key"], sheet.first, faults)
        return Passed(values, faults, n)

    # -- one field each --

    def _cells(self, sheet: Sheet, name: str) -> list[Any]:
        columns = self.located.get(name, [])
        if not columns:
            return [None] * len(sheet)
        values = sheet.values[columns[0]]
        for more in columns[1:]:
            values = [v if v not in (None, "") else m for v, m in zip(values, sheet.values[more], strict=True)]
        return values

    def _keys(self, cells: Sequence[Any], faults: Faults) -> list[str | None]:
        rule = self.mapping.file.fields["external_ref"]
        pattern = None if rule.pattern is None else re.compile(rule.pattern)
        keys: list[str | None] = [_text(v) for v in cells]
        width = rule.digits or self._usual_width(keys)
        for i, key in enumerate(keys):
            if key is None:
                faults.add(i, "code_missing", "编号是空的")
            elif _SCIENTIFIC.fullmatch(key):
                faults.add(i, "code_number", f"编号“{key[:40]}”是科学计数法，末几位已经丢失，请以文本重新导出")
            elif width is not None and key.isascii() and key.isdigit() and 0 < width - len(key) <= 2:
                faults.add(i, "lost_zeros", f"编号“{key}”只有 {len(key)} 位，应为 {width} 位，可能丢了前导 0")
            elif (
                (rule.digits is not None and len(key) != rule.digits)
                or len(key) > _LONGEST["external_ref"]
                or (pattern and not pattern.fullmatch(key))
            ):
                faults.add(i, "code_malformed", f"编号“{key[:20] if key.isascii() else '（内容不显示）'}”格式不对")
        return keys

    def _usual_width(self, keys: Sequence[str | None]) -> int | None:
        """Digits of nearly all numbers of the file's beginning, where some begin with 0: what is shorter has lost them."""
        if self._width is None:
            digits = Counter(len(k) for k in keys if k is not None and k.isascii() and k.isdigit())
            width, n = digits.most_common(1)[0] if digits else (0, 0)
            zeros = any(k is not None and len(k) == width and k[:1] == "0" for k in keys)
            self._width = width if zeros and n >= 0.9 * sum(digits.values()) else 0
        return self._width or None

    def _words(self, cells: Sequence[Any], name: str, faults: Faults, *, needed: bool = False) -> list[str | None]:
        longest, out = _LONGEST[name], [_text(v) for v in cells]
        for i, text in enumerate(out):
            if text is None:
                if needed:
                    faults.add(i, "title_missing", "标题是空的")
                continue
            if not text.isprintable():
                out[i] = text = text.translate(_NO_CONTROL)
            if len(text) > longest:
                if name in ("title", "detail"):
                    out[i] = text[: longest - 1] + "…"
                else:
                    faults.add(i, "code_malformed", "上报人信息太长，可能错列")
            if name == "title" and garbled(text):
                faults.add(i, "garbled_text", "标题是乱码")
        return out

    def _items_of(self, cells: Sequence[Any], faults: Faults) -> list[str | None]:
        out: list[str | None] = [None] * len(cells)
        for i, v in enumerate(cells):
            word = v if type(v) is str else _text(v)
            if not word:
                self.without_item += 1
                continue
            if word not in self._items:
                self._items[word] = self.mapping.items.get(plain_word(word)) if word.strip() else None
            code = out[i] = self._items[word]
            if code is None:
                padded = word.strip().zfill(4)
                if padded in self.mapping.items and word.strip().isdigit():
                    faults.add(i, "lost_zeros", f"事项“{word.strip()}”可能丢了前导 0，应为 {padded}")
                    continue
                self.unknown_items[word.strip()[:20]] += 1
                faults.add(i, "unknown_category", f"事项“{word.strip()[:20]}”对不上我们的事项表")
        return out

    def _states_of(self, cells: Sequence[Any], faults: Faults) -> list[str | None]:
        out: list[str | None] = [None] * len(cells)
        for i, v in enumerate(cells):
            word = _text(v) or ""
            if word not in self._states:
                self._states[word] = self.mapping.states.get(plain_word(word))
            out[i] = self._states[word]
            if out[i] is None:
                self.unknown_states[word[:20] or "（空）"] += 1
                faults.add(i, "unknown_status", f"状态“{word[:20]}”没有对应" if word else "状态是空的")
        return out

    def _times(self, cells: Sequence[Any] | None, name: str, n: int, faults: Faults) -> NDArray[np.datetime64]:
        if cells is None:
            return np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
        found, wrong, serials = times.read_times(cells, formats=self.mapping.file.formats, zone=self.mapping.zone)
        self.serials += serials
        for i, what in wrong.items():
            shown = str(cells[i])[:40]
            match what:
                case times.FOREIGN:
                    faults.add(
                        i, "foreign_timezone", f"{_NAMES[name]}“{shown}”的时区不是声明的 {self.mapping.file.timezone}"
                    )
                case times.TWICE:
                    faults.add(i, "time_unreadable", f"{_NAMES[name]}“{shown}”在调钟的那一小时里，不知是哪一刻")
                case _:
                    faults.add(
                        i, "time_unreadable", f"{_NAMES[name]}“{shown if shown.isascii() else '（内容不显示）'}”读不懂"
                    )
        if name == "reported_at":
            for k in np.flatnonzero(np.isnat(found)):
                if int(k) not in wrong:
                    faults.add(k, "time_missing", "上报时间是空的")
        if name != "due_at":
            latest = np.datetime64(int(self.now.timestamp() * 1e6), "us") + _SOON
            for k in np.flatnonzero(found > latest):
                faults.add(k, "future_date", f"{_NAMES[name]}“{str(cells[int(k)])[:40]}”在未来")
        return found

    def _order(self, values: dict[str, Any], faults: Faults) -> None:
        reported, closed = values["reported_at"], values["closed_at"]
        for i in np.flatnonzero(closed < reported):
            faults.add(i, "closed_before_created", "办结时间早于上报时间")
        for name in ("accepted_at", "responded_at", "done_at"):
            for i in np.flatnonzero(values[name] < reported):
                faults.add(i, "times_disordered", f"{_NAMES[name]}早于上报时间")
        ended = np.array([s in _ENDS for s in values["state"]], dtype=bool)
        for i in np.flatnonzero(ended & np.isnat(closed)):
            faults.add(i, "status_contradicts", "状态是已结束，却没有办结时间")
        for i in np.flatnonzero(~ended & ~np.isnat(closed)):
            if values["state"][i] is not None:
                faults.add(i, "status_contradicts", "状态是在办，却有办结时间")

    def _points(
        self, xs: Sequence[Any] | None, ys: Sequence[Any] | None, n: int, faults: Faults
    ) -> NDArray[np.object_]:
        points = np.full(n, None, dtype=object)
        if xs is None or ys is None:
            return points
        x, y = _numbers(xs), _numbers(ys)
        wild = ~(np.isfinite(x) & np.isfinite(y)) & ~(_empty(xs) & _empty(ys))
        for i in np.flatnonzero(wild):
            faults.add(i, "coordinate_not_finite", "坐标只有一半，或不是数字")
        there = np.isfinite(x) & np.isfinite(y)
        zero = there & (np.abs(x) < 1e-6) & (np.abs(y) < 1e-6)
        for i in np.flatnonzero(zero):
            faults.add(i, "zero_coordinates", "坐标是 0,0，是没有定位，不是位置")
        rows = np.flatnonzero(there & ~zero)
        if not len(rows):
            return points
        xy = np.column_stack([x[rows], y[rows]])
        lonlat = self.reference.to_store(xy)
        inside = self._inside(lonlat)
        points[rows[inside]] = shapely.points(lonlat[inside])
        away = np.flatnonzero(~inside)
        if len(away):
            turned = self._inside(self.reference.to_store(xy[away], swap=True))
            for k, other in zip(away, turned, strict=True):
                if other:
                    faults.add(rows[k], "swapped_axes", f"坐标轴颠倒：对调两个坐标后落在{self.outline.name}内")
                else:
                    faults.add(
                        rows[k], "outside_county", f"不在{self.outline.name}范围内，坐标 {xy[k, 0]:.4f}, {xy[k, 1]:.4f}"
                    )
        return points

    def _inside(self, lonlat: NDArray[np.float64]) -> NDArray[np.bool_]:
        fine = np.isfinite(lonlat).all(axis=1)
        return np.asarray(
            fine
            & shapely.contains_xy(
                self.outline.geometry, np.where(fine, lonlat[:, 0], 0), np.where(fine, lonlat[:, 1], 0)
            )
        )

    def _ratings(self, cells: Sequence[Any] | None, n: int, faults: Faults) -> NDArray[np.float64]:
        if cells is None:
            return np.full(n, np.nan)
        rating = _numbers(cells)
        for i in np.flatnonzero(~_empty(cells) & ~np.isin(rating, (1, 2, 3, 4, 5))):
            faults.add(i, "value_not_listed", "评价应是 1 到 5")
        return rating

    def _doubled(self, keys: Sequence[str | None], first: int, faults: Faults) -> None:
        seen = self._seen
        for i, key in enumerate(keys):
            if key is None or i in faults.faults:
                continue
            earlier = seen.setdefault(key, first + i)
            if earlier != first + i:
                faults.add(i, "duplicate_key", f"编号与第 {earlier} 行相同，保留先出现的第 {earlier} 行")

    def notes(self) -> list[str]:
        """What was met, for the report and the lineage."""
        said = [
            f"{what}：{'、'.join(f'{word} {n:,} 行' for word, n in met.most_common(30))}{'……' if len(met) > 30 else ''}"
            for what, met in (("对不上的事项", self.unknown_items), ("没有对应的状态", self.unknown_states))
            if met
        ]
        if self.serials:
            said.append(f"{self.serials:,} 个时间是 Excel 的日期序号，已换算")
        if self.without_item:
            said.append(f"{self.without_item:,} 行没有事项，按未分类入库")
        return said


def locate(columns: list[str], mapping: CaseMapping) -> dict[str, list[str]]:
    """Columns of the file for each field, in order of preference; a field nobody delivers is absent.

    Raises
    ------
    BadInput
        When a column that every case needs is not there.
    """
    by_name = {c.lower(): c for c in columns}
    found = {f: [by_name[n.lower()] for n in c.names if n.lower() in by_name] for f, c in mapping.file.fields.items()}
    if missing := [f for f in NEEDED if not found[f]]:
        wanted = "；".join(f"{_NAMES[f]}（{' / '.join(mapping.file.fields[f].names)}）" for f in missing)
        raise BadInput(
            f"文件里没有{wanted}。现有列：{'、'.join(columns[:30])}。",
            next_step=f"换一个字段对应（--mapping），或在 data/imports/{mapping.name}.toml 里补上列名。",
        )
    return {f: names for f, names in found.items() if names}


def _text(value: Any) -> str | None:
    """Text of a cell without padding; a whole number without decimals; None for nothing."""
    if type(value) is str:
        return value.strip(" \t\r\n\u3000") or None
    if value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value).strip() or None


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=np.float64)


def _empty(values: Sequence[Any]) -> NDArray[np.bool_]:
    return np.array([v is None or (type(v) is str and not v.strip()) for v in values], dtype=bool)
