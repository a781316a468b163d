"""Entry of the command line: `./onemap WORD ...`; every command shows an example in its help."""

from __future__ import annotations

import errno
import sys

import psycopg
import typer
from rich.console import Console

from cli import access, audit, bench, check, county, db, divisions, doctor, imports, partner, process, store, up, worker
from gis.errors import OnemapError, SetupProblem, StoreUnavailable
from gis.settings import Settings
from gis.store.space import is_scarce

HELP = """乡村治理一张图：从一张活的地图治理一个县。

./onemap up      安装、建库、启动网页，一条命令
./onemap test    全部测试（自己安装所需软件）；./onemap test tests/unit -k tiles 只跑一部分
"""
# These look after the store themselves, or do without it.
WITHOUT_STORE = {"up", "down", "reset", "doctor", "check", "process"}

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.command("up")(up.up)
app.command("down")(up.down)
app.command("reset")(up.reset)
app.command("doctor")(doctor.doctor)
app.command("check")(check.check)
app.command("bench")(bench.bench)
app.command("worker")(worker.worker)
app.add_typer(access.app, name="access")
app.add_typer(audit.app, name="audit")
app.add_typer(county.app, name="county")
app.add_typer(divisions.app, name="divisions")
app.add_typer(imports.app, name="import")
app.add_typer(db.app, name="db")
app.add_typer(process.app, name="process")
app.add_typer(partner.app, name="partner")


@app.callback()
def keep_store_running(context: typer.Context) -> None:
    """Start the private cluster for commands that need it, and stop it again when nobody else uses it."""
    if context.invoked_subcommand not in WITHOUT_STORE and not {"--help", "-h"} & set(sys.argv):
        settings = Settings()
        if store.start(settings):
            context.call_on_close(lambda: store.stop_if_idle(settings))


def in_words(error: Exception) -> OnemapError | None:
    """Turn faults of the machine into a sentence with a next step; None for what only a programmer can mend."""
    full = isinstance(error, psycopg.errors.DiskFull) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    # A database whose log cannot grow stops at once: what is seen of it here is a connection that broke.
    if full or (isinstance(error, psycopg.OperationalError | StoreUnavailable) and is_scarce(Settings())):
        return SetupProblem(
            "磁盘满了，这次操作没有保存任何东西。", next_step="清理磁盘后再运行一次；./onemap doctor 可看剩余空间。"
        )
    if isinstance(error, OnemapError):
        return error
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailable(
            "和数据库的连接断了，这次操作没有保存任何东西。", next_step="运行 ./onemap doctor 查原因，再试一次。"
        )
    if isinstance(error, PermissionError):
        return SetupProblem(f"没有权限：{error.filename}", next_step="检查该文件的属主和权限。")
    return None


def main() -> None:
    """Run one command; a foreseeable fault ends in one sentence and its exit code, never a traceback."""
    try:
        app()
    except Exception as e:
        words = in_words(e)
        if words is None:
            raise
        console = Console(stderr=True)
        console.print(f"[bold red]✗[/] {words.message}", highlight=False, soft_wrap=True)
        if words.next_step:
            console.print(f"  → {words.next_step}", highlight=False, soft_wrap=True)
        sys.exit(words.exit_code)


if __name__ == "__main__":
    main()
