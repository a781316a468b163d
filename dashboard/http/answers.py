"""The gate's own answers: who is not signed in, not allowed, too fast, or asks for what is not there."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from dashboard.http.render import render
from dashboard.http.routes import Kind
from gis.access.principal import Principal
from gis.errors import OnemapError

LOGIN = "/login"
# Never a page, whatever the browser says it accepts: a script asked.
_SCRIPT_PATHS = ("/_dash-", "/_reload-hash", "/tiles", "/api", "/open311/", "/assets/", "/vendor/", "/healthz")


def safe_next(asked: str | None) -> str:
    """Return a local address to go to after signing in; anything that leads elsewhere becomes ``/``.

    Browsers read ``\\`` as ``/`` and drop tabs and line breaks, so ``/\\host`` and ``/<tab>/host`` leave the site too.
    """
    text = asked or "/"
    if len(text) > 2000 or any(ord(c) <= 0x20 or c in "\\\x7f" for c in text):
        return "/"
    # Said once or twice in percent signs, it must still be a local path.
    for _ in range(3):
        if not text.startswith("/") or text.startswith("//") or any(ord(c) < 0x20 or c == "\\" for c in text):
            return "/"
        text = unquote(text)
    text = asked or "/"
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or parts.path.startswith(("/login", "/logout")):
        return "/"
    return text


def login_address(scope: Scope) -> str:
    """Return the login with the way back to what was asked for."""
    query = scope.get("query_string", b"").decode("latin-1")
    asked = scope["path"] + (f"?{query}" if query else "")
    wanted = safe_next(asked)
    return LOGIN if wanted == "/" else f"{LOGIN}?next={quote(wanted, safe='/')}"


def wants_page(scope: Scope, kind: Kind | None) -> bool:
    """Whether a person looks at the answer: then it is a page, otherwise JSON."""
    if kind is not None and kind != "page":
        return False
    if scope["path"].startswith(_SCRIPT_PATHS):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def not_signed_in(scope: Scope, kind: Kind | None) -> Response:
    """401 for scripts; people are led to the login."""
    if wants_page(scope, kind):
        return RedirectResponse(login_address(scope), status_code=303)
    return said(401, "NotSignedIn", "还没有登录，或登录已经过期。", "请重新登录。")


def refused(scope: Scope, kind: Kind | None, principal: Principal, *, why: str = "") -> Response:
    """403: signed in, but not theirs."""
    if wants_page(scope, kind):
        return HTMLResponse(
            render("refused.html", principal=principal, home=home_of(principal), why=why), status_code=403
        )
    return said(403, "Forbidden", why or "这里不归您管。", "需要的话，请找县里的安全管理员开通。")


def foreign(scope: Scope, kind: Kind | None) -> Response:
    """403: a write that did not come from our own page."""
    message, step = "这个请求不是从本系统的页面发出的，没有执行。", "请回到本系统的页面再操作一次。"
    if wants_page(scope, kind):
        return HTMLResponse(
            render("said.html", title="没有执行", message=message, step=step, home="/"), status_code=403
        )
    return said(403, "Forbidden", message, step)


def absent(scope: Scope, kind: Kind | None, principal: Principal | None, *, methods: frozenset[str]) -> Response:
    """404, or 405 when the address exists and the method does not."""
    status = 405 if methods else 404
    headers = {"Allow": ", ".join(sorted(methods))} if methods else None
    if wants_page(scope, kind):
        home = home_of(principal) if principal else LOGIN
        page = render(
            "said.html", title="没有这个页面", message="地址可能写错了，或者页面已经搬走。", step="", home=home
        )
        return HTMLResponse(page, status_code=status, headers=headers)
    answer = said(status, "NotFound", "没有这个地址。", "请检查地址。")
    answer.headers.update(headers or {})
    return answer


def too_fast(scope: Scope, kind: Kind | None, *, seconds: int) -> Response:
    """429 with the time to wait."""
    message, step = f"操作太快了，请等 {seconds} 秒再试。", "多人共用一个网络出口时也会这样，稍后会自动恢复。"
    if wants_page(scope, kind):
        answer: Response = HTMLResponse(
            render("said.html", title="请稍等", message=message, step=step, home="/"), status_code=429
        )
    else:
        answer = said(429, "TooManyRequests", message, step)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def failed(scope: Scope, kind: Kind | None, error: OnemapError) -> Response:
    """A deliberate error in words."""
    if wants_page(scope, kind):
        page = render("said.html", title="现在做不了", message=error.message, step=error.next_step, home="/")
        return HTMLResponse(page, status_code=error.status)
    return said(error.status, type(error).__name__, error.message, error.next_step)


def said(status: int, name: str, message: str, step: str) -> Response:
    """JSON of one shape for every refusal; nobody keeps it."""
    return JSONResponse(
        {"error": name, "message": message, "next_step": step},
        status_code=status,
        headers={"Cache-Control": "no-store"},
    )


def home_of(principal: Principal, request: Request | None = None) -> str:
    """Where somebody starts: the map, or their part of the administration; who works in the field, on a phone: their tasks.

    Parameters
    ----------
    request : Request or None
        What they hold is read from its headers; None: not known, so not a phone.
    """
    if request is not None and principal.role in FIELD and is_phone(request):
        return "/m/tasks"
    return "/" if principal.may("map.view") else "/admin" if ADMIN & principal.permissions else "/password"


def is_phone(request: Request) -> bool:
    """Whether a telephone asks. Chromium says so in a header of its own, all others in the name they give themselves."""
    return request.headers.get("sec-ch-ua-mobile") == "?1" or "Mobi" in request.headers.get("user-agent", "")


FIELD = frozenset({"village_cadre", "grid_member"})
ADMIN = frozenset({"account.manage", "scope.manage", "session.manage", "audit.read"})
