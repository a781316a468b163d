"""What the demo county's parcel register says (合成): codes, contractors, grades, neighbours, after NY/T 2539-2016."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.demo.lists import draw, only_where, ranks, shape
from etl.demo.people import Households
from etl.demo.terrain import Parcels

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]

MU_M2 = 2000 / 3  # 1 亩 in square metres
COLLECTIVE = "村集体"


def register(
    parcels: Parcels, *, village: Objects, households: Households, masked: Objects, seed: int
) -> tuple[dict[str, NDArray[Any]], Ints]:
    """Make the register's columns of ``onemap.parcel`` for the parcels.

    Parameters
    ----------
    village : ndarray of str, shape (n,)
        Village code of each parcel.
    households, masked :
        Who may farm, and the masked name of each household's head.

    Returns
    -------
    columns : dict
        Column name → values, shape (n,); keys are columns of the table.
    holder : ndarray of int, shape (n,)
        Row of the household that holds the parcel, -1 for the village itself.
    """
    rng = np.random.default_rng([seed, 72])
    n = len(parcels)
    form, weights, names = (shape("parcel")[k] for k in ("register", "weights", "names"))

    holder = _holders(parcels, village, households, form["collective_share"], rng)
    held = holder >= 0
    code = only_where(held, households.contractor_code[holder])
    shown = np.where(held, masked[holder], COLLECTIVE)

    ownership = draw(rng, weights["ownership"], n)
    group = np.where(ownership == "31", [g[12:15][-2:] for g in parcels.grid_code], "00")
    issuer = village + group.astype(object)
    _, village_index = np.unique(village.astype(str), return_inverse=True)
    number = ranks(village_index) + 1
    parcel_code = np.array([f"{i}{k:05d}" for i, k in zip(issuer, number.tolist(), strict=True)], dtype=object)
    long_form = rng.random(n) < form["long_contract_code"]
    contract = only_where(held, households.contractor_code[holder] + np.where(long_form, "J", "").astype(object))
    kind = np.where(held, draw(rng, weights["parcel_kind"], n), "22")

    arable = np.char.startswith(parcels.land_class.astype(str), "01")
    planting = np.where(arable, draw(rng, weights["planting_grain"], n), draw(rng, weights["planting_other"], n))
    planting[rng.random(n) < weights["planting_unknown"]] = None
    purpose = np.select(
        [np.char.startswith(parcels.land_class.astype(str), p) for p in ("03", "04", "11")], ["2", "3", "4"], "1"
    )
    declared = np.round(parcels.area_m2 / MU_M2 * rng.lognormal(0, form["area_sigma"], n) / form["area_round_mu"])
    declared = np.round(np.maximum(declared, 1) * form["area_round_mu"], 2)
    name = np.array(names["plain"], dtype=object)[(parcels.block * 7 + rng.integers(0, 2, n)) % len(names["plain"])]
    east, south, west, north = _neighbours(parcels, shown, names["other_side"], rng)
    return {
        "parcel_code": parcel_code,
        "name": name,
        "issuer_code": issuer,
        "contractor_code": code,
        "contractor_masked": shown,
        "contract_code": contract,
        "ownership": ownership,
        "parcel_kind": kind,
        "land_use": parcels.land_use,
        "land_class": parcels.land_class,
        "planting": planting,
        "soil_grade": draw(rng, weights["soil_grade"], n),
        "purpose": purpose.astype(object),
        "acquired_by": only_where(held, draw(rng, weights["acquired_by"], n)),
        "declared_pbf": parcels.in_pbf ^ (rng.random(n) < form["declared_pbf_wrong"]),
        "in_pbf": parcels.in_pbf,
        "in_high_standard": parcels.in_high_standard,
        "area_m2": parcels.area_m2,
        "declared_area_mu": declared,
        "east": east,
        "south": south,
        "west": west,
        "north": north,
    }, holder


def _holders(
    parcels: Parcels, village: Objects, households: Households, collective: float, rng: np.random.Generator
) -> Ints:
    """Each farming household holds plots of its village, scattered over its blocks; -1 is the village itself."""
    n = len(parcels)
    holder = np.full(n, -1, dtype=np.int64)
    farmers = np.flatnonzero(households.farming)
    farmers = farmers[np.argsort(households.village[farmers].astype(str), kind="stable")]
    home = households.village[farmers].astype(str)
    shuffled = rng.permutation(n)
    codes, of = np.unique(village[shuffled].astype(str), return_inverse=True)
    first = np.searchsorted(home, codes, side="left")[of]
    count = np.searchsorted(home, codes, side="right")[of] - first
    some = count > 0
    turn = ranks(of)
    turn = np.where(rng.random(n) < 0.35, rng.integers(0, 1 << 30, n), turn)  # holdings differ: not 2 plots for all
    pick = first[some] + turn[some] % count[some]
    holder[shuffled[some]] = farmers[pick]
    holder[rng.random(n) < collective] = -1
    return holder


def _neighbours(
    parcels: Parcels, shown: Objects, other: dict[str, float], rng: np.random.Generator
) -> Sequence[Objects]:
    """东 南 西 北: the neighbour's masked name along the row of strips, 路 渠 沟 at its ends."""
    n = len(parcels)
    centre = shapely.get_coordinates(shapely.centroid(parcels.geometry)).reshape(n, 2)
    sides: Objects = np.empty((n, 4), dtype=object)
    # What bounds a block is the same for all its strips
    blocks, of = np.unique(parcels.block, return_inverse=True)
    edge = draw(rng, other, 4 * len(blocks)).reshape(-1, 4)
    sides[:] = edge[of]
    for side in (0, 1):
        next_to = parcels.strip[:, side]
        me = np.flatnonzero(next_to >= 0)
        step = centre[next_to[me]] - centre[me]
        across = np.abs(step[:, 0]) >= np.abs(step[:, 1])
        # columns: 0 east, 1 south, 2 west, 3 north
        direction = np.where(across, np.where(step[:, 0] > 0, 0, 2), np.where(step[:, 1] > 0, 3, 1))
        sides[me, direction] = shown[next_to[me]]
    return [sides[:, k] for k in range(4)]
