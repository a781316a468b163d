"""The principal (当前用户): who is asking, what they may do and where; carried through one request."""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Principal:
    """One signed-in account or device, as it stood when the request came in.

    Attributes
    ----------
    account_id : int
        Row of ``access.account``; what ``onemap.principal`` is set to in every transaction.
    login, display_name : str
        Sign-in name, and the name people see.
    role, role_name : str
        Id in ``data/roles.toml`` and its Chinese name.
    scope : tuple of str
        Division codes (6, 9, 12 or 15 digits) that hold today, sorted; empty: sees no rows.
    permissions : frozenset of str
        What the role may do.
    token_hash : bytes or None
        SHA-256 of the session's or device's token; None for a command line.
    address : str or None
        Where the request came from.
    is_device : bool
        True for a wall display that came in by its device token (设备令牌).
    """

    account_id: int
    login: str
    display_name: str
    role: str
    role_name: str
    scope: tuple[str, ...]
    permissions: frozenset[str]
    token_hash: bytes | None = None
    address: str | None = None
    is_device: bool = False

    def may(self, permission: str) -> bool:
        """Whether the role has this permission."""
        return permission in self.permissions

    @property
    def roles(self) -> tuple[str, ...]:
        """The one role, as a tuple: what tile layers ask for."""
        return (self.role,)

    @property
    def scope_key(self) -> str:
        """Short stable hash of role and scope: two principals share a cache entry only when both are equal."""
        return hashlib.sha256(f"{self.role}|{','.join(sorted(self.scope))}".encode()).hexdigest()[:16]


current: ContextVar[Principal | None] = ContextVar("onemap_principal", default=None)
"""The principal of the request at hand, set by the gate; None outside a request and before sign-in."""
