"""The gate, the login and the administration put together around an application."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter
from psycopg import Connection
from psycopg.rows import tuple_row

from dashboard.http import admin, login, receipt, reveal, sheet, wall
from dashboard.http.access import Door
from dashboard.http.admin.office import Office
from dashboard.http.login import DemoLine
from dashboard.http.ratelimit import Limits, read_limits
from dashboard.http.routes import RouteTable, read_routes
from gis.access import demo, devices, sessions
from gis.access.audit_head import remember
from gis.access.crypt import load_keys
from gis.access.oidc import Provider, ProviderSettings
from gis.access.partners import principal_of_key
from gis.access.principal import Principal
from gis.access.reveal import reveal as reveal_field
from gis.access.roles import Roles
from gis.access.rules import AccessRules
from gis.access.sign_in import SignIn
from gis.errors import OnemapError
from gis.settings import Settings
from gis.store.queries import load_queries

log = logging.getLogger(__name__)
HEADS_EVERY_S = 3600.0
# Addresses that these routes answer; the page's own 404 must let them through.
PREFIXES = ("/login", "/wall/enter", "/logout", "/password", "/admin", "/api/", "/receipt", "/sheet/", "/favicon.ico")


@dataclass(frozen=True)
class Protection:
    """What an application needs to be behind the gate: `router` to include, `options` for the `Gate` middleware."""

    router: APIRouter
    table: RouteTable
    limits: Limits
    door: Door
    roles: Roles
    rules: AccessRules

    def partner_of(self, key: str, address: str | None) -> Principal | None:
        """Whose key of another system this is (Open311); the gate does not know such keys."""
        with self.door.asking() as conn:
            return principal_of_key(conn, key, roles=self.roles, address=address)

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
            "display_life_s": int(self.rules.wall_idle.total_seconds()),
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
        noting = asyncio.create_task(note_heads(settings, door))
        try:
            yield
        finally:
            noting.cancel()
            with suppress(asyncio.CancelledError):
                await noting
            await anyio.to_thread.run_sync(note_head, settings, door)
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
    routes.include_router(
        wall.router(
            partial(devices.pair, door.begin_unknown), end=end, secure=(settings.public_url or "").startswith("https://"),
            life_s=int(rules.wall_idle.total_seconds()),
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
    return Protection(router=routes, table=table, limits=limits, door=door, roles=roles, rules=rules)


async def note_heads(settings: Settings, door: Door, *, every_s: float = HEADS_EVERY_S) -> None:
    """Note the audit trail's head outside the database, every hour while serving."""
    while True:
        await asyncio.sleep(every_s)
        await anyio.to_thread.run_sync(note_head, settings, door)


def note_head(settings: Settings, door: Door) -> None:
    """Note the head now; a store that is away, or a note that cannot be written, is said in the log and no more."""
    try:
        with door.begin_unknown() as conn:
            remember(settings, conn)
    except (OnemapError, OSError) as e:
        log.warning("审计留底没有记下：%s", e)


def county_name(door: Door) -> str:
    """Return the name of the county that was built, for the login; empty before there is one."""
    with door.begin_unknown() as conn:
        found = conn.cursor(row_factory=tuple_row).execute(load_queries("admin")["county_name"]).fetchone()
    return str(found[0]) if found else ""


def demo_lines(settings: Settings, door: Door, roles: Roles, address: str | None, host: str | None) -> list[DemoLine]:
    """Return the accounts to offer under the login, with their password: of a demo on this very machine, and no other.

    Not in production; not when people come from elsewhere (host or public address); not when the store holds anything real
    about people or their land; not to a browser elsewhere (`address`, `host`: of the request); not accounts that were disabled.
    """
    if settings.production or not local_only(settings) or not is_loopback(address) or not is_loopback(host):
        return []
    if not demo.demo_file(settings).exists():
        return []
    with door.begin_unknown() as conn:
        listed = conn.cursor(row_factory=tuple_row).execute(load_queries("access")["demo_logins"]).fetchall()
        names = division_names(conn, [code for _, _, code in listed if code])
    if not listed:
        return []
    password = demo.demo_password(settings)
    shown = [(login, roles.of(role), code) for login, role, code in listed]
    return [DemoLine(login, password, role.name, names.get(code or "", "")) for login, role, code in shown if role]


def local_only(settings: Settings) -> bool:
    """Whether only this machine can reach the page."""
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    return is_loopback(settings.host) and (settings.public_url is None or is_loopback(public))


def is_loopback(host: str | None) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


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
