"""Answers are checked, brought into one shape, and personal ones set apart and masked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.cases import forms
from gis.cases.definition import FormField
from gis.cases.forms import FaultyAnswers, validate


def field(kind: str, **more: Any) -> FormField:
    return FormField.model_validate({"id": "x", "name": "某项", "kind": kind} | more)


def kept(kind: str, value: Any, **more: Any) -> Any:
    return validate([field(kind, **more)], {"x": value}, items="incident_item")[0]["x"]


def fault(kind: str, value: Any, **more: Any) -> str:
    with pytest.raises(FaultyAnswers) as e:
        validate([field(kind, **more)], {"x": value}, items="incident_item")
    return e.value.faults["x"]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("text", "  村口\t路灯\n不亮 ", "村口 路灯 不亮"),
        ("longtext", "一\r\n二", "一\n二"),
        ("text", "e\u0301", "é"),
        ("longtext", "甲\u202e乙\x00丙", "甲乙丙"),
        ("number", "３.５", 3.5),
        ("number", 4.0, 4),
        ("money", "12.5", "12.50"),
        ("bool", "on", True),
        ("bool", False, False),
        ("date", "2026-11-22", "2026-11-22"),
        ("datetime", "2026-11-22T10:42", "2026-11-22T10:42:00+08:00"),
        ("datetime", "2026-11-22T02:42:00Z", "2026-11-22T10:42:00+08:00"),
        ("item", "0303", "0303"),
        ("deadline_class", "2wd", "2wd"),
        ("person", "17", 17),
        ("unit", "swj", "swj"),
        ("case", " sj2026112200017 ", "SJ2026112200017"),
        ("rating", "5", 5),
    ],
)  # fmt: skip
def test_shapes(kind: str, given: Any, expected: Any) -> None:
    value = kept(kind, given)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", 5), ("text", "\u200b\u200b"), ("text", "好" * 2001), ("number", "nan"), ("number", float("inf")), ("number", "1e999"),
        ("number", True), ("number", "9" * 50), ("money", "1.005"), ("money", -1), ("bool", "maybe"), ("bool", 3), ("date", "2026-02-30"),
        ("date", "0001-01-01"), ("datetime", "tomorrow"), ("item", "9999"), ("item", ["0303"]), ("deadline_class", "1h"), ("person", "-3"),
        ("person", "１７"), ("person", "1" * 30), ("unit", "'; DROP TABLE"), ("case", "SJ1"), ("rating", 0), ("rating", True), ("rating", 4.5),
        ("point", {"lonlat": [115.0, 37.2]}), ("point", {"lonlat": [float("nan"), 37.2], "source_crs": "EPSG:4326"}), ("point", "here"),
        ("extent", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}), ("extent", {"type": "Circle"}),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(kind: str, given: Any) -> None:
    assert fault(kind, given).startswith("“某项”")


def test_limits_say_their_unit() -> None:
    assert fault("number", 6, max=5, unit="天") == "“某项”不能大于 5 天"
    assert fault("number", 0, min=1, unit="天") == "“某项”不能小于 1 天"
    assert fault("number", 1.5, whole=True) == "“某项”要是整数"


def test_required_and_unknown() -> None:
    with pytest.raises(FaultyAnswers) as e:
        validate([field("text", required=True)], {"y": 1, "x": "  "})
    assert e.value.faults == {"y": "没有“y”这一项", "x": "请填写“某项”"}
    assert validate([field("text")], {"x": ""}) == ({}, {})


def test_a_point_keeps_the_system_it_was_declared_in() -> None:
    gcj = kept("point", {"lonlat": [115.0362, 37.2203], "source_crs": "GCJ-02"})
    assert gcj["source_crs"] == "GCJ-02"
    assert 0.001 < abs(gcj["lonlat"][0] - 115.0362) < 0.01


def test_personal_answers_are_apart_and_masked() -> None:
    form = [field("text", personal=True, mask="phone"), FormField(id="y", name="别的", kind="text")]
    answers, secrets = validate(form, {"x": "13800001111", "y": "可见"})
    assert answers == {"y": "可见"}
    assert secrets == {"x": ("13800001111", "138****1111")}
    assert validate([field("text", personal=True)], {"x": "病情"})[1] == {"x": ("病情", "***")}


def test_answers_in_words() -> None:
    assert forms.shown(field("choice", options={"a": "甲"}), "a") == "甲"
    assert forms.shown(field("choice", options={"a": "甲"}), "gone") == "gone"
    assert forms.shown(field("bool"), False) == "否"
    assert forms.shown(field("number", unit="天"), 3) == "3 天"
    assert forms.shown(field("item"), "0303", items="incident_item") == "道路与路灯损坏"
    assert forms.shown(field("rating"), 5) == "很满意"
    assert forms.shown(field("text"), None) == "无数据"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(sorted(forms._SHAPES))


@settings(max_examples=400, deadline=None)
@given(KINDS, JUNK)
def test_whatever_comes_is_kept_sound_or_refused(kind: str, value: Any) -> None:
    more = {"options": {"a": "甲"}} if kind == "choice" else {}
    kept_now, _, faults = forms.sorted_out([field(kind, **more)], {"x": value}, items="incident_item")
    assert set(faults) <= {"x"}
    text = json.dumps(kept_now, allow_nan=False)
    assert "\\u0000" not in text
    # what is kept is accepted again as it is
    assert forms.sorted_out([field(kind, **more)], json.loads(text), items="incident_item")[0] == kept_now
