"""Units in the order people look for them: of this case, their own, departments, then every township with its villages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.text import Catalogue
from gis.cases.reading import Unit

_TOWNSHIP = 9  # digits of a township's code


@dataclass(frozen=True)
class Office:
    """A unit to choose: its id, its name, and the heading it stands under."""

    unit: str
    name: str
    under: str


def ordered(
    t: Catalogue, units: Sequence[Unit], *, here: Sequence[str | None] = (), own: Sequence[str] = ()
) -> list[Office]:
    """Return every unit once.

    Parameters
    ----------
    here : sequence of str
        Units and divisions a case has to do with, the likeliest first: who has it, its village, its township.
    own : sequence of str
        Divisions of whoever chooses; a county's own are all, and so say nothing.
    """
    made: dict[str, Office] = {}

    def add(unit: Unit, under: str) -> None:
        made.setdefault(unit.unit, Office(unit.unit, unit.name, under))

    for code in filter(None, here):
        for unit in units:
            if unit.unit == code or (unit.division_code == code and unit.level > 1):
                add(unit, t("desk.units.here"))
    for unit in units:
        if unit.level > 1 and unit.division_code in own:
            add(unit, t("desk.units.own"))
    for unit in units:
        if unit.level == 1:
            add(unit, t("desk.units.departments"))
    townships = {u.division_code: u.name for u in units if u.level == 2}
    near = {code[:_TOWNSHIP] for code in (*own, *filter(None, here)) if len(code) >= _TOWNSHIP}
    rest = sorted(
        (u for u in units if u.level > 1),
        key=lambda u: (_township(u) not in near, _township(u), u.level, u.division_code or u.unit),
    )
    for unit in rest:
        add(unit, townships.get(_township(unit), t("desk.units.others")))
    return list(made.values())


def _township(unit: Unit) -> str:
    return (unit.division_code or "")[:_TOWNSHIP]
