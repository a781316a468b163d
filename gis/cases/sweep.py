"""What time does by itself (到期): marks, notices, escalations, automatic steps, a minute at a time; each exactly once.

Cases taken over from another system with a due date but no clock of ours are marked late like all others, and left to people:
the system sends no notices about thousands of them on its first night, and takes no step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from gis.cases import wording
from gis.cases.acting import Acting
from gis.cases.catalogue import Processes
from gis.cases.change import Desk
from gis.cases.clocks import Clocks
from gis.cases.definition import Escalation, Process, Relation
from gis.cases.model import Taken
from gis.cases.notice import whom
from gis.cases.reading import state_name
from gis.cases.routing import Duties
from gis.clock import now
from gis.errors import Conflict, NotFound, OnemapError
from gis.store.pool import Pool
from gis.store.queries import load_queries

_log = logging.getLogger(__name__)
_HOUR = 3600.0


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    marked: int = 0
    notices: int = 0
    steps: int = 0


class Sweep:
    """Sweeps all open cases.

    Parameters
    ----------
    pool : Pool
        Role job: no person asks, so no person's rights are borrowed.
    """

    def __init__(self, pool: Pool, *, processes: Processes, clocks: Clocks, duties: Duties, acting: Acting) -> None:
        self._pool = pool
        self._processes = processes
        self._clocks = clocks
        self._duties = duties
        self._acting = acting
        self._sql = load_queries("cases_jobs")

    def run(self) -> Swept:
        """One sweep; nothing when another runs."""
        marked = self.mark()
        if marked is None:
            return Swept()
        told, steps = marked[1], 0
        with self._pool.reading() as conn:
            versions = [(r["process"], r["version"]) for r in conn.execute(self._sql["versions"]).fetchall()]
            known = [self._processes.of(conn, *v) for v in versions]
        for process in known:
            told += self._reminders(process) + self._stays(process)
            for escalation in process.escalation:
                if escalation.transition is not None or escalation.after_hours > 0:
                    a, b = self._late(process, escalation)
                    told, steps = told + a, steps + b
            steps += self._automatic(process)
        return Swept(marked[0], told, steps)

    def mark(self) -> tuple[int, int] | None:
        """Note who became at risk or late, and tell people; (cases, notices), None when another sweep holds the lock."""
        moment = now()
        with self._pool.writing(timeout_s=10) as conn:
            held = conn.execute(self._sql["sweep_lock"]).fetchone()
            if not held or not held["mine"]:
                return None
            changed = conn.execute(self._sql["sweep_mark"], {"now": moment}).fetchall()
            notices = [n for case in changed if case["ours"] for n in self._standing_notices(conn, case)]
            self._tell(conn, notices)
            if changed:
                conn.execute(self._sql["sweep_live"], {"n": len(changed)})
        return len(changed), len(notices)

    def _standing_notices(self, conn: Connection[Any], case: Mapping[str, Any]) -> list[dict[str, Any]]:
        process = self._processes.of(conn, case["process"], case["process_version"])
        return [
            notice
            for e in process.escalation
            if e.at == case["swept"] and e.after_hours == 0 and e.transition is None
            for notice in self._notices(conn, process, case, e.notify, e.words, kind=e.at)
        ]

    def _reminders(self, process: Process) -> int:
        told = 0
        for reminder in process.reminder:
            kind = f"reminder-{reminder.before_hours:g}h"
            asked = self._version(process) | {"before_s": reminder.before_hours * _HOUR, "kind": kind}
            told += self._told(process, "soon", asked, reminder.notify, reminder.words, kind)
        return told

    def _stays(self, process: Process) -> int:
        """States with a time of their own (`within`): whoever should act is told once that it ran out."""
        told = 0
        moment = now()
        for state in process.state:
            if state.within is None or state.ends:
                continue
            kind = f"within-{state.id}"
            asked = self._version(process) | {"states": [state.id], "after_s": 0.0, "kind": kind, "least": 0}
            with self._pool.writing(timeout_s=10) as conn:
                late = []
                for case in conn.execute(self._sql["stayed"], asked).fetchall():
                    until = self._clocks.within(state.within, case["since"])
                    if until is not None and until <= moment:
                        late.append(case)
                notices = []
                for case in late:
                    words = wording.of_case(f"在“{state.name}”已超过规定时间", case)
                    relations: list[Relation] = (
                        ["assignee"] if case["assignee_id"] is not None else ["unit"] if case["unit"] else ["place"]
                    )
                    notices += self._notices(conn, process, case, relations, words, kind=kind)
                self._tell(conn, notices)
            told += len(notices)
        return told

    def _late(self, process: Process, escalation: Escalation) -> tuple[int, int]:
        """Escalations with a step, or some time after the deadline."""
        if escalation.at != "breached":
            return 0, 0
        kind = f"{escalation.at}-{escalation.after_hours:g}h"
        asked = self._version(process) | {
            "after_s": escalation.after_hours * _HOUR, "transition": escalation.transition or "", "kind": kind,
        }  # fmt: skip
        with self._pool.reading(timeout_s=10) as conn:
            late = conn.execute(self._sql["late"], asked).fetchall()
        told = steps = 0
        for case in late:
            taken = False
            if escalation.transition is not None and self._open_from(process, escalation.transition, case["state"]):
                words = wording.notice(
                    escalation.words, case, state=state_name(process, case["state"]), note="", actor="系统"
                )
                taken = self._step(case, escalation.transition, note=words)
                steps += taken
            if not taken or escalation.notify:
                with self._pool.writing(timeout_s=10) as conn:
                    notices = self._notices(conn, process, case, escalation.notify, escalation.words, kind=kind)
                    # Nobody to tell: still once, so that the case does not come up every minute.
                    self._tell(
                        conn,
                        notices
                        or [{"case_id": case["case_id"], "to_account": None, "kind": kind, "words": "已超期。"}],
                    )
                told += len(notices)
        return told, steps

    def _automatic(self, process: Process) -> int:
        steps = 0
        for automatic in process.automatic:
            transition = process.transition_of(automatic.transition)
            asked = self._version(process) | {
                "states": transition.source, "after_s": automatic.after_days * 24 * _HOUR, "kind": None, "least": 1,
            }  # fmt: skip
            with self._pool.reading(timeout_s=10) as conn:
                waiting = conn.execute(self._sql["stayed"], asked).fetchall()
            for case in waiting:
                steps += self._step(case, automatic.transition, note="到时自动")
        return steps

    def _step(self, case: Mapping[str, Any], transition: str, *, note: str) -> bool:
        """The system takes a step; somebody who was quicker wins, and what stands in the way is noted, not raised."""
        try:
            self._acting.act(Taken(case["case_no"], transition, case["revision"], {}, note), system=True)
        except (Conflict, NotFound):
            return False
        except OnemapError as e:
            _log.warning("%s %s: %s", case["case_no"], transition, e)
            return False
        return True

    def _told(
        self, process: Process, query: str, asked: dict[str, Any], relations: list[Relation], words: str, kind: str
    ) -> int:  # fmt: skip
        with self._pool.writing(timeout_s=10) as conn:
            found = conn.execute(self._sql[query], asked).fetchall()
            notices = [n for case in found for n in self._notices(conn, process, case, relations, words, kind=kind)]
            self._tell(conn, notices)
        return len(notices)

    def _notices(
        self,
        conn: Connection[Any],
        process: Process,
        case: Mapping[str, Any],
        relations: list[Relation],
        words: str,
        *,
        kind: str,
    ) -> list[dict[str, Any]]:
        desk = Desk(
            conn=conn, clocks=self._clocks, duties=self._duties, sql=load_queries("cases"), lists=self._processes.lists
        )
        said = wording.notice(words, case, state=state_name(process, case["state"]), note="", actor="系统")
        accounts = dict.fromkeys(a for r in relations for a in whom(desk, dict(case), r))
        return (
            [{"case_id": case["case_id"], "to_account": a, "kind": kind, "words": said} for a in accounts]
            if said
            else []
        )

    def _tell(self, conn: Connection[Any], notices: list[dict[str, Any]]) -> None:
        if notices:
            with conn.cursor() as cursor:
                cursor.executemany(load_queries("cases")["notice"], notices)

    def _version(self, process: Process) -> dict[str, Any]:
        return {"process": process.process, "version": process.version, "now": now()}

    @staticmethod
    def _open_from(process: Process, transition: str, state: str) -> bool:
        return state in process.transition_of(transition).source


def clean(pool: Pool) -> None:
    """Forget what is only kept for a while: live notices of yesterday, submission keys of last month."""
    with pool.writing(timeout_s=10) as conn:
        conn.execute(load_queries("cases_jobs")["clean"])
