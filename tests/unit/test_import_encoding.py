"""The text of a shapefile is read in the right encoding, or the file is refused: never mojibake in the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etl.dbf import open_table
from etl.encoding import Evidence, decide, decode, garbled
from gis.errors import BadInput
from tests.import_files import parcel, set_ldid, write

NAMES = ["张三", "李四五", "欧阳娜娜", "赵六"]


def evidence(*texts: str, encoding: str) -> Evidence:
    return Evidence([t.encode(encoding) for t in texts], [False] * len(texts))


def table(folder: Path, encoding: str, *, ldid: int = 0, names: list[str] | None = None) -> Path:
    names = names or NAMES
    path = write(folder / "a.shp", [parcel(i) for i in range(len(names))], {"CBFMC": names}, encoding=encoding)
    set_ldid(path.with_suffix(".dbf"), ldid)
    return path.with_suffix(".dbf")


def names_in(dbf: Path, **options: str | None) -> tuple[list[str], str]:
    opened = open_table(dbf, name="a", **({"cpg": None, "demanded": None} | options))  # type: ignore[arg-type]
    return opened.read(np.arange(opened.count))["CBFMC"].tolist(), opened.encoding


@pytest.mark.parametrize(
    ("encoding", "ldid", "cpg", "read_as"),
    [
        ("GBK", 0x4D, None, "gb18030"),  # LDID says it
        ("GBK", 0, "GBK", "gb18030"),  # .cpg says it
        ("GBK", 0, "936", "gb18030"),
        ("GBK", 0, None, "gb18030"),  # nobody says it
        ("GBK", 0x57, None, "gb18030"),  # "ANSI" names no encoding
        ("GBK", 0, "UTF-8", "gb18030"),  # .cpg is wrong and does not decode
        ("UTF-8", 0x4D, None, "utf-8"),  # LDID is wrong and does not decode
        ("UTF-8", 0, None, "utf-8"),
        ("UTF-8", 0, "UTF-8", "utf-8"),
    ],
)
def test_order_ldid_cpg_utf8_gb18030(tmp_path: Path, encoding: str, ldid: int, cpg: str | None, read_as: str) -> None:
    assert names_in(table(tmp_path, encoding, ldid=ldid), cpg=cpg) == (NAMES, read_as)


def test_ldid_goes_before_cpg() -> None:
    assert decide(evidence("张三", encoding="gbk"), ldid=0x4D, cpg="BIG5", demanded=None, name="a")[0] == "gb18030"


def test_utf8_declared_as_gbk_is_refused(tmp_path: Path) -> None:
    even = ["张三", "李四"]  # six bytes each: three characters of GBK nobody wrote
    dbf = table(tmp_path, "UTF-8", ldid=0x4D, names=even)
    with pytest.raises(BadInput, match="其实是 UTF-8") as caught:
        names_in(dbf)
    assert "--encoding" in caught.value.next_step
    assert names_in(dbf, demanded="UTF-8") == (even, "utf-8")


def test_chinese_declared_western_is_refused() -> None:
    with pytest.raises(BadInput, match="像是中文"):
        decide(evidence(*NAMES, encoding="gbk"), ldid=0x03, cpg=None, demanded=None, name="a")
    assert decide(evidence("Zoé", encoding="cp1252"), ldid=0x03, cpg=None, demanded=None, name="a")[0] == "cp1252"


def test_wrong_demand_and_unknown_encoding_are_refused(tmp_path: Path) -> None:
    dbf = table(tmp_path, "GBK")
    with pytest.raises(BadInput, match="不是 UTF-8 编码"):
        names_in(dbf, demanded="UTF-8")
    with pytest.raises(BadInput, match="不认识编码"):
        names_in(dbf, demanded="汉字")


def test_bytes_of_no_encoding_are_refused() -> None:
    with pytest.raises(BadInput, match="读不通"):
        decide(Evidence([b"\xff\xff\x80"], [False]), ldid=0, cpg=None, demanded=None, name="a")


def test_ascii_needs_no_encoding() -> None:
    assert decide(Evidence([], []), ldid=0, cpg=None, demanded=None, name="a")[0] == "utf-8"


def test_half_a_character_at_the_end_of_a_full_field_is_dropped() -> None:
    whole = "巨鹿镇东街村".encode("gbk")
    assert decode(whole[:-1], "gb18030", full=True) == "巨鹿镇东街"
    assert decode(whole[:-1], "gb18030", full=False) is None


@pytest.mark.parametrize(
    "text", ["锟斤拷", "村\ufffd", "张三李四".encode().decode("gb18030"), "张三".encode("gbk").decode("latin-1")]
)
def test_garbled_text_is_recognised(text: str) -> None:
    assert garbled(text)


@pytest.mark.parametrize(
    "text", ["张三", "联通", "欧阳娜娜", "Zoé", "ABC", "堤村乡", "阎疃镇", "㙟村", "东—西", "10㎡"]
)
def test_real_text_is_not_garbled(text: str) -> None:
    assert not garbled(text)


def test_numbers_keep_their_digits_and_stars_are_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "n.shp", [parcel(0), parcel(1)], {"N": [1305291002010000001, 2], "T": [" x ", None]})
    dbf = path.with_suffix(".dbf")
    data = dbf.read_bytes()
    at = data.find(b"1305291002010000001")
    dbf.write_bytes(data[:at] + b"*" * 19 + data[at + 19 :])
    rows = open_table(dbf, name="n", cpg=None, demanded=None).read(np.array([0, 1]))
    assert rows["N"].tolist() == [None, "2"]
    assert rows["T"].tolist() == ["x", None]


def test_truncated_table_is_refused(tmp_path: Path) -> None:
    dbf = table(tmp_path, "GBK")
    dbf.write_bytes(dbf.read_bytes()[:-120])
    with pytest.raises(BadInput, match="应有 4 条记录"):
        names_in(dbf)
