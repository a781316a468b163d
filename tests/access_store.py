"""A scratch store with schema access, roles and a small county; and the ways the tests act in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from gis.access import accounts, scopes
from gis.access.asking import Transaction
from gis.access.crypt import Keys, make_keys
from gis.access.principal import Principal
from gis.access.roles import Roles, publish
from gis.access.rules import AccessRules
from gis.access.sign_in import SignIn
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from tests.integration.small_county import insert

PASSWORD = "Liushu-7-beiqu"
ROLES = Roles.load(ROOT / "data")
RULES = AccessRules.load(ROOT / "data")


def prepare(settings: Settings) -> Settings:
    """The roles and the small county's divisions."""
    with connect(settings, role="owner") as conn:
        publish(conn, ROLES)
        insert(conn)
    return settings


def add_account(
    settings: Settings, login: str, role: str = "planner", *, scope: str | None = None, password: str | None = PASSWORD,
    temporary: bool = False,
) -> int:  # fmt: skip
    """An account made at the command line (role owner)."""
    with connect(settings, role="owner") as conn:
        made = accounts.add(
            conn,
            login=login,
            display_name=f"测试{login}",
            role=role,
            rules=RULES,
            password=password,
            temporary=temporary,
        )
        if scope:
            scopes.grant(conn, account_id=made, division_code=scope)
    return made


def begin_in(settings: Settings) -> Transaction:
    """Transactions of role app without a principal, as the web opens them for somebody who is not signed in."""
    return lambda: connect(settings, role="app")


@contextmanager
def acting(settings: Settings, account_id: int, *, address: str | None = None) -> Iterator[Connection[Any]]:
    """One transaction of role app as this account."""
    with connect(settings, role="app") as conn:
        conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(account_id)])
        conn.execute("SELECT set_config('onemap.address', %s, true)", [address or ""])
        yield conn


def sign_in_of(settings: Settings, *, keys: Keys, rules: AccessRules = RULES, second_factor: bool = False) -> SignIn:
    """The way in of this store."""
    return SignIn(begin=begin_in(settings), roles=ROLES, rules=rules, keys=keys, require_second_factor=second_factor)


def keys_in(settings: Settings, folder: Any) -> Keys:
    """Keys of a folder of this test's own."""
    return make_keys(settings.model_copy(update={"var": folder}))


def principal(account_id: int, role: str, *, scope: tuple[str, ...] = ()) -> Principal:
    """A principal as the gate would make it."""
    defined = ROLES.by_id[role]
    return Principal(
        account_id, f"a{account_id}", "测试", role, defined.name, scope, defined.permissions, None, "10.0.0.9"
    )


def actions(settings: Settings, *, object_id: object | None = None) -> list[str]:
    """Actions of the audit trail so far, in order."""
    with connect(settings, role="owner") as conn:
        return [
            r[0]
            for r in conn.execute(
                "SELECT action FROM access.audit WHERE %s::text IS NULL OR object_id = %s ORDER BY seq",
                [None if object_id is None else str(object_id)] * 2,
            ).fetchall()
        ]
