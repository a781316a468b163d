"""Scopes (权限范围): which divisions an account sees, from when, until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection

from gis.access.asking import records, value
from gis.errors import NotFound


@dataclass(frozen=True)
class ScopeRow:
    """One scope; `valid_to` is the first day it no longer holds, None: open. `division_name` None: no such division now."""

    scope_id: int
    account_id: int
    login: str
    division_code: str
    division_name: str | None
    valid_from: date
    valid_to: date | None
    granted_by: str | None


def list_scopes(conn: Connection[Any], *, account_id: int | None = None) -> list[ScopeRow]:
    """Scopes of one account, or of all, past ones too. Needs scope.manage or account.manage."""
    return records(conn, "scope_list", ScopeRow, [account_id])


def grant(
    conn: Connection[Any], *, account_id: int, division_code: str, valid_from: date | None = None,
    valid_to: date | None = None, reason: str | None = None,
) -> int:  # fmt: skip
    """Give an account one more division; return the scope's number. Its sessions end. Needs scope.manage.

    Raises
    ------
    BadRequest
        When there is no such division now, or the dates are the wrong way round.
    Forbidden
        Without the permission; for oneself; for one of the three administrators, who see no business data.
    """
    made: int = value(conn, "scope_add", [account_id, division_code, valid_from, valid_to, reason])
    return made


def end_scope(conn: Connection[Any], *, scope_id: int, reason: str | None = None) -> None:
    """End a scope today; its account's sessions end at once. Needs scope.manage."""
    if not value(conn, "scope_end", [scope_id, reason]):
        raise NotFound("没有这个范围，或已经结束。", next_step="刷新列表后再试。")
