"""Tables of the terrain: a geometry column and plain ones, in which missing text is None and not NaN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import geopandas as gpd
import numpy as np
import pandas as pd


def table(columns: Mapping[str, object], geometry: np.ndarray, *, srid: int) -> gpd.GeoDataFrame:
    """A GeoDataFrame with EPSG ``srid``; text columns have dtype object, so that None stays None on the way to SQL."""
    frame: dict[str, object] = {}
    for name, values in columns.items():
        plain = isinstance(values, np.ndarray) and values.dtype.kind in "bif"
        frame[name] = values if plain else pd.Series([_plain(v) for v in cast(Iterable[object], values)], dtype=object)
    return gpd.GeoDataFrame(frame, geometry=list(geometry), crs=srid)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value
