"""How often an address (before sign-in) and an account may ask; beyond it, how long to wait."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from gis.errors import DefinitionError

SIGN_IN, ANONYMOUS = "sign_in", "anonymous"


class Limits:
    """Counts of one process: one worker serves the county, so memory is enough and nothing is asked of the store.

    Parameters
    ----------
    rates : mapping of kind to limit
    """

    def __init__(self, rates: Mapping[str, RateLimitItem]) -> None:
        self._rates = dict(rates)
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, kind: str, who: str) -> int | None:
        """Count one request of `who` (an address or an account's number); None, or the seconds to wait."""
        limit = self._rates[kind]
        if self._window.hit(limit, kind, who):
            return None
        # The window frees places one by one; at least 1, or a client would come back at once.
        reset = self._window.get_window_stats(limit, kind, who).reset_time
        return max(1, min(math.ceil(reset - time.time()), limit.get_expiry()))


def read_limits(path: Path, *, kinds: Collection[str]) -> Limits:
    """Read and check data/rules/rates.toml.

    Parameters
    ----------
    kinds : collection of str
        What routes.toml counts by.

    Raises
    ------
    DefinitionError
        When it does not parse, or a kind has no limit.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        rates = {kind: parse(text) for kind, text in raw["rates"].items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValueError, AttributeError) as e:
        raise DefinitionError(f"限速表 {path.name} 读不了：{e}", next_step="改正后运行 ./onemap check。") from e
    if missing := ({*kinds, SIGN_IN, ANONYMOUS}) - set(rates):
        raise DefinitionError(
            f"限速表 {path.name} 缺少 {'、'.join(sorted(missing))}。",
            next_step="补上，或改 data/access/routes.toml 的 rate。",
        )
    return Limits(rates)
