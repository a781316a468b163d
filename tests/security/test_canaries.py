"""Canaries in every personal field: in no answer, tile, export, error or log, for any role, in any spelling."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from dashboard.http.routes import served_routes
from gis.access.crypt import load_keys
from gis.access.masking import mask_id_number, mask_name, mask_phone
from gis.store.engine import connect
from gis.tiles.grid import tiles_over
from tests.scratch_county import EAST, NORTH, SOUTH, WEST
from tests.security.conftest import OURS, County
from tests.security.test_gate import PAGE, address_of, body_of

pytestmark = pytest.mark.db
PERSON = {"name": "欧阳金丝雀", "id_number": "130529196811117777", "phone": "13987654321"}
CONTRACTOR = {"name": "司马画眉鸟", "id_number": "130529195512128888", "phone": "13712344321", "witness": "诸葛百灵鸟"}
CANARIES = [*PERSON.values(), *CONTRACTOR.values()]
CODE = "130529100201009999"


def marks() -> list[bytes]:
    """Every canary as it might be written: plain, escaped, percent, hex, base64."""
    found = []
    for clear in CANARIES:
        raw = clear.encode()
        found += [raw, raw.hex().encode(), json.dumps(clear)[1:-1].encode(), quote(clear).encode(), base64.b64encode(raw).rstrip(b"="), clear.encode("gb18030"),
                  "".join(f"&#{ord(c)};" for c in clear).encode()]  # fmt: skip
    return found


MARKS = marks()


def sing(body: bytes) -> list[bytes]:
    """Canaries heard in some bytes, packed ones too."""
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return [mark for mark in MARKS if mark in text]


@pytest.fixture(scope="module")
def cage(county: County) -> Iterator[int]:
    """A person in every household and a contractor of every parcel of the county, all of them canaries; a person's number."""
    keys = load_keys(county.settings)
    with connect(county.settings, role="owner") as conn:
        households = [r[0] for r in conn.execute("SELECT household_id FROM onemap.household").fetchall()]
        assert households
        for n, household in enumerate(households, start=500_000):
            sealed = {f: keys.encrypt(v, table="personal.person", row=n, field=f) for f, v in PERSON.items()}
            conn.execute(
                "INSERT INTO personal.person (person_id, household_id, is_head, name_enc, id_number_enc, phone_enc, name_masked, id_number_masked, "
                "phone_masked, id_number_key, phone_key) VALUES (%s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s)",
                [n, household, sealed["name"], sealed["id_number"], sealed["phone"], mask_name(PERSON["name"]), mask_id_number(PERSON["id_number"]),
                 mask_phone(PERSON["phone"]), keys.lookup(PERSON["id_number"], field="id_number"), keys.lookup(PERSON["phone"], field="phone")],
            )  # fmt: skip
        sealed = {f: keys.encrypt(v, table="personal.contractor", row=CODE, field=f) for f, v in CONTRACTOR.items()}
        conn.execute(
            "INSERT INTO personal.contractor (contractor_code, name_enc, id_number_enc, phone_enc, witness_enc) VALUES (%s, %s, %s, %s, %s)",
            [CODE, sealed["name"], sealed["id_number"], sealed["phone"], sealed["witness"]],
        )
        conn.execute(
            "UPDATE onemap.parcel SET contractor_code = %s, contractor_masked = %s",
            [CODE, mask_name(CONTRACTOR["name"])],
        )
    yield 500_000
    with connect(county.settings, role="owner") as conn:
        conn.execute("DELETE FROM personal.person WHERE person_id >= 500000")
        conn.execute("UPDATE onemap.parcel SET contractor_code = NULL, contractor_masked = NULL")
        conn.execute("DELETE FROM personal.contractor WHERE contractor_code = %s", [CODE])


ROLES = (
    "commander",
    "planner",
    "grid_member",
    "data_officer",
    "dispatcher",
    "wall",
    "system_admin",
    "security_admin",
    "audit_admin",
)


def test_the_trap_works(county: County, cage: int, as_role: Callable[[str], TestClient]) -> None:
    body = {"kind": "person", "id": cage, "field": "name", "reason": "入户核实低保"}
    answer = as_role("commander").post("/api/reveal", json=body, headers=OURS)
    assert answer.json()["value"] == PERSON["name"]
    assert sing(answer.content)
    assert sing(gzip.compress(PERSON["phone"].encode()))


def test_no_canary_in_any_answer_error_or_log(
    county: County, cage: int, as_role: Callable[[str], TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard: list[tuple[str, str, list[bytes]]] = []
    asked = 0

    def listen(role: str, what: str, body: bytes) -> None:
        nonlocal asked
        asked += 1
        if found := sing(body):
            heard.append((role, what, found))

    dash_app = county.server.state.dash
    for role in ROLES:
        client = as_role(role)
        for path, methods in served_routes(county.server.routes):
            address = address_of(path)
            if "GET" in methods:
                for query in (
                    "",
                    f"?at={county.scratch.townships[0]}",
                    f"?q={quote(PERSON['name'][:2])}",
                    "?at=%00",
                    "?page=x",
                ):
                    listen(role, address + query, client.get(address + query, headers=PAGE).content)
            # POST what makes no sense: errors are answers too
            elif "POST" in methods and path not in ("/logout", "/api/reveal"):
                listen(role, f"POST {address}", client.post(address, content=b"{", headers=OURS).content)
        for output in dash_app.callback_map:
            for value in (None, {"at": county.scratch.townships[0]}, county.scratch.parcel_code, PERSON["name"][:1]):
                body = body_of(output, dash_app)
                body["inputs"] = [i | {"value": value} for i in body["inputs"]]
                answer = client.post("/_dash-update-component", json=body, headers=OURS)
                listen(role, f"callback {output}", answer.content)
        if role == "audit_admin":
            export = client.post("/admin/audit.csv", data={"reason": "检查"}, headers=OURS)
            assert export.status_code == 200
            listen(role, "audit.csv", export.content)
    listen("log", "log", caplog.text.encode())
    assert asked > 500
    assert heard == []


def test_no_canary_in_any_tile(county: County, cage: int, as_role: Callable[[str], TestClient]) -> None:
    full = 0
    for role in ("commander", "planner", "wall"):
        client = as_role(role)
        layers = client.get("/tiles/layers.json").json()
        names = (
            [one["id"] for one in layers["layers"]] if isinstance(layers, dict) and "layers" in layers else list(layers)
        )
        assert "parcels" in names
        for z in (11, 13, 14, 16):
            for tile in list(tiles_over(west=WEST, south=SOUTH, east=EAST, north=NORTH, z=z))[:12]:
                for layer in names:
                    answer = client.get(f"/tiles/{layer}/{tile.z}/{tile.x}/{tile.y}.mvt")
                    full += answer.status_code == 200
                    assert sing(answer.content) == [], (role, layer, tile)
    assert full > 50


def test_a_reveal_that_was_given_leaves_no_canary_in_the_store(
    county: County, cage: int, as_role: Callable[[str], TestClient]
) -> None:
    client = as_role("commander")
    for field in PERSON:
        body = {"kind": "person", "id": cage, "field": field, "reason": "入户核实低保"}
        assert client.post("/api/reveal", json=body, headers=OURS).status_code == 200
    tables = county.owner(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
        "AND table_schema IN ('access', 'onemap', 'personal', 'intake')"
    )
    assert len(tables) > 20
    for schema, table in tables:
        rows = county.owner(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {schema}.{table} t")  # noqa: S608
        assert sing(rows[0][0].encode()) == [], (schema, table)
