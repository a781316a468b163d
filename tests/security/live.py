"""The gated app of a test's county, served for a real browser by a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.app import create_app
from tests.e2e.browser import free_port
from tests.security.conftest import County


class _Noting:
    """Notes path and role of what the gate lets through."""

    def __init__(self, app: ASGIApp, *, seen: list[tuple[str, str | None]]) -> None:
        self.app = app
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            principal = scope["state"]["principal"]
            self.seen.append((scope["path"], principal.role if principal else None))
        await self.app(scope, receive, send)


@contextmanager
def live(county: County, *, seen: list[tuple[str, str | None]] | None = None) -> Iterator[str]:
    """Serve a second composition of the same county; yields its base address.

    Parameters
    ----------
    seen : list or None
        Filled with path and role of every request that came through the gate.
    """
    app = create_app(county.settings)
    # Just behind the gate, which is the outermost.
    app.user_middleware.insert(1, Middleware(_Noting, seen=seen if seen is not None else []))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
