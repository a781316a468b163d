"""What an import tells the person who ran it, and the record that stays with the load."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from etl.fault import TITLES, Tally
from gis.errors import BadInput

UNITS = {"parcels": "个地块", "facilities": "个设施", "divisions": "个区划", "incidents": "件办件"}


@dataclass(frozen=True)
class Reason:
    """Rows of one reason: code, title, how many, the first as (row number, key, sentence)."""

    code: str
    title: str
    rows: int
    examples: list[tuple[int, str | None, str]]


@dataclass(frozen=True)
class Report:
    """Outcome of one import.

    Attributes
    ----------
    load_id : int or None
        None when nothing was stored (dry run, or no row was good).
    crs : str
        What the coordinates were read as.
    unplaced : int
        Loaded rows that lie in no grid (未落点).
    seconds : float
        Wall time of the whole import.
    """

    subject: str
    file: str
    sha256: str
    mapping: str
    crs: str
    dry_run: bool
    load_id: int | None
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    quarantined: list[Reason]
    warnings: list[Reason]
    notes: list[str]
    unplaced: int
    seconds: float
    next_steps: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


class NothingLoaded(BadInput):
    """没有导入任何一行: the file was read whole and no row was good; the store is as it was."""

    def __init__(self, message: str, *, next_step: str, report: Report) -> None:
        super().__init__(message, next_step=next_step)
        self.report = report


def reasons(tally: Tally) -> list[Reason]:
    """A tally, most frequent reason first."""
    return [Reason(code, TITLES[code], n, tally.examples[code]) for code, n in tally.most()]


def record(notes: list[str], warnings: Tally) -> str | None:
    """The text kept in intake.load.note; None when there is nothing to say."""
    parts = [*dict.fromkeys(notes)]
    if warnings.total:
        parts.append(f"提醒：{warnings.sentence()}")
    return "；".join(parts) or None
