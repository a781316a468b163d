"""`./onemap bench [NAME]`: each figure beside its target and the peer's figure from the same run."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gis.errors import BadRequest
from gis.settings import ROOT, Settings

if TYPE_CHECKING:
    from tests.bench.report import Figure

_VERDICT = {
    "met": "[green]达标[/]",
    "missed": "[bold red]未达标[/]",
    "information": "",
    "not executed": "[yellow]未执行[/]",
}


def benches() -> list[str]:
    """Names of the benchmarks: the modules of tests/bench that have a ``run``."""
    return sorted(
        p.stem for p in (ROOT / "tests" / "bench").glob("*.py") if "\ndef run(" in p.read_text(encoding="utf-8")
    )


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="基准名；不填全部")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="少量样本，只看能否运行，不作数")] = False,
) -> None:
    """测速：打印每项数字、目标、同一次运行里对照软件的数字与倍数。例：./onemap bench tiles load"""
    known = benches()
    unknown = [n for n in names or [] if n not in known]
    if unknown:
        raise BadRequest(f"没有基准 {'、'.join(unknown)}。", next_step=f"可选：{'、'.join(known)}")
    settings = Settings()
    results: dict[str, list[Figure]] = {}
    for name in names or known:
        run = importlib.import_module(f"tests.bench.{name}").run
        accepted = inspect.signature(run).parameters
        results[name] = run(settings, **({"quick": quick} if "quick" in accepted else {}))
    machine = _machine()
    if as_json:
        shown: dict[str, Any] = {
            "machine": machine,
            "quick": quick,
            "figures": {n: [f.as_dict() for f in fs] for n, fs in results.items()},
        }
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        _print(machine, results, quick=quick)
    verdicts = {f.verdict for figures in results.values() for f in figures}
    raise typer.Exit(1 if verdicts & {"missed", "not executed"} or not verdicts else 0)


def _machine() -> dict[str, str | int]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory_gb = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return {"cpu": model, "cores": os.cpu_count() or 0, "memory_gb": memory_gb, "system": platform.platform()}


def _print(machine: dict[str, str | int], results: dict[str, list[Figure]], *, quick: bool) -> None:
    console = Console(width=160)
    console.print(
        f"机器：{machine['cpu']} × {machine['cores']}，内存 {machine['memory_gb']} GB，{machine['system']}",
        highlight=False,
    )
    if quick:
        console.print("[yellow]--quick：样本太少，数字不作数。[/]")
    for name, figures in results.items():
        table = Table(
            "项目", "实测", "目标", "对照", "倍数", "结论", "说明", title=name, title_justify="left", box=None
        )
        for f in figures:
            sign = "≤" if f.better == "lower" else "≥"
            table.add_row(
                f.name,
                "–" if f.value is None else f"{f.value:,.4g} {f.unit}",
                "" if f.target is None else f"{sign} {f.target:,.4g}",
                "" if f.peer is None else f"{f.peer_name} {f.peer:,.4g}",
                ("" if f.ratio is None else f"{f.ratio:.1f}×")
                + ("" if f.ratio_target is None else f"（≥ {f.ratio_target:g}×）"),
                _VERDICT[f.verdict],
                f.note,
            )
        console.print(table)
