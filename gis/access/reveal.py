"""Reveal (揭示): one field of one person, for a reason, shown for a minute, on record.

Whose fields can be revealed is data: the rows of ``access.subject`` (sql/schema/87_access_reveal.sql). A new table of
personal data needs columns ``<field>_enc`` sealed by `gis.access.crypt.Keys` with ``table="schema.name"``, its primary key
(bigint or text) as ``row`` and ``field``; a view of where each person is; one row in access.subject. Nothing here changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gis.access.asking import Transaction, ip, row, value
from gis.access.crypt import Keys
from gis.access.principal import Principal
from gis.access.rules import AccessRules
from gis.clock import now
from gis.errors import BadRequest, Forbidden, NotFound, OnemapError, TooManyRequests


@dataclass(frozen=True)
class Revealed:
    """The value in clear, and until when the page may show it."""

    value: str
    until: datetime


def reveal(
    begin: Transaction,
    *,
    principal: Principal,
    keys: Keys,
    rules: AccessRules,
    kind: str,
    object_id: str,
    field: str,
    reason: str,
) -> Revealed:
    """Decrypt one field of one person in the principal's scope.

    The database decides and writes the audit row in one transaction, given or refused, and hands out ciphertext only;
    a refusal is raised after that transaction, so that its row stays.

    Parameters
    ----------
    kind : str
        Kind of person, ``access.subject.kind``: person (家庭成员), contractor (承包方) ...
    object_id : str
        Primary key of the kind's table: ``person_id``, the contractor's code ...
    field : str
        One of the kind's fields.

    Raises
    ------
    BadRequest
        When the reason is too short.
    Forbidden
        When the role may not reveal.
    TooManyRequests
        Beyond the account's daily number.
    NotFound
        When there is no such person or value, or not in the principal's scope: the two look alike.
    """
    with begin() as conn:
        value(conn, "act_as", [str(principal.account_id)])
        found = row(
            conn,
            "reveal",
            {"kind": kind, "id": object_id, "field": field, "reason": reason, "address": ip(principal.address),
             "shortest": rules.shortest_reason, "per_day": rules.reveals_per_day},
        )  # fmt: skip
    assert found is not None  # the function always answers
    if found["verdict"] != "given":
        raise _refusal(found["verdict"], rules)
    clear = keys.decrypt(bytes(found["ciphertext"]), table=found["source"], row=object_id, field=field)
    return Revealed(value=clear, until=now() + rules.shown)


def _refusal(verdict: str, rules: AccessRules) -> OnemapError:
    if verdict == "reason":
        return BadRequest(
            f"理由至少写 {rules.shortest_reason} 个字。", next_step="写明为什么要看，例如：入户核实低保信息。"
        )
    if verdict == "forbidden":
        return Forbidden("你的角色不能查看完整的个人信息。", next_step="需要时请联系本乡镇的规划员。")
    if verdict == "enough":
        return TooManyRequests(
            f"今天已经查看了 {rules.reveals_per_day} 次。",
            next_step="明天再看；确有需要请联系安全管理员。",
            retry_after_s=3600,
        )
    return NotFound("没有这项信息。", next_step="刷新页面后再试。")
