"""`./onemap import`: real files in, with checks and quarantine; the log of loads; taking a load back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from etl.cases.importing import import_cases
from etl.importing import OnProgress, Options, import_file, store_transaction
from etl.mapping import Subject
from etl.rejects import write_rejects
from etl.report import NothingLoaded, Reason, Report
from etl.undoing import list_loads, show_load, undo_load
from gis.access.audit import record
from gis.access.crypt import load_keys
from gis.errors import BadRequest, OnemapError
from gis.settings import Settings

app = typer.Typer(no_args_is_help=True, help="导入：区划、地块、设施、历史办件；查看、下载问题行、撤销")

File = Annotated[str, typer.Argument(help="文件：.zip .shp .gpkg .geojson .json")]
MappingName = Annotated[str, typer.Option("--mapping", help="字段对应，data/imports/ 里的名字")]
Layer = Annotated[str | None, typer.Option(help="GeoPackage 的图层名，有多个时必填")]
Crs = Annotated[
    str | None,
    typer.Option("--crs", "--source-crs", help="坐标系：EPSG:4526 这样的代码，或 GCJ-02、BD-09；文件自带时不用填"),
]
Encoding = Annotated[str | None, typer.Option(help="shapefile 文字编码，如 GB18030；一般不用填")]
SwapXy = Annotated[bool, typer.Option("--swap-xy", help="文件里第一个数是北坐标或纬度")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="试运行：全部检查，不改库")]
Again = Annotated[bool, typer.Option("--again", help="同一文件再导入一次")]
AsJson = Annotated[bool, typer.Option("--json", help="给程序读的输出")]
Rejects = Annotated[Path | None, typer.Option(help="把未导入的行写到这个文件（.csv 或 .gpkg）")]
Repair = Annotated[bool, typer.Option("--repair", help="修复面积几乎不变的自相交")]
LoadId = Annotated[int, typer.Argument(help="批次号，见 ./onemap import log")]


@app.command()
def parcels(
    file: File, mapping: MappingName, layer: Layer = None, crs: Crs = None, encoding: Encoding = None,
    swap_xy: SwapXy = False, repair: Repair = False, dry_run: DryRun = False, again: Again = False,
    rejects: Rejects = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """导入承包地块。例：./onemap import parcels 巨鹿镇地块.zip --mapping ny_t_2539 --dry-run"""
    _features("parcels", file, mapping, as_json, Options(
        layer=layer, crs=crs, encoding=encoding, swap_xy=swap_xy, repair=repair, dry_run=dry_run, again=again, rejects=rejects,
    ))  # fmt: skip


@app.command()
def facilities(
    file: File, mapping: MappingName = "facilities_generic", layer: Layer = None, crs: Crs = None,
    encoding: Encoding = None, swap_xy: SwapXy = False, dry_run: DryRun = False, again: Again = False,
    rejects: Rejects = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """导入设施点。例：./onemap import facilities 学校.geojson"""
    _features("facilities", file, mapping, as_json, Options(
        layer=layer, crs=crs, encoding=encoding, swap_xy=swap_xy, dry_run=dry_run, again=again, rejects=rejects,
    ))  # fmt: skip


@app.command()
def divisions(
    file: File,
    valid_from: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="从哪天起生效，以批复为准")] = None,
    mapping: MappingName = "divisions_minzheng", layer: Layer = None, crs: Crs = None, encoding: Encoding = None,
    swap_xy: SwapXy = False, dry_run: DryRun = False, again: Again = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """导入区划界线，有一处不对就整份不导入。例：./onemap import divisions 村界.gpkg --valid-from 2026-11-01"""
    _features("divisions", file, mapping, as_json, Options(
        layer=layer, crs=crs, encoding=encoding, swap_xy=swap_xy, dry_run=dry_run, again=again,
        valid_from=valid_from.date() if valid_from else None,
    ))  # fmt: skip


@app.command()
def incidents(
    file: Annotated[str, typer.Argument(help="文件：.csv 或 .xlsx")],
    mapping: Annotated[str, typer.Option("--mapping", help="字段对应：incidents_12345 或 incidents_nyc311，见 data/imports/")] = "incidents_12345",
    crs: Crs = None, encoding: Annotated[str | None, typer.Option(help="CSV 文字编码，如 GB18030；一般不用填")] = None,
    swap_xy: SwapXy = False, dry_run: DryRun = False, again: Again = False, rejects: Rejects = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """导入别的系统的历史办件；再导入是更新，不会重复。例：./onemap import incidents 12345.xlsx --mapping incidents_12345 --dry-run"""
    options = Options(crs=crs, encoding=encoding, swap_xy=swap_xy, dry_run=dry_run, again=again, rejects=rejects)
    _run(as_json, lambda said: import_cases(Settings(), file=file, mapping=mapping, options=options, on_progress=said))


@app.command()
def log(limit: Annotated[int, typer.Option(help="最多列出几批")] = 30, as_json: AsJson = False) -> None:
    """列出入库批次，新的在前。例：./onemap import log"""
    with store_transaction(Settings(), keep=False) as conn:
        loads = list_loads(conn, limit=limit)
    if as_json:
        typer.echo(json.dumps([vars(x) | {"state": x.state} for x in loads], ensure_ascii=False, default=str))
        return
    if not loads:
        typer.echo("还没有导入过任何文件。")
        return
    table = Table("批次", "内容", "文件", "时间", "读", "入库", "隔离", "状态")
    for x in loads:
        table.add_row(
            str(x.load_id), x.subject, x.source_name + ("（合成）" if x.synthetic else ""), f"{x.started_at:%Y-%m-%d %H:%M}",
            f"{x.rows_in:,}", f"{x.rows_loaded:,}", f"{x.rows_quarantined:,}", x.state,
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(load: LoadId, as_json: AsJson = False) -> None:
    """看一批的来历和被隔离的行。例：./onemap import show 12"""
    with store_transaction(Settings(), keep=False) as conn:
        record, quarantined = show_load(conn, load)
    if as_json:
        found = vars(record) | {"state": record.state, "quarantined": [vars(r) for r in quarantined]}
        typer.echo(json.dumps(found, ensure_ascii=False, default=str))
        return
    console = Console()
    console.print(f"批次 {record.load_id}：{record.source_name}（{record.state}）", highlight=False)
    for label, value in (
        ("内容", record.subject), ("字段对应", record.mapping), ("坐标系", record.source_crs), ("SHA-256", record.sha256),
        ("经手", record.loaded_by), ("开始", record.started_at), ("结束", record.finished_at), ("撤销", record.undone_at),
        ("说明", record.note),
    ):  # fmt: skip
        if value is not None:
            text = f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
            console.print(f"  {label}：{text}", highlight=False, markup=False)
    console.print(
        f"  读 {record.rows_in:,} 行，入库 {record.rows_loaded:,} 行，隔离 {record.rows_quarantined:,} 行",
        highlight=False,
    )
    _table(console, "隔离的行", quarantined)


@app.command("rejects")
def rejects_command(
    load: LoadId,
    out: Annotated[Path, typer.Option(help="写到哪个文件（.csv 或 .gpkg）")],
    personal: Annotated[
        bool, typer.Option("--personal", help="连同个人信息，改好后可再导入；要写理由，记入审计")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="为什么要看个人信息")] = None,
) -> None:
    """下载一批里未导入的行和原因，个人信息脱敏。例：./onemap import rejects 12 --out 问题行.gpkg --personal --reason 补录"""
    settings = Settings()
    vault = None
    if personal:
        if len((reason or "").strip()) < 2:
            raise BadRequest("没有写理由，没有下载。", next_step="加 --reason，写一句为什么要看。")
        vault = load_keys(settings)
        # On record before anything is opened, whatever becomes of it.
        with store_transaction(settings) as conn:
            record(conn, action="quarantine.opened", object_kind="load", object_id=load, reason=reason)
    with store_transaction(settings, keep=False) as conn:
        rows = write_rejects(conn, load, out=out, vault=vault)
    note = "文件有个人信息，仅本人可读，用完请删除。" if personal else "个人信息已脱敏；要改好再导入，加 --personal。"
    typer.echo(f"已写入 {out.name}：{rows:,} 行，含原因。{note}")


@app.command()
def undo(load: LoadId) -> None:
    """撤销一批：它的行全部取回，记录保留。例：./onemap import undo 12"""
    with store_transaction(Settings()) as conn:
        counts = undo_load(conn, load)
    typer.echo(f"已撤销批次 {load}：" + "、".join(f"{k} {n:,}" for k, n in counts.items()) + "。入库记录保留。")


def _features(subject: Subject, file: str, mapping: str, as_json: bool, options: Options) -> None:
    _run(as_json, lambda said: import_file(
        Settings(), subject=subject, file=file, mapping=mapping, options=options, on_progress=said
    ))  # fmt: skip


def _run(as_json: bool, work: Callable[[OnProgress], Report]) -> None:
    console = Console(stderr=True)
    try:
        with _Bars(console, quiet=as_json) as on_progress:
            report = work(on_progress)
    except OnemapError as e:
        nothing = e.report if isinstance(e, NothingLoaded) else None
        if not as_json:
            if nothing is not None:
                _print(nothing)
            raise
        answer = {"error": e.message, "next_step": e.next_step, "report": nothing and nothing.as_dict()}
        typer.echo(json.dumps(answer, ensure_ascii=False))
        raise typer.Exit(e.exit_code) from e
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _print(report)


class _Speed(ProgressColumn):
    """Rows a second, measured by rich."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        return Text("" if not task.speed or (task.total or 0) <= 1 else f"{task.speed:,.0f} 行/秒")


class _Bars:
    """Bars on a terminal, nothing with --json; one bar a step."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeElapsedColumn(),
            console=console, disable=quiet,
        )  # fmt: skip
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> Callable[[str, int, int], None]:
        self.bars.__enter__()
        return self.update

    def __exit__(self, *exc: object) -> None:
        self.bars.__exit__(None, None, None)

    def update(self, step: str, done: int, total: int) -> None:
        """Move the bar of a step; a new step ends the one before."""
        if step not in self.tasks:
            self.tasks[step] = self.bars.add_task(step, total=total)
        self.bars.update(self.tasks[step], completed=done, total=total)  # type: ignore[arg-type]


def _print(report: Report) -> None:
    console = Console()
    verb = "试运行（未改库）" if report.dry_run else "未导入" if report.load_id is None else f"批次 {report.load_id}"
    speed = report.rows_in / report.seconds if report.seconds else 0
    console.print(f"[bold]{verb}[/]：{report.file}", highlight=False)
    console.print(f"  坐标系 {report.crs}，字段对应 {report.mapping}，SHA-256 {report.sha256[:12]}…", highlight=False)
    console.print(
        f"  读 {report.rows_in:,} 行，入库 {report.rows_loaded:,} 行，隔离 {report.rows_quarantined:,} 行，"
        f"未落点 {report.unplaced:,} 行；{report.seconds:.1f} 秒（{speed:,.0f} 行/秒）", highlight=False,
    )  # fmt: skip
    _table(console, "隔离：没有入库的行", report.quarantined)
    _table(console, "提醒：已入库，请留意", report.warnings)
    for note in report.notes:
        console.print(f"  · {note}", highlight=False, markup=False)
    for step in report.next_steps:
        console.print(f"  → {step}", highlight=False, markup=False)


def _table(console: Console, title: str, found: list[Reason]) -> None:
    if not found:
        return
    table = Table("原因", "行数", "例子（行号 编码：说明）", title=title, title_justify="left")
    for reason in found:
        examples = [f"{number} {key or '—'}：{text}" for number, key, text in reason.examples]
        if reason.rows > len(examples):
            examples.append(f"… 共 {reason.rows:,} 行")
        table.add_row(reason.title, f"{reason.rows:,}", Text("\n".join(examples)))
    console.print(table)
