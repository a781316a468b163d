"""`./onemap up`, `down`, `reset`: the store, the county and the web, brought up in order and taken down again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.progress import Progress
from dashboard.serve import listen
from gis.errors import OnemapError, SetupProblem
from gis.settings import Settings
from gis.store.cluster import Cluster
from gis.store.engine import connect
from gis.store.holdings import read_standing
from gis.store.migrate import create_database, migrate

BUILD_SPACE_MB = {"demo": 1500, "full": 4000}  # measured: a demo store takes 0.6 GB, a full one 2.1 GB, WAL up to 1 GB
_GRACE_S = 20
_LOOK_S = 5.0  # how often the web looks whether its database still runs


def web_record(settings: Settings) -> Path:
    """File that says which process serves, and where."""
    return settings.var / "web.json"


def serving(settings: Settings) -> dict[str, int] | None:
    """Process and port of the running web server, or None."""
    try:
        record: dict[str, int] = json.loads(web_record(settings).read_text())
        command = Path(f"/proc/{record['pid']}/cmdline").read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    return record if b"cli" in command and b"up" in command else None


def require_space(settings: Settings, *, scale: str) -> None:
    """Raise `SetupProblem` when the disk is too full to build the county."""
    free_mb = shutil.disk_usage(settings.var).free // 2**20
    if free_mb < BUILD_SPACE_MB[scale]:
        raise SetupProblem(
            f"磁盘只剩 {free_mb} MB，建库需要 {BUILD_SPACE_MB[scale]} MB。",
            next_step="清理磁盘，或用环境变量 ONEMAP_VAR 把数据放到别的盘。",
        )


def start_store(settings: Settings, *, progress: Progress) -> None:
    """Make, start and migrate the store: everything a second start needs too."""
    if settings.database_url is None:
        cluster = Cluster(settings)
        if not cluster.exists():
            with progress.step("建立私有数据库 var/pg（仅本机套接字，不监听网络）"):
                cluster.create()
        if cluster.start():
            progress("数据库已启动")
    if create_database(settings):
        progress(f"已建库 {settings.db_name}")
    if applied := migrate(settings):
        progress(f"表结构已升级：{'、'.join(applied)}")


def ensure_county(settings: Settings, *, county: str | None, scale: str | None, progress: Progress) -> None:
    """Build the county when there is none; refuse to serve another one than asked for.

    Parameters
    ----------
    county, scale : str or None
        What was asked for; None: whatever stands, or the settings' default.
    """
    with connect(settings, role="owner") as conn:
        standing = read_standing(conn)
    if standing and standing.built_at and county is None and scale in (None, standing.scale):
        return  # the common second start: nothing heavy is imported
    from etl.demo.build import build_county
    from etl.demo.profile import load_profile

    path = Path(county or settings.county)
    profile = (
        load_profile(path.stem, folder=path.parent.resolve()) if path.suffix == ".toml" else load_profile(str(path))
    )
    wanted = settings.scale if scale is None else scale
    if standing is None or standing.built_at is None:
        require_space(settings, scale=wanted)
        with progress.step(f"生成并装入演示县 {profile.name}（{wanted}，人口、地块、事件均为合成）"):
            build_county(settings, profile=profile, scale=wanted, progress=progress)
    elif standing.code != profile.code or scale not in (None, standing.scale):
        raise SetupProblem(
            f"库里已经是 {standing.name}（{standing.scale}），不是 {profile.name}（{wanted}）。",
            next_step="另建一个库：ONEMAP_DB_NAME=onemap_2 ./onemap up …；或清空重来：./onemap reset（会删除现有数据）。",
        )


def prepare_access(settings: Settings, *, progress: Progress) -> Settings:
    """Roles, keys and, unless this is production, the demo accounts; returns the settings to serve with."""
    from gis.access.audit_head import remember
    from gis.access.demo import TOWNSHIP, demo_password, make_demo_accounts, refuse_demo_in_production
    from gis.access.resealing import keys_of_store
    from gis.access.roles import Roles, publish
    from gis.access.rules import AccessRules
    from gis.cases.publishing import publish_cases

    refuse_demo_in_production(settings)
    roles = Roles.load(settings.data)
    with connect(settings, role="owner") as conn:
        keys_of_store(settings, conn)
        publish(conn, roles)
        published = publish_cases(conn, settings.data)
        remember(settings, conn)
    _train_later(settings, progress)
    if published:
        progress(f"流程已发布：{'、'.join(published)}")
    if settings.production:
        return settings
    made = make_demo_accounts(settings, roles=roles, rules=AccessRules.load(settings.data), township=TOWNSHIP)
    progress(f"演示账号：{'、'.join(f'{a.login}（{a.role_name}）' for a in made)}")
    progress(
        f"演示密码：{demo_password(settings)}（登录页上点一下就填好；正式运行设 ONEMAP_PRODUCTION=true，演示账号会被拒绝）"
    )
    return settings.model_copy(update={"require_second_factor": False})


def _train_later(settings: Settings, progress: Progress) -> None:
    """The item suggestion is learnt beside the running web: nobody waits for it at a start."""
    from gis.jobs.training import train_later

    with connect(settings, role="job") as conn:
        if train_later(settings, conn):
            progress("事项建议在后台训练，完成后自动启用")


def up(
    county: Annotated[
        str | None, typer.Option(help="县档案：data/counties/ 里的名字（默认 julu），或一个 .toml 文件的路径")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="demo（约 22 万地块）或 full（100 万地块）")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="网页端口，默认 8050")] = None,
) -> None:
    """安装、建库、启动网页，一条命令。例：./onemap up --port 8060"""
    progress = Progress()
    settings = Settings()
    standing = serving(settings)
    if standing:
        typer.echo(f"已经在运行：http://{settings.host}:{standing['port']}/ （停止：./onemap down）")
        return
    if scale not in (None, "demo", "full"):
        raise typer.BadParameter("只有 demo 和 full 两种规模。", param_hint="--scale")
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    if os.geteuid() == 0:
        progress("提示：正在以 root 运行网页。正式使用请换一个普通账号（docs/adr/0005-the-web-as-root.md）")
    listening = listen(settings)  # the port first: a taken one is said before minutes of building
    settings.var.mkdir(parents=True, exist_ok=True)
    was_running = settings.database_url is not None or Cluster(settings).running()
    # Ctrl-C and a polite kill end alike: whatever this command started is stopped.
    signal.signal(signal.SIGTERM, _interrupt)
    ending = threading.Event()
    keeper = threading.Thread(target=keep_running, args=(settings, ending, progress), daemon=True)
    try:
        start_store(settings, progress=progress)
        ensure_county(settings, county=county, scale=scale, progress=progress)
        settings = prepare_access(settings, progress=progress)
        if settings.database_url is None:
            keeper.start()
        _serve(settings, listening=listening, progress=progress)
    except KeyboardInterrupt:
        progress("已中断")
        raise typer.Exit(130) from None
    finally:
        ending.set()
        if keeper.is_alive():
            keeper.join(_GRACE_S)  # it may be starting what is to be stopped
        web_record(settings).unlink(missing_ok=True)
        if not was_running and Cluster(settings).stop():
            progress("数据库已停止")


def keep_running(settings: Settings, ending: threading.Event, progress: Progress) -> None:
    """Start the private cluster again when it ended by itself (a full disk, a kill), until `ending` is set.

    A disk that stays full refuses each try; the first one after there is room again brings the store back.
    """
    cluster = Cluster(settings)
    while not ending.wait(_LOOK_S):
        if cluster.running():
            continue
        try:
            if cluster.start():
                progress("数据库自己停了，已重新启动")
        except (OnemapError, OSError):
            continue


def down() -> None:
    """停止网页和数据库。例：./onemap down"""
    settings = Settings()
    stopped = []
    standing = serving(settings)
    if standing:
        os.kill(standing["pid"], signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while Path(f"/proc/{standing['pid']}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        stopped.append("网页")
    if settings.database_url is None and Cluster(settings).stop():
        stopped.append("数据库")
    typer.echo("已停止：" + "、".join(stopped) if stopped else "没有在运行的服务。")


def reset(yes: Annotated[bool, typer.Option("--yes", help="不再询问")] = False) -> None:
    """删除本县的全部数据（数据库），保留已安装的软件。例：./onemap reset --yes"""
    settings = Settings()
    if not yes:
        typer.confirm("将删除数据库里的全部数据，无法恢复。确定吗？", abort=True)
    down()
    if settings.database_url is None:
        Cluster(settings).remove()
    else:
        from gis.store.migrate import drop_database

        drop_database(settings, name=settings.db_name)
    typer.echo("已清空。重新开始：./onemap up")


def _serve(settings: Settings, *, listening: socket.socket, progress: Progress) -> None:
    from dashboard.serve import serve

    with connect(settings, role="app") as conn:
        conn.execute("SELECT 1")
    web_record(settings).write_text(json.dumps({"pid": os.getpid(), "port": settings.port}))

    def ready() -> None:
        progress(f"就绪：http://{settings.host}:{settings.port}/   停止：Ctrl-C 或 ./onemap down")

    serve(settings, listening=listening, on_ready=ready)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
