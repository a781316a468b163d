"""Masking (脱敏): what may be shown of a name, an identity number or a phone. Pure text, nothing else."""

from __future__ import annotations

STAR = "*"
_ID_HEAD, _ID_TAIL = 6, 4  # region and check part: what 公示 lists commonly leave readable
_PHONE_HEAD, _PHONE_TAIL = 3, 4


def mask_name(name: str | None) -> str | None:
    """Mask a person's name (姓名): 张三 → 张*, 张小明 → 张*明, 欧阳娜娜 → 欧**娜; None or blank → None.

    One character is hidden whole: a single character is the whole name.
    """
    text = (name or "").strip()
    if not text:
        return None
    if len(text) == 1:
        return STAR
    if len(text) == 2:
        return text[0] + STAR
    return text[0] + STAR * (len(text) - 2) + text[-1]


def mask_id_number(number: str | None) -> str | None:
    """Mask an identity number (身份证号): 130529********1234; anything too short to keep both ends is hidden whole."""
    return _mask_middle(number, head=_ID_HEAD, tail=_ID_TAIL, shortest=15)


def mask_phone(phone: str | None) -> str | None:
    """Mask a phone number (电话): 138****5678; anything shorter than a mobile number is hidden whole."""
    return _mask_middle(phone, head=_PHONE_HEAD, tail=_PHONE_TAIL, shortest=11)


def _mask_middle(value: str | None, *, head: int, tail: int, shortest: int) -> str | None:
    text = (value or "").strip()
    if not text:
        return None
    if len(text) < shortest:
        return STAR * len(text)
    return text[:head] + STAR * (len(text) - head - tail) + text[-tail:]
