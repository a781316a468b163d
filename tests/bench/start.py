"""From a fresh clone to the login page and to the map behind it, every download included; the second start; the web's memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

from gis.settings import ROOT, Settings
from tests.bench.report import Figure
from tests.commander import sign_in

_LIMIT_S = 600


def run(settings: Settings) -> list[Figure]:
    """Clone this repository's committed state into a temporary folder and bring it up twice."""
    folder = Path(tempfile.mkdtemp(prefix="onemap-start-"))
    folder.chmod(0o755)  # the server's account must be able to walk in
    try:
        clone = folder / "onemap"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        first = _up(clone)
        second = _up(clone)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure(
            "fresh clone → login page, downloads included",
            round(first.login_s, 1),
            "s",
            240,
            note="Debian packages as this machine had them",
        ),
        Figure(
            "fresh clone → map page, signed in",
            round(first.map_s, 1),
            "s",
            240,
            note="a demo account, no pause to type",
        ),
        Figure("second ./onemap up → login page", round(second.login_s, 2), "s", 5),
        Figure("second ./onemap up → map page, signed in", round(second.map_s, 2), "s", 5),
        Figure("memory of the web process after the map page", round(second.memory_mb), "MB", 400),
    ]


@dataclass(frozen=True)
class _Start:
    """Seconds from `./onemap up` to the login page and to the map page; the web's resident memory then, MB."""

    login_s: float
    map_s: float
    memory_mb: float


def _up(clone: Path) -> _Start:
    """Bring a clone up, wait for the page a newcomer is led to, sign in with a demo account, wait for the map page."""
    port = _free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ONEMAP_")}
    begun = time.monotonic()
    process = subprocess.Popen(
        ["./onemap", "up", "--port", str(port)],
        cwd=clone,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def wait_for(path: str, client: httpx2.Client) -> float:
        """Seconds until `/` leads to a page at `path` that answers 200."""
        while not _leads_to(client, base, path):
            if process.poll() is not None or time.monotonic() - begun > _LIMIT_S:
                raise RuntimeError(f"./onemap up gave no page at {path} (exit {process.poll()})")
            time.sleep(0.05)
        return time.monotonic() - begun

    try:
        # As a browser asks: a script is told 401, a person is led to the login.
        with httpx2.Client(timeout=5, headers={"Accept": "text/html"}) as client:
            login_s = wait_for("/login", client)
            password = json.loads((clone / "var" / "demo.json").read_text(encoding="utf-8"))["password"]
            sign_in(client, origin=base, login="commander", password=password)
            map_s = wait_for("/", client)
        status = Path(f"/proc/{process.pid}/status").read_text()  # the script execs the web process: one pid
        rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    return _Start(login_s, map_s, rss_kb / 1024)


def _leads_to(client: httpx2.Client, base: str, path: str) -> bool:
    try:
        answer = client.get(f"{base}/", follow_redirects=True)
    except httpx2.TransportError:
        return False
    return answer.status_code == 200 and answer.url.path == path


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
