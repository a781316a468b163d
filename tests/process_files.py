"""Data folders with definitions of a test's own: a copy of data/ where one process is added or changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from gis.settings import ROOT

# A process nobody wrote a line of Python for: an allowance is applied for, examined, posted and paid. It has what incidents
# do not: personal answers, money, a choice, a fixed class, a post of its own in the state list.
SUBSIDY = """
process = "subsidy"
version = 1
name = "补贴申请"
name_en = "Allowance"
prefix = "BT"
source = "试验"
initial = "applied"
who_reports = [{ permission = "incident.report", relation = "reporter" }]
needs_place = false

[[report]]
id = "kind"
name = "补贴种类"
name_en = "Kind"
kind = "choice"
required = true
public = true
options = { seed = "良种补贴", machine = "农机购置补贴" }

[[report]]
id = "amount"
name = "申请金额"
name_en = "Amount"
kind = "money"
required = true
max = 50000

[[report]]
id = "id_number"
name = "身份证号"
name_en = "ID number"
kind = "text"
personal = true
mask = "id_number"

[deadline]
calendar = "cn"
began = "受理"
by = "fixed"
fixed = "7wd"
at_risk_share = 0.8
longest_pause_days = 10
longest_extension_days = 0
extensions = 0

[public]
fields = ["kind", "decision"]

[[state]]
id = "applied"
name = "申请"
name_en = "Applied"
step = 1
clock = "waits"
public_name = "已提交"
open311 = "open"

[[state]]
id = "examining"
name = "审核"
name_en = "Examining"
step = 2
clock = "runs"
public_name = "审核中"
open311 = "open"

[[state]]
id = "paid"
name = "发放"
name_en = "Paid"
step = 3
clock = "stopped"
ends = true
public_name = "已发放"
open311 = "closed"

[[state]]
id = "refused"
name = "不予发放"
name_en = "Refused"
step = 3
clock = "stopped"
ends = true
public_name = "不予发放"
open311 = "closed"

[[transition]]
id = "examine"
name = "受理审核"
name_en = "Examine"
source = ["applied"]
to = "examining"
who = [{ permission = "incident.dispatch", level = ["township"] }]
effects = ["accept", "clock.start", "take"]
notify = ["reporter"]
words = "{case_no} 已受理，{due} 前办结。"
public = true

[[transition]]
id = "pay"
name = "发放"
name_en = "Pay"
source = ["examining"]
to = "paid"
who = [{ relation = "assignee" }]
evidence = [{ stage = "evidence", at_least = 1 }]
effects = ["clock.stop", "close", "end"]
public = true
tone = "main"

[[transition.form]]
id = "paid_amount"
name = "实发金额"
name_en = "Paid amount"
kind = "money"
required = true

[[transition]]
id = "refuse"
name = "不予发放"
name_en = "Refuse"
source = ["applied", "examining"]
to = "refused"
who = [{ permission = "incident.dispatch", level = ["township"] }]
effects = ["clock.stop", "end"]
reason = true
notify = ["reporter"]
words = "{case_no}：{note}"
public = true
tone = "danger"

[[transition.form]]
id = "decision"
name = "理由"
name_en = "Ground"
kind = "choice"
required = true
public = true
options = { not_entitled = "不符合条件", papers = "材料不全" }
"""


def copy_of_data(folder: Path, **files: str) -> Path:
    """Copy what definitions stand on into `folder`/data; `files`: text of processes/NAME.toml, added or put in place."""
    data = folder / "data"
    for part in ("access", "calendars", "codelists", "processes"):
        shutil.copytree(ROOT / "data" / part, data / part)
    shutil.copy(ROOT / "data" / "roles.toml", data / "roles.toml")
    for name, text in files.items():
        (data / "processes" / f"{name}.toml").write_text(text, encoding="utf-8")
    return data


def process_text(name: str) -> str:
    """Text of one of our own definitions."""
    return (ROOT / "data" / "processes" / f"{name}.toml").read_text(encoding="utf-8")
