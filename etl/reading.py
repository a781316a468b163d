"""Open a file from outside, safely, whatever its format, and read its rows in batches with their CRS."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl import signature
from etl.archive import unpack
from etl.dbf import Table, open_table
from etl.limits import Limits
from gis.errors import BadInput

_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_FOLDER = "onemap-import-"
_BROKEN = "文件可能已损坏，请重新导出；或先在 QGIS 里打开看看，再另存为 GeoPackage。"


@dataclass(frozen=True)
class Batch:
    """Some rows of a source, in file order.

    Attributes
    ----------
    number : ndarray of int64, shape (n,)
        1-based position of each row in the file.
    wkb : ndarray of object, shape (n,)
        Geometry as WKB bytes in the source's CRS; None where missing.
    values : dict of str to ndarray of object, shape (n,)
        Attributes as they came: str, int, float or None.
    """

    number: NDArray[np.int64]
    wkb: NDArray[np.object_]
    values: dict[str, NDArray[np.object_]]

    def __len__(self) -> int:
        return len(self.number)


@dataclass
class Source:
    """An opened file.

    Attributes
    ----------
    name : str
        File name without folders; ``包.zip/图层.shp`` for a member of a zip.
    driver : {'ESRI Shapefile', 'GPKG', 'GeoJSON'}
        The one reader it is opened with.
    sha256 : str
        Of the file; of .shp followed by .dbf for a loose shapefile.
    crs_text : str or None
        The CRS the file declares, as WKT or ``EPSG:n``; None when it declares none.
    columns : list of str
        Names of its attributes.
    notes : list of str
        What was found on opening, for the lineage.
    """

    name: str
    driver: str
    sha256: str
    path: str
    layer: str | None
    crs_text: str | None
    count: int
    columns: list[str]
    limits: Limits
    table: Table | None = None
    notes: list[str] = field(default_factory=list)
    _whole: Batch | None = field(default=None, repr=False)

    def batches(self) -> Iterator[Batch]:
        """Read all rows, ``batch_rows`` at a time."""
        size = self.limits.file.batch_rows
        start = 0
        while start < self.count:
            batch = self._read(skip=start, rows=size)
            if not len(batch):
                break
            yield batch
            start = int(batch.number[-1])  # not start + len: a shapefile counts its deleted records

    def sample(self) -> Batch:
        """Rows from the beginning, the middle and the end, for a first look."""
        third = max(1, self.limits.location.sample_rows // 3)
        if self.count <= 3 * third:
            return self._read(skip=0, rows=self.count)
        starts = (0, self.count // 2, self.count - third)
        parts = [self._read(skip=s, rows=third) for s in starts]
        return Batch(
            np.concatenate([p.number for p in parts]),
            np.concatenate([p.wkb for p in parts]),
            {c: np.concatenate([p.values[c] for p in parts]) for c in parts[0].values},
        )

    def rows(self, numbers: NDArray[np.int64]) -> Batch:
        """Read single rows again, by their 1-based numbers."""
        keep = np.sort(np.asarray(numbers, dtype=np.int64))
        if self._whole is not None:
            return _take(self._whole, keep - 1)
        if self.table is not None and len(keep):
            return self._read_gdal(fids=keep - 1)
        # whole batches are read again and cut: random access by FID differs between formats, positions do not
        size = self.limits.file.batch_rows
        parts = []
        for block in np.unique((keep - 1) // size):
            batch = self._read(skip=int(block) * size, rows=size)
            parts.append(_take(batch, keep[(keep - 1) // size == block] - 1 - block * size))
        if not parts:
            return Batch(np.empty(0, np.int64), np.empty(0, object), {c: np.empty(0, object) for c in self.columns})
        return Batch(
            np.concatenate([p.number for p in parts]),
            np.concatenate([p.wkb for p in parts]),
            {c: np.concatenate([p.values[c] for p in parts]) for c in self.columns},
        )

    def _read(self, *, skip: int, rows: int) -> Batch:
        if self.driver == "GeoJSON":
            if self._whole is None:  # a GeoJSON has no way to its middle: parsed once, cut into batches
                self._whole = self._read_gdal(skip=0, rows=0)
            end = min(skip + rows, len(self._whole))
            return _take(self._whole, np.arange(skip, max(end, skip), dtype=np.int64))
        return self._read_gdal(skip=skip, rows=rows)

    def _read_gdal(self, *, skip: int = 0, rows: int = 0, fids: NDArray[np.int64] | None = None) -> Batch:
        from pyogrio import raw

        chosen: dict[str, Any] = (
            {"skip_features": skip, "max_features": rows or None} if fids is None else {"fids": fids}
        )
        with _gdal(self.name, self.notes):
            meta, found, wkb, columns = raw.read(
                self.path, layer=self.layer, return_fids=True, columns=[] if self.table else None,
                encoding="ISO-8859-1" if self.table else None, **chosen,
            )  # fmt: skip
        geometry = wkb if wkb is not None else np.full(len(found), None, dtype=object)
        if self.table is not None:  # FID is the record's place, deleted ones counted: so is the row number
            return Batch(found.astype(np.int64) + 1, geometry, self.table.read(found.astype(np.int64)))
        number = np.arange(skip + 1, skip + 1 + len(found), dtype=np.int64)
        return Batch(number, geometry, {n: _objects(c) for n, c in zip(meta["fields"], columns, strict=True)})


def _take(batch: Batch, index: NDArray[np.int64]) -> Batch:
    return Batch(batch.number[index], batch.wkb[index], {c: v[index] for c, v in batch.values.items()})


def _objects(column: NDArray[Any]) -> NDArray[np.object_]:
    """Plain Python values; a float column's NaN and a datetime's NaT are None: unknown."""
    if column.dtype == object:
        return column
    if column.dtype.kind == "M":
        return np.array([None if np.isnat(v) else str(v) for v in column], dtype=object)
    result = np.array(column.tolist(), dtype=object)
    if column.dtype.kind == "f":
        result[np.isnan(column)] = None
    return result


@contextmanager
def open_source(text: str, *, layer: str | None, encoding: str | None, limits: Limits) -> Iterator[Source]:
    """Open a file through a folder of our own, under a name of our own, with one reader named beforehand.

    Parameters
    ----------
    text : str
        Path of a .zip, .shp, .gpkg, .geojson or .json.
    layer : str or None
        Layer of a GeoPackage; needed when there are several.
    encoding : str or None
        ``--encoding`` for a shapefile.

    Raises
    ------
    BadInput
        When the file is not what it says, is damaged, unsafe, empty, or its text is garbled.
    """
    path = signature.check_path(text)
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-") as folder:
        name = path.name
        if path.suffix.lower() == ".zip":
            signature.check_zip(path)
            main, inside = unpack(path, into=Path(folder), limits=limits.archive)
            name = f"{path.name}/{inside}"
            digest = _sha256([path])
        else:
            main = _link(path, Path(folder))
            digest = _sha256([p for p in (path, _part(path, ".dbf")) if p and path.suffix.lower() == ".shp"] or [path])
        yield _open(main, name=name, digest=digest, layer=layer, encoding=encoding, limits=limits)


def _sweep() -> None:
    """Remove the folders of imports that were killed: what they unpacked may hold people's names."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).split("-")[0]
        if pid.isdigit() and not folder.is_symlink() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)  # another account's folder stays: not ours to remove


def _part(path: Path, suffix: str) -> Path | None:
    """The file beside `path` with that suffix in any case (.DBF)."""
    for other in sorted(path.parent.iterdir()):
        if other.stem == path.stem and other.suffix.lower() == suffix and other.is_file():
            return other
    return None


def _link(path: Path, folder: Path) -> Path:
    """Links to the parts under safe names: no part of a name ("!", "://", ".zip") reaches GDAL's path grammar."""
    suffix = path.suffix.lower()
    for part in _PARTS if suffix == ".shp" else (suffix,):
        original = path if part == suffix else _part(path, part)
        if original is not None:
            (folder / f"source{part}").symlink_to(original)
    return folder / f"source{suffix}"


def _open(main: Path, *, name: str, digest: str, layer: str | None, encoding: str | None, limits: Limits) -> Source:
    kind = main.suffix.lower()
    if kind == ".shp":
        source = _open_shapefile(main, name=name, digest=digest, encoding=encoding, limits=limits)
    elif kind == ".gpkg":
        signature.check_geopackage(main, name=name)
        source = _describe(str(main), "GPKG", name, digest, limits, layer=_choose_layer(str(main), name, layer))
    else:
        signature.check_geojson(main, name=name, max_bytes=limits.file.max_geojson_bytes)
        # the prefix names the driver: TopoJSON, ESRIJSON and the like are never tried
        source = _describe(f"GeoJSON:{main}", "GeoJSON", name, digest, limits, layer=None)
    if source.count == 0:
        raise BadInput(f"{name} 里没有任何要素（0 行），不是成功。", next_step="请检查导出时的筛选条件，重新导出。")
    if source.count > limits.file.max_rows:
        raise BadInput(
            f"{name} 有 {source.count:,} 行，超过一次导入的上限 {limits.file.max_rows:,} 行。",
            next_step="请按乡镇拆成几份导入。",
        )
    return source


def _open_shapefile(main: Path, *, name: str, digest: str, encoding: str | None, limits: Limits) -> Source:
    signature.check_shapefile(main, name=name)
    cpg_file, prj_file = main.with_suffix(".cpg"), main.with_suffix(".prj")
    cpg = cpg_file.read_bytes()[:64].decode("ascii", errors="ignore").strip() if cpg_file.exists() else None
    table = open_table(main.with_suffix(".dbf"), name=name, cpg=cpg or None, demanded=encoding)
    shapes = signature.shape_records(main)
    if shapes != table.count:
        raise BadInput(
            f"{name} 的图形有 {shapes} 个，属性表有 {table.count} 条，对不上。",
            next_step="文件不配套，请向提供方重要一份完整的。",
        )
    prj = prj_file.read_bytes()[:20_000].decode("utf-8", errors="replace").strip() if prj_file.exists() else ""
    source = _describe(str(main), "ESRI Shapefile", name, digest, limits, layer=None, encoding="ISO-8859-1")
    source.table, source.columns, source.crs_text = table, table.columns, prj or None
    if deleted := table.deleted():
        source.notes.append(f"跳过 {deleted:,} 条标记为已删除的记录")
    source.notes.append(f"编码 {table.encoding}（{table.encoding_note}）")
    if (kind := signature.shape_type(main)).endswith(("Z", "M")):
        source.notes.append(f"图形类型 {kind}，只取平面坐标")
    return source


def _describe(
    path: str, driver: str, name: str, digest: str, limits: Limits, *, layer: str | None, encoding: str | None = None
) -> Source:
    import pyogrio

    notes: list[str] = []
    with _gdal(name, notes):
        info = pyogrio.read_info(path, layer=layer, encoding=encoding, force_feature_count=True)
    if info["driver"] != driver:
        raise BadInput(
            f"{name} 的内容是 {info['driver']}，不是 {driver}，没有导入。", next_step="请另存为 GeoPackage。"
        )
    if any(word in (info["geometry_type"] or "") for word in ("Curve", "Circular", "Surface")):
        notes.append("圆弧已按 GDAL 默认精度化为折线")
    return Source(
        name=name, driver=driver, sha256=digest, path=path, layer=layer, crs_text=info["crs"], count=info["features"],
        columns=[str(f) for f in info["fields"]], limits=limits, notes=notes,
    )  # fmt: skip


def _choose_layer(path: str, name: str, layer: str | None) -> str:
    import pyogrio

    with _gdal(name, []):
        layers = [str(n) for n, geometry in pyogrio.list_layers(path) if geometry is not None]
    if layer is not None and layer in layers:
        return layer
    if not layers:
        raise BadInput(f"{name} 里没有空间图层。", next_step="请检查导出的图层。")
    listing = "、".join(layers[:20])
    if layer is not None:
        raise BadInput(f"{name} 里没有图层“{layer}”。", next_step=f"现有图层：{listing}。")
    if len(layers) > 1:
        raise BadInput(f"{name} 里有 {len(layers)} 个图层：{listing}。", next_step="请用 --layer 指明要导入哪一个。")
    return layers[0]


@contextmanager
def _gdal(name: str, notes: list[str]) -> Iterator[None]:
    """GDAL without a network, its errors as one sentence, its warnings as notes."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    # An address that does not exist as the only one allowed, and a proxy that refuses: no reader can leave this machine.
    pyogrio.set_gdal_config_options({
        "CPL_VSIL_CURL_ALLOWED_FILENAME": "none", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
        "GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTP_MAX_RETRY": "0", "OGR_SQLITE_LOAD_EXTENSIONS": "NO",
        "OGR_GEOMETRY_ACCEPT_UNCLOSED_RING": "YES",
    })  # fmt: skip
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError, UnicodeDecodeError) as e:
        detail = str(e).splitlines()[0].replace(tempfile.gettempdir(), "")[:160]
        raise BadInput(f"{name} 读不出来：{detail}。", next_step=_BROKEN) from e
    for warning in caught:
        text = str(warning.message).splitlines()[0][:160]
        note = "M 值已去掉" if "Measured" in text else f"读取提示：{text}"
        if note not in notes:
            notes.append(note)


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as f:
            while chunk := f.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
