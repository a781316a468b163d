"""A small HTTP/1.1 client that asks for tiles over kept-alive connections and times each: the same one for every server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle


@dataclass
class Heard:
    """What came back.

    Attributes
    ----------
    seconds : list of float
        One for each answer.
    sizes : list of int
        Body bytes as sent (gzipped where the server gzips).
    statuses : set of int
    wall_s : float
        From the first question to the last answer.
    """

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    wall_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall_s

    def ms(self, share: float) -> float:
        """Percentile of the answer times, milliseconds (nearest rank)."""
        ranked = sorted(self.seconds)
        return 1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))]


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, headers: str
) -> tuple[int, bytes, dict[str, str]]:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(fields.get("content-length", 0)))
    return int(first.split()[1]), body, fields


async def _worker(port: int, paths: Iterator[str], headers: str, until: float, most: int, heard: Heard) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        while time.perf_counter() < until and len(heard.seconds) < most:
            path = next(paths, None)
            if path is None:
                return
            start = time.perf_counter()
            status, body, _ = await _one(reader, writer, path, headers)
            heard.seconds.append(time.perf_counter() - start)
            heard.sizes.append(len(body))
            heard.statuses.add(status)
    finally:
        writer.close()


def ask(port: int, paths: Sequence[str], *, clients: int = 1, seconds: float | None = None, gzip: bool = True) -> Heard:
    """Ask for `paths`, once each, or round and round for `seconds`.

    Parameters
    ----------
    clients : int
        Connections that ask at the same time, one question each.
    gzip : bool
        Whether the client says it can unpack.
    """

    async def run() -> Heard:
        heard = Heard()
        source = iter(paths) if seconds is None else cycle(paths)
        headers = "Accept-Encoding: gzip\r\n" if gzip else ""
        start = time.perf_counter()
        until = start + (seconds if seconds is not None else 60.0)
        async with asyncio.timeout((seconds or 60.0) + 30):
            await asyncio.gather(*(_worker(port, source, headers, until, 20_000, heard) for _ in range(clients)))
        heard.wall_s = time.perf_counter() - start
        return heard

    return asyncio.run(run())


def fetch(port: int, path: str, *, headers: str = "") -> tuple[int, bytes, dict[str, str]]:
    """Ask once and return (status, body, headers)."""

    async def run() -> tuple[int, bytes, dict[str, str]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            return await _one(reader, writer, path, headers)
        finally:
            writer.close()

    return asyncio.run(run())
