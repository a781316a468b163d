"""People of the demo county cannot be mistaken for real ones, add up, and come out the same every time."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from etl.demo.people import People, mask_names, populate

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK = "10X98765432"
VILLAGES = {"130529100201": "南贾庄村委会", "130529100202": "东街居委会", "130529101201": "孔寨村委会"}


def right_digit(number: str) -> str:
    """GB 11643-1999, written out the slow way."""
    return CHECK[sum(int(d) * w for d, w in zip(number[:17], WEIGHTS, strict=True)) % 11]


def make(seed: int = 7, houses: int = 400) -> People:
    village = np.repeat(np.array(list(VILLAGES), dtype=object), houses)
    return populate(village, VILLAGES, county="130529", monitored=30, as_of=date(2026, 11, 22), seed=seed)


@pytest.fixture(scope="module")
def people() -> People:
    return make()


def test_the_check_digit_rule_itself_is_right() -> None:
    assert right_digit("11010519491231002X") == "X"  # the standard's own example


def test_no_id_number_is_valid(people: People) -> None:
    numbers = people.persons.id_number
    assert all(len(n) == 18 and n[:17].isdigit() for n in numbers)
    assert not [n for n in numbers if n[17] == right_digit(n)]


def test_id_numbers_tell_birth_day(people: People) -> None:
    days = np.char.replace(people.persons.born_on.astype(str), "-", "")
    assert [n[6:14] for n in people.persons.id_number] == days.tolist()


def test_no_phone_can_ring(people: People) -> None:
    phones = [p for p in people.persons.phone if p is not None]
    assert phones
    assert all(len(p) == 11 and p[:3] in ("100", "120") for p in phones)


def test_one_household_a_house_numbered_within_its_village(people: People) -> None:
    h = people.households
    assert len(h) == 1200
    assert len(set(h.number)) == 1200
    assert len(set(h.contractor_code)) == 1200
    assert all(n.startswith(v) and len(n) == 17 for n, v in zip(h.number, h.village, strict=True))
    assert all(len(c) == 18 and c.isdigit() for c in h.contractor_code)


def test_members_are_one_to_seven(people: People) -> None:
    members = people.households.members
    assert members.min() >= 1
    assert members.max() <= 7
    assert 3.0 < members.mean() < 4.0


def test_exactly_the_monitored_have_a_category_and_all_their_members(people: People) -> None:
    h, p = people.households, people.persons
    monitored = np.array([c is not None for c in h.category])
    assert monitored.sum() == 30
    assert {(c, v) for c, v in zip(h.category[monitored], h.version[monitored], strict=True)} <= {
        ("TPBWD", "2021"), ("BYYZP", "2021"), ("TFYZKN", "2021"), ("FZFPZP", "2026")
    }  # fmt: skip
    assert np.array_equal(~np.isnat(h.since), monitored)
    written = np.bincount(p.household, minlength=len(h))
    assert np.array_equal(written, np.where(monitored, h.members, 1))
    assert np.bincount(p.household[p.is_head], minlength=len(h)).tolist() == [1] * len(h)


def test_the_2026_list_is_not_used_before_2026() -> None:
    village = np.repeat(np.array(list(VILLAGES), dtype=object), 100)
    early = populate(village, VILLAGES, county="130529", monitored=50, as_of=date(2025, 6, 1), seed=1)
    assert set(early.households.version) == {None, "2021"}
    assert early.households.since[~np.isnat(early.households.since)].max() <= np.datetime64("2025-06-01")


def test_a_village_named_after_a_clan_is_full_of_it(people: People) -> None:
    heads = people.persons.name[: len(people.households)]
    of_jia_village = heads[people.households.village == "130529100201"]
    assert sum(n[0] == "贾" for n in of_jia_village) > 0.3 * len(of_jia_village)


def test_masking_hides_the_second_character() -> None:
    assert mask_names(np.array(["张小明", "李强", "欧阳文华"], dtype=object)).tolist() == ["张*明", "李*", "欧*文华"]


def test_masked_names_belong_to_the_heads(people: People) -> None:
    heads = people.persons.name[: len(people.households)]
    assert people.masked.tolist() == mask_names(heads).tolist()


def test_same_seed_same_people_other_seed_others(people: People) -> None:
    again, other = make(), make(seed=8)
    assert again.persons.id_number.tolist() == people.persons.id_number.tolist()
    assert other.persons.id_number.tolist() != people.persons.id_number.tolist()
