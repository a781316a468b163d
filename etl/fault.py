"""What can be wrong with a row: a code, a title for the table, and the sentence that goes with the row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

# Order is the order of importance: a row's first fault in this order is the one it is counted under.
TITLES = {
    "geometry_missing": "没有图形",
    "geometry_unreadable": "图形读不出",
    "geometry_empty": "图形是空的",
    "coordinate_not_finite": "坐标不是有效数字（NaN、无穷或大得离谱）",
    "geometry_type": "图形类型不符",
    "multi_part": "一个地块有多个部分",
    "self_crossing": "图形自相交",
    "geometry_invalid": "图形无效",
    "swapped_axes": "坐标轴颠倒",
    "outside_county": "不在本县范围内",
    "area_absurd": "面积不合理",
    "formula_cell": "公式单元格",
    "ragged_row": "列数与表头不同",
    "zero_coordinates": "坐标是 0,0",
    "code_missing": "缺少编码或必填项",
    "title_missing": "没有标题",
    "time_missing": "没有上报时间",
    "time_unreadable": "时间读不懂",
    "foreign_timezone": "时区与声明的不同",
    "future_date": "时间在未来",
    "closed_before_created": "办结早于上报",
    "times_disordered": "受理或反馈早于上报",
    "unknown_status": "状态没有对应",
    "status_contradicts": "状态与办结时间矛盾",
    "unknown_category": "事项对不上",
    "code_number": "编码变成了数字（科学计数法）",
    "lost_zeros": "编码可能丢了前导 0",
    "code_malformed": "编码格式不对",
    "value_not_listed": "值不在代码表里",
    "value_not_number": "不是数字",
    "garbled_text": "文字是乱码",
    "masked_value": "个人信息是脱敏过的",
    "area_unit": "面积单位混用",
    "area_mismatch": "申报面积与图形面积相差大",
    "duplicate_key": "编码在文件中重复",
    "duplicate_in_store": "编码在库中已有",
    "handled_here": "本地已办理，未覆盖",
    "duplicate_geometry": "图形重复",
    "overlap": "与其他地块重叠",
    "contractor_differs": "承包方与库中同编码的名称不同（未改动）",
}
_RANK = {code: i for i, code in enumerate(TITLES)}
EXAMPLES = 3  # shown per reason; the whole list is one command away


class Fault(NamedTuple):
    """One thing wrong with one row: reason code and the sentence a person reads."""

    code: str
    reason: str


@dataclass
class Faults:
    """Faults and warnings of the rows of one batch, by position in the batch."""

    faults: dict[int, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    warnings: dict[int, list[Fault]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: int | np.integer[Any], code: str, reason: str, *, response: str = "quarantine") -> None:
        """Note a fault; ``warn`` keeps the row, ``off`` forgets it."""
        if response == "quarantine":
            self.faults[int(row)].append(Fault(code, reason))
        elif response == "warn":
            self.warnings[int(row)].append(Fault(code, reason))

    def first(self, row: int) -> Fault:
        """The row's most important fault, its sentence joined with the others'."""
        faults = sorted(self.faults[row], key=lambda f: _RANK[f.code])
        return Fault(faults[0].code, "；".join(dict.fromkeys(f.reason for f in faults)))


@dataclass
class Tally:
    """Rows counted by reason, with the first examples."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: dict[str, list[tuple[int, str | None, str]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, code: str, number: int, key: str | None, reason: str) -> None:
        """Count one row."""
        self.counts[code] += 1
        if len(self.examples[code]) < EXAMPLES:
            self.examples[code].append((number, key, reason))

    @property
    def total(self) -> int:
        """All rows counted."""
        return sum(self.counts.values())

    def most(self) -> list[tuple[str, int]]:
        """Reasons, most frequent first."""
        return sorted(self.counts.items(), key=lambda c: (-c[1], _RANK[c[0]]))

    def sentence(self) -> str:
        """``图形自相交 3 行、编码在文件中重复 14 行``."""
        return "、".join(f"{TITLES[code]} {n:,} 行" for code, n in self.most())
