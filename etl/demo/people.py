"""People of the demo county (合成): households at their houses, persons, contractors.

Nobody here exists. Names are common names drawn at random (data/codelists/surname.csv, given_name.csv). Every ID
number carries a **wrong check digit** (GB 11643-1999), so none can be a real person's. Every phone number starts
with 100 or 120, which no Chinese mobile number does (they start with 13-19), so none can ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from etl.demo.lists import code_list, draw, ranks, shape

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Days = NDArray[np.datetime64]

# GB 11643-1999: weights of the first 17 digits, and the check digit for each remainder of 11 (10 is X).
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK = np.array([1, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2])


@dataclass(frozen=True)
class Households:
    """农户, row i at house i; all arrays shape (n,).

    Attributes
    ----------
    number : household_no, village code + 5 digits.
    village : 12-digit code of the village the house stands in.
    members : people, 1-7.
    category, version, since : monitoring category, its list's version, recognised on; None / NaT when not monitored.
    farming : holds contracted land.
    contractor_code : 18 digits, for every household (only farming ones are contractors).
    """

    number: Objects
    village: Objects
    members: Ints
    category: Objects
    version: Objects
    since: Days
    farming: Bools
    contractor_code: Objects

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class Persons:
    """家庭成员; all arrays shape (m,). The first n rows are the heads of households 0 … n-1, in order.

    Attributes
    ----------
    household : row of the household.
    """

    household: Ints
    is_head: Bools
    name: Objects
    id_number: Objects
    phone: Objects
    born_on: Days


@dataclass(frozen=True)
class People:
    """Households, their persons, and the masked name (张*明) of each household's head, shape (n,)."""

    households: Households
    persons: Persons
    masked: Objects


def populate(
    house_village: Objects,
    village_names: dict[str, str],
    *,
    county: str,
    monitored: int,
    as_of: date,
    seed: int,
) -> People:
    """Put one household into every house.

    Parameters
    ----------
    house_village : ndarray of str, shape (n,)
        Village code of each house.
    village_names : dict
        Village code → name; a surname in the name becomes the village's clan.
    county : str
        6-digit code the ID numbers start with.
    monitored : int
        How many households are monitored (防返贫监测).
    """
    rng = np.random.default_rng([seed, 71])
    form = shape("people")["household"]
    n = len(house_village)
    codes, village = np.unique(house_village.astype(str), return_inverse=True)
    number = ranks(village)
    members = 1 + rng.choice(len(form["members"]), size=n, p=form["members"])
    category, version, since = _monitor(village, len(codes), monitored, as_of, rng)
    households = Households(
        number=np.array(
            [f"{v}{k:05d}" for v, k in zip(house_village, (number + 1).tolist(), strict=True)], dtype=object
        ),
        village=house_village.astype(object),
        members=members,
        category=category,
        version=version,
        since=since,
        farming=rng.random(n) < form["farming_share"],
        contractor_code=np.array(
            [f"{v}{k // 9999:02d}{k % 9999 + 1:04d}" for v, k in zip(house_village, number.tolist(), strict=True)],
            dtype=object,
        ),
    )
    persons = _persons(households, village, [village_names.get(c, "") for c in codes], county, as_of, rng)
    return People(households, persons, mask_names(persons.name[:n]))


def mask_names(names: Objects) -> Objects:
    """Mask names as they may be shown: 张*明, 李*; shape (n,)."""
    return np.array([f"{x[0]}*{x[2:]}" if len(x) > 2 else f"{x[0]}*" for x in names], dtype=object)


def wrong_id_numbers(county: str, born_on: Days, female: Bools, rng: np.random.Generator) -> Objects:
    """ID numbers of 18 characters that cannot exist: the check digit is never the right one; shape (n,)."""
    n = len(born_on)
    sequence = rng.integers(1, 499, n) * 2 + ~female  # odd: male
    heads = [
        f"{county}{day}{k:03d}"
        for day, k in zip(np.char.replace(born_on.astype(str), "-", "").tolist(), sequence.tolist(), strict=True)
    ]
    digits = np.array(heads, dtype="U17").view("U1").reshape(n, 17).astype(np.int64)
    right = _CHECK[digits @ _WEIGHTS % 11]
    # 1-9 steps away from the right digit, modulo 10, never lands on it; where X is right any digit is wrong
    wrong = (right + rng.integers(1, 10, n)) % 10
    return np.array([f"{head}{digit}" for head, digit in zip(heads, wrong.tolist(), strict=True)], dtype=object)


def impossible_phones(n: int, rng: np.random.Generator) -> Objects:
    """Phone numbers of 11 digits in no mobile range; shape (n,)."""
    prefixes = np.array(shape("people")["number"]["phone_prefix"], dtype=object)[rng.integers(0, 2, n)]
    tails = rng.integers(0, 100_000_000, n).tolist()
    return np.array([f"{prefix}{tail:08d}" for prefix, tail in zip(prefixes, tails, strict=True)], dtype=object)


def _monitor(
    village: Ints, villages: int, count: int, as_of: date, rng: np.random.Generator
) -> tuple[Objects, Objects, Days]:
    """Who is monitored: uneven between villages; exactly `count` households (fewer when there are not as many)."""
    form = shape("people")["monitored"]
    n = len(village)
    count = min(count, n)
    rate = rng.lognormal(0, form["village_sigma"], villages)[village] if n else np.zeros(0)
    # weighted sampling without replacement: the smallest exponential waiting times
    chosen = np.argsort(rng.exponential(size=n) / rate, kind="stable")[:count]
    category: Objects = np.full(n, None, dtype=object)
    version: Objects = np.full(n, None, dtype=object)
    since: Days = np.full(n, np.datetime64("NaT"), dtype="datetime64[D]")
    new = rng.random(count) < form["new_list_share"]
    first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (form["new_list_from"], as_of))
    new &= bool(last > first)
    version[chosen] = np.where(new, "2026", "2021")
    known_2026 = {row["code"]: 1.0 for row in code_list("household_category") if row["version"] == "2026"}
    category[chosen] = np.where(new, draw(rng, known_2026, count), draw(rng, form["weights_2021"], count))
    old_days = min(first, last) - rng.integers(30, 365 * 5, count)
    new_days = first + rng.integers(0, max(1, last - first), count)
    since[chosen] = np.where(new, new_days, old_days).astype("datetime64[D]")
    return category, version, since


def _persons(
    households: Households, village: Ints, names: list[str], county: str, as_of: date, rng: np.random.Generator
) -> Persons:
    """Heads of all households; everybody of the monitored ones."""
    form = shape("people")["household"]
    n = len(households)
    today = np.datetime64(as_of)
    head_age = np.clip(rng.normal(form["head_age_mean"], form["head_age_sd"], n), 20, 92)
    head_female = rng.random(n) < form["head_female"]
    surname = _surnames(village, names, rng)

    extra = np.where(households.category.astype(bool), households.members - 1, 0)
    home = np.repeat(np.arange(n), extra)
    place = ranks(home)  # 0 the spouse, then children, a parent, grandchildren
    age = head_age[home]
    age = np.select(
        [place == 0, place == 1, place == 2, place == 3],
        [age + rng.normal(0, 3, len(home)), age - rng.uniform(22, 31, len(home)), age - rng.uniform(23, 33, len(home)),
         age + rng.uniform(21, 29, len(home))],
        age - rng.uniform(48, 58, len(home)),
    )  # fmt: skip
    age = np.clip(np.abs(age), 0.2, 99)
    female = np.where(place == 0, ~head_female[home], rng.random(len(home)) < 0.49)
    family = np.where(place == 0, _surnames(village[home], names, rng, clans=False), surname[home])

    all_age, all_female = np.r_[head_age, age], np.r_[head_female, female]
    born_on = (today - (all_age * 365.25).astype(int)).astype("datetime64[D]")
    phone = impossible_phones(len(born_on), rng)
    phone[all_age < 14] = None
    given = _given_names(born_on.astype("datetime64[Y]").astype(int) + 1970, all_female, rng)
    return Persons(
        household=np.r_[np.arange(n), home],
        is_head=np.r_[np.ones(n, dtype=bool), np.zeros(len(home), dtype=bool)],
        name=np.r_[surname, family] + given,
        id_number=wrong_id_numbers(county, born_on, all_female, rng),
        phone=phone,
        born_on=born_on,
    )


def _surnames(village: Ints, names: list[str], rng: np.random.Generator, *, clans: bool = True) -> Objects:
    """A surname each: the village's clans first, the country's distribution otherwise."""
    rows = code_list("surname")
    known = np.array([r["surname"] for r in rows], dtype=object)
    p = np.array([float(r["weight"]) for r in rows])
    p /= p.sum()
    drawn = known[rng.choice(len(known), size=len(village), p=p)]
    if not clans:
        return drawn
    first = known[rng.choice(len(known), size=len(names), p=p)]
    second = known[rng.choice(len(known), size=len(names), p=p)]
    rank = {s: i for i, s in enumerate(known)}
    for i, name in enumerate(names):
        inside = [c for c in name.removesuffix("居委会").removesuffix("村委会") if c in rank]
        if inside:
            first[i] = min(inside, key=lambda c: rank[c])
    form = shape("people")["surname"]
    u = rng.random(len(village))
    limit = form["clan_share"]
    drawn = np.where(u < limit + form["second_share"], second[village], drawn)
    return np.where(u < limit, first[village], drawn)


def _given_names(year: Ints, female: Bools, rng: np.random.Generator) -> Objects:
    """Given names that were common for the sex and the decade of birth."""
    rows = code_list("given_name")
    names = np.array([r["given_name"] for r in rows], dtype=object)
    sex = np.array([r["sex"] == "F" for r in rows])
    born_from, born_to = (np.array([int(r[k]) for r in rows]) for k in ("born_from", "born_to"))
    weight = np.array([float(r["weight"]) for r in rows])
    out: Objects = np.empty(len(year), dtype=object)
    decade = np.clip(year, 1930, 2029) // 10
    for d in np.unique(decade):
        for is_female in (False, True):
            who = np.flatnonzero((decade == d) & (female == is_female))
            p = weight * (sex == is_female) * (born_from < d * 10 + 10) * (born_to >= d * 10)
            out[who] = names[rng.choice(len(names), size=len(who), p=p / p.sum())]
    return out
