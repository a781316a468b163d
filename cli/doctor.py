"""`./onemap doctor`: what is wrong with this machine or store, and how to mend it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
import typer
from rich.console import Console

from cli import store
from cli.up import BUILD_SPACE_MB, serving
from gis.errors import OnemapError
from gis.settings import Settings
from gis.store.administration import missing
from gis.store.cluster import Cluster, server_folder
from gis.store.engine import connect
from gis.store.migrate import migrations
from gis.store.outside import EXTENSIONS, GUIDE, lacking

OLDEST_POSTGIS = (3, 2)


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``ok``, ``warning`` (works, but) or ``fault`` (does not work)."""

    verdict: Literal["ok", "warning", "fault"]
    what: str
    mend: str = ""


def doctor() -> None:
    """体检：端口、磁盘、版本、扩展、权限，说明问题和修法。例：./onemap doctor"""
    settings = Settings()
    console = Console()
    faults = 0
    for finding in examine(settings):
        mark = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "fault": "[bold red]✗[/]"}[finding.verdict]
        console.print(f"{mark} {finding.what}", highlight=False, soft_wrap=True)
        if finding.mend:
            console.print(f"    → {finding.mend}", highlight=False, soft_wrap=True)
        faults += finding.verdict == "fault"
    console.print("一切正常。" if not faults else f"{faults} 处需要处理。", highlight=False)
    raise typer.Exit(1 if faults else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything in the order a start needs it; later findings assume the earlier ones."""
    yield from _machine(settings)
    yield from _web(settings)
    if settings.database_url is None:
        cluster = Cluster(settings)
        try:
            yield Finding("ok", f"PostgreSQL 程序在 {server_folder()}")
        except OnemapError as e:
            yield Finding("fault", e.message, e.next_step)
            return
        if not cluster.exists():
            yield Finding("warning", "还没有建立数据库", "运行 ./onemap up。")
            return
    try:
        with store.running(settings):
            yield from _database(settings)
    except OnemapError as e:
        yield Finding("fault", e.message, e.next_step or "看 var/log/postgresql.log。")


def _machine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        "ok" if sys.version_info >= (3, 11) else "fault",
        f"Python {version}",
        "" if sys.version_info >= (3, 11) else "需要 3.11 或更新。",
    )
    settings.var.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(settings.var).free // 2**20
    need = BUILD_SPACE_MB[settings.scale]
    yield Finding(
        "ok" if free_mb >= need else "fault", f"磁盘剩余 {free_mb:,} MB（{settings.var}）",
        "" if free_mb >= need else f"至少要 {need} MB：清理磁盘，或用 ONEMAP_VAR 换个盘。",
    )  # fmt: skip
    writable = os.access(settings.var, os.W_OK)
    yield Finding(
        "ok" if writable else "fault",
        f"{settings.var} {'可写' if writable else '不可写'}",
        "" if writable else "改正该文件夹的属主和权限。",
    )
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    yield Finding(
        "ok" if memory_mb >= 3500 else "warning",
        f"内存 {memory_mb:,} MB",
        "" if memory_mb >= 3500 else "建议 4 GB 以上。",
    )
    chinese = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc").exists()
    if not chinese:
        yield Finding(
            "warning", "本机没有 Noto Sans CJK 字体（只影响在本机截图和打印）", "apt-get install fonts-noto-cjk"
        )


def _web(settings: Settings) -> Iterator[Finding]:
    standing = serving(settings)
    if standing:
        yield Finding("ok", f"网页正在运行：http://{settings.host}:{standing['port']}/")
    else:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((settings.host, settings.port))
                yield Finding("ok", f"端口 {settings.port} 空闲")
            except OSError as e:
                yield Finding(
                    "fault",
                    f"端口 {settings.port} 用不了：{e.strerror}",
                    f"换端口：./onemap up --port {settings.port + 1}",
                )
    library = settings.var / "node" / "node_modules" / "maplibre-gl" / "dist" / "maplibre-gl.js"
    yield Finding(
        "ok" if library.exists() else "fault",
        "前端库已安装" if library.exists() else "前端库没有装好",
        "" if library.exists() else f"删除 {settings.var}/setup-*.stamp 后再运行 ./onemap up。",
    )


def _database(settings: Settings) -> Iterator[Finding]:
    with connect(settings, role="admin", database="postgres", autocommit=True) as conn:
        number = conn.info.server_version
        yield Finding(
            "ok" if number >= 150000 else "fault",
            f"PostgreSQL {number // 10000}.{number % 10000}",
            "" if number >= 150000 else "需要 15 或更新。",
        )
        row = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [settings.db_name]).fetchone()
        lacks = lacking(conn)
    if row is None:
        for what in lacks:
            yield Finding("fault", what, f"请数据库管理员补齐，或先替您把库建好（照 {GUIDE}）。")
        yield Finding(
            "warning", f"还没有库 {settings.db_name}", "运行 ./onemap up。" if not lacks else "先解决上面的问题。"
        )
        return
    with connect(settings, role="admin", autocommit=True) as conn:
        installed: dict[str, str] = dict(conn.execute("SELECT extname, extversion FROM pg_extension").fetchall())
        for name in EXTENSIONS:
            yield Finding(
                "ok" if name in installed else "fault",
                f"扩展 {name} {installed.get(name, '没有安装')}",
                "" if name in installed else f"以管理员执行：CREATE EXTENSION {name};",
            )
        postgis = tuple(int(p) for p in installed.get("postgis", "0.0").split(".")[:2])
        if postgis < OLDEST_POSTGIS:
            yield Finding("fault", "PostGIS 太旧", "需要 3.2 或更新。")
        yield from _privileges(conn)
        for what in missing(conn):
            yield Finding("fault", what, "运行 ./onemap db migrate。")
    yield from _migrations(settings)


def _privileges(conn: psycopg.Connection) -> Iterator[Finding]:
    strong = conn.execute(
        "SELECT rolname FROM pg_roles WHERE rolname IN ('onemap_app', 'onemap_reader') AND (rolsuper OR rolbypassrls OR rolcreaterole)"
    ).fetchall()
    owned = conn.execute(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname IN ('onemap_app', 'onemap_reader')"
    ).fetchone()
    sound = not strong and owned == (0,)
    yield Finding(
        "ok" if sound else "fault", "数据库角色权限正常" if sound else "网页所用的数据库角色权限过大",
        "" if sound else "以管理员执行：ALTER ROLE onemap_app NOSUPERUSER NOBYPASSRLS NOCREATEROLE; 并收回其拥有的对象。",
    )  # fmt: skip


def _migrations(settings: Settings) -> Iterator[Finding]:
    known = {m.number: m for m in migrations(settings.sql)}
    with connect(settings, role="owner", autocommit=True) as conn:
        if conn.execute("SELECT to_regclass('public.onemap_migration')").fetchone() == (None,):
            yield Finding("warning", "库里还没有表", "运行 ./onemap up。")
            return
        applied: dict[int, str] = dict(conn.execute("SELECT number, digest FROM public.onemap_migration").fetchall())
        changed = [known[n].name for n in applied if n in known and known[n].digest != applied[n]]
        behind = [m.name for n, m in known.items() if n not in applied]
        if changed:
            yield Finding("fault", f"迁移文件应用后被改动：{'、'.join(changed)}", "还原这些文件。")
        yield Finding(
            "warning" if behind else "ok",
            f"表结构落后 {len(behind)} 步" if behind else f"表结构是最新（{len(applied)} 步）",
            "运行 ./onemap db migrate。" if behind else "",
        )
        row = conn.execute("SELECT name, scale, built_at FROM onemap.county").fetchone() if not behind else None
    if row is None or row[2] is None:
        yield Finding("warning", "县还没有建好", "运行 ./onemap up。")
    else:
        yield Finding("ok", f"{row[0]}（{row[1]}），{row[2]:%Y-%m-%d %H:%M} 建成")
