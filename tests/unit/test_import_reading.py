"""A file is what its bytes say: refused with a sentence when it is broken, disguised or empty; read whole otherwise."""

from __future__ import annotations

import socket
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import shapely

from etl.limits import read_limits
from etl.reading import Source, open_source
from gis.errors import BadInput
from gis.settings import ROOT
from tests.import_files import dkbm, parcel, write, zip_parts

LIMITS = read_limits(ROOT / "data")
VRT = '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/http://127.0.0.1:9/x.shp</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


def sample(folder: Path, name: str, n: int = 7) -> Path:
    return write(folder / name, [parcel(i) for i in range(n)], {"DKBM": [dkbm(i) for i in range(n)]})


def refused(path: Path | str, words: str, *, layer: str | None = None) -> BadInput:
    with (
        pytest.raises(BadInput, match=words) as caught,
        open_source(str(path), layer=layer, encoding=None, limits=LIMITS),
    ):
        pass
    assert caught.value.exit_code == 2
    assert caught.value.next_step
    return caught.value


def rows_of(source: Source) -> list[str]:
    return [str(v) for b in source.batches() for v in b.values["DKBM"]]


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.geojson"])
def test_every_format_is_read_in_batches(tmp_path: Path, name: str) -> None:
    small = LIMITS.model_copy(update={"file": LIMITS.file.model_copy(update={"batch_rows": 3})})
    with open_source(str(sample(tmp_path, name)), layer=None, encoding=None, limits=small) as source:
        sizes = [len(b) for b in source.batches()]
        numbers = np.concatenate([b.number for b in source.batches()]).tolist()
        again = source.rows(np.array([2, 7]))
        assert source.count == 7
        assert source.crs_text
        assert len(source.sha256) == 64
        assert rows_of(source) == [dkbm(i) for i in range(7)]
    assert sizes == [3, 3, 1]
    assert numbers == list(range(1, 8))
    assert again.values["DKBM"].tolist() == [dkbm(1), dkbm(6)]
    assert shapely.from_wkb(again.wkb[1]).equals_exact(parcel(6), 1e-9, normalize=True)


def test_zip_and_odd_names_are_read(tmp_path: Path) -> None:
    packed = zip_parts(sample(tmp_path, "a.shp"), tmp_path / "包.zip")
    odd = tmp_path / "x!y.zip" / "http:"
    odd.mkdir(parents=True)
    strange = sample(tmp_path, "b.gpkg").rename(odd / "怪 名!字.gpkg")
    for path in (packed, strange):
        with open_source(str(path), layer=None, encoding=None, limits=LIMITS) as source:
            assert rows_of(source) == [dkbm(i) for i in range(7)]


def test_upper_case_parts_are_found(tmp_path: Path) -> None:
    path = sample(tmp_path, "a.shp")
    for part in list(tmp_path.iterdir()):
        part.rename(part.with_suffix(part.suffix.upper()))
    with open_source(str(path.with_suffix(".SHP")), layer=None, encoding=None, limits=LIMITS) as source:
        assert source.count == 7


def test_vrt_dressed_up_is_refused_and_nobody_is_called(tmp_path: Path) -> None:
    sample(tmp_path, "a.shp")
    server = socket.create_server(("127.0.0.1", 0))  # what the VRT points at: a connection would wait here
    server.settimeout(0.2)
    vrt = VRT.replace(":9/", f":{server.getsockname()[1]}/")
    for name, words in (
        ("a.shp", "不是 shapefile"),
        ("b.gpkg", "不是 GeoPackage"),
        ("c.geojson", "不是 GeoJSON"),
        ("d.zip", "不是 zip"),
    ):
        (tmp_path / name).write_text(vrt)
        refused(tmp_path / name, words)
    with server, pytest.raises(TimeoutError):
        server.accept()


@pytest.mark.parametrize(
    "path", ["/vsicurl/http://127.0.0.1/a.shp", "http://127.0.0.1/a.gpkg", "zip:///tmp/a.zip!a.shp"]
)
def test_addresses_are_refused(path: str) -> None:
    refused(path, "只能读本机")


def test_other_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"type":"Topology","objects":{},"arcs":[]}')
    refused(tmp_path / "a.json", "不是 GeoJSON")


def test_missing_folder_suffix_empty(tmp_path: Path) -> None:
    refused(tmp_path / "无.shp", "找不到文件")
    refused(tmp_path, "不是文件")
    (tmp_path / "a.dwg").write_bytes(b"x")
    refused(tmp_path / "a.dwg", "不认识的文件类型")
    (tmp_path / "b.gpkg").write_bytes(b"")
    refused(tmp_path / "b.gpkg", "不是成功")


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.geojson"])
def test_zero_features_are_not_a_success(tmp_path: Path, name: str) -> None:
    refused(write(tmp_path / name, [], {"DKBM": []}), "0 行.*不是成功")


def test_missing_parts_are_named(tmp_path: Path) -> None:
    path = sample(tmp_path, "a.shp")
    refused(zip_parts(path, tmp_path / "d.zip", skip=(".dbf",)), "缺少 .dbf")
    refused(zip_parts(path, tmp_path / "x.zip", skip=(".shx",)), "缺少 .shx")


@pytest.mark.parametrize(
    ("name", "cut", "words"), [("a.shp", 100, "不完整"), ("a.gpkg", 9000, "不完整"), ("a.geojson", 20, "不完整")]
)
def test_truncated_files_are_refused(tmp_path: Path, name: str, cut: int, words: str) -> None:
    path = sample(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, words)


def test_parts_of_different_files_are_refused(tmp_path: Path) -> None:
    path = sample(tmp_path, "a.shp")
    other = sample(tmp_path, "b.shp", n=5)
    path.with_suffix(".dbf").write_bytes(other.with_suffix(".dbf").read_bytes())
    refused(path, "7 个，属性表有 5 条")


def test_gbk_geojson_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_bytes('{"type":"FeatureCollection","features":[],"name":"巨鹿"}'.encode("gbk"))
    refused(tmp_path / "a.geojson", "不是 UTF-8")


def test_plain_sqlite_is_refused(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "a.gpkg") as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    refused(tmp_path / "a.gpkg", "不是 GeoPackage")


def test_layers_are_listed_and_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [parcel(0)], {"DKBM": [dkbm(0)]}, layer="承包地")
    write(path, [parcel(1)], {"DKBM": [dkbm(1)]}, layer="自留地", append=True)
    answer = refused(path, "2 个图层")
    assert "承包地、自留地" in answer.message
    refused(path, "没有图层", layer="地")
    with open_source(str(path), layer="自留地", encoding=None, limits=LIMITS) as source:
        assert rows_of(source) == [dkbm(1)]


def test_deleted_records_stay_deleted(tmp_path: Path) -> None:
    path = sample(tmp_path, "a.shp")
    dbf = path.with_suffix(".dbf")
    data = bytearray(dbf.read_bytes())
    header, width = int.from_bytes(data[8:10], "little"), int.from_bytes(data[10:12], "little")
    data[header + 2 * width] = ord("*")
    dbf.write_bytes(bytes(data))
    small = LIMITS.model_copy(update={"file": LIMITS.file.model_copy(update={"batch_rows": 2})})
    with open_source(str(path), layer=None, encoding=None, limits=small) as source:
        assert rows_of(source) == [dkbm(i) for i in (0, 1, 3, 4, 5, 6)]
        assert np.concatenate([b.number for b in source.batches()]).tolist() == [1, 2, 4, 5, 6, 7]
        assert source.rows(np.array([4])).values["DKBM"].tolist() == [dkbm(3)]
        assert "跳过 1 条标记为已删除的记录" in source.notes


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    work = tmp_path / "files"
    work.mkdir()
    with open_source(str(zip_parts(sample(work, "a.shp"), work / "a.zip")), layer=None, encoding=None, limits=LIMITS):
        assert len(list(tmp_path.iterdir())) == 2
    with ZipFile(work / "b.zip", "w") as archive:
        archive.writestr("../x.shp", b"")
    refused(work / "b.zip", "包外")
    assert [p.name for p in tmp_path.iterdir()] == ["files"]


def test_folders_of_killed_imports_are_swept_and_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import subprocess
    import tempfile

    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive, other = (
        tmp_path / n for n in (f"onemap-import-{ended.pid}-a", f"onemap-import-{os.getppid()}-b", "onemap-import-x-c")
    )
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "source.dbf").write_bytes(b"name")
    (tmp_path / "files").mkdir()
    with open_source(str(sample(tmp_path / "files", "a.gpkg")), layer=None, encoding=None, limits=LIMITS):
        assert not dead.exists()
        assert alive.exists()
        assert other.exists()
