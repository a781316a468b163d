"""The audit trail (审计), for the audit administrator: search, verify, export. Each of these is a row itself."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.admin.office import Office, reason_of
from dashboard.http.admin.scopes import day_of, today
from dashboard.http.form import read_form
from gis.access import audit, audit_head
from gis.access.audit import AuditRow
from gis.errors import OnemapError
from gis.settings import Settings

_CHINA = ZoneInfo("Asia/Shanghai")
_SHOWN = 50
_BATCH = 1000
MOST_EXPORTED = 20_000  # more is a job for the command line
_FIELDS = ("login", "action", "kind", "id", "since", "until", "before")

# What happened, in words; an action not listed here is shown as it is.
ACTIONS = {
    "sign_in": "登录", "sign_in.failed": "登录失败", "sign_in.step": "登录（还差一步）", "sign_out": "退出",
    "password": "密码", "password.changed": "改密码", "password.reset": "重设密码",
    "second_factor": "第二验证", "second_factor.set": "绑定第二验证", "second_factor.forgotten": "重置第二验证",
    "account": "账号", "account.added": "新建账号", "account.disabled": "停用账号", "account.active": "启用账号",
    "account.role": "换角色", "scope": "范围", "scope.added": "授予范围", "scope.ended": "结束范围",
    "session": "会话", "session.revoked": "结束会话", "device": "设备", "device.added": "登记设备", "device.revoked": "作废设备",
    "reveal": "揭示个人信息", "reveal.refused": "揭示被拒", "person.searched": "按号码查人", "identity.tied": "绑定统一身份",
    "export": "导出", "audit": "审计", "audit.read": "看审计", "audit.exported": "导出审计", "audit.verified": "核验审计",
    "roles.published": "发布角色表",
}  # fmt: skip


def add_routes(routes: APIRouter, office: Office) -> None:
    """Add ``/admin/audit``, ``/admin/audit/verify`` and ``/admin/audit.csv``."""

    async def listing(request: Request, *, error: OnemapError | None = None, checked: Any = None) -> Response:
        asked = {name: request.query_params.get(name, "") for name in _FIELDS}
        rows: list[AuditRow] = []
        try:
            rows = await office.ask(audit.search, **wanted(asked), limit=_SHOWN + 1)
        except OnemapError as e:
            error = error or e
        return office.page(
            request, "admin_audit.html", error=error, checked=checked, shown=rows[:_SHOWN], more=len(rows) > _SHOWN,
            asked=asked, actions=ACTIONS, named=lambda action: ACTIONS.get(action, action), detail=detail_text, most=MOST_EXPORTED,
        )  # fmt: skip

    async def show(request: Request) -> Response:
        return await listing(request)

    async def verify(request: Request) -> Response:
        try:
            verdict = await office.ask(verified, office.settings)
        except OnemapError as error:
            return await listing(request, error=error)
        return await listing(request, checked=Checked.of(verdict))

    async def export(request: Request) -> Response:
        try:
            form = await read_form(request)
            reason = reason_of(form)
            text = await office.ask(exported, {name: form.get(name, "") for name in _FIELDS}, reason=reason)
        except OnemapError as error:
            return await listing(request, error=error)
        name = f"audit-{today():%Y%m%d}.csv"
        return Response(
            # Excel takes a file without the mark for GBK.
            text.encode("utf-8-sig"), media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )  # fmt: skip

    routes.add_route("/admin/audit", show, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/audit/verify", verify, methods=["POST"], include_in_schema=False)
    routes.add_route("/admin/audit.csv", export, methods=["POST"], include_in_schema=False)


@dataclass(frozen=True)
class Checked:
    """What a verification found, for the page."""

    good: bool
    title: str
    text: str

    @classmethod
    def of(cls, verdict: audit.Verdict) -> Checked:
        """Put a verdict into words."""
        if verdict.bad_seq is None:
            return cls(True, f"{verdict.rows:,} 条记录全部对得上。", f"最后一条的指纹：{verdict.head.hash.hex()[:16]}")
        return cls(False, verdict.fault + "。", f"之前的 {verdict.rows:,} 条对得上。请保留现场，报告县里。")


def wanted(asked: dict[str, str]) -> dict[str, Any]:
    """Return the options of a search from the fields of the page.

    Raises
    ------
    BadRequest
        When a day is none.
    """
    since, until = day_of(asked["since"]), day_of(asked["until"])
    before = asked["before"]
    return {
        "login": asked["login"].strip().lower() or None,
        "action": asked["action"] or None,
        "object_kind": asked["kind"].strip() or None,
        "object_id": asked["id"].strip() or None,
        "since": datetime.combine(since, time.min, tzinfo=_CHINA) if since else None,
        # the day named is included
        "until": datetime.combine(until + timedelta(days=1), time.min, tzinfo=_CHINA) if until else None,
        "before": int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None,
    }


def verified(conn: Connection[Any], settings: Settings) -> audit.Verdict:
    """Recompute the chain, compare it with the heads noted outside, and note that it was done."""
    verdict = audit.verify(conn, remembered=audit_head.remembered(settings, conn))
    audit.record(
        conn,
        action="audit.verified",
        object_kind="audit",
        detail={"rows": verdict.rows, "bad_seq": verdict.bad_seq, "fault": verdict.fault},
    )
    return verdict


def exported(conn: Connection[Any], asked: dict[str, str], *, reason: str) -> str:
    """Return the rows asked for as CSV, newest first, and note the export with its reason."""
    options = wanted(asked | {"before": ""})
    held, out = 0, io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["序号", "时间", "账号", "角色", "动作", "对象类别", "对象编号", "地址", "理由", "变更前", "变更后", "详情"]
    )
    while held < MOST_EXPORTED:
        rows = audit.search(conn, **options, limit=_BATCH)
        for row in rows[: MOST_EXPORTED - held]:
            writer.writerow([harmless(cell) for cell in cells(row)])
        held += len(rows)
        if len(rows) < _BATCH:
            break
        options["before"] = rows[-1].seq
    conditions = {name: value for name, value in asked.items() if value}
    audit.record(
        conn, action="audit.exported", object_kind="audit", reason=reason,
        detail={"rows": min(held, MOST_EXPORTED), "conditions": conditions},
    )  # fmt: skip
    return out.getvalue()


def cells(row: AuditRow) -> list[str]:
    """Return a row of the file."""
    fields = (
        row.seq, row.at.astimezone(_CHINA).isoformat(timespec="milliseconds"), row.login, row.role, row.action, row.object_kind,
        row.object_id, row.address, row.reason, row.before_digest, row.after_digest, json.dumps(row.detail, ensure_ascii=False),
    )  # fmt: skip
    return ["" if field is None else str(field) for field in fields]


def harmless(cell: str) -> str:
    """Return a cell that a spreadsheet does not take for a formula: ``'`` in front, and in front of a leading ``'``.

    Taking one leading ``'`` away gives the cell back as it was.
    """
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "'") else cell


def detail_text(detail: dict[str, Any]) -> str:
    """Return what an audit row says beside, short enough for a table."""
    text = "，".join(f"{key}={value}" for key, value in detail.items() if value is not None)
    return text if len(text) <= 160 else text[:159] + "…"
