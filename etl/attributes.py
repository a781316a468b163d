"""Attributes of a batch: fields found, values checked and turned into ours. Pure: arrays in, arrays and faults out."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from etl.encoding import garbled
from etl.fault import Fault, Faults
from etl.mapping import FieldRule, Mapping
from etl.reading import Batch
from etl.sealing import PERSONAL, has_words
from gis.access.masking import mask_name
from gis.errors import BadInput

_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+")
_DECIMAL = re.compile(r"([0-9]+)\.0+")
_WHOLE_FLOAT = 2**53  # past it a float no longer holds every whole number
_Converted = tuple[object, Fault | None]


def locate(columns: list[str], mapping: Mapping) -> dict[str, list[str]]:
    """Columns of the file for each field of ours, in order of preference; a field nobody delivers is absent.

    Raises
    ------
    BadInput
        When a required field has no column.
    """
    by_name = {c.lower(): c for c in columns}
    found = {}
    for field, rule in mapping.fields.items():
        present = [by_name[n.lower()] for n in rule.names if n.lower() in by_name]
        if present:
            found[field] = present
        elif (rule.required or field == mapping.key) and rule.generate is None:
            raise BadInput(
                f"文件里没有{'主键' if field == mapping.key else '必填'}字段 {' / '.join(rule.names)}。现有字段：{'、'.join(columns[:30]) or '无'}。",
                next_step=f"换一个字段对应（--mapping），或在 data/imports/{mapping.name}.toml 里补上字段名。",
            )
    return found


def convert(
    batch: Batch, *, mapping: Mapping, located: dict[str, list[str]], faults: Faults
) -> dict[str, NDArray[np.object_]]:
    """Turn a batch's values into ours; each distinct value is looked at once.

    Returns
    -------
    dict of str to ndarray of object, shape (n,)
        Every field of the mapping; None where unknown.
    """
    result = {}
    for field, rule in mapping.fields.items():
        values = _coalesce(batch, located.get(field, []))
        turn = _converter(field, rule, mapping, column=(located.get(field) or [field])[0])
        seen: dict[object, _Converted] = {}
        out = np.full(len(batch), None, dtype=object)
        for i, value in enumerate(values):
            key = (value, type(value))
            if key not in seen:
                seen[key] = turn(value)
            out[i], fault = seen[key]
            if fault is not None:
                faults.add(i, *fault)
        result[field] = out
    return result


def _coalesce(batch: Batch, columns: list[str]) -> list[object]:
    """The first column's value, or the next one's where it is empty."""
    if not columns:
        return [None] * len(batch)
    values = batch.values[columns[0]].tolist()
    for column in columns[1:]:
        more = batch.values[column].tolist()
        values = [v if _text(v) is not None else m for v, m in zip(values, more, strict=True)]
    return values


def _text(value: object) -> str | None:
    """Text of a value without padding; None for nothing."""
    if value is None:
        return None
    text = str(value).replace("\0", "").strip(" \t\r\n\u3000")
    return text or None


def _converter(field: str, rule: FieldRule, mapping: Mapping, *, column: str) -> Callable[[object], _Converted]:
    def turn(value: object) -> _Converted:
        text = _text(value)
        if text is None:
            if rule.required and rule.generate is None:
                return None, Fault("code_missing", f"{column} 是空的")
            return None, None
        if garbled(text):
            return None, Fault("garbled_text", f"{column} 的文字{_quoted(text[:20], field, mapping)}是乱码")
        if field in PERSONAL and "*" in text:
            # Loaded, the mask would be taken for the name.
            return None, Fault("masked_value", f"{column} 是脱敏过的，不能当作原文入库")
        if rule.kind == "code":
            return _code(value, text, rule, column)
        if rule.kind == "choice":
            return _choice(value, text, mapping.choices[field], column)
        if rule.kind == "tags":
            return _tags(text, mapping.choices[field], column)
        if rule.kind == "flag":
            return _flag(value, text, rule, column)
        if rule.kind in ("number", "integer"):
            return _number(text, rule, column)
        if rule.pattern is not None and not re.fullmatch(rule.pattern, text):
            return None, Fault("code_malformed", f"{column}{_quoted(text[:40], field, mapping)}格式不对")
        return text, None

    return turn


def _quoted(text: str, field: str, mapping: Mapping) -> str:
    """A value as a reason may say it: reasons are kept in the store in clear, so nothing of a person's is quoted."""
    free = mapping.fields[field].kind == "text" and mapping.subject == "parcels"
    return "（内容不显示）" if field in PERSONAL or free else f"“{text}”"


def _masked(text: str) -> str:
    """A code or number that has words in it may be a name out of a shifted column."""
    return (mask_name(text) or "") if has_words(text) else text


def _code(value: object, text: str, rule: FieldRule, column: str) -> _Converted:
    if isinstance(value, float):
        if abs(value) >= _WHOLE_FLOAT or not value.is_integer():
            return None, Fault("code_number", f"{column} 被存成了小数 {value!r}，末几位已经丢失，请以文本重新导出")
        text = str(int(value))
    elif _SCIENTIFIC.fullmatch(text):
        return None, Fault(
            "code_number", f"{column}“{text}”是科学计数法，末几位已经丢失（Excel 打开后另存所致），请以文本重新导出"
        )
    elif match := _DECIMAL.fullmatch(text):
        return None, Fault("code_number", f"{column}“{text}”带小数点，是按数字保存的，请以文本 {match[1]} 重新导出")
    if rule.digits is not None:
        if len(text) == rule.digits and text.isascii() and text.isdigit():
            return text, None
        if text.isascii() and text.isdigit() and 0 < rule.digits - len(text) <= 2:
            return None, Fault(
                "lost_zeros", f"{column}“{text}”只有 {len(text)} 位，应为 {rule.digits} 位，可能丢了前导 0"
            )
        return None, Fault("code_malformed", f"{column}“{_masked(text[:40])}”应为 {rule.digits} 位数字")
    if rule.pattern is not None and not re.fullmatch(rule.pattern, text):
        return None, Fault("code_malformed", f"{column}“{_masked(text[:40])}”格式不对")
    return text, None


def _plain(value: object, text: str) -> str:
    """A number that stands for a code, without its decimals: 12.0 → 12."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT:
        return str(int(value))
    match = _DECIMAL.fullmatch(text)
    return match[1] if match else text


def _choice(value: object, text: str, choices: dict[str, str], column: str) -> _Converted:
    text = _plain(value, text)
    if text in choices:
        return choices[text], None
    padded = next((c for c in choices if c.isdigit() and c.startswith("0") and c.lstrip("0") == text.lstrip("0")), None)
    if padded is not None and text.isdigit():
        return None, Fault("lost_zeros", f"{column}“{text}”可能丢了前导 0，应为 {padded}")
    some = "、".join(list(choices)[:8])
    return None, Fault(
        "value_not_listed", f"{column}“{text[:20]}”不在代码表里（{some}{' …' if len(choices) > 8 else ''}）"
    )


def _tags(text: str, choices: dict[str, str], column: str) -> _Converted:
    parts = [p.strip() for p in re.split(r"[;；,，、|\s]+", text) if p.strip()]
    unknown = [p for p in parts if p not in choices]
    if unknown:
        return None, Fault("value_not_listed", f"{column}“{'、'.join(unknown[:3])}”不在代码表里")
    return tuple(dict.fromkeys(choices[p] for p in parts)), None


def _flag(value: object, text: str, rule: FieldRule, column: str) -> _Converted:
    text = _plain(value, text)
    if text in rule.yes:
        return True, None
    if text in rule.no:
        return False, None
    return None, Fault(
        "value_not_listed", f"{column}“{_masked(text[:20])}”应为 {'/'.join(rule.yes)}（是）或 {'/'.join(rule.no)}（否）"
    )


def _number(text: str, rule: FieldRule, column: str) -> _Converted:
    try:
        number = float(text)
    except ValueError:
        return None, Fault("value_not_number", f"{column}“{_masked(text[:20])}”不是数字")
    if not np.isfinite(number):
        return None, Fault("value_not_number", f"{column}“{_masked(text[:20])}”不是有限的数")
    if rule.minimum is not None and number < rule.minimum:
        return None, Fault("value_not_number", f"{column} {text[:20]} 小于 {rule.minimum:g}")
    if rule.kind == "integer":
        if not number.is_integer() or abs(number) >= 2**31:
            return None, Fault("value_not_number", f"{column} {text[:20]} 不是整数")
        return int(number), None
    return number, None
