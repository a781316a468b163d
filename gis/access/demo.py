"""Demo accounts (演示账号): one for every role on divisions of the built county, one random password an installation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from gis.access import accounts, scopes
from gis.access.asking import rows, value
from gis.access.roles import KEYED, Roles
from gis.access.rules import AccessRules
from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.engine import connect

TOWNSHIP = "130529200"  # 堤村乡: where the demo accounts below the county work; elsewhere the county's first township
# Where each works, as data/codelists/unit.csv and the divisions name it: nobody can be handed a case without a unit.
_UNITS = {"commander": "zhzx", "dispatcher": "zhzx", "handler": "jtj"}
_LEVELS = {"county": 1, "township": 2, "village": 3, "grid": 4}


@dataclass(frozen=True)
class DemoAccount:
    """Login (the role's id, dots for underscores), the role's name, and the division it sees."""

    login: str
    role: str
    role_name: str
    division_code: str | None


def demo_file(settings: Settings) -> Path:
    """``var/demo.json``: the password of the demo accounts, for its owner to read."""
    return settings.var / "demo.json"


def demo_password(settings: Settings) -> str:
    """The password of all demo accounts of this installation: made once, kept in ``var/demo.json`` (0600)."""
    path = demo_file(settings)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            json.dump({"password": accounts.temporary_password()}, f)
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # another first start was quicker
        finally:
            new.unlink()
    password: str = json.loads(path.read_text())["password"]
    return password


def planned(conn: Connection[Any], *, roles: Roles, township: str | None = None) -> list[DemoAccount]:
    """One account a role, with a division of the role's level: those of `township`, or of the county's first one."""
    codes = {r["level"]: r["code"] for r in rows(conn, "demo_divisions", {"township": township})}
    return [
        DemoAccount(role.id.replace("_", "."), role.id, role.name, codes.get(_LEVELS.get(role.level, 0)))
        for role in roles.by_id.values()
        if role.id != KEYED  # another system has no password to show
    ]


def _unit_of(account: DemoAccount) -> str:
    """The department, or the township or village that is its own unit; a grid's member belongs to the village."""
    code = account.division_code
    return _UNITS.get(account.role) or (code[:12] if code and len(code) > 6 else "演示")


def make_demo_accounts(
    settings: Settings, *, roles: Roles, rules: AccessRules, township: str | None = None
) -> list[DemoAccount]:
    """Make the demo accounts that are missing, as role owner; the others only get the password when ``var/demo.json`` is new.

    An account that exists keeps its role and scope, and stays disabled when it is.
    """
    is_new = not demo_file(settings).exists()
    password = demo_password(settings)
    with connect(settings, role="owner") as conn:
        plan = planned(conn, roles=roles, township=township)
        for known in rows(conn, "demo_passwords") if is_new else []:
            if not known["has_password"]:
                continue  # one that comes in by a key
            accounts.reset_password(
                conn,
                account_id=known["account_id"],
                rules=rules,
                password=password,
                temporary=False,
                reason="演示密码更新",
            )
        taken = {a.login for a in accounts.list_accounts(conn)}
        for account in plan:
            if account.login in taken:
                continue
            made = accounts.add(
                conn, login=account.login, display_name=f"演示{account.role_name}", role=account.role, rules=rules,
                unit=_unit_of(account), password=password, temporary=False, is_demo=True, reason="演示账号",
            )  # fmt: skip
            if account.division_code:
                scopes.grant(conn, account_id=made, division_code=account.division_code, reason="演示账号")
    return plan


def refuse_demo_in_production(settings: Settings) -> None:
    """Raise `SetupProblem` when this is a production start and an active demo account is present."""
    if not settings.production:
        return
    with connect(settings, role="owner") as conn:
        present = [r["login"] for r in rows(conn, "demo_accounts")]
    if present:
        raise SetupProblem(
            f"正式运行不能有演示账号，现有 {len(present)} 个：{'、'.join(present[:5])}{' 等' if len(present) > 5 else ''}。",
            next_step="先停用它们：./onemap access demo --disable",
        )


def disable_demo_accounts(conn: Connection[Any]) -> int:
    """Disable all demo accounts; returns how many. Needs account.manage."""
    present = rows(conn, "demo_passwords")
    active = {r["login"] for r in rows(conn, "demo_accounts")}
    for account in present:
        if account["login"] in active:
            value(conn, "account_set_state", [account["account_id"], "disabled", "正式运行"])
    return len(active)
