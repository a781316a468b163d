"""The servers a tile benchmark asks: ours as the web runs it, and tipg in its own environment, both by uvicorn on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from gis.access.principal import current
from gis.settings import Settings
from tests.bench.tile_client import fetch
from tests.commander import enrol

TIPG = "tipg==1.6.1"


def app() -> ASGIApp:
    """Our routes in an application of their own, as uvicorn's factory: nothing else of the web is measured."""
    from dashboard.http.tiles import router

    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    settings = Settings()
    asker = enrol(settings, login="bench.tiles", password=None)
    made.include_router(router(settings))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        # What the gate leaves behind it, without its question to the store: the whole county's commander asks.
        if scope["type"] != "http":
            return await made(scope, receive, send)
        scope.setdefault("state", {})["principal"] = asker
        holder = current.set(asker)
        try:
            await made(scope, receive, send)
        finally:
            current.reset(holder)

    return serve


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def _serving(command: list[str], *, environment: dict[str, str], ready: str, folder: Path, log: Path) -> Iterator[int]:
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"],
            env=os.environ | environment, cwd=folder, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        for _ in range(150):
            if process.poll() is not None:
                raise RuntimeError(f"server ended at once; see {log}")
            try:
                if fetch(port, ready)[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        else:
            raise RuntimeError(f"server did not answer; see {log}")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ours(settings: Settings, *, cache_mb: int) -> Iterator[int]:
    """Serve our tiles of `settings`' store; yield the port. ``cache_mb=0`` keeps nothing, so each tile is made anew."""
    environment = {"ONEMAP_DB_NAME": settings.db_name, "ONEMAP_TILE_CACHE_MB": str(cache_mb)}
    command = [sys.executable, "-m", "uvicorn", "--factory", "tests.bench.tile_servers:app"]
    log = settings.var / "log" / "bench-tiles.log"
    with _serving(command, environment=environment, ready="/tiles/layers.json", folder=settings.root, log=log) as port:
        yield port


@contextmanager
def tipg(settings: Settings, *, buffer: int) -> Iterator[int]:
    """Serve onemap.parcel of the same store by tipg, role job, which row-level security lets see all; yield the port.

    Helped where it could be: its ready projected column, our buffer, our number of connections, no catalogue refresh.
    """
    venv = settings.var / "bench-venv"
    uv = [sys.executable, "-m", "uv"]
    if not (venv / "bin" / "uvicorn").exists():
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
        install = [
            *uv,
            "pip",
            "install",
            "-q",
            "--python",
            str(venv / "bin" / "python"),
            TIPG,
            "uvicorn",
            "uvloop",
            "httptools",
        ]
        subprocess.run(install, check=True)
    environment = {
        "DATABASE_URL": _dsn(settings),
        "TIPG_DB_SCHEMAS": '["onemap"]',
        "TIPG_DB_TABLES": '["onemap.parcel"]',
        "TIPG_DB_SPATIAL_EXTENT": "false",
        "TIPG_DB_DATETIME_EXTENT": "false",
        "TIPG_TILE_BUFFER": str(buffer),
        "TIPG_MAX_FEATURES_PER_TILE": "20000",
        "TIPG_CATALOG_TTL": "0",
        "DB_MAX_CONN_SIZE": "6",
    }
    command = [str(venv / "bin" / "uvicorn"), "tipg.main:app"]
    log = settings.var / "log" / "bench-tipg.log"
    with _serving(command, environment=environment, ready="/healthz", folder=settings.var, log=log) as port:
        yield port


def _dsn(settings: Settings) -> str:
    url = settings.url(role="job")
    if settings.database_url is not None:
        return url
    # tipg's settings want a host: a socket folder goes there percent-encoded.
    return f"postgresql://onemap_job@{quote(str(settings.socket_folder), safe='')}:5432/{settings.db_name}"
