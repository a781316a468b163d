"""`./onemap worker`: works off jobs in a process of its own, for a county with more photos and imports than one process takes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gis.settings import Settings


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=16, help="同时做几个任务")] = 2,
) -> None:
    """单独运行后台任务（照片转码、时限巡检等），Ctrl-C 停止。网页进程那边设 ONEMAP_WORKER=false。例：./onemap worker --concurrency 4"""
    from gis.jobs.training import tasks
    from gis.jobs.worker import Worker

    settings = Settings()
    typer.echo("后台任务已开始；Ctrl-C 停止。")
    asyncio.run(Worker(settings, concurrency=concurrency, more=tasks(settings)).run(install_signal_handlers=True))
