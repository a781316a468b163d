"""The routes of the phone: its page, its files, who is signed in, where a point lies, and the code of a link to keep."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
import segno
from anyio import CapacityLimiter
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from dashboard.headers import current_language
from dashboard.http.answers import said
from dashboard.http.tiles import failure
from dashboard.phone import tiles
from dashboard.phone.shell import CSP, STATIC, Shell
from gis.divisions.where import Ground, Whereabouts
from gis.errors import BadRequest, OnemapError
from gis.settings import Settings
from gis.store.pool import Pool
from gis.tiles.service import TileService

# Addresses that are the one page; the page reads from its address what to show.
PAGES = ("/m", "/m/report", "/m/mine", "/m/tasks", "/m/notices", "/m/t/{case_no}", "/m/f", "/m/f/{code}")
PREFIXES = ("/m/",)
EXACT = frozenset({"/m"})
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{5}-?[0-9A-HJKMNP-TV-Z]{5}")  # Crockford's alphabet
_YEAR, _EACH_TIME = "public, max-age=31536000, immutable", "no-cache"
_THREADS = 4


def router(settings: Settings, *, pool: Pool, service: TileService) -> APIRouter:
    """Return everything under ``/m``.

    Parameters
    ----------
    pool : Pool
        Reads the division tree.
    service : TileService
        Shared with ``/tiles``, whose router opens and closes it.
    """
    shell, whereabouts = Shell(settings), Whereabouts(pool)
    limiter: list[CapacityLimiter] = []

    async def blocking(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not limiter:
            limiter.append(CapacityLimiter(_THREADS))
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=limiter[0])

    async def page(request: Request) -> Response:
        return HTMLResponse(shell.page(current_language.get()), headers={"Content-Security-Policy": CSP})

    async def worker(request: Request) -> Response:
        headers = {"Cache-Control": _EACH_TIME, "Service-Worker-Allowed": "/m"}
        return Response(shell.worker(), media_type="text/javascript", headers=headers)

    async def manifest(request: Request) -> Response:
        content = shell.manifest(current_language.get())
        return JSONResponse(
            content, media_type="application/manifest+json", headers={"Cache-Control": "public, max-age=3600"}
        )

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in shell.files:
            return said(404, "NotFound", "没有这个文件。", "")
        kept = _YEAR if "v" in request.query_params else _EACH_TIME
        return FileResponse(STATIC / name, media_type=shell.files[name], headers={"Cache-Control": kept})

    async def me(request: Request) -> Response:
        principal = request.state.principal
        try:
            ground = await blocking(_ground, whereabouts, principal.scope if principal else ())
        except OnemapError as e:
            return failure(e)
        account = (
            {
                "account_id": principal.account_id,
                "name": principal.display_name,
                "role": principal.role,
                "role_name": principal.role_name,
                "may": sorted(principal.permissions),
            }
            if principal
            else None
        )
        return JSONResponse({"account": account, "ground": _said(ground)}, headers={"Cache-Control": "no-store"})

    async def where(request: Request) -> Response:
        try:
            lon, lat = (_number(request.query_params.get(name)) for name in ("lon", "lat"))
            found = await blocking(whereabouts.at, lon=lon, lat=lat)
        except OnemapError as e:
            return failure(e)
        content = {"township": found.township, "village": found.village, "grid": found.grid, "inside": found.inside}
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    async def picture(request: Request) -> Response:
        code = request.path_params["code"].upper()
        if not _CODE.fullmatch(code):
            return said(404, "NotFound", "查询码不对。", "查询码是 10 位字母和数字，请核对。")
        base = (settings.public_url or str(request.base_url)).rstrip("/")
        drawn = segno.make(f"{base}/m/f/{code}", error="m").svg_inline(scale=4, border=2, omitsize=True)
        svg = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})

    routes = APIRouter()
    routes.include_router(tiles.router(service))
    for path, answer in (
        ("/m/sw.js", worker), ("/m/manifest.webmanifest", manifest), ("/m/a/{name}", file), ("/m/me", me), ("/m/where", where),
        ("/m/f/{code}/qr.svg", picture), *((path, page) for path in PAGES),
    ):  # fmt: skip
        routes.add_route(path, answer, methods=["GET"], include_in_schema=False)
    return routes


def _ground(whereabouts: Whereabouts, scope: tuple[str, ...]) -> Ground | None:
    """Where somebody's map begins: their first division, or the county."""
    return (whereabouts.named(scope[0]) if scope else None) or whereabouts.county()


def _said(ground: Ground | None) -> dict[str, Any] | None:
    return (
        {"code": ground.code, "name": ground.name, "within": ground.within, "bounds": ground.bounds} if ground else None
    )


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError as e:
        raise BadRequest("位置要写成两个数。", next_step="请重新定位，或在图上移动图钉。") from e
