"""How an outside file's fields map onto ours: data/imports/NAME.toml, validated on load."""

from __future__ import annotations

import csv
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gis.errors import BadInput, DefinitionError

Subject = Literal["parcels", "facilities", "divisions", "incidents"]
Response = Literal["off", "warn", "quarantine"]

# What a mapping may fill; anything else in a TOML is a mistake. Personal fields never reach schema onemap.
TARGETS: dict[str, tuple[str, ...]] = {
    "parcels": (
        "parcel_code", "name", "issuer_code", "contractor_code", "contractor_name", "contractor_id_number",
        "contractor_phone", "witness", "contract_code", "ownership", "parcel_kind", "land_use", "land_class", "planting",
        "soil_grade", "purpose", "acquired_by", "declared_pbf", "declared_area_mu", "declared_area_m2",
        "east", "south", "west", "north",
    ),
    "facilities": (
        "facility_code", "kind", "name", "capability", "capacity", "capacity_unit", "open_hours", "duty_phone",
    ),
    "divisions": ("code", "name", "parent_code", "urban_rural", "households", "population"),
}  # fmt: skip
KEYS = {"parcels": "parcel_code", "facilities": "facility_code", "divisions": "code"}
_RESERVED = (
    "limits",
    "incidents_",
)  # files of data/imports that are no mapping of features; cases: etl/cases/mapping.py


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(_Strict):
    """One field of ours and where it comes from.

    Attributes
    ----------
    names : list of str
        Names it may have in the file, case ignored; the first that is there wins.
    kind : str
        ``code`` digits as text; ``choice`` one of a list; ``tags`` several of a list; ``flag`` yes/no;
        ``number`` and ``integer``; ``text``.
    digits : int or None
        Exact number of digits of a code.
    generate : str or None
        Prefix of a key made from the row's own content when the file has none.
    unit : {'mu', 'm2', 'ha'} or None
        Unit of an area, compared with the measured one.
    """

    names: list[str] = []
    kind: Literal["text", "code", "choice", "tags", "flag", "number", "integer"]
    required: bool = False
    digits: int | None = Field(default=None, gt=0)
    pattern: str | None = None
    values: dict[str, str] | None = None
    codelist: str | None = None
    yes: list[str] = []
    no: list[str] = []
    minimum: float | None = None
    unit: Literal["mu", "m2", "ha"] | None = None
    generate: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> FieldRule:
        if not self.names and self.generate is None:
            raise ValueError("names 或 generate 至少要有一个")
        if self.kind in ("choice", "tags") and (self.values is None) == (self.codelist is None):
            raise ValueError("choice 和 tags 要有 values 或 codelist 之一")
        if self.kind == "code" and self.digits is None and self.pattern is None:
            raise ValueError("code 要有 digits 或 pattern")
        if self.kind == "flag" and not (self.yes and self.no):
            raise ValueError("flag 要有 yes 和 no")
        if self.pattern is not None:
            re.compile(self.pattern)
        return self


class Checks(_Strict):
    """Thresholds of the row checks; units in the names. None: the check does not apply."""

    inside_share: float = Field(gt=0, le=1)
    min_area_m2: float | None = Field(default=None, gt=0)
    max_area_m2: float | None = Field(default=None, gt=0)
    overlap_m2: float = Field(default=1.0, ge=0)
    overlap_share: float = Field(default=0.005, ge=0, le=1)
    on_overlap: Response = "off"
    on_duplicate_geometry: Response = "off"
    duplicate_share: float = Field(default=0.999, gt=0, le=1)
    area_ratio: float = Field(default=1.5, gt=1)
    unit_tolerance: float = Field(default=0.2, gt=0, lt=1)
    on_area_unit: Response = "off"
    on_area_mismatch: Response = "off"
    repair_area_share: float = Field(default=0.01, ge=0, lt=1)


class MappingFile(_Strict):
    """A whole mapping file."""

    subject: Subject
    title: str
    source: str
    checks: Checks
    fields: dict[str, FieldRule]

    @model_validator(mode="after")
    def _known(self) -> MappingFile:
        unknown = set(self.fields) - set(TARGETS[self.subject])
        if unknown:
            raise ValueError(f"没有这样的目标字段：{'、'.join(sorted(unknown))}")
        if KEYS[self.subject] not in self.fields:
            raise ValueError(f"缺少主键字段 {KEYS[self.subject]}")
        return self


@dataclass(frozen=True)
class Mapping:
    """A mapping with its code lists read.

    Attributes
    ----------
    name : str
        File name without ``.toml``.
    choices : dict of str to dict
        Per field: code in the file → code of ours.
    """

    name: str
    subject: Subject
    title: str
    checks: Checks
    fields: dict[str, FieldRule]
    choices: dict[str, dict[str, str]]

    @property
    def key(self) -> str:
        """The field whose value is unique."""
        return KEYS[self.subject]


def mapping_names(data: Path) -> list[str]:
    """Names of all mappings, sorted."""
    return sorted(p.stem for p in (data / "imports").glob("*.toml") if not p.stem.startswith(_RESERVED))


def read_mapping(data: Path, name: str, *, subject: Subject | None = None) -> Mapping:
    """Read one mapping.

    Raises
    ------
    BadInput
        When there is no such mapping, or it is for another subject.
    DefinitionError
        When the file does not load.
    """
    names = mapping_names(data)
    if name not in names:
        raise BadInput(f"没有名为“{name}”的字段对应。", next_step=f"现有：{'、'.join(names)}（在 data/imports/）。")
    path = data / "imports" / f"{name}.toml"
    try:
        file = MappingFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        choices = {f: _choices(data, rule) for f, rule in file.fields.items() if rule.kind in ("choice", "tags")}
    except (OSError, tomllib.TOMLDecodeError, ValidationError, re.error, KeyError) as e:
        raise DefinitionError(f"字段对应文件 {path.name} 有误：{e}", next_step="改正后用 ./onemap check 核对。") from e
    if subject is not None and file.subject != subject:
        raise BadInput(
            f"字段对应“{name}”是给 {file.subject} 用的，不是 {subject}。", next_step=f"换一个：{'、'.join(names)}。"
        )
    return Mapping(name, file.subject, file.title, file.checks, file.fields, choices)


def _choices(data: Path, rule: FieldRule) -> dict[str, str]:
    if rule.values is not None:
        return dict(rule.values)
    assert rule.codelist is not None
    path = data / "codelists" / rule.codelist
    if path.parent != data / "codelists":
        raise KeyError(f"代码表 {rule.codelist} 不在 data/codelists/")
    with path.open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    # a file may use the code or its Chinese name
    named = {row["name"]: row["code"] for row in rows if row.get("name")}
    return named | {row["code"]: row["code"] for row in rows}
