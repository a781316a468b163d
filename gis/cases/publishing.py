"""What data/ says of cases brought to the store at every start: processes and units, in one transaction."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from psycopg import Connection

from gis.cases.catalogue import Processes, publish
from gis.cases.routing import Duties
from gis.cases.units import UnitRow, publish_units, read_units
from gis.errors import DefinitionError


def read_definitions(data: Path) -> tuple[Processes, list[UnitRow]]:
    """Read and check processes, units and duties together.

    Raises
    ------
    DefinitionError
        When a file is faulty, or names what another does not have.
    """
    processes = Processes.load(data)
    units = read_units(data, hours=frozenset(name for c in processes.calendars.values() for name in c.hours))
    Duties.load(data)
    with (data / "codelists" / "duty.csv").open(encoding="utf-8", newline="") as f:
        named = {row["unit"] for row in csv.DictReader(f) if row["unit"]}
    if strangers := sorted(named - {unit.code for unit in units}):
        raise DefinitionError(f"data/codelists/duty.csv 用了 unit.csv 里没有的单位：{'、'.join(strangers)}。")
    return processes, units


def publish_cases(conn: Connection[Any], data: Path) -> list[str]:
    """Check every definition, then publish (role owner); returns what is new, in words.

    Raises
    ------
    DefinitionError
        When a file is faulty, or changed without a new version; nothing is published then.
    """
    processes, units = read_definitions(data)
    publish_units(conn, units)
    return publish(conn, processes)
