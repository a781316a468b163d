"""The private cluster while a command runs: started when needed, stopped again when nobody else uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gis.errors import OnemapError
from gis.settings import Settings
from gis.store.cluster import Cluster
from gis.store.engine import connect


def start(settings: Settings) -> bool:
    """Start the private cluster when it exists and is down; return True when this call started it."""
    if settings.database_url is not None:
        return False
    cluster = Cluster(settings)
    return cluster.exists() and cluster.start()


def stop_if_idle(settings: Settings) -> None:
    """Stop the private cluster unless another process is connected to it."""
    try:
        with connect(settings, role="admin", database="postgres", autocommit=True) as conn:
            row = conn.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
    except OnemapError:
        return
    if row == (0,):
        Cluster(settings).stop()


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Keep the store up for a block; what was down before is down after."""
    started = start(settings)
    try:
        yield
    finally:
        if started:
            stop_if_idle(settings)
