"""The worker: takes jobs off the queue inside the web's process, or in one of its own (`./onemap worker`).

The queue is the procrastinate library's, in schema ``jobs`` of the same database, as role job. A worker says every few seconds
that it lives; the jobs of one that stopped saying so are put back and run again, so every task must do its work exactly once
however often it is begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio.to_thread
from procrastinate import App, PsycopgConnector, RetryStrategy, exceptions

from gis.access.crypt import load_keys
from gis.access.roles import Roles
from gis.cases.acting import Acting
from gis.cases.catalogue import Processes
from gis.cases.clocks import Clocks
from gis.cases.photos import Photos
from gis.cases.routing import Duties
from gis.cases.sweep import Sweep, clean
from gis.jobs.encoding import Encoder, encode_case
from gis.settings import Settings
from gis.store.pool import Pool
from gis.store.queries import load_queries

QUEUE = "onemap"
_HEARTBEAT_S = 5.0
_SILENT_S = 20.0  # four heartbeats missed: its jobs are run again, 90 s at the latest after it died
_OPTIONS = "-c search_path=jobs,onemap,public -c timezone=Asia/Shanghai -c client_min_messages=warning"
_AGAIN = RetryStrategy(max_attempts=20, wait=5, exponential_wait=2)

_log = logging.getLogger(__name__)
# More tasks of other rooms: name → what to do with the job's arguments. Handed in by whoever composes the worker.
Task = Callable[..., Awaitable[None]]


class Worker:
    """Everything jobs need, opened and closed together.

    Parameters
    ----------
    concurrency : int
        Jobs at once; two, so that a sweep does not wait for a photo.
    more : mapping of task name to coroutine function
        Tasks of other rooms (imports, training), called with the job's arguments.
    """

    def __init__(self, settings: Settings, *, concurrency: int = 2, more: Mapping[str, Task] | None = None) -> None:
        processes, roles = Processes.load(settings.data), Roles.load(settings.data)
        clocks, duties = Clocks(processes), Duties.load(settings.data)
        self.pool = Pool(settings, role="job", size=3)
        self.photos = Photos(settings.photo_folder)
        self._encoder = Encoder()
        self._concurrency = concurrency
        acting = Acting(
            self.pool, processes=processes, clocks=clocks, duties=duties, roles=roles, keys=load_keys(settings)
        )
        self.sweep = Sweep(self.pool, processes=processes, clocks=clocks, duties=duties, acting=acting)
        self.app = App(
            connector=PsycopgConnector(
                conninfo=settings.url(role="job"), kwargs={"options": _OPTIONS, "connect_timeout": 5}, min_size=1, max_size=3,
                timeout=5.0, reconnect_timeout=2.0,
            ),
            periodic_defaults={"max_delay": 90},
        )  # fmt: skip
        self._tasks(more or {})

    def _tasks(self, more: Mapping[str, Task]) -> None:
        task = partial(self.app.task, queue=QUEUE, retry=_AGAIN)

        @task(name="photo.encode")
        async def encode(case_id: int) -> None:
            await encode_case(case_id, pool=self.pool, photos=self.photos, encoder=self._encoder)

        @self.app.periodic(cron="* * * * *")
        @task(name="case.sweep", queueing_lock="case.sweep", priority=10)
        async def sweep(timestamp: int = 0) -> None:
            await anyio.to_thread.run_sync(self.sweep.run)

        @self.app.periodic(cron="* * * * * */15")  # seconds come last
        @task(name="job.rescue", queueing_lock="job.rescue", priority=20)
        async def rescue(timestamp: int = 0) -> None:
            await self.rescue()

        @self.app.periodic(cron="17 * * * *")
        @task(name="job.clean", queueing_lock="job.clean")
        async def tidy(timestamp: int = 0) -> None:
            await self.app.job_manager.delete_old_jobs(nb_hours=24, include_failed=False)
            await anyio.to_thread.run_sync(clean, self.pool)
            await anyio.to_thread.run_sync(self.sweep_photos)

        for name, work in more.items():
            task(name=name)(work)

    def sweep_photos(self, *, older_than_s: float = 3600.0) -> int:
        """Remove files of photos that belong to nothing."""
        with self.pool.reading(timeout_s=30) as conn:
            return self.photos.sweep(conn, older_than_s=older_than_s)

    async def rescue(self) -> int:
        """Put back the jobs of workers that fell silent, and defer anew what was acknowledged and has no job; returns how many."""
        jobs = self.app.job_manager
        await jobs.prune_stalled_workers(_SILENT_S)
        stalled = list(await jobs.get_stalled_jobs(seconds_since_heartbeat=_SILENT_S))
        for job in stalled:
            with suppress(exceptions.ProcrastinateException):  # another worker was quicker
                await jobs.retry_job(job)

        def forgotten() -> int:
            with self.pool.writing(timeout_s=10) as conn:
                found = conn.execute(load_queries("cases_jobs")["forgotten_photos"]).fetchall()
                for row in found:
                    conn.execute(
                        "SELECT onemap.job_defer('photo.encode', jsonb_build_object('case_id', %s::bigint))",
                        [row["case_id"]],
                    )
            return len(found)

        return len(stalled) + await anyio.to_thread.run_sync(forgotten)

    async def run(self, *, install_signal_handlers: bool = False, wait: bool = True) -> None:
        """Work until cancelled; a store that goes away is waited for."""
        self.pool.open()
        try:
            while True:
                try:
                    async with self.app.open_async():
                        await self.app.run_worker_async(
                            queues=[QUEUE], concurrency=self._concurrency, wait=wait, install_signal_handlers=install_signal_handlers,
                            listen_notify=True, fetch_job_polling_interval=5.0, delete_jobs="successful",
                            update_heartbeat_interval=_HEARTBEAT_S, stalled_worker_timeout=_SILENT_S, shutdown_graceful_timeout=5.0,
                        )  # fmt: skip
                    if install_signal_handlers or not wait:
                        return  # asked to stop
                except asyncio.CancelledError:
                    raise
                except Exception:
                    _log.exception("the worker stopped; it starts again")
                await asyncio.sleep(2.0)
        finally:
            await self._encoder.stop()
            self.pool.close()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Work in the background of a web server, as long as it lives."""
        running = asyncio.create_task(self.run(), name="onemap worker")
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
