"""ONEMAP_DATABASE_URL: a store on somebody else's server, over TCP with passwords, made, used and refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.doctor import examine
from cli.progress import Progress
from cli.up import prepare_access, start_store
from gis.errors import OnemapError, SetupProblem, StoreUnavailable
from gis.settings import Settings
from gis.store.administration import missing
from gis.store.engine import connect
from gis.store.migrate import create_database, drop_database, migrations
from gis.store.outside import EXTENSIONS
from gis.store.secrets import role_password
from tests.integration.outside_server import OutsideServer, outside_server
from tests.scratch_county import build_scratch


@pytest.fixture(scope="module")
def server() -> Iterator[OutsideServer]:
    with outside_server() as running:
        yield running


@pytest.fixture
def outside(server: OutsideServer, tmp_path: Path) -> Iterator[Settings]:
    """An installation without a store of its own, and a server as its DBA left it."""
    settings = Settings(database_url=server.url(), var=tmp_path / "var")
    yield settings
    with psycopg.connect(server.url(), autocommit=True) as conn:
        names = [r[0] for r in conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 'onemap%'").fetchall()]
        for name in names:
            drop_database(settings, name=name)
        for role in ("owner", "app", "reader", "job"):
            conn.execute(f"DROP ROLE IF EXISTS onemap_{role}")
        conn.execute("DROP ROLE IF EXISTS clerk")


def names_on(server: OutsideServer) -> tuple[set[str], set[str]]:
    with psycopg.connect(server.url()) as conn:
        databases = {r[0] for r in conn.execute("SELECT datname FROM pg_database").fetchall()}
        roles = {r[0] for r in conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'onemap%'").fetchall()}
    return databases, roles


def clerk(server: OutsideServer, *, may: str = "CREATEDB CREATEROLE") -> str:
    """A DBA's account that may make databases and roles but is no superuser."""
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE clerk LOGIN {may} PASSWORD 'clerk-secret'")
    return server.url("clerk", "clerk-secret")


def test_a_store_stands_and_serves_on_it(outside: Settings) -> None:
    start_store(outside, progress=Progress())
    made = build_scratch(outside)
    prepare_access(outside, progress=Progress())
    with connect(outside, role="app") as conn:
        assert conn.info.host == "127.0.0.1"
        assert conn.execute("SELECT current_user").fetchone() == ("onemap_app",)
        # nobody signed in: the divisions, which carry no person, and not one parcel
        assert conn.execute("SELECT count(*) FROM onemap.division_now WHERE level = 1").fetchone() == (1,)
        assert conn.execute("SELECT count(*) FROM onemap.parcel").fetchone() == (0,)
    with connect(outside, role="job") as conn:
        assert conn.execute("SELECT count(*) FROM onemap.parcel").fetchone() == (made.parcels,)
        assert missing(conn) == []
    with connect(outside, role="owner") as conn:
        row = conn.execute("SELECT count(*) FROM public.onemap_migration").fetchone()
        assert row == (len(migrations(outside.sql)),)
    start_store(outside, progress=Progress())  # the second start finds everything
    told = {f.what: f.verdict for f in examine(outside) if f.verdict == "fault"}
    assert not any("角色" in what or "扩展" in what or "账号" in what for what in told), told


def test_roles_need_their_passwords(outside: Settings) -> None:
    create_database(outside)
    kept = outside.var / "secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(kept.read_text())) == {"owner", "app", "reader", "job"}
    kept.unlink()  # another installation, which knows none of them
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        connect(outside, role="app")


def test_another_installations_roles_are_left_alone(outside: Settings, server: OutsideServer, tmp_path: Path) -> None:
    create_database(outside)
    second = Settings(database_url=server.url(), var=tmp_path / "second", db_name="onemap_2")
    with pytest.raises(SetupProblem, match="已有角色 onemap_owner") as caught:
        create_database(second)
    assert "secrets.json" in caught.value.next_step
    connect(outside, role="app").close()
    assert "onemap_2" not in names_on(server)[0]
    (tmp_path / "second" / "secrets.json").unlink(missing_ok=True)
    (tmp_path / "second").mkdir(exist_ok=True)
    (tmp_path / "second" / "secrets.json").write_bytes((outside.var / "secrets.json").read_bytes())
    assert create_database(second)  # with the secrets that go with the roles it may
    connect(second, role="app").close()
    connect(outside, role="app").close()


def test_an_account_that_may_too_little_is_told_before_anything_is_made(
    outside: Settings, server: OutsideServer
) -> None:
    before = names_on(server)
    weak = outside.model_copy(update={"database_url": clerk(server)})
    with pytest.raises(SetupProblem, match="clerk 不是超级用户") as caught:
        create_database(weak)
    assert "admin.md" in caught.value.next_step
    assert names_on(server) == before
    faults = [f for f in examine(weak) if f.verdict == "fault"]
    assert any("clerk 不是超级用户" in f.what and "admin.md" in f.mend for f in faults), faults


def test_a_store_the_dba_made_needs_no_superuser(outside: Settings, server: OutsideServer) -> None:
    """The steps of docs/guide/admin.md, then a start as an account that may nothing but sign in."""
    with psycopg.connect(server.url(), autocommit=True) as dba:
        dba.execute((outside.sql / "roles.sql").read_bytes())
        dba.execute("CREATE DATABASE onemap OWNER onemap_owner TEMPLATE template0 ENCODING 'UTF8'")
        for role in ("owner", "app", "reader", "job"):
            dba.execute(f"ALTER ROLE onemap_{role} PASSWORD '{role_password(outside, role=role)}'")  # type: ignore[arg-type]
    with psycopg.connect(server.url().replace("/postgres", "/onemap"), autocommit=True) as dba:
        for extension in EXTENSIONS:
            dba.execute(f"CREATE EXTENSION {extension} SCHEMA public CASCADE")
        dba.execute((outside.sql / "administrator.sql").read_bytes())
    plain = outside.model_copy(update={"database_url": clerk(server, may="")})
    start_store(plain, progress=Progress())
    build_scratch(plain)
    prepare_access(plain, progress=Progress())
    with connect(plain, role="app") as conn:
        assert conn.execute("SELECT count(*) FROM onemap.division_now").fetchone() != (0,)


def test_a_start_that_ends_half_way_leaves_nothing_and_a_killed_one_is_finished(
    outside: Settings, server: OutsideServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Settings, *, name: str | None = None) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gis.store.migrate.administer", broken)
        with pytest.raises(KeyboardInterrupt):
            create_database(outside)
    assert "onemap" not in names_on(server)[0]
    with psycopg.connect(server.url(), autocommit=True) as conn:  # as kill -9 leaves it: a database, no extension
        conn.execute("CREATE DATABASE onemap OWNER onemap_owner TEMPLATE template0 ENCODING 'UTF8'")
    start_store(outside, progress=Progress())
    with connect(outside, role="owner") as conn:
        assert missing(conn) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://root@127.0.0.1/x", "不是 PostgreSQL 的地址"),
        ("postgresql://dba:pa@ss:word@127.0.0.1:notaport/postgres", "ONEMAP_DATABASE_URL|连不上"),
        ("postgresql://dba:falsch@127.0.0.1:{port}/postgres", "连不上.*password authentication failed"),
        ("postgresql://dba:x@127.0.0.1:1/postgres", "连不上"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(
    server: OutsideServer, tmp_path: Path, url: str, said: str
) -> None:
    settings = Settings(database_url=url.format(port=server.port), var=tmp_path)
    with pytest.raises(OnemapError, match=said) as caught:
        create_database(settings)
    assert "pa@ss" not in str(caught.value)
    assert "falsch" not in str(caught.value)
    assert any(f.verdict == "fault" for f in examine(settings))
