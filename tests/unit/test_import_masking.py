"""What may be shown of a name, an identity number, a phone."""

from __future__ import annotations

import pytest

from gis.access.masking import mask_id_number, mask_name, mask_phone


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("张三", "张*"),
        ("张小明", "张*明"),
        ("欧阳娜娜", "欧**娜"),
        ("张", "*"),
        (" 张三 ", "张*"),
        ("", None),
        (None, None),
        ("买买提·艾力", "买****力"),
    ],
)
def test_names(name: str | None, shown: str | None) -> None:
    assert mask_name(name) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [("130529199001011234", "130529********1234"), ("13052919900101", "*" * 14), (None, None)]
)
def test_id_numbers(number: str | None, shown: str | None) -> None:
    assert mask_id_number(number) == shown


@pytest.mark.parametrize(("phone", "shown"), [("13812345678", "138****5678"), ("4321234", "*******"), ("", None)])
def test_phones(phone: str | None, shown: str | None) -> None:
    assert mask_phone(phone) == shown
