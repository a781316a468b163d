"""Files of the pages the server writes: these and no others."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from dashboard.http.answers import said
from dashboard.http.render import FOLDER

FILES = {"sheet.css": "text/css", "sheet.js": "text/javascript", "field.svg": "image/svg+xml"}


def router() -> APIRouter:
    """Return ``/sheet/{name}`` and ``/favicon.ico``."""
    routes = APIRouter()

    async def sheet(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return said(404, "NotFound", "没有这个文件。", "")
        kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
        return FileResponse(FOLDER / name, media_type=FILES[name], headers={"Cache-Control": kept})

    async def favicon(request: Request) -> Response:
        # Asked for by browsers that were not told of our mark.
        return RedirectResponse("/assets/mark.svg", status_code=301)

    routes.add_route("/sheet/{name}", sheet, methods=["GET"], include_in_schema=False)
    routes.add_route("/favicon.ico", favicon, methods=["GET"], include_in_schema=False)
    return routes
