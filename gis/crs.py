"""GCJ-02 and BD-09 (火星坐标、百度坐标): to and from WGS-84, which agrees with CGCS2000 within centimetres.

Source: the published approximations of the offset (Krasovsky ellipsoid series, as in eviltransform and Baidu's bd09
formula). The way back has no closed form and is iterated; there and back agree within a millimetre.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Shifted = Literal["GCJ-02", "BD-09"]
SHIFTED: tuple[Shifted, ...] = ("GCJ-02", "BD-09")

_A, _EE = 6378245.0, 0.00669342162296594323  # Krasovsky 1940: semi-major axis in metres, eccentricity squared
_BD = np.pi * 3000.0 / 180.0
_ROUNDS = 12  # measured: the 6th moves no point in China by a micrometre
_METRES_A_DEGREE = 111_319.49


def shifted_name(text: str) -> Shifted | None:
    """``gcj02``, ``GCJ-02``, ``bd09`` ... as the name we use; None for anything else."""
    known = {name.replace("-", ""): name for name in SHIFTED}
    return known.get(text.strip().upper().replace("-", "").replace("_", ""))


def to_shifted(lonlat: Floats, system: Shifted) -> Floats:
    """WGS-84 to `system`; shape (n, 2) lon, lat in degrees in and out."""
    gcj = lonlat + _delta(lonlat)
    return gcj if system == "GCJ-02" else _baidu(gcj)


def from_shifted(lonlat: Floats, system: Shifted) -> Floats:
    """`system` to WGS-84; shape (n, 2) lon, lat in degrees in and out; not finite stays not finite."""
    gcj = lonlat if system == "GCJ-02" else _back(lonlat, _baidu)
    return _back(gcj, lambda p: p + _delta(p))


def metres_apart(a: Floats, b: Floats) -> Floats:
    """East and north of `a` seen from `b`, metres; shape (n, 2); for points a few kilometres apart."""
    shrink = np.cos(np.radians(b[:, 1]))
    return np.column_stack([(a[:, 0] - b[:, 0]) * shrink, a[:, 1] - b[:, 1]]) * _METRES_A_DEGREE


def _back(target: Floats, forward: Callable[[Floats], Floats]) -> Floats:
    guess = target.copy()
    for _ in range(_ROUNDS):
        guess = guess - (forward(guess) - target)
    return guess


def _baidu(gcj: Floats) -> Floats:
    x, y = gcj[:, 0], gcj[:, 1]
    z = np.hypot(x, y) + 0.00002 * np.sin(y * _BD)
    theta = np.arctan2(y, x) + 0.000003 * np.cos(x * _BD)
    return np.column_stack([z * np.cos(theta) + 0.0065, z * np.sin(theta) + 0.006])


def _delta(lonlat: Floats) -> Floats:
    """What GCJ-02 adds, degrees."""
    x, y = lonlat[:, 0] - 105.0, lonlat[:, 1] - 35.0
    root, pi = np.sqrt(np.abs(x)), np.pi
    waves = 20.0 * np.sin(6.0 * x * pi) + 20.0 * np.sin(2.0 * x * pi)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north = north + 2 / 3 * (
        waves + 20.0 * np.sin(y * pi) + 40.0 * np.sin(y / 3 * pi) + 160.0 * np.sin(y / 12 * pi) + 320.0 * np.sin(y / 30 * pi)
    )  # fmt: skip
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east = east + 2 / 3 * (
        waves + 20.0 * np.sin(x * pi) + 40.0 * np.sin(x / 3 * pi) + 150.0 * np.sin(x / 12 * pi) + 300.0 * np.sin(x / 30 * pi)
    )  # fmt: skip
    phi = np.radians(lonlat[:, 1])
    magic = 1 - _EE * np.sin(phi) ** 2
    return np.column_stack(
        [
            np.degrees(east / (_A / np.sqrt(magic) * np.cos(phi))),
            np.degrees(north / (_A * (1 - _EE) / (magic * np.sqrt(magic)))),
        ]
    )
