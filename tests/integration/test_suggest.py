"""Item suggestion over a real store: trained from history by the command, asked without signing in, left to a job at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from cli import process as command
from dashboard.app import create_app
from gis.cases.suggest import model_file
from gis.jobs.training import TASK, tasks, train_item, train_later
from gis.settings import Settings
from gis.store.engine import connect
from tests.case_county import CaseCounty, case_county
from tests.unit.test_cases_suggest import WORDS


@pytest.fixture
def county(store: Settings, tmp_path: Path) -> Iterator[CaseCounty]:
    with case_county(store, tmp_path) as made:
        yield made
    model_file(store).unlink(missing_ok=True)  # the store is this test's own, the folder of models is not


@pytest.fixture
def served(county: CaseCounty) -> Iterator[TestClient]:
    with TestClient(create_app(county.settings), base_url="http://127.0.0.1:8050") as client:
        yield client


def history(county: CaseCounty, times: int = 12) -> None:
    """Classified cases of the last months."""
    rows = [
        (f"T{item}{k}{n}", f"{text}第{n}次", item, n * 10)
        for item, texts in WORDS.items()
        for k, text in enumerate(texts)
        for n in range(times)
    ]
    with connect(county.settings, role="owner") as conn, conn.cursor() as cursor:
        cursor.execute("UPDATE onemap.case_file SET item_code = NULL")  # the scratch county's own
        cursor.executemany(
            "INSERT INTO onemap.case_file (case_no, state, channel, title, item_code, reported_at, closed_at, ended_at) "
            "VALUES (%s, 'closed', 'grid', %s, %s, now() - make_interval(days => %s), now(), now())", rows,
        )  # fmt: skip


def test_asked_without_a_model_it_is_silent_and_with_one_it_answers(
    county: CaseCounty, served: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.get("/api/suggest", params={"text": "路灯不亮了"}).json() == {"suggestions": []}
    history(county)
    monkeypatch.setattr(command, "Settings", lambda: county.settings)
    run = CliRunner().invoke(command.app, ["train"])
    assert run.exit_code == 0, run.output
    assert "288 件办件，3 个事项" in run.output
    assert "没见过的说法" in run.output
    answer = served.get("/api/suggest", params={"text": "村口路灯不亮了"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    first = answer.json()["suggestions"][0]
    assert (first["item_code"], first["item_name"]) == ("0303", "道路与路灯损坏")
    assert 0.35 <= first["confidence"] <= 1
    assert "路灯" in first["because"]


def test_odd_questions_are_answered_in_words(served: TestClient) -> None:
    assert served.get("/api/suggest").json() == {"suggestions": []}
    refused = served.get("/api/suggest", params={"text": "灯" * 501})
    assert refused.status_code == 400
    assert "最多 500 字" in refused.json()["message"]


def test_a_damaged_model_is_said_and_breaks_nothing_else(county: CaseCounty, served: TestClient) -> None:
    path = model_file(county.settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"broken")
    answer = served.get("/api/suggest", params={"text": "路灯不亮了"})
    assert answer.status_code == 503 or answer.json()["error"] == "SetupProblem"
    assert "process train" in answer.json()["next_step"]


def test_the_route_is_limited(served: TestClient) -> None:
    codes = [served.get("/api/suggest", params={"text": "灯"}).status_code for _ in range(125)]
    assert codes[:100] == [200] * 100
    assert codes[-1] == 429


def test_a_start_leaves_one_job_and_only_when_there_is_something_to_learn(county: CaseCounty) -> None:
    def left() -> int:
        return int(county.owner("SELECT count(*) FROM jobs.procrastinate_jobs WHERE task_name = %s", [TASK])[0][0])

    def start() -> bool:
        with connect(county.settings, role="job") as conn:
            made = train_later(county.settings, conn)
            conn.commit()
            return made

    assert (start(), left()) == (False, 0)
    history(county)
    assert (start(), left()) == (True, 1)
    assert (start(), left()) == (False, 1)
    train_item(county.settings)
    with connect(county.settings, role="owner") as conn:
        conn.execute("SET search_path = jobs")
        conn.execute("DELETE FROM procrastinate_jobs")
    assert (start(), left()) == (False, 0)


def test_the_job_trains_in_a_process_of_its_own(county: CaseCounty) -> None:
    history(county)

    async def work() -> None:
        await tasks(county.settings)[TASK]()

    asyncio.run(work())
    assert model_file(county.settings).exists()
