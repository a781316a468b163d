"""Accounts (账号), for the system administrator: make, disable, reset a password. What they may see is not theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.admin.office import Office, back, number_of, reason_of
from dashboard.http.form import read_form
from gis.access import accounts
from gis.access.accounts import AccountRow
from gis.access.roles import KEYED
from gis.errors import BadRequest, NotFound, OnemapError

_PAGE = 50
_FORM = ("login", "display_name", "unit", "role")
_ASKED = ("q", "role", "state")


def add_routes(routes: APIRouter, office: Office) -> None:
    """Add ``/admin/accounts`` and ``/admin/accounts/{account_id}``."""
    # An administrator's role is given by the security administrator: it takes two to make one.
    grantable = [role for role in office.roles.by_id.values() if not role.administrator]

    async def listing(
        request: Request, error: OnemapError | None = None, form: dict[str, str] | None = None
    ) -> Response:
        asked = request.query_params
        everybody = await office.ask(accounts.list_accounts)
        found = [
            one for one in everybody if fits(one, asked.get("q", ""), asked.get("role", ""), asked.get("state", ""))
        ]
        page = page_number(asked.get("page"))
        shown = found[(page - 1) * _PAGE : page * _PAGE]
        return office.page(
            request, "admin_accounts.html", error=error, form=fields(form or {}, _FORM), open_form=bool(form), shown=shown, found=len(found), total=len(everybody),
            page=page, pages=max(1, -(-len(found) // _PAGE)), grantable=grantable, asked=fields(asked, _ASKED),
            waiting=await office.ask(accounts.list_waiting),
        )  # fmt: skip

    async def show_all(request: Request) -> Response:
        return await listing(request)

    async def make(request: Request) -> Response:
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            reason = reason_of(form)
            if form.get("action") == "refuse":
                await office.ask(accounts.turn_away, request_id=number_of(form, "request"), reason=reason)
                return back("/admin/accounts", "turned_away")
            if form.get("action") == "adopt":
                # No password: they come in as they came, by the county's identity provider.
                made = await office.ask(
                    accounts.adopt, request_id=number_of(form, "request"), login=form.get("login", ""),
                    display_name=form.get("display_name", ""), role=form.get("role", ""), unit=form.get("unit") or None,
                    rules=office.rules, reason=reason,
                )  # fmt: skip
                return back(f"/admin/accounts/{made}", "adopted")
            # Another system has keys and no password.
            password = None if form.get("role") == KEYED else accounts.temporary_password()
            made = await office.ask(
                accounts.add, login=form.get("login", ""), display_name=form.get("display_name", ""), role=form.get("role", ""),
                unit=form.get("unit") or None, password=password, rules=office.rules, reason=reason,
            )  # fmt: skip
        except OnemapError as error:
            return await listing(request, error, form)
        return await one(request, made, given=password or "")

    async def one(request: Request, account_id: int, *, error: OnemapError | None = None, given: str = "") -> Response:
        account = next((a for a in await office.ask(accounts.list_accounts) if a.account_id == account_id), None)
        if account is None:
            error = NotFound("没有这个账号。", next_step="回到列表再选。")
            return office.page(request, "admin_absent.html", error=error, home="/admin/accounts")
        return office.page(request, "admin_account.html", error=error, account=account, given=given)

    async def show_one(request: Request) -> Response:
        return await one(request, request.path_params["account_id"])

    async def change(request: Request) -> Response:
        account_id: int = request.path_params["account_id"]
        path = f"/admin/accounts/{account_id}"
        try:
            form = await read_form(request)
            reason, action = reason_of(form), form.get("action")
            if action == "disable":
                await office.ask(accounts.set_state, account_id=account_id, state="disabled", reason=reason)
                return back(path, "disabled")
            if action == "enable":
                await office.ask(accounts.set_state, account_id=account_id, state="active", reason=reason)
                return back(path, "active")
            if action == "password":
                given = await office.ask(
                    accounts.reset_password, account_id=account_id, rules=office.rules, reason=reason
                )
                return await one(request, account_id, given=given)
            raise BadRequest("没有这个操作，没有更改。", next_step="刷新页面后再试。")
        except OnemapError as error:
            return await one(request, account_id, error=error)

    routes.add_route("/admin/accounts", show_all, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/accounts", make, methods=["POST"], include_in_schema=False)
    routes.add_route("/admin/accounts/{account_id:int}", show_one, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/accounts/{account_id:int}", change, methods=["POST"], include_in_schema=False)


def fits(account: AccountRow, text: str, role: str, state: str) -> bool:
    """Whether an account is among those asked for."""
    words = f"{account.login} {account.display_name} {account.unit or ''}".lower()
    return text.strip().lower() in words and role in ("", account.role) and state in ("", account.state)


def fields(asked: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the fields of a search, empty where nothing was asked."""
    return {name: asked.get(name, "") for name in names}


def page_number(text: str | None) -> int:
    """Return the page asked for, 1 for anything that is none."""
    return int(text) if text and text.isascii() and text.isdigit() and 0 < int(text[:6]) < 100_000 else 1
