"""The one gate: deny by default, in front of everything the application serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
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
_DAY_S = 86400.0

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
    display_life_s : int
        Seconds a wall display's browser keeps its cookie; renewed once a day while it asks for anything.
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
        display_life_s: int = 30 * 86400,
    ) -> None:
        self.app = app
        self.table = table
        self.resolve = resolve
        self.limits = limits
        self.csp = csp
        self._secure = (public_url or "").startswith("https://")
        self._our_host = urlsplit(public_url).netloc.lower() if public_url else None
        self._threads: CapacityLimiter | None = None
        self._display_life_s = display_life_s
        self._renewed: dict[bytes, float] = {}

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
        token: str | None = None
        bearer = _bearer(headers)

        async def answer(response: Response) -> None:
            await response(scope, receive, self._dressed(send, rule))

        try:
            token = bearer or cookie_parser(headers.get("cookie", "")).get(COOKIE)
            # What is the same for everybody needs nobody; a public page or interface may know who asks all the same.
            if token and not (rule and (rule.keyed or (rule.public and rule.kind == "file"))):
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
            if writes and not bearer and not (rule.keyed or self._from_our_page(headers)):
                return await answer(answers.foreign(scope, kind))
            if scope["path"] == CALLBACK and principal is not None:
                body, receive = await _read(_Pace(receive).receive, limit=CALLBACK_BYTES)
                refusal = self._callback_refused(scope, body, principal)
                if refusal is not None:
                    return await answer(refusal)
        except OnemapError as error:
            # The store is away: nobody can be known, so nobody comes in.
            return await answer(answers.failed(scope, kind, error))

        scope.setdefault("state", {})["principal"] = principal
        pace = None
        if scope["method"] not in _SAFE and scope["path"] != CALLBACK:
            pace = _Pace(receive)
            receive = pace.receive
        holder = current.set(principal)
        try:
            await self.app(scope, receive, self._dressed(send, rule, renewed=self._renewal(principal, token, bearer)))
        except ClientDisconnect:
            # Whoever sends a byte now and then would hold a connection for ever; whoever is gone needs no answer.
            if pace is not None and pace.too_slow:
                await answer(
                    answers.failed(scope, kind, TooSlow("发送得太慢，没有收完。", next_step="网络好一些再试。"))
                )
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
            # What anybody may do has a limit of its own where it writes, or could be guessed.
            own = rule is not None and rule.public and rule.rate != "request"
            return self.limits.hit(rule.rate if rule and own else ANONYMOUS, address or "unknown")
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

    def _renewal(self, principal: Principal | None, token: str | None, bearer: str | None) -> str | None:
        """Return a display's cookie anew, once a day: a wall that is on stays in, whatever page it shows."""
        if principal is None or not principal.is_device or principal.token_hash is None or bearer or token is None:
            return None
        now = time.monotonic()
        if now - self._renewed.get(principal.token_hash, -_DAY_S) < _DAY_S:
            return None
        self._renewed[principal.token_hash] = now
        secure = "; Secure" if self._secure else ""
        return f"{COOKIE}={token}; HttpOnly; Max-Age={self._display_life_s}; Path=/; SameSite=lax{secure}"

    def _dressed(self, send: Send, rule: Rule | None, *, renewed: str | None = None) -> Send:
        """Wrap `send`: headers of every answer, and none of a person's bytes in a cache that others share."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if renewed is not None:
                    headers.append("Set-Cookie", renewed)
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


class TooSlow(OnemapError):
    """发送太慢: a body that comes slower than any real connection."""

    status = 408


class _Pace:
    """Hands out a body as long as it comes at a pace; later it reports that the sender is gone, which frees the handler.

    Parameters
    ----------
    receive : Receive
    grace_s : float
        Time every body has.
    bytes_per_s : float
        What it must bring on the average after that; a village's worst mobile link brings ten times as much.
    """

    def __init__(self, receive: Receive, *, grace_s: float = 30.0, bytes_per_s: float = 1000.0) -> None:
        self._receive = receive
        self._until = time.monotonic() + grace_s
        self._bytes_per_s = bytes_per_s
        self._whole = False
        self.too_slow = False

    async def receive(self) -> Message:
        if self._whole:  # what follows is only whether the client is still there
            return await self._receive()
        with anyio.move_on_after(max(0.0, self._until - time.monotonic())) as waited:
            message = await self._receive()
        if waited.cancelled_caught:
            self._whole = self.too_slow = True
            return {"type": "http.disconnect"}
        self._until += len(message.get("body", b"")) / self._bytes_per_s
        self._whole = not message.get("more_body", False)
        return message


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
