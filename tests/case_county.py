"""A scratch county with published processes, units and people, and the engine over it: what tests of cases begin with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gis.access import accounts, scopes
from gis.access.crypt import Keys, make_keys
from gis.access.principal import Principal
from gis.access.roles import KEYED, Roles, publish
from gis.access.rules import AccessRules
from gis.cases.catalogue import Processes
from gis.cases.engine import Cases
from gis.cases.model import Card, Receipt, Report, Taken, Upload
from gis.cases.publishing import publish_cases
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.pool import Pool
from tests.scratch_county import Scratch, build_scratch

PASSWORD = "Nongtian-2026-tu"
PHOTO = Upload(sha256=b"\x01" * 32, stage="after")


@dataclass
class CaseCounty:
    """The store, the engine, and people by name: principals as the gate would make them."""

    settings: Settings
    scratch: Scratch
    cases: Cases
    pool: Pool
    keys: Keys
    people: dict[str, Principal] = field(default_factory=dict)
    points: dict[str, tuple[float, float]] = field(default_factory=dict)

    def owner(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """Ask the store as its owner."""
        with connect(self.settings, role="owner") as conn:
            cursor = conn.execute(query, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def add(self, name: str, role: str, scope: str | None, *, unit: str | None = None) -> Principal:
        """One more account."""
        roles, rules = Roles.load(self.settings.data), AccessRules.load(self.settings.data)
        with connect(self.settings, role="owner") as conn:
            made = accounts.add(
                conn, login=name, display_name=f"测试{name}", role=role, rules=rules, unit=unit,
                password=None if role == KEYED else PASSWORD,
                temporary=False, reason="测试",
            )  # fmt: skip
            if scope:
                scopes.grant(conn, account_id=made, division_code=scope, reason="测试")
        defined = roles.by_id[role]
        self.people[name] = Principal(
            made,
            name,
            f"测试{name}",
            role,
            defined.name,
            (scope,) if scope else (),
            defined.permissions,
            None,
            "10.0.0.9",
        )
        return self.people[name]

    def report(self, who: str | None = None, **fields: Any) -> Receipt:
        """A report at the first grid's middle."""
        plain: dict[str, Any] = {
            "key": str(uuid.uuid4()), "title": "村口路灯不亮", "lonlat": self.at(self.scratch.grids[0]), "source_crs": "EPSG:4326",
            "item_code": "0303", "channel": "grid" if who else "public",
        }  # fmt: skip
        return self.cases.report(Report(**(plain | fields)), principal=self.people[who] if who else None)

    def at(self, grid: str) -> tuple[float, float]:
        """A point inside a grid."""
        if grid in self.points:
            return self.points[grid]
        found = self.owner(
            "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) p FROM onemap.division WHERE code = %s) d",
            [grid],
        )[0]
        return self.points.setdefault(grid, (found[0], found[1]))

    def do(self, case_no: str, step: str, who: str | None = None, *, code: str | None = None, note: str = "", photos: tuple[Upload, ...] = (),
           **answers: Any) -> Card | None:  # fmt: skip
        """Take a step on the case as it stands now."""
        revision = self.owner("SELECT revision FROM onemap.case_file WHERE case_no = %s", [case_no])[0][0]
        taken = Taken(case_no, step, revision, answers, note, photos)
        return self.cases.act(taken, principal=self.people[who] if who else None, follow=code)

    def state(self, case_no: str) -> str:
        """Where a case stands."""
        return str(self.owner("SELECT state FROM onemap.case_file WHERE case_no = %s", [case_no])[0][0])


@contextmanager
def case_county(settings: Settings, folder: Path, *, data: Path | None = None) -> Iterator[CaseCounty]:
    """Build it: two townships of two villages of two grids; people from grid to county.

    People: member (grid 0), neighbour (grid 1, same village), stranger_member (another village of the township), cadre (village 0),
    other_cadre (village 1), planner (township 0), planner2 (township 1), dispatcher, commander, water (县水务局).
    """
    settings = settings.model_copy(update={"personal_key_file": folder / "personal.key", "var": settings.var})
    keys = make_keys(settings)
    scratch = build_scratch(settings, townships=2, villages=2, grids=2, strips=4)
    with connect(settings, role="owner") as conn:
        publish(conn, Roles.load(settings.data))
        publish_cases(conn, data or settings.data)
    pool = Pool(settings)
    pool.open()
    cases = Cases(pool, processes=Processes.load(data or settings.data), keys=keys, settings=settings)
    county = CaseCounty(settings, scratch, cases, pool, keys)
    grids, villages, townships = scratch.grids, scratch.villages, scratch.townships
    for name, role, scope, unit in (
        ("member", "grid_member", grids[0], None), ("neighbour", "grid_member", grids[1], None),
        ("stranger_member", "grid_member", grids[2], None), ("cadre", "village_cadre", villages[0], None),
        ("other_cadre", "village_cadre", villages[1], None), ("planner", "planner", townships[0], None),
        ("planner2", "planner", townships[1], None), ("dispatcher", "dispatcher", scratch.county, "zhzx"),
        ("commander", "commander", scratch.county, "zhzx"), ("water", "handler", scratch.county, "swj"),
    ):  # fmt: skip
        county.add(name, role, scope, unit=unit)
    try:
        yield county
    finally:
        pool.close()


__all__ = ["PHOTO", "CaseCounty", "case_county", "replace"]
