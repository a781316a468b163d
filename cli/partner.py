"""`./onemap partner`: other systems that hand reports in by Open311, and their keys."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gis.access import accounts, devices, scopes
from gis.access.partners import issue
from gis.access.roles import Roles, publish
from gis.access.rules import AccessRules
from gis.cases.open311 import Rules
from gis.clock import ZONE
from gis.errors import BadRequest
from gis.settings import Settings
from gis.store.engine import connect

app = typer.Typer(no_args_is_help=True, help="对接系统（Open311）：登记、发密钥、作废")
_ROLE = "partner"


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="账号：小写字母、数字、点、横线")],
    name: Annotated[str, typer.Option(help="系统的名称，办件经过里显示")],
    scope: Annotated[str, typer.Option(help="区划编码，一般是县 6 位")],
    unit: Annotated[str | None, typer.Option(help="单位")] = None,
    reason: Annotated[str | None, typer.Option(help="理由，记入审计")] = None,
) -> None:
    """登记一个对接系统，不能登录网页。例：./onemap partner add hotline.12345 --name 12345热线 --scope 130529"""
    settings = Settings()
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    with connect(settings, role="owner") as conn:
        publish(conn, roles)
        made = accounts.add(conn, login=login, display_name=name, role=_ROLE, rules=rules, unit=unit, reason=reason)
        scopes.grant(conn, account_id=made, division_code=scope, reason=reason)
    typer.echo(f"已登记 {name}。下一步：./onemap partner key {accounts.normal_login(login)}")


@app.command()
def key(
    login: Annotated[str, typer.Argument(help="对接系统的账号")],
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="用到这一天；不填长期")] = None,
    reason: Annotated[str | None, typer.Option(help="理由，记入审计")] = None,
) -> None:
    """发一把密钥，只显示这一次；旧的照用，换好后作废。例：./onemap partner key hotline.12345 --until 2027-12-31"""
    settings = Settings()
    idle = timedelta(days=Rules.load(settings.data).key.idle_days.value)
    with connect(settings, role="owner") as conn:
        account = accounts.account_by_login(conn, login)
        if account.role != _ROLE:
            raise BadRequest(f"{account.login} 不是对接系统。", next_step="先运行：./onemap partner add --help")
        ends = datetime.combine(until.date(), time.max, tzinfo=ZONE) if until else None
        made = issue(
            conn, account_id=account.account_id, name=account.display_name, idle=idle, expires_at=ends, reason=reason
        )
    typer.echo(f"密钥（api_key）：{made}")
    typer.echo(f"只显示这一次，库里只有它的指纹。{idle.days} 天不用自动失效。")


@app.command("list")
def list_keys() -> None:
    """列出对接系统的密钥。例：./onemap partner list"""
    with connect(Settings(), role="owner") as conn:
        partners = {a.login: a for a in accounts.list_accounts(conn) if a.role == _ROLE}
        keys = [d for d in devices.list_devices(conn) if d.login in partners]
    table = Table("编号", "账号", "名称", "发出", "最近使用", "到期", "状态", box=None)
    for d in keys:
        state = "已作废" if d.revoked_at else "账号停用" if partners[d.login].state != "active" else "在用"
        table.add_row(
            str(d.device_id), d.login, d.name, f"{d.created_at:%Y-%m-%d}", f"{d.seen_at:%Y-%m-%d}" if d.seen_at else "从未",
            f"{d.expires_at:%Y-%m-%d}" if d.expires_at else "长期", state,
        )  # fmt: skip
    Console().print(table)


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(help="密钥编号，见 ./onemap partner list")],
    reason: Annotated[str | None, typer.Option(help="理由，记入审计")] = None,
) -> None:
    """作废一把密钥，立即失效。例：./onemap partner revoke 3 --reason 泄露"""
    with connect(Settings(), role="owner") as conn:
        devices.revoke(conn, device_id=number, reason=reason)
    typer.echo(f"密钥 {number} 已作废。")
