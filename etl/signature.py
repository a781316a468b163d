"""What a file really is, by its bytes and not by its name: refused before any reader opens it."""

from __future__ import annotations

import codecs
import struct
from pathlib import Path

from gis.errors import BadInput

_GEOPACKAGE_IDS = {b"GPKG", b"GP10", b"GP11"}
_FORMATS = "可导入：shapefile（.shp 或 .zip）、GeoPackage（.gpkg）、GeoJSON（.geojson .json）。"
SHAPE_TYPES = {0: "空", 1: "点", 3: "线", 5: "面", 8: "多点", 11: "点Z", 13: "线Z", 15: "面Z", 18: "多点Z", 21: "点M",
               23: "线M", 25: "面M", 28: "多点M", 31: "多面体"}  # fmt: skip


def check_path(text: str) -> Path:
    """Return the absolute path of an ordinary local file.

    Raises
    ------
    BadInput
        For an address, a GDAL virtual path, a folder, a device, a file that is missing, unreadable, empty,
        or of a format we do not read.
    """
    if "://" in text or text.startswith("/vsi"):
        raise BadInput(f"只能读本机上的文件，不能读网络或虚拟路径：{text}。", next_step="请先把文件下载到本机。")
    path = Path(text).expanduser().absolute()
    if not path.exists():
        raise BadInput(f"找不到文件 {path.name}。", next_step="请检查路径和文件名（含扩展名）。")
    if not path.is_file():
        raise BadInput(f"{path.name} 不是文件。", next_step="请给出具体的文件；文件夹型的 GDB 请先另存为 GeoPackage。")
    try:
        with path.open("rb") as f:
            empty = not f.read(1)
    except OSError as e:
        raise BadInput(f"文件 {path.name} 读不了：{e.strerror}。", next_step="请检查文件权限。") from e
    if empty:
        raise BadInput(f"文件 {path.name} 是空的（0 字节），不是成功。", next_step="请重新导出或重新下载。")
    if path.suffix.lower() not in (".zip", ".shp", ".gpkg", ".geojson", ".json"):
        raise BadInput(f"不认识的文件类型“{path.suffix or path.name}”。", next_step=_FORMATS)
    return path


def check_zip(path: Path) -> None:
    """Refuse what only calls itself a zip."""
    with path.open("rb") as f:
        if f.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
            raise BadInput(f"{path.name} 不是 zip 压缩包。", next_step="RAR、7z 请先解开，再直接导入或打成 zip。")


def check_shapefile(path: Path, *, name: str) -> None:
    """Check the .shp and .shx beside it: their numbers, declared lengths, and that they belong together."""
    for suffix, label in ((".shx", "索引"), (".dbf", "属性表")):
        if not path.with_suffix(suffix).exists():
            raise BadInput(
                f"shapefile {name} 缺少 {suffix}（{label}）文件。",
                next_step="请把 .shp .shx .dbf .prj 放在一起（或打成 zip）再导入。",
            )
    for suffix in (".shp", ".shx"):
        part = path.with_suffix(suffix)
        size = part.stat().st_size
        with part.open("rb") as f:
            head = f.read(100)
        if head[:4] != b"\x00\x00\x27\x0a":
            looks = "，像是一份 XML/VRT 文本" if head.lstrip()[:1] == b"<" else ""
            raise BadInput(
                f"{name} 的 {suffix} 内容不是 shapefile{looks}，没有打开。", next_step="请向提供方重要原始文件。"
            )
        if len(head) < 100:
            raise BadInput(f"{name} 的 {suffix} 文件头不完整。", next_step="请重新下载或重新导出。")
        declared = struct.unpack(">i", head[24:28])[0] * 2
        if declared > size:
            raise BadInput(
                f"{name} 的 {suffix} 不完整：应有 {declared:,} 字节，实际只有 {size:,} 字节。",
                next_step="文件在传输中被截断，请重新下载或重新导出。",
            )


def shape_records(path: Path) -> int:
    """Records by the .shx: 100 bytes of header, 8 a record."""
    return max(0, (path.with_suffix(".shx").stat().st_size - 100) // 8)


def shape_type(path: Path) -> str:
    """Geometry type in the header of a .shp, in Chinese."""
    with path.open("rb") as f:
        head = f.read(36)
    return SHAPE_TYPES.get(struct.unpack("<i", head[32:36])[0], "未知")


def check_geopackage(path: Path, *, name: str) -> None:
    """Check SQLite's magic, the GeoPackage application id, and that no page is missing."""
    with path.open("rb") as f:
        head = f.read(100)
    if head[:16] != b"SQLite format 3\0" or len(head) < 100:
        raise BadInput(f"{name} 的内容不是 GeoPackage。", next_step="请向提供方重要原始文件。")
    if head[68:72] not in _GEOPACKAGE_IDS:
        raise BadInput(f"{name} 是 SQLite 数据库，但不是 GeoPackage。", next_step="请在 QGIS 里另存为 GeoPackage。")
    page = struct.unpack(">H", head[16:18])[0]
    page = 65536 if page == 1 else page
    pages = struct.unpack(">I", head[28:32])[0]
    if head[24:28] == head[92:96] and pages * page > path.stat().st_size:
        raise BadInput(
            f"{name} 不完整，缺少 {pages * page - path.stat().st_size:,} 字节。", next_step="请重新下载或重新导出。"
        )


def check_geojson(path: Path, *, name: str, max_bytes: int) -> None:
    """Check that it is a whole JSON object in strict UTF-8 and not larger than we read at once."""
    size = path.stat().st_size
    if size > max_bytes:
        raise BadInput(
            f"{name} 有 {size / 1e6:,.0f} MB，GeoJSON 上限 {max_bytes / 1e6:,.0f} MB。",
            next_step="请在 QGIS 里另存为 GeoPackage 再导入。",
        )
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    first = last = ""
    typed = False
    try:
        with path.open("rb") as f:
            while chunk := f.read(1 << 20):
                text = decoder.decode(chunk)
                stripped = text.strip("\ufeff \t\r\n")
                first = first or stripped[:1]
                last = stripped[-1:] or last
                typed = typed or '"Feature' in text
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as e:
        raise BadInput(
            f"{name} 的文字不是 UTF-8（GeoJSON 规定用 UTF-8），读出来会是乱码。",
            next_step="请用 UTF-8 重新导出（QGIS 默认即是）。",
        ) from e
    if first != "{" or not typed:
        raise BadInput(f"{name} 的内容不是 GeoJSON 要素集。", next_step="请在 QGIS 里另存为 GeoJSON 或 GeoPackage。")
    if last != "}":
        raise BadInput(f"{name} 不完整，结尾缺失。", next_step="文件在传输中被截断，请重新下载或重新导出。")
