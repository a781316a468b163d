"""Open311 GeoReport v2: our process in its words (services, attributes, requests), and what of it anybody may read.

Source: GeoReport v2 and Service Discovery, https://wiki.open311.org/GeoReport_v2/ (frozen). Services are the process's items,
attributes its report form, statuses the `open311` of its states.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gis.access.principal import Principal
from gis.cases.catalogue import Processes
from gis.cases.deadline import DeadlineClass
from gis.cases.definition import FormField, State
from gis.cases.forms import options
from gis.cases.lists import Lists
from gis.clock import ZONE
from gis.divisions.naming import short_name
from gis.errors import DefinitionError, NotFound
from gis.store.pool import Pool
from gis.store.queries import load_queries

PROCESS = "incident"
MOST = 1000  # of one answer, as the specification has it
_FILE = "open311.toml"
_DATATYPES = {
    "text": "string", "longtext": "text", "number": "number", "money": "number", "rating": "number", "date": "datetime",
    "datetime": "datetime", "bool": "singlevaluelist", "choice": "singlevaluelist", "item": "singlevaluelist",
    "deadline_class": "singlevaluelist",
}  # fmt: skip
_YES_NO = {"true": "是", "false": "否"}


class _Days(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    value: int = Field(ge=1, le=3650)
    unit: Literal["days"]
    source: str


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    idle_days: _Days


class _Channel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    default: str
    by_login: dict[str, str] = {}


class Rules(BaseModel):
    """data/open311.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    changeset: str
    contact: str
    key_service: str
    key: _Key
    channel: _Channel
    shown: dict[str, Literal["point", "area", "village"]]

    @classmethod
    def load(cls, data: Path) -> Rules:
        """Read and check.

        Raises
        ------
        DefinitionError
            When it does not parse, misses something, or names an item or a channel that is not listed.
        """
        try:
            rules = cls.model_validate(tomllib.loads((data / _FILE).read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as e:
            raise DefinitionError(f"{_FILE} 读不了：{e}", next_step="改正后运行 ./onemap check。") from e
        lists = Lists(data)
        channels = {rules.channel.default, *rules.channel.by_login.values()}
        unknown = set(rules.shown) - set(lists.rows("incident_item")) | channels - set(lists.rows("incident_channel"))
        if unknown:
            raise DefinitionError(f"{_FILE} 里有代码表没有的代码：{sorted(unknown)}。", next_step="改正后再启动。")
        return rules

    def channel_of(self, login: str) -> str:
        """The channel a partner's reports are counted under."""
        return self.channel.by_login.get(login, self.channel.default)


@dataclass(frozen=True)
class Asked:
    """What a client wants to see; `numbers` overrides the rest. None: all."""

    since: datetime
    until: datetime
    numbers: tuple[str, ...] | None = None
    codes: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None


class Open311:
    """Answers in the words of GeoReport v2, as plain dicts and lists.

    Parameters
    ----------
    pool : Pool
        Role app; read through ``onemap.open311_requests`` only.
    """

    def __init__(self, pool: Pool, *, processes: Processes, rules: Rules) -> None:
        self._pool = pool
        self._processes = processes
        self.rules = rules
        self.process = processes.current(PROCESS)
        self._items = processes.lists.rows(self.process.items or "incident_item")
        self._states: dict[str, State] = {s.id: s for s in self.process.state}
        # A process that is not for the public's eyes shows nothing, whatever is written of its items.
        self._shown = dict(rules.shown) if self.process.public.board else {}

    def services(self) -> list[dict[str, Any]]:
        """GET services: one per item."""
        classes = self._processes.classes.by_code
        metadata = bool(self.process.report)
        return [
            {
                "service_code": code, "service_name": item["name"],
                "description": self._about(code, classes.get(item.get("deadline", ""))), "metadata": metadata,
                "type": "realtime", "keywords": ", ".join(filter(None, (item.get("category"), item.get("name_en")))),
                "group": item.get("category") or None,
            }
            for code, item in self._items.items()
        ]  # fmt: skip

    def _about(self, code: str, deadline: DeadlineClass | None) -> str:
        told = {
            "point": "公开列表里显示位置", "area": "公开列表里只显示约 100 米的范围", "village": "公开列表里只显示到村",
        }.get(self._shown.get(code, ""), "不在公开列表里显示，只有上报的对接系统能查到")  # fmt: skip
        return f"时限：{deadline.length if deadline else '见流程'}。{told}。"

    def known(self, code: str) -> dict[str, str]:
        """The item of a service code; `NotFound` when there is none."""
        try:
            return self._items[code]
        except KeyError:
            raise NotFound(f"没有 service_code {code[:20]}。", next_step="可用的见 services.json。") from None

    def definition(self, code: str) -> dict[str, Any]:
        """GET service definition: the process's report form; no attributes when it asks for nothing more."""
        self.known(code)
        return {
            "service_code": code,
            "attributes": [self._attribute(field, order) for order, field in enumerate(self.process.report, start=1)],
        }

    def _attribute(self, field: FormField, order: int) -> dict[str, Any]:
        datatype = _DATATYPES.get(field.kind, "string")
        named: dict[str, Any] = {
            "variable": True, "code": field.id, "datatype": datatype, "required": field.required,
            "datatype_description": field.unit or None, "order": order,
            "description": f"{field.name}：{field.hint}" if field.hint else field.name,
        }  # fmt: skip
        if datatype == "singlevaluelist":
            chosen = (
                _YES_NO
                if field.kind == "bool"
                else options(field, lists=self._processes.lists, items=self.process.items)
            )
            named["values"] = [{"key": key, "name": name} for key, name in chosen.items()]
        return named

    def requests(self, asked: Asked, *, partner: Principal | None = None) -> list[dict[str, Any]]:
        """GET requests, newest first, at most `MOST`: public columns, and a partner's own reports whatever their item."""
        states = None
        if asked.statuses is not None:
            states = [s.id for s in self.process.state if s.open311 in asked.statuses]
        for code in asked.codes or ():
            self.known(code)
        values = {
            "numbers": None if asked.numbers is None else list(asked.numbers), "states": states,
            "items": None if asked.codes is None else list(asked.codes), "since": asked.since, "until": asked.until,
            "shown": Jsonb(self._shown), "most": MOST,
        }  # fmt: skip
        with self._pool.reading(principal=partner, timeout_s=10) as conn:
            found = conn.execute(load_queries("open311")["requests"], values).fetchall()
        return [self._request(row) for row in found]

    def request(self, number: str, *, partner: Principal | None = None) -> list[dict[str, Any]]:
        """GET request: a list of one; what is not shown is not there."""
        at = datetime.now(ZONE)
        found = self.requests(Asked(at, at, numbers=(number,)), partner=partner)
        if not found:
            raise NotFound("没有这个 service_request_id，或它不公开。", next_step="核对编号。")
        return found

    def _request(self, row: dict[str, Any]) -> dict[str, Any]:
        state = self._states.get(row["state"])
        status = state.open311 if state else ("closed" if row["is_ended"] else "open")
        place = [
            short_name(row["village_name"], level=3) if row["village_name"] else None,
            row["township_name"],
        ]
        return {
            "service_request_id": row["case_no"], "status": status, "status_notes": self._notes(row, state),
            "service_name": self._items.get(row["item_code"], {}).get("name", row["item_code"]), "service_code": row["item_code"],
            "description": None, "agency_responsible": row["unit_name"], "service_notice": None,
            "requested_datetime": moment(row["reported_at"]), "updated_datetime": moment(row["updated_at"]),
            "expected_datetime": moment(row["due_at"]) if status == "open" else None,
            "address": "，".join(p for p in place if p) or None, "address_id": None, "zipcode": None,
            "lat": None if row["lat"] is None else float(row["lat"]), "long": None if row["lon"] is None else float(row["lon"]),
            "media_url": None,
        }  # fmt: skip

    def _notes(self, row: dict[str, Any], state: State | None) -> str | None:
        """The state in the public's words, and the public answers of the step that led to it: a reason chosen from a list."""
        if state is None:
            return None
        said = [state.public_name]
        led = {f.id: f for t in self.process.transition if t.to == state.id for f in t.form if f.public}
        published = set(self.process.public.fields) & set(led)
        if "reason_public" in published and (reason := led["reason_public"].options.get(row["reason"] or "")):
            said.append(reason)
        if "result" in self.process.public.fields and row["result"] and (state.ends or "result" in led):
            said.append(row["result"])
        return "：".join(said)


def moment(at: datetime | None) -> str | None:
    """A moment as W3C writes it, in the county's zone, to the second."""
    return None if at is None else at.astimezone(ZONE).isoformat(timespec="seconds")


def filled(names: Sequence[str]) -> tuple[str, ...] | None:
    """What is left of a list of values, each perhaps of several with commas between; None when nothing is."""
    kept = tuple(dict.fromkeys(part for one in names for part in (p.strip() for p in one.split(",")) if part))
    return kept or None
