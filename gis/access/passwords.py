"""Passwords (密码): what one must be, and argon2id at OWASP's parameters, a bounded number at once."""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from gis.access.rules import PasswordRules
from gis.errors import BadRequest
from gis.settings import ROOT

_COMMON = ROOT / "data" / "common_passwords.txt"
# What people write for a letter; a password that only spells a common one is a common one.
_LEET = str.maketrans({"@": "a", "4": "a", "0": "o", "$": "s", "5": "s", "1": "l", "!": "i", "3": "e"})
_SHIFT = str.maketrans("!@#$%^&*()", "1234567890")  # the same keys, with shift held
_AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_turns: dict[int, threading.BoundedSemaphore] = {}
_turns_lock = threading.Lock()


def _normal(password: str) -> str:
    # The same keys on another phone may send another form of the same characters (NIST SP 800-63B-4 3.1.1.2).
    return unicodedata.normalize("NFKC", password)


@cache
def _hasher(rules: PasswordRules) -> PasswordHasher:
    return PasswordHasher(
        time_cost=rules.passes,
        memory_cost=rules.memory_kib,
        parallelism=rules.lanes,
        hash_len=32,
        salt_len=16,
        type=Type.ID,
    )


@cache
def _dummy(rules: PasswordRules) -> str:
    """A hash nobody knows the password of, with today's parameters."""
    import secrets

    return _hasher(rules).hash(secrets.token_urlsafe(24))


def _turn(rules: PasswordRules) -> threading.BoundedSemaphore:
    """Each hash takes 19 MiB: a flood of sign-ins waits in line instead of eating the memory."""
    with _turns_lock:
        return _turns.setdefault(rules.at_once, threading.BoundedSemaphore(rules.at_once))


def hash_password(password: str, *, rules: PasswordRules) -> str:
    """Hash of a password (argon2id, PHC string). Blocks some 20 ms of a core, the GIL released."""
    with _turn(rules):
        return _hasher(rules).hash(_normal(password))


def verify(stored: str | None, password: str, *, rules: PasswordRules) -> bool:
    """Whether the password is the stored one; without a stored one the same work is done for nothing.

    Call it in a worker thread: it blocks some 20 ms, the GIL released.
    """
    password = _normal(password[: rules.longest + 1])
    with _turn(rules):
        try:
            return _hasher(rules).verify(stored or _dummy(rules), password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def warm_up(rules: PasswordRules) -> None:
    """Make the dummy hash before the first stranger comes, or that one would wait twice as long as the others."""
    _dummy(rules)


def needs_rehash(stored: str, *, rules: PasswordRules) -> bool:
    """Whether the parameters have changed since the hash was made."""
    try:
        return _hasher(rules).check_needs_rehash(stored)
    except InvalidHashError:
        return False


@cache
def common_passwords(path: Path = _COMMON) -> frozenset[str]:
    """Passwords everybody tries first, lower case (data/common_passwords.txt)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))


def _is_common(password: str) -> bool:
    """In the list as it stands, or a listed word with only digits and signs around it: Woaini1314!, P@ssw0rd2026."""
    plain = password.lower()
    bare = _AROUND.sub("", plain)
    spelt = {bare, bare.translate(_LEET), _AROUND.sub("", plain.translate(_LEET)), plain.translate(_SHIFT)}
    return bool({plain, *spelt, re.sub(r"[^a-z]", "", bare.translate(_LEET))} & common_passwords())


def faults_of(password: str, *, login: str, rules: PasswordRules) -> list[str]:
    """Every rule a password breaks, in words."""
    faults = []
    password = _normal(password)
    plain = password.lower()
    if len(password) < rules.shortest:
        faults.append(f"至少 {rules.shortest} 位")
    if len(password) > rules.longest:
        faults.append(f"最多 {rules.longest} 位")
    kinds = [
        any("a" <= c <= "z" for c in password),
        any("A" <= c <= "Z" for c in password),
        any("0" <= c <= "9" for c in password),
        any(not c.isascii() or not c.isalnum() for c in password),
    ]
    if sum(kinds) < rules.classes:
        faults.append(f"小写字母、大写字母、数字、其他符号至少要有 {rules.classes} 种")
    if login and login.lower() in plain:
        faults.append("不能包含账号")
    if len(set(plain)) < 5:
        faults.append("不同的字符太少")
    if _is_common(password):
        faults.append("太常见，别人一猜就中")
    return faults


def check_strength(password: str, *, login: str, rules: PasswordRules) -> None:
    """Raise `BadRequest` with every rule the password breaks."""
    if faults := faults_of(password, login=login, rules=rules):
        raise BadRequest(
            f"密码不合要求：{'；'.join(faults)}。", next_step="可以用几个不相干的词加数字，例如 Liushu-7-beiqu。"
        )


def check_new(password: str, *, login: str, rules: PasswordRules, current: str | None, previous: str | None) -> None:
    """Raise `BadRequest` when a new password is too weak, or is the present one or the one before it."""
    check_strength(password, login=login, rules=rules)
    if any(verify(old, password, rules=rules) for old in (current, previous) if old):
        raise BadRequest("新密码不能和现在的或上一个相同。", next_step="换一个没用过的。")
