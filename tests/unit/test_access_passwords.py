"""Password rules, argon2id at OWASP's parameters, the same work for accounts that do not exist."""

from __future__ import annotations

import dataclasses
import statistics
import threading
import time

import argon2
import pytest

from gis.access import passwords
from gis.access.accounts import temporary_password
from gis.access.rules import AccessRules
from gis.errors import BadRequest
from gis.settings import ROOT

RULES = AccessRules.load(ROOT / "data").password


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("Ab1-efgh9", "至少 10 位"),
        ("A1-" + "xyzw" * 32, "最多 128 位"),
        ("liushubeiqu7", "至少要有 3 种"),
        ("LIUSHU-BEIQU", "至少要有 3 种"),
        ("xWang.Min2026", "不能包含账号"),
        ("Aa1Aa1Aa1Aa1", "不同的字符太少"),
        ("Woaini1314!", "太常见"),
        ("Qwerty12345!", "太常见"),
        ("P@ssw0rd2026", "太常见"),
        ("1qaz@WSX3edc", "太常见"),
        ("Julu@2026010", "太常见"),
        ("Admin@123456", "太常见"),
        ("Liushu-7-beiqu", None),
        ("清风明月 a1bcde", None),
        ("liushu beiqu 7", None),
    ],
)
def test_rules(password: str, fault: str | None) -> None:
    found = passwords.faults_of(password, login="wang.min", rules=RULES)
    assert (fault is None and not found) or (fault is not None and any(fault in f for f in found)), found


def test_a_weak_password_is_told_all_its_faults_at_once() -> None:
    with pytest.raises(BadRequest) as caught:
        passwords.check_strength("admin", login="admin", rules=RULES)
    assert all(words in str(caught.value) for words in ("至少 10 位", "3 种", "账号", "太常见"))


def test_the_present_and_the_last_password_are_not_taken_again() -> None:
    current = passwords.hash_password("Liushu-7-beiqu", rules=RULES)
    previous = passwords.hash_password("Liushu-6-beiqu", rules=RULES)
    for again in ("Liushu-7-beiqu", "Liushu-6-beiqu"):
        with pytest.raises(BadRequest, match="相同"):
            passwords.check_new(again, login="a", rules=RULES, current=current, previous=previous)
    passwords.check_new("Liushu-8-beiqu", login="a", rules=RULES, current=current, previous=previous)


def test_the_hash_is_argon2id_at_owasps_parameters() -> None:
    made = passwords.hash_password("Liushu-7-beiqu", rules=RULES)
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(made, "Liushu-7-beiqu", rules=RULES)
    assert not passwords.verify(made, "Liushu-7-beiqU", rules=RULES)


def test_the_same_characters_in_another_form_are_the_same_password() -> None:
    made = passwords.hash_password("Ａｂｃ-７-清风明月", rules=RULES)  # full width, as a Chinese keyboard may send it
    assert passwords.verify(made, "Abc-7-清风明月", rules=RULES)


def test_other_parameters_ask_for_a_new_hash() -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("x")
    assert passwords.needs_rehash(weak, rules=RULES)
    assert not passwords.needs_rehash(passwords.hash_password("x", rules=RULES), rules=RULES)


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=19456,t=2,p=1$AAAA"])
def test_no_password_opens_an_account_without_a_sound_hash(stored: str | None) -> None:
    assert passwords.verify(stored, "", rules=RULES) is False
    assert passwords.verify(stored, "Liushu-7-beiqu", rules=RULES) is False


def test_an_unknown_account_costs_the_same_hash() -> None:
    """Ratio of medians, not a time: without the dummy hash it is below a hundredth."""
    real = passwords.hash_password("Liushu-7-beiqu", rules=RULES)
    passwords.warm_up(RULES)
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(15):
        for known in (True, False):
            begun = time.perf_counter()
            passwords.verify(real if known else None, "wrong", rules=RULES)
            took[known].append(time.perf_counter() - begun)
    ratio = statistics.median(took[False]) / statistics.median(took[True])
    assert 0.5 < ratio < 2


def test_only_so_many_hashes_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = dataclasses.replace(RULES, at_once=2)
    running, most, lock = 0, 0, threading.Lock()

    class Slow:
        def verify(self, _stored: str, _password: str) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return True

    monkeypatch.setattr(passwords, "_hasher", lambda _rules: Slow())
    threads = [threading.Thread(target=passwords.verify, args=("x", "y"), kwargs={"rules": rules}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_temporary_passwords_pass_the_rules_and_differ() -> None:
    made = {temporary_password() for _ in range(50)}
    assert len(made) == 50
    assert all(not passwords.faults_of(p, login="wang.min", rules=RULES) for p in made)
