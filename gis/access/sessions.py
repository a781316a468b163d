"""Sessions (会话): opaque tokens, known to the database by their hash only; the gate's one query."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from gis.access.asking import records, value
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.store.queries import load_queries

COOKIE = "onemap_session"
_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43  # 32 bytes in unpadded base64


@dataclass(frozen=True)
class SessionRow:
    """One open session as the security administrator sees it. `session_key` names it; it opens nothing."""

    session_key: str
    account_id: int
    login: str
    display_name: str
    role: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: IPv4Address | IPv6Address | None
    agent: str | None
    second_factor: bool


def new_token() -> str:
    """32 random bytes, URL-safe: the value of the cookie."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def hash_of(token: str) -> bytes:
    """SHA-256 of a token: what the database keeps. The token is random, so no salt and no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


def principal_of(conn: Connection[Any], token: str, *, roles: Roles, address: str | None = None) -> Principal | None:
    """Who a cookie's or device's token belongs to, in one query; None: not signed in.

    Ended, idle, expired and half-open sessions, disabled accounts and undefined roles give None. The query may write
    ``seen_at`` (once a minute), so the transaction must not be read-only.
    """
    if len(token) != _TOKEN_LENGTH:
        return None
    token_hash = hash_of(token)
    found = conn.cursor(row_factory=tuple_row).execute(load_queries("access")["session_of"], [token_hash]).fetchone()
    if found is None:
        return None
    account_id, login, display_name, role_id, is_device, scope = found
    role = roles.of(role_id)
    if role is None:
        return None
    return Principal(
        account_id=account_id,
        login=login,
        display_name=display_name,
        role=role_id,
        role_name=role.name,
        scope=tuple(scope),
        permissions=role.permissions,
        token_hash=token_hash,
        address=address,
        is_device=is_device,
    )


def end(conn: Connection[Any], token: str, *, reason: str = "logout") -> bool:
    """Sign out (退出): ends the session at once; False when it was not open."""
    return bool(value(conn, "session_end", [hash_of(token), reason]))


def list_sessions(conn: Connection[Any]) -> list[SessionRow]:
    """Open sessions, last seen first. Needs session.manage."""
    return records(conn, "session_list", SessionRow)


def revoke(conn: Connection[Any], *, session_key: str, reason: str | None = None) -> bool:
    """End somebody's session at once; False when it is not open. Needs session.manage."""
    return bool(value(conn, "session_revoke", [session_key, reason]))
