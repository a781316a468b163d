"""The gate every batch goes through: attributes turned, geometry judged, faults gathered row by row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.attributes import convert
from etl.checking import POINT, POLYGON, Located, compare_areas, locate_geometry
from etl.fault import Faults
from etl.mapping import Mapping
from etl.reading import Batch
from etl.reference import Outline, Reference

SUBJECTS = {"parcels": POLYGON, "facilities": POINT, "divisions": POLYGON}


@dataclass(frozen=True)
class Passed:
    """A batch after the gate: our values, placed geometry, what is wrong with which row."""

    values: dict[str, NDArray[np.object_]]
    located: Located
    faults: Faults

    @property
    def good(self) -> NDArray[np.intp]:
        """Positions of rows without a fault."""
        n = len(self.located.geometry)
        return np.array([i for i in range(n) if i not in self.faults.faults], dtype=np.intp)


@dataclass
class Gate:
    """Checks of one import; counts what it changed on the way."""

    mapping: Mapping
    located: dict[str, list[str]]
    reference: Reference
    outline: Outline
    repair: bool
    max_coordinate: float
    repaired: list[int] = field(default_factory=list)
    had_z: int = 0
    generated: int = 0

    def pass_through(self, batch: Batch) -> Passed:
        """Check one batch."""
        faults = Faults()
        values = convert(batch, mapping=self.mapping, located=self.located, faults=faults)
        located = locate_geometry(
            batch.wkb, kind=SUBJECTS[self.mapping.subject], reference=self.reference, outline=self.outline,
            checks=self.mapping.checks, max_coordinate=self.max_coordinate, faults=faults, repair=self.repair,
            multi=self.mapping.subject == "divisions",
        )  # fmt: skip
        for name, rule in self.mapping.fields.items():
            if rule.unit is not None:
                values[name] = compare_areas(
                    values[name], located.area_m2, unit=rule.unit, checks=self.mapping.checks, faults=faults
                )
        self._generate(values, located, faults)
        self.had_z += located.had_z
        self.repaired.extend(int(batch.number[i]) for i in located.repaired if i not in faults.faults)
        return Passed(values, located, faults)

    def notes(self) -> list[str]:
        """What was changed, for the lineage."""
        notes = []
        if self.had_z:
            notes.append(f"{self.had_z:,} 行带高程（Z），已去掉")
        if self.repaired:
            some = "、".join(str(n) for n in self.repaired[:10])
            notes.append(
                f"修复自相交 {len(self.repaired)} 行（面积变化小于 {self.mapping.checks.repair_area_share:.0%}）：第 {some}"
                f"{' …' if len(self.repaired) > 10 else ''} 行"
            )
        if self.generated:
            notes.append(f"{self.generated:,} 行没有编码，由程序按内容生成")
        return notes

    def _generate(self, values: dict[str, NDArray[np.object_]], located: Located, faults: Faults) -> None:
        """Keys for rows that have none, from the row's own content: the same row gets the same key again."""
        rule = self.mapping.fields[self.mapping.key]
        keys = values[self.mapping.key]
        for i in range(len(keys)):
            if keys[i] is not None or i in faults.faults or located.geometry[i] is None:
                continue
            if rule.generate is None:
                faults.add(i, "code_missing", f"{'/'.join(rule.names)} 是空的")
                continue
            content = shapely.to_wkt(located.geometry[i], rounding_precision=7)
            content += "".join(f"|{values[f][i]}" for f in ("kind", "name") if f in values)
            digest = hashlib.sha256(content.encode()).hexdigest()
            if rule.digits is not None:
                width = rule.digits - len(rule.generate)
                keys[i] = rule.generate + str(int(digest, 16))[-width:]
            else:
                keys[i] = rule.generate + digest[:12]
            self.generated += 1
