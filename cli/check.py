"""`./onemap check`: style, types, room boundaries, and every SQL file and definition the program would load."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

from gis.errors import DefinitionError, OnemapError
from gis.settings import ROOT, Settings

PYTHON_TREES = ["gis", "etl", "dashboard", "cli", "tests"]
# `-- name --` blocks of sql/queries use psycopg's placeholders, which are no SQL: stand-ins let the parser read them.
_PLACEHOLDER = re.compile(r"%\([a-z0-9_]+\)[sbt]|%[sbt]")
_IDENTIFIER = re.compile(r"\{([a-z_]+)\}")


def check() -> None:
    """检查代码、类型、分层、SQL 和全部定义文件。例：./onemap check"""
    console = Console()
    tools: list[tuple[str, list[str]]] = [
        ("ruff", ["-m", "ruff", "check", *PYTHON_TREES]),
        ("ruff format", ["-m", "ruff", "format", "--check", *PYTHON_TREES]),
        ("mypy", ["-m", "mypy"]),
        ("import-linter", ["-c", "from importlinter.cli import lint_imports_command as c; c()"]),
    ]
    failed: list[str] = []
    for name, arguments in tools:
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        report(console, name, [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines(), failed)
    settings = Settings()
    for name, find in (("SQL", sql_faults), ("定义文件", definition_faults), ("仓库内容", repository_faults)):
        report(console, name, find(settings), failed)
    if failed:
        console.print(f"[bold red]✗[/] 未通过：{'、'.join(failed)}", highlight=False)
        raise typer.Exit(1)
    console.print("全部通过。")


def report(console: Console, name: str, faults: list[str], failed: list[str]) -> None:
    """Print one outcome and note a failure."""
    console.print(f"[{'red' if faults else 'green'}]{'✗' if faults else '✓'}[/] {name}", highlight=False)
    for fault in faults[:60]:
        console.print(f"    {fault}", highlight=False, markup=False, soft_wrap=True)
    if faults:
        failed.append(name)


def sql_faults(settings: Settings) -> list[str]:
    """Sentences on every SQL file that PostgreSQL's own parser refuses."""
    import pglast

    from gis.store.migrate import migrations
    from gis.store.queries import load_queries

    faults: list[str] = []

    def parse(where: str, text: str) -> None:
        try:
            statements = pglast.parse_sql(text)
        except pglast.parser.ParseError as e:
            faults.append(f"{where}：{e}")
            return
        if not statements:
            faults.append(f"{where}：没有语句")

    for path in sorted(settings.sql.rglob("*.sql")):
        if path.parent.name != "queries":
            parse(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    for path in sorted((settings.sql / "queries").glob("*.sql")):
        for name, body in load_queries(path.stem).items():
            plain = _IDENTIFIER.sub(r"x_\1", _PLACEHOLDER.sub("NULL", body).replace("%%", "%"))
            parse(f"sql/queries/{path.name} {name}", plain)
    migrations(settings.sql)
    return faults


def definition_faults(settings: Settings) -> list[str]:
    """Sentences on every definition that does not load; a TOML file nobody validates is a fault too."""
    loaders = _loaders(settings)
    faults: list[str] = []
    for path in sorted(settings.data.rglob("*.toml")):
        where = path.relative_to(settings.data).as_posix()
        loader = loaders.get(where) or loaders.get(f"{path.parent.relative_to(settings.data).as_posix()}/*")
        try:
            tomllib.loads(path.read_text(encoding="utf-8"))
            if loader is None:
                faults.append(f"data/{where}：没有校验它的程序（在 cli/check.py 登记）")
            else:
                loader(path)
        except (OnemapError, ValueError, OSError) as e:
            faults.append(f"data/{where}：{e}")
    for path in sorted(settings.data.rglob("*.csv")):
        faults += _csv_faults(path, where=f"data/{path.relative_to(settings.data).as_posix()}")
    if not any("data/processes/" in fault for fault in faults):
        try:
            _case_definitions(settings)
        except OnemapError as e:
            faults.append(str(e))
    return faults


def _case_definitions(settings: Settings) -> None:
    """What the definitions of cases say of one another: prefixes, units, duties."""
    from gis.cases.publishing import read_definitions

    read_definitions(settings.data)


def _loaders(settings: Settings) -> dict[str, Callable[[Path], object]]:
    """Which function validates which file or folder of data/."""
    from dashboard.http.planned import read_planned
    from dashboard.http.ratelimit import read_limits as read_rates
    from dashboard.http.routes import read_routes
    from etl.cases.mapping import read_case_mapping
    from etl.demo.lists import shape
    from etl.demo.profile import load_profile
    from etl.limits import read_limits
    from etl.mapping import read_mapping
    from gis.access.resealing import read_sealed
    from gis.access.roles import Roles
    from gis.access.rules import AccessRules
    from gis.cases.calendar import Calendar
    from gis.cases.catalogue import Processes, read
    from gis.cases.checking import Knowledge
    from gis.cases.open311 import Rules
    from gis.cases.suggest import SuggestionRules
    from gis.divisions.verify import DivisionRules
    from gis.tiles.service import TileService

    def read_limits_of_requests(path: Path) -> object:
        routes = read_routes(settings.data / "access" / "routes.toml", permissions=Roles.load(settings.data).sentences)
        return read_rates(path, kinds={rule.rate for rule in routes.rules})

    def process(path: Path) -> None:
        _, faults = read(path, Knowledge.load(settings.data))
        if faults:
            raise DefinitionError("；".join(faults))

    def mapping(path: Path) -> object:
        if not path.stem.startswith("incidents_"):
            return read_mapping(settings.data, path.stem)
        states = frozenset(s.id for s in Processes.load(settings.data).current("incident").state)
        return read_case_mapping(settings.data, path.stem, states=states)

    def layers(_: Path) -> object:
        return TileService(settings)  # reads and validates every layer at once

    return {
        "counties/*": lambda path: load_profile(path.stem).division_rows(),
        "demo/*": lambda path: shape(path.stem),
        "imports/limits.toml": lambda _: read_limits(settings.data),
        "imports/*": mapping,
        "calendars/*": lambda path: Calendar.load(settings.data, path.stem),
        "processes/*": process,
        "layers/*": layers,
        "access/routes.toml": lambda path: read_routes(path, permissions=Roles.load(settings.data).sentences),
        "access/sealed.toml": lambda _: read_sealed(settings.data),
        "open311.toml": lambda _: Rules.load(settings.data),
        "planned.toml": lambda _: read_planned(settings.data),
        "roles.toml": lambda _: Roles.load(settings.data),
        "rules/access.toml": lambda _: AccessRules.load(settings.data),
        "rules/divisions.toml": lambda _: DivisionRules.load(settings.data),
        "rules/suggestion.toml": lambda _: SuggestionRules.load(settings.data),
        "rules/rates.toml": read_limits_of_requests,
    }


def _csv_faults(path: Path, *, where: str) -> list[str]:
    """A code list has a header, rows as wide as it, and no code twice."""
    with path.open(encoding="utf-8-sig", newline="") as f:
        header, *rows = list(csv.reader(f)) or [[]]
    faults = [f"{where}：没有内容"] if not rows else []
    faults += [
        f"{where} 第 {n} 行：{len(r)} 列，表头 {len(header)} 列" for n, r in enumerate(rows, 2) if len(r) != len(header)
    ]
    if header[:1] == ["code"]:
        codes = [r[0] for r in rows if r]
        faults += [f"{where}：代码 {c} 重复" for c in sorted({c for c in codes if codes.count(c) > 1})]
    return faults


def repository_faults(settings: Settings) -> list[str]:
    """Sentences on tracked files that name a registry's host or a path of one machine."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    forbidden = re.compile(
        "|".join(["pypi" + r"\.org", "registry" + r"\.npmjs", "deb" + r"\.debian\.org", "/wo" + "rk/"])
    )
    faults = []
    for name in filter(None, names):
        path = ROOT / name
        if path.suffix in {".py", ".sql", ".toml", ".md", ".js", ".css", ".json", ".txt", ".sh", ""} and path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if forbidden.search(line):
                    faults.append(f"{name}:{number}：出现了软件源地址或本机路径")
    return faults
