"""Layers that come shifted as web maps shift: found when nobody said so, undone when somebody did, never by mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from numpy.typing import NDArray

from etl.demo.build import build_county
from etl.importing import Options, import_file
from etl.limits import read_limits
from etl.offset import compare
from etl.reference import Reference
from etl.report import Report
from gis.crs import SHIFTED, Shifted, metres_apart, to_shifted
from gis.errors import BadInput
from gis.settings import Settings
from gis.store.engine import connect
from tests.import_files import counts, write
from tests.integration.test_build import small

LIMITS = read_limits(Settings().data).offset
BATCHES = 40  # of each kind; the figures below are counted over them
Geometry = NDArray[np.object_]


@dataclass(frozen=True)
class County:
    """A small built county and what lies in it, as files of it could hold."""

    settings: Settings
    codes: NDArray[np.object_]
    parcels: Geometry
    facilities: Geometry


@pytest.fixture(scope="module")
def county(module_store: Settings) -> County:
    build_county(module_store, profile=small(incidents=20))
    with connect(module_store, role="job") as conn:
        parcels = conn.execute("SELECT parcel_code, ST_AsBinary(geom) FROM onemap.parcel ORDER BY 1").fetchall()
        facilities = conn.execute("SELECT ST_AsBinary(geom) FROM onemap.facility ORDER BY facility_code").fetchall()
    return County(
        module_store, np.array([r[0] for r in parcels], dtype=object),
        shapely.from_wkb(np.array([r[1] for r in parcels], dtype=object)),
        shapely.from_wkb(np.array([r[0] for r in facilities], dtype=object)),
    )  # fmt: skip


def redrawn(geometry: Geometry, rng: np.random.Generator) -> Geometry:
    """The same things as another survey draws them: 2 m off as a whole, a metre at every corner."""
    whole = rng.normal(0, 2 / 111_000, (1, 2))
    return np.asarray(shapely.transform(geometry, lambda c: c + whole + np.sin(c * 1e7) / 111_000), dtype=object)


def shifted(geometry: Geometry, system: Shifted | None) -> Geometry:
    return (
        geometry
        if system is None
        else np.asarray(shapely.transform(geometry, lambda c: to_shifted(c, system)), dtype=object)
    )


def batch(county: County, rng: np.random.Generator, *, keyed: bool) -> tuple[Geometry, NDArray[np.object_]]:
    """Neighbouring or scattered parcels, 40 to 300, whose own codes the store does not know; half without a village's."""
    n = int(rng.integers(40, 300))
    middles = shapely.get_coordinates(shapely.centroid(county.parcels))
    start = middles[rng.integers(len(middles))]
    chosen = (
        np.argsort(((middles - start) ** 2).sum(axis=1))[:n]
        if rng.random() < 0.7
        else rng.choice(len(middles), n, replace=False)
    )
    prefix = [code[:12] if keyed else "999999999999" for code in county.codes[chosen]]
    codes = np.array([f"{p}99{i:05d}" for i, p in enumerate(prefix)], dtype=object)
    return redrawn(county.parcels[chosen], rng), codes


def found(county: County, geometry: Geometry, codes: NDArray[np.object_], *, subject: str = "parcels") -> set[Any]:
    """What the detector takes the layer for, besides what it says it is."""
    plain = Reference(pyproj.CRS.from_epsg(4490), "EPSG:4490")
    with connect(county.settings, role="job") as conn:
        fits = compare(conn, subject=subject, wkb=shapely.to_wkb(geometry), keys=codes, reference=plain, limits=LIMITS)  # type: ignore[arg-type]
    better = [f for f in fits[1:] if f.convinces(LIMITS, subject=subject)]  # type: ignore[arg-type]
    return {max(better, key=lambda f: f.agreement).system} if better else set()


@pytest.mark.parametrize("system", SHIFTED)
def test_undeclared_batches_are_found_at_least_19_times_in_20(county: County, system: Shifted) -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for number in range(BATCHES):
        geometry, codes = batch(county, rng, keyed=number % 2 == 0)
        hits += found(county, shifted(geometry, system), codes) == {system}
    print(f"{system}: {hits} of {BATCHES}")
    assert hits / BATCHES >= 0.95


def test_batches_in_their_place_raise_no_alarm(county: County) -> None:
    rng = np.random.default_rng(12)
    alarms = [found(county, *batch(county, rng, keyed=n % 2 == 0)) for n in range(BATCHES)]
    assert [a for a in alarms if a] == []


def test_a_layer_that_fits_nowhere_is_taken_for_nothing(county: County) -> None:
    """Real parcels against a store of generated roads: no reading agrees, so none is proposed."""
    rng = np.random.default_rng(13)
    west, south, east, north = shapely.total_bounds(county.parcels)
    alarms = []
    for number in range(BATCHES):
        geometry, codes = batch(county, rng, keyed=False)
        away = rng.uniform(-0.4, 0.4, (1, 2)) * [(east - west), (north - south)]
        turned = shapely.transform(geometry, lambda c, away=away: (c - c.mean(axis=0))[:, ::-1] + c.mean(axis=0) + away)
        alarms.append((number, found(county, np.asarray(turned, dtype=object), codes)))
    assert sum(bool(a) for _, a in alarms) / BATCHES <= 0.05, alarms


@pytest.mark.parametrize("system", [None, *SHIFTED])
def test_points_are_held_against_the_houses(county: County, system: Shifted | None) -> None:
    rng = np.random.default_rng(14)
    points = shifted(redrawn(np.resize(county.facilities, 60), rng), system)
    told = found(county, points, np.full(60, None, dtype=object), subject="facilities")
    assert told == ({system} if system else set())


def layer(county: County, folder: Path, work: Callable[[Geometry], Geometry], *, rows: int = 120) -> Path:
    """A village's parcels as a file that says EPSG:4326."""
    geometry = work(redrawn(county.parcels[:rows], np.random.default_rng(3)))
    codes = [f"{c[:12]}98{i:05d}" for i, c in enumerate(county.codes[:rows])]
    return write(folder / "地块.gpkg", list(geometry), {"DKBM": codes}, epsg=4326)


def take(county: County, path: Path, **options: Any) -> Report:
    return import_file(
        county.settings, subject="parcels", file=str(path), mapping="ny_t_2539", options=Options(**options)
    )


def test_an_undeclared_shift_stops_the_import_with_metres_and_the_way_out(county: County, tmp_path: Path) -> None:
    before = counts(county.settings)
    path = layer(county, tmp_path, lambda g: shifted(g, "GCJ-02"))
    with pytest.raises(BadInput, match=r"像是 GCJ-02（高德、腾讯地图的坐标），不是 EPSG:4326：整体偏了约 5[34]\d 米（向东 5[34]\d 米、向北 \d+ 米）") as caught:  # fmt: skip
        take(county, path)
    assert "--crs GCJ-02" in caught.value.next_step
    assert "--crs EPSG:4326" in caught.value.next_step
    assert counts(county.settings) == before


@pytest.mark.parametrize("system", SHIFTED)
def test_a_declared_shift_is_undone_within_two_metres(county: County, tmp_path: Path, system: Shifted) -> None:
    path = layer(county, tmp_path, lambda g: shifted(g, system))
    report = take(county, path, crs=system.lower(), dry_run=True, rejects=None)
    assert report.crs == system
    assert any(f"当作 {system} 坐标" in n for n in report.notes), report.notes
    assert any("位置核对" in n for n in report.notes), report.notes
    reference = Reference(pyproj.CRS.from_epsg(4326), system, shifted=system)
    truth = shapely.get_coordinates(redrawn(county.parcels[:120], np.random.default_rng(3)))
    back = reference.to_store(to_shifted(truth, system))
    assert np.hypot(*metres_apart(back, truth).T).max() <= 2


def test_what_a_person_declares_is_followed_and_doubted_aloud(county: County, tmp_path: Path) -> None:
    straight = layer(county, tmp_path, lambda g: g)
    report = take(county, straight, crs="GCJ-02", dry_run=True)
    assert any("请核对 --crs" in n and "不像 GCJ-02" in n for n in report.notes), report.notes
    (tmp_path / "b").mkdir()
    crooked = layer(county, tmp_path / "b", lambda g: shifted(g, "BD-09"))
    report = take(county, crooked, crs="EPSG:4326", dry_run=True)
    assert any("请核对 --crs" in n and "像是 BD-09" in n for n in report.notes), report.notes


def test_a_store_that_knows_nothing_of_the_ground_says_so(store: Settings, tmp_path: Path) -> None:
    from tests.import_files import build_county as tiny
    from tests.import_files import dkbm, parcel

    tiny(store, divisions=True)
    with connect(store, role="owner") as conn:
        conn.execute("DELETE FROM onemap.division WHERE level > 2")
    path = write(tmp_path / "a.gpkg", [parcel(i) for i in range(30)], {"DKBM": [dkbm(i) for i in range(30)]})
    report = import_file(store, subject="parcels", file=str(path), mapping="ny_t_2539", options=Options(dry_run=True))
    assert any("没有核对是否整体偏移" in n for n in report.notes)
