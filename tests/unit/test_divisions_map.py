"""The pure decisions under the map: what may be published, into which class a value falls, sums, names, search, queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.divisions.disclosure import SUPPRESSED, publishable, withhold
from gis.divisions.measures import MEASURES, classify
from gis.divisions.naming import short_name
from gis.divisions.search import _Entry as Entry
from gis.divisions.search import rank, spell
from gis.divisions.summary import Figures, add


def test_one_small_count_takes_its_smallest_neighbour_with_it() -> None:
    assert withhold({"a": 2, "b": 9, "c": 5}) == {"a", "c"}


def test_counts_of_three_and_zero_are_shown() -> None:
    assert withhold({"a": 3, "b": 0, "c": 40}) == set()


def test_two_small_counts_whose_sum_points_at_families_take_a_third() -> None:
    assert withhold({"a": 1, "b": 1, "c": 7, "d": 0}) == {"a", "b", "c"}


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 12), max_size=8))
def test_no_withheld_count_can_be_worked_out_from_the_sum(counts: dict[str, int]) -> None:
    hidden = withhold(counts)
    assert all(n == 0 or n >= 3 for c, n in counts.items() if c not in hidden)
    could_join = [c for c, n in counts.items() if n >= 3 and c not in hidden]
    if hidden and could_join:
        assert len(hidden) >= 2
        assert sum(counts[c] for c in hidden) >= 3


def test_a_withheld_village_withholds_its_grids() -> None:
    grids = [
        ("T", "V1", "V1a", 2),
        ("T", "V1", "V1b", 0),
        ("T", "V2", "V2a", 4),
        ("T", "V2", "V2b", 3),
        ("T", "V3", "V3a", 9),
    ]
    shown = publishable("C", grids)
    assert shown["C"] == shown["T"] == 18
    assert shown["V1"] == SUPPRESSED
    assert shown["V1a"] == SUPPRESSED
    assert shown["V1b"] == 0
    assert shown["V2"] == SUPPRESSED  # joined V1: otherwise V1 = 18 - 7 - 9
    assert shown["V2a"] == SUPPRESSED
    assert shown["V3"] == shown["V3a"] == 9


def test_quantile_classes_hold_like_numbers() -> None:
    classes = classify({str(i): float(i) for i in range(10)})
    assert classes.breaks == (2.0, 4.0, 6.0, 8.0)
    assert classes.counts == (2, 2, 2, 2, 2)
    assert classes.unknown == 0


def test_unknown_is_no_class_and_is_counted() -> None:
    classes = classify({"a": None, "b": 1.0, "c": 5.0, "d": float("nan")})
    assert classes.of == {"a": None, "b": 0, "c": 1, "d": None}
    assert classes.unknown == 2


def test_values_that_read_the_same_are_coloured_the_same() -> None:
    classes = classify({"a": 80.02, "b": 80.04, "c": 80.11})
    assert classes.of["a"] == classes.of["b"] == 0
    assert classes.of["c"] == 1


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60))
def test_every_value_falls_into_one_class_and_none_is_empty(values: dict[str, float | None]) -> None:
    classes = classify(values)
    assert sum(classes.counts) + classes.unknown == len(values)
    assert list(classes.breaks) == sorted(set(classes.breaks))
    if sum(classes.counts):
        assert all(classes.counts)


def test_a_measure_without_its_denominator_is_unknown() -> None:
    assert MEASURES["pbf"].value(Figures(parcel_m2=0.0, pbf_m2=0.0)) is None
    assert MEASURES["pbf"].value(Figures(parcel_m2=200.0, pbf_m2=None)) is None
    assert MEASURES["pbf"].value(Figures(parcel_m2=200.0, pbf_m2=50.0)) == 25.0
    assert MEASURES["incidents"].value(Figures(incidents=31, population=1000)) == 31.0
    assert MEASURES["overdue"].value(Figures()) is None


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    total = add([Figures(parcels=2, pbf_m2=1.0), Figures(parcels=3, pbf_m2=None)])
    assert total.parcels == 5
    assert total.pbf_m2 is None
    assert add([]).pbf_m2 is None


@pytest.mark.parametrize(
    ("name", "level", "short"),
    [("陈庄村委会", 3, "陈庄"), ("白佛一村村委会", 3, "白佛一村"), ("南街居委会", 3, "南街"), ("村委会", 3, "村委会"),
     ("贾庄第1网格", 4, "第1网格"), ("东网格", 4, "东网格"), ("堤村乡", 2, "堤村乡")],
)  # fmt: skip
def test_names_as_people_say_them(name: str, level: int, short: str) -> None:
    assert short_name(name, level=level) == short


def test_search_finds_by_name_initials_pinyin_and_code() -> None:
    entry = Entry("130529200", 2, "堤村乡", "巨鹿县", *spell("堤村乡"))
    assert [rank(entry, text) for text in ("堤村乡", "堤村", "村乡", "dcx", "dicun", "130529")] == [0, 1, 2, 3, 4, 3]
    assert rank(entry, "xyz") is None
    assert rank(entry, "2") is None
