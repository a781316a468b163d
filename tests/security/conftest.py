"""A small county behind the gate: one account of every role, clients that sign in as them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.app import create_app
from dashboard.http.protect import Protection
from gis.access import accounts, scopes
from gis.access.crypt import make_keys
from gis.access.roles import KEYED, Roles, publish
from gis.access.rules import AccessRules
from gis.settings import Settings
from gis.store.engine import connect
from tests.scratch_county import Scratch, build_scratch

PASSWORD = "Nongtian-2026-tu"
OURS = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}


@dataclass
class County:
    """The app behind its gate, and who may come in. `numbers`: account by role; `logins`: the role's id with dots."""

    settings: Settings
    scratch: Scratch
    server: FastAPI
    roles: Roles
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def protection(self) -> Protection:
        """The tables the gate decides by."""
        made: Protection = self.server.state.protection
        return made

    def owner(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """Ask the store as its owner."""
        with connect(self.settings, role="owner") as conn:
            cursor = conn.execute(query, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    """A county of two townships; every role has an account, the password is PASSWORD."""
    key = tmp_path_factory.mktemp("keys") / "personal.key"
    settings = module_store.model_copy(
        update={"personal_key_file": key, "require_second_factor": False, "production": True}
    )
    make_keys(settings)
    scratch = build_scratch(settings, townships=2, villages=2, grids=2, strips=4)
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    level = {
        "county": scratch.county,
        "township": scratch.townships[0],
        "village": scratch.villages[0],
        "grid": scratch.grids[0],
    }
    numbers: dict[str, int] = {}
    with connect(settings, role="owner") as conn:
        publish(conn, roles)
        for role in roles.by_id.values():
            made = accounts.add(
                conn, login=role.id.replace("_", "."), display_name=f"测试{role.name}", role=role.id, rules=rules,
                unit="测试单位", password=None if role.id == KEYED else PASSWORD, temporary=False, reason="测试",
            )  # fmt: skip
            numbers[role.id] = made
            if code := level.get(role.level):
                scopes.grant(conn, account_id=made, division_code=code, reason="测试")
    server = create_app(settings)
    made_county = County(settings, scratch, server, roles, numbers)
    with TestClient(server, client=("127.0.0.1", 5000), follow_redirects=False) as opened:
        opened.close()
        yield made_county


@pytest.fixture
def anybody(county: County) -> TestClient:
    """A browser that is not signed in."""
    return browser(county)


@pytest.fixture
def as_role(county: County) -> Callable[[str], TestClient]:
    """Sign in as a role and return the browser."""

    def enter(role: str) -> TestClient:
        client = browser(county)
        sign_in(client, role.replace("_", "."))
        return client

    return enter


def browser(county: County) -> TestClient:
    """Return a client without cookies, at an address of its own so that no limit of another test is met."""
    address = f"10.{next(_places) // 250}.1.{next(_places) % 250}"
    return TestClient(county.server, client=(address, 5000), follow_redirects=False, raise_server_exceptions=False)


def sign_in(client: TestClient, login: str, password: str = PASSWORD, **more: str) -> Any:
    """Post the login form."""
    return client.post("/login", data={"login": login, "password": password, "next": "/", **more}, headers=OURS)


def token_of(client: TestClient) -> str:
    """Return the value of the session cookie."""
    return str(client.cookies.get("onemap_session"))


def words(html: str) -> str:
    """Return a page's text without its tags."""
    return re.sub(r"<[^>]+>", " ", html)


_places = count()
ROOT = Path(__file__).resolve().parent.parent.parent
