"""Signing in: the same answer for unknown and wrong, a growing wait, no fixation, a rehash, a temporary password."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import argon2
import pytest

from gis.access import sessions
from gis.access.crypt import Keys
from gis.access.sessions import hash_of, principal_of
from gis.access.sign_in import SignIn, Visitor
from gis.errors import BadRequest, NotSignedIn, TooManyRequests
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

OFFICE, HOME = Visitor("10.0.0.9", "Firefox"), Visitor("192.0.2.7")


@pytest.fixture
def city(store: Settings) -> Settings:
    return a.prepare(store)


@pytest.fixture
def keys(city: Settings, tmp_path: Path) -> Keys:
    return a.keys_in(city, tmp_path)


@pytest.fixture
def door(city: Settings, keys: Keys) -> SignIn:
    return a.sign_in_of(city, keys=keys)


def fail(door: SignIn, login: str, visitor: Visitor, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(NotSignedIn):
            door.by_password(login=login, password="wrong", visitor=visitor)


def later(city: Settings, seconds: int) -> None:
    """Move every failure into the past."""
    with connect(city, role="owner") as conn:
        conn.execute("UPDATE access.login_failure SET at = at - make_interval(secs => %s)", [seconds])


def test_a_password_opens_a_session_of_role_and_scope(city: Settings, door: SignIn) -> None:
    made = a.add_account(city, "wang.min", scope="130529100")
    given = door.by_password(login=" Wang.Min ", password=a.PASSWORD, visitor=OFFICE)
    assert given.awaiting is None
    with connect(city, role="app") as conn:
        who = principal_of(conn, given.token, roles=a.ROLES, address="10.0.0.9")
        stored = conn.execute("SELECT has_table_privilege('access.session', 'SELECT')").fetchone()
    assert who is not None
    assert (who.account_id, who.login, who.role, who.scope) == (made, "wang.min", "planner", ("130529100",))
    assert who.permissions == a.ROLES.by_id["planner"].permissions
    assert stored == (False,)
    with connect(city, role="owner") as conn:
        row = conn.execute("SELECT token_hash, host(address), agent FROM access.session").fetchone()
    assert row == (hash_of(given.token), "10.0.0.9", "Firefox")


def test_the_token_is_nowhere_in_the_database(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    token = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).token
    with connect(city, role="owner") as conn:
        for table in ("session", "audit", "account", "login_failure"):
            text = conn.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM access.{table} t").fetchone()  # noqa: S608
            assert text is not None
            assert token not in text[0]
            assert token.encode().hex() not in text[0]


@pytest.mark.parametrize("case", ["unknown", "wrong", "disabled", "no password", "a password too long"])
def test_all_refusals_say_the_same(city: Settings, door: SignIn, case: str) -> None:
    made = a.add_account(city, "wang.min", password=None if case == "no password" else a.PASSWORD)
    if case == "disabled":
        with connect(city, role="owner") as conn:
            conn.execute("SELECT access.account_set_state(%s, 'disabled', 'x')", [made])
    login = "li.si" if case == "unknown" else "wang.min"
    password = {"wrong": "Liushu-7-Beiqu", "a password too long": a.PASSWORD + "x" * 500}.get(case, a.PASSWORD)
    with pytest.raises(NotSignedIn) as caught:
        door.by_password(login=login, password=password, visitor=OFFICE)
    assert str(caught.value) == "账号或密码不对。 核对后再试；忘了密码请找本县的系统管理员重设。"
    assert a.actions(city)[-1] == "sign_in.failed"


def test_a_sign_in_gives_a_new_token_and_ends_the_one_brought_along(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    first = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    second = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE, old_token=first.token)
    planted = sessions.new_token()  # what an attacker put into the victim's cookie
    third = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE, old_token=planted)
    with connect(city, role="app", autocommit=True) as conn:
        open_ = [
            principal_of(conn, t, roles=a.ROLES) is not None for t in (first.token, second.token, third.token, planted)
        ]
    assert open_ == [False, True, True, False]


@pytest.mark.parametrize("login", ["wang.min", "nobody"])
def test_the_wait_grows_and_says_how_long_whether_the_account_exists_or_not(
    city: Settings, door: SignIn, login: str
) -> None:
    a.add_account(city, "wang.min")
    fail(door, login, OFFICE, 5)
    waits = []
    for _ in range(3):
        with pytest.raises(TooManyRequests) as caught:
            door.by_password(login=login, password=a.PASSWORD, visitor=OFFICE)
        waits.append(caught.value.retry_after_s)
        later(city, waits[-1])
        fail(door, login, OFFICE)
    assert [w in range(n - 5, n + 1) for w, n in zip(waits, [30, 60, 120], strict=True)] == [True] * 3, waits
    assert "账号没有被锁死" in caught.value.next_step
    assert "2 分" in caught.value.message or "1 分" in caught.value.message


def test_a_right_password_after_the_wait_opens_and_is_forgiven(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    fail(door, "wang.min", OFFICE, 5)
    with pytest.raises(TooManyRequests):
        door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    later(city, 31)
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    fail(door, "wang.min", OFFICE, 4)  # counted from nothing again


def test_trying_while_waiting_does_not_make_the_wait_longer(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    fail(door, "wang.min", OFFICE, 5)
    for _ in range(20):
        with pytest.raises(TooManyRequests):
            door.by_password(login="wang.min", password="wrong", visitor=OFFICE)
    later(city, 31)
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)


def test_the_longest_wait_is_bounded(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    with connect(city, role="owner") as conn:
        conn.execute(
            "INSERT INTO access.login_failure (login, address) SELECT 'wang.min', '10.0.0.9' FROM generate_series(1, 5000)"
        )
    with pytest.raises(TooManyRequests) as caught:
        door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    assert caught.value.retry_after_s <= 900


def test_a_stranger_elsewhere_cannot_keep_the_owner_out(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    with connect(city, role="owner") as conn:  # a botnet: many addresses, a few tries each
        conn.execute(
            "INSERT INTO access.login_failure (login, address) "
            "SELECT 'wang.min', ('198.51.100.' || i % 200)::inet FROM generate_series(1, 800) i"
        )
    with pytest.raises(TooManyRequests):  # a place the account was never seen from waits
        door.by_password(login="wang.min", password=a.PASSWORD, visitor=HOME)
    assert door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE).awaiting is None


def test_one_address_trying_many_logins_waits_too(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    with connect(city, role="owner") as conn:
        conn.execute(
            "INSERT INTO access.login_failure (login, address) SELECT 'u' || i, '192.0.2.7' FROM generate_series(1, 30) i"
        )
    with pytest.raises(TooManyRequests):
        door.by_password(login="wang.min", password=a.PASSWORD, visitor=HOME)
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)


def test_a_burst_at_one_moment_counts_in_full(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min")
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            door.by_password(login="wang.min", password="wrong", visitor=OFFICE)
        except (NotSignedIn, TooManyRequests) as e:
            outcomes.append(type(e).__name__)

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["NotSignedIn"] * 5 + ["TooManyRequests"] * 7


def test_a_hash_under_old_parameters_is_renewed_at_sign_in(city: Settings, door: SignIn) -> None:
    made = a.add_account(city, "wang.min")
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(a.PASSWORD)
    with connect(city, role="owner") as conn:
        conn.execute("UPDATE access.account SET password_hash = %s WHERE account_id = %s", [weak, made])
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    with connect(city, role="owner") as conn:
        row = conn.execute("SELECT password_hash FROM access.account").fetchone()
    assert row is not None
    assert row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)


def test_a_temporary_password_opens_nothing_but_the_page_for_a_new_one(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min", temporary=True)
    half = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    assert half.awaiting == "new_password"
    assert door.awaiting(half.token) == "new_password"
    with connect(city, role="app") as conn:
        assert principal_of(conn, half.token, roles=a.ROLES) is None
    for weak, words in (("short", "至少 10 位"), (a.PASSWORD, "相同")):
        with pytest.raises(BadRequest, match=words):
            door.new_password(half.token, password=weak, visitor=OFFICE)
    done = door.new_password(half.token, password="Baiyang-8-nanqu", visitor=OFFICE)
    with connect(city, role="app", autocommit=True) as conn:
        assert principal_of(conn, done.token, roles=a.ROLES) is not None
        assert principal_of(conn, half.token, roles=a.ROLES) is None
    assert door.awaiting(half.token) is None
    assert door.by_password(login="wang.min", password="Baiyang-8-nanqu", visitor=OFFICE).awaiting is None
    fail(door, "wang.min", HOME)


def test_a_half_open_sign_in_expires(city: Settings, door: SignIn) -> None:
    a.add_account(city, "wang.min", temporary=True)
    half = door.by_password(login="wang.min", password=a.PASSWORD, visitor=OFFICE)
    with connect(city, role="owner") as conn:
        conn.execute("UPDATE access.session SET expires_at = now()")
    assert door.awaiting(half.token) is None
    with pytest.raises(NotSignedIn, match="过时"):
        door.new_password(half.token, password="Baiyang-8-nanqu", visitor=OFFICE)


def test_changing_ones_password_ends_every_session_and_gives_a_new_token(city: Settings, door: SignIn) -> None:
    made = a.add_account(city, "wang.min")
    tokens = [door.by_password(login="wang.min", password=a.PASSWORD, visitor=v).token for v in (OFFICE, HOME)]
    me = a.principal(made, "planner")
    me = dataclasses.replace(me, login="wang.min")
    with pytest.raises(NotSignedIn, match="现在的密码不对"):
        door.change_password(me, old="wrong", new="Baiyang-8-nanqu", visitor=OFFICE)
    fresh = door.change_password(me, old=a.PASSWORD, new="Baiyang-8-nanqu", visitor=OFFICE)
    with pytest.raises(BadRequest, match="相同"):  # the one before is not taken again either
        door.change_password(me, old="Baiyang-8-nanqu", new=a.PASSWORD, visitor=OFFICE)
    with connect(city, role="app", autocommit=True) as conn:
        open_ = [principal_of(conn, t, roles=a.ROLES) is not None for t in (*tokens, fresh.token)]
    assert open_ == [False, False, True]
    assert "password.changed" in a.actions(city, object_id=made)
