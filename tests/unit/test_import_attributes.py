"""Values are turned into ours or named as wrong: a code that lost digits, a zero that fell off, a value off the list."""

from __future__ import annotations

import numpy as np
import pytest

from etl.attributes import convert, locate
from etl.checking import M2, compare_areas
from etl.fault import Faults
from etl.mapping import Checks, mapping_names, read_mapping
from etl.reading import Batch
from gis.errors import BadInput, DefinitionError
from gis.settings import ROOT
from tests.import_files import dkbm

DATA = ROOT / "data"
MAPPING = read_mapping(DATA, "ny_t_2539")


def turned(
    column: str, *values: object, mapping: str = "ny_t_2539", field: str
) -> tuple[list[object], dict[int, list[str]]]:
    rules = read_mapping(DATA, mapping)
    n = len(values)
    data = {column: np.array(values, dtype=object)}
    key = rules.fields[rules.key].names[0] if rules.fields[rules.key].names else None
    if key and key != column:
        data[key] = np.array([dkbm(i) for i in range(n)], dtype=object)
    for name, rule in rules.fields.items():
        if rule.required and name not in (field, rules.key):
            data[rule.names[0]] = np.array([next(iter(rules.choices.get(name, {"某": ""})))] * n, dtype=object)
    faults = Faults()
    batch = Batch(np.arange(1, n + 1), np.full(n, None, dtype=object), data)
    out = convert(batch, mapping=rules, located=locate(list(data), rules), faults=faults)
    return out[field].tolist(), {i: [f.code for f in found] for i, found in faults.faults.items()}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1.30529E+18", "code_number"),
        ("1.30529e18", "code_number"),
        (1.305291002010000001e18, "code_number"),
        ("1305291002010000001.0", "code_number"),
        ("305291002010000001", "lost_zeros"),
        ("13052910020100001", "lost_zeros"),
        ("1305291002010001", "code_malformed"),
        ("13052910020100000012", "code_malformed"),
        ("13O5291002010000001", "code_malformed"),
        ("１３０５２９１００２０１０００００１", "code_malformed"),
        ("锟斤拷", "garbled_text"),
        ("", "code_missing"),
        (None, "code_missing"),
    ],
)
def test_bad_parcel_codes(value: object, code: str) -> None:
    values, faults = turned("DKBM", value, dkbm(1), field="parcel_code")
    assert values == [None, dkbm(1)]
    assert faults == {0: [code]}


@pytest.mark.parametrize("value", [dkbm(1), f" {dkbm(1)}\0", int(dkbm(1))])
def test_good_parcel_codes(value: object) -> None:
    assert turned("DKBM", value, field="parcel_code") == ([dkbm(1)], {})


@pytest.mark.parametrize(
    ("value", "expected", "code"),
    [
        ("012", "012", None),
        ("12", None, "lost_zeros"),
        (12.0, None, "lost_zeros"),
        ("014", None, "value_not_listed"),
        (None, None, None),
    ],
)
def test_land_use_is_on_the_list(value: object, expected: str | None, code: str | None) -> None:
    assert turned("TDLYLX", value, field="land_use") == ([expected], {0: [code]} if code else {})


@pytest.mark.parametrize(
    ("value", "expected", "code"),
    [
        ("1", True, None),
        ("2", False, None),
        (2, False, None),
        (2.0, False, None),
        ("0", None, "value_not_listed"),
        ("是", None, "value_not_listed"),
        ("", None, None),
    ],
)
def test_pbf_is_1_or_2_and_never_0(value: object, expected: bool | None, code: str | None) -> None:
    assert turned("SFJBNT", value, field="declared_pbf") == ([expected], {0: [code]} if code else {})


@pytest.mark.parametrize(
    ("value", "code"), [("十亩", "value_not_number"), ("nan", "value_not_number"), ("inf", "value_not_number")]
)
def test_numbers_are_numbers(value: object, code: str) -> None:
    assert turned("SCMJM", value, "1.5", field="declared_area_mu") == ([None, 1.5], {0: [code]})


def test_tags_and_names_of_a_code_list() -> None:
    kind = next(iter(read_mapping(DATA, "facilities_generic").choices["kind"].values()))
    values, faults = turned("类型", kind, "没有这种", mapping="facilities_generic", field="kind")
    assert (values, faults) == ([kind, None], {1: ["value_not_listed"]})
    values, faults = turned("能力", "FIRE；MED", "FIRE,喷火", None, mapping="facilities_generic", field="capability")
    assert (values, faults) == ([("FIRE", "MED"), None, None], {1: ["value_not_listed"]})


@pytest.mark.parametrize(
    ("value", "code"), [("-1", "value_not_number"), ("1.5", "value_not_number"), ("3000000000", "value_not_number")]
)
def test_capacity_is_a_count(value: object, code: str) -> None:
    assert turned("容量", value, "12", mapping="facilities_generic", field="capacity") == ([None, 12], {0: [code]})


def test_a_missing_key_field_is_named_with_what_is_there() -> None:
    with pytest.raises(BadInput, match=r"主键字段 DKBM.*现有字段：地块编号"):
        locate(["地块编号"], MAPPING)
    assert locate(["dkbm", "scmjm", "HTMJM"], MAPPING)["declared_area_mu"] == ["scmjm", "HTMJM"]


CHECKS = Checks(
    inside_share=0.5, area_ratio=1.5, unit_tolerance=0.2, on_area_unit="quarantine", on_area_mismatch="warn"
)


@pytest.mark.parametrize(
    ("unit", "factor", "code"),
    [
        ("mu", 1.0, None), ("mu", 1.49, None), ("mu", 2.0, "area_mismatch"),
        ("mu", 2000 / 3, "area_unit"), ("mu", 2000 / 3 * 1.19, "area_unit"), ("mu", 2000 / 3 * 1.25, "area_mismatch"),
        ("mu", 1 / 15, "area_unit"), ("m2", 3 / 2000, "area_unit"), ("m2", 1e-4, "area_unit"), ("ha", 15, "area_unit"),
        ("ha", 10_000, "area_unit"), ("m2", 15, "area_mismatch"),
    ],
)  # fmt: skip
def test_units_mixed_up_are_told_from_areas_that_differ(unit: str, factor: float, code: str | None) -> None:
    measured = 3000.0
    declared = np.array([measured / M2[unit] * factor], dtype=object)
    faults = Faults()
    compare_areas(declared, np.array([measured]), unit=unit, checks=CHECKS, faults=faults)
    found = [f.code for f in (*faults.faults[0], *faults.warnings[0])]
    assert found == ([code] if code else [])
    assert ("area_unit" in found) == bool(faults.faults[0])


def test_declared_zero_is_unknown_and_negative_is_wrong() -> None:
    faults = Faults()
    out = compare_areas(
        np.array([0, -1, None, 4.5], dtype=object), np.full(4, 3000.0), unit="mu", checks=CHECKS, faults=faults
    )
    assert out.tolist() == [None, -1, None, 4.5]
    assert [f.code for f in faults.warnings[0]] == ["area_absurd"]
    assert [f.code for f in faults.faults[1]] == ["area_absurd"]
    assert 3 not in faults.faults


def test_every_mapping_loads_and_nonsense_does_not(tmp_path: object) -> None:
    from pathlib import Path

    assert {"ny_t_2539", "brp_nl", "divisions_minzheng", "facilities_generic"} <= set(mapping_names(DATA))
    for name in mapping_names(DATA):
        assert read_mapping(DATA, name).name == name
    with pytest.raises(BadInput, match="没有名为"):
        read_mapping(DATA, "../secrets")
    with pytest.raises(BadInput, match="给 parcels 用的"):
        read_mapping(DATA, "ny_t_2539", subject="facilities")
    folder = Path(str(tmp_path)) / "imports"
    folder.mkdir()
    text = (DATA / "imports" / "ny_t_2539.toml").read_text(encoding="utf-8")
    for name, broken in (
        ("a", text.replace("[fields.name]", "[fields.parcel_id]")),
        ("b", text + "\nextra = 1"),
        ("c", "subject = "),
    ):
        (folder / f"{name}.toml").write_text(broken, encoding="utf-8")
        with pytest.raises(DefinitionError, match="有误"):
            read_mapping(folder.parent, name)
