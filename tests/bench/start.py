"""From a fresh clone to the first page, every download included; the second start; the web's memory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from gis.settings import ROOT, Settings
from tests.bench.report import Figure

_LIMIT_S = 600


def run(settings: Settings) -> list[Figure]:
    """Clone this repository's committed state into a temporary folder and bring it up twice."""
    folder = Path(tempfile.mkdtemp(prefix="onemap-start-"))
    folder.chmod(0o755)  # the server's account must be able to walk in
    try:
        clone = folder / "onemap"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        first, _ = _page_after_up(clone)
        second, memory_mb = _page_after_up(clone)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure(
            "fresh clone → first page, downloads included",
            first,
            "s",
            240,
            note="Debian packages as this machine had them",
        ),
        Figure("second ./onemap up → first page", second, "s", 5),
        Figure("memory of the web process after the first page", memory_mb, "MB", 400),
    ]


def _page_after_up(clone: Path) -> tuple[float, float]:
    """Seconds from `./onemap up` to the page's first 200, and the web process's resident memory in MB."""
    port = _free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ONEMAP_")}
    begun = time.monotonic()
    process = subprocess.Popen(
        ["./onemap", "up", "--port", str(port)],
        cwd=clone,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(f"http://127.0.0.1:{port}/"):
            if process.poll() is not None or time.monotonic() - begun > _LIMIT_S:
                raise RuntimeError(f"./onemap up gave no page (exit {process.poll()})")
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        status = Path(f"/proc/{process.pid}/status").read_text()  # the script execs the web process: one pid
        rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    return seconds, rss_kb / 1024


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
