"""The one way to register a server callback: off the event loop, in a bounded pool of threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from dash import Dash

_THREADS = 16  # more than the pool of connections (8), so that a wait for one never blocks a callback without


class Callbacks:
    """Registers plain functions as callbacks of one app.

    Dash 4.4 on FastAPI runs a sync callback on the event loop: while it waits for the store, no tile is served and no
    event sent. Wrapped here, it waits in a thread; contextvars and ``dash.ctx`` go with it.
    """

    def __init__(self, app: Dash) -> None:
        self.app = app
        self._limiter = CapacityLimiter(_THREADS)

    def register(self, function: Callable[..., Any], *dependencies: Any, **options: Any) -> None:
        """Register `function` for `dependencies` (Output, Input, State), as ``app.callback`` would."""

        @functools.wraps(function)
        async def offloaded(*values: Any) -> Any:
            return await anyio.to_thread.run_sync(functools.partial(function, *values), limiter=self._limiter)

        self.app.callback(*dependencies, **options)(offloaded)
