"""Fixtures of the tile tests: the small county in a scratch store, and a web that serves its tiles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from gis.access.principal import current
from gis.settings import Settings
from gis.store.engine import connect
from gis.tiles import service as service_module
from tests.commander import enrol
from tests.integration.tiles.county import SEED, serve


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store with a little of everything, asked by a commander of the whole county."""
    with connect(module_store, role="owner") as conn:
        conn.execute(SEED)
    key = tmp_path_factory.mktemp("keys") / "personal.key"
    holder = current.set(enrol(module_store.model_copy(update={"personal_key_file": key})))
    yield module_store
    current.reset(holder)


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are read for every request, so a test need not wait a second."""
    monkeypatch.setattr(service_module, "STATE_SECONDS", 0.0)


@pytest.fixture
def web(county: Settings) -> Iterator[TestClient]:
    with TestClient(serve(county)) as client:
        yield client
