"""The case engine (办件引擎), one face for pages, phone, other systems and jobs: report, act, look. Rules are data/processes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gis.access.crypt import Keys
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.cases import follow as codes
from gis.cases.acting import Acting
from gis.cases.card import Cards
from gis.cases.catalogue import Processes
from gis.cases.clocks import Clocks
from gis.cases.filtering import Filter
from gis.cases.handover import Handover
from gis.cases.model import Card, Receipt, Report, Step, Taken
from gis.cases.reading import Reading
from gis.cases.reporting import Reporting
from gis.cases.routing import Duties
from gis.errors import BadRequest, NotFound, OnemapError
from gis.settings import Settings
from gis.store.pool import Pool

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 200


@dataclass(frozen=True)
class Done:
    """What became of one case of many."""

    case_no: str
    ok: bool
    error: str = ""
    message: str = ""


class Cases:
    """Everything one may do with cases.

    Parameters
    ----------
    pool : Pool
        Role app. What the system does by itself has a pool of role job (`gis.cases.sweep`).
    processes : Processes
        Checked definitions; published to the store before (catalogue.publish).
    keys : Keys
        Seal what is personal, and make the follow codes.
    settings : Settings
        Names the data folder with roles and the duty list.

    Attributes
    ----------
    lists : Reading
        Queue, board, tasks, notices, people, units, figures.
    """

    def __init__(self, pool: Pool, *, processes: Processes, keys: Keys, settings: Settings) -> None:
        roles = Roles.load(settings.data)
        clocks = Clocks(processes)
        duties = Duties.load(settings.data)
        self.pool = pool
        self.processes = processes
        self.clocks = clocks
        self.lists = Reading(pool, processes=processes, role_names={r.id: r.name for r in roles.by_id.values()})
        self._reporting = Reporting(pool, processes=processes, clocks=clocks, duties=duties, roles=roles, keys=keys)
        self._acting = Acting(pool, processes=processes, clocks=clocks, duties=duties, roles=roles, keys=keys)
        self._cards = Cards(pool, processes=processes, reading=self.lists, acting=self._acting)
        self._handover = Handover(pool, processes=processes, reading=self.lists)
        self._keys = keys
        # Lists are asked for by name often enough to be had without a step between.
        self.queue, self.board, self.near = self.lists.queue, self.lists.board, self.lists.near
        self.mine, self.notices, self.seen = self.lists.tasks, self.lists.notices, self.lists.seen
        self.people, self.units, self.units_report = self.lists.people, self.lists.units, self.lists.units_report
        self.handover, self.handover_preview = self._handover.hand_over, self._handover.preview

    def report(self, report: Report, *, principal: Principal | None = None) -> Receipt:
        """Take a report; durable when this returns. See `gis.cases.reporting`."""
        return self._reporting.report(report, self.processes.current(report.process), principal=principal)

    def act(
        self, taken: Taken, *, principal: Principal | None = None, follow: str | None = None, key: str | None = None
    ) -> Card | None:
        """Take a step and return the case as it stands then.

        None: it was taken, and is not the actor's to see any more (a call-back answered, a case given out of one's hands).
        See `gis.cases.acting`.
        """
        held = None if follow is None else codes.hash_of(follow)
        self._acting.act(taken, principal=principal, held=held, key=key)
        try:
            return self.card(taken.case_no, principal=principal) if principal else self.follow(follow or "")
        except NotFound:
            return None

    def act_many(
        self,
        seen: Iterable[tuple[str, int]],
        transition: str,
        answers: dict[str, Any],
        note: str,
        *,
        principal: Principal,
    ) -> list[Done]:
        """Take the same step for many cases, each in a transaction of its own; what becomes of one does not touch the next.

        Parameters
        ----------
        seen : (case number, revision that was seen).

        Raises
        ------
        BadRequest
            When the step may not be taken for many, or they are too many.
        """
        chosen = list(seen)
        if not 1 <= len(chosen) <= _MOST_AT_ONCE:
            raise BadRequest(f"一次选 1 到 {_MOST_AT_ONCE} 件。", next_step="分几次办理。")
        if not any(t.id == transition and t.bulk for p in self.processes.current_by_id.values() for t in p.transition):
            raise BadRequest("这一步不能成批办理。", next_step="请一件一件打开办理。")
        done = []
        for case_no, revision in chosen:
            try:
                self._acting.act(Taken(case_no, transition, revision, answers, note), principal=principal)
                done.append(Done(case_no, True))
            except OnemapError as e:
                done.append(Done(case_no, False, type(e).__name__, e.message))
        return done

    def steps_of(self, numbers: Iterable[str], *, principal: Principal | None = None) -> dict[str, tuple[Step, ...]]:
        """Steps a person may take now, by case number; nothing for a case they cannot see, and for nobody."""
        chosen = list(numbers)
        return self._cards.steps_of(chosen, principal=principal) if principal else dict.fromkeys(chosen, ())

    def undo(self, case_no: str, revision: int, *, principal: Principal) -> Card | None:
        """Take back one's own last step, within its minutes."""
        return self.act(Taken(case_no, "undo", revision), principal=principal)

    def card(self, case_no: str, *, principal: Principal | None = None) -> Card:
        """The card as a signed-in person may see it; for nobody there is none."""
        if principal is None:
            raise NotFound("没有这件办件。", next_step="请登录，或用查询码查看。")
        return self._cards.card(case_no, principal=principal)

    def follow(self, code: str) -> Card:
        """The card for whoever holds its code."""
        return self._cards.followed(code)

    def follow_code(self, key: str) -> str:
        """The code of a submission key."""
        return codes.code_of(self._keys, key)


def open_cases(settings: Settings, *, pool: Pool, keys: Keys) -> Cases:
    """Read the definitions and put the engine together; the store is reached when the pool opens."""
    return Cases(pool, processes=Processes.load(settings.data), keys=keys, settings=settings)


__all__ = ["Cases", "Done", "Filter", "open_cases"]
