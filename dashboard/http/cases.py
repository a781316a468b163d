"""`/api/cases…`, `/api/tasks`, `/api/notices`: the queue, the card and the steps of cases, for whoever is signed in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.jsons import answer, failed
from dashboard.http.reports import Threads, taken_of
from dashboard.http.upload import read_posted
from gis.cases.engine import Cases
from gis.cases.filtering import Filter
from gis.cases.model import Card
from gis.cases.photos import Photos
from gis.clock import now
from gis.errors import BadRequest, Conflict, NotFound, OnemapError

_LISTS = frozenset({"states", "items"})


class _Asked(BaseModel):
    """Query of a list; several values of `states` and `items` by commas or by repeating the name."""

    model_config = ConfigDict(extra="forbid")
    process: str = Field(default="incident", max_length=40)
    states: list[str] | None = None
    standing: str | None = None
    view: str | None = None
    items: list[str] | None = None
    channel: str | None = None
    division: str | None = None
    unit: str | None = None
    assignee_id: int | None = Field(default=None, ge=0, le=2**62)
    level: int | None = Field(default=None, ge=1, le=4)
    mine: bool = False
    open: bool | None = None
    text: str | None = None
    reported_from: date | None = None
    reported_to: date | None = None
    has_photo: bool | None = None
    supervised: bool | None = None
    reopened: bool | None = None
    sort: str = Field(default="due", max_length=20)
    page: int = Field(default=1, ge=1, le=100_000)
    size: int = Field(default=50, ge=1, le=200)


class _Bulk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cases: list[tuple[str, int]] = Field(min_length=1, max_length=200)
    answers: dict[str, Any] = {}
    note: str = Field(default="", max_length=1000)


class _Seen(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ids: list[int] = Field(max_length=500)


def router(cases: Cases, photos: Photos) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    threads = Threads()

    async def queue(request: Request) -> Response:
        try:
            asked: dict[str, Any] = _asked(request).model_dump()
            page = {name: asked.pop(name) for name in ("sort", "page", "size")}
            plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in asked.items()}
            chosen = Filter(**plain)
            return answer(await threads.run(partial(cases.queue, chosen, **page, principal=request.state.principal)))
        except OnemapError as error:
            return failed(error)

    async def card(request: Request) -> Response:
        try:
            return answer(
                await threads.run(
                    partial(cases.card, request.path_params["case_no"], principal=request.state.principal)
                )
            )
        except OnemapError as error:
            return failed(error)

    async def step(request: Request) -> Response:
        case_no, principal = request.path_params["case_no"], request.state.principal
        try:
            posted = await read_posted(request, name="taken", store=photos)
            taken = taken_of(case_no, request.path_params["transition"], posted)
            key = request.headers.get("idempotency-key")
            done: Card | None = await threads.run(partial(cases.act, taken, principal=principal, key=key))
        except Conflict as error:
            try:
                return failed(error, card=await threads.run(partial(cases.card, case_no, principal=principal)))
            except NotFound:
                return failed(error)
        except OnemapError as error:
            return failed(error)
        if done is None:  # taken, and not the actor's to see any more
            return answer({"case_no": case_no, "revision": taken.revision + 1, "state": None, "state_name": None})
        row = done.row
        short = {"case_no": row.case_no, "state": row.state, "state_name": row.state_name, "revision": row.revision}
        return answer(short | asdict(done))

    async def bulk(request: Request) -> Response:
        try:
            asked = _Bulk.model_validate((await read_posted(request, name="bulk", store=photos)).content)
            call = partial(cases.act_many, asked.cases, request.path_params["transition"], asked.answers, asked.note,
                           principal=request.state.principal)  # fmt: skip
            return answer({"done": await threads.run(call)})
        except ValidationError:
            return failed(BadRequest("成批办理的内容不对。", next_step="cases 为 [[编号, 版本], …]，最多 200 件。"))
        except OnemapError as error:
            return failed(error)

    async def near(request: Request) -> Response:
        asked = request.query_params
        try:
            try:
                lonlat = (float(asked.get("lon", "")), float(asked.get("lat", "")))
            except ValueError:
                raise BadRequest("位置不对：应为 lon、lat 两个数。", next_step="先定位。") from None
            call = partial(cases.near, lonlat, asked.get("item") or None, asked.get("text", "")[:200],
                           source_crs=asked.get("crs", "EPSG:4326"), principal=request.state.principal)  # fmt: skip
            return answer({"near": await threads.run(call)})
        except OnemapError as error:
            return failed(error)

    async def tasks(request: Request) -> Response:
        try:
            return answer({"tasks": await threads.run(partial(cases.mine, request.state.principal)), "read_at": now()})
        except OnemapError as error:
            return failed(error)

    async def notices(request: Request) -> Response:
        try:
            return answer({"notices": await threads.run(partial(cases.notices, request.state.principal))})
        except OnemapError as error:
            return failed(error)

    async def seen(request: Request) -> Response:
        try:
            asked = _Seen.model_validate((await read_posted(request, name="seen", store=photos)).content)
            return answer({"seen": await threads.run(partial(cases.seen, request.state.principal, asked.ids))})
        except ValidationError:
            return failed(BadRequest("ids 不对。", next_step="应为提醒编号的列表。"))
        except OnemapError as error:
            return failed(error)

    routes.add_route("/api/cases", queue, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/cases/near", near, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/cases/bulk/{transition}", bulk, methods=["POST"], include_in_schema=False)
    routes.add_route("/api/cases/{case_no}", card, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/cases/{case_no}/{transition}", step, methods=["POST"], include_in_schema=False)
    routes.add_route("/api/tasks", tasks, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/notices", notices, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/notices/seen", seen, methods=["POST"], include_in_schema=False)
    return routes


def _asked(request: Request) -> _Asked:
    raw: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in _LISTS:
            raw.setdefault(name, []).extend(v for v in value.split(",") if v)
        elif value != "":
            raw[name] = value
    try:
        if any("\x00" in str(v) for v in raw.values()):
            raise ValueError("NUL")
        return _Asked.model_validate(raw)
    except (ValidationError, ValueError):
        raise BadRequest("筛选条件不对。", next_step="核对条件的名字和值。") from None
