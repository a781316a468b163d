"""A phone in the hand: the app behind its gate served for a real browser, with a network that can be made to fail."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.app import create_app
from tests.case_county import PASSWORD, CaseCounty
from tests.commander import COOKIE, sign_in
from tests.e2e.browser import Watched, free_port

SIZE = {"width": 390, "height": 844}


@dataclass
class Trouble:
    """What goes wrong with posts to `path`: the next `lose` are done but their answer never arrives; the next `refuse` are
    answered so and never done; answers wait while `hold` is set."""

    path: str = "/api/"
    lose: int = 0
    refuse: list[tuple[int, bytes, str]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    done: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Everything works again."""
        self.lose, self.refuse = 0, []
        self.hold.clear()


class _Troubled:
    def __init__(self, app: ASGIApp, *, trouble: Trouble) -> None:
        self.app = app
        self.trouble = trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        t = self.trouble
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(t.path):
            return await self.app(scope, receive, send)
        if t.refuse:
            status, body, kind = t.refuse.pop(0)
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
            return await send({"type": "http.response.body", "body": body})
        lost = t.lose > 0
        t.lose -= lost

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                t.done.append(scope["path"])
            if not lost:
                await send(message)

        await self.app(scope, receive, answer)
        while t.hold.is_set():
            await _pause()
        if lost:
            raise ConnectionAbortedError("the answer is lost on the way")


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(0.05)


@dataclass
class Phones:
    """The county, its address, and what may go wrong on the way there."""

    county: CaseCounty
    base: str
    trouble: Trouble

    def cookie(self, name: str) -> dict[str, str]:
        """The session of somebody who just signed in."""
        with httpx2.Client() as client:
            token = sign_in(client, origin=self.base, login=name, password=PASSWORD)
        return {"name": COOKIE, "value": token, "url": self.base}

    def cases(self) -> int:
        """How many cases the county has."""
        return int(self.county.owner("SELECT count(*) FROM onemap.case_file WHERE case_no LIKE 'SJ%%'")[0][0])


@contextmanager
def served(county: CaseCounty, folder: Path) -> Iterator[Phones]:
    """Serve the county in a thread of this process, its photos in `folder`."""
    trouble = Trouble()
    settings = county.settings.model_copy(update={"photos": folder, "require_second_factor": False, "production": True})
    app = create_app(settings)
    # In front of everything: what happens here happens on the road.
    app.user_middleware.insert(0, Middleware(_Troubled, trouble=trouble))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.05)
    try:
        yield Phones(county, f"http://127.0.0.1:{port}", trouble)
    finally:
        trouble.reset()
        server.should_exit = True
        thread.join(10)


@dataclass
class Hand(Watched):
    """One phone: its context keeps what it stored while pages come and go."""

    context: BrowserContext | None = None
    dialogs: list[str] = field(default_factory=list)

    def at(self, place: tuple[float, float], *, accuracy: float = 6) -> None:
        """Carry it somewhere."""
        assert self.context is not None
        self.context.set_geolocation({"longitude": place[0], "latitude": place[1], "accuracy": accuracy})

    def offline(self, yes: bool) -> None:
        """Into a hole in the network, or out of it."""
        assert self.context is not None
        self.context.set_offline(yes)

    def start(self, path: str = "/m") -> None:
        """Open the page and wait until it is there and its worker has kept everything."""
        self.page.goto(self.base + path)
        self.page.wait_for_function("() => window.phone && phone.ready")
        self.page.evaluate(
            "() => navigator.serviceWorker.ready.then(r => r.active.state === 'activated' || new Promise(d => r.active.addEventListener('statechange', d, {once: true})))"
        )
        self.page.wait_for_function("() => navigator.serviceWorker.controller")

    def again(self) -> None:
        """A new page in the same phone; what the old one was doing is cut off."""
        assert self.context is not None
        old = self.page
        self.page = self.context.new_page()
        self._watch(self.page)
        old.close(run_before_unload=False)

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda e: self.console.append(str(e)))
        page.on(
            "console",
            lambda m: (
                self.console.append(m.text)
                if m.type == "error" and "ERR_" not in m.text and "status of" not in m.text
                else None
            ),
        )
        page.on(
            "request",
            lambda r: self.foreign.append(r.url) if not r.url.startswith((self.base, "blob:", "data:")) else None,
        )
        page.on("dialog", lambda d: (self.dialogs.append(d.message), d.dismiss()))

    def write(self, text: str, *, item: str | None = None, photo: bytes | None = None, still: bool = True) -> None:
        """Make a report and press the button once; `still`: whatever is near, report all the same."""
        page = self.page
        page.evaluate("() => phone.go('/m/report')")
        page.wait_for_selector("#words")
        page.wait_for_function("() => phone.place.fix()")
        if photo is not None:
            page.set_input_files(".shutter input", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo})
            page.wait_for_selector(".shot-caption")
        page.fill("#words", text)
        if item:
            page.locator(".pick").last.click()
            page.locator(".sheet .line", has_text=item).first.click()
        self.press(still=still)

    def press(self, *, still: bool = True) -> None:
        """Press the button once; `still`: whatever was reported nearby, report all the same."""
        self.page.click("#report")
        self.page.wait_for_selector(".near, .view-mine .rows")
        if still and self.page.locator(".near").count():
            self.page.locator(".sheet-foot .main").click()
        self.page.wait_for_selector(".view-mine .rows")

    def states(self) -> list[str]:
        """State of each report and step on the phone, oldest first."""
        return list(
            self.page.evaluate(
                "async () => (await phone.store.all('outbox')).sort((a, b) => a.made_at - b.made_at).map(r => r.state)"
            )
        )

    def wait_states(self, *states: str, timeout_s: float = 20) -> None:
        """Wait until what is on the phone stands so."""
        until = time.monotonic() + timeout_s
        while (found := self.states()) != list(states):
            assert time.monotonic() < until, f"{found}, not {list(states)}"
            self.page.wait_for_timeout(60)


@contextmanager
def hand(
    browser: Browser, phones: Phones, *, who: str | None = None, at: tuple[float, float] | None = None, **context: Any
) -> Iterator[Hand]:
    """Take a fresh phone; `who`: signed in on it; `at`: where it is, default the first grid."""
    place = at or phones.county.at(phones.county.scratch.grids[0])
    options: dict[str, Any] = {"viewport": SIZE, "device_scale_factor": 1, "is_mobile": True, "has_touch": True, "locale": "zh-CN",
                               "permissions": ["geolocation"], "geolocation": {"longitude": place[0], "latitude": place[1], "accuracy": 6}}  # fmt: skip
    fresh = browser.new_context(**(options | context))
    fresh.set_default_timeout(15_000)
    if who:
        fresh.add_cookies([phones.cookie(who)])  # type: ignore[list-item]
    page = fresh.new_page()
    held = Hand(page, phones.base, context=fresh)
    held._watch(page)
    try:
        yield held
    finally:
        fresh.close()


def picture(colour: tuple[int, int, int] = (90, 120, 60), *, size: tuple[int, int] = (2400, 1800)) -> bytes:
    """A photo as a camera would make it, large and with a position in the file."""
    image = Image.effect_noise(size, 40).convert("RGB")
    image.paste(colour, (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (37.0, 12.0, 11.2), "E", (115.0, 2.0, 9.9)
    gps[0x10], gps[0x11] = "T", 135.0
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 10:41:00"
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, exif=exif)
    return out.getvalue()
