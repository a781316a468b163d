"""Progress of long work: one line a step with the time it took, on a terminal and in a log alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Prints ``[ 12s] what`` lines to standard error; seconds count from the start of the command."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, message: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self.started:4.0f}s] {message}", file=sys.stderr, flush=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step and print how long it took."""
        before = time.monotonic()
        self(f"{what} …")
        yield
        self(f"{what} 完成，用时 {time.monotonic() - before:.1f} 秒")
