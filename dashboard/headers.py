"""Outermost middleware: the language of the request, what a browser may load and keep, and an honest 404."""

from __future__ import annotations

from contextvars import ContextVar
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.text import Language, catalogue, language_of

current_language: ContextVar[Language] = ContextVar("current_language", default="zh")
current_page: ContextVar[str] = ContextVar("current_page", default="/")
"""Path of the page that is opened, or that asks: a page says it by header, because its requests go to Dash's own addresses."""

TIANDITU = "https://*.tianditu.gov.cn"
_KEEP_YEAR = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"  # kept, and asked about by its ETag


def policy(*, script_hashes: list[str], tianditu: bool) -> str:
    """Return the Content-Security-Policy: nothing but ourselves, and 天地图 only where a key is set.

    MapLibre starts its worker from a blob; Dash and AG Grid set styles from script.
    """
    outside = f" {TIANDITU}" if tianditu else ""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' " + " ".join(script_hashes),
            "style-src 'self' 'unsafe-inline'",
            f"img-src 'self' data: blob:{outside}",
            f"connect-src 'self'{outside}",
            "font-src 'self' data:",
            "worker-src blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _language(scope: Scope) -> Language:
    """The page asks in its address, its requests by header; nothing is remembered on either side."""
    headers = Headers(scope=scope)
    asked = headers.get("x-onemap-language")
    if asked is None:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [None])[0]
    return language_of(asked)


def _page(scope: Scope) -> str:
    path: str = scope["path"]
    return Headers(scope=scope).get("x-onemap-page", "/")[:80] if path.startswith("/_dash-") else path


class Outermost:
    """ASGI middleware in front of everything.

    Parameters
    ----------
    pages : frozenset of str
        Paths that are pages. Dash would answer its index page to any other path too.
    elsewhere : tuple of str
        Prefixes that other routes answer (tiles, vendor files, Dash's own).
    """

    def __init__(self, app: ASGIApp, *, csp: str, pages: frozenset[str], elsewhere: tuple[str, ...]) -> None:
        self.app = app
        self.csp = csp
        self.pages = pages
        self.elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Dash always mounts /_dash-ws-callback; nothing here uses it, so nobody gets in.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        token, page = current_language.set(_language(scope)), current_page.set(_page(scope))

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(path, MutableHeaders(scope=message))
            await send(message)

        try:
            if path not in self.pages and not path.startswith(self.elsewhere):
                await _missing(scope)(scope, receive, dressed)
            else:
                await self.app(scope, receive, dressed)
        finally:
            current_page.reset(page)
            current_language.reset(token)

    def _dress(self, path: str, headers: MutableHeaders) -> None:
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", self.csp)  # the phone's pages bring a stricter one
            headers["X-Frame-Options"] = "DENY"
            headers["Cache-Control"] = "no-store"
        elif path.startswith(("/assets/", "/vendor/")):
            # Dash's assets carry ?m=<time of change>, ours carry ?v=<version>: the address changes with the file.
            headers["Cache-Control"] = _KEEP_YEAR if headers.get("x-onemap-versioned") else _ASK_EACH_TIME
            if "x-onemap-versioned" in headers:
                del headers["x-onemap-versioned"]
        elif path.startswith("/_dash-") and "cache-control" not in headers:
            headers["Cache-Control"] = "no-store"


def _missing(scope: Scope) -> HTMLResponse | JSONResponse:
    t = catalogue(current_language.get())
    if "text/html" not in Headers(scope=scope).get("accept", ""):
        return JSONResponse({"error": t("error.page_missing")}, status_code=404)
    return HTMLResponse(
        f'<!doctype html><html lang="{t.language}"><meta charset="utf-8"><title>404</title>'
        '<link rel="stylesheet" href="/assets/10-base.css">'
        f'<main class="lost"><h1>{t("error.page_missing")}</h1><a href="/">{t("error.page_missing_next")}</a></main></html>',
        status_code=404,
    )
