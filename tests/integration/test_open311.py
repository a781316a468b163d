"""Open311 GeoReport v2 over a real store: answers held against the public schemas, in JSON and XML, and a life of a request."""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient
from typer.testing import CliRunner

from cli.partner import app as partner_app
from gis.clock import now
from gis.codelists import codelist
from gis.errors import StoreUnavailable
from gis.settings import Settings
from tests.case_county import PHOTO
from tests.case_web import CaseWeb, case_web
from tests.open311_samples import Partner, add_partner, body, holds, post

pytestmark = pytest.mark.db
BASE = "/open311/v2"


@pytest.fixture(scope="module")
def web(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseWeb]:
    with case_web(module_store, tmp_path_factory.mktemp("open311")) as made:
        yield made


@pytest.fixture(scope="module")
def partner(web: CaseWeb) -> Partner:
    return add_partner(web.county, "hotline")


@pytest.fixture
def client(web: CaseWeb) -> TestClient:
    made = web.client()
    made.headers.pop("Origin")
    made.headers.pop("Sec-Fetch-Site")
    return made


def posted(web: CaseWeb, client: TestClient, partner: Partner, **fields: Any) -> str:
    answer = post(client, body(web.county, api_key=partner.key, **fields))
    assert answer.status_code == 201, answer.text
    return str(holds(answer, "posted")[0]["service_request_id"])


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_every_answer_keeps_to_the_public_schemas(
    web: CaseWeb, client: TestClient, partner: Partner, kind: str
) -> None:
    number = posted(web, client, partner, description=f"<b>路灯</b> & {kind}")
    assert holds(client.get(f"{BASE}/discovery.{kind}"), "discovery")["endpoints"][0]["url"].endswith(BASE)
    services = holds(client.get(f"{BASE}/services.{kind}"), "services")
    assert [s["service_code"] for s in services] == list(codelist("incident_item"))
    assert {s["group"] for s in services} == {"党的建设", "社会治理", "改善民生", "生态环境"}
    assert holds(client.get(f"{BASE}/services/0303.{kind}"), "service_definition") == {
        "service_code": "0303",
        "attributes": [],
    }
    assert number in {r["service_request_id"] for r in holds(client.get(f"{BASE}/requests.{kind}"), "service_requests")}
    (one,) = holds(client.get(f"{BASE}/requests/{number}.{kind}"), "service_requests")
    assert (one["status"], one["status_notes"], one["service_name"]) == ("open", "已收到，等待受理", "道路与路灯损坏")
    assert holds(post(client, body(web.county, api_key=partner.key, description=f"另一盏 {kind}"), kind=kind), "posted")
    for path, status in (
        ("services/9999", 404), ("requests/SJ2020010100001", 404), ("tokens/1", 404), ("requests?status=gone", 400), ("nothing", 404),
    ):  # fmt: skip
        name, _, query = path.partition("?")
        answer = client.get(f"{BASE}/{name}.{kind}?{query}")
        assert answer.status_code == status
        if name != "nothing":
            assert holds(answer, "errors")[0]["code"] == status
    refused = post(client, body(web.county), kind=kind)
    assert (refused.status_code, holds(refused, "errors")[0]["code"]) == (403, 403)
    assert client.get(f"{BASE}/services.yaml").status_code == 404


def test_a_request_from_the_key_to_the_closed_case(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    county = web.county
    sent = {"first_name": "四", "last_name": "李", "phone": "13800002222", "email": "lisi@example.org", "address_string": "村委会东侧",
            "media_url": "http://198.51.100.9/lamp.jpg"}  # fmt: skip
    number = posted(web, client, partner, description="路灯坏了三天", **sent)
    kept = county.owner(
        "SELECT c.detail, c.channel, c.item_code, c.reporter_id, e.actor_kind, e.actor_name, r.name_masked, r.phone_masked, r.address_masked, "
        "(SELECT count(*) FROM onemap.case_photo p WHERE p.case_id = c.case_id) "
        "FROM onemap.case_file c JOIN onemap.case_event e USING (case_id) JOIN personal.reporter r USING (case_id) WHERE c.case_no = %s",
        [number],
    )  # fmt: skip
    detail = "路灯坏了三天\n地点：村委会东侧\n媒体链接（未下载）：http://198.51.100.9/lamp.jpg"
    assert kept[0][:8] == (
        detail,
        "partner",
        "0303",
        partner.account_id,
        "partner",
        "测试hotline",
        "李*",
        "138****2222",
    )
    assert kept[0][9] == 0  # the link stayed words
    assert (
        county.owner(
            "SELECT count(*) FROM access.audit WHERE action = 'case.report' AND account_id = %s", [partner.account_id]
        )[0][0]
        > 0
    )

    def seen(key: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return dict(holds(client.get(f"{BASE}/requests/{number}.json", headers=headers), "service_requests")[0])

    lon, lat = county.at(county.scratch.grids[0])
    first = seen()
    assert (first["description"], first["media_url"], first["expected_datetime"]) == (None, None, None)
    assert (first["lat"], first["long"]) == (round(float(f"{lat:.6f}"), 4), round(float(f"{lon:.6f}"), 4))
    county.do(number, "accept", "planner", item="0303")
    county.do(number, "take", "member")
    assert seen()["status_notes"] == "正在办理"
    assert seen()["expected_datetime"] > first["requested_datetime"]
    county.do(number, "feedback", "member", photos=(PHOTO,), result="换了灯泡，联系人王五")
    assert (seen()["status"], seen()["status_notes"]) == ("open", "已办完，等您确认")
    assert seen(partner.key)["status_notes"] == "已办完，等您确认：换了灯泡，联系人王五"
    county.do(number, "confirm_by_phone", "dispatcher", note="电话回访，已解决")
    closed = seen()
    assert (closed["status"], closed["status_notes"], closed["expected_datetime"]) == ("closed", "已办结", None)
    ended = county.owner("SELECT closed_at FROM onemap.case_file WHERE case_no = %s", [number])[0][0]
    assert datetime.fromisoformat(closed["updated_datetime"]) == ended.replace(microsecond=0)


def test_a_returned_request_is_closed_and_says_why(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    number = posted(web, client, partner, description="外县的路灯")
    web.county.do(number, "return", "planner", note="在邻县境内，张三家门口", reason_public="not_ours")
    (one,) = holds(client.get(f"{BASE}/requests/{number}.json"), "service_requests")
    assert (one["status"], one["status_notes"]) == ("closed", "未受理：不属本县职责")


def test_the_same_words_twice_are_one_case(
    web: CaseWeb, client: TestClient, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = body(web.county, api_key=partner.key, description="两次发送的同一件")
    first, again = post(client, form), post(client, form)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    # nine minutes on, over the border of two windows
    from gis.cases import open311_asked

    later = now() + timedelta(minutes=9)
    monkeypatch.setattr(open311_asked, "now", lambda: later)
    assert post(client, form).json() == first.json()
    monkeypatch.setattr(open311_asked, "now", lambda: later + timedelta(minutes=21))
    assert post(client, form).json() != first.json()
    other = add_partner(web.county, "citypatrol")
    assert post(client, form | {"api_key": other.key}).json() != first.json()
    # with a key of the client's own
    keyed = [post(client, form, **{"Idempotency-Key": "order-1"}) for _ in range(2)]
    assert keyed[0].json() == keyed[1].json() != first.json()
    changed = post(client, form | {"description": "别的事"}, **{"Idempotency-Key": "order-1"})
    assert changed.status_code == 400
    assert post(client, form, **{"Idempotency-Key": "x" * 201}).status_code == 400
    found = web.county.owner("SELECT count(*) FROM onemap.case_file WHERE detail = '两次发送的同一件'")
    assert found == [(4,)]


def test_filters(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    lamp = posted(web, client, partner, description="筛选：路灯")
    waste = posted(web, client, partner, description="筛选：垃圾", service_code="0402")
    web.county.do(waste, "return", "planner", note="重复", reason_public="untrue")

    def numbers(**query: Any) -> set[str]:
        answer = client.get(f"{BASE}/requests.json", params=query)
        assert answer.status_code == 200, answer.text
        return {r["service_request_id"] for r in holds(answer, "service_requests")} & {lamp, waste}

    assert numbers() == {lamp, waste}
    assert numbers(service_code="0402") == {waste}
    assert numbers(service_code="0402,0303") == {lamp, waste}
    assert numbers(status="open") == {lamp}
    assert numbers(status="closed") == {waste}
    assert numbers(status="open,closed", jurisdiction_id="") == {lamp, waste}
    assert numbers(service_request_id=f"{lamp},{waste},SJ2020010100001", status="closed") == {
        lamp,
        waste,
    }  # overrides the rest
    today = now()
    assert numbers(start_date=(today - timedelta(hours=1)).isoformat(timespec="seconds")) == {lamp, waste}
    assert numbers(start_date=(today - timedelta(hours=1)).isoformat(timespec="seconds").replace("+", " ")) == {
        lamp,
        waste,
    }
    assert numbers(end_date=(today - timedelta(hours=1)).isoformat(timespec="seconds")) == set()
    assert numbers(start_date=f"{today:%Y-%m-%d}", end_date=f"{today:%Y-%m-%d}") == {lamp, waste}
    assert numbers(start_date="2020-01-01T00:00:00Z") == set()  # ninety days from there


# clients nobody here wrote ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(web: CaseWeb) -> Iterator[str]:
    """The same application on a socket of the loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(web.server, log_level="error", access_log=False, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{BASE}"
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_client_georeport(web: CaseWeb, client: TestClient, partner: Partner, live: str, kind: str) -> None:
    """PyPI georeport 0.3.1."""
    from georeport import GeoReport

    number = posted(web, client, partner, description=f"georeport {kind}")
    theirs = GeoReport(live, output_format=kind)
    assert {"service_code", "service_name", "group"} <= set(theirs.get_service_list()[0])
    assert theirs.get_service_definition("0303")["service_code"] == "0303"
    listed = theirs.get_service_requests(status="open", service_code="0303")
    assert number in {r["service_request_id"] for r in listed}
    assert theirs.get_service_request(number)["status_notes"] == "已收到，等待受理"


def test_client_three_posts(web: CaseWeb, partner: Partner, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPI three 0.8.0, the one that posts. It is of 2013: Python 3 lacks one name it imports, which is lent to it."""
    monkeypatch.setattr(itertools, "ifilter", filter, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        three = pytest.importorskip("three")
    theirs = three.Three(live, api_key=partner.key)
    lon, lat = web.county.at(web.county.scratch.grids[0])
    made = theirs.post(
        "0303", lat=lat, long=lon, description="three 上报", name="小四 李", phone="13800003333", address="村口"
    )
    number = made[0]["service_request_id"]
    assert theirs.request(number)[0]["status"] == "open"
    assert number in {
        r["service_request_id"] for r in theirs.requests("0303", start="01-01-2026", end="03-01-2026")
    } | {r["service_request_id"] for r in theirs.requests("0303")}
    assert theirs.discovery()["endpoints"][0]["formats"] == ["text/xml", "application/json"]
    assert theirs.token("1")[0]["code"] == 404
    masked = web.county.owner(
        "SELECT r.name_masked FROM personal.reporter r JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s",
        [number],
    )
    assert masked[0][0] is not None
    assert "李" not in str(theirs.request(number))


def test_many_at_once_are_one_case(web: CaseWeb, partner: Partner, live: str) -> None:
    import requests

    form = body(web.county, api_key=partner.key, description="同时发送的同一件")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: requests.post(f"{live}/requests.json", data=form, timeout=30), range(6)))
    assert sorted(a.status_code for a in answers) == [200] * 5 + [201]
    assert len({a.json()[0]["service_request_id"] for a in answers}) == 1
    assert web.county.owner("SELECT count(*) FROM onemap.case_file WHERE detail = '同时发送的同一件'") == [(1,)]


def test_a_store_that_is_away_is_our_fault(
    web: CaseWeb, client: TestClient, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("数据库连不上。", next_step="请过一会儿再试。")

    monkeypatch.setattr(web.server.state.protection.door, "asking", away)
    answer = post(client, body(web.county, api_key=partner.key), kind="xml")
    assert answer.status_code == 503
    assert holds(answer, "errors")[0]["code"] == 503


def test_the_command_line_registers_keys_and_revokes(
    web: CaseWeb, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEMAP_DB_NAME", web.settings.db_name)

    def said(*words: str) -> str:
        done = CliRunner().invoke(partner_app, [*words])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    said("add", "city.patrol", "--name", "数字城管", "--scope", web.county.scratch.county)
    key = re.search(r"api_key）：(\S+)", said("key", "city.patrol", "--until", "2099-12-31"))
    assert key
    assert post(client, body(web.county, api_key=key[1], description="命令行发的密钥")).status_code == 201
    listed = next(line for line in said("list").splitlines() if "city.patrol" in line)
    assert "在用" in listed
    assert key[1] not in listed
    said("revoke", listed.split()[0])
    assert "已作废" in said("list")
    assert post(client, body(web.county, api_key=key[1])).status_code == 403
    web.county.add("nobody.partner", "planner", web.county.scratch.county)
    assert CliRunner().invoke(partner_app, ["key", "nobody.partner"]).exit_code != 0
