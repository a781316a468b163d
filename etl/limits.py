"""Limits of an import, read from data/imports/limits.toml: sizes, ratios, how sure we want to be of a CRS."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gis.errors import DefinitionError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchiveLimits(_Strict):
    """What a zip may hold: entries, unpacked / packed, bytes."""

    max_entries: int = Field(gt=0)
    max_ratio: float = Field(gt=1)
    ratio_from_bytes: int = Field(ge=0)
    max_unpacked_bytes: int = Field(gt=0)
    keep_free_bytes: int = Field(ge=0)


class FileLimits(_Strict):
    """What a file may hold and how much of it is in memory at once (rows, bytes)."""

    max_geojson_bytes: int = Field(gt=0)
    batch_rows: int = Field(gt=0)
    max_rows: int = Field(gt=0)
    keep_free_mb: int = Field(ge=0)
    room_per_staged: float = Field(gt=0)


class LocationLimits(_Strict):
    """How a CRS is judged: share of a sample inside the county, metres of datum accuracy, pyproj confidence."""

    sample_rows: int = Field(gt=0)
    fits_share: float = Field(gt=0, le=1)
    max_accuracy_m: float = Field(gt=0)
    max_coordinate: float = Field(gt=0)
    min_crs_confidence: int = Field(ge=0, le=100)


class OffsetLimits(_Strict):
    """When a layer counts as shifted: metres, votes and shares, explained in limits.toml."""

    inner_share: float = Field(gt=0, le=1)
    near_building_m: float = Field(gt=0)
    same_key_m: float = Field(gt=0)
    min_votes: int = Field(gt=0)
    min_z: float = Field(gt=0)
    min_agreement: float = Field(gt=0, le=1)
    min_agreement_points: float = Field(gt=0, le=1)
    say_from: int = Field(gt=0)


class Candidate(_Strict):
    """A CRS worth trying, with what it means in a surveyor's words."""

    epsg: int
    note: str


class Limits(_Strict):
    """The whole of limits.toml."""

    archive: ArchiveLimits
    file: FileLimits
    location: LocationLimits
    offset: OffsetLimits
    candidates: list[Candidate]
    countries: dict[str, str] = {}


def read_limits(data: Path) -> Limits:
    """Read ``imports/limits.toml`` below `data`.

    Raises
    ------
    DefinitionError
        When the file is missing, is not TOML or does not fit the model.
    """
    path = data / "imports" / "limits.toml"
    try:
        return Limits.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as e:
        raise DefinitionError(f"导入限额文件 {path.name} 有误：{e}", next_step="还原 data/imports/limits.toml。") from e
