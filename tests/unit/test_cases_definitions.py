"""A process definition with a fault does not load, and every fault is named at once, in words, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis.access.roles import Roles
from gis.cases import machine
from gis.cases.catalogue import Processes, digest, read
from gis.cases.checking import Knowledge
from gis.errors import DefinitionError, NotFound
from gis.settings import ROOT
from tests.process_files import SUBSIDY, copy_of_data, process_text

DATA = ROOT / "data"
KNOWN = Knowledge.load(DATA)


def faults(tmp_path: Path, text: str, name: str = "incident") -> list[str]:
    path = tmp_path / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, KNOWN)[1]


def test_our_own_definitions_are_sound() -> None:
    processes = Processes.load(DATA)
    assert list(processes.current_by_id) == ["incident", "task"]
    assert [s.name for s in processes.current("task").state[:6]] == ["下达", "签收", "办理", "反馈", "核验", "销号"]
    five = [
        s.name
        for s in processes.current("incident").state
        if s.id in ("reported", "accepted", "assigned", "handling", "feedback")
    ]
    assert five == ["事件上报", "分类受理", "响应指定", "部门处置", "结果反馈"]
    with pytest.raises(NotFound, match="没有这种办件"):
        processes.current("nonsense")


# What is changed in the text of incident.toml (old, new), and what must be said about it.
FAULTS = [
    ('initial = "reported"', 'initial = "nowhere"', "initial：没有状态 nowhere"),
    ('to = "merged"', 'to = "gone"', "步骤 merge：没有状态 gone"),
    ('to = "archived"', 'to = "closed"', "状态 archived（归档）走不到"),
    ('id = "resume"\nname = "恢复办理"\nname_en = "Resume"\nsource = ["suspended"]\nto = "handling"',
     'id = "resume"\nname = "恢复办理"\nname_en = "Resume"\nsource = ["suspended"]', "状态 suspended（挂起）是死路"),
    ('{ permission = "incident.handle", level = ["village", "grid"] },', '{ permission = "incident.fly" },', "没有权限 incident.fly"),
    ('who = [{ permission = "incident.dispatch" }, { relation = "reporter" }]', 'who = [{ role = ["mayor"] }]', "步骤 urge：没有角色 mayor"),
    ('{ relation = "other_grid" }', '{ permission = "incident.dispatch", level = ["village"] }', "没有哪个角色同时满足"),
    ('{ relation = "other_grid" }', '{ relation = "place" }', "要同时写明角色或权限，否则谁都能办"),
    ('{ relation = "other_grid" }', '{ relation = "friend" }', "relation：只能是 'place', 'assignee'"),
    ('effects = ["callback.answer"]', 'effects = ["fly"]', "effects 第 1 项：只能是"),
    ('within = "4h"', 'within = "4 hours"', "状态 accepted 的 within：没有时限类别 4 hours"),
    ('calendar = "cn"', 'calendar = "mars"', "没有日历 data/calendars/mars.toml"),
    ('hours = "office"', 'hours = "night"', "里没有作息 night"),
    ('by = "item"', 'by = "fixed"\nfixed = "1h"', "时限类别 1h 是给单个步骤用的"),
    ('items = "incident_item"', 'items = "nothing_item"', "items：没有代码表 data/codelists/nothing_item.csv"),
    ('unless_class = ["same_day", "24h"]', 'unless_class = ["soon"]', "没有时限类别 soon"),
    ('words = "{case_no} 有补充说明：{note}"', "", "步骤 note：通知了人（notify），却没有话说（words）"),
    ('words = "{case_no} 有补充说明：{note}"', 'words = "{phone}"', "words 里不认识 {phone}"),
    ('id = "comment"', 'id = "rating"', "步骤 rate：字段 rating 写了两次"),
    ('id = "until"\nname = "预计恢复日期"\nname_en = "Expected until"\nkind = "date"',
     'id = "result"\nname = "预计恢复日期"\nname_en = "Expected until"\nkind = "date"', "与别处同名的字段类型不同"),
    ('kind = "case"\nrequired = true', 'kind = "text"\nrequired = true', "步骤 merge：merge 要靠填写的 into（case）"),
    ('effects = ["close", "end", "sample_callback"]\nnotify', 'effects = ["close", "sample_callback"]\nnotify', "步骤 confirm_silent：closed 是结束状态"),
    ('effects = ["reopen", "clock.start", "route"]', 'effects = ["clock.start", "route"]', "从已结束的 closed 再办，要有 reopen"),
    ('effects = ["reopen", "clock.start", "route"]', 'effects = ["reopen", "route"]', "步骤 reopen：closed → accepted 时钟从 stopped 变成 runs"),
    ('effects = ["clock.pause"]', "effects = []", "步骤 suspend：assigned → suspended 时钟从 runs 变成 paused"),
    ('effects = ["rate"]', 'effects = ["route"]', "closed 已经结束，这里只能重开、评价、回访或归档"),
    ('who = [{ relation = "reporter" }]\neffects = ["close"', 'who = [{ relation = "system" }]\neffects = ["close"', "却没有给上报人的认可步骤"),
    ('who = [{ relation = "reporter" }]\neffects = ["reopen", "clock.resume"]',
     'who = [{ relation = "assignee" }]\neffects = ["reopen", "clock.resume"]', "却没有给上报人的不认可步骤"),
    ('transition = "confirm_silent"', 'transition = "archive"', "上报人一直不答复就停在这里"),
    ('transition = "confirm_silent"', 'transition = "confirm"', 'automatic：步骤 confirm 的 who 里要有 { relation = "system" }'),
    ('transition = "escalate"', 'transition = "fly"', "escalation：没有步骤 fly"),
    ('id = "appeal"', 'id = "near"', "步骤 near 是保留的名字"),
    ('id = "appeal"', 'id = "accept"', "步骤 accept 写了两次"),
    ('fields = ["result", "reason_public"]', 'fields = ["result", "secret"]', "public.fields：没有字段 secret"),
    ('[callback]\nshare = 0.05\nwithin = "3wd"\n', "", "抽查回访（sample_callback）要有 [callback]"),
    ("max = 5\n\n[[transition]]\nid = \"refuse", "max = 50\n\n[[transition]]\nid = \"refuse", "extend_days 的 max 不能超过"),
    ('who_reports = [{ permission = "incident.report", relation = "reporter" }]',
     'who_reports = [{ permission = "incident.report" }]', "谁上报谁就是上报人"),
    ('prefix = "SJ"', 'prefix = "事件"', "prefix：写法不对"),
    ('process = "incident"', 'process = "event"', "与文件名不同"),
    ("version = 1", "version = 1\ncolour = 3", "colour：不认识这个字段"),
    ('name = "事件"', "name = 事件", "读不出来"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), FAULTS, ids=[f"{n:02d}" for n in range(len(FAULTS))])
def test_each_fault_is_found_where_it_is(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = process_text("incident")
    assert old in text, "the definition has changed: write this case anew"
    found = faults(tmp_path, text.replace(old, new, 1))
    assert any(said in fault for fault in found), found


def test_all_faults_at_once_each_with_its_file(tmp_path: Path) -> None:
    data = copy_of_data(
        tmp_path,
        incident=process_text("incident")
        .replace('calendar = "cn"', 'calendar = "mars"')
        .replace('within = "4h"', 'within = "x"'),
        subsidy=SUBSIDY.replace('prefix = "BT"', 'prefix = "RW"'),
        broken="name = ",
    )
    with pytest.raises(DefinitionError) as e:
        Processes.load(data)
    text = str(e.value)
    for said in (
        "data/processes/incident.toml deadline.calendar", "data/processes/incident.toml 状态 accepted",
        "编号前缀 RW 已由“补贴申请”使用", "data/processes/broken.toml 读不出来",
    ):  # fmt: skip
        assert said in text, text


def test_a_personal_answer_is_never_public(tmp_path: Path) -> None:
    text = SUBSIDY.replace('mask = "id_number"', 'mask = "id_number"\npublic = true')
    assert any("字段 id_number：个人信息不能公开" in f for f in faults(tmp_path, text, "subsidy"))
    text = SUBSIDY.replace('fields = ["kind", "decision"]', 'fields = ["kind", "id_number"]')
    assert any("public.fields：id_number 是个人信息" in f for f in faults(tmp_path, text, "subsidy"))


def test_the_digest_is_of_what_it_says_not_of_how_it_is_written(tmp_path: Path) -> None:
    data = copy_of_data(tmp_path, incident="# 另一个注释\n" + process_text("incident"))
    same = Processes.load(data).current("incident")
    assert digest(same) == digest(Processes.load(DATA).current("incident"))
    other = same.model_copy(update={"name": "别的"})
    assert digest(other) != digest(same)


def test_a_stranger_may_what_the_public_role_may() -> None:
    assert Roles.load(DATA).by_id["public"].permissions == machine.STRANGER
