"""The web in real processes over a scratch store: what a test kills, and what many people ask at once.

Run as ``python -m tests.case_serving FD`` it composes the app once and forks a server on the inherited socket when told; limits of rate are lifted, because one test asks
as often as a county.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from limits import parse

from gis.settings import ROOT, Settings


@dataclass
class Servers:
    """Processes that share one address, forked from one that has everything loaded: a killed one is replaced at once."""

    settings: Settings
    listening: socket.socket
    mother: subprocess.Popen[str]
    pids: list[int] = field(default_factory=list)

    @property
    def base(self) -> str:
        """Address they answer at."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def start(self) -> int:
        """One more process; returns its number when it answers."""
        assert self.mother.stdin is not None
        assert self.mother.stdout is not None
        self.mother.stdin.write("start\n")
        self.mother.stdin.flush()
        line = self.mother.stdout.readline().strip()
        if not line.isdigit():
            raise RuntimeError(f"the server did not start: {line}")
        self.pids.append(int(line))
        return int(line)

    def kill(self, pid: int) -> None:
        """kill -9, as an out-of-memory killer does."""
        os.kill(pid, signal.SIGKILL)
        self.pids.remove(pid)

    def stop(self) -> None:
        """End all, politely."""
        for pid in self.pids:
            os.kill(pid, signal.SIGTERM)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in self.pids), seconds=15)
        for pid in self.pids:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        assert self.mother.stdin is not None
        assert self.mother.stdout is not None
        self.mother.stdin.close()
        self.mother.wait(15)
        self.mother.stdout.close()
        self.listening.close()


def environment(settings: Settings, *, worker: bool = False) -> dict[str, str]:
    """What a process of ours needs to work on the same store."""
    chosen = {
        "ONEMAP_DB_NAME": settings.db_name, "ONEMAP_VAR": str(settings.var), "ONEMAP_PRODUCTION": "true", "ONEMAP_REQUIRE_SECOND_FACTOR": "false",
        "ONEMAP_PHOTOS": str(settings.photo_folder), "ONEMAP_PERSONAL_KEY_FILE": str(settings.personal_key_file),
        "ONEMAP_WORKER": "true" if worker else "false",
        # A scratch store's notes do not belong among an installation's.
        "ONEMAP_AUDIT_HEAD_FILE": str(settings.audit_head_file or settings.photo_folder.parent / "audit-head.json"),
    }  # fmt: skip
    return chosen | ({"ONEMAP_DATABASE_URL": settings.database_url} if settings.database_url else {})


@contextmanager
def serving(settings: Settings, *, processes: int = 1, worker: bool = False) -> Iterator[Servers]:
    """Serve by so many processes."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    mother = subprocess.Popen(
        [sys.executable, "-m", "tests.case_serving", str(listening.fileno())], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, pass_fds=[listening.fileno()], env=os.environ | environment(settings, worker=worker),
    )  # fmt: skip
    servers = Servers(settings, listening, mother)
    try:
        for _ in range(processes):
            servers.start()
        yield servers
    finally:
        servers.stop()


def main(descriptor: int) -> None:
    """Compose once; fork a server for every line read."""
    from dashboard.app import create_app

    settings = Settings()
    server = create_app(settings, worker=settings.worker)
    rates = server.state.protection.limits
    rates._rates = {kind: parse("1000000/second") for kind in rates._rates}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's
    for _ in sys.stdin:
        if os.fork() == 0:
            sys.stdin.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(server, descriptor)
            os._exit(0)


def _serve(server: FastAPI, descriptor: int) -> None:
    class Telling(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            print(os.getpid() if self.started else "failed", flush=True)

    config = uvicorn.Config(
        server,
        log_level="error",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
    )
    Telling(config).run(sockets=[socket.socket(fileno=descriptor)])


def memory_kb(pid: int, name: str = "VmRSS") -> int:
    """Resident memory of a process; VmHWM: the most it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise RuntimeError(name)


def until(condition: object, *, seconds: float = 30.0) -> bool:
    """Wait until a callable says yes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    main(int(sys.argv[1]))
