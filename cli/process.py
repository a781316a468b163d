"""`./onemap process`: which processes there are, what each allows, and whether a definition file is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gis.access.roles import Roles
from gis.cases import diagram
from gis.cases.catalogue import Processes, digest, read
from gis.cases.checking import Knowledge
from gis.cases.deadline import promise
from gis.cases.definition import Process
from gis.cases.machine import who_in_words
from gis.errors import BadInput, NotFound, StoreUnavailable
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.queries import load_queries

app = typer.Typer(no_args_is_help=True, help="办件流程：有哪些、怎么走、定义文件对不对")
CLOCKS = {"waits": "未计时", "runs": "计时", "paused": "停表", "stopped": "已停表"}


@app.command("list")
def list_all() -> None:
    """列出全部流程、版本和在办件数。例：./onemap process list"""
    settings = Settings()
    processes = Processes.load(settings.data)
    standing = _standing(settings)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for column in ("名称", "标识", "版本", "编号前缀", "状态", "步骤", "办件", "在办", "说明"):
        table.add_column(column, justify="right" if column in ("办件", "在办", "状态", "步骤", "版本") else "left")
    for process in processes.current_by_id.values():
        cases = (standing or {}).pop((process.process, process.version), None)
        told = "" if cases else "库没启动" if standing is None else "下次启动时发布"
        if cases and cases[3] != digest(process):
            told = "文件与已发布的不同"
        table.add_row(
            process.name, process.process, str(process.version), process.prefix, str(len(process.state)), str(len(process.transition)),
            *(f"{n:,}" for n in cases[1:3]) if cases else ("—", "—"), told,
        )  # fmt: skip
    for (name, version), (title, total, running, _) in (standing or {}).items():
        table.add_row(title, name, str(version), "", "", "", f"{total:,}", f"{running:,}", "旧版，在办的照它办完")
    Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="流程标识，例如 incident")],
    as_dot: Annotated[bool, typer.Option("--dot", help="输出 Graphviz 原稿")] = False,
    svg: Annotated[Path | None, typer.Option(help="把流程图写成 SVG 文件")] = None,
) -> None:
    """看一个流程：状态、步骤、谁来做、时限；画成图。例：./onemap process show incident --svg incident.svg"""
    settings = Settings()
    processes = Processes.load(settings.data)
    if name not in processes.current_by_id:
        raise NotFound(f"没有流程 {name}。", next_step=f"可选：{'、'.join(processes.current_by_id)}。")
    process = processes.current(name)
    if as_dot:
        typer.echo(diagram.dot_text(process))
        return
    if svg is not None:
        svg.write_text(diagram.svg(process) + "\n", encoding="utf-8")
        typer.echo(f"已写入 {svg}")
        return
    _show(process, processes, Roles.load(settings.data))


@app.command()
def check(file: Annotated[Path | None, typer.Argument(help="一个 .toml；不写就检查全部")] = None) -> None:
    """检查流程定义，一次说出全部问题。例：./onemap process check data/processes/incident.toml"""
    settings = Settings()
    if file is None:
        processes = Processes.load(settings.data)
        typer.echo(f"{len(processes.current_by_id)} 个流程都对：{'、'.join(processes.current_by_id)}。")
        return
    process, faults = read(file, Knowledge.load(settings.data))
    if faults or process is None:
        raise BadInput(
            f"{file.name} 有 {len(faults)} 处不对：\n" + "\n".join(f"  {fault}" for fault in faults),
            next_step="改好后再检查一次。",
        )
    typer.echo(
        f"{file.name} 没有问题：{process.name} 第 {process.version} 版，{len(process.state)} 个状态，{len(process.transition)} 个步骤。"
    )


@app.command()
def train() -> None:
    """用本县的历史办件训练事项建议，打印准确率；正在运行的网页自动换用新的。例：./onemap process train"""
    from gis.jobs.training import train_item

    print_card(train_item(Settings()).card)


def print_card(card: dict[str, Any]) -> None:
    """The model card (模型卡) in words."""
    console = Console()
    console.print(
        f"事项建议已训练：{card['rows']:,} 件办件，{card['items']} 个事项，{card['wordings']:,} 种说法；只读标题和内容，不读人名、电话。",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for column in ("检验", "样本", "第一个就对", "前三个里有"):
        table.add_column(column, justify="left" if column == "检验" else "right")
    for name, figures in (
        (f"最近 {card['held_out_days']} 天（之前的办件来教）", card["by_time"]),
        ("没见过的说法（每种算一次）", card["unseen_wording"]),
    ):
        shown = (
            ("无数据",) * 3
            if figures is None
            else (f"{figures['n']:,}", f"{figures['top1']:.1%}", f"{figures['top3']:.1%}")
        )
        table.add_row(name, *shown)
    console.print(table)
    if card["left_out"]:
        console.print(f"办件太少、不会建议的事项：{'、'.join(card['left_out'])}", highlight=False)
    console.print(
        f"置信度已按没见过的说法校准（温度 {card['temperature']}）。建议只显示，从不自动采用。", highlight=False
    )


def _standing(settings: Settings) -> dict[tuple[str, int], tuple[str, int, int, str]] | None:
    """Name, cases, open cases and digest of every published version; None when the store is away or older."""
    queries = load_queries("processes")
    try:
        with connect(settings, role="owner") as conn:
            if conn.execute(queries["is_there"]).fetchone() == (False,):
                return None
            fingerprints = {(r[0], r[1]): r[2] for r in conn.execute(queries["published"]).fetchall()}
            rows = conn.execute(queries["versions"]).fetchall()
    except StoreUnavailable:
        return None
    return {(r[0], r[1]): (r[2], r[4], r[5], fingerprints[r[0], r[1]]) for r in rows}


def _show(process: Process, processes: Processes, roles: Roles) -> None:
    console = Console()
    classes = processes.classes
    console.print(
        f"[bold]{process.name}[/] {process.process} 第 {process.version} 版，编号 {process.prefix}", highlight=False
    )
    deadline = process.deadline
    how = "按事项的时限" if deadline.by == "item" else promise(classes.of(deadline.fixed or ""), began=deadline.began)
    console.print(
        f"时限：{how}；用掉 {deadline.at_risk_share:.0%} 起算临期；挂起最长 {deadline.longest_pause_days} 天；"
        f"延期 {deadline.extensions} 次，共 {deadline.longest_extension_days} 天。来源：{process.source}",
        highlight=False,
    )
    states = Table(box=box.SIMPLE_HEAD, header_style="bold", title="状态", title_justify="left")
    for column in ("步", "状态", "标识", "时钟", "最长停留", "群众看到"):
        states.add_column(column)
    for s in process.state:
        limit = classes.of(s.within).length if s.within else ""
        states.add_row(
            str(s.step), s.name + ("（结束）" if s.ends else ""), s.id, CLOCKS[s.clock], limit, s.public_name
        )
    console.print(states)
    steps = Table(box=box.SIMPLE_HEAD, header_style="bold", title="步骤", title_justify="left")
    for column in ("步骤", "标识", "从", "到", "谁来做", "要填"):
        steps.add_column(column, overflow="fold")
    names = {s.id: s.name for s in process.state}
    for t in process.transition:
        asked = [f.name + ("*" if f.required else "") for f in t.form]
        asked += ["原因*"] if t.reason else []
        asked += [
            f"处理后照片 {e.at_least} 张*" if e.stage == "after" else f"照片 {e.at_least} 张*" for e in t.evidence
        ]
        steps.add_row(
            t.name, t.id, "、".join(names[x] for x in t.source), names[t.to] if t.to else "不变",
            "；".join(who_in_words(w, roles={r.id: r.name for r in roles.by_id.values()}, permissions=roles.sentences) for w in t.who),
            "、".join(asked),
        )  # fmt: skip
    console.print(steps)
    for a in process.automatic:
        console.print(f"自动：{process.transition_of(a.transition).name}，{a.after_days:g} 天后", highlight=False)
