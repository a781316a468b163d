"""Roles and scopes (角色与范围), for the security administrator: who is what, where, until when."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from psycopg import Connection
from psycopg.rows import dict_row
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.admin.accounts import fields, fits, page_number
from dashboard.http.admin.office import Office, back, number_of, reason_of
from dashboard.http.form import read_form
from gis.access import accounts, scopes
from gis.errors import BadRequest, NotFound, OnemapError
from gis.store.queries import load_queries

_PAGE = 50
_CHINA = ZoneInfo("Asia/Shanghai")


def add_routes(routes: APIRouter, office: Office) -> None:
    """Add ``/admin/scopes`` and ``/admin/scopes/{account_id}``."""

    async def show_all(request: Request) -> Response:
        asked = request.query_params
        everybody = await office.ask(accounts.list_accounts)
        found = [
            one
            for one in everybody
            if fits(one, asked.get("q", ""), asked.get("role", ""), asked.get("state", "active"))
        ]
        page = page_number(asked.get("page"))
        shown = found[(page - 1) * _PAGE : page * _PAGE]
        held: dict[int, list[scopes.ScopeRow]] = defaultdict(list)
        for scope in await office.ask(scopes.list_scopes):
            if holds(scope):
                held[scope.account_id].append(scope)
        return office.page(
            request, "admin_scopes.html", shown=shown, held=held, found=len(found), total=len(everybody), page=page,
            pages=max(1, -(-len(found) // _PAGE)), asked={"state": "active"} | {k: v for k, v in fields(asked, ("q", "role", "state")).items() if k in asked or k != "state"}, today=today(),
        )  # fmt: skip

    async def one(request: Request, account_id: int, error: OnemapError | None = None) -> Response:
        account = next((a for a in await office.ask(accounts.list_accounts) if a.account_id == account_id), None)
        if account is None:
            error = NotFound("没有这个账号。", next_step="回到列表再选。")
            return office.page(request, "admin_absent.html", error=error, home="/admin/scopes")
        rows = await office.ask(scopes.list_scopes, account_id=account_id)
        role = office.roles.of(account.role)
        return office.page(
            request, "admin_scope.html", error=error, account=account, role=role, sentences=office.roles.sentences,
            now=[s for s in rows if holds(s)], past=[s for s in rows if not holds(s)], divisions=await office.ask(divisions),
            today=today(),
        )  # fmt: skip

    async def show_one(request: Request) -> Response:
        return await one(request, request.path_params["account_id"])

    async def change(request: Request) -> Response:
        account_id: int = request.path_params["account_id"]
        try:
            form = await read_form(request)
            reason, action = reason_of(form), form.get("action")
            if action == "role":
                await office.ask(accounts.set_role, account_id=account_id, role=form.get("role", ""), reason=reason)
            elif action == "granted":
                await office.ask(
                    scopes.grant, account_id=account_id, division_code=form.get("division", ""),
                    valid_from=day_of(form.get("valid_from")), valid_to=day_of(form.get("valid_to")), reason=reason,
                )  # fmt: skip
            elif action == "ended":
                await office.ask(scopes.end_scope, scope_id=number_of(form, "scope"), reason=reason)
            elif action == "second_factor":
                await office.ask(accounts.forget_second_factor, account_id=account_id, reason=reason)
            else:
                raise BadRequest("没有这个操作，没有更改。", next_step="刷新页面后再试。")
        except OnemapError as error:
            return await one(request, account_id, error)
        return back(f"/admin/scopes/{account_id}", str(action))

    routes.add_route("/admin/scopes", show_all, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/scopes/{account_id:int}", show_one, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/scopes/{account_id:int}", change, methods=["POST"], include_in_schema=False)


def divisions(conn: Connection[Any]) -> list[dict[str, Any]]:
    """Return county, townships and villages to choose from, in the order of their codes."""
    return conn.cursor(row_factory=dict_row).execute(load_queries("admin")["divisions_to_grant"]).fetchall()


def holds(scope: scopes.ScopeRow) -> bool:
    """Whether a scope holds today or will."""
    return scope.valid_to is None or scope.valid_to > today()


def today() -> date:
    """Return the day it is in China."""
    return datetime.now(_CHINA).date()


def day_of(text: str | None) -> date | None:
    """Return a day of a form, None for an empty field.

    Raises
    ------
    BadRequest
        When it is not a day.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise BadRequest("日期不对，没有更改。", next_step="按 年-月-日 填，例如 2027-03-31。") from e
