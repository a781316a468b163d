"""Open311 from outside: nobody's name, place or words leak; keys open what they should; nonsense is refused and breaks nothing."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote, urlencode

import psycopg
import pytest
from starlette.testclient import TestClient

from gis.access import accounts, devices
from gis.access.partners import issue
from gis.cases.model import Report
from gis.errors import Forbidden
from gis.settings import Settings
from gis.store.engine import connect
from tests.case_county import PHOTO
from tests.case_web import OURS, CaseWeb, case_web
from tests.open311_samples import Partner, add_partner, body, holds, post

pytestmark = pytest.mark.db
BASE = "/open311/v2"
NAME, PHONE, EMAIL, ADDRESS, WORDS = (
    "欧阳金丝雀",
    "13987650001",
    "canary@example.org",
    "金丝雀巷17号",
    "画眉鸟的院墙塌了",
)
RESULT, TITLE, NOTE = "百灵鸟家已修好", "夜莺家门口路灯", "布谷鸟说的"
CANARIES = (NAME, PHONE, EMAIL, ADDRESS, WORDS, RESULT, TITLE, NOTE)


@pytest.fixture(scope="module")
def web(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseWeb]:
    with case_web(module_store, tmp_path_factory.mktemp("open311")) as made:
        yield made


@pytest.fixture(scope="module")
def partner(web: CaseWeb) -> Partner:
    return add_partner(web.county, "hotline")


def stranger(web: CaseWeb) -> TestClient:
    """A programme, not a browser, at an address of its own."""
    made = web.client()
    made.headers.pop("Origin")
    made.headers.pop("Sec-Fetch-Site")
    return made


@pytest.fixture
def client(web: CaseWeb) -> TestClient:
    return stranger(web)


def everything(client: TestClient, *numbers: str, **headers: str) -> bytes:
    """All that can be read, in both formats."""
    paths = ["requests", *(f"requests/{n}" for n in numbers)]
    return b"".join(
        client.get(f"{BASE}/{p}.{kind}", headers=headers).content for p in paths for kind in ("json", "xml")
    )


def test_nothing_anybody_wrote_is_read_by_anybody(
    web: CaseWeb, client: TestClient, partner: Partner, caplog: pytest.LogCaptureFixture
) -> None:
    county = web.county
    caplog.set_level(logging.DEBUG)
    sent = body(county, api_key=partner.key, description=WORDS, address_string=ADDRESS, last_name=NAME[:2], first_name=NAME[2:], phone=PHONE,
                email=EMAIL, device_id="imei-canary", account_id="account-canary", media_url="http://203.0.113.5/canary.jpg")  # fmt: skip
    first = post(client, sent)
    number = first.json()[0]["service_request_id"]
    other = county.report(title=TITLE, detail=WORDS, reporter_name=NAME, reporter_phone=PHONE).case_no
    for case in (number, other):
        county.do(case, "accept", "planner", item="0303")
        county.do(case, "take", "member")
        county.do(case, "note", "planner", note=NOTE)
        county.do(case, "feedback", "member", photos=(PHOTO,), result=RESULT)
    faults = [
        post(client, sent | {"lat": "99999"}),
        post(client, sent | {"api_key": "x"}),
        post(client, sent | {"service_code": "9999"}),
    ]
    said = first.content + everything(client, number, other) + b"".join(f.content for f in faults)
    logged = caplog.text.encode()
    for clear in (*CANARIES, "imei-canary", "account-canary", "canary.jpg", "测试member", "测试planner"):
        for mark in (
            clear.encode(),
            json.dumps(clear)[1:-1].encode(),
            quote(clear).encode(),
            base64.b64encode(clear.encode()).rstrip(b"="),
        ):
            assert mark not in said, clear
            assert mark not in logged, clear
    assert partner.key.encode() not in said + logged
    # The result, which the process calls public, goes to the partner that reported it; nothing else does, and of no other case.
    own = everything(client, number, Authorization=f"Bearer {partner.key}")
    assert RESULT.encode() in own
    assert not [c for c in CANARIES if c != RESULT and c.encode() in own]
    assert RESULT.encode() not in client.get(f"{BASE}/requests/{other}.xml", params={"api_key": partner.key}).content
    stored = county.owner("SELECT row_to_json(r)::text FROM personal.reporter r")
    assert not [c for c in (NAME, PHONE, EMAIL) if any(c in row[0] for row in stored)]
    assert not county.owner("SELECT 1 FROM onemap.case_file c WHERE to_jsonb(c)::text ~ 'imei-canary|account-canary'")
    assert not [
        1
        for (t,) in county.owner("SELECT to_jsonb(a)::text FROM access.audit a")
        if partner.key in t or PHONE in t or NAME in t
    ]


def test_places_are_as_coarse_as_the_item_says(web: CaseWeb, client: TestClient) -> None:
    county = web.county
    lon, lat = county.at(county.scratch.grids[0])
    found = {}
    for item in ("0303", "0301", "0202", "0201", "0305"):
        number = county.report(item_code=item, title=item).case_no
        answer = client.get(f"{BASE}/requests/{number}.json")
        found[item] = answer.json()[0] if answer.status_code == 200 else answer.status_code
        listed = number in {r["service_request_id"] for r in client.get(f"{BASE}/requests.json").json()}
        assert listed == (answer.status_code == 200)
        assert bool(client.get(f"{BASE}/requests.json", params={"service_request_id": number}).json()) == listed
    assert (found["0303"]["lat"], found["0303"]["long"]) == (round(lat, 4), round(lon, 4))
    assert (found["0301"]["lat"], found["0301"]["long"]) == (round(lat, 3), round(lon, 3))
    assert (found["0202"]["lat"], found["0202"]["long"]) == (None, None)
    assert found["0202"]["address"]
    assert (found["0201"], found["0305"]) == (404, 404)
    unclassified = county.report(item_code=None, title="说不清").case_no
    assert client.get(f"{BASE}/requests/{unclassified}.json").status_code == 404


def test_cases_of_other_processes_are_not_there(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    county = web.county
    task = county.cases.report(
        Report(key="task-of-the-commander-1", title="督办任务", process="task", answers={"unit": "swj"}, channel="grid"),
        principal=county.people["commander"],
    ).case_no  # fmt: skip
    county.owner(
        "UPDATE onemap.case_file SET item_code = '0303', reporter_id = %s WHERE case_no = %s",
        [partner.account_id, task],
    )
    for headers in ({}, {"Authorization": f"Bearer {partner.key}"}):
        assert client.get(f"{BASE}/requests/{task}.json", headers=headers).status_code == 404
        assert client.get(f"{BASE}/requests.json", params={"service_request_id": task}, headers=headers).json() == []
        assert task not in client.get(f"{BASE}/requests.json", headers=headers).text


def test_a_partner_sees_its_own_hidden_requests_and_no_other_s(
    web: CaseWeb, client: TestClient, partner: Partner
) -> None:
    number = post(client, body(web.county, api_key=partner.key, service_code="0305", description="困难")).json()[0][
        "service_request_id"
    ]
    rival = add_partner(web.county, "rival")
    assert client.get(f"{BASE}/requests/{number}.json").status_code == 404
    assert client.get(f"{BASE}/requests/{number}.json", params={"api_key": rival.key}).status_code == 404
    (one,) = holds(
        client.get(f"{BASE}/requests/{number}.json", headers={"Authorization": f"Bearer {partner.key}"}),
        "service_requests",
    )
    assert (one["status"], one["lat"]) == ("open", None)
    # a signed-in person is nobody here: what they see is what everybody sees
    assert web.client("commander").get(f"{BASE}/requests/{number}.json").status_code == 404


def test_keys(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    county, form = web.county, body(web.county, description="试密钥")
    counted = "SELECT count(*) FROM onemap.case_file"

    def refused(key: str | None, **headers: str) -> None:
        before = county.owner(counted)
        answer = post(client, form | ({} if key is None else {"api_key": key}), **headers)
        assert answer.status_code == 403, answer.text
        holds(answer, "errors")
        assert county.owner(counted) == before
        if key and headers == {} and len(key) < 100:
            assert client.get(f"{BASE}/requests.json", params={"api_key": key}).status_code in (200, 403)

    for key in (None, "", "x", partner.key[:-1], partner.key + "A", partner.key[::-1], "ä" * 43, "x" * 5000):
        refused(key)
    assert client.get(f"{BASE}/requests.json", params={"api_key": "x" * 43}).status_code == 403
    # a person's session is no key, and a key is no session
    session = web.client("commander")
    refused(str(session.cookies.get("onemap_session")))
    assert session.post(f"{BASE}/requests.json", data=form, headers=OURS).status_code == 403
    for headers in ({"Authorization": f"Bearer {partner.key}"}, {"Cookie": f"onemap_session={partner.key}"}):
        for path in ("/api/cases", "/tiles/layers.json", "/api/tasks"):
            assert client.get(path, headers=headers).status_code == 401
    # revoked, expired, unused for too long, another role, disabled
    twice = add_partner(county, "twice")
    with connect(county.settings, role="owner") as conn:
        number = next(d.device_id for d in devices.list_devices(conn) if d.login == "twice")
        devices.revoke(conn, device_id=number, reason="测试")
    refused(twice.key)
    county.owner(
        "UPDATE access.device SET revoked_at = NULL, expires_at = now() - interval '1 second' WHERE device_id = %s",
        [number],
    )
    refused(twice.key)
    county.owner(
        "UPDATE access.device SET expires_at = NULL, seen_at = now() - interval '181 days' WHERE device_id = %s",
        [number],
    )
    refused(twice.key)
    county.owner("UPDATE access.device SET seen_at = now() - interval '2 days' WHERE device_id = %s", [number])
    assert post(client, form | {"api_key": twice.key}).status_code == 201
    assert county.owner(
        "SELECT seen_at > now() - interval '1 minute' FROM access.device WHERE device_id = %s", [number]
    ) == [(True,)]
    county.owner("UPDATE access.account SET role = 'planner' WHERE account_id = %s", [twice.account_id])
    refused(twice.key)
    county.owner("UPDATE access.account SET role = 'partner' WHERE account_id = %s", [twice.account_id])
    assert post(client, form | {"api_key": twice.key}).status_code == 200  # and back again: the same words
    with connect(county.settings, role="owner") as conn:
        accounts.set_state(conn, account_id=twice.account_id, state="disabled", reason="测试")
    refused(twice.key)
    county.owner(
        "UPDATE access.device SET revoked_at = NULL WHERE device_id = %s", [number]
    )  # disabling had revoked it
    refused(twice.key)


def test_only_the_security_administrator_s_function_makes_keys_and_only_for_partners(web: CaseWeb) -> None:
    with connect(web.county.settings, role="app") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT access.api_key_add('x', decode(repeat('ab', 32), 'hex'), 1, NULL, '1 day', NULL)")
    for role in ("reader", "job"):
        with connect(web.county.settings, role=role) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM access.api_key_of(decode(repeat('ab', 32), 'hex'))")
    with connect(web.county.settings, role="owner") as conn, pytest.raises(Forbidden):
        issue(conn, account_id=web.county.people["planner"].account_id, name="x", idle=timedelta(days=1))


NONSENSE = (
    "'", "' OR 1=1 --", "SJ2026112200001'; DROP TABLE onemap.case_file; --", "\\", "%27", "${7*7}", "{{7*7}}", "<script>alert(1)</script>", "]]>", "&xxe;", "\u202e",
    "\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "😀" * 50, "a" * 3000, "-1", "1e309", "NaN", "[]", "null", "../../etc/passwd", "\r\nX: y",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00+99:99", "２０２６-01-01",
)  # fmt: skip
FILTERS = (
    "service_request_id",
    "service_code",
    "status",
    "start_date",
    "end_date",
    "jurisdiction_id",
    "api_key",
    "page",
    "attribute[x]",
)


def test_nonsense_in_every_filter_and_address(web: CaseWeb) -> None:
    before = web.county.owner("SELECT count(*), sum(revision) FROM onemap.case_file")
    for name in FILTERS:
        client = stranger(web)  # at an address of its own: the limit is another test's
        for value in NONSENSE:
            kind = "xml" if len(value) % 2 else "json"
            answer = client.get(f"{BASE}/requests.{kind}?{urlencode({name: value})}")
            ignored = name in ("jurisdiction_id", "page", "attribute[x]") and "\x00" not in value
            odd = not ignored and answer.status_code == 200
            assert answer.status_code in ((200,) if ignored else (200, 400, 403, 404)), (
                name,
                value,
                answer.status_code,
            )
            if odd:  # a filter of blanks or of a number that nobody has: sound, and finds nothing
                assert name in ("service_request_id", "start_date", "end_date"), (name, value)
            holds(answer, "service_requests" if answer.status_code == 200 else "errors")
    for path in ("services", "requests", "tokens"):
        client = stranger(web)
        for value in NONSENSE:
            status = client.get(f"{BASE}/{path}/{quote(value, safe='')}.json").status_code
            assert 400 <= status < 500, (path, value, status)
    assert web.county.owner("SELECT count(*), sum(revision) FROM onemap.case_file") == before


def test_nonsense_in_every_field_of_a_post(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    strict = ("service_code", "lat", "long", "media_url", "attribute[x]", "attribute[", "Idempotency")
    free = ("description", "address_string", "first_name", "phone", "email")
    for name in (*strict, *free):
        for value in NONSENSE[:21]:
            form = body(web.county, api_key=partner.key) | {name: value}
            answer = post(client, form, kind="xml")
            status = answer.status_code
            assert status in (200, 201, 400, 404), (name, value, status)
            if name in strict[:5]:
                assert status in (400, 404), (name, value, status)
            holds(answer, "posted" if status < 300 else "errors")
    for kind, content in (
        ("application/json", b"{}"), ("multipart/form-data; boundary=x", b"--x--"), ("application/x-www-form-urlencoded", b"\xff\xfe=%ff"),
        ("application/x-www-form-urlencoded", b"a=1&" * 300), ("application/x-www-form-urlencoded", b"d=" + b"a" * 70_000), ("", b""),
    ):  # fmt: skip
        answer = client.post(f"{BASE}/requests.json", content=content, headers={"Content-Type": kind})
        assert answer.status_code in (400, 403), (kind, content[:20], answer.status_code)
    outside = post(client, body(web.county, api_key=partner.key, lat="0", long="0"))
    assert outside.status_code == 400


def test_html_and_markup_come_back_as_words(web: CaseWeb, client: TestClient, partner: Partner) -> None:
    bad = "<script>alert(1)</script>]]>&amp;"
    made = post(client, body(web.county, api_key=partner.key, description=bad), kind="xml")
    number = holds(made, "posted")[0]["service_request_id"]
    assert web.county.owner("SELECT detail FROM onemap.case_file WHERE case_no = %s", [number]) == [(bad,)]
    answer = client.get(f"{BASE}/services/%3Cscript%3E.xml")
    assert b"<script>" not in answer.content
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_door_closes_on_a_flood(web: CaseWeb) -> None:
    client, seen = web.client(), set()
    client.headers.pop("Origin")
    until = time.monotonic() + 60
    while 429 not in seen and time.monotonic() < until:
        seen.add(client.get(f"{BASE}/services.json").status_code)
    assert seen == {200, 429}
