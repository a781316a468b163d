"""`POST /api/reveal`: one personal field of one person, for a reason, for a minute; on record whatever the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import anyio.to_thread
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboard.http.answers import said
from gis.access.principal import Principal
from gis.access.reveal import Revealed
from gis.errors import NotFound, OnemapError

_BYTES = 4000

# principal, kind, id, field, reason → value; blocking
Reveal = Callable[..., Revealed]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: str = Field(max_length=40)
    id: str | int
    field: str = Field(max_length=40)
    reason: str = Field(max_length=200)


def router(reveal: Reveal, *, seconds: int) -> APIRouter:
    """Return the route.

    Parameters
    ----------
    reveal : callable
        gis.access.reveal.reveal with its store, keys and rules bound.
    seconds : int
        How long the page may show the value.
    """
    routes = APIRouter()

    async def answer(request: Request) -> Response:
        principal: Principal = request.state.principal
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _BYTES:
                return said(413, "TooLarge", "请求太大。", "请刷新页面再试。")
        try:
            asked = _Asked.model_validate(json.loads(body))
            if "\x00" in f"{asked.kind}{asked.id}{asked.field}{asked.reason}":
                raise ValueError("NUL")
        except (ValidationError, ValueError, RecursionError):
            return said(400, "BadRequest", "请求有误，没有显示。", "请刷新页面再试。")
        try:
            shown = await anyio.to_thread.run_sync(
                partial(reveal, principal=principal, kind=asked.kind, object_id=str(asked.id), field=asked.field,
                        reason=asked.reason.strip())
            )  # fmt: skip
        except NotFound:
            # One answer for what is elsewhere and for what is nowhere, word for word.
            return said(404, "NotFound", "没有这项信息。", "刷新页面后再试。")
        except OnemapError as error:
            response = said(error.status, type(error).__name__, error.message, error.next_step)
            if wait := getattr(error, "retry_after_s", 0):
                response.headers["Retry-After"] = str(wait)
            return response
        return JSONResponse({"value": shown.value, "seconds": seconds}, headers={"Cache-Control": "no-store"})

    routes.add_route("/api/reveal", answer, methods=["POST"], include_in_schema=False)
    return routes
