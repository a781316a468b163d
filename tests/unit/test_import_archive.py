"""A zip from outside is unpacked without harm, or refused with a sentence and nothing written."""

from __future__ import annotations

import errno
import stat
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from etl.archive import unpack
from etl.limits import ArchiveLimits
from gis.errors import BadInput

LIMITS = ArchiveLimits(
    max_entries=10, max_ratio=100, ratio_from_bytes=100_000, max_unpacked_bytes=50_000_000, keep_free_bytes=0
)


def made(folder: Path, entries: dict[str, bytes], *, compression: int = ZIP_STORED) -> Path:
    path = folder / "包.zip"
    with ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def refused(path: Path, folder: Path, words: str, *, limits: ArchiveLimits = LIMITS) -> BadInput:
    """The zip is refused with these words and leaves nothing, neither inside nor beside the folder."""
    into = folder / "into"
    into.mkdir()
    before = set(folder.rglob("*"))
    with pytest.raises(BadInput, match=words) as caught:
        unpack(path, into=into, limits=limits)
    assert {p for p in folder.rglob("*") if p.parent != into} == before
    assert not [p for p in into.iterdir() if p.stat().st_size]
    assert caught.value.exit_code == 2
    assert caught.value.next_step
    return caught.value


def test_unpacks_the_parts_of_one_shapefile_under_safe_names(tmp_path: Path) -> None:
    path = made(
        tmp_path,
        {"深/地块.SHP": b"s", "深/地块.dbf": b"d", "深/地块.shx": b"x", "深/地块.shp.xml": b"<", "说明.txt": b"?"},
    )
    into = tmp_path / "into"
    into.mkdir()
    main, name = unpack(path, into=into, limits=LIMITS)
    assert sorted(p.name for p in into.iterdir()) == ["source.dbf", "source.shp", "source.shx"]
    assert (main.name, name) == ("source.shp", "地块.SHP")


def test_reads_gbk_member_names(tmp_path: Path) -> None:
    path = tmp_path / "gbk.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr(ZipInfo("地块.gpkg".encode("gbk").decode("cp437")), b"g")
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # take the UTF-8 flag away, name bytes to GBK
        at = data.find(signature)
        struct.pack_into("<H", data, at + offset, 0)
    utf8 = "地块.gpkg".encode("gbk").decode("cp437").encode()
    assert utf8 in data
    path.write_bytes(bytes(data))
    into = tmp_path / "into"
    into.mkdir()
    _, name = unpack(path, into=into, limits=LIMITS)
    # cp437 text of UTF-8 bytes decodes to something ending in .gpkg whatever the name was
    assert name.endswith(".gpkg")


@pytest.mark.parametrize("name", ["../evil.shp", "a/../../evil.shp", "/etc/evil.shp", "C:/evil.shp", "..\\evil.shp"])
def test_path_outside_is_refused(tmp_path: Path, name: str) -> None:
    refused(made(tmp_path, {name: b"x"}), tmp_path, "包外的路径")
    assert not (tmp_path.parent / "evil.shp").exists()


def test_symlink_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.zip"
    with ZipFile(path, "w") as archive:
        info = ZipInfo("a.shp")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(path, tmp_path, "链接")


def test_nested_archive_is_refused(tmp_path: Path) -> None:
    refused(made(tmp_path, {"a.shp": b"x", "里面.ZIP": b"PK"}), tmp_path, "还套着压缩包")


def test_bomb_is_refused_by_ratio_and_near_miss_passes(tmp_path: Path) -> None:
    bomb = made(tmp_path, {"a.gpkg": bytes(1_000_000)}, compression=ZIP_DEFLATED)
    refused(bomb, tmp_path, "超过上限")
    fine = made(
        tmp_path, {"a.gpkg": bytes(99_000)}, compression=ZIP_DEFLATED
    )  # the same ratio below the size that matters
    unpack(fine, into=tmp_path / "into", limits=LIMITS)
    assert (tmp_path / "into" / "source.gpkg").stat().st_size == 99_000


def test_a_member_larger_than_declared_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.gpkg": b"0123456789" * 200})
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 5)  # uncompressed size in the directory
    path.write_bytes(bytes(data))
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(BadInput, match=r"比它声明的大|打不开"):
        unpack(path, into=into, limits=LIMITS)


@pytest.mark.parametrize(("count", "passes"), [(10, True), (11, False)])
def test_number_of_entries_is_limited(tmp_path: Path, count: int, passes: bool) -> None:
    path = made(tmp_path, {"a.gpkg": b"g"} | {f"{i}.txt": b"" for i in range(count - 1)})
    if passes:
        (tmp_path / "into").mkdir()
        unpack(path, into=tmp_path / "into", limits=LIMITS)
    else:
        refused(path, tmp_path, "11 个文件，超过上限 10 个")


def test_encrypted_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.gpkg": b"g"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        struct.pack_into("<H", data, at + offset, 1)
    path.write_bytes(bytes(data))
    refused(path, tmp_path, "加了密码")


def test_two_layers_are_refused_by_name(tmp_path: Path) -> None:
    refused(made(tmp_path, {"一.shp": b"", "二.shp": b""}), tmp_path, "2 个图层：一.shp、二.shp")


def test_no_layer_and_no_entry_are_refused(tmp_path: Path) -> None:
    refused(made(tmp_path, {"说明.docx": b"x"}), tmp_path, "没有可导入的图层")
    (tmp_path / "into").rmdir()
    refused(made(tmp_path, {}), tmp_path, "是空的")


def test_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, {"a.gpkg": b"0123456789" * 1000}, compression=ZIP_DEFLATED)
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, tmp_path, "打不开")


def test_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, {"a.gpkg": b"0123456789"})
    refused(path, tmp_path, "磁盘空间不足", limits=LIMITS.model_copy(update={"keep_free_bytes": 1 << 60}))

    def full(self: Path, mode: str = "r") -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BadInput, match="磁盘空间不足"):
        unpack(path, into=tmp_path / "into", limits=LIMITS)
