"""The code that follows a case (查询码): ten characters made from the submission's key, kept nowhere but in the reporter's hand."""

from __future__ import annotations

import hashlib
import re

from gis.access.crypt import Keys
from gis.errors import BadRequest, NotFound

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_KEY = re.compile(r"[0-9A-Za-z_-]{16,64}")
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def clean_key(key: str) -> str:
    """The sender's key as it is stored.

    Raises
    ------
    BadRequest
        When it is not 16 to 64 letters, digits, ``-`` or ``_``: a UUID is.
    """
    if not _KEY.fullmatch(key):
        raise BadRequest("提交凭据不对。", next_step="请求头 Idempotency-Key 用一个 UUID，每次上报换一个新的。")
    return key


def code_of(keys: Keys, key: str) -> str:
    """The code of a submission: the same key gives the same code, nobody without the key file can make one."""
    # Keys.lookup folds case and blanks away; hashing first keeps keys apart that differ in case alone.
    made = keys.lookup(hashlib.sha256(key.encode()).hexdigest(), field="case.follow")
    assert made is not None
    number = int.from_bytes(made[:7], "big") >> 6  # 50 bits
    text = "".join(_ALPHABET[(number >> shift) & 31] for shift in range(45, -1, -5))
    return f"{text[:5]}-{text[5:]}"


def hash_of(code: str) -> bytes:
    """SHA-256 of a code as somebody typed it; O, I, L read as 0, 1, 1, blanks and dashes anywhere.

    Raises
    ------
    NotFound
        When it cannot be a code: as if there were no such case.
    """
    plain = re.sub(r"[\s-]", "", code[:40]).upper().translate(_MISREAD)
    if len(plain) != 10 or any(c not in _ALPHABET for c in plain):
        raise NotFound("没有这个查询码。", next_step="请核对 10 位查询码；字母 I、L、O、U 不会出现。")
    return hashlib.sha256(plain.encode()).digest()
