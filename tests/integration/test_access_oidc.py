"""The county's identity provider: the whole flow against a real one on loopback, and everything that must be refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from gis.access.crypt import Keys
from gis.access.oidc import Departure, Identity, Provider, ProviderSettings
from gis.access.sessions import principal_of
from gis.access.sign_in import Visitor
from gis.errors import NotSignedIn, SetupProblem
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a
from tests.integration.oidc_server import CLIENT, SECRET, OidcServer, serving

BACK = "http://127.0.0.1:9/login/county/return"
KEYS = Keys(lookup=b"l" * 32, masters={b"\0\0\0\1": b"k" * 32})


@pytest.fixture(scope="module")
def running() -> Iterator[OidcServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: OidcServer) -> OidcServer:
    running.spoil.clear()
    running.claims = {"sub": "42", "name": "王敏", "preferred_username": "wang.min"}
    return running


def provider(server: OidcServer, *, claim: str | None = "preferred_username", secret: str = SECRET) -> Provider:
    return Provider(ProviderSettings(server.issuer, CLIENT, secret, BACK, claim), keys=KEYS)


def browse(departure: Departure) -> dict[str, str]:
    """What the browser brings back: it follows the link, signs in there, and is sent back."""
    answer = requests.get(departure.url, allow_redirects=False, timeout=10)
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return {k: v[0] for k, v in parse_qs(back.query).items()}


def through(made: Provider) -> Identity:
    departure = made.depart()
    return made.arrive(ticket=departure.ticket, params=browse(departure))


def test_the_whole_flow(server: OidcServer) -> None:
    found = through(provider(server))
    assert found == Identity(subject=f"{server.issuer}#42", login="wang.min", display_name="王敏")
    assert server.seen[-1]["grant_type"] == "authorization_code"


def test_each_departure_is_another_and_its_secrets_do_not_show(server: OidcServer) -> None:
    made = provider(server)
    one, two = made.depart(), made.depart()
    asked = [{k: v[0] for k, v in parse_qs(urlsplit(d.url).query).items()} for d in (one, two)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert asked[0]["scope"] == "openid profile"
    assert asked[0]["state"] not in one.ticket


def test_without_a_mapped_claim_there_is_no_login(server: OidcServer) -> None:
    assert through(provider(server, claim=None)).login is None


def test_an_email_that_is_not_verified_is_no_login(server: OidcServer) -> None:
    server.claims |= {"email": "wang.min@example.org", "email_verified": False}
    assert through(provider(server, claim="email")).login is None
    server.claims["email_verified"] = True
    assert through(provider(server, claim="email")).login == "wang.min@example.org"


@pytest.mark.parametrize(
    "spoil", ["signature", "nonce", "no nonce", "aud", "aud with azp", "iss", "expired", "alg none", "hmac"]
)
def test_an_id_token_that_does_not_fit_is_refused(server: OidcServer, spoil: str) -> None:
    server.spoil.add(spoil)
    with pytest.raises(NotSignedIn, match="没有通过"):
        through(provider(server))


def test_a_wrong_client_secret_is_refused(server: OidcServer) -> None:
    with pytest.raises(NotSignedIn):
        through(provider(server, secret="wrong"))


def test_what_the_browser_brings_back_must_belong_to_its_own_departure(server: OidcServer) -> None:
    made = provider(server)
    mine, other = made.depart(), made.depart()
    brought = browse(mine)
    for ticket, params in [
        (other.ticket, brought),  # somebody else's link, clicked by me
        ("", brought), ("x", brought), (mine.ticket[:-4] + "AAAA", brought),
        (mine.ticket, {"code": brought["code"]}),
        (mine.ticket, {"state": brought["state"]}),
        (mine.ticket, brought | {"state": brought["state"] + "x"}),
        (mine.ticket, brought | {"error": "access_denied"}),
        (mine.ticket, brought | {"code": "guessed"}),
    ]:  # fmt: skip
        with pytest.raises(NotSignedIn):
            made.arrive(ticket=ticket, params=params)
    made.arrive(ticket=mine.ticket, params=brought)
    with pytest.raises(NotSignedIn):  # a code is exchanged once
        made.arrive(ticket=mine.ticket, params=brought)


def test_a_ticket_is_good_for_ten_minutes(server: OidcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = provider(server)
    departure = made.depart()
    brought = browse(departure)
    import time

    real = time.time
    monkeypatch.setattr("gis.access.oidc.time.time", lambda: real() + 601)
    with pytest.raises(NotSignedIn):
        made.arrive(ticket=departure.ticket, params=brought)


def test_a_provider_that_is_not_the_one_named_is_refused(server: OidcServer) -> None:
    server.spoil.add("discovery")
    with pytest.raises(SetupProblem, match="不一致"):
        provider(server).depart()


def test_a_provider_that_is_away_is_said() -> None:
    with pytest.raises(SetupProblem, match="连不上"):
        Provider(ProviderSettings("http://127.0.0.1:1", CLIENT, SECRET, BACK), keys=KEYS).depart()


@pytest.mark.parametrize("issuer", ["http://id.example.org", "ftp://127.0.0.1", "", "https:"])
def test_plain_http_is_for_this_machine_only(issuer: str) -> None:
    with pytest.raises(SetupProblem):
        Provider(ProviderSettings(issuer, CLIENT, SECRET, BACK), keys=KEYS).depart()


def test_an_identity_signs_in_the_account_it_belongs_to(store: Settings, server: OidcServer, tmp_path: Path) -> None:
    a.prepare(store)
    made = a.add_account(store, "wang.min", scope="130529100", password=None)
    door = a.sign_in_of(store, keys=a.keys_in(store, tmp_path))
    visitor = Visitor("10.0.0.9")
    who = through(provider(server))
    token = door.by_identity(subject=who.subject, login=who.login, visitor=visitor).token
    with connect(store, role="app") as conn:
        principal = principal_of(conn, token, roles=a.ROLES)
    assert principal is not None
    assert principal.account_id == made
    assert "identity.tied" in a.actions(store)
    # From now on the subject decides: another login in the claim changes nothing, another subject with this login gets nothing.
    assert door.by_identity(subject=who.subject, login="else", visitor=visitor).awaiting is None
    with pytest.raises(NotSignedIn, match="还没有您的账号"):
        door.by_identity(subject=f"{server.issuer}#43", login="wang.min", visitor=visitor)


@pytest.mark.parametrize("login", ["nobody", None])
def test_no_account_is_made_for_a_stranger(store: Settings, tmp_path: Path, login: str | None) -> None:
    a.prepare(store)
    door = a.sign_in_of(store, keys=a.keys_in(store, tmp_path))
    with pytest.raises(NotSignedIn, match="还没有您的账号"):
        door.by_identity(subject="x#1", login=login, visitor=Visitor())
    with connect(store, role="owner") as conn:
        assert conn.execute("SELECT count(*) FROM access.account").fetchone() == (0,)


def test_an_identity_still_gives_its_second_factor(store: Settings, tmp_path: Path) -> None:
    a.prepare(store)
    a.add_account(store, "chief", "commander", password=None)
    door = a.sign_in_of(store, keys=a.keys_in(store, tmp_path), second_factor=True)
    assert door.by_identity(subject="x#1", login="chief", visitor=Visitor()).awaiting == "enrolment"
