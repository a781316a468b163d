"""Accounts (账号): made, disabled, given a role or a password. The acting person is the transaction's principal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection

from gis.access import passwords
from gis.access.asking import records, value
from gis.access.roles import KEYED
from gis.access.rules import AccessRules
from gis.errors import BadRequest, NotFound

# No characters that are taken for one another when read out over the telephone.
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_CAPITALS = "ABCDEFGHJKMNPQRSTUVWXYZ"
_DIGITS = "23456789"


@dataclass(frozen=True)
class AccountRow:
    """One account as administrators see it; no hash, no secret."""

    account_id: int
    login: str
    display_name: str
    unit: str | None
    role: str
    state: Literal["active", "disabled"]
    is_demo: bool
    second_factor: bool
    scope: list[str]
    created_at: datetime
    seen_at: datetime | None


def list_accounts(conn: Connection[Any]) -> list[AccountRow]:
    """All accounts by login. Needs account.manage, scope.manage or session.manage."""
    return records(conn, "account_list", AccountRow)


def account_by_login(conn: Connection[Any], login: str) -> AccountRow:
    """One account.

    Raises
    ------
    NotFound
        When there is none.
    """
    wanted = normal_login(login)
    for account in list_accounts(conn):
        if account.login == wanted:
            return account
    raise NotFound(f"没有账号 {wanted}。", next_step="./onemap access account list 列出全部账号。")


def normal_login(login: str) -> str:
    """A login as it is stored: no blanks around it, lower case, at most 64 characters looked at."""
    return login.strip().lower()[:64]


def temporary_password() -> str:
    """A random password that can be read out: three groups of four, about 59 bits."""
    every = _LETTERS + _CAPITALS + _DIGITS
    while True:
        text = "-".join("".join(secrets.choice(every) for _ in range(4)) for _ in range(3))
        if all(set(text) & set(kind) for kind in (_LETTERS, _CAPITALS, _DIGITS)):
            return text


def add(
    conn: Connection[Any],
    *,
    login: str,
    display_name: str,
    role: str,
    rules: AccessRules,
    unit: str | None = None,
    password: str | None = None,
    temporary: bool = True,
    is_demo: bool = False,
    reason: str | None = None,
) -> int:
    """Make an account without a scope; return its number. Needs account.manage; hashes, so call it in a thread.

    Parameters
    ----------
    password : str or None
        None: signs in through the county's identity provider only. Another system (role partner) has none.
    temporary : bool
        The first sign-in must choose a new one.

    Raises
    ------
    BadRequest
        When the login is taken or malformed, or the password is too weak, or there may be none.
    Forbidden
        When the principal may not, or the role is an administrator's (the security administrator gives those).
    """
    login = normal_login(login)
    hashed = None
    if password is not None and role == KEYED:
        raise BadRequest("对接系统只用密钥，不能有密码。", next_step="建好后发密钥：./onemap partner key 账号")
    if password is not None:
        passwords.check_strength(password, login=login, rules=rules.password)
        hashed = passwords.hash_password(password, rules=rules.password)
    made: int = value(
        conn,
        "account_add",
        {"login": login, "display_name": display_name.strip(), "role": role, "unit": unit, "hash": hashed,
         "is_demo": is_demo, "temporary": temporary, "reason": reason},
    )  # fmt: skip
    return made


def set_state(
    conn: Connection[Any], *, account_id: int, state: Literal["active", "disabled"], reason: str | None = None
) -> None:
    """Disable or enable; disabling ends sessions and devices at once. Needs account.manage."""
    _found(value(conn, "account_set_state", [account_id, state, reason]))


def set_role(conn: Connection[Any], *, account_id: int, role: str, reason: str | None = None) -> None:
    """Give another role; the sessions end at once. Needs scope.manage."""
    _found(value(conn, "account_set_role", [account_id, role, reason]))


def reset_password(
    conn: Connection[Any], *, account_id: int, rules: AccessRules, password: str | None = None, temporary: bool = True,
    reason: str | None = None,
) -> str:  # fmt: skip
    """Set a password for somebody else and return it, to be handed over once. Needs account.manage; hashes."""
    password = password or temporary_password()
    hashed = passwords.hash_password(password, rules=rules.password)
    _found(value(conn, "password_given", [account_id, hashed, temporary, reason]))
    return password


def forget_second_factor(conn: Connection[Any], *, account_id: int, reason: str | None = None) -> None:
    """A lost phone: the second factor is set up anew at the next sign-in. Needs session.manage."""
    if not (reason or "").strip():
        raise BadRequest("重置第二因素要写明理由。", next_step="例如：手机丢失，本人当面申请。")
    _found(value(conn, "second_factor_forget", [account_id, reason]))


@dataclass(frozen=True)
class WaitingRow:
    """Somebody the county's identity provider vouched for who has no account (待开通)."""

    request_id: int
    login: str | None
    display_name: str | None
    first_at: datetime
    last_at: datetime
    times: int


def list_waiting(conn: Connection[Any]) -> list[WaitingRow]:
    """Identities without an account, last seen first. Needs account.manage."""
    return records(conn, "identity_list", WaitingRow)


def adopt(
    conn: Connection[Any],
    *,
    request_id: int,
    login: str,
    display_name: str,
    role: str,
    rules: AccessRules,
    unit: str | None = None,
    reason: str | None = None,
) -> int:
    """Make an account of a waiting identity, without a password: it comes in by the provider. Needs account.manage.

    Raises
    ------
    NotFound
        When it is not waiting any more; nothing is made then (the caller's transaction is rolled back).
    """
    made = add(conn, login=login, display_name=display_name, role=role, rules=rules, unit=unit, reason=reason)
    if not value(conn, "identity_close", [request_id, made, reason]):
        raise NotFound("这个人已经开通或已被拒绝。", next_step="刷新列表后再看。")
    return made


def turn_away(conn: Connection[Any], *, request_id: int, reason: str | None = None) -> None:
    """Take a waiting identity off the list; it stays unknown. Needs account.manage."""
    if not value(conn, "identity_close", [request_id, None, reason]):
        raise NotFound("这个人已经开通或已被拒绝。", next_step="刷新列表后再看。")


def _found(done: Any) -> None:
    if not done:
        raise NotFound("没有这个账号。", next_step="刷新列表后再试。")
