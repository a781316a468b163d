"""Device tokens (设备令牌): a wall display signs in by a token of its own; it only ever carries the role `wall`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from gis.access.asking import records, value
from gis.access.sessions import hash_of, new_token
from gis.errors import NotFound


@dataclass(frozen=True)
class DeviceRow:
    """One registered display."""

    device_id: int
    name: str
    login: str
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


def register(
    conn: Connection[Any], *, name: str, account_id: int, expires_at: datetime | None = None, reason: str | None = None
) -> str:
    """Register a display and return its token, shown this once. Needs session.manage."""
    token = new_token()
    value(conn, "device_add", [name, hash_of(token), account_id, expires_at, reason])
    return token


def revoke(conn: Connection[Any], *, device_id: int, reason: str | None = None) -> None:
    """A lost display: its token opens nothing any more. Needs session.manage."""
    if not value(conn, "device_revoke", [device_id, reason]):
        raise NotFound("没有这台设备，或令牌已经作废。", next_step="刷新列表后再试。")


def list_devices(conn: Connection[Any]) -> list[DeviceRow]:
    """All displays, revoked ones too. Needs session.manage."""
    return records(conn, "device_list", DeviceRow)
