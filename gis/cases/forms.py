"""Answers (填写的内容) of a form: checked against its fields, brought into one shape, personal ones set apart. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gis.access.masking import mask_id_number, mask_name, mask_phone
from gis.cases import place
from gis.cases.definition import FormField
from gis.cases.lists import Lists
from gis.clock import ZONE
from gis.codelists import codelist
from gis.errors import BadInput, BadRequest

Secrets = dict[str, tuple[str, str]]
_CASE_NO = re.compile(r"^[A-Z]{2}[0-9]{8,16}$")
_UNIT = re.compile(r"^[A-Za-z0-9_.-]{1,40}$")
_MOST_MONEY = Decimal(10) ** 12
_RATINGS = {"1": "很不满意", "2": "不满意", "3": "一般", "4": "满意", "5": "很满意"}
_TRUE = {"true": True, "1": True, "on": True, "是": True, "false": False, "0": False, "off": False, "否": False}


class FaultyAnswers(BadRequest):
    """填写有误: every fault at once.

    Attributes
    ----------
    faults : sentence by field id; ``note`` and ``photos`` for what a step wants beside its form.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("；".join(faults.values()) + "。", next_step="改好标出的几项再提交。")
        self.faults = dict(faults)


def validate(
    form: Sequence[FormField], answers: Mapping[str, Any], *, lists: Lists | None = None, items: str | None = None
) -> tuple[dict[str, Any], Secrets]:
    """Check answers and bring them into the shape they are kept in.

    Parameters
    ----------
    lists : code lists to choose from; None: this installation's.
    items : the process's own list, for fields of kind ``item``.

    Returns
    -------
    answers : by field, JSON values; fields not answered are absent.
    secrets : personal answers, (clear, masked) by field; to be sealed and kept apart.

    Raises
    ------
    FaultyAnswers
        With every fault.
    """
    kept, secrets, faults = sorted_out(form, answers, lists=lists, items=items)
    if faults:
        raise FaultyAnswers(faults)
    return kept, secrets


def sorted_out(
    form: Sequence[FormField], answers: Mapping[str, Any], *, lists: Lists | None = None, items: str | None = None
) -> tuple[dict[str, Any], Secrets, dict[str, str]]:
    """Like `validate`, with the faults returned."""
    kept: dict[str, Any] = {}
    secrets: Secrets = {}
    known = {field.id for field in form}
    faults = {str(name)[:40]: f"没有“{str(name)[:40]}”这一项" for name in answers if name not in known}
    for field in form:
        given = answers.get(field.id)
        if given is None or (isinstance(given, str) and not given.strip()) or given == []:
            if field.required:
                faults[field.id] = f"请填写“{field.name}”"
            continue
        try:
            value = _SHAPES[field.kind](given, field, _Lists(lists, items))
        except _Wrong as e:
            faults[field.id] = f"“{field.name}”{e}"
            continue
        except (BadRequest, BadInput) as e:
            faults[field.id] = f"“{field.name}”{e.message.rstrip('。')}"
            continue
        if field.personal:
            secrets[field.id] = (value, masked(value, field.mask))
        else:
            kept[field.id] = value
    return kept, secrets, faults


def options(field: FormField, *, lists: Lists | None = None, items: str | None = None) -> dict[str, str]:
    """What a field may be chosen from: names by code; empty for fields that are not chosen (or too long to list: units)."""
    known = _Lists(lists, items)
    if field.kind == "choice":
        return dict(field.options) if field.options else known.names(field.codelist or "")
    if field.kind == "item":
        return known.names(items or "")
    if field.kind == "deadline_class":
        return known.classes()
    return dict(_RATINGS) if field.kind == "rating" else {}


def described(field: FormField, *, lists: Lists | None = None, items: str | None = None) -> dict[str, Any]:
    """A field as a page or a phone needs it to draw its control: JSON values, choices filled in."""
    return field.model_dump() | {"options": options(field, lists=lists, items=items)}


def shown(
    field: FormField, value: Any, *, lists: Lists | None = None, items: str | None = None, names: Mapping[str, str] | None = None
) -> str:  # fmt: skip
    """An answer in words, for the history: names instead of codes, units behind numbers.

    Parameters
    ----------
    names : of units and people by code and number; what is not among them is shown as it is kept.
    """
    if value is None:
        return "无数据"
    if field.kind == "bool":
        return "是" if value else "否"
    if field.kind in ("choice", "item", "deadline_class", "rating"):
        return options(field, lists=lists, items=items).get(str(value), str(value))
    if field.kind in ("unit", "person"):
        return (names or {}).get(str(value), str(value))
    if field.kind in ("number", "money"):
        return f"{value} {field.unit}" if field.unit else f"{value} 元" if field.kind == "money" else str(value)
    if field.kind == "point":
        return f"{value['lonlat'][0]:.5f}，{value['lonlat'][1]:.5f}"
    return "已画范围" if field.kind == "extent" else str(value)


def masked(value: str, way: str) -> str:
    """A personal answer as it may be shown."""
    ways: dict[str, Callable[[str], str | None]] = {"name": mask_name, "phone": mask_phone, "id_number": mask_id_number}
    return ways[way](value) or "***" if way in ways else "***"


class _Wrong(Exception):
    """What is wrong with one answer."""


class _Lists:
    def __init__(self, lists: Lists | None, items: str | None) -> None:
        self.lists, self.items = lists, items

    def rows(self, name: str) -> Mapping[str, Mapping[str, str]]:
        return self.lists.rows(name) if self.lists else codelist(name)

    def names(self, name: str) -> dict[str, str]:
        return {code: row.get("name") or code for code, row in self.rows(name).items()} if name else {}

    def classes(self) -> dict[str, str]:
        return {c: row["name"] for c, row in self.rows("deadline_class").items() if row.get("use") == "case"}


def _text(given: Any, field: FormField, _: _Lists) -> str:
    if not isinstance(given, str):
        raise _Wrong("要是文字")
    lines = unicodedata.normalize("NFC", given).replace("\r\n", "\n").replace("\r", "\n")
    if field.kind == "text":
        lines = " ".join(lines.split())
    # Control characters and those that turn the reading direction: nobody types them, and NUL breaks the store.
    text = "".join(c for c in lines if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()
    if not text:
        raise _Wrong("是空的")
    if len(text) > field.max_length:
        raise _Wrong(f"最多 {field.max_length} 字，现在 {len(text)} 字")
    return text


def _number(given: Any, field: FormField, _: _Lists) -> int | float:
    value = _decimal(given)
    if field.whole and value != value.to_integral_value():
        raise _Wrong("要是整数")
    _in_range(value, field)
    return int(value) if value == value.to_integral_value() else float(value)


def _money(given: Any, field: FormField, _: _Lists) -> str:
    value = _decimal(given)
    if value != value.quantize(Decimal("0.01")) or not 0 <= value <= _MOST_MONEY:
        raise _Wrong("要是不小于 0 的金额，最多两位小数")
    _in_range(value, field)
    return str(value.quantize(Decimal("0.01")))


def _decimal(given: Any) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)) or len(str(given)) > 40:
        raise _Wrong("要是数字")
    try:
        value = Decimal(unicodedata.normalize("NFKC", str(given)).strip())
    except InvalidOperation:
        raise _Wrong("要是数字") from None
    if not value.is_finite() or abs(value) > Decimal(10) ** 15:
        raise _Wrong("要是数字")
    return value


def _in_range(value: Decimal, field: FormField) -> None:
    unit = f" {field.unit}" if field.unit else ""
    if field.min is not None and value < Decimal(str(field.min)):
        raise _Wrong(f"不能小于 {field.min:g}{unit}")
    if field.max is not None and value > Decimal(str(field.max)):
        raise _Wrong(f"不能大于 {field.max:g}{unit}")


def _bool(given: Any, _: FormField, __: _Lists) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, (str, int)) and str(given).strip().lower() in _TRUE:
        return _TRUE[str(given).strip().lower()]
    raise _Wrong("只能是“是”或“否”")


def _date(given: Any, _: FormField, __: _Lists) -> str:
    try:
        day = date.fromisoformat(str(given).strip())
    except ValueError:
        raise _Wrong("不是日期，要写成 2026-11-22") from None
    if not 1900 <= day.year <= 2100:
        raise _Wrong("的年份不对")
    return day.isoformat()


def _datetime(given: Any, _: FormField, __: _Lists) -> str:
    try:
        at = datetime.fromisoformat(str(given).strip())
    except ValueError:
        raise _Wrong("不是时间，要写成 2026-11-22 10:42") from None
    if not 1900 <= at.year <= 2100:
        raise _Wrong("的年份不对")
    # A control of a page says local time and no zone.
    return (at.replace(tzinfo=ZONE) if at.tzinfo is None else at.astimezone(ZONE)).isoformat()


def _chosen(given: Any, field: FormField, lists: _Lists) -> str:
    code = str(given).strip() if isinstance(given, (str, int)) and not isinstance(given, bool) else ""
    allowed = options(field, lists=lists.lists, items=lists.items)
    if code not in allowed:
        raise _Wrong("不在可选的范围里")
    return code


def _rating(given: Any, _: FormField, __: _Lists) -> int:
    if isinstance(given, (int, str)) and not isinstance(given, bool) and str(given).strip() in _RATINGS:
        return int(given)
    raise _Wrong("要是 1 到 5")


def _person(given: Any, _: FormField, __: _Lists) -> int:
    text = str(given).strip() if isinstance(given, (int, str)) and not isinstance(given, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise _Wrong("要从名单里选")
    return int(text)


def _unit(given: Any, _: FormField, __: _Lists) -> str:
    if not isinstance(given, str) or not _UNIT.match(given.strip()):
        raise _Wrong("要从名单里选")
    return given.strip()


def _case(given: Any, _: FormField, __: _Lists) -> str:
    number = unicodedata.normalize("NFKC", given).strip().upper() if isinstance(given, str) else ""
    if not _CASE_NO.match(number):
        raise _Wrong("不是办件编号，要写成 SJ2026112200017")
    return number


def _point(given: Any, _: FormField, __: _Lists) -> dict[str, Any]:
    if not isinstance(given, Mapping) or given.get("lonlat") is None:
        raise _Wrong("要给出 lonlat（经度、纬度）和 source_crs（坐标系）")
    crs = given.get("source_crs")
    found = place.position(given["lonlat"], crs if isinstance(crs, str) else None)
    assert found is not None
    return {"lonlat": [found.lon, found.lat], "source_crs": found.source_crs}


def _extent(given: Any, _: FormField, __: _Lists) -> dict[str, Any]:
    place.extent(given)
    return {"type": given["type"], "coordinates": given["coordinates"]}


_SHAPES: dict[str, Callable[[Any, FormField, _Lists], Any]] = {
    "text": _text, "longtext": _text, "number": _number, "money": _money, "bool": _bool, "date": _date, "datetime": _datetime,
    "choice": _chosen, "item": _chosen, "deadline_class": _chosen, "rating": _rating, "person": _person, "unit": _unit,
    "case": _case, "point": _point, "extent": _extent,
}  # fmt: skip
