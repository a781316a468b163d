"""Incidents of the demo county (合成): two years of reports with the rhythm, places, bursts and ends of life.

The shapes come from data/codelists/incident_item.csv (hours, months, deadline, levels of each item) and
data/demo/incident.toml. Every random draw comes from one seeded generator: same profile, same incidents.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import chinese_calendar
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from etl.demo.bursts import draw_bursts
from etl.demo.deadlines import due_and_warn, due_times
from etl.demo.lists import code_list, ranks, shape
from etl.demo.places import Places
from etl.demo.working_days import working_mask

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_MINUTE = np.timedelta64(60_000_000, "us")
_BEIJING = np.timedelta64(8, "h")  # no summer time in the years generated
DAYS = 730
_LEVELS = ("county", "township", "village", "grid")


@dataclass(frozen=True)
class Incidents:
    """事件; all arrays shape (n,), in the order they were reported.

    Attributes
    ----------
    reported, accepted, responded, due, closed : datetime64[us], UTC; NaT where it has not happened; nothing is due before it
        is accepted.
    warn : datetime64[us], UTC; from when it is at risk (临期): three quarters of the time allowed.
    done : when the result was reported and the clock stopped; NaT while it runs, and for what was sent back.
    ended : when it was no longer open, closed or sent back (退回); NaT for open ones.
    deadline : codes of data/codelists/deadline_class.csv.
    point : (n, 2) easting, northing in the metric CRS; NaN where nobody said where (未落点).
    village : village code the report is about; of unplaced ones too.
    level : 1-4, where it lies: who closed it, or who usually does with its item.
    handled_level : 1-4, 0 while nobody has closed it.
    rating : 1-5, 0 when nobody has rated it.
    """

    case_no: Objects
    item: Objects
    channel: Objects
    title: Objects
    source_crs: Objects
    status: Objects
    reported: Times
    accepted: Times
    responded: Times
    due: Times
    warn: Times
    done: Times
    closed: Times
    ended: Times
    deadline: Objects
    level: Ints
    handled_level: Ints
    rating: Ints
    point: Floats
    village: Objects

    def __len__(self) -> int:
        return len(self.case_no)


def report_incidents(places: Places, *, count: int, as_of: date, seed: int) -> Incidents:
    """Generate exactly `count` incidents over the two years that end the day before `as_of`.

    Parameters
    ----------
    places : Places
        Where things can happen in each village.
    as_of : date
        The day the data stands at, 00:00 Beijing; what would end later is still open.
    """
    rng = np.random.default_rng([seed, 73])
    form = shape("incident")
    items = code_list("incident_item")
    today = np.datetime64(as_of, "D")
    days = np.arange(today - DAYS, today)

    burst = draw_bursts(places, count=count, days=days, rng=rng)
    plain = count - len(burst.item)
    weights = np.array([float(i["weight"]) for i in items])
    item = rng.choice(len(items), size=plain, p=weights / weights.sum())
    local = _plain_times(item, days, rng)
    item, local = np.r_[item, burst.item], np.r_[local, burst.time]
    want = np.array([i["place"] for i in items], dtype=object)[item]
    village = np.r_[places.draw_villages(want[:plain], rng), burst.village]
    point = places.draw_points(village, want, rng)

    order = np.argsort(local, kind="stable")
    item, local, village, point = item[order], local[order], village[order], point[order]
    n = count
    night = (_hour(local) < 7) | (_hour(local) >= 21)
    channel, source_crs = _channels(item, night, rng)
    missing = rng.random(n) < form["place"]["unplaced_share"]
    point[missing] = np.nan
    source_crs[missing] = None

    deadline = np.array([i["deadline"] for i in items], dtype=object)[item]
    ends = _handle(item, local, deadline, places.township_index(village), today, rng)
    done = _done(ends, today, seed)
    ended = np.where(ends["status"] == "returned", ends["responded"], ends["closed"])
    return Incidents(
        case_no=_case_numbers(local),
        item=np.array([i["code"] for i in items], dtype=object)[item],
        channel=channel,
        title=_titles(item, places.names[village], rng),
        source_crs=source_crs,
        status=ends["status"],
        reported=local - _BEIJING,
        accepted=ends["accepted"] - _BEIJING,
        responded=ends["responded"] - _BEIJING,
        due=ends["due"] - _BEIJING,
        warn=ends["warn"] - _BEIJING,
        done=done - _BEIJING,
        closed=ends["closed"] - _BEIJING,
        ended=ended - _BEIJING,
        deadline=deadline,
        level=np.where(ends["level"] > 0, ends["level"], _usual_level(item)),
        handled_level=ends["level"],
        rating=ends["rating"],
        point=point,
        village=places.codes[village],
    )


def _plain_times(item: Ints, days: Times, rng: np.random.Generator) -> Times:
    """Everyday reports: day by month, weekday, festival and growth; hour by the item's own clock."""
    form = shape("incident")["rhythm"]
    month = days.astype("datetime64[M]").astype(int) % 12
    weekday = (days.astype(int) + 3) % 7
    year = (days - days[0]).astype(int) / 365.25
    common = np.array(form["weekday"])[weekday] * (1 + form["growth_per_year"] * year)
    common = common * rng.lognormal(0, form["daily_sigma"], len(days))
    common[_spring_festival(days)] *= form["spring_festival"]
    weekend = ~working_mask(days)
    out = np.empty(len(item), dtype="datetime64[us]")
    for k, row in enumerate(code_list("incident_item")):
        who = np.flatnonzero(item == k)
        daily = common * np.array(row["months"].split(), dtype=float)[month]
        daily *= np.where(weekend, float(row["weekend"]), 1.0) * rng.lognormal(0, form["item_daily_sigma"], len(days))
        on = rng.choice(len(days), size=len(who), p=daily / daily.sum())
        blocks = np.array(row["hours"].split(), dtype=float)
        hour = rng.choice(8, size=len(who), p=blocks / blocks.sum()) * 3 + 3 * rng.random(len(who))
        hour = (hour + rng.uniform(-1.2, 1.2, len(who))) % 24  # no steps where two blocks meet
        out[who] = days[on].astype("datetime64[us]") + (hour * 3600).astype("timedelta64[s]")
    return out


def _spring_festival(days: Times) -> NDArray[np.bool_]:
    """True from New Year's Eve to the 6th: the days the holiday calendar names 春节."""
    out = np.zeros(len(days), dtype=bool)
    for i, day in enumerate(days.tolist()):
        try:
            out[i] = chinese_calendar.get_holiday_detail(day)[1] == "Spring Festival"
        except NotImplementedError:
            continue
    return out


def _channels(item: Ints, night: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Objects, Objects]:
    """By which channel each came, and the CRS that channel gives its position in."""
    rows = code_list("incident_channel")
    codes = np.array([r["code"] for r in rows], dtype=object)
    systems = np.array([r["source_crs"] for r in rows], dtype=object)
    p_day, p_night = (np.array([float(r[k]) for r in rows]) for k in ("weight", "weight_night"))
    pick = np.where(
        night,
        rng.choice(len(rows), size=len(night), p=p_night / p_night.sum()),
        rng.choice(len(rows), size=len(night), p=p_day / p_day.sum()),
    )
    # a camera notices smoke, not a question about a subsidy: what it cannot have seen came from a grid member
    able = np.array([[r["notices"] in i["noticed_by"].split() for r in rows] for i in code_list("incident_item")])
    pick = np.where(able[item, pick], pick, int(np.flatnonzero(codes == "grid")[0]))
    return codes[pick], systems[pick]


def _handle(
    item: Ints, local: Times, deadline: Objects, township: Ints, today: np.datetime64, rng: np.random.Generator
) -> dict[str, Any]:
    """How each incident went on: times, status, who closed it, how it was rated."""
    form = shape("incident")["outcome"]
    rows = code_list("incident_item")
    n = len(item)
    townships = int(township.max()) + 1 if n else 0
    p = rng.normal(form["on_time"], form["township_sigma"], townships).clip(0.85, 0.985)
    worse = rng.permutation(townships)[: min(len(form["worse"]), max(0, townships - 1))]
    p[worse] = form["worse"][: len(worse)]
    stuck_share = np.full(townships, form["stuck_share"])
    stuck_share[worse] = form["stuck_share_worse"]

    sigma = np.array([float(r["sigma"]) for r in rows])[item]
    response = np.array([float(r["response_minutes"]) for r in rows])[item]
    allowed = (due_times(local, deadline) - local) / _MINUTE
    # lognormal around the deadline so that the share p of the township ends in time
    spent = allowed * np.exp(sigma * (rng.standard_normal(n) - ndtri(p[township])))
    spent = np.maximum(spent, 4 + 6 * rng.random(n))
    # Forgotten ones are recent: sooner or later somebody closes what is old.
    recent = local >= today - np.timedelta64(int(form["stuck_within_days"]), "D")
    spent[recent & (rng.random(n) < stuck_share[township])] = np.inf
    spent = np.minimum(spent, np.where(recent, 60 * 24 * 3000, 60 * 24 * form["longest_days"]))
    accepted = local + _span(np.minimum(rng.lognormal(np.log(8), 0.9, n), 0.3 * spent))
    responded = local + _span(np.minimum(8 + response * rng.lognormal(0, 0.8, n), 0.8 * spent))
    responded = np.maximum(responded, accepted)
    due, warn = due_and_warn(accepted, deadline)  # the clock starts when somebody takes the case in
    closed = _office_hours(local, responded, local + _span(spent), allowed > 300, rng)
    returned = rng.random(n) < form["returned_share"]
    closed[returned] = np.datetime64("NaT")

    now = today.astype("datetime64[us]")
    late = closed > due
    ended = closed < now
    status = np.select(
        [
            ended,
            returned & (responded < now),
            responded < now - np.timedelta64(2, "h"),
            responded < now,
            accepted < now,
        ],
        ["closed", "returned", "handling", "assigned", "accepted"],
        "reported",
    ).astype(object)
    waiting = (status == "handling") & (rng.random(n) < 0.08)
    status[waiting] = "feedback"  # done, and the reporter has not confirmed yet
    closed[~ended] = np.datetime64("NaT")
    for times in (accepted, due, warn):
        times[status == "reported"] = np.datetime64("NaT")
    responded[responded >= now] = np.datetime64("NaT")

    shares = np.array([[float(r[f"level_{k}"]) for k in _LEVELS] for r in rows])
    steps = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)[item]
    level = 1 + (rng.random(n)[:, None] > steps[:, :3]).sum(axis=1)
    stars = np.where(
        late, rng.choice(5, size=n, p=form["rating_late"]) + 1, rng.choice(5, size=n, p=form["rating"]) + 1
    )
    rated = ended & (rng.random(n) < form["rated_share"])
    return {
        "status": status,
        "accepted": accepted,
        "due": due,
        "warn": warn,
        "responded": responded,
        "closed": closed,
        "level": np.where(ended, level, 0),
        "rating": np.where(rated, stars, 0),
    }


def _done(ends: dict[str, Any], today: np.datetime64, seed: int) -> Times:
    """When the result was reported: at the close, or, where the reporter has not confirmed yet, within the last days."""
    # a generator of its own: what is drawn after it stays what it was
    rng = np.random.default_rng([seed, 79])
    done: Times = ends["closed"].copy()
    waiting = ends["status"] == "feedback"
    now = today.astype("datetime64[us]")
    since = np.minimum(now - ends["responded"][waiting], np.timedelta64(3, "D")) / _MINUTE
    done[waiting] = now - _span(since * rng.random(len(since)))
    return done


def _usual_level(item: Ints) -> Ints:
    """1-4, the level that closes most of the item; shape (n,)."""
    shares = [[float(r[f"level_{k}"]) for k in _LEVELS] for r in code_list("incident_item")]
    usual: Ints = 1 + np.argmax(np.array(shares), axis=1)[item]
    return usual


def _office_hours(
    local: Times, responded: Times, closed: Times, unhurried: NDArray[np.bool_], rng: np.random.Generator
) -> Times:
    """Nobody closes a road repair at three in the morning: what can wait ends the evening before, if that is possible."""
    hour = _hour(closed)
    dark = unhurried & ((hour < 7.5) | (hour >= 21))
    day = closed.astype("datetime64[D]") - (hour < 7.5).astype(int)
    earlier = day.astype("datetime64[us]") + _span(60 * (15 + 5.5 * rng.random(len(closed))))
    return np.where(dark & (earlier > responded) & (earlier > local), earlier, closed)


def _titles(item: Ints, names: Objects, rng: np.random.Generator) -> Objects:
    phrases = code_list("incident_phrase")
    sides = shape("incident")["title"]["sides"]
    side = rng.integers(0, len(sides), len(item)).tolist()
    titles: Objects = np.empty(len(item), dtype=object)
    for k, row in enumerate(code_list("incident_item")):
        known = [p["phrase"] for p in phrases if p["item_code"] == row["code"]]
        who = np.flatnonzero(item == k)
        pick = rng.integers(0, len(known), len(who)).tolist()
        titles[who] = [
            known[j].replace("{v}", names[i]).replace("{d}", sides[side[i]])
            for i, j in zip(who.tolist(), pick, strict=True)
        ]
    return titles


def _case_numbers(local: Times) -> Objects:
    """SJ + day + number of the day: SJ2026112200017; rows are in order of time."""
    day = local.astype("datetime64[D]")
    number = (ranks(day.astype(np.int64)) + 1).tolist()
    text = np.char.replace(day.astype(str), "-", "").tolist()
    return np.array([f"SJ{d}{k:05d}" for d, k in zip(text, number, strict=True)], dtype=object)


def last_numbers(case_no: Objects) -> tuple[Objects, Times, Ints]:
    """Prefix, day and last number of each day, from numbers in order of time; arrays of one length."""
    text = case_no.astype(str)
    days, first = np.unique(np.array([t[:10] for t in text], dtype=str)[::-1], return_index=True)
    last = text[::-1][first]
    prefix = np.array([d[:2] for d in days], dtype=object)
    day = np.array([f"{d[2:6]}-{d[6:8]}-{d[8:10]}" for d in days], dtype="datetime64[D]")
    return prefix, day, np.array([int(t[10:]) for t in last], dtype=np.int64)


def _hour(local: Times) -> Floats:
    return (local - local.astype("datetime64[D]")).astype("timedelta64[us]").astype(np.int64) / 3.6e9


def _span(minutes: Floats) -> NDArray[np.timedelta64]:
    return (minutes * 60).astype("timedelta64[s]")
