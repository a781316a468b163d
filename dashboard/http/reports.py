"""`POST /api/reports`, `/api/follow/…`: what a villager without an account may do, and anybody else too."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.jsons import answer, failed
from dashboard.http.upload import Posted, read_posted
from gis.access.principal import Principal
from gis.cases.engine import Cases
from gis.cases.model import Report, Taken
from gis.cases.photos import Photos
from gis.errors import BadRequest, Conflict, Forbidden, NotSignedIn, OnemapError

_THREADS = 8  # as many as the pool has connections


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = ""
    detail: str = ""
    process: str = Field(default="incident", max_length=40)
    item_code: str | None = Field(default=None, max_length=40)
    channel: str = Field(default="public", max_length=40)
    lonlat: list[float | None] | None = None
    source_crs: str | None = Field(default=None, max_length=40)
    accuracy_m: float | None = None
    extent: dict[str, Any] | None = None
    answers: dict[str, Any] = {}
    reporter_name: str | None = None
    reporter_phone: str | None = None
    reporter_address: str | None = None
    asset: tuple[str, int] | None = None
    external_ref: str | None = None
    reported_at: datetime | None = None


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")
    revision: int = Field(ge=0, le=1_000_000)
    answers: dict[str, Any] = {}
    note: str = ""


def router(cases: Cases, photos: Photos) -> APIRouter:
    """Return the routes.

    Parameters
    ----------
    photos : Photos
        Where photos are taken in.
    """
    routes = APIRouter()
    threads = Threads()

    async def report(request: Request) -> Response:
        try:
            principal = meant_principal(request)
            key = request.headers.get("idempotency-key", "")
            if not key:
                raise BadRequest("缺少提交凭据。", next_step="请求头 Idempotency-Key 用一个 UUID，每次上报换一个新的。")
            posted = await read_posted(request, name="report", store=photos)
            sent = Report(key=key, photos=posted.photos, **_model(_Report, posted.content))
            receipt = await threads.run(partial(cases.report, sent, principal=principal))
        except OnemapError as error:
            return failed(error)
        return answer(receipt, status=200 if receipt.repeated else 201)

    async def follow(request: Request) -> Response:
        try:
            return answer(await threads.run(partial(cases.follow, request.path_params["code"])))
        except OnemapError as error:
            return failed(error)

    async def follow_step(request: Request) -> Response:
        code, step = request.path_params["code"], request.path_params["transition"]
        try:
            card = await threads.run(partial(cases.follow, code))  # an unknown code is said before anything is read
            posted = await read_posted(request, name="taken", store=photos)
            taken = taken_of(card.row.case_no, step, posted)
            key = request.headers.get("idempotency-key")
            done = await threads.run(partial(cases.act, taken, follow=code, key=key))
        except Conflict as error:
            return failed(error, card=await threads.run(partial(cases.follow, code)))
        except OnemapError as error:
            return failed(error)
        return answer(done)

    routes.add_route("/api/reports", report, methods=["POST"], include_in_schema=False)
    routes.add_route("/api/follow/{code}", follow, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/follow/{code}/{transition}", follow_step, methods=["POST"], include_in_schema=False)
    return routes


class Threads:
    """A bounded pool of threads for calls that block, made in the loop that uses it."""

    def __init__(self, most: int = _THREADS) -> None:
        self._most = most
        self._limiter: CapacityLimiter | None = None

    async def run(self, call: Any) -> Any:
        """Call it in a thread; contextvars go along."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._most)
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


def meant_principal(request: Request) -> Principal | None:
    """Who is signed in, unless the sender meant somebody else: a phone that saved a report offline says whose it is.

    Raises
    ------
    NotSignedIn
        When the session it was made in is gone: it is not taken as a stranger's.
    Forbidden
        When another person is signed in now, or a display.
    """
    principal: Principal | None = request.state.principal
    meant = request.headers.get("x-onemap-account")
    if meant is not None and principal is None:
        raise NotSignedIn("登录已经过期，还没有提交。", next_step="请重新登录，保存的内容会自动再发。")
    if meant is not None and principal is not None and meant != str(principal.account_id):
        raise Forbidden("这条是另一个账号保存的，没有提交。", next_step="请用原来的账号登录。")
    if principal is None or principal.may("incident.report"):
        return principal
    if meant is not None:
        raise Forbidden("您的角色不能上报。", next_step="退出登录后可以作为群众上报。")
    return None  # an analyst or an administrator is a villager like any other


def taken_of(case_no: str, step: str, posted: Posted) -> Taken:
    """A step as it was posted."""
    return Taken(case_no=case_no, transition=step, photos=posted.photos, **_model(_Taken, posted.content))


def _model(kind: type[BaseModel], content: dict[str, Any]) -> dict[str, Any]:
    """The fields of a posted object, checked for their kinds; every fault named."""
    try:
        return dict(kind.model_validate(content))
    except ValidationError as e:
        faults = {".".join(str(p) for p in one["loc"])[:60] or "report": one["type"] for one in e.errors()[:20]}
        error = BadRequest(f"内容不对：{'、'.join(faults)}。", next_step="核对这些字段的名字和类型。")
        error.faults = faults  # type: ignore[attr-defined]
        raise error from None
