"""GCJ-02 and BD-09: against published points, against another implementation, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from GeoToolCN import coords as other

from gis.crs import SHIFTED, Shifted, from_shifted, metres_apart, shifted_name, to_shifted

# Points the tests of public implementations agree on (eviltransform for GCJ-02, geotool for BD-09): WGS-84 lon, lat; shifted.
KNOWN: list[tuple[Shifted, tuple[float, float], tuple[float, float]]] = [
    ("GCJ-02", (121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
    ("GCJ-02", (113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
    ("GCJ-02", (116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
    ("GCJ-02", (121.09170737767907, 30.6107684401777), (121.09626895522744, 30.608594904771056)),
    ("BD-09", (121.09170737767907, 30.6107684401777), (121.10271691314193, 30.614836298418275)),
]


@pytest.mark.parametrize(("system", "wgs", "shifted"), KNOWN)
def test_published_points(system: Shifted, wgs: tuple[float, float], shifted: tuple[float, float]) -> None:
    there = to_shifted(np.array([wgs]), system)
    back = from_shifted(np.array([shifted]), system)
    assert np.abs(metres_apart(there, np.array([shifted]))).max() < 2
    assert np.abs(metres_apart(back, np.array([wgs]))).max() < 2


@pytest.mark.parametrize("system", SHIFTED)
def test_agrees_with_another_implementation_and_comes_back_within_a_millimetre(system: Shifted) -> None:
    rng = np.random.default_rng(7)
    points = np.column_stack([rng.uniform(75, 134, 500), rng.uniform(18, 53, 500)])
    there = to_shifted(points, system)
    forward = other.wgs84_to_gcj02 if system == "GCJ-02" else other.wgs84_to_bd09
    assert np.abs(metres_apart(there, np.array([forward(*p) for p in points]))).max() < 0.01
    assert np.abs(metres_apart(from_shifted(there, system), points)).max() < 0.001


def test_in_the_demo_county_the_offsets_are_of_the_known_size() -> None:
    point = np.array([[115.03, 37.22]])
    east, north = metres_apart(to_shifted(point, "GCJ-02"), point)[0]
    assert (round(east), round(north)) == (537, 76)
    east, north = metres_apart(to_shifted(point, "BD-09"), point)[0]
    assert (round(east), round(north)) == (1121, 719)


@pytest.mark.parametrize(
    ("text", "name"), [("gcj02", "GCJ-02"), ("GCJ-02", "GCJ-02"), ("bd_09", "BD-09"), ("EPSG:4326", None), ("", None)]
)
def test_names(text: str, name: str | None) -> None:
    assert shifted_name(text) == name
