"""What a server shows and keeps by itself: the demo's password on this machine only, the audit trail's head outside the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.http import protect
from gis.access import audit_head
from gis.access import demo as demo_accounts
from gis.access.demo import demo_password, make_demo_accounts
from gis.access.rules import AccessRules
from gis.settings import Settings
from gis.store.engine import connect
from tests.security.conftest import County, browser, sign_in

pytestmark = pytest.mark.db


@pytest.fixture
def demo(county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, str]]:
    """A demo store with its accounts; the password."""
    monkeypatch.setattr(demo_accounts, "demo_file", lambda _: tmp_path / "demo.json")
    settings = county.settings.model_copy(update={"production": False, "host": "127.0.0.1"})
    with connect(settings, role="owner") as conn:  # the logins are this county's already: let them be the demo's
        conn.execute("UPDATE access.account SET is_demo = true")
    make_demo_accounts(settings, roles=county.roles, rules=AccessRules.load(settings.data))
    yield settings, demo_password(settings)
    with connect(settings, role="owner") as conn:
        conn.execute("UPDATE access.account SET is_demo = false, state = 'active'")


def listed(
    county: County, settings: Settings, *, address: str | None = "127.0.0.1", host: str | None = "127.0.0.1"
) -> list[str]:
    lines = protect.demo_lines(settings, county.protection.door, county.roles, address, host)
    return [line.password for line in lines]


def test_demo_passwords_are_shown_on_this_machine_for_made_up_data_only(
    county: County, demo: tuple[Settings, str]
) -> None:
    settings, password = demo
    assert set(listed(county, settings)) == {password}
    assert set(listed(county, settings, address="::1", host="localhost")) == {password}
    for changed in (
        {"production": True},
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "10.0.0.5"},
        {"public_url": "https://onemap.example"},
    ):
        assert listed(county, settings.model_copy(update=changed)) == [], changed
    for address in ("10.0.0.9", "203.0.113.1", None, "", "127.0.0.1.evil"):
        assert listed(county, settings, address=address) == [], address
    for host in (
        "evil.example",
        None,
        "",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
    ):  # another site's name that leads here
        assert listed(county, settings, host=host) == [], host
    with connect(settings, role="owner") as conn:
        conn.execute("UPDATE access.account SET state = 'disabled' WHERE is_demo")
    assert listed(county, settings) == []
    demo_accounts.demo_file(settings).unlink()
    assert listed(county, settings) == []
    assert not demo_accounts.demo_file(settings).exists(), "asking does not make one"


def test_a_store_with_real_people_shows_no_demo_password(county: County, demo: tuple[Settings, str]) -> None:
    settings, password = demo
    with connect(settings, role="owner") as conn:
        row = conn.execute(
            "INSERT INTO intake.load (subject, source_name, synthetic, finished_at) VALUES ('parcels', '确权.gpkg', false, now()) RETURNING load_id"
        ).fetchone()
    assert row is not None
    assert listed(county, settings) == []
    with connect(settings, role="owner") as conn:
        conn.execute("UPDATE intake.load SET undone_at = now() WHERE load_id = %s", [row[0]])
    assert set(listed(county, settings)) == {password}


def test_production_and_strangers_never_see_it_on_the_page(county: County, demo: tuple[Settings, str]) -> None:
    _, password = demo
    assert county.settings.production
    for client in (
        browser(county),
        TestClient(county.server, client=("127.0.0.1", 9), base_url="http://127.0.0.1", follow_redirects=False),
    ):
        for path in ("/login", "/login?again=1", "/login?expired=1", "/wall/enter"):
            page = client.get(path).text
            assert password not in page
            assert "data-demo" not in page


# the audit trail's head -------------------------------------------------------------------------------------------------------


def test_the_head_is_noted_every_hour_and_at_the_stop(
    county: County, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("var") / "audit-head.json"
    monkeypatch.setattr(audit_head, "head_file", lambda _: file)

    def noted() -> list[int]:
        return [json.loads(line)["seq"] for line in file.read_text().splitlines()] if file.exists() else []

    def head() -> int:
        return int(county.owner("SELECT seq FROM access.audit_head")[0][0])

    async def hours() -> None:
        hourly = asyncio.create_task(protect.note_heads(county.settings, county.protection.door, every_s=0.02))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if noted():
                break
        hourly.cancel()

    assert protect.HEADS_EVERY_S <= 3600
    asyncio.run(hours())
    assert noted() == [head()]
    from dashboard.app import create_app

    with TestClient(create_app(county.settings), client=("10.77.0.1", 1), follow_redirects=False) as client:
        sign_in(client, "planner")
    assert noted()[-1] == head(), "noted when the server stopped"
    assert len(noted()) == 2


def test_a_head_that_cannot_be_noted_stops_nothing(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protect, "remember", full)
    protect.note_head(county.settings, county.protection.door)
