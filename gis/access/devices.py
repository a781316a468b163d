"""Displays (指挥大屏): paired once by a short code, then signed in by a token of their own; they only ever carry the role `wall`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from gis.access.asking import Transaction, ip, records, value
from gis.access.rules import AccessRules
from gis.access.sessions import hash_of, new_token
from gis.errors import NotFound, NotSignedIn

# No characters that are taken for one another on a wall across the room; 8 of 30 are 39 bits, for ten minutes, once.
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_CODE = 8


@dataclass(frozen=True)
class DeviceRow:
    """One registered display. `paired_at` None: its code was not typed in yet; `pair_until`: a code is waiting till then."""

    device_id: int
    name: str
    login: str
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    paired_at: datetime | None
    seen_at: datetime | None
    pair_until: datetime | None


def register(
    conn: Connection[Any],
    *,
    name: str,
    account_id: int,
    rules: AccessRules,
    expires_at: datetime | None = None,
    reason: str | None = None,
) -> str:
    """Register a display and return its pairing code (配对码), shown this once. Needs session.manage."""
    code = _new_code()
    value(
        conn,
        "device_add",
        # Until it is paired, the hash of a token nobody has.
        {"name": name, "token": hash_of(new_token()), "account_id": account_id, "expires_at": expires_at,
         "pair": _hash_of_code(code), "pair_life": rules.pairing, "idle": rules.wall_idle, "reason": reason},
    )  # fmt: skip
    return code


def pair_again(conn: Connection[Any], *, device_id: int, rules: AccessRules, reason: str | None = None) -> str:
    """Return a new pairing code; the token the display has ends when the code is used. Needs session.manage."""
    code = _new_code()
    if not value(conn, "device_pair_again", [device_id, _hash_of_code(code), rules.pairing, reason]):
        raise NotFound("没有这台设备，或已经作废。", next_step="刷新列表后再试。")
    return code


def pair(begin: Transaction, *, code: str, address: str | None) -> str:
    """Trade a pairing code for the token of a display's cookie.

    Raises
    ------
    NotSignedIn
        When there is no such code, it was used, or its time is over: the three look alike.
    """
    token = new_token()
    with begin() as conn:
        done = value(conn, "device_pair", [_hash_of_code(code), hash_of(token), ip(address)])
    if done is None:
        raise NotSignedIn("配对码不对，或已经过时。", next_step="请安全管理员在“会话与设备”里重新生成一个。")
    return token


def revoke(conn: Connection[Any], *, device_id: int, reason: str | None = None) -> None:
    """A lost display: its token opens nothing any more. Needs session.manage."""
    if not value(conn, "device_revoke", [device_id, reason]):
        raise NotFound("没有这台设备，或令牌已经作废。", next_step="刷新列表后再试。")


def list_devices(conn: Connection[Any]) -> list[DeviceRow]:
    """All displays, revoked ones too. Needs session.manage."""
    return records(conn, "device_list", DeviceRow)


def _new_code() -> str:
    text = "".join(secrets.choice(_LETTERS) for _ in range(_CODE))
    return f"{text[:4]}-{text[4:]}"


def _hash_of_code(code: str) -> bytes:
    plain = "".join(c for c in code.upper() if c.isalnum())[:40]
    return hash_of(f"pairing code {plain}")
