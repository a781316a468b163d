"""A zip from outside, unpacked without harm: one data set, inside a folder of ours, within limits."""

from __future__ import annotations

import errno
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from etl.limits import ArchiveLimits
from gis.errors import BadInput

SHAPE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
DATASETS = (".shp", ".gpkg", ".geojson", ".json")
_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".kmz")
_CHUNK = 1 << 20


def unpack(path: Path, *, into: Path, limits: ArchiveLimits) -> tuple[Path, str]:
    """Unpack the one data set of a zip under safe names of our own (``source.shp`` ...).

    Nothing but the parts of that data set is written, and nothing outside `into`.

    Returns
    -------
    path : Path
        The data set in `into`.
    name : str
        Its name inside the zip, decoded, for messages.

    Raises
    ------
    BadInput
        When the zip is damaged, encrypted, too large, holds a path outside, a link, another archive,
        no data set or more than one; when the disk is full.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive, path=path, limits=limits)
            main, parts = _one_dataset(members, path=path)
            _check_room(sum(i.file_size for i in parts.values()), into=into, limits=limits)
            for suffix, info in parts.items():
                _write(archive, info, into / f"source{suffix}", name=path.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as e:
        raise BadInput(
            f"压缩包 {path.name} 打不开，可能传输中损坏：{e}。", next_step="请重新打包或重新下载后再导入。"
        ) from e
    return into / f"source{main.suffix.lower()}", main.name


def _checked_members(
    archive: zipfile.ZipFile, *, path: Path, limits: ArchiveLimits
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    infos = archive.infolist()
    if not infos:
        raise BadInput(f"压缩包 {path.name} 是空的。", next_step="请检查打包时是否选中了文件。")
    if len(infos) > limits.max_entries:
        raise BadInput(
            f"压缩包 {path.name} 里有 {len(infos)} 个文件，超过上限 {limits.max_entries} 个。",
            next_step="请只打包一个图层的文件。",
        )
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        name = _name(info)
        if "\\" in name or name.startswith("/") or ":" in name or ".." in PurePosixPath(name).parts or "\0" in name:
            raise BadInput(
                f"压缩包 {path.name} 里有指向包外的路径“{name}”，不安全，没有解开。",
                next_step="请用普通方式重新打包，不要带上级目录。",
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadInput(
                f"压缩包 {path.name} 里有链接“{name}”，不安全，没有解开。", next_step="请把链接换成真实文件再打包。"
            )
        if info.flag_bits & 0x1:
            raise BadInput(f"压缩包 {path.name} 加了密码。", next_step="请去掉密码重新打包。")
        if info.is_dir():
            continue
        if PurePosixPath(name).suffix.lower() in _ARCHIVES:
            raise BadInput(
                f"压缩包 {path.name} 里还套着压缩包“{name}”。", next_step="请先解开里面的压缩包，只打包一层。"
            )
        members[PurePosixPath(name)] = info
    total, packed = sum(i.file_size for i in members.values()), sum(i.compress_size for i in members.values())
    if total > limits.max_unpacked_bytes or (
        total > limits.ratio_from_bytes and total > limits.max_ratio * max(packed, 1)
    ):
        raise BadInput(
            f"压缩包 {path.name} 解开后有 {total / 1e6:,.0f} MB（{total / max(packed, 1):,.0f} 倍），超过上限，没有解开。",
            next_step="请确认文件来源；确是真实数据时请直接导入未压缩的文件。",
        )
    return members


def _one_dataset(
    members: dict[PurePosixPath, zipfile.ZipInfo], *, path: Path
) -> tuple[PurePosixPath, dict[str, zipfile.ZipInfo]]:
    """The one data set and its parts by suffix; leftovers such as .sbn, .xml, .pdf and __MACOSX stay packed."""
    wanted = {p: i for p, i in members.items() if "__MACOSX" not in p.parts and not p.name.startswith("._")}
    found = sorted(p for p in wanted if p.suffix.lower() in DATASETS)
    if not found:
        raise BadInput(
            f"压缩包 {path.name} 里没有可导入的图层。",
            next_step="需要一个 .shp（连同 .shx .dbf .prj）、.gpkg 或 .geojson。",
        )
    if len(found) > 1:
        raise BadInput(
            f"压缩包 {path.name} 里有 {len(found)} 个图层：{'、'.join(p.name for p in found[:5])}。",
            next_step="请一个图层打一个包，分别导入。",
        )
    main = found[0]
    if main.suffix.lower() != ".shp":
        return main, {main.suffix.lower(): wanted[main]}
    parts: dict[str, zipfile.ZipInfo] = {}
    for p, info in wanted.items():
        if p.parent == main.parent and p.stem.lower() == main.stem.lower() and p.suffix.lower() in SHAPE_PARTS:
            if p.suffix.lower() in parts:
                raise BadInput(
                    f"压缩包 {path.name} 里 {p.suffix.lower()} 文件重复：{p.name}。",
                    next_step="请删去多余的一个再打包。",
                )
            parts[p.suffix.lower()] = info
    return main, parts


def _check_room(needed: int, *, into: Path, limits: ArchiveLimits) -> None:
    free = shutil.disk_usage(into).free
    if needed + limits.keep_free_bytes > free:
        raise _disk_full(f"解开需要 {needed / 1e6:,.0f} MB，临时目录只剩 {free / 1e6:,.0f} MB")


def _disk_full(detail: str) -> BadInput:
    return BadInput(
        f"磁盘空间不足：{detail}。", next_step="请清理磁盘（./onemap doctor 会指出位置）后再导入，库未改动。"
    )


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, *, name: str) -> None:
    """Copy one member; the size it declared is the most it may write, whatever its stream says."""
    left = info.file_size
    try:
        with archive.open(info) as source, target.open("xb") as out:
            while chunk := source.read(min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise BadInput(
                        f"压缩包 {name} 的内容比它声明的大，像是压缩炸弹，没有解开。", next_step="请确认文件来源。"
                    )
                out.write(chunk)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _disk_full(f"解开 {name} 时写满了") from e
        raise


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name; Chinese Windows writes GBK without the UTF-8 flag, which zipfile reads as cp437."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("gb18030")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename
