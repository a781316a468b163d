"""`GET /api/suggest?text=`: which item a report is probably about. Shown with its confidence, never applied by itself."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.jsons import answer, failed
from gis.cases.suggest import Suggest
from gis.errors import BadRequest, OnemapError

_LONGEST = 500


def router(suggest: Suggest) -> APIRouter:
    """Return the route; public, because whoever reports without an account is helped too."""
    routes = APIRouter()

    async def suggestions(request: Request) -> Response:
        text = request.query_params.get("text", "")
        try:
            if len(text) > _LONGEST:
                raise BadRequest(f"文字太长，最多 {_LONGEST} 字。", next_step="用前几句话来问。")
            found = await anyio.to_thread.run_sync(suggest, text)
        except OnemapError as error:
            return failed(error)
        return answer({
            "suggestions": [
                {"item_code": s.code, "item_name": s.name, "confidence": round(s.share, 4), "because": "、".join(s.because)} for s in found
            ]
        })  # fmt: skip

    routes.add_api_route("/api/suggest", suggestions, methods=["GET"], include_in_schema=False)
    return routes
