"""One personal field over the web: given for a minute, on record; elsewhere and nowhere look alike; a wall only looks."""

from __future__ import annotations

from collections.abc import Callable

import pyotp
import pytest
from starlette.testclient import TestClient

from dashboard.app import create_app
from gis.access import accounts, devices
from gis.access.crypt import load_keys
from gis.access.rules import AccessRules
from gis.store.engine import connect
from tests.security.conftest import OURS, PASSWORD, County, browser, sign_in, token_of

pytestmark = pytest.mark.db
CANARY = "130529198001019876"


@pytest.fixture(scope="module")
def people(county: County) -> tuple[int, int]:
    """One person in the first township, one in the second."""
    keys, made = load_keys(county.settings), []
    for township in county.scratch.townships:
        with connect(county.settings, role="owner") as conn:
            found = conn.execute(
                "SELECT household_id FROM onemap.household WHERE township_code = %s ORDER BY household_id LIMIT 1",
                [township],
            )
            household = found.fetchone()
            assert household is not None
            row = conn.execute(
                "INSERT INTO personal.person (household_id, is_head, name_enc, name_masked) VALUES (%s, true, '', '张*明') RETURNING person_id",
                [household[0]],
            ).fetchone()
            assert row is not None
            sealed = keys.encrypt(CANARY, table="personal.person", row=row[0], field="id_number")
            conn.execute("UPDATE personal.person SET id_number_enc = %s WHERE person_id = %s", [sealed, row[0]])
            made.append(row[0])
    return made[0], made[1]


def ask(client: TestClient, number: int | str, reason: str = "入户核实低保", **more: object) -> object:
    body = {"kind": "person", "id": number, "field": "id_number", "reason": reason} | more
    return client.post("/api/reveal", json=body, headers=OURS)


def test_a_field_is_given_for_a_minute_and_noted(
    county: County, people: tuple[int, int], as_role: Callable[[str], TestClient]
) -> None:
    answer = ask(as_role("planner"), people[0])
    assert (answer.status_code, answer.json()) == (200, {"value": CANARY, "seconds": 60})
    assert answer.headers["cache-control"] == "no-store"
    noted = county.owner(
        "SELECT login, object_id, reason, detail ->> 'field' FROM access.audit WHERE action = 'reveal' ORDER BY seq DESC LIMIT 1"
    )
    assert noted == [("planner", str(people[0]), "入户核实低保", "id_number")]
    rows = county.owner("SELECT count(*) FROM access.audit a WHERE a::text LIKE %s", [f"%{CANARY}%"])
    assert rows == [(0,)]


def test_elsewhere_and_nowhere_look_alike(people: tuple[int, int], as_role: Callable[[str], TestClient]) -> None:
    client = as_role("planner")
    answers = [
        ask(client, people[1]),
        ask(client, 999_999),
        ask(client, "x"),
        ask(client, people[0], field="password"),
        ask(client, people[0], kind="account"),
    ]
    assert {(a.status_code, a.content) for a in answers} == {(404, answers[0].content)}
    assert ask(as_role("commander"), people[1]).status_code == 200


@pytest.mark.parametrize("reason", ["", "  ", "看看"])
def test_without_a_reason_nothing_is_given(
    people: tuple[int, int], as_role: Callable[[str], TestClient], reason: str
) -> None:
    assert ask(as_role("planner"), people[0], reason=reason).status_code == 400


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"kind": 1}', b'{"kind":"person","id":1,"field":"name","reason":"x","more":1}', b"\x00", b"[" * 3000,
                                     b'{"kind":"person","id":"\\u0000","field":"name","reason":"abcd"}'])  # fmt: skip
def test_what_is_no_question_is_refused(as_role: Callable[[str], TestClient], content: bytes) -> None:
    assert as_role("planner").post("/api/reveal", content=content, headers=OURS).status_code == 400


def test_a_wall_looks_and_changes_nothing(county: County, as_role: Callable[[str], TestClient]) -> None:
    guard = as_role("security_admin")
    form = {"action": "register", "name": "东墙", "account": str(county.numbers["wall"]), "reason": "新装大屏"}
    page = guard.post("/admin/sessions", data=form, headers=OURS).text
    code = page.split('id="given">')[1].split("<")[0]
    wall = browser(county)
    assert wall.get("/wall/enter").status_code == 200
    assert wall.post("/wall/enter", data={"code": code}).status_code == 403, "not from a page of ours"
    assert wall.post("/wall/enter", data={"code": "AAAA-AAAA"}, headers=OURS).status_code == 401
    entered = wall.post("/wall/enter", data={"code": code}, headers=OURS)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = set(entered.headers["set-cookie"].split("; "))
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"} <= cookie
    assert token_of(wall) not in guard.get("/admin/sessions").text
    assert browser(county).post("/wall/enter", data={"code": code}, headers=OURS).status_code == 401, (
        "a code works once"
    )
    renewed = wall.get("/_dash-layout")
    assert renewed.status_code == 200
    assert "Max-Age=2592000" in renewed.headers["set-cookie"]
    assert "set-cookie" not in wall.get("/_dash-layout").headers, "once a day is enough"
    assert wall.post("/logout", headers=OURS).status_code == 403
    assert wall.post("/password", data={"old": PASSWORD}, headers=OURS).status_code == 403
    assert wall.get("/admin/accounts").status_code == 403
    with connect(county.settings, role="owner") as conn:
        number = devices.list_devices(conn)[0].device_id
    guard.post("/admin/sessions", data={"action": "device", "device": str(number), "reason": "丢失"}, headers=OURS)
    assert wall.get("/_dash-layout").status_code == 401


def test_a_second_factor_is_bound_asked_for_and_used_once(county: County) -> None:
    with connect(county.settings, role="owner") as conn:
        rules = AccessRules.load(county.settings.data)
        accounts.add(
            conn,
            login="second",
            display_name="第二",
            role="commander",
            rules=rules,
            password=PASSWORD,
            temporary=False,
            reason="测试",
        )
    strict = county.settings.model_copy(update={"require_second_factor": True})
    app = create_app(strict)
    with TestClient(app, follow_redirects=False, client=("10.9.9.9", 1)) as client:
        assert sign_in(client, "second").headers["location"] == "/login/code?next=/"
        assert client.get("/_dash-layout").status_code == 401, "half-way in is not in"
        page = client.get("/login/code").text
        secret = page.split('class="secret-text">')[1].split("<")[0].replace(" ", "")
        assert "data:image/svg+xml" in page
        totp = pyotp.TOTP(secret)
        wrong = client.post("/login/code", data={"code": "000000"}, headers=OURS)
        assert wrong.status_code == 401
        code = totp.now()
        assert client.post("/login/code", data={"code": code}, headers=OURS).headers["location"] == "/login"
        assert client.get("/_dash-layout").status_code == 200
        assert client.post("/logout", headers=OURS).status_code == 303
        sign_in(client, "second")
        assert "secret-text" not in client.get("/login/code").text, "the key is shown once, when it is bound"
        again = client.post("/login/code", data={"code": code}, headers=OURS)
        assert again.status_code == 401, "a code works once"
