"""The public page that checks a slip against the code on the notice board: pure arithmetic, the store is not asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dashboard.http.form import read_form
from dashboard.http.render import render
from gis.access.receipt import ALPHABET, CODE_LENGTH, code_of, leaf, node, root_of
from gis.access.receipt_page import check_page
from gis.errors import BadRequest, OnemapError


class _Slip(BaseModel):
    model_config = ConfigDict(extra="forbid")
    month: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}$")
    county: str = Field(max_length=40)
    rows: int = Field(gt=0, lt=10**12)
    public: list[str | None] = Field(max_length=12)
    row_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    path: list[tuple[str, str]] = Field(max_length=64)


@dataclass(frozen=True)
class Result:
    """What the check says."""

    good: bool
    title: str
    text: str


def router(data: Path) -> APIRouter:
    """Return ``/receipt`` and ``/receipt/offline``, the same check as one file that needs no network."""
    routes = APIRouter()

    async def offline(request: Request) -> Response:
        name = quote("公示码核对.html")
        return HTMLResponse(check_page(data), headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})

    async def show(request: Request) -> Response:
        return HTMLResponse(render("receipt.html", slip="", code="", result=None))

    async def check(request: Request) -> Response:
        form: dict[str, str] = {}
        status = 200
        try:
            form = await read_form(request)
            result = checked(form.get("slip", ""), form.get("code", ""))
        except OnemapError as error:
            result, status = Result(False, error.message, error.next_step), error.status
        return HTMLResponse(
            render("receipt.html", slip=form.get("slip", ""), code=form.get("code", ""), result=result), status
        )

    routes.add_route("/receipt", show, methods=["GET"], include_in_schema=False)
    routes.add_route("/receipt", check, methods=["POST"], include_in_schema=False)
    routes.add_route("/receipt/offline", offline, methods=["GET"], include_in_schema=False)
    return routes


def checked(text: str, code: str) -> Result:
    """Return whether a slip leads to the code on the board.

    Raises
    ------
    BadRequest
        When either of them is not one.
    """
    board = normal_code(code)
    try:
        slip = _Slip.model_validate(json.loads(text))
        hashes = [(side, bytes.fromhex(value)) for side, value in slip.path]
    except (ValidationError, ValueError, RecursionError) as e:
        raise BadRequest("凭条的内容不完整。", next_step="请把凭条上的文字整段复制进来，一个字符也不要少。") from e
    if any(side not in ("left", "right") or len(value) != 32 for side, value in hashes):
        raise BadRequest("凭条的内容不完整。", next_step="请把凭条上的文字整段复制进来，一个字符也不要少。")
    top = leaf(slip.public, bytes.fromhex(slip.row_hash))
    for side, other in hashes:
        top = node(other, top) if side == "left" else node(top, other)
    if code_of(root_of(top, month=slip.month, county=slip.county, rows=slip.rows)).replace("-", "") == board:
        return Result(True, "对得上。", f"这条记录在 {slip.month} 的 {slip.rows:,} 条里，张榜以后没有被改过。")
    return Result(
        False, "对不上。", "请先核对公示码有没有抄错。如果没有抄错，这条记录被改过，或不在这张榜里，请向县里反映。"
    )


def normal_code(text: str) -> str:
    """Return a code as computed: capitals, no dashes, letters people mistake put right.

    Raises
    ------
    BadRequest
        When it is none.
    """
    code = "".join(c for c in text.upper() if c not in "- \t　—").translate(str.maketrans("OIL", "011"))
    if len(code) != CODE_LENGTH or set(code) - set(ALPHABET):
        raise BadRequest("公示码不完整。", next_step=f"公示码是公告栏上的 {CODE_LENGTH} 个字母和数字，分成 5 组。")
    return code
