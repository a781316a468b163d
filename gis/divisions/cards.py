"""Gateway: one parcel, facility, resource or incident, whole, as its card shows it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from gis.errors import NotFound
from gis.store.pool import Pool
from gis.store.queries import load_queries

Row = dict[str, Any]
Kind = Literal["parcel", "facility", "resource", "incident"]


@dataclass(frozen=True)
class Thing:
    """One thing on the ground.

    Attributes
    ----------
    kind : {'parcel', 'facility', 'resource', 'incident'}
    key : str
        What the address carries: the parcel's code, the others' number.
    fields : dict
        Columns of sql/queries/parcels.sql of that name; None is 无数据.
    geometry : dict or None
        GeoJSON in EPSG:4490 lon/lat; None = 未落点.
    grid_code : str or None
        The grid it lies in.
    """

    kind: Kind
    key: str
    fields: Row
    geometry: dict[str, Any] | None
    grid_code: str | None


class Things:
    """Reads single things from the store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = load_queries("parcels")

    def thing(self, kind: Kind, key: str) -> Thing:
        """Read one thing.

        Raises
        ------
        NotFound
            When there is none of that key; a malformed key looks the same.
        """
        row = None
        if re.fullmatch(r"[0-9]{1,18}", key):
            # The map knows a parcel by its number, people by its 19 digits.
            query = "parcel_by_id" if kind == "parcel" else kind
            with self._pool.reading() as conn:
                row = conn.execute(self._sql[query], {"id": int(key)}).fetchone()
        elif kind == "parcel" and re.fullmatch(r"[0-9]{19}", key):
            with self._pool.reading() as conn:
                row = conn.execute(self._sql["parcel"], {"code": key}).fetchone()
        if row is None:
            raise NotFound(f"没有找到编号为 {key[:40]} 的记录。", next_step="核对编号，或在地图上点选。")
        if kind == "parcel":
            geometry, key = json.loads(row.pop("geometry")), row["parcel_code"]
        else:
            lon, lat = row["lon"], row["lat"]
            geometry = None if lon is None else {"type": "Point", "coordinates": [lon, lat]}
        return Thing(kind, key, row, geometry, row["grid_code"])
