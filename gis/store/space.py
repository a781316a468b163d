"""Room on the volume of the private cluster: PostgreSQL stops when its log cannot grow, so we stop before."""

from __future__ import annotations

import shutil

from gis.errors import SetupProblem
from gis.settings import Settings

MB = 1_000_000
SCARCE_MB = 64  # below this a fault of the database is put down to the disk: it needs 16 MB for each segment of its log


def free_mb(settings: Settings) -> int | None:
    """MB left where the private cluster lives; None for a server that is not ours: its disk is not seen from here."""
    if settings.database_url is not None:
        return None
    pg = (settings.var / "pg").resolve()
    return shutil.disk_usage(pg if pg.exists() else settings.var).free // MB


def is_scarce(settings: Settings) -> bool:
    """True when the volume is as good as full."""
    try:
        left = free_mb(settings)
    except OSError:
        return False
    return left is not None and left < SCARCE_MB


def require_free(settings: Settings, *, mb: int, what: str) -> None:
    """Raise `SetupProblem` when fewer than `mb` MB are left for `what`; an outside server's disk is its own affair."""
    left = free_mb(settings)
    if left is not None and left < mb:
        raise SetupProblem(
            f"磁盘只剩 {left:,} MB，{what}要留 {mb:,} MB。没有存任何东西，库和原来一样。",
            next_step="清理磁盘后再来；./onemap doctor 可看剩余空间。",
        )
