"""Sessions: ended at once by logout, password, role, scope, disabling; idle and absolute limits; devices; one query."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gis.access import accounts, devices, scopes, sessions
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.access.sign_in import SignIn, Visitor
from gis.errors import Forbidden, NotFound, NotSignedIn
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

OFFICE = Visitor("10.0.0.9", "Firefox")


@pytest.fixture
def city(store: Settings) -> Settings:
    return a.prepare(store)


@pytest.fixture
def door(city: Settings, tmp_path: Path) -> SignIn:
    return a.sign_in_of(city, keys=a.keys_in(city, tmp_path))


def who(city: Settings, token: str, *, roles: Roles = a.ROLES) -> Principal | None:
    with connect(city, role="app", autocommit=True) as conn:
        return sessions.principal_of(conn, token, roles=roles)


def paired(city: Settings, code: str, conn: psycopg.Connection | None = None) -> str:
    """The token a display gets for its code; `conn`: the transaction that made the code is committed first."""
    if conn is not None:
        conn.commit()
    return devices.pair(a.begin_in(city), code=code, address="10.0.0.9")


def as_owner(city: Settings, statement: str, *values: object) -> None:
    with connect(city, role="owner") as conn:
        conn.execute(statement.encode(), list(values))


ENDINGS: dict[str, Callable[[psycopg.Connection, int, int, str], object]] = {
    "logout": lambda conn, account, scope, token: sessions.end(conn, token),
    "password": lambda conn, account, scope, token: accounts.reset_password(conn, account_id=account, rules=a.RULES),
    "role": lambda conn, account, scope, token: accounts.set_role(conn, account_id=account, role="analyst"),
    "scope added": lambda conn, account, scope, token: scopes.grant(conn, account_id=account, division_code="130529101"),
    "scope ended": lambda conn, account, scope, token: scopes.end_scope(conn, scope_id=scope),
    "disabled": lambda conn, account, scope, token: accounts.set_state(conn, account_id=account, state="disabled"),
    "second factor": lambda conn, account, scope, token: accounts.forget_second_factor(conn, account_id=account, reason="手机丢失"),
    "revoked": lambda conn, account, scope, token: sessions.revoke(conn, session_key=sessions.list_sessions(conn)[0].session_key),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDINGS)
def test_a_session_ends_at_once(city: Settings, door: SignIn, how: str) -> None:
    account = a.add_account(city, "wang.min", scope="130529100")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    assert who(city, token) is not None
    with connect(city, role="owner") as conn:
        scope = scopes.list_scopes(conn)[0].scope_id
        ENDINGS[how](conn, account, scope, token)
    assert who(city, token) is None
    with connect(city, role="owner") as conn:
        ended = conn.execute("SELECT ended_at IS NOT NULL, end_reason FROM access.session").fetchone()
    assert ended is not None
    assert ended[0]
    assert ended[1]


@pytest.mark.parametrize(
    ("change", "open_"),
    [
        ("seen_at = now() - interval '29 minutes'", True),
        ("seen_at = now() - interval '31 minutes'", False),
        ("expires_at = now() - interval '1 second'", False),
        ("ended_at = now()", False),
        ("awaiting = 'second_factor'", False),
    ],
)
def test_idle_absolute_and_half_open(city: Settings, door: SignIn, change: str, open_: bool) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    as_owner(city, f"UPDATE access.session SET {change}")  # noqa: S608
    assert (who(city, token) is not None) == open_


def test_a_session_lasts_as_long_as_the_rules_say(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    with connect(city, role="owner") as conn:
        row = conn.execute("SELECT expires_at - created_at, idle FROM access.session").fetchone()
    assert row is not None
    assert row[0].total_seconds() == pytest.approx(12 * 3600, abs=5)
    assert row[1] == timedelta(minutes=30)


@pytest.mark.parametrize("role", [r.id for r in a.ROLES.by_id.values() if r.id != "partner"])
def test_only_whoever_works_outside_may_pause_long(city: Settings, door: SignIn, role: str) -> None:
    a.add_account(city, "wang.min", role)
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    outside = role in ("village_cadre", "grid_member")
    as_owner(city, "UPDATE access.session SET seen_at = now() - interval '11 hours 59 minutes'")
    assert (who(city, token) is not None) == outside
    as_owner(city, "UPDATE access.session SET seen_at = now(), expires_at = created_at + interval '12 hours'")
    assert who(city, token) is not None
    as_owner(
        city,
        "UPDATE access.session SET created_at = now() - interval '13 hours', expires_at = now() - interval '1 hour'",
    )
    assert who(city, token) is None  # a shift is a shift


def test_a_pause_is_as_long_after_every_way_in(city: Settings, door: SignIn) -> None:
    account = a.add_account(city, "wang.min", "grid_member", temporary=True)
    half = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    chosen = door.new_password(half.token, password="Xin-mima-2026", visitor=OFFICE)
    person = who(city, chosen.token)
    assert person is not None
    door.change_password(person, old="Xin-mima-2026", new="Lai-ri-fang-chang-7", visitor=OFFICE)
    as_owner(city, "UPDATE access.account SET oidc_subject = 'https://id#1'")
    door.by_identity(subject="https://id#1", login=None, visitor=OFFICE)
    with connect(city, role="owner") as conn:
        kept = conn.execute("SELECT idle FROM access.session WHERE awaiting IS NULL").fetchall()
        accounts.set_role(conn, account_id=account, role="analyst")  # another role, another session
        left = conn.execute("SELECT count(*) FROM access.session WHERE ended_at IS NULL").fetchone()
    assert kept == [(timedelta(hours=12),)] * 3
    assert left == (0,)


def test_seen_is_written_once_a_minute_at_most(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token

    def touched() -> int:
        with connect(city, role="owner") as conn:
            row = conn.execute("SELECT xmin::text::bigint FROM access.session").fetchone()
        assert row is not None
        return int(row[0])

    first = touched()
    who(city, token)
    assert touched() == first
    as_owner(city, "UPDATE access.session SET seen_at = seen_at - interval '2 minutes'")
    second = touched()
    who(city, token)
    third = touched()
    who(city, token)
    assert (third != second, touched() == third) == (True, True)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 10_000, "\x00" * 43, "é" * 43])
def test_what_is_no_token_is_nobody(city: Settings, token: str) -> None:
    assert who(city, token) is None


def test_the_hash_of_a_token_is_no_token(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    assert who(city, sessions.hash_of(token).hex()) is None
    assert who(city, token[:-1] + ("A" if token[-1] != "A" else "B")) is None


def test_a_role_that_is_not_defined_any_more_opens_nothing(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    without = Roles({k: v for k, v in a.ROLES.by_id.items() if k != "planner"}, a.ROLES.sentences)
    assert who(city, token, roles=without) is None


def test_only_scopes_that_hold_today_count(city: Settings, door: SignIn) -> None:
    account = a.add_account(city, "wang.min")
    for code, start, end in [
        ("130529100", "-1 day", "1 day"),
        ("130529101", "1 day", None),
        ("130529100200", "-9 days", "0 days"),
    ]:
        as_owner(
            city, "INSERT INTO access.scope (account_id, division_code, valid_from, valid_to) "
            "VALUES (%s, %s, access.today() + %s::interval, access.today() + %s::interval)", account, code, start, end,
        )  # fmt: skip
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    principal = who(city, token)
    assert principal is not None
    assert principal.scope == ("130529100",)


def test_a_device_token_opens_the_wall_until_revoked_or_expired(city: Settings) -> None:
    security, wall = a.add_account(city, "sec", "public"), a.add_account(city, "wall.1", "wall", scope="130529")
    as_owner(city, "UPDATE access.account SET role = 'security_admin' WHERE account_id = %s", security)
    with a.acting(city, security) as conn:
        code = devices.register(conn, name="指挥中心大屏", account_id=wall, rules=a.RULES)
        late = devices.register(
            conn, name="旧屏", account_id=wall, rules=a.RULES, expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
    token = paired(city, code)
    with pytest.raises(NotSignedIn):
        paired(city, late)
    principal = who(city, token)
    assert principal is not None
    assert (principal.is_device, principal.role, principal.scope) == (True, "wall", ("130529",))
    with a.acting(city, security) as conn:
        device = next(d for d in devices.list_devices(conn) if d.name == "指挥中心大屏")
        devices.revoke(conn, device_id=device.device_id)
    assert who(city, token) is None
    with a.acting(city, security) as conn, pytest.raises(NotFound):
        devices.revoke(conn, device_id=device.device_id)


def test_a_device_token_carries_no_other_role(city: Settings) -> None:
    person = a.add_account(city, "wang.min", "planner", scope="130529100")
    with connect(city, role="owner") as conn, pytest.raises(Forbidden, match="大屏"):
        devices.register(conn, name="x", account_id=person, rules=a.RULES)
    # Nor does one given before, whatever became of its account since.
    wall = a.add_account(city, "wall.1", "wall", scope="130529")
    with connect(city, role="owner") as conn:
        code = devices.register(conn, name="x", account_id=wall, rules=a.RULES)
    token = paired(city, code)
    assert who(city, token) is not None
    as_owner(city, "UPDATE access.account SET role = 'commander' WHERE account_id = %s", wall)
    assert who(city, token) is None
    with connect(city, role="owner") as conn:
        accounts.set_role(conn, account_id=wall, role="analyst")
        accounts.set_role(conn, account_id=wall, role="wall")
    assert who(city, token) is None, "a change of role revoked it"


def test_a_pairing_code_works_once_and_for_ten_minutes(city: Settings) -> None:
    wall = a.add_account(city, "wall.1", "wall", scope="130529")
    with connect(city, role="owner") as conn:
        first = devices.register(conn, name="东墙", account_id=wall, rules=a.RULES)
        other = devices.register(conn, name="西墙", account_id=wall, rules=a.RULES)
    token = paired(city, first.lower().replace("-", " "))
    for again in (first, "", "AAAA-AAAA", "%", "' OR true --"):
        with pytest.raises(NotSignedIn, match="配对码不对"):
            paired(city, again)
    as_owner(city, "UPDATE access.device SET pair_until = now() - interval '1 second' WHERE name = '西墙'")
    with pytest.raises(NotSignedIn, match="配对码不对"):
        paired(city, other)
    with connect(city, role="owner") as conn:
        number = next(d.device_id for d in devices.list_devices(conn) if d.name == "东墙")
        second = devices.pair_again(conn, device_id=number, rules=a.RULES)
    assert who(city, token) is not None, "until the new code is used, the display stays in"
    moved = paired(city, second)
    assert (who(city, token), who(city, moved) is not None) == (None, True)
    with connect(city, role="owner") as conn:
        stored = conn.execute("SELECT string_agg(d::text, ' ') FROM access.device d").fetchone()
    assert stored is not None
    assert not [x for x in (token, moved, first, second, second.replace("-", "")) if x in stored[0]]


def test_a_display_that_is_on_stays_in_for_weeks_and_one_in_a_cupboard_does_not(city: Settings) -> None:
    wall = a.add_account(city, "wall.1", "wall", scope="130529")
    with connect(city, role="owner") as conn:
        token = paired(city, devices.register(conn, name="x", account_id=wall, rules=a.RULES), conn)
    for _ in range(4):  # eighty days, asked every twenty
        as_owner(city, "UPDATE access.device SET seen_at = seen_at - interval '20 days'")
        assert who(city, token) is not None
    as_owner(city, "UPDATE access.device SET seen_at = seen_at - interval '31 days'")
    assert who(city, token) is None


def test_disabling_the_walls_account_ends_its_devices(city: Settings) -> None:
    wall = a.add_account(city, "wall.1", "wall", scope="130529")
    with connect(city, role="owner") as conn:
        token = paired(city, devices.register(conn, name="x", account_id=wall, rules=a.RULES), conn)
        accounts.set_state(conn, account_id=wall, state="disabled")
        accounts.set_state(conn, account_id=wall, state="active")
    assert who(city, token) is None


def test_the_gate_asks_once(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min", scope="130529100")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    with connect(city, role="app", autocommit=True) as conn:
        asked: list[object] = []

        class Counting(psycopg.Cursor):  # type: ignore[type-arg]
            def execute(self, *args: object, **more: object) -> Counting:
                asked.append(args[0])
                super().execute(*args, **more)  # type: ignore[arg-type]
                return self

        conn.cursor_factory = Counting
        assert sessions.principal_of(conn, token, roles=a.ROLES) is not None
    assert len(asked) == 1


def test_a_sessions_name_in_the_list_does_not_open_it(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    with connect(city, role="owner") as conn:
        listed = sessions.list_sessions(conn)
    assert [s.login for s in listed] == ["wang.min"]
    assert listed[0].session_key not in (token, sessions.hash_of(token).hex())
