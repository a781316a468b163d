"""A real browser for tests and benchmarks: Debian's Chromium without a GPU, watched for faults and foreign requests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from gis.settings import ROOT, Settings

CHROMIUM = "/usr/bin/chromium"
# No GPU here or in most offices: WebGL by SwiftShader. The rest keeps the browser from calling home.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# SwiftShader reads its pictures back and says so; that is about this machine, not about the page.
_ABOUT_THE_MACHINE = ("GPU stall due to ReadPixels", "GL Driver Message")
Session = dict[str, str]  # a cookie as `tests.commander.cookie` returns it


@dataclass
class Watched:
    """A page and what went wrong on it."""

    page: Page
    base: str
    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a path of the application and wait until it is drawn."""
        self.page.goto(self.base + path)
        self.settle()

    def settle(self, *, timeout_s: float = 25) -> dict[str, Any]:
        """Wait until what was asked for last is shown, the flight is over and every tile is drawn; return its times."""
        self.page.wait_for_function(
            "() => { const m = window.onemap && onemap.marks && onemap.marks.at(-1); return m && m.painted !== null }",
            timeout=timeout_s * 1000,
        )
        mark: dict[str, Any] = self.page.evaluate("onemap.marks.at(-1)")
        return mark

    def spot(self, code: str) -> tuple[float, float]:
        """Where on the page a child lies: its label point, a little beside the name."""
        x, y = self.page.evaluate(
            """code => { const s = onemap.map.scene.children[code].seat;
            const p = onemap.map.leaflet.latLngToContainerPoint([s[1], s[0]]);
            const r = document.getElementById('map').getBoundingClientRect(); return [r.x + p.x, r.y + p.y + 40] }""",
            code,
        )
        return x, y

    def click(self, code: str) -> dict[str, Any]:
        """Click a child on the map and wait."""
        self.page.mouse.click(*self.spot(code))
        self.page.wait_for_function("code => onemap.place.at === code", arg=code)
        return self.settle()

    def after(self, act: Callable[[], object]) -> dict[str, Any]:
        """Do something that asks for another place, and wait until that is drawn."""
        before = self.page.evaluate("onemap.marks.length")
        act()
        self.page.wait_for_function("before => onemap.marks.length > before", arg=before)
        return self.settle()

    @property
    def crumbs(self) -> list[str]:
        """The breadcrumb's steps as read."""
        return self.page.locator("#crumbs > button.crumb").all_inner_texts()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, stop it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(
    browser: Browser, base: str, *, width: int = 1440, height: int = 900, session: Session | None = None, **context: Any
) -> Iterator[Watched]:
    """Open a fresh context with one page that is watched; `session`: the cookie of somebody who signed in before."""
    fresh = browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN", **context)
    if session is not None:
        fresh.add_cookies([session])  # type: ignore[list-item]
    page = fresh.new_page()
    seen = Watched(page, base)
    page.on(
        "console",
        lambda m: (
            seen.console.append(m.text)
            if m.type in ("error", "warning") and not any(w in m.text for w in _ABOUT_THE_MACHINE)
            else None
        ),
    )
    page.on("pageerror", lambda e: seen.console.append(str(e)))
    page.on("request", lambda r: seen.foreign.append(r.url) if not r.url.startswith((base, "blob:", "data:")) else None)
    page.on("response", lambda r: seen.failed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    try:
        yield seen
    finally:
        fresh.close()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Served:
    """A running web server of its own process."""

    process: subprocess.Popen[bytes]
    base: str

    def memory_mb(self) -> float:
        """Most resident memory so far, MB (VmHWM)."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            line = next(x for x in f if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


@contextmanager
def serving(settings: Settings, *, port: int | None = None) -> Iterator[Served]:
    """Serve in a process of its own, until it answers; stop it afterwards. Nobody is asked for a second factor."""
    port = port or free_port()
    env = os.environ | {"ONEMAP_DB_NAME": settings.db_name, "ONEMAP_PORT": str(port), "PYTHONPATH": str(ROOT),
                        "ONEMAP_REQUIRE_SECOND_FACTOR": "false"}  # fmt: skip
    code = "from gis.settings import Settings; from dashboard.serve import serve; serve(Settings())"
    process = subprocess.Popen([sys.executable, "-c", code], env=env, cwd=ROOT)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}")
            try:
                with urllib.request.urlopen(f"{base}/healthz", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield Served(process, base)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
