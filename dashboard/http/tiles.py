"""The routes of the vector tiles: parse, one call, answer."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gis.errors import OnemapError
from gis.settings import Settings
from gis.tiles.service import TileAnswer, TileService

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"


def router(settings: Settings, *, service: TileService | None = None) -> APIRouter:
    """Return ``/tiles/layers.json`` and ``/tiles/{layer}/{z}/{x}/{y}.mvt``; it opens and closes the service itself.

    A gate in front sets ``request.state.principal``; without one every layer is served.

    Raises
    ------
    DefinitionError
        When a layer definition does not load.
    """
    tiles = service or TileService(settings)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await tiles.open()
        try:
            yield
        finally:
            await tiles.close()

    async def catalogue(request: Request) -> Response:
        try:
            content = await tiles.catalogue(principal=getattr(request.state, "principal", None))
        except OnemapError as e:
            return failure(e)
        return JSONResponse(content, headers={"Cache-Control": "private, no-cache"})

    api = APIRouter(lifespan=lifespan)
    # Plain routes: the path is checked by the service, in Chinese, so FastAPI's own 422 has nothing to do here.
    # A plain route lets HEAD in beside GET.
    api.add_route("/tiles/layers.json", catalogue, methods=["GET"], include_in_schema=False)
    api.routes.append(
        Route("/tiles/{layer}/{z}/{x}/{y}.mvt", _OneTile(tiles), methods=["GET"], include_in_schema=False)
    )
    return api


class _OneTile:
    """The route of a tile, as an ASGI application of its own: a request object is of no use to it.

    Called on the application's every pan and zoom by the dozen, so what others may spend on convenience it does not.
    """

    def __init__(self, tiles: TileService) -> None:
        self._tiles = tiles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, headers = scope["path_params"], Headers(scope=scope)
        try:
            answer = await self._tiles.tile(
                asked["layer"], asked["z"], asked["x"], asked["y"],
                if_none_match=headers.get("if-none-match"),
                principal=scope.get("state", {}).get("principal"),
            )  # fmt: skip
        except OnemapError as e:
            return await failure(e)(scope, receive, send)
        await respond(answer, accept_encoding=headers.get("accept-encoding", ""))(scope, receive, send)


def respond(answer: TileAnswer, *, accept_encoding: str) -> Response:
    """Turn an answer into a response; a client that cannot unpack gets the tile plain."""
    headers = {"ETag": answer.etag, "Cache-Control": answer.cache_control, "Vary": "Accept-Encoding"}
    if answer.source != "none":
        headers["X-Tile-Source"] = answer.source
    if answer.level:
        headers["X-Tile-Level"] = answer.level
    if answer.coarser:
        headers["X-Tile-Coarser"] = answer.coarser
    if answer.status != 200:
        return Response(status_code=answer.status, headers=headers)
    body = answer.body
    if "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=MEDIA_TYPE)


def failure(error: OnemapError) -> Response:
    """Turn a deliberate error into JSON a person understands; nobody keeps it."""
    return JSONResponse(
        {"error": type(error).__name__, "message": error.message, "next_step": error.next_step},
        status_code=error.status,
        headers={"Cache-Control": "no-store"},
    )
