"""What goes into each table of the demo county: columns ready to load, in lon/lat, placed in their grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from etl.demo.attributes import register
from etl.demo.facilities import Facilities, Resources, furnish, position_times
from etl.demo.incidents import last_numbers, report_incidents
from etl.demo.lists import only_where
from etl.demo.people import People, populate
from etl.demo.places import Places, find_places
from etl.demo.terrain import Terrain
from etl.sealing import masked, seal
from etl.transform import geometry_to_lonlat, sound_to_lonlat, to_lonlat
from gis.access.crypt import Keys
from gis.cases.routing import Duties
from gis.divisions.placing import Grids, Placement, place
from gis.settings import ROOT

Objects = NDArray[np.object_]
Floats = NDArray[np.float64]

# The day the published division list holds from (NBS codes, cut-off 2023-06-30).
VALID_FROM = date(2023, 6, 30)
_HILBERT_LEVEL = 15
# States of an incident in which its clock no longer runs.
_STOPPED = ["closed", "returned", "feedback"]


@dataclass(frozen=True)
class TableLoad:
    """Rows for one table.

    Attributes
    ----------
    subject : str
        Of the load's lineage.
    label : str
        What people call it.
    columns : dict
        Column → values, all of one length or a scalar.
    after : tables that must be loaded before (foreign keys).
    traced : bool
        The table has a ``load_id``.
    """

    table: str
    subject: str
    label: str
    columns: dict[str, Any]
    rows: int
    after: tuple[str, ...] = ()
    traced: bool = True


def division_load(terrain: Terrain) -> TableLoad:
    """County, townships, villages, grids."""
    d = terrain.divisions
    level = d["level"].to_numpy()
    # The county's outline is real; all below it is generated. A shrunken county's outline is cut.
    official = (level == 1) & (terrain.profile.shrink == 1)
    seat = np.array([p if isinstance(p, shapely.Point) else None for p in d["seat"]], dtype=object)
    columns = {
        "code": _text(d, "code"),
        "level": level,
        "name": _text(d, "name"),
        "parent_code": only_where(level > 1, _text(d, "parent_code")),
        "urban_rural": _text(d, "urban_rural"),
        "households": d["households"].to_numpy(dtype=float),
        "population": d["population"].to_numpy(dtype=float),
        "valid_from": VALID_FROM,
        "boundary_status": np.where(official, "official", "schematic"),
        "geom": geometry_to_lonlat(d.geometry.to_numpy(), srid=terrain.metric_srid),
        "seat": geometry_to_lonlat(seat, srid=terrain.metric_srid),
    }
    return TableLoad("onemap.division", "divisions", "区划", columns, len(d))


def content(terrain: Terrain, grids: Grids, *, as_of: date, keys: Keys) -> Iterator[TableLoad]:
    """All other tables, the slow ones first; each is generated only when it is asked for. `keys` seal what is personal."""
    profile, seed = terrain.profile, terrain.profile.seed
    sizes = profile.size(terrain.scale)
    house_village = np.array([g[:12] for g in terrain.house_grid], dtype=object)
    names = dict(zip(_text(terrain.divisions, "code"), _text(terrain.divisions, "name"), strict=True))
    people = populate(
        house_village, names, county=profile.code, monitored=sizes.monitored_households, as_of=as_of, seed=seed
    )
    parcels, holder = _parcels(terrain, grids, people, seed)
    yield parcels
    places = find_places(terrain, seed=seed)
    yield from _incidents(terrain, grids, places, sizes.incidents, as_of, seed)
    yield _simple(terrain, "onemap.building", "buildings", "房屋", terrain.buildings, {"kind": "house"})
    yield from _people(terrain, grids, people, holder, keys=keys)
    yield from _ground(terrain)
    facilities, resources = furnish(
        places, county=profile.code, county_name=profile.name, township_names=names, total=sizes.facilities, seed=seed
    )
    yield _facilities(terrain, grids, facilities)
    yield _resources(terrain, grids, resources, as_of)


def _parcels(terrain: Terrain, grids: Grids, people: People, seed: int) -> tuple[TableLoad, NDArray[np.int64]]:
    parcels = terrain.parcels
    geometry = sound_to_lonlat(parcels.geometry, srid=terrain.metric_srid)
    inner = shapely.point_on_surface(geometry)
    codes = placed(inner, grids)
    village = np.array([g[:12] for g in parcels.grid_code], dtype=object)
    columns, holder = register(
        replace(parcels, **_in_zones(terrain, inner)),
        village=village,
        households=people.households,
        masked=people.masked,
        seed=seed,
    )
    columns |= codes | {"geom": geometry}
    # Neighbours on the ground lie next to one another on disk: a tile reads few pages
    order = np.argsort(gpd.GeoSeries(geometry).hilbert_distance(level=_HILBERT_LEVEL).to_numpy(), kind="stable")
    sorted_columns: dict[str, Any] = {name: values[order] for name, values in columns.items()}
    sorted_columns["parcel_id"] = np.arange(1, len(parcels) + 1)
    return TableLoad("onemap.parcel", "parcels", "地块", sorted_columns, len(parcels)), holder


def _in_zones(terrain: Terrain, inner: Objects) -> dict[str, Any]:
    """``in_pbf`` and ``in_high_standard`` by the zone layer itself: the parcel's inner point lies in a zone."""
    zones = terrain.zones
    geometry = sound_to_lonlat(zones.geometry.to_numpy(), srid=terrain.metric_srid)
    tree = shapely.STRtree(inner)
    inside = {}
    for kind in ("pbf", "high_standard"):
        hits = tree.query(geometry[(zones["kind"] == kind).to_numpy()], predicate="covers")[1]
        inside[f"in_{kind}"] = np.isin(np.arange(len(inner)), hits)
    return inside


def _incidents(
    terrain: Terrain, grids: Grids, places: Places, count: int, as_of: date, seed: int
) -> Iterator[TableLoad]:
    inc = report_incidents(places, count=count, as_of=as_of, seed=seed)
    point = inc.point.copy()
    known = ~np.isnan(point[:, 0])
    lonlat = to_lonlat(point, srid=terrain.metric_srid)
    codes = placed(_points(lonlat), grids)
    # A few phones stood just across the county's border: they reported from the village's centre instead
    lost = known & (codes["grid_code"] == None)  # noqa: E711  (elementwise)
    if lost.any():
        row = {code: i for i, code in enumerate(places.codes)}
        point[lost] = places.centre[[row[v] for v in inc.village[lost]]]
        lonlat[lost] = to_lonlat(point[lost], srid=terrain.metric_srid)
        codes = placed(_points(lonlat), grids)
    then = np.datetime64(as_of, "us") - np.timedelta64(8, "h")  # the data's midnight, Beijing, in UTC
    # What is late already was told long ago: the first sweep tells what changes from here on.
    told = np.select(
        [np.isin(inc.status, _STOPPED), inc.due < then, inc.warn < then],
        ["on_track", "breached", "at_risk"],
        "on_track",
    )
    columns: dict[str, Any] = {
        "case_id": np.arange(1, count + 1),
        "case_no": inc.case_no,
        "process": "incident",
        "process_version": 1,
        "state": inc.status,
        "item_code": inc.item,
        "channel": inc.channel,
        "title": inc.title,
        "reported_at": inc.reported,
        "accepted_at": inc.accepted,
        "responded_at": inc.responded,
        "deadline_class": inc.deadline,
        "due_at": inc.due,
        "warn_at": inc.warn,
        "clock_state": np.where(np.isin(inc.status, _STOPPED), "stopped", "runs").astype(object),
        "swept": told.astype(object),
        "done_at": inc.done,
        "closed_at": inc.closed,
        "ended_at": inc.ended,
        "level": inc.level,
        "unit": _units(inc.item, inc.level, codes, inc.status),
        "handled_level": np.ma.masked_equal(inc.handled_level, 0),
        "rating": np.ma.masked_equal(inc.rating, 0),
        "source_crs": inc.source_crs,
        "geom": _points(lonlat),
        **codes,
    }
    yield TableLoad("onemap.case_file", "incidents", "事件", columns, count)
    # the numbers given out so far: a case of the same day goes on from the last
    prefix, day, last = last_numbers(inc.case_no)
    numbers = {"prefix": prefix, "day": day, "last": last}
    yield TableLoad("onemap.case_number", "incidents", "办件号", numbers, len(day), traced=False)


def _units(item: Objects, level: NDArray[np.int64], codes: dict[str, Any], status: Objects) -> Objects:
    """Who is in charge, as the engine routes (`gis.cases.routing`): the duty list's unit, else the office of the place."""
    duties = Duties.load(ROOT / "data")
    office = np.where(level <= 2, codes["township_code"], codes["village_code"])
    units = office.astype(object)
    units[status == "reported"] = None
    for one in np.unique(item):
        for at in range(1, 5):
            duty = duties.of(one, at)
            if duty is not None and duty.unit is not None:
                units[(item == one) & (level == at) & (status != "reported")] = duty.unit
    return units


def _people(
    terrain: Terrain, grids: Grids, people: People, holder: NDArray[np.int64], *, keys: Keys
) -> Iterator[TableLoad]:
    h, p = people.households, people.persons
    n = len(h)
    points = _points(to_lonlat(terrain.house_point, srid=terrain.metric_srid))
    households: dict[str, Any] = {
        "household_id": np.arange(1, n + 1),
        "household_no": h.number,
        "members": h.members,
        "category": h.category,
        "category_version": h.version,
        "category_since": h.since,
        "geom": points,
        **placed(points, grids),
    }
    yield TableLoad("onemap.household", "households", "农户", households, n)
    person_id = np.arange(1, len(p.name) + 1)
    clear = {"name": p.name, "id_number": p.id_number, "phone": p.phone}
    sealed = seal(keys, table="personal.person", rows=person_id, clear=clear)
    persons: dict[str, Any] = {
        "person_id": person_id,
        "household_id": p.household + 1,
        "is_head": p.is_head,
        "born_year": p.born_on.astype("datetime64[Y]").astype(np.int64) + 1970,
        **{name: column for name, column in sealed.items() if name != "name_key"},
        **masked(clear),
    }
    yield TableLoad("personal.person", "persons", "家庭成员", persons, len(p.name))
    who = np.unique(holder[holder >= 0])
    codes = h.contractor_code[who]
    clear = {
        "name": p.name[who],
        "id_number": p.id_number[who],
        "phone": p.phone[who],
        "witness": p.name[np.roll(who, 1)],
    }
    contractors: dict[str, Any] = {
        "contractor_code": codes,
        **seal(keys, table="personal.contractor", rows=codes, clear=clear),
    }
    yield TableLoad("personal.contractor", "contractors", "承包方", contractors, len(who))


def _ground(terrain: Terrain) -> Iterator[TableLoad]:
    """Roads and their nodes, water and settlements, protected zones."""
    roads, ground, zones = terrain.roads, terrain.ground, terrain.zones
    nodes = _points(to_lonlat(terrain.road_nodes, srid=terrain.metric_srid))
    yield TableLoad(
        "onemap.road_node",
        "roads",
        "路网节点",
        {"node_id": np.arange(len(nodes)), "geom": nodes},
        len(nodes),
        traced=False,
    )
    lines = roads.geometry.to_numpy()
    columns: dict[str, Any] = {k: _text(roads, k) for k in ("ref", "name", "class", "surface")}
    columns |= {k: roads[k].to_numpy() for k in ("from_node", "to_node", "oneway")}
    columns |= {"width_m": roads["width_m"].to_numpy(dtype=float), "length_m": shapely.length(lines)}
    yield _simple(terrain, "onemap.road", "roads", "道路", lines, columns)
    columns = {k: _text(ground, k) for k in ("kind", "name", "division_code")}
    yield _simple(terrain, "onemap.ground", "ground", "地物", ground.geometry.to_numpy(), columns)
    columns = {k: _text(zones, k) for k in ("kind", "zone_code", "name")}
    columns["area_m2"] = shapely.area(zones.geometry.to_numpy())
    yield _simple(terrain, "onemap.farmland_zone", "farmland_zones", "保护区", zones.geometry.to_numpy(), columns)


def _facilities(terrain: Terrain, grids: Grids, facilities: Facilities) -> TableLoad:
    n = len(facilities)
    points = _points(to_lonlat(facilities.point, srid=terrain.metric_srid))
    columns = {**facilities.columns, "facility_id": np.arange(1, n + 1), "geom": points, **placed(points, grids)}
    return TableLoad("onemap.facility", "facilities", "设施", columns, n)


def _resources(terrain: Terrain, grids: Grids, resources: Resources, as_of: date) -> TableLoad:
    n = len(resources)
    points = _points(to_lonlat(resources.point, srid=terrain.metric_srid))
    columns: dict[str, Any] = {
        **resources.columns,
        "resource_id": np.arange(1, n + 1),
        "home_facility_id": resources.home + 1,
        "position_at": position_times(resources, as_of),
        "geom": points,
        **placed(points, grids),
    }
    return TableLoad("onemap.resource", "resources", "资源", columns, n, after=("onemap.facility",))


def _simple(
    terrain: Terrain, table: str, subject: str, label: str, geometry: Objects, columns: dict[str, Any]
) -> TableLoad:
    geom = sound_to_lonlat(geometry, srid=terrain.metric_srid)
    return TableLoad(table, subject, label, {**columns, "geom": geom}, len(geom))


def placed(points: Objects, grids: Grids) -> dict[str, Objects]:
    """Grid, village and township of each point as columns; the rule is gis.divisions.placing."""
    codes: Placement = place(points, grids)
    return {"grid_code": codes.grid, "village_code": codes.village, "township_code": codes.township}


def _points(lonlat: Floats) -> Objects:
    """Points; None where a coordinate is NaN or infinite."""
    out: Objects = np.full(len(lonlat), None, dtype=object)
    known = np.isfinite(lonlat).all(axis=1)
    out[known] = shapely.points(lonlat[known])
    return out


def _text(frame: gpd.GeoDataFrame, column: str) -> Objects:
    """A text column with None for what is missing."""
    values = frame[column]
    out: Objects = values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
    return out
