"""Layer definitions 图层定义: data/layers/*.toml read, checked whole, every fault listed at once."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gis.access.roles import Roles
from gis.errors import DefinitionError
from gis.settings import ROOT
from gis.tiles.grid import DEEPEST_ZOOM

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
# Tables whose rows are people: on a map they exist as counts only, which a named query makes.
NEVER_A_SOURCE = frozenset({"household", "person", "contractor"})
# Columns that lead to a person; no definition may name one, whatever the table.
NEVER_A_COLUMN = frozenset(
    {"household_id", "household_no", "contractor_code", "contractor_masked", "contract_code", "id_number", "phone",
     "owner_code", "title"}
)  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Strict):
    """A name in both languages; Chinese comes first on every screen."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Column(_Strict):
    """One property a tile may carry: its names, its unit, and the code list that explains its values."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    unit: str | None = None
    codelist: str | None = None


class Cache(_Strict):
    """How long an answer holds.

    Attributes
    ----------
    mode : {'versioned', 'timed'}
        ``versioned``: until a statement touches one of the level's tables (onemap.table_version says so). ``timed``:
        for `seconds`, because the table changes all day and raises no version.
    seconds : int
        ``versioned``: how long a browser may use a tile without asking again. ``timed``: the same, and ours.
    """

    mode: Literal["versioned", "timed"] = "versioned"
    seconds: int = Field(default=60, ge=0, le=86_400)


class Level(_Strict):
    """What a layer is at some zooms: one table or one named query.

    Attributes
    ----------
    zoom : (int, int)
        First and last tile zoom, both included.
    table, tables : str or None, tuple of str
        ``table``: a table or view of schema onemap. ``tables``: what the answer hangs on, where that is not `table`.
    query : str or None
        Name of a query in sql/queries/tiles.sql that returns `geom_3857`, `id` and the columns.
    id : str or None
        Whole-number column that becomes the feature's id.
    keep : dict
        Column to the values that stay: ``{class = ["national"]}``.
    extent : int
        Tile units a side. Fewer units generalise more: ST_AsMVTGeom simplifies to half a unit.
    buffer : int
        Tile units beyond the edge that shapes keep, so that outlines do not show the seam. 0 for points.
    shaping : {'full', 'snap'}
        ``full``: ST_AsMVTGeom clips, simplifies and repairs every shape. ``snap``: only shapes that reach further than
        a quarter tile (`OVERHANG`) over the edge go that way, the others are just moved into tile units and snapped; a
        third of the cost where thousands of small shapes fill a tile.
    max_features : int
        More than this and the tile is answered by the next coarser level.
    """

    name: Identifier
    zoom: tuple[int, int]
    table: Identifier | None = None
    tables: tuple[Identifier, ...] = ()
    query: Identifier | None = None
    id: Identifier | None = None
    columns: tuple[Identifier, ...]
    geometry_column: Identifier = "geom_3857"
    keep: dict[Identifier, tuple[str | int, ...]] = Field(default_factory=dict)
    extent: int = Field(default=4096, ge=256, le=8192)
    buffer: int = Field(default=16, ge=0, le=512)
    shaping: Literal["full", "snap"] = "full"
    max_features: int = Field(default=20_000, ge=1, le=200_000)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Tables whose change makes this level's tiles old."""
        return self.tables or ((self.table,) if self.table else ())

    @model_validator(mode="after")
    def _sound(self) -> Level:
        faults = []
        low, high = self.zoom
        if not 0 <= low <= high <= DEEPEST_ZOOM:
            faults.append(f"zoom {list(self.zoom)} 应为 0–{DEEPEST_ZOOM} 内由小到大的两个级别")
        if (self.table is None) == (self.query is None):
            faults.append("table 与 query 必须且只能写一个")
        if self.query is not None and not self.tables:
            faults.append("用 query 时必须在 tables 里写明依赖的表")
        if self.query is not None and self.keep:
            faults.append("用 query 时筛选写在 SQL 里，不写 keep")
        faults += [f"表 {t} 涉及个人，只能用统计查询上图" for t in {self.table} & NEVER_A_SOURCE]
        faults += [f"列 {c} 涉及个人，不能进瓦片" for c in sorted({*self.columns, self.id} & NEVER_A_COLUMN, key=str)]
        if len(set(self.columns)) != len(self.columns):
            faults.append("columns 有重复")
        if faults:
            raise ValueError("；".join(faults))
        return self


class Style(_Strict):
    """One MapLibre style layer; `source` and `source-layer` are filled in, colours may be tokens like ``$accent``."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    type: Literal["fill", "line", "circle", "symbol"]
    minzoom: float | None = Field(default=None, ge=0, le=24)
    maxzoom: float | None = Field(default=None, ge=0, le=24)
    filter: list[Any] | None = None
    layout: dict[str, Any] = Field(default_factory=dict)
    paint: dict[str, Any] = Field(default_factory=dict)


class Layer(_Strict):
    """One layer 图层 of the map.

    Attributes
    ----------
    id : str
        The file's name; also the name of the layer inside the tile.
    roles : tuple of str
        Who may see it: ids of data/roles.toml; `TileService` asks.
    loads : tuple of str
        Subjects in intake.load that tell whether what is shown is synthetic 合成.
    promote_id : str or None
        Property that names a feature to the map (feature-state) where the whole-number id will not do.
    """

    id: Identifier
    title: Words
    group: Words
    order: int
    geometry: Literal["point", "line", "polygon"]
    roles: tuple[str, ...] = Field(min_length=1)
    attribution: str = Field(min_length=1)
    loads: tuple[str, ...] = ()
    note: str = ""
    promote_id: Identifier | None = None
    cache: Cache = Cache()
    columns: dict[Identifier, Column]
    level: tuple[Level, ...] = Field(min_length=1)
    style: tuple[Style, ...] = ()

    @property
    def zooms(self) -> tuple[int, int]:
        """First and last zoom that has tiles."""
        return self.level[0].zoom[0], self.level[-1].zoom[1]

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Tables of all levels: a level may answer with the coarser one, so a layer ages as a whole."""
        return tuple(sorted({t for level in self.level for t in level.depends_on}))

    @property
    def digest(self) -> str:
        """Hash of the definition; part of every ETag."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def level_at(self, z: int) -> int | None:
        """Index of the level that answers zoom `z`; None outside the layer's zooms."""
        for i, level in enumerate(self.level):
            if level.zoom[0] <= z <= level.zoom[1]:
                return i
        return None

    @model_validator(mode="after")
    def _sound(self) -> Layer:
        faults = []
        for before, after in zip(self.level, self.level[1:], strict=False):
            if after.zoom[0] != before.zoom[1] + 1:
                faults.append(f"级别 {before.name} 与 {after.name} 的 zoom 应首尾相接，不留空、不重叠")
        names = [level.name for level in self.level]
        if len(set(names)) != len(names):
            faults.append("level 的 name 有重复")
        for level in self.level:
            faults += [
                f"级别 {level.name} 的列 {c} 没有在 columns 里说明" for c in level.columns if c not in self.columns
            ]
            if self.geometry == "point" and level.buffer:
                faults.append(f"级别 {level.name}：点图层的 buffer 应为 0，否则同一点会在相邻瓦片各出现一次")
        used = {c for level in self.level for c in level.columns}
        faults += [f"列 {c} 没有任何级别使用" for c in self.columns if c not in used]
        if self.promote_id and self.promote_id not in used:
            faults.append(f"promote_id {self.promote_id} 不在列里")
        for style in self.style:
            asked = _asked_properties([style.filter, *style.layout.values(), *style.paint.values()])
            faults += [f"样式 {style.id} 用到的列 {c} 不在瓦片里" for c in sorted(asked - used)]
        if faults:
            raise ValueError("；".join(faults))
        return self


def _asked_properties(expression: Any) -> set[str]:
    """Names a MapLibre expression reads with ["get", name] or ["has", name]."""
    if not isinstance(expression, list | tuple):
        return set()
    if len(expression) == 2 and expression[0] in ("get", "has") and isinstance(expression[1], str):
        return {expression[1]}
    return {name for part in expression for name in _asked_properties(part)}


def load_layers(
    folder: Path,
    *,
    queries: Mapping[str, str],
    tokens: dict[str, dict[str, str]],
    roles: Collection[str] | None = None,
) -> dict[str, Layer]:
    """Read and check every layer of `folder`; files that begin with ``_`` are not layers.

    Parameters
    ----------
    roles : collection of str or None
        Ids of the roles there are; None reads data/roles.toml.
    queries : dict
        Named queries a level may ask for.
    tokens : dict
        Colour tokens by theme (`read_tokens`).

    Returns
    -------
    dict
        Layers by id, in the order they are listed to people.

    Raises
    ------
    DefinitionError
        With one line for each fault of each file.
    """
    known_roles = frozenset(_those_who_look(Roles.load(ROOT / "data")) if roles is None else roles)
    faults: list[str] = []
    layers: list[Layer] = []
    for path in sorted(folder.glob("*.toml")):
        if path.name.startswith("_"):
            continue
        try:
            layer = Layer.model_validate({"id": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            faults.append(f"{path.name}：不是正确的 TOML：{e}")
            continue
        except ValidationError as e:
            faults += [f"{path.name}：{_place(f['loc'])}{_reason(dict(f))}" for f in e.errors()]
            continue
        faults += [
            f"{path.name}：roles 里的 {r} 不是 data/roles.toml 里看地图的角色"
            for r in layer.roles
            if r not in known_roles
        ]
        faults += [
            f"{path.name}：级别 {level.name} 的查询 {level.query} 不在 sql/queries/tiles.sql 里"
            for level in layer.level
            if level.query is not None and level.query not in queries
        ]
        asked = _tokens_of([[*s.layout.values(), *s.paint.values()] for s in layer.style])
        faults += [
            f"{path.name}：颜色 ${t} 在 {theme} 里没有定义"
            for theme in tokens
            for t in sorted(asked - set(tokens[theme]))
        ]
        layers.append(layer)
    if not layers and not faults:
        faults.append(f"{folder.name}/ 里没有图层定义")
    if faults:
        raise DefinitionError(
            "图层定义有误：\n" + "\n".join(faults), next_step="改好 data/layers/ 后运行 ./onemap check。"
        )
    return {layer.id: layer for layer in sorted(layers, key=lambda one: (one.order, one.id))}


def _those_who_look(roles: Roles) -> list[str]:
    """Roles that may be named in a layer: the three administrators see no business data."""
    return [role.id for role in roles.by_id.values() if not role.administrator]


def read_tokens(path: Path) -> dict[str, dict[str, str]]:
    """Read colour tokens: theme to token to colour. Both themes must know the same tokens.

    Raises
    ------
    DefinitionError
        When the file is missing or the themes differ.
    """
    try:
        themes: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise DefinitionError(f"读不到图层颜色 {path.name}：{e}", next_step="还原该文件。") from e
    if set(themes) != {"light", "dark"} or set(themes["light"]) != set(themes["dark"]):
        raise DefinitionError(f"{path.name} 应有 light 与 dark 两套同名的颜色。", next_step="补齐缺少的颜色。")
    return themes


def resolve(value: Any, *, colours: dict[str, str]) -> Any:
    """Return `value` with every ``$token`` replaced by its colour, at any depth."""
    if isinstance(value, str) and value.startswith("$"):
        return colours[value[1:]]
    if isinstance(value, list | tuple):
        return [resolve(v, colours=colours) for v in value]
    if isinstance(value, dict):
        return {k: resolve(v, colours=colours) for k, v in value.items()}
    return value


def _tokens_of(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value[1:]} if value.startswith("$") else set()
    if isinstance(value, list | tuple):
        return {t for part in value for t in _tokens_of(part)}
    return set()


def _place(location: tuple[int | str, ...]) -> str:
    return "".join(f"{p} " for p in location)


def _reason(fault: dict[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")
