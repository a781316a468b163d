"""What each block is used for (地块用途): crops by clusters, ponds, woodland, and the protected zones over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etl.demo.blocks import Blocks
from etl.demo.noise import noise
from etl.demo.profile import CountyProfile
from etl.demo.territory import Territory
from etl.demo.villages import Villages, upland

LAND_USE = {"0101": "011", "0102": "012", "0103": "013"}


@dataclass(frozen=True)
class LandUse:
    """Per block (b,): farmed, woodland, pond (a village pond), pbf, high_standard; land_class '' unless farmed."""

    farmed: np.ndarray
    woodland: np.ndarray
    pond: np.ndarray
    land_class: np.ndarray
    pbf: np.ndarray
    high_standard: np.ndarray


def assign_uses(profile: CountyProfile, villages: Villages, blocks: Blocks, territory: Territory) -> LandUse:
    """Decide by smooth noise and village character, so that uses come in clusters and never as salt and pepper."""
    rng = np.random.default_rng([profile.seed, 71])
    x, y = blocks.xy.T
    free = ~territory.settled
    fringe = free & blocks.built & (blocks.area_m2 < 2.2e4)
    wild = free & (upland(x, y, profile) > 0.05)
    luck = rng.random(len(blocks))
    pond = fringe & ~wild & (luck < 0.13) & (blocks.area_m2 > 2200)
    grove = fringe & ~pond & (luck > 0.90)
    mix = profile.land
    hill_crop = np.zeros(len(blocks), dtype=bool)
    if mix.tea or mix.bamboo:
        # On the lower slopes woodland gives way to tea and bamboo under contract.
        hill_crop = wild & (_score(profile, x, y, 81, 1800.0, luck) > 0.55)
    woodland = (wild & ~hill_crop) | grove
    farmed = free & ~woodland & ~pond & (blocks.area_m2 > 900)

    land = np.where(farmed, mix.main_class, "").astype(object)
    open_ = farmed & ~hill_crop
    taken = np.zeros(len(blocks), dtype=bool)
    flair = rng.normal(0, 0.6, (len(villages.code), 6))[territory.village]
    for k, (code, share, size) in enumerate(
        (
            ("1104A", mix.pond, 900.0),
            ("1202", mix.greenhouse, 1500.0),
            ("0201", mix.orchard, 2400.0),
            ("0202", mix.tea, 3000.0),
            ("0302", mix.bamboo, 2500.0),
            (mix.second_class, mix.second_share, 3500.0),
        )
    ):
        pool = (farmed if code in ("0202", "0302") else open_) & ~taken
        if share > 0 and pool.any():
            score = _score(profile, x, y, 90 + k, size, rng.random(len(blocks))) + 0.5 * flair[:, k]
            score += np.where(hill_crop, 3.0, 0.0) if code in ("0202", "0302") else np.where(fringe, 0.25, 0.0)
            pick = pool & top_share(score, blocks.area_m2, pool, share * blocks.area_m2[farmed].sum())
            land[pick], taken = code, taken | pick
    town_far = np.hypot(*(blocks.xy - villages.seed[villages.seat[0]]).T)
    field = np.where(farmed, blocks.area_m2, 0.0)
    quality = noise(x, y, size_m=3600.0, seed=profile.seed + 7) + 0.5 * noise(
        x, y, size_m=1000.0, seed=profile.seed + 8
    )
    quality = quality - 1.2 * np.exp(-town_far / 2500.0) - np.where(fringe, 0.5, 0.0) - np.where(hill_crop, 2.5, 0.0)
    pbf = farmed & top_share(quality, field, farmed, mix.pbf * field.sum())
    project = (
        noise(x, y, size_m=4200.0, seed=profile.seed + 9) + np.where(pbf, 0.7, 0.0) - np.where(hill_crop, 2.5, 0.0)
    )
    high = farmed & top_share(project, field, farmed, mix.high_standard * field.sum())
    return LandUse(farmed, woodland, pond, land, pbf, high)


def _score(
    profile: CountyProfile, x: np.ndarray, y: np.ndarray, salt: int, size_m: float, luck: np.ndarray
) -> np.ndarray:
    wide = noise(x, y, size_m=size_m, seed=profile.seed + salt)
    near = noise(x, y, size_m=size_m / 4, seed=profile.seed + salt + 500)
    return np.asarray(wide + 0.35 * near + 0.3 * luck)


def top_share(score: np.ndarray, mass: np.ndarray, pool: np.ndarray, total: float) -> np.ndarray:
    """The best-scored members (n,) bool of ``pool`` whose ``mass`` together comes nearest below ``total``."""
    rows = np.flatnonzero(pool)
    rows = rows[np.argsort(-score[rows], kind="stable")]
    chosen = np.zeros(len(score), dtype=bool)
    chosen[rows[np.cumsum(mass[rows]) <= total]] = True
    return chosen
