"""How another system's case list maps onto ours: data/imports/incidents_*.toml, validated on load."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from etl.mapping import Checks, FieldRule, Mapping
from gis.codelists import codelist
from gis.errors import BadInput, DefinitionError

TIMES = ("reported_at", "accepted_at", "responded_at", "due_at", "done_at", "closed_at")
WORDS = ("title", "detail")
PEOPLE = ("reporter_name", "reporter_phone", "reporter_address")
FIELDS = ("external_ref", *WORDS, "item", "status", *TIMES, "x", "y", "rating", *PEOPLE)
NEEDED = ("external_ref", "title", "status", "reported_at")
_PREFIX = "incidents_"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """Names a field may have in the file, case ignored; of several that are there the first that is filled wins."""

    names: list[str] = Field(min_length=1)
    digits: int | None = Field(default=None, gt=0)
    pattern: str | None = None


class CaseMappingFile(_Strict):
    """A whole mapping file.

    Attributes
    ----------
    channel : str
        Code of data/codelists/incident_channel.csv; with the other system's number it tells a case from every other.
    crs : str
        Of the coordinates: ``EPSG:4326``, ``GCJ-02``, ``BD-09``.
    timezone : str
        IANA name; times without an offset are read in it, times with another offset are turned away.
    formats : list of str
        strptime formats of the times, tried in order.
    status : dict
        The file's word → a state of process ``incident``.
    items : dict
        The file's word → an item code; codes and names of our own list need no line.
    """

    subject: Literal["incidents"]
    title: str
    source: str
    channel: str
    crs: str
    swap_xy: bool = False
    timezone: str
    formats: list[str] = Field(min_length=1)
    fields: dict[str, Column]
    status: dict[str, str]
    items: dict[str, str]

    @model_validator(mode="after")
    def _known(self) -> CaseMappingFile:
        if unknown := set(self.fields) - set(FIELDS):
            raise ValueError(f"没有这样的目标字段：{'、'.join(sorted(unknown))}")
        if missing := [f for f in NEEDED if f not in self.fields]:
            raise ValueError(f"缺少字段 {'、'.join(missing)}")
        if ("x" in self.fields) != ("y" in self.fields):
            raise ValueError("x 和 y 要么都有，要么都没有")
        if self.channel not in codelist("incident_channel"):
            raise ValueError(f"没有来源 {self.channel}（data/codelists/incident_channel.csv）")
        if strange := set(self.items.values()) - set(codelist("incident_item")):
            raise ValueError(f"没有事项 {'、'.join(sorted(strange))}（data/codelists/incident_item.csv）")
        ZoneInfo(self.timezone)
        for column in self.fields.values():
            if column.pattern is not None:
                re.compile(column.pattern)
        return self


@dataclass(frozen=True)
class CaseMapping:
    """A mapping ready for use.

    Attributes
    ----------
    name : file name without ``.toml``.
    file : what it says.
    states : normalised word → state; items : normalised word → item code.
    zone : the declared time zone.
    """

    name: str
    file: CaseMappingFile
    states: dict[str, str]
    items: dict[str, str]
    zone: ZoneInfo

    def as_fields(self) -> Mapping:
        """The same as the quarantine knows mappings: which columns are personal, which may be read."""
        kinds: dict[str, Literal["choice", "text", "code"]] = {
            f: "choice" if f in ("item", "status") else "text" if f in (*WORDS, *PEOPLE) else "code"
            for f in self.file.fields
        }
        rules = {
            f: FieldRule(names=c.names, kind=kinds[f], pattern=".*" if kinds[f] == "code" else None, values={} if kinds[f] == "choice" else None)
            for f, c in self.file.fields.items()
        }  # fmt: skip
        listed = {"item": {w: w for w in self.file.items}, "status": {w: w for w in self.file.status}}
        return Mapping(self.name, "incidents", self.file.title, Checks(inside_share=1), rules, listed)


def plain_word(text: str) -> str:
    """A category's or status's name as it is compared: full-width folded, blanks and case dropped."""
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()


def case_mapping_names(data: Path) -> list[str]:
    """Names of all mappings of cases, sorted."""
    return sorted(p.stem for p in (data / "imports").glob(f"{_PREFIX}*.toml"))


def read_case_mapping(data: Path, name: str, *, states: frozenset[str]) -> CaseMapping:
    """Read one mapping.

    Parameters
    ----------
    states : frozenset of str
        States of the process cases are taken over into.

    Raises
    ------
    BadInput
        When there is no such mapping.
    DefinitionError
        When the file does not load.
    """
    names = case_mapping_names(data)
    if name not in names:
        raise BadInput(f"没有名为“{name}”的办件字段对应。", next_step=f"现有：{'、'.join(names)}（在 data/imports/）。")
    path = data / "imports" / f"{name}.toml"
    try:
        file = CaseMappingFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        if strange := set(file.status.values()) - states:
            raise ValueError(f"流程里没有状态 {'、'.join(sorted(strange))}")
    except (OSError, tomllib.TOMLDecodeError, ValidationError, ValueError, KeyError) as e:
        raise DefinitionError(f"字段对应文件 {path.name} 有误：{e}", next_step="改正后用 ./onemap check 核对。") from e
    own = codelist("incident_item")
    items = {plain_word(entry["name"]): code for code, entry in own.items()} | {code: code for code in own}
    items |= {plain_word(word): code for word, code in file.items.items()}
    return CaseMapping(name, file, {plain_word(w): s for w, s in file.status.items()}, items, ZoneInfo(file.timezone))
