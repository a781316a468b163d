"""What every administration page shares: the frame, the store as the administrator, errors in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from dashboard.http.access import Door
from dashboard.http.render import render
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.access.rules import AccessRules
from gis.errors import BadRequest, OnemapError
from gis.settings import Settings

# permission, address, title
TABS = (
    ("account.manage", "/admin/accounts", "账号"),
    ("scope.manage", "/admin/scopes", "角色与范围"),
    ("session.manage", "/admin/sessions", "会话与设备"),
    ("audit.read", "/admin/audit", "审计"),
    ("admin.system", "/admin/processes", "流程"),
    ("incident.dispatch", "/admin/processes", "流程"),
)
# What a change says when the list is shown again; the address carries the key only, so nobody can put words there.
DONE = {
    "disabled": "账号已停用，登录着的地方都已退出。",
    "active": "账号已启用。",
    "role": "角色已更改，这个账号要重新登录。",
    "granted": "范围已授予，这个账号要重新登录。",
    "ended": "范围已结束，这个账号要重新登录。",
    "second_factor": "第二验证已重置，下次登录时重新绑定。",
    "revoked": "会话已结束。",
    "device": "设备已作废，立即失效。",
    "adopted": "账号已开通，他从统一身份登录；能看哪里请安全管理员授予。",
    "turned_away": "已从名单里去掉。",
}
_THREADS = 4
_SHORTEST_REASON = 2
T = TypeVar("T")


def first_page(principal: Principal) -> str:
    """Return where an administrator starts."""
    return next((path for permission, path, _ in TABS if principal.may(permission)), "/")


@dataclass(frozen=True)
class Fault:
    """What went wrong, for the page."""

    message: str
    step: str
    seconds: int = 0


class Office:
    """The store and the rules, as administration pages need them.

    Parameters
    ----------
    door : Door
        Connections; a transaction carries the administrator as its principal.
    roles, rules
        data/roles.toml and data/rules/access.toml.
    """

    def __init__(self, door: Door, *, settings: Settings, roles: Roles, rules: AccessRules) -> None:
        self.door = door
        self.settings = settings
        self.roles = roles
        self.rules = rules
        self._threads: CapacityLimiter | None = None

    async def ask(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Run `function(conn, ...)` in one transaction of the person who asks, in a thread."""

        def inside() -> T:
            with self.door.begin() as conn:
                return function(conn, *args, **options)

        return await self.thread(inside)

    async def thread(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Run something blocking."""
        if self._threads is None:
            self._threads = CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(partial(function, *args, **options), limiter=self._threads)

    def page(self, request: Request, template: str, *, error: OnemapError | None = None, **values: Any) -> HTMLResponse:
        """Return one page in the frame of the administration."""
        principal: Principal = request.state.principal
        tabs = [(path, title) for permission, path, title in TABS if principal.may(permission)]
        here = request.url.path
        body = render(
            template,
            principal=principal, tabs=tabs, roles=self.roles.by_id,
            here=next((path for path, _ in tabs if here == path or here.startswith(path + "/")), ""),
            error=Fault(error.message, error.next_step) if error else None,
            done=DONE.get(request.query_params.get("done", "")),
            **values,
        )  # fmt: skip
        return HTMLResponse(body, status_code=error.status if error else 200)


def reason_of(form: dict[str, str]) -> str:
    """Return the reason of a change.

    Raises
    ------
    BadRequest
        When none is given: nothing is changed without one.
    """
    reason = form.get("reason", "")
    if len(reason) < _SHORTEST_REASON:
        raise BadRequest("没有写理由，没有更改。", next_step="写一句为什么要改，会记进审计。")
    return reason[:200]


def number_of(form: dict[str, str], name: str) -> int:
    """Return a number a form carries.

    Raises
    ------
    BadRequest
        When it is none.
    """
    text = form.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest("表单不完整，没有更改。", next_step="刷新页面后再试。")
    return int(text)


def back(path: str, done: str) -> RedirectResponse:
    """Go back to the list after a change, so that a reload changes nothing again."""
    return RedirectResponse(f"{path}?done={done}", status_code=303)
