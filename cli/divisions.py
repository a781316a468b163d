"""`./onemap divisions`: list, verify, merge, and figures on the tree of any day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gis.clock import today
from gis.divisions.figures import figures_on
from gis.divisions.merge import merge
from gis.divisions.verify import DivisionRules, verify
from gis.settings import Settings
from gis.store.engine import connect

app = typer.Typer(no_args_is_help=True, help="区划：查看、核对、合并、按日期看数")
MU = 666.6666666666666  # m² in one 亩 (GB 3100 series: 15 亩 = 1 公顷)
_MARK = {"ok": "[green]✓[/]", "fault": "[bold red]✗[/]", "not executed": "[yellow]–[/]"}


@app.command("verify")
def verify_command(limit: Annotated[int, typer.Option(help="每项最多列出几条问题")] = 20) -> None:
    """核对编码、上下级、空隙、重叠、逐级相加。例：./onemap divisions verify"""
    settings = Settings()
    console = Console()
    with connect(settings, role="job") as conn:
        checks = verify(conn, rules=DivisionRules.load(settings.data))
    for check in checks:
        words = {"not executed": "未执行：", "fault": f"{len(check.faults)} 处：", "ok": ""}[check.verdict]
        console.print(
            f"{_MARK[check.verdict]} {check.name}  [dim]{words}{check.detail}[/]", highlight=False, soft_wrap=True
        )
        for fault in check.faults[:limit]:
            console.print(f"    {fault}", highlight=False, soft_wrap=True)
        if len(check.faults) > limit:
            console.print(f"    … 另有 {len(check.faults) - limit} 处（--limit 可多列）", highlight=False)
    faults = sum(len(c.faults) for c in checks)
    executed = sum(c.verdict != "not executed" for c in checks)
    if executed <= 1:
        console.print("没有可核对的数据：先运行 ./onemap up 或导入区划。")
        raise typer.Exit(2)
    console.print(f"{executed} 项已核对，{len(checks) - executed} 项无数据未执行，{faults} 处不符。", highlight=False)
    raise typer.Exit(1 if faults else 0)


@app.command("list")
def list_command(parent: Annotated[str | None, typer.Argument(help="上级编码；不填列乡镇")] = None) -> None:
    """列出现行区划的下级。例：./onemap divisions list 130529200"""
    with connect(Settings(), role="job") as conn:
        rows = conn.execute(
            "SELECT code, name, households, population, area_m2 / 1e6, valid_from FROM onemap.division_now "
            "WHERE parent_code = coalesce(%s, (SELECT code FROM onemap.division_now WHERE level = 1)) ORDER BY code",
            [parent],
        ).fetchall()
    if not rows:
        typer.echo("没有下级区划。检查编码，或先运行 ./onemap up。", err=True)
        raise typer.Exit(1)
    table = Table("编码", "名称", "户", "人口", "km²", "起始", box=None)
    for code, name, households, population, km2, since in rows:
        table.add_row(code, name, _n(households), _n(population), "无数据" if km2 is None else f"{km2:.2f}", str(since))
    Console().print(table)


@app.command("merge")
def merge_command(
    from_codes: Annotated[list[str], typer.Argument(help="被撤并的编码，可以多个")],
    into: Annotated[str, typer.Option(help="保留的编码")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="生效日期")],
    name: Annotated[str | None, typer.Option(help="合并后的新名称")] = None,
    document: Annotated[str | None, typer.Option(help="批复文号")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只试算，不保存")] = False,
) -> None:
    """撤并村或乡镇，旧月份的数字不变。例：./onemap divisions merge 130529200205 --into 130529200206 --on 2026-11-01"""
    with connect(Settings(), role="job") as conn:
        done = merge(conn, from_codes=from_codes, into_code=into, on_date=on.date(), name=name, document=document)
        if dry_run:
            conn.rollback()
    verb = "试算（未保存）" if dry_run else "已合并"
    typer.echo(f"{verb}：{'、'.join(done.from_names)} → {done.into_name}（{done.into_code}），{done.on_date} 起")
    typer.echo(
        f"下级改隶 {done.children_moved} 个，编码不变；改动 "
        + "、".join(f"{t} {n} 行" for t, n in done.rows_updated.items())
    )
    if done.scopes_followed:
        typer.echo(f"权限范围随之改到 {done.into_code} 的有 {done.scopes_followed} 个，这些账号要重新登录。")
    typer.echo("下一步：./onemap divisions verify")


@app.command()
def figures(
    code: Annotated[str, typer.Argument(help="县、乡镇或村的编码")],
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="按哪一天的区划，默认今天")] = None,
) -> None:
    """按某一天的区划列出下级的数。例：./onemap divisions figures 130529 --on 2026-10-31"""
    day = on.date() if on else today()
    with connect(Settings(), role="job") as conn:
        rows = figures_on(conn, code=code, on_date=day)
    table = Table("编码", "名称", "地块", "地块 亩", "设施", "农户", "事件", box=None, title=f"{code} · {day}")
    for column in table.columns[2:]:
        column.justify = "right"
    for r in rows:
        table.add_row(
            r.code or "",
            r.name,
            _n(r.parcels),
            f"{r.area_m2 / MU:,.1f}",
            _n(r.facilities),
            _n(r.households),
            _n(r.incidents),
        )
    table.add_section()
    table.add_row(
        "", "合计", _n(sum(r.parcels for r in rows)), f"{sum(r.area_m2 for r in rows) / MU:,.1f}",
        _n(sum(r.facilities for r in rows)), _n(sum(r.households for r in rows)), _n(sum(r.incidents for r in rows)),
    )  # fmt: skip
    Console().print(table)


def _n(value: int | None) -> str:
    return "无数据" if value is None else f"{value:,}"
