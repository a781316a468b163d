"""Adding a process needs no Python: a file dropped into the data folder is reported, worked and shown over the web."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.app import create_app
from gis.settings import ROOT, Settings
from tests.case_county import PASSWORD, CaseCounty, case_county
from tests.process_files import SUBSIDY
from tests.security.conftest import OURS, words

pytestmark = pytest.mark.db
# The smallest sound JPEG: 1 × 1 pixel.
PIXEL = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300030202020202030202020303030304060404040404080606050609080a0a090809090a0c0f0c0a0b0e0b09090d110d0e0f101011100a0c12131210130f101010ffc9000b080001000101011100ffcc000600101005ffda0008010100003f00d2cf20ffd9"
)


class Elsewhere(Settings):
    """Settings whose data folder is a test's own."""

    folder: Path

    @property
    def data(self) -> Path:
        """Knowledge that is not code, with one file more."""
        return self.folder


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    folder = tmp_path_factory.mktemp("web")
    data = folder / "data"
    shutil.copytree(ROOT / "data", data)
    (data / "processes" / "subsidy.toml").write_text(SUBSIDY, encoding="utf-8")
    with case_county(module_store, folder, data=data) as made:
        yield made


@pytest.fixture(scope="module")
def server(county: CaseCounty, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    key = county.settings.personal_key_file
    assert key is not None
    plain = county.settings.model_dump()
    plain |= {"require_second_factor": False, "production": True, "personal_key_file": key}
    plain |= {"folder": key.parent / "data"}
    app = create_app(Elsewhere(**plain))
    with TestClient(app, client=("127.0.0.1", 5000)):
        yield app


def browser(server: FastAPI, login: str | None = None) -> TestClient:
    client = TestClient(server, client=("10.7.7.7", 5000), follow_redirects=False)
    if login:
        client.post("/login", data={"login": login, "password": PASSWORD, "next": "/"}, headers=OURS)
    return client


def sent(part: str, content: dict[str, Any], *photos: bytes) -> Any:
    return [
        (part, (None, json.dumps(content), "application/json")),
        *(("photo", ("p.jpg", p, "image/jpeg")) for p in photos),
    ]


def test_reported_worked_and_shown_over_the_web(county: CaseCounty, server: FastAPI) -> None:
    member, planner = browser(server, "member"), browser(server, "planner")
    report = {
        "process": "subsidy", "title": "申请良种补贴", "channel": "grid",
        "lonlat": county.at(county.scratch.grids[0]), "source_crs": "EPSG:4326",
        "answers": {"kind": "seed", "amount": "1200", "id_number": "130529198001011234"},
    }  # fmt: skip
    made = member.post(
        "/api/reports", files=sent("report", report), headers=OURS | {"Idempotency-Key": str(uuid.uuid4())}
    )
    assert made.status_code == 201, made.text
    case_no = made.json()["case_no"]
    assert case_no.startswith("BT")
    assert "7 个工作日" in made.json()["due_words"]

    card = planner.get(f"/api/cases/{case_no}").json()
    assert card["process_name"] == "补贴申请"
    step = {s["id"]: s for s in card["steps"]}
    assert set(step) == {"examine", "refuse"}
    assert step["refuse"]["form"][0]["options"] == {"not_entitled": "不符合条件", "papers": "材料不全"}

    examined = planner.post(
        f"/api/cases/{case_no}/examine", files=sent("taken", {"revision": card["row"]["revision"]}), headers=OURS
    )
    assert examined.status_code == 200, examined.text
    card = planner.get(f"/api/cases/{case_no}").json()
    assert card["row"]["state_name"] == "审核"

    refused = planner.post(
        f"/api/cases/{case_no}/pay", files=sent("taken", {"revision": card["row"]["revision"], "answers": {"paid_amount": "x"}}),
        headers=OURS,
    )  # fmt: skip
    assert refused.status_code == 400
    assert set(refused.json()["faults"]) == {"paid_amount", "photos"}
    paid = planner.post(
        f"/api/cases/{case_no}/pay",
        files=sent("taken", {"revision": card["row"]["revision"], "answers": {"paid_amount": "1200"}, "photos": [{"stage": "evidence"}]}, PIXEL),
        headers=OURS,
    )  # fmt: skip
    assert paid.status_code == 200, paid.text
    assert county.state(case_no) == "paid"
    shown = planner.get(f"/api/cases/{case_no}").text
    assert "130529198001011234" not in shown

    listed = planner.get("/api/cases", params={"process": "subsidy"}).json()
    assert [row["case_no"] for row in listed["rows"]] == [case_no]
    assert listed["rows"][0]["state_name"] == "发放"


def test_its_page_and_picture_are_there(county: CaseCounty, server: FastAPI) -> None:
    planner = browser(server, "planner")
    assert "补贴申请" in planner.get("/admin/processes").text
    text = words(planner.get("/admin/processes/subsidy").text)
    for word in ("不予发放", "审核", "实发金额", "取证照片 1 张"):
        assert word in text, word
    if shutil.which("dot"):
        assert "发放" in planner.get("/api/processes/subsidy/diagram.svg").text
