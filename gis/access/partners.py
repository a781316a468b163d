"""Keys of other systems (对接密钥): registered by the security administrator, shown once, known to the database by hash only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from gis.access.asking import value
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.access.sessions import hash_of, new_token
from gis.store.queries import load_queries

_KEY_LENGTH = 43  # 32 bytes in unpadded base64


def issue(
    conn: Connection[Any],
    *,
    account_id: int,
    name: str,
    idle: timedelta,
    expires_at: datetime | None = None,
    reason: str | None = None,
) -> str:
    """Register a key of a partner's account and return it, this once. Needs session.manage.

    Parameters
    ----------
    idle : timedelta
        It ends after this long without a request.

    Raises
    ------
    Forbidden
        When the account is not an active partner's.
    """
    key = new_token()
    named = {"name": name, "token": hash_of(key), "account_id": account_id, "expires_at": expires_at, "idle": idle}
    value(conn, "key_add", named | {"reason": reason}, subject="open311")
    return key


def principal_of_key(conn: Connection[Any], key: str, *, roles: Roles, address: str | None = None) -> Principal | None:
    """Who a key belongs to, now; None: nobody. It is written when it was used (once an hour): no read-only transaction."""
    if len(key) != _KEY_LENGTH or not key.isascii():
        return None
    hashed = hash_of(key)
    found = conn.cursor(row_factory=tuple_row).execute(load_queries("open311")["key_of"], [hashed]).fetchone()
    role = roles.of(found[3]) if found else None
    if found is None or role is None:
        return None
    return Principal(
        account_id=found[0], login=found[1], display_name=found[2], role=role.id, role_name=role.name, scope=tuple(found[4]),
        permissions=role.permissions, token_hash=hashed, address=address,
    )  # fmt: skip
