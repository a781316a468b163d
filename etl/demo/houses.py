"""Courtyard houses (院落) in rows that face south, with lanes between, on street blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from etl.demo.blocks import Blocks
from etl.demo.profile import CountyProfile

# A row is one courtyard deep and has a lane in front; metres.
_DEPTH, _LANE, _WIDTH = 14.0, 4.6, 13.2


@dataclass(frozen=True)
class Lots:
    """Room for houses: block (n,), centre (n, 2), turn (n,) radians, size (n, 2) width and depth in metres."""

    block: np.ndarray
    centre: np.ndarray
    turn: np.ndarray
    size: np.ndarray

    def take(self, rows: np.ndarray) -> Lots:
        """The lots of these rows, in this order."""
        return Lots(self.block[rows], self.centre[rows], self.turn[rows], self.size[rows])


def lay_out(profile: CountyProfile, blocks: Blocks, room: np.ndarray, *, town: np.ndarray) -> Lots:
    """All lots that fit on street blocks.

    Parameters
    ----------
    room : (b,) Polygon or None: what streets and water leave of each block; None where nothing is built.
    town : (b,) bool, tighter rows.
    """
    rng = np.random.default_rng([profile.seed, 51])
    polygons, owner = shapely.get_parts(room, return_index=True)
    keep = shapely.area(polygons) > 180
    polygons, owner = polygons[keep], owner[keep]
    # Houses look south: of the grain's four directions the one nearest to east is the row's.
    turn = (blocks.theta[owner] + np.pi / 4) % (np.pi / 2) - np.pi / 4 + rng.normal(0, 0.006, len(owner))
    c, s = np.cos(turn), np.sin(turn)
    xy, part = shapely.get_coordinates(polygons, return_index=True)
    u = xy[:, 0] * c[part] + xy[:, 1] * s[part]
    v = -xy[:, 0] * s[part] + xy[:, 1] * c[part]
    start = np.concatenate([[0], np.flatnonzero(np.diff(part)) + 1])
    u0, u1 = np.minimum.reduceat(u, start), np.maximum.reduceat(u, start)
    v0, v1 = np.minimum.reduceat(v, start), np.maximum.reduceat(v, start)
    tight = np.where(town[owner], 0.88, 1.0)
    depth, width = _DEPTH * tight, _WIDTH * tight
    rows = np.maximum(1, np.floor((v1 - v0 + _LANE) / (depth + _LANE))).astype(int)
    pitch = np.maximum(depth + _LANE * 0.7, (v1 - v0 + _LANE) / rows)
    cols = np.floor((u1 - u0) / (width + 0.8)).astype(int) + 1

    row_part = np.repeat(np.arange(len(polygons)), rows)
    row_no = np.arange(len(row_part)) - np.repeat(np.concatenate([[0], np.cumsum(rows)[:-1]]), rows)
    row_shift = rng.uniform(-0.5, 0.5, len(row_part)) * width[row_part]
    row_setback = rng.normal(0, 0.35, len(row_part))
    lot_row = np.repeat(np.arange(len(row_part)), cols[row_part])
    first = np.concatenate([[0], np.cumsum(cols[row_part])[:-1]])
    lot_no = np.arange(len(lot_row)) - np.repeat(first, cols[row_part])
    p = row_part[lot_row]
    lot_u = u0[p] + (lot_no + 0.5) * (width[p] + 0.8) + row_shift[lot_row]
    lot_v = v0[p] + row_no[lot_row] * pitch[p] + depth[p] / 2 + row_setback[lot_row] + rng.normal(0, 0.2, len(p))
    size = np.column_stack([width[p] * rng.uniform(0.9, 1.0, len(p)), depth[p] * rng.uniform(0.82, 0.98, len(p))])
    centre = np.column_stack([lot_u * c[p] - lot_v * s[p], lot_u * s[p] + lot_v * c[p]])
    lots = Lots(owner[p], centre, turn[p], size)
    shapely.prepare(polygons)
    fits = shapely.contains_xy(polygons[p], centre[:, 0], centre[:, 1])
    fits[fits] = shapely.contains(polygons[p[fits]], _rectangles(lots.take(np.flatnonzero(fits))))
    return lots.take(np.flatnonzero(fits))


def _rectangles(lots: Lots) -> np.ndarray:
    return _shape(lots, np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]))


def _shape(lots: Lots, outline: np.ndarray) -> np.ndarray:
    """Place a unit outline (k, 2) on every lot."""
    c, s = np.cos(lots.turn)[:, None], np.sin(lots.turn)[:, None]
    u, v = outline[None, :, 0] * lots.size[:, :1], outline[None, :, 1] * lots.size[:, 1:]
    return np.asarray(shapely.polygons(np.stack([u * c - v * s, u * s + v * c], axis=2) + lots.centre[:, None, :]))


# The main house stands in the north, wings around a yard that opens south.
_FORMS = (
    np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]),
    np.array([[-0.5, 0.0], [0.2, 0.0], [0.2, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]),
    np.array(
        [[-0.5, -0.5], [-0.2, -0.5], [-0.2, 0.02], [0.22, 0.02], [0.22, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
    ),
    np.array([[-0.5, -0.5], [-0.18, -0.5], [-0.18, 0.0], [0.5, 0.0], [0.5, 0.5], [-0.5, 0.5]]),
)


def build(lots: Lots, *, seed: int) -> np.ndarray:
    """Footprints (n,) Polygon: plain, L and U shapes; each stays on its lot."""
    form = np.random.default_rng([seed, 52]).choice(len(_FORMS), len(lots.block), p=[0.34, 0.26, 0.22, 0.18])
    footprints = np.empty(len(lots.block), dtype=object)
    for k, outline in enumerate(_FORMS):
        rows = np.flatnonzero(form == k)
        footprints[rows] = _shape(lots.take(rows), outline)
    return footprints
