"""Smooth noise over the ground, so that nothing in the demo county is even."""

from __future__ import annotations

import numpy as np

_SIDE = 256


def noise(x: np.ndarray, y: np.ndarray, *, size_m: float, seed: int) -> np.ndarray:
    """Two octaves of value noise.

    Parameters
    ----------
    x, y : (n,) metres.
    size_m : width of the largest blobs, metres.
    seed : the same seed gives the same field everywhere.

    Returns
    -------
    (n,) float, about -1..1, mean about 0.
    """
    table = np.random.default_rng([seed, 77]).random((_SIDE, _SIDE)) * 2 - 1
    total = np.zeros(np.shape(x))
    for octave, weight in ((1.0, 1.0), (2.3, 0.5)):
        u, v = np.asarray(x) / size_m * octave, np.asarray(y) / size_m * octave
        iu, iv = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        fu, fv = u - iu, v - iv
        fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
        low = table[iu % _SIDE, iv % _SIDE] * (1 - fu) + table[(iu + 1) % _SIDE, iv % _SIDE] * fu
        high = table[iu % _SIDE, (iv + 1) % _SIDE] * (1 - fu) + table[(iu + 1) % _SIDE, (iv + 1) % _SIDE] * fu
        total += weight * (low * (1 - fv) + high * fv)
    return np.asarray(total / 0.9)
