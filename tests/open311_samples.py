"""What tests of Open311 share: a partner with a key, requests as clients post them, answers held against the public schemas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import xmltodict
from starlette.testclient import TestClient

from gis.access.partners import issue
from gis.store.engine import connect
from tests.case_county import CaseCounty

SCHEMAS = json.loads((Path(__file__).parent / "data" / "open311" / "georeport_v2.json").read_text(encoding="utf-8"))
_LISTS = {
    "services": "service", "attributes": "attribute", "values": "value", "service_requests": "request", "errors": "error",
    "endpoints": "endpoint", "formats": "format",
}  # fmt: skip
_NUMBERS, _BOOLEANS, _WHOLE = {"lat", "long"}, {"metadata", "variable", "required"}, {"order"}


@dataclass(frozen=True)
class Partner:
    """Another system: its account and its key."""

    account_id: int
    login: str
    key: str


def add_partner(county: CaseCounty, login: str, *, scope: str | None = None) -> Partner:
    """A system that may report in the county."""
    account = county.add(login, "partner", scope or county.scratch.county)
    with connect(county.settings, role="owner") as conn:
        key = issue(conn, account_id=account.account_id, name=login, idle=timedelta(days=180), reason="测试")
    return Partner(account.account_id, login, key)


def body(county: CaseCounty, **fields: Any) -> dict[str, Any]:
    """A posted request at the first grid's middle; None takes a field out."""
    lon, lat = county.at(county.scratch.grids[0])
    plain = {"service_code": "0303", "lat": f"{lat:.6f}", "long": f"{lon:.6f}", "description": "村口路灯不亮"}
    return {k: v for k, v in (plain | fields).items() if v is not None}


def post(client: TestClient, form: dict[str, Any], *, kind: str = "json", **headers: str) -> Any:
    """As a programme posts it: without what a browser says of itself."""
    return client.post(f"/open311/v2/requests.{kind}", data=form, headers=headers)


def holds(answer: Any, name: str) -> Any:
    """Content of an answer that keeps to the public schema, JSON or XML."""
    kind = answer.headers["content-type"]
    if kind == "application/json; charset=utf-8":
        content = answer.json()
    else:
        assert kind == "text/xml; charset=utf-8"
        assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
        ((root, read),) = xmltodict.parse(answer.content).items()
        assert root == {"posted": "service_requests"}.get(name, name)
        content = plain(root, read)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator({**SCHEMAS, "$ref": f"#/$defs/{name}"}, format_checker=checker).validate(content)
    return content


def plain(name: str, read: Any) -> Any:
    """What an XML reader found, brought into the shape JSON has by the Spark convention."""
    if name in _LISTS:
        entries = (read or {}).get(_LISTS[name]) or []
        return [plain(_LISTS[name], e) for e in (entries if isinstance(entries, list) else [entries])]
    if isinstance(read, dict):
        return {k: plain(k, v) for k, v in read.items()}
    if read is None:
        return None
    if name in _NUMBERS:
        return float(read)
    if name in _BOOLEANS:
        return {"true": True, "false": False}[read]
    return int(read) if name in _WHOLE or (name == "code" and read.isdigit()) else read
