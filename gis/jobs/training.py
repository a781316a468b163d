"""The item suggestion trained in a process of its own: it takes a core for a while, and the web goes on answering."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

from psycopg import Connection

from gis.cases.suggest import Model, SuggestionRules, model_file, write_model
from gis.errors import OnemapError
from gis.jobs.worker import Task
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from gis.store.queries import load_queries

TASK = "item.train"
_LONGEST_S = 1800.0

_log = logging.getLogger(__name__)


def train_item(settings: Settings) -> Model:
    """Train on the store's own history and put the model in place of the old one.

    Raises
    ------
    BadInput
        When there are too few cases to learn from; the old model stays.
    """
    from gis.cases.suggest_training import keyword_examples, read_examples, train

    rules = SuggestionRules.load(settings.data)
    with connect(settings, role="job") as conn:
        examples = read_examples(conn, rules=rules)
    model = train(examples, rules=rules, taught=keyword_examples())
    write_model(model, model_file(settings))
    return model


def train_later(settings: Settings, conn: Connection[Any]) -> bool:
    """Leave the job behind when there is no model and enough to learn from; return whether one was left."""
    if model_file(settings).exists():
        return False
    bound = {"task": TASK, "least": SuggestionRules.load(settings.data).least_rows}
    row = conn.execute(load_queries("suggest_jobs")["defer"], bound).fetchone()
    return row is not None


def tasks(settings: Settings) -> dict[str, Task]:
    """The task, for whoever composes a worker."""

    async def train() -> None:
        if not model_file(settings).exists():  # another worker was quicker
            await _apart(settings)

    return {TASK: train}


async def _apart(settings: Settings) -> None:
    """Run this module; one that fails is not tried again: the same history would fail the same way."""
    known = {k: v for k, v in os.environ.items() if k.startswith("ONEMAP_") or k in ("PATH", "HOME", "LANG")}
    known |= {"ONEMAP_DB_NAME": settings.db_name, "ONEMAP_VAR": str(settings.var), "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gis.jobs.training", cwd=ROOT, env=known, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await asyncio.wait_for(process.communicate(), _LONGEST_S)
    except (TimeoutError, asyncio.CancelledError):
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        _log.warning("no item suggestion was trained: %s", said.decode(errors="replace").strip()[-500:])


def _main() -> int:
    os.nice(10)
    try:
        train_item(Settings())
    except OnemapError as e:
        sys.stderr.write(f"{e.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
