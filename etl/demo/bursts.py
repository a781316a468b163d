"""Bursts of the demo county's incidents (合成): storms, snow, cold waves, evenings of straw fires, each with a centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.demo.lists import code_list, shape
from etl.demo.places import Places

Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Burst:
    """Incidents of all bursts; arrays shape (m,): row of the item, local time, row of the village."""

    item: Ints
    time: Times
    village: Ints


def draw_bursts(places: Places, *, count: int, days: Times, rng: np.random.Generator) -> Burst:
    """Draw the bursts of the days given; `count` is the number of all incidents, of which bursts are a part."""
    rows = {row["code"]: k for k, row in enumerate(code_list("incident_item"))}
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    end = (days[-1] + 1).astype("datetime64[us]")
    items: list[Ints] = [np.zeros(0, dtype=np.int64)]
    times: list[Times] = [np.zeros(0, dtype="datetime64[us]")]
    villages: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for form in shape("incident")["burst"]:
        season = days[np.isin(month, form["months"])]
        if len(season) == 0:
            continue
        codes = [rows[code] for code in form["weights"]]
        p = np.array(list(form["weights"].values()))
        for _ in range(round(form["events_per_year"] * len(days) / 365)):
            n = rng.poisson(count * form["mean_share"] * min(rng.lognormal(-0.3, 0.8), form["largest"]))
            centre = places.centre[rng.integers(0, len(places.codes))]
            distance = np.hypot(*(places.centre - centre).T)
            near = places.weight * np.exp(-((distance / form["radius_m"]) ** 2))
            start = 4 + 16 * rng.random() if form["kind"] != "straw" else 17 + 2 * rng.random()
            # most calls come soon after it begins
            hours = start + form["hours"] * rng.beta(1.6, 3.5, n)
            on = season[rng.integers(0, len(season))].astype("datetime64[us]")
            items.append(rng.choice(codes, size=n, p=p / p.sum()))
            times.append(on + (hours * 3600).astype("timedelta64[s]"))
            villages.append(rng.choice(len(near), size=n, p=near / near.sum()))
    item, time, village = np.concatenate(items), np.concatenate(times), np.concatenate(villages)
    told = np.flatnonzero(time < end)
    keep = rng.permutation(told)[: count // 2]  # a very small county must still have ordinary days
    return Burst(item[keep], time[keep], village[keep])
