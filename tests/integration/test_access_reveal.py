"""Reveals: one field of one person in scope, for a reason, on record; the database refuses the rest."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from gis.access.crypt import Keys
from gis.access.masking import mask_id_number, mask_name, mask_phone
from gis.access.principal import Principal
from gis.access.reveal import reveal
from gis.access.rules import AccessRules
from gis.clock import now
from gis.errors import BadRequest, Forbidden, NotFound, OnemapError, SetupProblem, TooManyRequests
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

HOME, ELSEWHERE = "130529100", "130529101"
PEOPLE = {
    1: ("张小明", "130529197001011234", "13812345678", f"{HOME}200001"),
    2: ("李四", None, None, f"{ELSEWHERE}200001"),
}
CONTRACTOR = "130529100200010001"


def add_people(conn: psycopg.Connection, keys: Keys) -> None:
    """Two households, one person each; one contractor with a parcel in the first township."""
    for n, (name, number, phone, grid) in PEOPLE.items():
        conn.execute(
            "INSERT INTO onemap.household (household_id, household_no, grid_code, village_code, township_code) VALUES (%s, %s, %s, %s, %s)",
            [n, f"H{n}", grid, grid[:12], grid[:9]],
        )

        def seal(value: str | None, field: str, row: int = n) -> bytes | None:
            return None if value is None else keys.encrypt(value, table="personal.person", row=row, field=field)

        conn.execute(
            "INSERT INTO personal.person (person_id, household_id, is_head, name_enc, id_number_enc, phone_enc, name_masked, "
            "id_number_masked, phone_masked, id_number_key, phone_key) VALUES (%s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s)",
            [n, n, seal(name, "name"), seal(number, "id_number"), seal(phone, "phone"), mask_name(name), mask_id_number(number),
             mask_phone(phone), keys.lookup(number, field="id_number"), keys.lookup(phone, field="phone")],
        )  # fmt: skip
    conn.execute(
        "INSERT INTO personal.contractor (contractor_code, name_enc) VALUES (%s, %s)",
        [CONTRACTOR, keys.encrypt("王大", table="personal.contractor", row=CONTRACTOR, field="name")],
    )
    conn.execute(
        "INSERT INTO onemap.parcel (parcel_code, contractor_code, area_m2, grid_code, village_code, township_code, geom) VALUES "
        "('1305291002000100001', %s, 5, %s, %s, %s, ST_GeomFromText('POLYGON((115 37.2,115.001 37.2,115.001 37.201,115 37.2))', 4490))",
        [CONTRACTOR, f"{HOME}200001", f"{HOME}200", HOME],
    )


@pytest.fixture
def keys(store: Settings, tmp_path: Path) -> Keys:
    return a.keys_in(store, tmp_path)


@pytest.fixture
def city(store: Settings, keys: Keys) -> Settings:
    a.prepare(store)
    seer = a.add_account(store, "seer", "planner", scope="130529", password=None)
    with connect(store, role="owner") as conn:  # policies hold for the owner too: it writes as one who sees the county
        conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(seer)])
        add_people(conn, keys)
    return store


def person(city: Settings, role: str = "planner", *, scope: str | None = HOME) -> Principal:
    login = f"u.{role.replace('_', '.')}"
    return dataclasses.replace(
        a.principal(a.add_account(city, login, role, scope=scope, password=None), role), login=login, address="10.0.0.9"
    )


def ask(
    city: Settings, keys: Keys, who: Principal, *, kind: str = "person", object_id: str = "1", field: str = "phone",
    reason: str = "入户核实", rules: AccessRules = a.RULES,
) -> str:  # fmt: skip
    shown = reveal(
        a.begin_in(city),
        principal=who,
        keys=keys,
        rules=rules,
        kind=kind,
        object_id=object_id,
        field=field,
        reason=reason,
    )
    assert timedelta(seconds=58) < shown.until - now() <= timedelta(seconds=60)
    return shown.value


def trail(city: Settings) -> list[tuple[object, ...]]:
    with connect(city, role="owner") as conn:
        return conn.execute(
            "SELECT action, login, object_kind, object_id, reason, detail->>'field', detail->>'verdict', host(address) "
            "FROM access.audit WHERE action LIKE 'reveal%' ORDER BY seq"
        ).fetchall()


@pytest.mark.parametrize(
    ("field", "value"), [("name", "张小明"), ("id_number", "130529197001011234"), ("phone", "13812345678")]
)
def test_one_field_of_one_person_for_a_reason_on_record(city: Settings, keys: Keys, field: str, value: str) -> None:
    assert ask(city, keys, person(city), field=field) == value
    assert trail(city) == [("reveal", "u.planner", "person", "1", "入户核实", field, "given", "10.0.0.9")]


def test_a_contractor_is_in_scope_by_the_parcels(city: Settings, keys: Keys) -> None:
    assert ask(city, keys, person(city), kind="contractor", object_id=CONTRACTOR, field="name") == "王大"
    with pytest.raises(NotFound):
        ask(
            city,
            keys,
            person(city, "village_cadre", scope=f"{ELSEWHERE}200"),
            kind="contractor",
            object_id=CONTRACTOR,
            field="name",
        )


REFUSED: dict[str, tuple[type[OnemapError], dict[str, str], str]] = {
    "no reason": (BadRequest, {"reason": "   "}, "reason"),
    "a short reason": (BadRequest, {"reason": "看看"}, "reason"),
    "another township": (NotFound, {"object_id": "2", "field": "name"}, "absent"),
    "no such person": (NotFound, {"object_id": "3"}, "absent"),
    "no value": (NotFound, {"object_id": "2"}, "absent"),
    "no such field": (NotFound, {"field": "born_on"}, "absent"),
    "no such kind": (NotFound, {"kind": "account"}, "absent"),
    "not a number": (NotFound, {"object_id": "1 OR 1=1"}, "absent"),
    "a field of the other kind": (NotFound, {"field": "witness"}, "absent"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_on_record_and_tell_nothing(city: Settings, keys: Keys, case: str) -> None:
    error, changes, verdict = REFUSED[case]
    with pytest.raises(error):
        ask(city, keys, person(city), **changes)  # type: ignore[arg-type]
    assert [(t[0], t[6]) for t in trail(city)] == [("reveal.refused", verdict)]


def test_foreign_and_absent_look_alike(city: Settings, keys: Keys) -> None:
    who = person(city)
    words = set()
    for object_id in ("2", "3"):
        with pytest.raises(NotFound) as caught:
            ask(city, keys, who, object_id=object_id, field="name")
        words.add(str(caught.value))
    assert len(words) == 1


@pytest.mark.parametrize("role", [r for r in a.ROLES.by_id if "person.reveal" not in a.ROLES.by_id[r].permissions])
def test_a_role_without_the_permission_is_refused_by_the_database(city: Settings, keys: Keys, role: str) -> None:
    scope = None if a.ROLES.by_id[role].administrator else "130529"
    who = dataclasses.replace(
        person(city, role, scope=scope), permissions=frozenset({"person.reveal"})
    )  # a gate that was fooled
    with pytest.raises(Forbidden):
        ask(city, keys, who)
    assert trail(city)[-1][6] == "forbidden"


def test_a_scope_that_ended_reveals_nothing(city: Settings, keys: Keys) -> None:
    who = person(city)
    with connect(city, role="owner") as conn:
        conn.execute(
            "UPDATE access.scope SET valid_to = greatest(valid_from, access.today()) WHERE account_id = %s",
            [who.account_id],
        )
    with pytest.raises(NotFound):
        ask(city, keys, who)


def test_a_day_has_a_limit_an_account(city: Settings, keys: Keys) -> None:
    few = dataclasses.replace(a.RULES, reveals_per_day=2)
    who = person(city)
    for _ in range(2):
        ask(city, keys, who, rules=few)
    with pytest.raises(TooManyRequests):
        ask(city, keys, who, rules=few)
    assert ask(city, keys, person(city, "village_cadre"), rules=few) == "13812345678"


def test_a_ciphertext_swapped_in_the_database_is_not_shown_as_somebody_elses(city: Settings, keys: Keys) -> None:
    with connect(city, role="owner") as conn:
        conn.execute("UPDATE personal.person SET phone_enc = id_number_enc WHERE person_id = 1")
    with pytest.raises(SetupProblem, match="不属于这一行"):
        ask(city, keys, person(city))


@pytest.mark.parametrize("canary", [v for row in PEOPLE.values() for v in row[:3] if v] + ["王大"])
def test_no_clear_value_is_stored_anywhere(city: Settings, keys: Keys, canary: str) -> None:
    ask(city, keys, person(city), field="name")
    with connect(city, role="owner") as conn:
        for table in ("personal.person", "personal.contractor", "access.audit", "onemap.household", "onemap.parcel"):
            row = conn.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t".encode()).fetchone()  # noqa: S608
            assert row is not None
            assert canary not in row[0]
            assert canary.encode().hex() not in row[0]


def test_the_web_sees_people_masked_and_of_its_scope_only(city: Settings, keys: Keys) -> None:
    who = person(city)
    with a.acting(city, who.account_id) as conn:
        seen = conn.execute("SELECT name_masked, id_number_masked, phone_masked FROM access.people_of(1)").fetchall()
        foreign = conn.execute("SELECT * FROM access.people_of(2)").fetchall()
        found = conn.execute(
            "SELECT person_id FROM access.person_by_key('phone', %s)", [keys.lookup("138 1234 5678", field="phone")]
        )
        assert found.fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT name_enc FROM personal.person")
    assert seen == [("张*明", "130529********1234", "138****5678")]
    assert foreign == []
    analyst = person(city, "analyst", scope="130529")
    with a.acting(city, analyst.account_id) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT * FROM access.people_of(1)")
