"""One step in the making: the case as it was, who acts, and everything that will be written, in one place before anything is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from gis.cases.clocks import Clocks
from gis.cases.definition import Process, State, Transition
from gis.cases.lists import Lists
from gis.cases.machine import Actor
from gis.cases.routing import Duties

# What a step may change of a case; the engine writes no other column.
COLUMNS = frozenset(
    {
        "item_code", "deadline_class", "accepted_at", "responded_at", "due_at", "warn_at", "clock", "clock_state", "done_at",
        "closed_at", "ended_at", "swept", "level", "handled_level", "unit", "assignee_id", "supervised_at", "reopened", "rating",
        "merged_into", "title",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """What effects may ask: the transaction they run in, and the rules."""

    conn: Connection[Any]
    clocks: Clocks
    duties: Duties
    sql: Mapping[str, Any]
    lists: Lists


@dataclass
class Change:
    """A step being put together.

    Attributes
    ----------
    case : row of the query `load`, as it was seen.
    answers : checked, personal ones apart in `secrets`: field → (clear, masked).
    columns : what changes of case_file; parts, callbacks, notices: rows to add; merged_with: the other case of a merger.
    """

    case: Mapping[str, Any]
    process: Process
    transition: Transition
    actor: Actor
    answers: dict[str, Any]
    secrets: dict[str, tuple[str, str]]
    note: str
    at: datetime
    columns: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    parts_done: list[str] = field(default_factory=list)
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    callback_answer: dict[str, Any] | None = None
    notices: list[dict[str, Any]] = field(default_factory=list)
    merged_with: Mapping[str, Any] | None = None
    told: list[str] = field(default_factory=list)

    @property
    def target(self) -> State:
        """Where it leads."""
        return self.process.state_of(self.transition.to or self.case["state"])

    def now(self, column: str) -> Any:
        """A column as it will be."""
        return self.columns.get(column, self.case[column])

    @property
    def account_id(self) -> int | None:
        """Account of whoever acts; None: reporter by code, system."""
        return self.actor.principal.account_id if self.actor.principal else None
