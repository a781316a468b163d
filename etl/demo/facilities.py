"""Facilities and resources of the demo county (合成): every kind dispatch needs, where such things stand.

Kinds, capabilities, numbers and places come from data/codelists/facility_kind.csv and resource_kind.csv.
Duty phones are an office's, seven digits without an area code, and cannot ring: no local number starts with 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from etl.demo.lists import code_list
from etl.demo.places import Places

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# facility_kind.csv `near` → the kind of spot in Places; the edge of a settlement is found along its roads
_SPOT = {"house": "house", "center": "center", "road": "road", "edge": "road", "field": "field", "water": "water"}
_SPREAD_M = {"house": 15.0, "center": 45.0, "road": 22.0, "edge": 60.0, "field": 4.0, "water": 12.0}


@dataclass(frozen=True)
class Facilities:
    """设施; columns of ``onemap.facility`` in the order of rows, shape (n,), and points (n, 2) in the metric CRS."""

    columns: Mapping[str, Objects]
    point: Floats
    village: Ints

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True)
class Resources:
    """资源; columns of ``onemap.resource``, shape (n,); `home` is the row of the facility it belongs to."""

    columns: Mapping[str, Objects]
    point: Floats
    home: Ints
    position_age_s: Ints

    def __len__(self) -> int:
        return len(self.point)


def furnish(
    places: Places, *, county: str, county_name: str, township_names: Mapping[str, str], total: int, seed: int
) -> tuple[Facilities, Resources]:
    """Generate about `total` facilities and resources together.

    The counts in the code lists describe a county of ten townships and three hundred villages; what is counted by
    village or township grows with them, then the kinds beyond the first of each place are thinned to reach `total`.
    """
    rng = np.random.default_rng([seed, 75])
    townships = sorted(set(places.township.tolist()))
    chosen = [
        (row, v, n, label) for row in code_list("facility_kind") for v, n, label in _sites(row, places, townships, rng)
    ]
    # resources are about a fifth of everything
    room = max(len(code_list("facility_kind")), round(total * 0.8))
    if len(chosen) > room:
        common = np.array([row["level"] == "village" and row["keep_all"] == "0" for row, *_ in chosen])
        spare = rng.permutation(np.flatnonzero(common))[: len(chosen) - room]
        keep = np.setdiff1d(np.arange(len(chosen)), spare)
        chosen = [chosen[i] for i in keep]
    rows = [row for row, *_ in chosen]
    village = np.array([v for _, v, _, _ in chosen], dtype=np.int64)
    names = [
        row["name_pattern"].format(
            village=places.names[v],
            committee=places.committees[v],
            township=township_names[str(places.township[v])],
            county=county_name,
            n=label,
        )
        for row, v, _, label in chosen
    ]
    point = _site_points(rows, village, places, rng)
    n = len(rows)
    capacity = [int(rng.integers(int(r["capacity_low"]), int(r["capacity_high"]) + 1)) for r in rows]
    columns = {
        "facility_code": _column([f"{county}SS{i + 1:05d}" for i in range(n)]),
        "kind": _column([r["code"] for r in rows]),
        "name": _column(names),
        "capability": _column([r["capability"].split(";") for r in rows]),
        "capacity": _column(capacity),
        "capacity_unit": _column([r["capacity_unit"] for r in rows]),
        "open_hours": _column([r["open_hours"] for r in rows]),
        "duty_phone": _column([f"0{k:06d}" for k in rng.integers(0, 1_000_000, n).tolist()]),
    }
    facilities = Facilities(columns, point, village)
    return facilities, _resources(facilities, places, county, total, rng)


def position_times(resources: Resources, as_of: date) -> NDArray[np.datetime64]:
    """When each position was last heard of: minutes to hours before the day the data stands at; UTC."""
    midnight = np.datetime64(as_of, "us") - np.timedelta64(8, "h")
    return midnight - resources.position_age_s.astype("timedelta64[s]")


def _sites(
    row: Mapping[str, str], places: Places, townships: list[str], rng: np.random.Generator
) -> list[tuple[int, int, str]]:
    """(village row, running number, label) of each facility of one kind."""
    per = float(row["per_unit"])
    size = np.bincount(places.township_index(np.arange(len(places.codes))), minlength=len(townships))
    seat = [int(np.flatnonzero(places.township == t)[0]) for t in townships]
    found: list[int] = []
    if row["level"] == "village":
        count = round(per * len(places.codes))
        found = sorted(
            np.argsort(-places.weight * rng.lognormal(0, 0.3, len(places.codes)), kind="stable")[:count].tolist()
        )
    elif row["level"] == "township":
        for i, t in enumerate(townships):
            times = int(per) + int(rng.random() < per - int(per))
            # the seat first; further ones spread over the township's villages
            members = np.flatnonzero(places.township == t)
            more = rng.permutation(members)[: max(0, times - 1)].tolist()
            if times > 0:
                found += [seat[i], *more][:times]
    else:
        scale = len(places.codes) / 301
        times = max(1, round(per * scale)) if per > 3 else int(per)
        if row["near"] in ("field", "water") or times > 3:
            found = rng.choice(len(places.codes), size=times, replace=times > len(places.codes)).tolist()
        else:
            town = seat[int(np.argmax(size))]
            nearest = np.argsort(np.hypot(*(places.centre - places.centre[town]).T), kind="stable")
            found = nearest[np.arange(times) % len(nearest)].tolist()
    numbers: dict[str, int] = {}
    out = []
    for v in found:
        pattern = row["name_pattern"]
        key = str(v) if "{village}" in pattern else str(places.township[v]) if "{township}" in pattern else ""
        numbers[key] = numbers.get(key, 0) + 1
        label = "一二三四五六七八九"[numbers[key] - 1] if row["level"] == "county" and per <= 9 else str(numbers[key])
        out.append((v, numbers[key], label))
    return out


def _site_points(rows: Sequence[Mapping[str, str]], village: Ints, places: Places, rng: np.random.Generator) -> Floats:
    spot = np.array([_SPOT[r["near"]] for r in rows], dtype=object)
    spread = np.array([_SPREAD_M[r["near"]] for r in rows])
    point = places.draw_points(village, spot, rng)
    # schools, shelters and plants stand at the edge: away from the middle, on the road that leads out
    edge = np.array([r["near"] == "edge" for r in rows])
    away = point[edge] - places.centre[village[edge]]
    point[edge] += away / np.maximum(np.hypot(*away.T), 1.0)[:, None] * 40.0
    return _apart(point + rng.normal(0, 1, point.shape) * spread[:, None] * 0.4, least_m=38.0)


def _apart(point: Floats, *, least_m: float, rounds: int = 12) -> Floats:
    """Push points apart until few lie closer than `least_m`: buildings do not stand inside one another."""
    out = point.copy()
    for _ in range(rounds):
        pairs = cKDTree(out).query_pairs(least_m, output_type="ndarray")
        if len(pairs) == 0:
            break
        a, b = pairs.T
        step = out[b] - out[a]
        length = np.hypot(*step.T)
        # two points in the very same place: part them along a direction of their own
        angle = (a * 2.399963 + b) % (2 * np.pi)
        step = np.where(length[:, None] > 0.01, step, np.column_stack([np.cos(angle), np.sin(angle)]))
        length = np.maximum(np.hypot(*step.T), 0.01)
        push = step / length[:, None] * (0.5 * (least_m - np.minimum(length, least_m)))[:, None]
        np.add.at(out, b, push)
        np.add.at(out, a, -push)
    return out


def _resources(facilities: Facilities, places: Places, county: str, total: int, rng: np.random.Generator) -> Resources:
    kind = facilities.columns["kind"]
    rows: list[Mapping[str, str]] = []
    home: list[int] = []
    number: list[int] = []
    for row in code_list("resource_kind"):
        homes = np.flatnonzero(np.isin(kind.astype(str), row["home_kind"].split(";")))
        per = float(row["per_home"])
        for h in homes.tolist():
            times = int(per) + int(rng.random() < per - int(per))
            rows += [row] * times
            home += [h] * times
            number += range(1, times + 1)
    limit = max(len(code_list("resource_kind")), total - len(facilities))
    if len(rows) > limit:
        # one of each kind always stays
        first = {row["code"]: i for i, row in reversed(list(enumerate(rows)))}
        spare = [i for i in rng.permutation(len(rows)).tolist() if first[rows[i]["code"]] != i]
        keep = sorted(set(range(len(rows))) - set(spare[: len(rows) - limit]))
        rows, home, number = [rows[i] for i in keep], [home[i] for i in keep], [number[i] for i in keep]
    n = len(rows)
    at = np.array(home, dtype=np.int64)
    moves = np.array([r["form"] in ("vehicle", "team", "drone") for r in rows])
    out = moves & (rng.random(n) < 0.18)  # on the road or at work; the others stand at home
    point = facilities.point[at] + rng.normal(0, 6, (n, 2))
    point[out] = places.draw_points(facilities.village[at[out]], np.full(int(out.sum()), "road", dtype=object), rng)
    state = np.where(out, "assigned", rng.choice(["available", "resting", "off"], size=n, p=[0.9, 0.07, 0.03]))
    supply = np.array([r["form"] == "supply" for r in rows])
    state[supply] = "available"
    columns = {
        "resource_code": _column([f"{county}ZY{i + 1:05d}" for i in range(n)]),
        "kind": _column([r["code"] for r in rows]),
        "name": _column(
            [
                r["name_pattern"].format(home=facilities.columns["name"][h], n=k)
                for r, h, k in zip(rows, home, number, strict=True)
            ]
        ),
        "capability": _column([r["capability"].split(";") for r in rows]),
        "quantity": _column([int(rng.integers(int(r["quantity_low"]), int(r["quantity_high"]) + 1)) for r in rows]),
        "unit": _column([r["unit"] for r in rows]),
        "supply_class": _column([r["supply_class"] or None for r in rows]),
        "state": state.astype(object),
        "owner_code": places.township[facilities.village[at]],
        "speed_profile": _column([r["speed_profile"] for r in rows]),
    }
    return Resources(columns, point, at, rng.integers(20, 5400, n))


def _column(values: Sequence[Any]) -> Objects:
    out: Objects = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # element by element: a list stays one value
        out[i] = value
    return out
