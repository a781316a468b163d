"""Serving: one uvicorn worker on the loopback address, that stops when told to."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn

from gis.errors import SetupProblem
from gis.settings import Settings


class _Announcing(uvicorn.Server):
    """Says when it answers, so that nobody is sent to a page that is not there yet."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def serve(
    settings: Settings,
    *,
    listening: socket.socket | None = None,
    on_ready: Callable[[], None] = lambda: None,
    log_level: str = "warning",
) -> None:
    """Serve until SIGINT or SIGTERM.

    One worker: the pool, the caches and later the live events belong to one process; more workers would each have theirs.

    Parameters
    ----------
    listening : socket or None
        A socket from `listen`; None binds one now.
    on_ready : callable
        Called once, when the first request would be answered.

    Raises
    ------
    SetupProblem
        When the port is taken or not ours to take.
    """
    from dashboard.app import create_app  # two seconds of imports that binding a port should not wait for

    listening = listening or listen(settings)
    config = uvicorn.Config(
        create_app(settings, worker=settings.worker), log_level=log_level, access_log=False, server_header=False, date_header=True,
        timeout_keep_alive=30,
        # open event streams would otherwise hold a shutdown forever
        timeout_graceful_shutdown=5, lifespan="on",
    )  # fmt: skip
    try:
        _Announcing(config, on_ready).run(sockets=[listening])
    finally:
        listening.close()


def listen(settings: Settings) -> socket.socket:
    """Bind before anything is built, so that a taken port is said at once and in words."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as e:
        listening.close()
        if e.errno == errno.EADDRINUSE:
            raise SetupProblem(
                f"端口 {settings.port} 已被占用。",
                next_step=f"换一个端口：./onemap up --port {settings.port + 1}；或先关掉占用它的程序。",
            ) from e
        raise SetupProblem(
            f"不能在 {settings.host}:{settings.port} 上提供服务：{e.strerror}。",
            next_step="检查 ONEMAP_HOST、ONEMAP_PORT。",
        ) from e
    return listening
