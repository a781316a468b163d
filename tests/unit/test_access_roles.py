"""data/roles.toml and data/rules/access.toml: what they say, and that faults in them do not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis.access.principal import Principal
from gis.access.roles import ADMINISTRATORS, Roles
from gis.access.rules import AccessRules
from gis.errors import DefinitionError
from gis.settings import ROOT

TEXT = (ROOT / "data" / "roles.toml").read_text(encoding="utf-8")
RULES = (ROOT / "data" / "rules" / "access.toml").read_text(encoding="utf-8")
AGREED = {"commander", "planner", "village_cadre", "grid_member", "handler", "dispatcher", "analyst", "data_officer",
          "system_admin", "security_admin", "audit_admin", "wall", "public", "partner"}  # fmt: skip


def test_the_agreed_roles_are_there() -> None:
    roles = Roles.load(ROOT / "data")
    assert set(roles.by_id) == AGREED
    assert all(sentence for sentence in roles.sentences.values())


def test_county_and_administrator_roles_need_a_second_factor() -> None:
    roles = Roles.load(ROOT / "data")
    needing = {r.id for r in roles.by_id.values() if r.second_factor}
    assert needing == {r.id for r in roles.by_id.values() if r.level == "county" or r.administrator} - {
        "wall",
        "partner",
    }


def test_the_wall_only_looks_and_the_public_sees_nothing() -> None:
    roles = Roles.load(ROOT / "data")
    assert all(p.endswith((".view", ".count")) for p in roles.by_id["wall"].permissions)
    assert "household.view" not in roles.by_id["wall"].permissions
    assert roles.by_id["public"].permissions == {"incident.report"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('permissions = ["audit.read"]', 'permissions = ["audit.read", "household.view"]', "audit_admin 是三员之一"),
        ('permissions = ["audit.read"]', 'permissions = ["audit.read", "account.manage"]', "account.manage 应当只属于"),
        ('permissions = ["incident.report"]', 'permissions = ["incident.report", "audit.read"]', "public 不是三员"),
        ('permissions = ["incident.report"]', 'permissions = ["incident.reprot"]', "incident.reprot 没有定义"),
        ('permissions = ["incident.report"]', 'permissions = ["incident.report", "incident.report"]', "重复"),
        ('level = "grid"', 'level = "street"', "level 不对"),
        ('name = "公众"\n', "", "缺中文名"),
        ('name = "公众"\n', 'name = "公众"\nrights = 1\n', "不认识的字段 rights"),
        ('[roles.public]', '[roles.public]\nadministrator = true', "与三员不符"),
        ('"admin.system" = ', '"nobody.uses" = "x"\n"admin.system" = ', "没有角色使用权限 nobody.uses"),
        ("[roles.audit_admin]", "[roles.auditor]", "缺少角色 audit_admin"),
        ("[permissions]", "[permissions", "读不出来"),
    ],
)  # fmt: skip
def test_a_fault_in_the_roles_does_not_load(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TEXT
    (tmp_path / "roles.toml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words):
        Roles.load(tmp_path)


def test_all_three_administrators_are_defined_and_share_nothing() -> None:
    roles = Roles.load(ROOT / "data")
    held = [roles.by_id[a].permissions for a in ADMINISTRATORS]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value = 19456", "value = 0", "memory_kib 的值不对"),
        ("value = 10,", "value = 200,", r"\[password\] 的长度"),
        ('idle_min = { value = 30, unit = "min"', "idle_min = { value = 30", "idle_min 要有"),
        ("idle_field_min = { value = 720", "idle_field_min = { value = 721", "idle_field_min ≤ absolute_h 不成立"),
        ("idle_field_min = { value = 720", "idle_field_min = { value = 29", "idle_min ≤ idle_field_min"),
        ("0, 0, 0, 0, 30, 60, 120, 300, 600, 900]", "0, 0, 30, 10]", "pair_steps_s 应为由小到大"),
        ("300, 600, 900]", "300, 600, 90000]", "最长 3600"),
        ("[reveal]", "[reveals]", "shown_s"),
    ],
)
def test_a_fault_in_the_rules_does_not_load(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in RULES
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "access.toml").write_text(RULES.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words):
        AccessRules.load(tmp_path)


def person(role: str, scope: tuple[str, ...]) -> Principal:
    return Principal(1, "a", "甲", role, role, scope, frozenset({"map.view"}))


def test_the_scope_key_is_shared_by_equal_role_and_scope_only() -> None:
    one = person("planner", ("130529200", "130529100"))
    assert one.scope_key == person("planner", ("130529100", "130529200")).scope_key
    others = [person("analyst", one.scope), person("planner", ("130529200",)), person("planner", ())]
    assert len({one.scope_key, *(o.scope_key for o in others)}) == 4
    assert one.may("map.view")
    assert not one.may("audit.read")
    assert one.roles == ("planner",)
