"""Encryption of personal fields: what cannot be read, moved, cut or guessed, and what rotation keeps."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.access.crypt import Keys, key_file, load_keys, make_keys, retire, rotate
from gis.errors import SetupProblem
from gis.settings import Settings

KEYS = Keys(lookup=bytes(range(32)), masters={b"\0\0\0\1": b"k" * 32})
PLACE = {"table": "personal.person", "row": 7, "field": "phone"}


@given(st.text())
def test_what_is_encrypted_comes_back(text: str) -> None:
    assert KEYS.decrypt(KEYS.encrypt(text, **PLACE), **PLACE) == text


def test_the_same_value_is_encrypted_differently_each_time_and_does_not_show() -> None:
    a, b = KEYS.encrypt("13812345678", **PLACE), KEYS.encrypt("13812345678", **PLACE)
    assert a != b
    assert b"13812345678" not in a + b


@pytest.mark.parametrize("moved", [{"row": 8}, {"field": "id_number"}, {"table": "personal.contractor"}, {"row": "70"}])
def test_a_ciphertext_moved_to_another_place_fails(moved: dict[str, object]) -> None:
    sealed = KEYS.encrypt("13812345678", **PLACE)
    with pytest.raises(SetupProblem, match="不属于这一行"):
        KEYS.decrypt(sealed, **(PLACE | moved))


def test_table_and_field_cannot_run_into_each_other() -> None:
    sealed = KEYS.encrypt("x", table="a", field="bc", row="1")
    for place in ({"table": "ab", "field": "c", "row": "1"}, {"table": "a", "field": "b", "row": "c1"}):
        with pytest.raises(SetupProblem):
            KEYS.decrypt(sealed, **place)


def test_every_flipped_byte_is_found() -> None:
    sealed = KEYS.encrypt("张小明", **PLACE)
    for i in range(len(sealed)):
        with pytest.raises(SetupProblem):
            KEYS.decrypt(sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :], **PLACE)
    for cut in (b"", sealed[:-1], sealed[:16], sealed + b"x"):
        with pytest.raises(SetupProblem):
            KEYS.decrypt(cut, **PLACE)


def test_a_column_keeps_its_unknowns_and_its_order() -> None:
    sealed = KEYS.encrypt_many(["a", None, "c"], table="t", rows=[1, 2, 3], field="f")
    assert sealed[1] is None
    assert [KEYS.decrypt(s, table="t", row=r, field="f") for s, r in zip(sealed, [1, 2, 3], strict=True) if s] == [
        "a",
        "c",
    ]
    with pytest.raises(ValueError, match=r"shorter|longer"):
        KEYS.encrypt_many(["a", "b"], table="t", rows=[1], field="f")


def test_a_column_never_uses_a_nonce_twice() -> None:
    sealed = KEYS.encrypt_many(["a"] * 5000, table="t", rows=range(5000), field="f")
    assert len({s[5:17] for s in sealed if s}) == 5000


def test_lookups_match_the_same_number_only() -> None:
    one = KEYS.lookup("13052919900101123x", field="id_number")
    assert one == KEYS.lookup(" 130529 19900101 123X ", field="id_number")
    assert one != KEYS.lookup("130529199001011231", field="id_number")
    assert one != KEYS.lookup("13052919900101123x", field="phone")
    assert one != Keys(lookup=b"o" * 32, masters={b"\0\0\0\1": b"k" * 32}).lookup(
        "13052919900101123x", field="id_number"
    )
    assert KEYS.lookup(None, field="phone") is None
    assert one is not None
    assert len(one) == 16


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path)


def test_the_key_file_is_made_once_for_its_owner_only(settings: Settings) -> None:
    sealed = make_keys(settings).encrypt("甲", **PLACE)
    path = key_file(settings)
    assert path == settings.var / "keys" / "personal.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert make_keys(settings).decrypt(sealed, **PLACE) == "甲"
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["personal.key"]


def test_a_key_file_others_can_read_is_refused(settings: Settings) -> None:
    make_keys(settings)
    os.chmod(key_file(settings), 0o640)
    with pytest.raises(SetupProblem, match="别人也能读"):
        load_keys(settings)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"lookup": "AA==", "keys": {}}', '{"lookup": 1, "keys": {"00000001": "x"}}']
)
def test_a_broken_key_file_is_never_replaced(settings: Settings, content: str) -> None:
    make_keys(settings)
    key_file(settings).write_text(content)
    with pytest.raises(SetupProblem, match="密钥文件"):
        make_keys(settings)
    assert key_file(settings).read_text() == content


def test_a_missing_key_file_is_said(settings: Settings) -> None:
    with pytest.raises(SetupProblem, match="读不到"):
        load_keys(settings)


def test_the_key_file_can_live_elsewhere(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEMAP_PERSONAL_KEY_FILE", str(tmp_path / "vault" / "k"))
    make_keys(Settings(var=tmp_path))
    assert (tmp_path / "vault" / "k").exists()
    assert not (tmp_path / "keys").exists()


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key(settings: Settings) -> None:
    old = make_keys(settings)
    sealed, found = old.encrypt("甲", **PLACE), old.lookup("1", field="phone")
    new = rotate(settings)
    assert new.decrypt(sealed, **PLACE) == "甲"
    assert not new.is_current(sealed)
    fresh = new.encrypt("乙", **PLACE)
    assert new.is_current(fresh)
    assert new.lookup("1", field="phone") == found
    # A running server goes on with the file: it opens what the new key sealed, and seals with it.
    assert old.decrypt(fresh, **PLACE) == "乙"
    assert new.is_current(old.encrypt("丙", **PLACE))


def test_a_retired_key_opens_nothing_and_the_newest_stays(settings: Settings) -> None:
    sealed = make_keys(settings).encrypt("甲", **PLACE)
    fresh = rotate(settings).encrypt("乙", **PLACE)
    assert retire(settings) == 1
    assert retire(settings) == 0
    left = load_keys(settings)
    assert left.decrypt(fresh, **PLACE) == "乙"
    with pytest.raises(SetupProblem, match="没有对应的密钥"):
        left.decrypt(sealed, **PLACE)
