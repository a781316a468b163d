"""Open311's words: filters, posted forms, attributes of a process that asks for more, XML that holds anything."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.http.spark import written
from gis.access.principal import Principal
from gis.cases.catalogue import Processes
from gis.cases.definition import FormField
from gis.cases.forms import FaultyAnswers
from gis.cases.open311 import Open311, Rules
from gis.cases.open311_asked import asked_of, report_of
from gis.errors import DefinitionError, NotFound
from gis.settings import ROOT, Settings
from gis.store.pool import Pool
from tests.open311_samples import SCHEMAS, plain

PARTNER = Principal(7, "hotline", "热线", "partner", "对接系统", ("130529",), frozenset({"incident.report"}))
FORM = {"service_code": ["0303"], "lat": ["37.2"], "long": ["115.0"], "description": ["路灯不亮"]}


@pytest.fixture(scope="module")
def service() -> Open311:
    data = ROOT / "data"
    return Open311(Pool(Settings()), processes=Processes.load(data), rules=Rules.load(data))


def test_days_and_moments() -> None:
    asked = asked_of({"start_date": ["2026-01-01"], "end_date": ["2026-01-31T23:59:59Z"]})
    assert asked.since == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert asked.until == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert asked_of({"start_date": ["2026-01-01T00:00:00 08:00"]}).until - asked.since == timedelta(days=90)
    nothing = asked_of({"status": [""], "service_code": [" , "], "start_date": [""]})
    assert (nothing.statuses, nothing.codes, nothing.until - nothing.since) == (None, None, timedelta(days=90))


@pytest.mark.parametrize(
    ("query", "field"),
    [({"start_date": ["gestern"]}, "start_date"), ({"start_date": ["2026-01-01T00:00:00"]}, "start_date"), ({"end_date": ["0001-01-01T00:00:00Z"]}, "end_date"),
     ({"end_date": ["9999-12-31"]}, "end_date"), ({"start_date": ["2026-02-30"]}, "start_date"),
     ({"start_date": ["2026-01-01"], "end_date": ["2026-06-01"]}, "end_date"), ({"start_date": ["2026-02-01"], "end_date": ["2026-01-01"]}, "end_date"),
     ({"status": ["open,gone"]}, "status"), ({"service_request_id": ["a b"]}, "service_request_id"), ({"service_request_id": ["SJ1' OR 1=1"]}, "service_request_id"),
     ({"service_request_id": [",".join(map(str, range(1001)))]}, "service_request_id")],
)  # fmt: skip
def test_filters_that_make_no_sense(query: dict[str, list[str]], field: str) -> None:
    if query.get("end_date") == ["9999-12-31"]:
        assert asked_of(query).until.year == 9999  # far, and sound
        return
    with pytest.raises(FaultyAnswers) as e:
        asked_of(query)
    assert field in e.value.faults


@given(
    st.dictionaries(
        st.sampled_from(["service_request_id", "service_code", "status", "start_date", "end_date"]),
        st.lists(st.text(max_size=30), max_size=3),
    )
)
def test_no_filter_breaks_it(query: dict[str, list[str]]) -> None:
    with suppress(FaultyAnswers):
        asked = asked_of(query)
        assert asked.since <= asked.until


def test_a_posted_form(service: Open311) -> None:
    people = {
        "first_name": ["四"],
        "last_name": ["李"],
        "phone": ["13800001111"],
        "email": ["a@b.cn"],
        "device_id": ["imei-1"],
    }
    report = report_of(FORM | people, service=service, partner=PARTNER)
    assert (report.lonlat, report.source_crs, report.channel) == ((115.0, 37.2), "EPSG:4326", "partner")
    assert (report.reporter_name, report.reporter_phone, report.reporter_address) == (
        "李四",
        "13800001111",
        "电子邮箱 a@b.cn",
    )
    assert "imei" not in repr(report)
    english = report_of(FORM | {"first_name": ["Ann"], "last_name": ["Lee"]}, service=service, partner=PARTNER)
    assert english.reporter_name == "Ann Lee"
    placed = report_of({"service_code": ["0303"], "address_string": ["村委会东"]}, service=service, partner=PARTNER)
    assert (placed.lonlat, placed.detail) == (None, "地点：村委会东")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"service_code": [""]}, "service_code"), ({"long": []}, "lat"), ({"lat": ["nan"]}, "lat"), ({"lat": ["1e3"]}, "lat"), ({"lat": ["３７"]}, "lat"),
     ({"lat": [], "long": []}, "lat"), ({"lat": [], "long": [], "address_id": ["5"]}, "lat"), ({"media_url": ["file:///etc/passwd"]}, "media_url"),
     ({"media_url": ["http://[::1"]}, "media_url"), ({"description": ["字" * 4001]}, "description"), ({"lat": ["1", "2"]}, "lat"),
     ({"attribute[x": ["1"]}, "attribute[x"), ({"attribute[x]": ["1", "2"]}, "attribute[x]")],
)  # fmt: skip
def test_forms_that_make_no_sense(service: Open311, change: dict[str, list[str]], field: str) -> None:
    with pytest.raises(FaultyAnswers) as e:
        report_of(FORM | change, service=service, partner=PARTNER)
    assert field in e.value.faults


def test_unknown_service(service: Open311) -> None:
    with pytest.raises(NotFound):
        report_of(FORM | {"service_code": ["9999"]}, service=service, partner=PARTNER)


def test_attributes_of_a_process_that_asks_for_more(service: Open311) -> None:
    import jsonschema

    fields = [
        FormField(id="lamp", name="灯杆号", kind="text", required=True, hint="杆上的牌子"), FormField(id="depth", name="水深", kind="number", unit="厘米"),
        FormField(id="blocked", name="挡路", kind="bool"), FormField(id="kind", name="种类", kind="choice", options={"a": "甲", "b": "乙"}),
        FormField(id="seen", name="看到的时间", kind="datetime"), FormField(id="more", name="补充", kind="longtext"),
    ]  # fmt: skip
    more = Open311(Pool(Settings()), processes=service._processes, rules=service.rules)
    more.process = service.process.model_copy(update={"report": fields})
    assert all(s["metadata"] for s in more.services())
    for form in ("json", "xml"):
        text = written("service_definition", more.definition("0303"), form)
        content = json.loads(text) if form == "json" else _read(text)
        jsonschema.Draft202012Validator({**SCHEMAS, "$ref": "#/$defs/service_definition"}).validate(content)
        kinds = [a["datatype"] for a in content["attributes"]]
        assert kinds == ["string", "number", "singlevaluelist", "singlevaluelist", "datetime", "text"]
        assert content["attributes"][3]["values"] == [{"key": "a", "name": "甲"}, {"key": "b", "name": "乙"}]
        assert content["attributes"][0]["description"] == "灯杆号：杆上的牌子"
    report = report_of(
        FORM | {"attribute[lamp]": ["12"], "attribute[kind][]": ["a", "b"]}, service=more, partner=PARTNER
    )
    assert report.answers == {"lamp": "12", "kind": ["a", "b"]}


def _read(text: bytes) -> Any:
    import xmltodict

    return plain("service_definition", xmltodict.parse(text)["service_definition"])


@given(st.text())
def test_xml_holds_any_text(text: str) -> None:
    made = ElementTree.fromstring(written("errors", [{"code": 400, "description": text}], "xml"))
    read = made.findtext("error/description") or ""
    assert len(read) <= len(text)
    if text.isprintable():
        assert read == text


def test_every_state_has_a_status_and_sensitive_items_are_not_shown(service: Open311) -> None:
    assert {s.open311 for s in service.process.state} == {"open", "closed"}
    assert all((s.open311 == "closed") == s.ends for s in service.process.state)
    hidden = {"0103", "0201", "0203", "0206", "0304", "0305", "0306"}
    assert not hidden & set(service.rules.shown)
    assert {s["service_code"] for s in service.services() if "不在公开列表" in s["description"]} == hidden


def test_a_faulty_definition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "codelists").symlink_to(ROOT / "data" / "codelists")
    text = (ROOT / "data" / "open311.toml").read_text(encoding="utf-8")
    for change in (
        text.replace('"0303"', '"9999"'),
        text.replace('"partner"', '"nobody"'),
        text.replace('"point"', '"exact"'),
        text[:200],
    ):
        (tmp_path / "open311.toml").write_text(change, encoding="utf-8")
        with pytest.raises(DefinitionError):
            Rules.load(tmp_path)
