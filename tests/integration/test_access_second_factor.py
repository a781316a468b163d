"""The second factor in the store: set up once, a code works once, wrong codes wait, the secret is never stored in clear."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest

from gis.access.crypt import Keys
from gis.access.sessions import principal_of
from gis.access.sign_in import SignedIn, SignIn, Visitor
from gis.errors import NotSignedIn, TooManyRequests
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

OFFICE = Visitor("10.0.0.9", "Firefox")


@pytest.fixture
def city(store: Settings) -> Settings:
    return a.prepare(store)


@pytest.fixture
def keys(city: Settings, tmp_path: Path) -> Keys:
    return a.keys_in(city, tmp_path)


@pytest.fixture
def door(city: Settings, keys: Keys) -> SignIn:
    return a.sign_in_of(city, keys=keys, second_factor=True)


def password(door: SignIn, login: str = "chief") -> SignedIn:
    return door.by_password(login=login, password=a.PASSWORD, visitor=OFFICE)


def enrol(door: SignIn) -> tuple[str, SignedIn]:
    """Set the second factor up with the previous step's code, so that the present one is still unused."""
    half = password(door)
    secret = door.enrolment(half.token, issuer="一张图").secret
    return secret, door.by_second_factor(half.token, code=pyotp.TOTP(secret).at(time.time() - 30), visitor=OFFICE)


def is_open(city: Settings, token: str) -> bool:
    with connect(city, role="app", autocommit=True) as conn:
        return principal_of(conn, token, roles=a.ROLES) is not None


@pytest.mark.parametrize(("role", "required", "awaiting"), [
    ("commander", True, "enrolment"), ("commander", False, None), ("planner", True, None), ("audit_admin", True, "enrolment"),
])  # fmt: skip
def test_roles_that_need_one_must_set_one_up(
    city: Settings, keys: Keys, role: str, required: bool, awaiting: str | None
) -> None:
    a.add_account(city, "chief", role)
    assert password(a.sign_in_of(city, keys=keys, second_factor=required)).awaiting == awaiting


def test_the_password_alone_opens_nothing_and_each_step_gives_a_new_token(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    half = password(door)
    assert not is_open(city, half.token)
    secret, done = enrol(door)
    assert done.awaiting is None
    assert is_open(city, done.token)
    again = password(door)
    assert again.awaiting == "second_factor"
    opened = door.by_second_factor(again.token, code=pyotp.TOTP(secret).now(), visitor=OFFICE)
    assert (is_open(city, again.token), is_open(city, opened.token)) == (False, True)
    assert len({half.token, done.token, again.token, opened.token}) == 4
    assert "second_factor.set" in a.actions(city)


def test_one_who_has_one_is_asked_even_where_it_is_not_required(city: Settings, door: SignIn, keys: Keys) -> None:
    a.add_account(city, "chief", "commander")
    enrol(door)
    assert password(a.sign_in_of(city, keys=keys, second_factor=False)).awaiting == "second_factor"


def test_a_code_works_once(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    secret, _ = enrol(door)
    code = pyotp.TOTP(secret).now()
    first, second = password(door), password(door)
    door.by_second_factor(first.token, code=code, visitor=OFFICE)
    with pytest.raises(NotSignedIn, match="已经用过"):
        door.by_second_factor(second.token, code=code, visitor=OFFICE)
    with pytest.raises(NotSignedIn):  # nor an earlier one that is still inside the tolerance
        door.by_second_factor(second.token, code=pyotp.TOTP(secret).at(time.time() - 30), visitor=OFFICE)


def test_the_code_that_set_it_up_does_not_sign_in_again(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    half = password(door)
    secret = door.enrolment(half.token, issuer="一张图").secret
    code = pyotp.TOTP(secret).now()
    door.by_second_factor(half.token, code=code, visitor=OFFICE)
    with pytest.raises(NotSignedIn):
        door.by_second_factor(password(door).token, code=code, visitor=OFFICE)


def test_wrong_codes_wait_like_wrong_passwords(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    enrol(door)
    half = password(door)
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            door.by_second_factor(half.token, code="000000", visitor=OFFICE)
    with pytest.raises(TooManyRequests):
        door.by_second_factor(half.token, code="000000", visitor=OFFICE)


def test_the_right_password_does_not_buy_more_codes(city: Settings, door: SignIn) -> None:
    """Somebody who knows the password and guesses the code must not reset the count by signing in again between guesses."""
    a.add_account(city, "chief", "commander")
    enrol(door)
    for _ in range(5):
        half = password(door)
        with pytest.raises(NotSignedIn):
            door.by_second_factor(half.token, code="000000", visitor=OFFICE)
    with pytest.raises(TooManyRequests):
        password(door)


def test_a_reload_shows_the_same_secret_another_sign_in_another(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    one, two = password(door), password(door)
    first = door.enrolment(one.token, issuer="一张图")
    assert door.enrolment(one.token, issuer="一张图") == first
    assert door.enrolment(two.token, issuer="一张图").secret != first.secret


def test_a_second_enrolment_cannot_replace_a_confirmed_one(city: Settings, door: SignIn) -> None:
    a.add_account(city, "chief", "commander")
    early = password(door)  # half-open before the owner sets it up
    stolen = door.enrolment(early.token, issuer="一张图").secret
    enrol(door)
    with pytest.raises(NotSignedIn):
        door.by_second_factor(early.token, code=pyotp.TOTP(stolen).now(), visitor=OFFICE)


def test_the_secret_is_not_in_the_database_and_bound_to_its_account(city: Settings, door: SignIn, keys: Keys) -> None:
    chief, other = a.add_account(city, "chief", "commander"), a.add_account(city, "other", "commander")
    secret, _ = enrol(door)
    with connect(city, role="owner") as conn:
        stored = conn.execute("SELECT totp_secret FROM access.account WHERE account_id = %s", [chief]).fetchone()
        assert stored is not None
        assert secret.encode() not in bytes(stored[0])
        assert keys.decrypt(bytes(stored[0]), table="access.account", row=chief, field="totp_secret") == secret
        # somebody who may write the database gives the other account his own second factor
        conn.execute(
            "UPDATE access.account SET totp_secret = %s, totp_confirmed_at = now() WHERE account_id = %s",
            [stored[0], other],
        )
    half = password(door, "other")
    with pytest.raises(Exception, match="不属于这一行"):
        door.by_second_factor(half.token, code=pyotp.TOTP(secret).now(), visitor=OFFICE)


@pytest.mark.parametrize("call", [
    lambda door, token: door.enrolment(token, issuer="x"),
    lambda door, token: door.by_second_factor(token, code="123456", visitor=OFFICE),
    lambda door, token: door.new_password(token, password="Baiyang-8-nanqu", visitor=OFFICE),
])  # fmt: skip
def test_steps_cannot_be_taken_out_of_order(
    city: Settings, door: SignIn, call: Callable[[SignIn, str], object]
) -> None:
    a.add_account(city, "wang.min")
    full = password(door, "wang.min")  # signed in already: no step is open
    for token in (full.token, "x" * 43):
        with pytest.raises(NotSignedIn, match="过时"):
            call(door, token)
