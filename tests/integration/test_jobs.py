"""The queue's tables are the library's own, and only named work may be left on it by the web."""

from __future__ import annotations

from pathlib import Path

import procrastinate
import psycopg
import pytest

from gis.settings import ROOT, Settings
from gis.store.engine import connect

_SCHEMA = ROOT / "sql" / "schema" / "95_jobs.sql"


def test_the_jobs_tables_are_the_librarys_word_for_word() -> None:
    library = (Path(procrastinate.__file__).parent / "sql" / "schema.sql").read_text(encoding="utf-8")
    ours = _SCHEMA.read_text(encoding="utf-8")
    between = ours.split("-- procrastinate/sql/schema.sql begins\n")[1].split("-- procrastinate/sql/schema.sql ends\n")[
        0
    ]
    assert between == library
    assert f"procrastinate {procrastinate.__version__}" in ours


def test_the_web_leaves_named_work_behind_and_reads_no_job(store: Settings) -> None:
    with connect(store, role="app") as conn:
        conn.execute("""SELECT onemap.job_defer('photo.encode', '{"case_id": 1}')""")
    with connect(store, role="app") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege, match="没有这种任务"):
        conn.execute("SELECT onemap.job_defer('builtin_tasks.remove_old_jobs', '{}')")
    with connect(store, role="app") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT * FROM jobs.procrastinate_jobs")
    with connect(store, role="reader") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT onemap.job_defer('photo.encode', '{}')")
    with connect(store, role="job") as conn:
        assert conn.execute("SELECT task_name, queue_name, status::text FROM jobs.procrastinate_jobs").fetchall() == [
            ("photo.encode", "onemap", "todo")
        ]


def test_a_deed_that_fails_leaves_no_job(store: Settings) -> None:
    conn = connect(store, role="app")
    conn.execute("""SELECT onemap.job_defer('photo.encode', '{"case_id": 1}')""")
    conn.rollback()
    conn.close()
    with connect(store, role="job") as job:
        assert job.execute("SELECT count(*) FROM jobs.procrastinate_jobs").fetchone() == (0,)
