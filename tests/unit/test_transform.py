"""From metres to degrees: exact, the same for equal coordinates, and whiskers mended."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from etl.transform import geometry_to_lonlat, sound_to_lonlat, to_lonlat

SRID = 4526


def test_a_known_point() -> None:
    lonlat = to_lonlat(np.array([[38591418.0, 4121424.0]]), srid=SRID)
    assert lonlat[0] == pytest.approx([115.03, 37.22], abs=1e-5)


def test_there_and_back_within_a_tenth_of_a_millimetre() -> None:
    rng = np.random.default_rng(1)
    metric = rng.uniform([38_575_000, 4_108_000], [38_610_000, 4_145_000], (450_000, 2))  # more than one thread's share
    lonlat = to_lonlat(metric, srid=SRID)
    back = np.column_stack(Transformer.from_crs(4490, SRID, always_xy=True).transform(lonlat[:, 0], lonlat[:, 1]))
    assert np.abs(back - metric).max() < 1e-4


def test_neighbours_keep_sharing_their_corners() -> None:
    left, right = shapely.box(38591000, 4121000, 38591020, 4121100), shapely.box(38591020, 4121000, 38591040, 4121100)
    a, b = geometry_to_lonlat(np.array([left, right], dtype=object), srid=SRID)
    assert shapely.touches(a, b)
    assert shapely.intersection(a, b).geom_type == "LineString"


def test_missing_stays_missing_and_nothing_stays_nothing() -> None:
    out = geometry_to_lonlat(np.array([None, shapely.Point(38591418, 4121424)], dtype=object), srid=SRID)
    assert out[0] is None
    assert out[1].x == pytest.approx(115.03, abs=1e-5)
    assert len(to_lonlat(np.empty((0, 2)), srid=SRID)) == 0


def test_a_whisker_is_taken_off() -> None:
    # As the terrain once made it: valid in metres by 3e-10 m, self-crossing in degrees
    whisker = shapely.from_wkt(
        "POLYGON ((38584428.13552079 4118229.7092972975, 38584396.27053583 4118255.6688394174, "
        "38584394.186015084 4118253.110563964, 38584396.27053583 4118255.668839418, "
        "38584384.08315524 4118265.599297676, 38584422.027493015 4118271.6601802954, "
        "38584428.13552079 4118229.7092972975))"
    )
    assert shapely.is_valid(whisker)
    geometry = np.array([whisker], dtype=object)
    assert not shapely.is_valid(geometry_to_lonlat(geometry, srid=SRID)[0])
    mended = sound_to_lonlat(geometry, srid=SRID)[0]
    assert shapely.is_valid(mended)
    assert mended.geom_type == "Polygon"
    assert shapely.get_num_coordinates(mended) == 5
