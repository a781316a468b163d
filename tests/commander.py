"""Somebody signed in for tests and benches that are about the map, not about the gate: a commander of the whole county."""

from __future__ import annotations

from typing import Any

import httpx2

from gis.access import accounts, scopes
from gis.access.crypt import make_keys
from gis.access.principal import Principal
from gis.access.roles import Roles, publish
from gis.access.rules import AccessRules
from gis.settings import Settings
from gis.store.engine import connect

LOGIN, PASSWORD = "test.commander", "Nongtian-2026-tu"
COOKIE = "onemap_session"


def enrol(settings: Settings, *, login: str = LOGIN, password: str | None = PASSWORD) -> Principal:
    """Publish the roles, make the keys, and give the store's county a commander; harmless to repeat.

    Parameters
    ----------
    password : str or None
        None: nobody can sign in as this account, for a bench on a store that people use.
    """
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    make_keys(settings)
    with connect(settings, role="owner") as conn:
        publish(conn, roles)
        row = conn.execute("SELECT account_id FROM access.account WHERE login = %s", [login]).fetchone()
        county = conn.execute("SELECT code FROM onemap.division_now WHERE level = 1").fetchone()
        assert county is not None
        if row is None:
            account = accounts.add(
                conn, login=login, display_name="测试指挥员", role="commander", rules=rules, unit="测试",
                password=password, temporary=False, reason="测试",
            )  # fmt: skip
            scopes.grant(conn, account_id=account, division_code=county[0], reason="测试")
        else:
            account = row[0]
    role = roles.by_id["commander"]
    return Principal(account, login, "测试指挥员", role.id, role.name, (county[0],), frozenset(role.permissions))


def sign_in(client: Any, *, origin: str, login: str = LOGIN, password: str = PASSWORD) -> str:
    """Sign the commander, or another account, in over HTTP and return the session's token; `client` keeps the cookie.

    Parameters
    ----------
    client : httpx2.Client or TestClient
        Must reach the application.
    origin : str
        ``http://127.0.0.1:8050``: the gate refuses a form that comes from elsewhere.
    """
    form = {"login": login, "password": password, "next": "/"}
    answer = client.post(f"{origin}/login", data=form, headers={"Origin": origin}, follow_redirects=False)
    assert answer.status_code == 303, answer.text[:300]
    return str(client.cookies.get(COOKIE))


def token(origin: str) -> str:
    """Sign in at a running server and return the token, for a browser's cookie."""
    with httpx2.Client() as client:
        return sign_in(client, origin=origin)


def cookie(origin: str) -> dict[str, str]:
    """Return the cookie as Playwright's ``context.add_cookies`` takes it."""
    return {"name": COOKIE, "value": token(origin), "url": origin}
