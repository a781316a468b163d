"""JSON of the case routes: dataclasses and moments as they are, deliberate errors in words, nothing kept by anybody."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from gis.errors import Conflict, OnemapError

_KEEP_NOTHING = {"Cache-Control": "no-store"}


def answer(content: Any, *, status: int = 200) -> Response:
    """Turn dataclasses, dicts, lists, moments (ISO 8601 with offset) into an answer."""
    body = orjson.dumps(content, default=_plain)
    return Response(body, status_code=status, media_type="application/json", headers=_KEEP_NOTHING)


def failed(error: OnemapError, *, card: Any = None) -> Response:
    """An error of ours: kind, sentence, what to do next; the faults field by field; the fresh card of who came second."""
    said: dict[str, Any] = {"error": type(error).__name__, "message": error.message, "next_step": error.next_step}
    if faults := getattr(error, "faults", None):
        said |= {"error": "BadRequest", "faults": faults}
    if isinstance(error, Conflict) and card is not None:
        said["card"] = card
    response = answer(said, status=error.status)
    if wait := getattr(error, "retry_after_s", 0):
        response.headers["Retry-After"] = str(wait)
    if error.status == 413:
        response.headers["Connection"] = "close"  # the rest of the body is not wanted
    return response


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
