"""The way in of a wall display (指挥大屏): a pairing code, typed in once, becomes a cookie that lasts for weeks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard.http.form import read_form
from dashboard.http.gate import COOKIE
from dashboard.http.login import Problem
from dashboard.http.render import render
from gis.errors import OnemapError

PATH = "/wall/enter"


def router(
    pair: Callable[..., str], *, end: Callable[[str], None], secure: bool, life_s: int
) -> APIRouter:  # fmt: skip
    """Return ``/wall/enter``.

    The token itself is never shown, typed or part of an address: it goes from the server into an HttpOnly cookie.

    Parameters
    ----------
    pair : callable
        gis.access.devices.pair with its store bound; blocking.
    end : callable
        Ends the session a person had in this browser.
    secure : bool
        Whether people come by https.
    life_s : int
        Seconds the browser keeps the cookie; the gate renews it while the display is on.
    """
    routes = APIRouter()

    def page(error: OnemapError | None = None) -> HTMLResponse:
        body = render("wall_enter.html", error=Problem.of(error) if error else None)
        return HTMLResponse(body, status_code=error.status if error else 200)

    async def show(request: Request) -> Response:
        return page()

    async def enter(request: Request) -> Response:
        address = request.client.host if request.client else None
        try:
            form = await read_form(request)
            token = await anyio.to_thread.run_sync(partial(pair, code=form.get("code", ""), address=address))
            if before := request.cookies.get(COOKIE):
                await anyio.to_thread.run_sync(end, before)
        except OnemapError as error:
            return page(error)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(COOKIE, token, max_age=life_s, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    routes.add_route(PATH, show, methods=["GET"], include_in_schema=False)
    routes.add_route(PATH, enter, methods=["POST"], include_in_schema=False)
    return routes
