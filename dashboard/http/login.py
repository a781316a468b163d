"""Signing in and out: password, second factor, a new password, the county's identity provider. Written by the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import anyio.to_thread
import segno
from anyio import CapacityLimiter
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard.http.answers import home_of, safe_next
from dashboard.http.form import read_form
from dashboard.http.gate import COOKIE
from dashboard.http.render import render
from gis.access.oidc import Provider
from gis.access.principal import Principal
from gis.access.sign_in import SignedIn, SignIn, Visitor
from gis.errors import BadRequest, NotFound, OnemapError, StoreUnavailable

# argon2 takes about 20 MB and a core for each; more at once would only slow all of them.
_THREADS = 2
_STEPS = {"second_factor": "/login/code", "enrolment": "/login/code", "new_password": "/login/password"}
_TICKET, _NEXT = "onemap_ticket", "onemap_next"
_ISSUER = "乡村治理一张图"


@dataclass(frozen=True)
class DemoLine:
    """One line of the list under the login of a demo start: filled in by one tap."""

    login: str
    password: str
    role_name: str
    where: str


@dataclass(frozen=True)
class Problem:
    """What went wrong, for the page: message, next step, seconds to wait when it is only too early."""

    message: str
    step: str
    seconds: int = 0

    @classmethod
    def of(cls, error: OnemapError) -> Problem:
        """Read an error of the identity core."""
        seconds = int(getattr(error, "retry_after_s", 0) or 0)
        return cls(error.message, error.next_step, seconds)


def router(
    sign_in: SignIn,
    *,
    end: Callable[[str], None],
    county: Callable[[], str],
    password_rule: str,
    secure: bool,
    demo: Callable[[str | None, str | None], Sequence[DemoLine]] = lambda address, host: (),
    identity: Provider | None = None,
) -> APIRouter:
    """Return the routes of signing in.

    Parameters
    ----------
    sign_in : SignIn
        The steps; blocking, called in threads.
    end : callable
        Ends the session of a token.
    county : callable
        Name of the county, under the title.
    password_rule : str
        What a new password must be like, one sentence.
    secure : bool
        Whether people come by https: the cookie then never travels without.
    demo : callable
        Accounts to offer to a browser at an address that asked under a host's name; empty unless all of it is a demo on this machine.
    identity : Provider or None
        The county's identity provider.
    """
    routes = APIRouter()
    limiter: list[CapacityLimiter] = []

    async def blocking(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not limiter:
            limiter.append(CapacityLimiter(_THREADS))
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=limiter[0])

    def visitor(request: Request) -> Visitor:
        return Visitor(request.client.host if request.client else None, request.headers.get("user-agent", "")[:200])

    async def login_page(
        request: Request, next_: str, *, login: str = "", error: OnemapError | None = None, note: str = ""
    ) -> HTMLResponse:
        try:
            # The name this page was asked under too: another site's name that leads here is another site.
            lines = await blocking(demo, request.client.host if request.client else None, request.url.hostname)
            name = await blocking(county)
        except StoreUnavailable as away:
            lines, name, error = (), "", error or away
        page = render(
            "login.html", county=name, next=next_, login=login, error=Problem.of(error) if error else None, note=note,
            county_login=identity is not None, demo=lines,
        )  # fmt: skip
        return answer(page, error)

    def into(done: SignedIn, next_: str) -> Response:
        step = _STEPS.get(done.awaiting) if done.awaiting else None
        # "/" is asked again of the login, which knows by then who came in and where they start.
        target = f"{step}?next={quote(next_, safe='/')}" if step else next_ if next_ != "/" else "/login"
        response = RedirectResponse(target, status_code=303)
        response.set_cookie(COOKIE, done.token, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    async def show(request: Request) -> Response:
        principal, next_ = request.state.principal, safe_next(request.query_params.get("next"))
        if principal is not None and "again" not in request.query_params:
            return RedirectResponse(next_ if next_ != "/" else home_of(principal, request), status_code=303)
        note = "已经退出。" if "out" in request.query_params else ""
        if "expired" in request.query_params:
            note = "登录已经过期，请再登录一次，然后回到刚才的页面。"
        return await login_page(request, next_, note=note)

    async def enter(request: Request) -> Response:
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            next_ = safe_next(form.get("next"))
            done = await blocking(
                sign_in.by_password, login=form.get("login", "").lower(), password=form.get("password", ""),
                visitor=visitor(request), old_token=request.cookies.get(COOKIE),
            )  # fmt: skip
        except OnemapError as error:
            return await login_page(request, safe_next(form.get("next")), login=form.get("login", ""), error=error)
        return into(done, next_)

    async def code_page(request: Request, next_: str, error: OnemapError | None = None) -> Response:
        token = request.cookies.get(COOKIE, "")
        awaiting = await blocking(sign_in.awaiting, token) if token else None
        if awaiting == "second_factor":
            return answer(render("code.html", next=next_, error=Problem.of(error) if error else None), error)
        if awaiting == "enrolment":
            offer = await blocking(sign_in.enrolment, token, issuer=_ISSUER)
            qr = segno.make(offer.uri, error="m").svg_data_uri(scale=4, border=1)
            problem = Problem.of(error) if error else None
            page = render("enrol.html", next=next_, error=problem, qr=qr, uri=offer.uri, secret=grouped(offer.secret))
            return answer(page, error)
        return RedirectResponse(start_of(awaiting, next_), status_code=303)

    async def code(request: Request) -> Response:
        return await code_page(request, safe_next(request.query_params.get("next")))

    async def code_given(request: Request) -> Response:
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            done = await blocking(
                sign_in.by_second_factor, request.cookies.get(COOKIE, ""), code=form.get("code", "").replace(" ", ""),
                visitor=visitor(request),
            )  # fmt: skip
        except OnemapError as error:
            return await code_page(request, safe_next(form.get("next")), error)
        return into(done, safe_next(form.get("next")))

    def password_page(next_: str, action: str, principal: Principal | None, error: OnemapError | None) -> HTMLResponse:
        page = render(
            "password.html", next=next_, action=action, principal=principal, home=home_of(principal) if principal else "/login",
            rule=password_rule, error=Problem.of(error) if error else None,
        )  # fmt: skip
        return answer(page, error)

    async def first_password(request: Request) -> Response:
        token, next_ = request.cookies.get(COOKIE, ""), safe_next(request.query_params.get("next"))
        awaiting = await blocking(sign_in.awaiting, token) if token else None
        if awaiting != "new_password":
            return RedirectResponse(start_of(awaiting, next_), status_code=303)
        return password_page(next_, "/login/password", None, None)

    async def first_password_given(request: Request) -> Response:
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            check_repeat(form)
            done = await blocking(
                sign_in.new_password,
                request.cookies.get(COOKIE, ""),
                password=form.get("password", ""),
                visitor=visitor(request),
            )
        except OnemapError as error:
            return password_page(safe_next(form.get("next")), "/login/password", None, error)
        return into(done, safe_next(form.get("next")))

    async def own_password(request: Request) -> Response:
        return password_page("/", "/password", request.state.principal, None)

    async def own_password_given(request: Request) -> Response:
        principal = request.state.principal
        try:
            form = await read_form(request)
            check_repeat(form)
            done = await blocking(
                sign_in.change_password,
                principal,
                old=form.get("old", ""),
                new=form.get("password", ""),
                visitor=visitor(request),
            )
        except OnemapError as error:
            return password_page("/", "/password", principal, error)
        return into(done, "/")

    async def leave(request: Request) -> Response:
        await blocking(end, request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/login?out=1", status_code=303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=secure)
        # Nothing of this person stays in the browser of a shared machine.
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    async def depart(request: Request) -> Response:
        try:
            if identity is None:
                raise NotFound("本县没有接入统一身份登录。", next_step="请用账号和密码登录。")
            departure = await blocking(identity.depart)
        except OnemapError as error:
            return await login_page(request, safe_next(request.query_params.get("next")), error=error)
        response = RedirectResponse(departure.url, status_code=303)
        kept = {_TICKET: departure.ticket, _NEXT: quote(safe_next(request.query_params.get("next")))}
        for name, value in kept.items():
            # Lax: it must come along when the provider sends the browser back.
            response.set_cookie(
                name, value, max_age=600, httponly=True, samesite="lax", secure=secure, path="/login/county"
            )
        return response

    async def arrive(request: Request) -> Response:
        next_ = safe_next(unquote(request.cookies.get(_NEXT, "/")))
        try:
            if identity is None:
                raise NotFound("本县没有接入统一身份登录。", next_step="请用账号和密码登录。")
            who = await blocking(
                identity.arrive, ticket=request.cookies.get(_TICKET, ""), params=dict(request.query_params)
            )
            done = await blocking(
                sign_in.by_identity, subject=who.subject, login=who.login, display_name=who.display_name, visitor=visitor(request),
                old_token=request.cookies.get(COOKIE),
            )  # fmt: skip
            response = into(done, next_)
        except OnemapError as error:
            response = await login_page(request, next_, error=error)
        for name in (_TICKET, _NEXT):
            response.delete_cookie(name, path="/login/county", httponly=True, samesite="lax", secure=secure)
        return response

    # Plain routes: FastAPI's own reading of parameters has nothing to do here.
    for path, get, post in (
        ("/login", show, enter),
        ("/login/code", code, code_given),
        ("/login/password", first_password, first_password_given),
        ("/password", own_password, own_password_given),
    ):
        routes.add_route(path, get, methods=["GET"], include_in_schema=False)
        routes.add_route(path, post, methods=["POST"], include_in_schema=False)
    routes.add_route("/login/county", depart, methods=["GET"], include_in_schema=False)
    routes.add_route("/login/county/return", arrive, methods=["GET"], include_in_schema=False)
    routes.add_route("/logout", leave, methods=["POST"], include_in_schema=False)
    return routes


def answer(page: str, error: OnemapError | None) -> HTMLResponse:
    """Return a page with the status of what went wrong, if anything did."""
    response = HTMLResponse(page, status_code=error.status if error else 200)
    if error is not None and (seconds := Problem.of(error).seconds):
        response.headers["Retry-After"] = str(seconds)
    return response


def start_of(awaiting: str | None, next_: str) -> str:
    """Return the page of a step, or the login when there is none under way."""
    return f"{_STEPS.get(awaiting or '', '/login')}?next={quote(next_, safe='/')}"


def check_repeat(form: dict[str, str]) -> None:
    """Refuse a new password that was typed in two ways."""
    if form.get("password") != form.get("repeat"):
        raise BadRequest("两遍输入的新密码不一样。", next_step="请重新输入。")


def grouped(secret: str) -> str:
    """Return a key in groups of four, as authenticators show it."""
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
