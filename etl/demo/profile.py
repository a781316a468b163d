"""A county's profile (县域概况): everything the demo build must be told about one county, validated on load."""

from __future__ import annotations

import csv
import math
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gis.errors import DefinitionError
from gis.settings import ROOT

LonLat = tuple[float, float]
RoadClass = Literal["national", "provincial", "county", "township", "village", "track"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sizes(_Part):
    """How much of everything; counts of one scale."""

    households: int = Field(gt=0)
    population: int = Field(gt=0)
    grids: int = Field(gt=0)
    parcels: int = Field(gt=0)
    facilities: int = Field(ge=0)
    monitored_households: int = Field(ge=0)
    incidents: int = Field(ge=0)


class Generated(_Part):
    """Counts of a division list that is made up because no official one is at hand (示例)."""

    townships: int = Field(gt=0, le=99)
    villages: int = Field(gt=0)
    subdistricts: int = Field(default=0, ge=0, description="how many of the townships are 街道")

    @model_validator(mode="after")
    def _enough(self) -> Generated:
        if self.villages < self.townships or self.subdistricts > self.townships:
            raise ValueError("村数不能少于乡镇数，街道数不能多于乡镇数")
        return self


class Seat(_Part):
    """Where a township's seat lies, lon/lat CGCS2000 (示意)."""

    name: str
    lon: float = Field(ge=73, le=136)
    lat: float = Field(ge=3, le=54)
    area_share: float | None = Field(default=None, gt=0, description="relative area; None: from its villages")


class Course(_Part):
    """A river or canal by the points it passes, upstream first, lon/lat (示意)."""

    name: str
    kind: Literal["river", "canal"]
    width_m: float = Field(gt=1, le=500)
    points: tuple[LonLat, ...] = Field(min_length=2)


class Trunk(_Part):
    """A through road by the points it passes, lon/lat (示意)."""

    name: str
    road_class: Literal["national", "provincial"]
    ref: str | None = None
    width_m: float = Field(gt=3, le=80)
    expressway: bool = False
    points: tuple[LonLat, ...] = Field(min_length=2)


class LandMix(_Part):
    """Shares (0-1) of the farmed blocks that carry something else than the main class, and zones' shares."""

    main_class: str = "0102"
    second_class: str = "0103"
    second_share: float = Field(default=0.08, ge=0, le=1)
    orchard: float = Field(default=0.09, ge=0, le=1)
    tea: float = Field(default=0.0, ge=0, le=1)
    bamboo: float = Field(default=0.0, ge=0, le=1)
    greenhouse: float = Field(default=0.02, ge=0, le=1)
    pond: float = Field(default=0.008, ge=0, le=1)
    pbf: float = Field(default=0.80, ge=0, le=1)
    high_standard: float = Field(default=0.55, ge=0, le=1)


class Traits(_Part):
    """The lie of the land."""

    relief: Literal["plain", "hills"] = "plain"
    upland_share: float = Field(default=0.0, ge=0, le=0.9, description="share of the county under hill woodland")
    block_ha: float = Field(default=6.0, gt=0.5, le=50, description="mean area of a field block")
    grain_deg: float = Field(default=0.0, ge=-45, le=45, description="bearing of the field grid against north")
    grain_spread_deg: float = Field(default=6.0, ge=0, le=45)
    strip_m: tuple[float, float] = Field(default=(8.0, 40.0), description="usual width of a strip, metres")
    house_m2: float = Field(default=400.0, gt=100, le=2000, description="ground a courtyard takes, lanes included")
    town_villages: int = Field(default=12, ge=1, description="residents' committees that make up the county town")


class Outline(_Part):
    """Where the county's outline is read from at build time; it is never stored in the repository."""

    source: Literal["geotool-cn"] = "geotool-cn"
    note: str = ""


class CountyProfile(_Part):
    """One county. ``scale`` picks the sizes; ``shrink`` below 1 cuts counts and ground alike.

    Attributes
    ----------
    code : GB/T 2260, 6 digits.
    metric_srid : EPSG of the 3-degree CGCS2000 zone with prefix (4513-4533): every metre is measured in it.
    divisions : CSV (level, code, name, parent_code) relative to the project, or ``generated``.
    """

    code: str = Field(pattern=r"^[0-9]{6}$")
    name: str = Field(min_length=2)
    metric_srid: int = Field(ge=4513, le=4533)
    seed: int = Field(ge=0)
    outline: Outline = Outline()
    divisions: str
    generated: Generated | None = None
    sizes: dict[Literal["demo", "full"], Sizes]
    traits: Traits = Traits()
    land: LandMix = LandMix()
    seats: tuple[Seat, ...] = ()
    courses: tuple[Course, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    specialities: tuple[str, ...] = ()
    source: str
    licence: str
    shrink: float = Field(default=1.0, gt=0, le=1)

    @field_validator("sizes")
    @classmethod
    def _both(cls, value: dict[Any, Sizes]) -> dict[Any, Sizes]:
        if set(value) != {"demo", "full"}:
            raise ValueError("sizes 要有 demo 和 full 两组")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> CountyProfile:
        if (self.divisions == "generated") != (self.generated is not None):
            raise ValueError("divisions = 'generated' 与 [generated] 要同时给出")
        if self.divisions != "generated" and not (ROOT / self.divisions).is_file():
            raise ValueError(f"区划文件 {self.divisions} 不存在")
        return self

    def size(self, scale: str) -> Sizes:
        """Counts of a scale, after shrinking.

        Raises
        ------
        DefinitionError
            The profile has no such scale.
        """
        if scale not in self.sizes:
            raise DefinitionError(
                f"县 {self.name} 没有规模 {scale}。", next_step=f"可选: {'、'.join(sorted(self.sizes))}。"
            )
        sizes = self.sizes[scale]
        if self.shrink == 1:
            return sizes
        return Sizes(**{key: max(1, round(value * self.shrink)) for key, value in sizes.model_dump().items()})

    def shrunk(self, share: float) -> CountyProfile:
        """The same county at a share of its counts and ground (0 < share <= 1), for tests."""
        return CountyProfile.model_validate({**self.model_dump(), "shrink": share * self.shrink})

    def division_rows(self) -> list[dict[str, str]]:
        """Townships and villages: level, code, name, parent_code; shrunk where asked.

        Raises
        ------
        DefinitionError
            The list does not hang together; every fault is named.
        """
        rows = _made_up(self) if self.generated else _read_divisions(ROOT / self.divisions)
        _check_divisions(rows, county=self.code)
        return rows if self.shrink == 1 else _thin(rows, share=self.shrink)


def load_profile(name: str, *, folder: Path = ROOT / "data" / "counties") -> CountyProfile:
    """Read ``folder/name.toml``.

    Raises
    ------
    DefinitionError
        The file is missing, is no TOML, or breaks rules: all faults in one message, in Chinese.
    """
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = "、".join(sorted(p.stem for p in folder.glob("*.toml"))) or "(没有)"
        raise DefinitionError(f"没有县域概况 {name}。", next_step=f"可选: {known}。")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise DefinitionError(f"{path.name} 不是有效的 TOML: {fault}", next_step="改正后重试。") from fault
    try:
        return CountyProfile.model_validate(content)
    except ValidationError as faults:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or '整体'}: {e['msg']}" for e in faults.errors())
        raise DefinitionError(
            f"{path.name} 有 {faults.error_count()} 处错误: {lines}", next_step="逐处改正后重试。"
        ) from faults


def _read_divisions(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = {"level", "code", "name", "parent_code"} - set(reader.fieldnames or ())
        if missing:
            raise DefinitionError(f"{path.name} 缺少列 {'、'.join(sorted(missing))}。", next_step="补齐表头后重试。")
        return [row for row in reader if row["level"] in ("township", "village")]


def _check_divisions(rows: list[dict[str, str]], *, county: str) -> None:
    digits = {"township": 9, "village": 12}
    townships = {row["code"] for row in rows if row["level"] == "township"}
    faults: list[str] = []
    seen: set[str] = set()
    for row in rows:
        code, parent = row["code"], row["parent_code"]
        if not (code.isdigit() and len(code) == digits[row["level"]] and code.startswith(parent)):
            faults.append(f"{row['name']} 代码 {code} 不合上级 {parent}")
        if code in seen:
            faults.append(f"代码 {code} 重复")
        seen.add(code)
        if parent != county and parent not in townships:
            faults.append(f"{row['name']} 的上级 {parent} 不在表中")
    parents = {row["parent_code"] for row in rows if row["level"] == "village"}
    faults += [f"乡镇 {code} 没有村" for code in sorted(townships - parents)]
    if faults or not townships:
        raise DefinitionError(
            f"区划表有 {len(faults)} 处错误: {'; '.join(faults[:20]) or '没有乡镇'}", next_step="改正区划表后重试。"
        )


def _made_up(profile: CountyProfile) -> list[dict[str, str]]:
    """A list of the right shape whose names say 示例 (GB/T 10114 code form, no official meaning)."""
    counts = profile.generated
    assert counts is not None
    # Townships differ in size: a fixed, smooth spread between half and one and a half of the mean.
    weights = [1 + 0.5 * math.sin(2.4 * k + 0.7) for k in range(counts.townships)]
    weights[0] *= 1.3  # the county town's own township
    shares = [1 + w / sum(weights) * (counts.villages - counts.townships) for w in weights]
    sizes = [int(s) for s in shares]
    for k in sorted(range(len(shares)), key=lambda k: sizes[k] - shares[k])[: counts.villages - sum(sizes)]:
        sizes[k] += 1
    rows: list[dict[str, str]] = []
    for k, size in enumerate(sizes):
        street = k < counts.subdistricts
        code = f"{profile.code}{1 + k if street else 100 + k - counts.subdistricts:03d}"
        kind = "街道" if street else "镇"
        rows.append({"level": "township", "code": code, "name": f"示例{k + 1:02d}{kind}", "parent_code": profile.code})
        rows += [
            {
                "level": "village",
                "code": f"{code}{(1 if street else 201) + v:03d}",
                "name": f"示例{k + 1:02d}{v + 1:03d}{'居委会' if street else '村委会'}",
                "parent_code": code,
            }
            for v in range(size)
        ]
    return sorted(rows, key=lambda row: (row["level"], row["code"]))


def _thin(rows: list[dict[str, str]], *, share: float) -> list[dict[str, str]]:
    """The largest townships only, each with two villages at least: about ``share`` of the villages."""
    villages: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["level"] == "village":
            villages.setdefault(row["parent_code"], []).append(row)
    total = max(2, round(share * sum(map(len, villages.values()))))
    order = sorted(villages, key=lambda code: (-len(villages[code]), code))[: max(2, total // 3)]
    weight = sum(len(villages[code]) for code in order)
    keep = {code: max(2, round(total * len(villages[code]) / weight)) for code in order}
    return [
        row
        for row in rows
        if (row["level"] == "township" and row["code"] in keep)
        or (
            row["level"] == "village" and row in villages.get(row["parent_code"], [])[: keep.get(row["parent_code"], 0)]
        )
    ]
