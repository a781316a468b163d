"""四至: names of neighbours are masked, words for land are not, and no surname of the list slips through."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.neighbours import Neighbours
from gis.errors import DefinitionError
from gis.settings import ROOT

WORDS = Neighbours.load(ROOT / "data")


def listed(name: str, column: str) -> list[str]:
    with (ROOT / "data" / "codelists" / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        return [row[column] for row in csv.DictReader(f)]


@pytest.mark.parametrize(("text", "kept"), [
    ("张三", "张*"), ("张小明", "张*明"), ("欧阳娜娜", "欧**娜"), ("冼星海", "冼*海"), ("张三地", "张*地"), ("李小四承包地", "李*四承包地"),
    ("张三家地", "张*家地"), ("王五家", "王*家"), ("宋林", "宋*"), ("田林", "田*"), ("路建国", "路*国"), ("高山", "高*"), ("张三、李四", "张*、李*"),
    ("张三/水渠", "张*/水渠"), ("张三 5米", "张* 5米"), ("买买提·阿不都", "买*提·阿*都"), ("Zhang San", "Z***g S*n"), ("林小河", "林*河"), ("石桥生", "石*生"),
    ("村民张三", "村民张*"), ("本村李小林", "本村李*林"), ("机耕路王五地", "机耕路王*地"), ("社员张三家承包地", "社员张*家承包地"), ("王家", "王*"), ("东张三", "东*三"), ("李建社", "李*社"), ("赵香园", "赵*园"),
])  # fmt: skip
def test_what_may_be_a_name_is_masked(text: str, kept: str) -> None:
    assert WORDS.masked(text) == kept


@pytest.mark.parametrize("text", [
    "路", "渠", "沟", "机耕路", "水渠", "生产路", "东大路", "林地", "林带", "林带路", "田埂", "路边沟", "荒地", "本村", "村集体", "李家庄", "刘村", "王家沟",
    "第三村民小组", "县种子公司", "G20国道", "3号井", "路 8 米", "排水沟/路", "", "-", "张", "无", "张*明", "张*明地", "坟地", "石桥", "高压线",
])  # fmt: skip
def test_words_for_land_and_masked_names_stay(text: str) -> None:
    assert WORDS.masked(text) == text


def test_nothing_stays_nothing() -> None:
    assert WORDS.masked(None) is None


@given(st.sampled_from(listed("surname", "surname")), st.sampled_from(listed("given_name", "given_name")),
       st.sampled_from(["", "地", "家", "承包地", "家地", "、路", "东"]))  # fmt: skip
def test_no_name_of_our_lists_is_kept_whole(surname: str, given_name: str, after: str) -> None:
    text = surname + given_name + after
    kept = WORDS.masked(text)
    assert kept is not None
    assert surname + given_name not in kept
    assert len(kept) == len(text)


def test_the_demo_says_its_sides_in_words_that_stay() -> None:
    sides = tomllib.loads((ROOT / "data" / "demo" / "parcel.toml").read_text(encoding="utf-8"))
    said = next(v["other_side"] for v in sides.values() if isinstance(v, dict) and "other_side" in v)
    assert [WORDS.masked(word) for word in said] == list(said)


@pytest.mark.parametrize(("text", "name", "kept"), [
    ("张小明东地", "张小明", "张*明东地"), ("村东大地", "张小明", "村东大地"), ("家西", None, "家西"), (None, "张三", None), ("张地", "张", "张地"),
])  # fmt: skip
def test_a_parcels_name_does_not_say_whose_it_is(text: str | None, name: str | None, kept: str | None) -> None:
    assert WORDS.without(text, name) == kept


def test_a_word_of_an_unknown_kind_does_not_load(tmp_path: Path) -> None:
    lists = tmp_path / "codelists"
    lists.mkdir()
    (lists / "surname.csv").write_text("surname\n王\n", encoding="utf-8")
    (lists / "ground_word.csv").write_text("word,kind\n路,road\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match="road"):
        Neighbours.load(tmp_path)
