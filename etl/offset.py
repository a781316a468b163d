"""Is a lon/lat layer shifted as web maps shift (GCJ-02, BD-09)? Held against roads, houses, water, villages of the store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg import Connection

from etl.checking import read_wkb, transform
from etl.limits import Limits, OffsetLimits
from etl.mapping import Subject
from etl.reference import Reference
from gis.crs import SHIFTED, Shifted, from_shifted, metres_apart
from gis.errors import BadInput
from gis.store.queries import load_queries

_MAKER = {"GCJ-02": "高德、腾讯地图的坐标", "BD-09": "百度地图的坐标"}
_AGAINST = {"parcels": "道路、房屋、水系、村界", "facilities": "房屋"}


@dataclass(frozen=True)
class Fit:
    """How well the layer agrees with the store when read in one way.

    Attributes
    ----------
    system : {'GCJ-02', 'BD-09'} or None
        What its numbers are taken for; None: plain longitude and latitude.
    agreement : float
        Share of the votes that agree.
    votes : int
        Questions the store could answer.
    gained, lost : int
        Votes that agree here and not as the file was read, and the other way round.
    east_m, north_m : float
        Where the file, as read, lies from here: metres to the east and north.
    """

    system: Shifted | None
    agreement: float
    votes: int
    gained: int
    lost: int
    east_m: float
    north_m: float

    @property
    def off_m(self) -> float:
        """Length of the offset, metres."""
        return float(np.hypot(self.east_m, self.north_m))

    @property
    def z(self) -> float:
        """Gained minus lost in standard deviations of a fair coin."""
        n = self.gained + self.lost
        return (self.gained - self.lost) / n**0.5 if n else 0.0

    def convinces(self, limits: OffsetLimits, *, subject: Subject) -> bool:
        """Is this way of reading so much better that it cannot be chance?"""
        enough = limits.min_agreement if subject == "parcels" else limits.min_agreement_points
        return self.gained >= limits.min_votes and self.z >= limits.min_z and self.agreement >= enough


def compare(
    conn: Connection,
    *,
    subject: Subject,
    wkb: NDArray[np.object_],
    keys: NDArray[np.object_],
    reference: Reference,
    limits: OffsetLimits,
) -> list[Fit]:
    """Hold a sample against the store, read in each way; the first is the way it was read.

    Parameters
    ----------
    wkb : ndarray of object, shape (n,)
        Geometry in the file's CRS; what is missing or invalid does not vote.
    keys : ndarray of object, shape (n,)
        Codes as they came, or None.
    """
    geometry = read_wkb(wkb)
    geometry = np.asarray(shapely.force_2d(geometry), dtype=object)
    plain = Reference(reference.crs, reference.label, reference.swap_xy)
    kinds = (3, 6) if subject == "parcels" else (0,)
    fine = np.isin(shapely.get_type_id(geometry), kinds) & ~shapely.is_empty(geometry)
    geometry, keys = transform(geometry[fine], plain), keys[fine]
    sound = np.isfinite(shapely.bounds(geometry)).all(axis=1) & shapely.is_valid(geometry)
    geometry, keys = geometry[sound], keys[sound]
    if len(geometry) == 0:
        return []
    others: list[Shifted | None] = [system for system in (None, *SHIFTED) if system != reference.shifted]
    query = load_queries("imports_offset")[subject]
    read, votes = {}, {}
    for system in (reference.shifted, *others):
        read[system] = _as(geometry, system)
        shapes = _inner(read[system], limits.inner_share) if subject == "parcels" else read[system]
        asked = {
            "bodies": list(shapely.to_wkb(shapes)), "keys": [None if k is None else str(k) for k in keys],
            "same_key_m": limits.same_key_m, "near_building_m": limits.near_building_m,
        }  # fmt: skip
        rows = conn.execute(query, asked).fetchall()
        votes[system] = np.array([[np.nan if v is None else float(v) for v in row] for row in rows])
    middle = {system: _middles(shapes) for system, shapes in read.items()}
    base = votes[reference.shifted]
    return [
        _fit(system, votes[system], base, metres_apart(middle[reference.shifted], middle[system]))
        for system in (reference.shifted, *others)
    ]


def refuse_shifted(
    conn: Connection,
    *,
    subject: Subject,
    wkb: NDArray[np.object_],
    keys: NDArray[np.object_],
    reference: Reference,
    limits: Limits,
    name: str,
) -> list[str]:
    """Stop a layer that fits the store only after a web map's offset is undone; else say how well it fits.

    Returns
    -------
    list of str
        Notes for the report and the lineage.

    Raises
    ------
    BadInput
        The layer is shifted and nobody said what its coordinates are.
    """
    if not reference.crs.is_geographic:
        return []  # a survey's plane coordinates: web maps give none
    fits = compare(conn, subject=subject, wkb=wkb, keys=keys, reference=reference, limits=limits.offset)
    if not fits or fits[0].votes < limits.offset.min_votes:
        return ["库里可对照的太少，没有核对是否整体偏移（GCJ-02、BD-09）"]
    as_read = fits[0]
    better = [f for f in fits[1:] if f.convinces(limits.offset, subject=subject)]
    if better:
        best = max(better, key=lambda f: f.agreement)
        offset = f"整体偏了约 {best.off_m:.0f} 米（向{_way(best)}）"
        numbers = f"抽查的 {as_read.votes:,} 处与库里的{_AGAINST[subject]}对得上 {best.agreement:.0%}"
        against = f"照文件原样只有 {as_read.agreement:.0%}"
        if best.system is None:
            told = (
                f"{name} 不像 {reference.shifted} 坐标：照经纬度原样，{numbers}；换算后只有 {as_read.agreement:.0%}。"
            )
        else:
            told = (
                f"{name} 的坐标像是 {best.system}（{_MAKER[best.system]}），不是 {reference.label}：{offset}。"
                f"按 {best.system} 换算后，{numbers}；{against}。"
            )
        if reference.asked:
            return [f"请核对 --crs：{told}仍按您说的导入"]
        raise BadInput(
            f"{told}没有导入。",
            next_step=f"向提供方确认后加 --crs {best.system} 再导入，会换算成 CGCS2000；"
            f"确实不是的话，加 --crs {reference.label} 照原样导入。",
        )
    if as_read.votes >= limits.offset.say_from:
        return [
            f"位置核对：抽查的 {as_read.votes:,} 处与库里的{_AGAINST[subject]}对得上 {as_read.agreement:.0%}，没有 GCJ-02、BD-09 那样的整体偏移"
        ]
    return []


def _way(fit: Fit) -> str:
    east = f"{'东' if fit.east_m >= 0 else '西'} {abs(fit.east_m):.0f} 米"
    return f"{east}、向{'北' if fit.north_m >= 0 else '南'} {abs(fit.north_m):.0f} 米"


def _as(geometry: NDArray[np.object_], system: Shifted | None) -> NDArray[np.object_]:
    if system is None:
        return geometry
    return np.asarray(shapely.transform(geometry, lambda c: from_shifted(c, system)), dtype=object)


def _middles(geometry: NDArray[np.object_]) -> NDArray[np.float64]:
    return np.asarray(shapely.get_coordinates(shapely.centroid(geometry)), dtype=np.float64)


def _inner(geometry: NDArray[np.object_], share: float) -> NDArray[np.object_]:
    """Every shape drawn `share` as wide about its own middle."""
    coords, index = shapely.get_coordinates(geometry, return_index=True)
    middle = _middles(geometry)[index]
    return np.asarray(shapely.set_coordinates(geometry.copy(), middle + (coords - middle) * share), dtype=object)


def _fit(
    system: Shifted | None, votes: NDArray[np.float64], base: NDArray[np.float64], apart: NDArray[np.float64]
) -> Fit:
    known = ~np.isnan(votes) & ~np.isnan(base)
    here, there = votes[known] > 0, base[known] > 0
    east, north = np.median(apart, axis=0)
    return Fit(
        system=system, agreement=float(here.mean()) if len(here) else 0.0, votes=len(here),
        gained=int((here & ~there).sum()), lost=int((there & ~here).sum()), east_m=float(east), north_m=float(north),
    )  # fmt: skip
