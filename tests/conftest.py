"""Fixtures shared by all tests: a private cluster of their own and scratch databases cloned from one template."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from hashlib import sha256

import pytest

from gis.settings import Settings
from gis.store.cluster import Cluster
from gis.store.migrate import apply_schema, create_database, drop_database, schema_files


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the private cluster once, before any worker asks for it."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    settings = Settings()
    if settings.database_url is None:
        private = Cluster(settings)
        private.create()
        session.config.stash[_STARTED] = private.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the cluster when this run started it."""
    if session.config.stash.get(_STARTED, False):
        Cluster(Settings()).stop()


_STARTED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def _notes_of_test_stores_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server notes its audit trail's head when it stops: scratch databases do not belong among an installation's notes."""
    # By the environment, so that the processes tests start know it too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONEMAP_AUDIT_HEAD_FILE", str(tmp_path_factory.mktemp("heads") / "audit-head.json"))
        yield


def _template_name(settings: Settings) -> str:
    text = b"".join(p.read_bytes() for p in schema_files(settings.sql))
    return "tmpl_" + sha256(text).hexdigest()[:12]


@pytest.fixture(scope="session")
def cluster() -> Settings:
    """Settings of the running server."""
    return Settings()


@pytest.fixture(scope="session")
def template(cluster: Settings) -> str:
    """Name of a database that holds the current schema and no rows; made once per schema text."""
    name = _template_name(cluster)
    building = f"{name}_{secrets.token_hex(3)}"
    if create_database(cluster, name=building):
        from gis.store.engine import connect

        try:
            with connect(cluster, role="admin", database="postgres", autocommit=True) as conn:
                exists = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if not exists:
                apply_schema(cluster, name=building)
                with connect(cluster, role="admin", database="postgres", autocommit=True) as conn:
                    conn.execute("SELECT pg_advisory_lock(42)")  # two test processes, one template
                    if not conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                        conn.execute(f'ALTER DATABASE "{building}" RENAME TO "{name}"')
        finally:
            drop_database(cluster, name=building)
    return name


@pytest.fixture
def store(cluster: Settings, template: str) -> Iterator[Settings]:
    """Settings of a scratch database of this test's own, with the schema and no rows."""
    name = f"t_{os.getpid()}_{secrets.token_hex(4)}"
    create_database(cluster, name=name, template=template)
    try:
        yield cluster.model_copy(update={"db_name": name})
    finally:
        drop_database(cluster, name=name)


@pytest.fixture(scope="module")
def module_store(cluster: Settings, template: str) -> Iterator[Settings]:
    """Like `store`, shared by the tests of one module."""
    name = f"m_{os.getpid()}_{secrets.token_hex(4)}"
    create_database(cluster, name=name, template=template)
    try:
        yield cluster.model_copy(update={"db_name": name})
    finally:
        drop_database(cluster, name=name)
