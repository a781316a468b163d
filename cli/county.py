"""`./onemap county`: build the demo county, and say what the store holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from cli.progress import Progress
from gis.errors import NotFound
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.holdings import Holding, Standing, read_holdings, read_standing

app = typer.Typer(no_args_is_help=True, help="本县：建示例县、看库里有什么")


@app.command()
def build(
    county: Annotated[str | None, typer.Option(help="县档案名，data/counties/ 里的文件，默认 julu")] = None,
    scale: Annotated[str | None, typer.Option(help="demo（约 22 万地块）或 full（100 万地块），默认 demo")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="清空重建，导入的数据也会清掉")] = False,
) -> None:
    """建示例县（边界真实，其余为合成数据）。例：./onemap county build --scale demo"""
    from etl.demo.build import build_county

    settings = Settings()
    chosen = _scale(scale or settings.scale)
    progress = Progress()
    report = build_county(settings, profile=county or settings.county, scale=chosen, rebuild=rebuild, progress=progress)
    if not report.built:
        typer.echo(f"{report.county}（{report.scale}）已经建好，未改动。要重建请加 --rebuild。")
        return
    rows = sum(phase.rows for phase in report.phases)
    typer.echo(
        f"{report.county}（{report.scale}）已建好：{rows:,} 行，用时 {report.seconds:.1f} 秒。数据为合成，仅供演示。"
    )


@app.command()
def info(as_json: Annotated[bool, typer.Option("--json", help="输出 JSON，给程序用")] = False) -> None:
    """看库里有什么，逐表列出。例：./onemap county info --json"""
    with connect(Settings(), role="owner") as conn:
        standing = read_standing(conn)
        if standing is None or standing.built_at is None:
            raise NotFound(
                "库里还没有建好的县。" if standing is None else f"{standing.name}只建了一半，不能用。",
                next_step="运行 ./onemap up，或 ./onemap county build。",
            )
        holdings = read_holdings(conn)
    if as_json:
        typer.echo(_as_json(standing, holdings))
    else:
        _print(standing, holdings)


def _scale(text: str) -> Literal["demo", "full"]:
    if text == "demo":
        return "demo"
    if text == "full":
        return "full"
    raise typer.BadParameter("只有 demo 和 full 两种规模。", param_hint="--scale")


def _as_json(standing: Standing, holdings: list[Holding]) -> str:
    county = asdict(standing)
    county["built_at"] = standing.built_at.isoformat() if standing.built_at else None
    return json.dumps({"county": county, "tables": [asdict(h) for h in holdings]}, ensure_ascii=False, indent=2)


def _print(standing: Standing, holdings: list[Holding]) -> None:
    console = Console(width=max(Console().width, 118))
    built = f"{standing.built_at:%Y-%m-%d %H:%M}" if standing.built_at else "无数据"
    console.print(f"{standing.name} {standing.code}　规模 {standing.scale}　建于 {built}", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("表", no_wrap=True)
    table.add_column("内容", no_wrap=True)
    for heading in ("行数", "大小", "已落点", "未落点", "合成"):
        table.add_column(heading, justify="right", no_wrap=True)
    for h in holdings:
        # The first words of the comment are its Chinese name
        title = h.comment.split(":")[0].split(".")[0].split(",")[0].split(" (")[0]
        title = "" if title.isascii() else title
        numbers = [h.placed, h.unplaced, h.synthetic]
        table.add_row(
            h.table,
            title,
            f"{h.rows:,}",
            f"{h.bytes / 2**20:,.1f} MB",
            *("—" if n is None else f"{n:,}" for n in numbers),
        )
    console.print(table)
    total = sum(h.bytes for h in holdings) / 2**20
    console.print(
        f"共 {sum(h.rows for h in holdings):,} 行，{total:,.0f} MB。标“合成”的是生成的演示数据，不是真实记录。",
        highlight=False,
    )
