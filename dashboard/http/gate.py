"""The one gate: deny by default, in front of everything the application serves."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.http import answers
from dashboard.http.ratelimit import ANONYMOUS, SIGN_IN, Limits
from dashboard.http.routes import RouteTable, Rule, asked_callback
from gis.access.principal import Principal, current
from gis.errors import OnemapError

COOKIE = "onemap_session"
CALLBACK = "/_dash-update-component"
CALLBACK_BYTES = 2_000_000  # the largest body of a callback: ids and filters, never data
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_THREADS = 8

# cookie or device token, address → principal; blocking, one indexed query
Resolve = Callable[[str, str | None], Principal | None]


class Gate:
    """ASGI middleware; the outermost one.

    Parameters
    ----------
    table : RouteTable
        What each address needs; an address that is not in it is refused.
    resolve : callable
        Turns a token into a principal, asked at every request: a revoked session is out at once.
    limits : Limits
        How often an address and an account may ask.
    csp : str
        Content-Security-Policy of the gate's own answers and of the pages the server writes.
    public_url : str or None
        Where people reach us, when a proxy stands in front; its origin may write too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        table: RouteTable,
        resolve: Resolve,
        limits: Limits,
        csp: str,
        public_url: str | None = None,
    ) -> None:
        self.app = app
        self.table = table
        self.resolve = resolve
        self.limits = limits
        self.csp = csp
        self._secure = (public_url or "").startswith("https://")
        self._our_host = urlsplit(public_url).netloc.lower() if public_url else None
        self._threads: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            # Nothing here speaks over websockets (live events are plain streams), so nobody gets in, signed in or not.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule, known = self.table.find(scope["path"], scope["method"])
        kind = rule.kind if rule else None
        headers = Headers(scope=scope)
        address = scope["client"][0] if scope.get("client") else None
        principal: Principal | None = None
        bearer = _bearer(headers)

        async def answer(response: Response) -> None:
            await response(scope, receive, self._dressed(send, rule))

        try:
            token = bearer or cookie_parser(headers.get("cookie", "")).get(COOKIE)
            if token and not (rule and rule.public and rule.kind != "page"):
                principal = await self._principal(token, address)
            wait = self._count(rule, principal, address)
            if wait is not None:
                return await answer(answers.too_fast(scope, kind, seconds=wait))
            if principal is None and (rule is None or not rule.public):
                return await answer(answers.not_signed_in(scope, kind))
            if rule is None:
                return await answer(answers.absent(scope, kind, principal, methods=known))
            if principal is not None and not rule.allows(principal.permissions):
                return await answer(answers.refused(scope, kind, principal))
            writes = scope["method"] not in _SAFE
            if writes and principal is not None and principal.is_device and scope["path"] != CALLBACK:
                return await answer(answers.refused(scope, kind, principal, why="大屏只看不改。"))
            # A token in a header is put there by a program that means it; a cookie comes along by itself.
            if writes and not bearer and not self._from_our_page(headers):
                return await answer(answers.foreign(scope, kind))
            if scope["path"] == CALLBACK and principal is not None:
                body, receive = await _read(receive, limit=CALLBACK_BYTES)
                refusal = self._callback_refused(scope, body, principal)
                if refusal is not None:
                    return await answer(refusal)
        except OnemapError as error:
            # The store is away: nobody can be known, so nobody comes in.
            return await answer(answers.failed(scope, kind, error))

        scope.setdefault("state", {})["principal"] = principal
        holder = current.set(principal)
        try:
            await self.app(scope, receive, self._dressed(send, rule))
        finally:
            current.reset(holder)

    async def _principal(self, token: str, address: str | None) -> Principal | None:
        if not 16 <= len(token) <= 200 or not token.isascii():
            return None
        if self._threads is None:
            self._threads = CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(self.resolve, token, address, limiter=self._threads)

    def _count(self, rule: Rule | None, principal: Principal | None, address: str | None) -> int | None:
        """Count the request; a signed-in person by account, because a whole office leaves by one address."""
        if rule is not None and rule.rate == SIGN_IN:
            return self.limits.hit(SIGN_IN, address or "unknown")
        if principal is None:
            return self.limits.hit(ANONYMOUS, address or "unknown")
        return self.limits.hit(rule.rate if rule else "request", str(principal.account_id))

    def _from_our_page(self, headers: Headers) -> bool:
        """Whether a browser says that this write comes from a page of ours; silence is a no."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None and origin is None:
            return False
        if site is not None and site != "same-origin":
            return False
        if origin is None:
            return True
        host = urlsplit(origin).netloc.lower()
        return bool(host) and host in {headers.get("host", "").lower(), self._our_host}

    def _callback_refused(self, scope: Scope, body: bytes | None, principal: Principal) -> Response | None:
        if body is None:
            return answers.said(413, "TooLarge", "请求太大。", "请刷新页面再试。")
        asked = asked_callback(body)
        if asked is None:
            return answers.said(400, "BadRequest", "请求有误。", "请刷新页面再试。")
        needed = self.table.callback(asked)
        # What is not written down does not exist, for anybody.
        if needed is None:
            return answers.said(404, "NotFound", "没有这个操作。", "请刷新页面再试。")
        return None if needed <= principal.permissions else answers.refused(scope, "api", principal)

    def _dressed(self, send: Send, rule: Rule | None) -> Send:
        """Wrap `send`: headers of every answer, and none of a person's bytes in a cache that others share."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._dress(
                    headers, file=rule is not None and rule.kind == "file", public=rule is not None and rule.public
                )
            await send(message)

        return dressed

    def _dress(self, headers: MutableHeaders, *, file: bool, public: bool) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "geolocation=(self), camera=(self), microphone=(), payment=(), usb=()"
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", self.csp)
            headers.setdefault("X-Frame-Options", "DENY")
        if file and public:
            return
        kept = headers.get("cache-control")
        if not file:
            # The browser too is a cache that the next person at this machine shares: another cookie, another answer.
            # Files are the same for everybody and would only be fetched again after every sign-in.
            headers.add_vary_header("Cookie")
        if kept is None or headers.get("content-type", "").startswith("text/html"):
            headers["Cache-Control"] = "no-cache" if file else "no-store"
        elif "public" in kept:
            headers["Cache-Control"] = kept.replace("public", "private")


def _bearer(headers: Headers) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


async def _read(receive: Receive, *, limit: int) -> tuple[bytes | None, Receive]:
    """Read a body and return it with a `receive` that gives it out again; None when it is larger than `limit`."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, receive  # whoever asked is gone; the answer goes nowhere
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None, receive
        if not message.get("more_body", False):
            break
    body, given = b"".join(parts), False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again
