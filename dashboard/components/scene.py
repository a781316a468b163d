"""What the map must know of a place: whom to fly to, which child falls in which class, what is selected."""

from __future__ import annotations

from typing import Any

from dashboard.components.legend import colors
from dashboard.text import Catalogue
from dashboard.text.numbers import count, measured, mu, share
from gis.divisions.cards import Thing
from gis.divisions.measures import MEASURES, Classes
from gis.divisions.reading import Division, Place

Json = dict[str, Any]


def scene(t: Catalogue, place: Place, measure: str, classes: Classes, thing: Thing | None) -> Json:
    """Return the scene as JSON. Names and numbers only: no row of the store, nothing personal."""
    d = place.division
    return {
        "at": d.code, "level": d.level, "name": d.name, "bounds": d.bounds, "measure": measure,
        "path": [{"code": s.code, "level": s.level, "bounds": s.bounds} for s in place.path],
        "colors": colors(classes),
        "title": t("app.title", county=d.name),
        "aria": t("map.aria", name=d.name),
        "children": {c.code: _child(t, c, measure, classes) for c in place.children},
        "thing": None if thing is None else {"kind": thing.kind, "key": thing.key, "geometry": thing.geometry},
    }  # fmt: skip


def _child(t: Catalogue, child: Division, measure: str, classes: Classes) -> Json:
    f = child.figures
    amount = measured(t, MEASURES[measure], MEASURES[measure].value(f))
    return {
        "name": child.name, "class": classes.of[child.code], "bounds": child.bounds, "seat": child.seat,
        "digits": amount.digits, "unit": amount.unit, "note": _note(t, child, measure),
        "open": f.open, "overdue": f.overdue, "weight": f.population or 0,
    }  # fmt: skip


def _note(t: Catalogue, child: Division, measure: str) -> str:
    """The numbers behind the value, as part / whole."""
    f = child.figures
    return {
        "pbf": lambda: f"{mu(t, f.pbf_m2)} / {mu(t, f.parcel_m2)}",
        "farmland": lambda: f"{mu(t, f.farmland_m2)} / {mu(t, f.area_m2)}",
        "high_standard": lambda: f"{mu(t, f.high_standard_m2)} / {mu(t, f.parcel_m2)}",
        "incidents": lambda: f"{count(t, f.incidents, t('unit.case'))} / {count(t, f.population, t('unit.people'))}",
        "overdue": lambda: (
            f"{count(t, f.overdue)} / {count(t, f.open, t('unit.case'))} · {share(t, f.overdue, f.open)}"
        ),
        "population": lambda: f"{count(t, f.population, t('unit.people'))} / {(f.area_m2 or 0) / 1e6:.2f} km²",
    }[measure]()
