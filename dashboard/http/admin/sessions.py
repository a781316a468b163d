"""Sessions and devices (会话与设备), for the security administrator: who is in, from where; end it; wall displays."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.admin.office import Office, back, number_of, reason_of
from dashboard.http.admin.scopes import day_of
from dashboard.http.form import read_form
from gis.access import accounts, devices, sessions
from gis.errors import BadRequest, NotFound, OnemapError

_CHINA = ZoneInfo("Asia/Shanghai")
_SHOWN = 200


def add_routes(routes: APIRouter, office: Office) -> None:
    """Add ``/admin/sessions``."""

    async def listing(request: Request, *, error: OnemapError | None = None, given: str = "") -> Response:
        text = request.query_params.get("q", "").strip().lower()
        every = await office.ask(sessions.list_sessions)
        found = [s for s in every if text in f"{s.login} {s.display_name} {s.address or ''}".lower()]
        walls = [a for a in await office.ask(accounts.list_accounts) if a.role == "wall" and a.state == "active"]
        return office.page(
            request, "admin_sessions.html", error=error, given=given, shown=found[:_SHOWN], found=len(found), total=len(every),
            devices=await office.ask(devices.list_devices), walls=walls, agent=agent, asked={"q": text},
        )  # fmt: skip

    async def show(request: Request) -> Response:
        return await listing(request)

    async def change(request: Request) -> Response:
        try:
            form = await read_form(request)
            reason, action = reason_of(form), form.get("action")
            if action == "revoked":
                if not await office.ask(sessions.revoke, session_key=form.get("session", ""), reason=reason):
                    raise NotFound("这个会话已经不在了。", next_step="刷新列表后再看。")
            elif action == "device":
                await office.ask(devices.revoke, device_id=number_of(form, "device"), reason=reason)
            elif action == "register":
                until = day_of(form.get("until"))
                options: dict[str, Any] = {
                    "name": form.get("name", ""),
                    "account_id": number_of(form, "account"),
                    "reason": reason,
                }
                options["expires_at"] = datetime.combine(until, time.max, tzinfo=_CHINA) if until else None
                return await listing(request, given=await office.ask(devices.register, rules=office.rules, **options))
            elif action == "pair":
                device = number_of(form, "device")
                given = await office.ask(devices.pair_again, device_id=device, rules=office.rules, reason=reason)
                return await listing(request, given=given)
            else:
                raise BadRequest("没有这个操作，没有更改。", next_step="刷新页面后再试。")
        except OnemapError as error:
            return await listing(request, error=error)
        return back("/admin/sessions", str(action))

    routes.add_route("/admin/sessions", show, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/sessions", change, methods=["POST"], include_in_schema=False)


_BROWSERS = (
    ("MicroMessenger", "微信"),
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "安卓手机"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("HarmonyOS", "鸿蒙"), ("Windows", "Windows"),
    ("Mac OS", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


def agent(text: str | None) -> str:
    """Return what a browser says about itself in two words; the whole of it when it is none we know."""
    if not text:
        return "未说明"
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    return " · ".join(x for x in (browser, system) if x) or text[:60]
