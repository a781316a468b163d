"""The gate, the login and the administration put together around an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter
from psycopg import Connection
from psycopg.rows import tuple_row

from dashboard.http import admin, login, receipt, reveal, sheet
from dashboard.http.access import Door
from dashboard.http.admin.office import Office
from dashboard.http.login import DemoLine
from dashboard.http.ratelimit import Limits, read_limits
from dashboard.http.routes import RouteTable, read_routes
from gis.access import demo, sessions
from gis.access.crypt import load_keys
from gis.access.oidc import Provider, ProviderSettings
from gis.access.principal import Principal
from gis.access.reveal import reveal as reveal_field
from gis.access.roles import Roles
from gis.access.rules import AccessRules
from gis.access.sign_in import SignIn
from gis.settings import Settings
from gis.store.queries import load_queries

# Addresses that these routes answer; the page's own 404 must let them through.
PREFIXES = ("/login", "/logout", "/password", "/admin", "/api/", "/receipt", "/sheet/", "/favicon.ico")


@dataclass(frozen=True)
class Protection:
    """What an application needs to be behind the gate: `router` to include, `options` for the `Gate` middleware."""

    router: APIRouter
    table: RouteTable
    limits: Limits
    door: Door
    roles: Roles

    def options(self, settings: Settings, *, csp: str) -> dict[str, Any]:
        """Return the keywords of `Gate`."""

        def resolve(token: str, address: str | None) -> Principal | None:
            with self.door.asking() as conn:
                return sessions.principal_of(conn, token, roles=self.roles, address=address)

        return {
            "table": self.table,
            "resolve": resolve,
            "limits": self.limits,
            "csp": csp,
            "public_url": settings.public_url,
        }


def protect(settings: Settings) -> Protection:
    """Read the tables and compose login, administration, reveal and receipts. The store is reached when the app starts.

    Raises
    ------
    DefinitionError
        When roles.toml, routes.toml, rates.toml or access.toml does not load.
    SetupProblem
        When the key of the personal data is missing.
    """
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    keys = load_keys(settings)
    table = read_routes(settings.data / "access" / "routes.toml", permissions=roles.sentences)
    limits = read_limits(settings.data / "rules" / "rates.toml", kinds={rule.rate for rule in table.rules})
    door = Door(settings)
    sign_in = SignIn(
        begin=door.begin_unknown,
        roles=roles,
        rules=rules,
        keys=keys,
        require_second_factor=settings.require_second_factor,
    )

    def end(token: str) -> None:
        with door.begin_unknown() as conn:
            sessions.end(conn, token)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        door.open()
        try:
            yield
        finally:
            door.close()

    routes = APIRouter(lifespan=lifespan)
    shortest, classes = rules.password.shortest, rules.password.classes
    routes.include_router(
        login.router(
            sign_in, end=end, county=partial(county_name, door), secure=(settings.public_url or "").startswith("https://"),
            password_rule=f"至少 {shortest} 位，大写、小写、数字、符号里至少 {classes} 种，不含账号。",
            demo=partial(demo_lines, settings, door, roles), identity=provider_of(settings, keys),
        )
    )  # fmt: skip
    routes.include_router(admin.router(Office(door, settings=settings, roles=roles, rules=rules)))
    routes.include_router(
        reveal.router(
            partial(reveal_field, door.begin, keys=keys, rules=rules), seconds=int(rules.shown.total_seconds())
        )
    )
    routes.include_router(receipt.router(settings.data))
    routes.include_router(sheet.router())
    return Protection(router=routes, table=table, limits=limits, door=door, roles=roles)


def county_name(door: Door) -> str:
    """Return the name of the county that was built, for the login; empty before there is one."""
    with door.begin_unknown() as conn:
        found = conn.cursor(row_factory=tuple_row).execute(load_queries("admin")["county_name"]).fetchone()
    return str(found[0]) if found else ""


def demo_lines(settings: Settings, door: Door, roles: Roles) -> list[DemoLine]:
    """Return the accounts to offer under the login: only of a demo start, and only where demo accounts were made."""
    if settings.production or not (settings.var / "demo.json").exists():
        return []
    password = demo.demo_password(settings)
    with door.begin_unknown() as conn:
        plan = demo.planned(conn, roles=roles, township=demo.TOWNSHIP)
        names = division_names(conn, [one.division_code for one in plan if one.division_code])
    return [DemoLine(one.login, password, one.role_name, names.get(one.division_code or "", "")) for one in plan]


def division_names(conn: Connection[Any], codes: list[str]) -> dict[str, str]:
    """Return the names of divisions by code."""
    found = conn.cursor(row_factory=tuple_row).execute(load_queries("admin")["division_names"], {"codes": codes})
    return dict(found.fetchall())


def provider_of(settings: Settings, keys: Any) -> Provider | None:
    """Return the county's identity provider, when one is set."""
    if not (settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret):
        return None
    base = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    return Provider(
        ProviderSettings(
            issuer=settings.oidc_issuer, client_id=settings.oidc_client_id, client_secret=settings.oidc_client_secret,
            redirect_uri=f"{base}/login/county/return", login_claim=settings.oidc_login_claim,
        ),
        keys=keys,
    )  # fmt: skip
