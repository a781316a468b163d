"""All or nothing, made true: a killed import, a killed backend, a full disk leave the store as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from etl.importing import Options, import_file
from gis.errors import BadInput, StoreUnavailable
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from tests.import_files import bow_tie, build_county, counts, dkbm, parcel, write
from tests.unit.test_import_geometry import spiked

# An import that kills itself, really, at a named step of its own progress.
SUICIDE = """
import os, signal, sys
from etl.importing import Options, import_file
from gis.settings import Settings
def progress(step, done, total):
    if step == sys.argv[3] and done >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
settings = Settings(db_name=sys.argv[1])
import_file(settings, subject='parcels', file=sys.argv[2], mapping='ny_t_2539', options=Options(), on_progress=progress)
"""


def layer(folder: Path) -> Path:
    shapes = [parcel(i) for i in range(300)]
    shapes[7] = bow_tie(7)
    return write(
        folder / "a.gpkg",
        shapes,
        {"DKBM": [dkbm(i) for i in range(300)], "CBFBM": ["130529100201000001"] * 300, "CBFMC": ["张三"] * 300},
    )


@pytest.mark.parametrize(("step", "done"), [("读取和检查", 300), ("核对重复和重叠", 0), ("入库", 0), ("入库", 1)])
def test_kill_9_leaves_nothing(store: Settings, tmp_path: Path, step: str, done: int) -> None:
    build_county(store)
    before = counts(store)
    path = layer(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", SUICIDE, store.db_name, str(path), step, str(done)],
        cwd=ROOT, capture_output=True, check=False, env=os.environ | {"TMPDIR": str(scratch)},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-500:]
    assert counts(store) == before
    # nothing holds a lock: the next import goes through
    assert (
        import_file(store, subject="parcels", file=str(path), mapping="ny_t_2539", options=Options()).rows_loaded == 299
    )


def test_killed_backend_is_a_sentence_and_leaves_nothing(store: Settings, tmp_path: Path) -> None:
    build_county(store)
    before = counts(store)

    def kill(step: str, done: int, total: int) -> None:
        if step == "入库" and done == 0:
            with connect(store, role="admin", autocommit=True) as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'onemap_job'",
                    [store.db_name],
                )

    with pytest.raises(StoreUnavailable, match="库与导入前一样") as caught:
        import_file(
            store,
            subject="parcels",
            file=str(layer(tmp_path)),
            mapping="ny_t_2539",
            options=Options(),
            on_progress=kill,
        )
    assert caught.value.exit_code == 3
    assert counts(store) == before


@pytest.mark.parametrize("error", [psycopg.errors.DiskFull, psycopg.errors.CheckViolation])
def test_errors_of_the_server_are_sentences(store: Settings, tmp_path: Path, error: type[psycopg.Error]) -> None:
    build_county(store)
    before = counts(store)

    def fail(step: str, done: int, total: int) -> None:
        if step == "入库":
            raise error("could not extend file")

    with pytest.raises(BadInput, match="库与导入前一样"):
        import_file(
            store,
            subject="parcels",
            file=str(layer(tmp_path)),
            mapping="ny_t_2539",
            options=Options(),
            on_progress=fail,
        )
    assert counts(store) == before


def test_database_refuses_what_a_broken_check_would_let_through(
    store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_county(store)
    before = counts(store)
    monkeypatch.setattr("etl.checking._validity", lambda *a, **k: [])
    path = write(tmp_path / "a.gpkg", [spiked(0.0005)], {"DKBM": [dkbm(0)]})
    with pytest.raises(BadInput, match="parcel_geom_sound"):
        import_file(store, subject="parcels", file=str(path), mapping="ny_t_2539", options=Options())
    assert counts(store) == before
