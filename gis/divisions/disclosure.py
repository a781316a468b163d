"""Small counts of monitored households: which may be shown at which division, decided over the whole tree at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SMALLEST_SHOWN = 3  # a count of 1 or 2 points at a family; zero points at nobody


@dataclass(frozen=True)
class Suppressed:
    """不公开: the count exists and is withheld, because it or its neighbour's could be worked out from it."""


SUPPRESSED = Suppressed()
Count = int | Suppressed


def withhold(counts: Mapping[str, int]) -> set[str]:
    """Decide which of some siblings' counts are withheld when their sum is published.

    A count below 3 is withheld. One withheld alone would be the sum minus the others, and so would several whose sum is
    below 3 each: the smallest others join them until there are two and their sum is at least 3.

    Parameters
    ----------
    counts : mapping of code to int
        Siblings under one published total.
    """
    hidden = {code for code, n in counts.items() if 0 < n < SMALLEST_SHOWN}
    rest = sorted((n, code) for code, n in counts.items() if n >= SMALLEST_SHOWN)
    while hidden and rest and (len(hidden) < 2 or sum(counts[c] for c in hidden) < SMALLEST_SHOWN):
        hidden.add(rest.pop(0)[1])
    return hidden


def publishable(county: str, grids: Iterable[tuple[str, str, str, int]]) -> dict[str, Count]:
    """Count monitored households of every division, withholding what points at families.

    Decided from the top down, so that a count withheld in its parent's table is withheld on its own page too, and
    below a withheld count nothing but zeros is shown.

    Parameters
    ----------
    county : str
        Code of the county.
    grids : iterable of (township_code, village_code, grid_code, n)
        Every current grid with its count, zeros included.

    Returns
    -------
    dict of code to int or Suppressed
        Every division of the county.
    """
    total: dict[str, int] = defaultdict(int)
    children: dict[str, set[str]] = defaultdict(set)
    for township, village, grid, n in grids:
        for parent, code in ((county, township), (township, village), (village, grid)):
            children[parent].add(code)
            total[code] += n
        total[county] += n
    shown: dict[str, Count] = {county: SUPPRESSED if 0 < total[county] < SMALLEST_SHOWN else total[county]}
    level = [county]
    while level:
        for parent in level:
            counts = {code: total[code] for code in children[parent]}
            parent_hidden = isinstance(shown[parent], Suppressed)
            hidden = {c for c, n in counts.items() if n} if parent_hidden else withhold(counts)
            shown |= {code: SUPPRESSED if code in hidden else n for code, n in counts.items()}
        level = [code for parent in level for code in children[parent]]
    return shown
