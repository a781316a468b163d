"""`./onemap audit`: recompute the trail, list it, print the month's code for the notice board and slips for villagers."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gis.access import audit
from gis.access.audit_head import earlier, remember, remembered
from gis.access.receipt import Receipt, Slip, receipt, slip
from gis.access.receipt_page import board_page, check_page, slip_text
from gis.clock import ZONE, now
from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.engine import connect

app = typer.Typer(no_args_is_help=True, help="审计：核验、列出、公示码")


@app.command()
def verify() -> None:
    """重算整条链，指出第一条被改、被删的记录。例：./onemap audit verify"""
    settings = Settings()
    begun = time.monotonic()
    with connect(settings, role="owner") as conn:
        conn.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        )  # one state, while others go on writing
        noted = remembered(settings, conn)
        old = earlier(settings, conn)
        verdict = audit.verify(conn, remembered=noted)
    if old:
        typer.echo(f"提示：留底里有同名旧库的记录（到第 {old} 条）。库若是重建或恢复的，请和当时的记录比对。")
    if verdict.bad_seq is not None:
        typer.echo(f"✗ {verdict.fault}。之前的 {verdict.head.seq} 条无误。", err=True)
        typer.echo("  → 先停用网页，保留现场（数据库和审计留底 audit-head.json），再请审计管理员处理。", err=True)
        raise typer.Exit(1)
    with connect(settings, role="owner") as conn:
        audit.record(conn, action="audit.verified", object_kind="audit", detail={"rows": verdict.rows})
    with connect(settings, role="owner") as conn:
        remember(settings, conn)
    seconds = time.monotonic() - begun
    typer.echo(
        f"✓ {verdict.rows:,} 条全部无误，用 {seconds:.1f} 秒；和库外留底 {len(noted)} 处一致。链头 {verdict.head.hash.hex()[:16]}…"
    )


@app.command("list")
def list_command(
    login: Annotated[str | None, typer.Option(help="谁")] = None,
    action: Annotated[str | None, typer.Option(help="动作，例如 sign_in、reveal")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="从哪一天")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="到哪一天之前")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多列出几条")] = 50,
) -> None:
    """列出审计记录，新的在前。例：./onemap audit list --action sign_in.failed"""
    with connect(Settings(), role="owner") as conn:
        found = audit.search(
            conn, login=login, action=action, since=since.replace(tzinfo=ZONE) if since else None,
            until=until.replace(tzinfo=ZONE) if until else None, limit=limit,
        )  # fmt: skip
    table = Table("序号", "时间", "谁", "角色", "动作", "对象", "来自", "理由", box=None)
    for r in found:
        what = " ".join(x for x in (r.object_kind, r.object_id) if x)
        table.add_row(
            str(r.seq), f"{r.at.astimezone(ZONE):%m-%d %H:%M:%S}", r.login or "–", r.role or "", r.action, what,
            str(r.address or ""), r.reason or "",
        )  # fmt: skip
    Console().print(table)
    if not found:
        typer.echo("没有符合条件的记录。")


@app.command("receipt")
def receipt_command(
    month: Annotated[str, typer.Option(help="月份，例如 2026-10")],
    record: Annotated[int | None, typer.Option(help="给村民的凭条：第几条记录")] = None,
    html: Annotated[Path | None, typer.Option(help="另存为网页：公示单，或带凭条的核对页")] = None,
) -> None:
    """打印一个月的公示码，或一条记录的凭条。例：./onemap audit receipt --month 2026-10 --html 公示.html"""
    settings = Settings()
    moment = now()
    with connect(settings, role="owner") as conn:
        found = conn.execute("SELECT code FROM onemap.county ORDER BY code LIMIT 1").fetchone()
        if found is None:
            raise SetupProblem("还没有建库。", next_step="先运行 ./onemap up。")
        made: Receipt
        one: Slip | None = None
        if record is None:
            made, _ = receipt(conn, month=month, county=found[0], at=moment)
        else:
            made, one = slip(conn, month=month, county=found[0], seq=record, at=moment)
        audit.record(
            conn,
            action="audit.receipt",
            object_kind="audit",
            object_id=month,
            detail={"code": made.code, "rows": made.rows, "record": record},
        )
    typer.echo(f"{month} 审计公示码    {made.code}")
    typer.echo(
        f"区划 {made.county}，{made.rows:,} 条（第 {made.first_seq} 至 {made.last_seq} 条），全码 {made.root.hex()}"
    )
    if not made.complete:
        typer.echo("本月还没有结束，这个码还会变，不要张贴。")
    if one is not None:
        typer.echo("凭条文字：")
        typer.echo(slip_text(one))
    if html is not None:
        page = check_page(settings.data, one) if one is not None else board_page(settings.data, made, printed=moment)
        html.write_text(page, encoding="utf-8")
        typer.echo(f"已写入 {html}")
