"""Handing over (移交): everything open of a person who leaves goes to another, case by case, each with its event."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from gis.access.audit import record
from gis.access.principal import Principal, current
from gis.cases.catalogue import Processes
from gis.cases.reading import Reading
from gis.errors import BadRequest, Conflict, Forbidden
from gis.store.pool import Pool
from gis.store.queries import load_queries

_SHOWN = 20


class Handover:
    """Hands cases over, as somebody who dispatches; what lies outside their divisions stays."""

    def __init__(self, pool: Pool, *, processes: Processes, reading: Reading) -> None:
        self._pool = pool
        self._processes = processes
        self._reading = reading
        self._sql = load_queries("cases_handover")

    def preview(self, from_id: int, *, principal: Principal) -> dict[str, Any]:
        """What would go over: how many by state, and the first, next due first."""
        with self._pool.reading(principal=principal) as conn:
            counts = conn.execute(self._sql["counts"], {"from_id": from_id}).fetchall()
            rows = self._reading.rows(
                conn, conn.execute(self._sql["first"], {"from_id": from_id, "limit": _SHOWN}).fetchall()
            )
        return {"states": {r["state"]: r["n"] for r in counts}, "total": sum(r["n"] for r in counts), "rows": rows}

    def hand_over(self, from_id: int, to_id: int, reason: str, *, principal: Principal) -> int:
        """Give every open case, part and call-back of one person to another; all or none. Returns how many cases.

        Raises
        ------
        Forbidden
            When the asker does not dispatch.
        BadRequest
            Without a reason, to the same person, or to one who cannot take cases here.
        Conflict
            When somebody worked on one of them at the same moment.
        """
        if not principal.may("incident.dispatch"):
            raise Forbidden("移交由派单人来做。", next_step="请联系有派单权限的人。")
        if not reason.strip() or len(reason) > 200 or "\x00" in reason:
            raise BadRequest("请写明移交原因（200 字以内）。", next_step="例如：张三调离。")
        if from_id == to_id:
            raise BadRequest("不能移交给本人。", next_step="请选另一个人。")
        values = {"from_id": from_id, "to_id": to_id}
        holder = current.set(principal)
        try:
            with self._pool.writing(principal=principal) as conn:
                people = {
                    r["account_id"]: r["display_name"]
                    for r in conn.execute(self._sql["takers"], {"ids": [from_id, to_id], "to_id": to_id}).fetchall()
                }
                if to_id not in people:
                    raise BadRequest("接手的人不能办理这里的事件，或账号已停用。", next_step="请另选一位。")
                given = conn.execute(self._sql["take"], values).fetchall()
                for case in given:
                    words = f"{people.get(from_id, '原责任人')} 移交给 {people[to_id]}：{reason.strip()}"
                    event = {
                        "case_id": case["case_id"], "revision": case["revision"], "state": case["state"], "note": words,
                        "account_id": principal.account_id, "actor_name": principal.display_name,
                        "data": Jsonb({"_told": [words]}), "due_at": case["due_at"],
                    }  # fmt: skip
                    conn.execute(self._sql["event"], event)
                conn.execute(self._sql["parts"], values)
                if given:
                    notice = {"case_id": given[0]["case_id"], "to_account": to_id, "kind": "handover",
                              "words": f"{people.get(from_id, '')} 的 {len(given)} 件办件已移交给您：{reason.strip()}"}  # fmt: skip
                    conn.execute(load_queries("cases")["notice"], notice)
                record(conn, action="case.handover", object_kind="account", object_id=from_id, reason=reason.strip(),
                       detail={"to": to_id, "cases": len(given)})  # fmt: skip
        except psycopg.errors.UniqueViolation as e:
            raise Conflict("移交的同时有人在办其中一件，没有移交。", next_step="请再试一次。") from e
        finally:
            current.reset(holder)
        return len(given)
