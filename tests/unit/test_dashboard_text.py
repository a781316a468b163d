"""What people read: both languages complete, gaps alike, numbers written as agreed, unknown never 0."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard.text import catalogue, language_of
from dashboard.text.numbers import count, measured, moment, mu, share
from gis.clock import ZONE
from gis.divisions.measures import MEASURES
from gis.errors import DefinitionError

ZH, EN = catalogue("zh"), catalogue("en")
DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"


def test_every_word_is_there_in_both_languages() -> None:
    assert set(ZH.words) == set(EN.words)


def test_gaps_of_a_text_are_the_same_in_both_languages() -> None:
    differing = [
        k for k, v in ZH.words.items() if set(re.findall(r"{(\w+)}", v)) != set(re.findall(r"{(\w+)}", EN.words[k]))
    ]
    assert differing == []


def test_a_missing_word_is_a_fault_not_an_empty_string() -> None:
    with pytest.raises(DefinitionError):
        ZH("no.such.word")


def test_every_key_named_in_the_code_exists() -> None:
    named = set()
    for path in DASHBOARD.rglob("*.py"):
        named |= set(re.findall(r'\bt\("([a-z_.0-9]+)"[,)]', path.read_text(encoding="utf-8")))
    assert named
    assert named - set(ZH.words) == set()


def test_no_chinese_stands_in_the_code_of_the_pages() -> None:
    """Every visible string goes through the catalogue; comments and docstrings may name the field's term."""
    found = []
    for path in [*DASHBOARD.glob("components/*.py"), *DASHBOARD.glob("pages/*.py"), *DASHBOARD.glob("callbacks/*.py")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            code = line.split("#", 1)[0]
            for literal in re.findall(r'(?<!")"([^"\n]*)"(?!")', code):
                if re.search(r"[\u4e00-\u9fff]{2,}", literal) and '"""' not in line:
                    found.append(f"{path.name}:{number} {literal}")
    assert found == []


def test_language_falls_back_to_chinese() -> None:
    assert [language_of(x) for x in ("en", "zh", "fr", None)] == ["en", "zh", "zh", "zh"]


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        (None, "无数据", "No data"),
        (0, "0 件", "0 件"),
        (3315, "3,315 件", "3,315 件"),
        (62_000, "6.2 万件", "62,000 件"),
        (-8, "−8 件", "−8 件"),
    ],
)
def test_counts(value: int | None, zh: str, en: str) -> None:
    assert str(count(ZH, value, "件")) == zh
    assert str(count(EN, value, "件")) == en


def test_areas_in_mu_have_two_decimals_for_a_parcel_and_one_for_a_sum() -> None:
    assert str(mu(ZH, 4546.7, parcel=True)) == "6.82 亩"
    assert str(mu(ZH, 400_000)) == "600.0 亩"
    assert str(mu(ZH, 62_000 * 2000 / 3)) == "6.2 万亩"
    assert str(mu(ZH, None)) == "无数据"


def test_a_share_of_nothing_is_unknown() -> None:
    assert str(share(ZH, 0, 0)) == "无数据"
    assert str(share(ZH, None, 5)) == "无数据"
    assert str(share(ZH, 1, 8)) == "12.5 %"


def test_an_unknown_measure_is_said() -> None:
    assert measured(ZH, MEASURES["pbf"], None).digits == "无数据"
    assert str(measured(ZH, MEASURES["population"], 674.4)) == "674 人/km²"


def test_a_moment_names_the_year_only_when_it_is_another() -> None:
    now = datetime.now(ZONE).replace(hour=10, minute=42)
    assert moment(ZH, now) == moment(ZH, now.astimezone(UTC)) == f"{now.month}月{now.day}日 10:42"
    assert moment(ZH, now.replace(year=2020, day=1)).startswith("2020年")
    assert moment(ZH, None) == "无数据"
