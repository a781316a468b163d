"""Fixtures of the tile tests: the small county in a scratch store, and a web that serves its tiles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from gis.settings import Settings
from gis.store.engine import connect
from gis.tiles import service as service_module
from tests.integration.tiles.county import SEED, serve


@pytest.fixture(scope="module")
def county(module_store: Settings) -> Settings:
    """A store with a little of everything."""
    with connect(module_store, role="owner") as conn:
        conn.execute(SEED)
    return module_store


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are read for every request, so a test need not wait a second."""
    monkeypatch.setattr(service_module, "STATE_SECONDS", 0.0)


@pytest.fixture
def web(county: Settings) -> Iterator[TestClient]:
    with TestClient(serve(county)) as client:
        yield client
