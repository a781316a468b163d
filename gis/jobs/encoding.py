"""Photos re-encoded: one process that decodes, fed one photo at a time, killed when it hangs; the row changed exactly once."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from typing import Any

import anyio.to_thread

from gis.cases.photos import Photos
from gis.errors import StorageFull
from gis.settings import ROOT
from gis.store.pool import Pool
from gis.store.queries import load_queries

_log = logging.getLogger(__name__)
_LONGEST_S = 20.0
_MOST_PHOTOS_A_PROCESS = 500  # a decoder that leaks is replaced before it matters


class Encoder:
    """The decoding process, started when first needed."""

    def __init__(self, *, longest_s: float = _LONGEST_S) -> None:
        self._longest_s = longest_s
        self._process: asyncio.subprocess.Process | None = None
        self._done = 0
        self._lock: asyncio.Lock | None = None

    async def encode(self, source: str, folder: str) -> dict[str, Any]:
        """Re-encode one photo; ``unreadable`` in the answer when it cannot be, or when the decoder had to be killed."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            process = await self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps({"source": source, "folder": folder}).encode() + b"\n")
                await process.stdin.drain()
                line = await asyncio.wait_for(process.stdout.readline(), self._longest_s)
            except (TimeoutError, ConnectionError):
                line = b""
            if not line:
                await self.stop()
                return {"unreadable": "the decoder hung or died"}
            self._done += 1
            answer: dict[str, Any] = json.loads(line)
            return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and (self._process.returncode is not None or self._done >= _MOST_PHOTOS_A_PROCESS):
            await self.stop()
        if self._process is None:
            self._done = 0
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gis.cases.reencode", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                cwd=ROOT, env={"PATH": "/usr/bin:/bin"},  # no secret of ours in its environment
            )  # fmt: skip
        return self._process

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def encode_case(case_id: int, *, pool: Pool, photos: Photos, encoder: Encoder) -> int:
    """Re-encode what a case's photos wait for; returns how many became ready.

    Raises
    ------
    StorageFull
        When there is no room: the job is tried again later, the photo stays as it came.
    """
    queries = load_queries("cases_jobs")

    def ask(query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with pool.reading(timeout_s=10) as conn:
            return conn.execute(queries[query], values).fetchall()

    def keep(query: str, values: dict[str, Any]) -> None:
        with pool.writing(timeout_s=10) as conn:
            conn.execute(queries[query], values)

    ready = 0
    for photo in await anyio.to_thread.run_sync(ask, "waiting_photos", {"case_id": case_id}):
        source = photos.incoming_file(bytes(photo["upload_sha256"]))
        made = await encoder.encode(str(source), str(photos.folder))
        if "missing" in made:
            same = await anyio.to_thread.run_sync(ask, "photo_same", {"upload": photo["upload_sha256"]})
            made = {**same[0], "sha256": bytes(same[0]["sha256"]).hex()} if same else {"unreadable": "the file is gone"}
        if "full" in made:
            raise StorageFull("存照片的磁盘满了。", next_step="清理磁盘；之后会自动再处理。")
        if "unreadable" in made:
            _log.warning("photo %s: %s", photo["photo_id"], made["unreadable"])
            await anyio.to_thread.run_sync(keep, "photo_unreadable", {"photo_id": photo["photo_id"]})
            continue
        values = {**made, "sha256": bytes.fromhex(made["sha256"]), "photo_id": photo["photo_id"]}
        await anyio.to_thread.run_sync(keep, "photo_ready", values)
        ready += 1
    return ready
