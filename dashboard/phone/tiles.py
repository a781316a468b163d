"""The base map for everybody: the same tiles as `/tiles`, asked as a stranger, so only layers open to the role public."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dashboard.http.tiles import failure, respond
from gis.errors import OnemapError
from gis.tiles.service import TileService

# The base map of a county changes with its divisions and roads, not by the hour; a phone may keep it a while.
_KEPT = "public, max-age=3600, stale-while-revalidate=604800"


@dataclass(frozen=True)
class _Stranger:
    """Nobody, as the tiles ask: the role public, no account, no scope."""

    account_id: int = 0
    address: str | None = None
    roles: tuple[str, ...] = ("public",)
    scope: tuple[str, ...] = ()
    scope_key: str = "public"


STRANGER = _Stranger()


def router(tiles: TileService) -> APIRouter:
    """Return ``/m/tiles/layers.json`` and ``/m/tiles/{layer}/{z}/{x}/{y}.mvt``; the service is opened by its own router."""

    async def catalogue(request: Request) -> Response:
        try:
            content = await tiles.catalogue(principal=STRANGER)
        except OnemapError as e:
            return failure(e)
        for layer in content["layers"]:
            layer["tiles"] = "/m" + layer["tiles"]
        return JSONResponse(content, headers={"Cache-Control": _KEPT})

    routes = APIRouter()
    routes.add_route("/m/tiles/layers.json", catalogue, methods=["GET"], include_in_schema=False)
    routes.routes.append(
        Route("/m/tiles/{layer}/{z}/{x}/{y}.mvt", _OneTile(tiles), methods=["GET"], include_in_schema=False)
    )
    return routes


class _OneTile:
    """One tile of the public base map, as an ASGI application of its own, like that of `/tiles`."""

    def __init__(self, tiles: TileService) -> None:
        self._tiles = tiles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, headers = scope["path_params"], Headers(scope=scope)
        try:
            answer = await self._tiles.tile(
                asked["layer"], asked["z"], asked["x"], asked["y"],
                if_none_match=headers.get("if-none-match"), principal=STRANGER,
            )  # fmt: skip
        except OnemapError as e:
            return await failure(e)(scope, receive, send)
        response = respond(answer, accept_encoding=headers.get("accept-encoding", ""))
        response.headers["Cache-Control"] = _KEPT
        await response(scope, receive, send)
