"""The page of the processes: for whom it is, what it shows, and that it says so when nothing can draw."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from gis.cases import diagram
from gis.cases.publishing import publish_cases
from gis.store.engine import connect
from tests.security.conftest import County, words

pytestmark = pytest.mark.db
PAGES = ("/admin/processes", "/admin/processes/incident")


@pytest.fixture(scope="module", autouse=True)
def running(county: County) -> None:
    """Processes published, and two cases of the whole county that the administrator must not see, only count."""
    with connect(county.settings, role="owner") as conn:
        publish_cases(conn, county.settings.data)
        conn.execute(
            "INSERT INTO onemap.case_file (case_no, process, state, channel, title, reported_at, grid_code, ended_at) VALUES "
            "('SJ2026112200001', 'incident', 'reported', 'grid', '秘密标题', now(), %(g)s, NULL), "
            "('SJ2026112200002', 'incident', 'closed', 'grid', '秘密标题', now(), %(g)s, now())",
            {"g": county.scratch.grids[0]},
        )


@pytest.mark.parametrize("role", ["system_admin", "dispatcher", "planner", "commander"])
def test_who_runs_or_dispatches_sees_versions_and_counts(
    county: County, as_role: Callable[[str], TestClient], role: str
) -> None:
    [(everything, standing)] = county.owner(
        "SELECT count(*), count(*) FILTER (WHERE ended_at IS NULL) FROM onemap.case_file WHERE process = 'incident'"
    )
    assert everything > standing > 0
    office = as_role(role)
    page = office.get("/admin/processes")
    assert page.status_code == 200
    text = words(page.text)
    for word in (
        "事件",
        "交办任务",
        "第 1 版",
        f" {standing} 件 ",
        f" {everything} 件 ",
        "2 个工作日",
        "18 时以后算次日",
    ):
        assert word in text, word
    assert "秘密标题" not in page.text


@pytest.mark.parametrize("role", ["grid_member", "village_cadre", "analyst", "wall", "security_admin", "audit_admin"])
def test_others_are_refused(as_role: Callable[[str], TestClient], role: str) -> None:
    office = as_role(role)
    for page in PAGES:
        assert office.get(page).status_code == 403


def test_nobody_comes_in_without_signing_in(anybody: TestClient) -> None:
    for page in PAGES:
        assert anybody.get(page, headers={"Accept": "text/html"}).headers["location"].startswith("/login")
    assert anybody.get("/api/processes/incident/diagram.svg").status_code == 401


def test_one_process_whole(as_role: Callable[[str], TestClient]) -> None:
    text = words(as_role("dispatcher").get("/admin/processes/incident").text)
    for word in (
        "分类受理", "挂起", "停表", "30 天", "已办完，等您确认",  # states
        "退回重办", "责任人", "处理后照片 1 张", "能“派单、调度资源”", "系统到时自动", "不变",  # steps
        "用掉 75% 的时间起算临期", "到期前 24 小时提醒责任人", "超期 24 小时后：自动升级", "5 天后自动未答复，按认可办结", "抽 5% 的办结件",
    ):  # fmt: skip
        assert word in text, word


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Debian's graphviz")
def test_the_picture_may_load_nothing(as_role: Callable[[str], TestClient]) -> None:
    office = as_role("grid_member")
    picture = office.get("/api/processes/incident/diagram.svg")
    assert picture.status_code == 200
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert picture.headers["content-security-policy"].startswith("default-src 'none'")
    assert "部门处置" in picture.text


def test_absent_processes_and_versions_are_404_in_words(as_role: Callable[[str], TestClient]) -> None:
    office = as_role("system_admin")
    for path in ("/admin/processes/nonsense", "/admin/processes/incident?version=9", "/api/processes/nonsense/diagram.svg",
                 "/api/processes/incident/diagram.svg?version=99999", "/api/processes/..%2Froles/diagram.svg"):  # fmt: skip
        answer = office.get(path)
        assert answer.status_code == 404, path
        assert "没有" in answer.text, path
    # what is no number asks for today's
    assert office.get("/admin/processes/incident?version=1;DROP").status_code == 200


def test_without_graphviz_the_page_says_so_and_shows_the_rest(
    as_role: Callable[[str], TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = as_role("system_admin")
    diagram._drawn.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    page = office.get("/admin/processes/task")
    assert page.status_code == 200
    assert "没有安装画流程图的 Graphviz" in page.text
    assert "核验不通过" in page.text
    assert '<img src="/api/processes' not in page.text
    refused = office.get("/api/processes/task/diagram.svg")
    assert refused.status_code == 503
    assert "apt-get install graphviz" in refused.json()["next_step"]
