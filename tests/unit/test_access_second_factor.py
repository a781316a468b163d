"""TOTP: the right code, one step either way, once; the set-up URI a phone understands."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from gis.access.second_factor import enrolment, new_secret, step_of

# RFC 6238 appendix B: secret "12345678901234567890", SHA-1, the last six of the eight digits printed there.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_the_vectors_of_rfc_6238(at: int, code: str) -> None:
    assert step_of(SECRET, code, drift_steps=1, at=at) == at // 30


@pytest.mark.parametrize(("late_s", "found"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
def test_one_step_either_way(late_s: int, found: bool) -> None:
    at = 1111111110  # the first second of its step
    assert (step_of(SECRET, "050471", drift_steps=1, at=at + late_s) is not None) == found


def test_a_step_used_or_passed_does_not_work_again() -> None:
    step = 1111111111 // 30
    assert step_of(SECRET, "050471", drift_steps=1, last_step=step - 1, at=1111111111) == step
    assert step_of(SECRET, "050471", drift_steps=1, last_step=step, at=1111111111) is None


@pytest.mark.parametrize("code", ["", "05047", "0504711", "abcdef", "05047①", "-50471", "050472"])
def test_what_is_no_code(code: str) -> None:
    assert step_of(SECRET, code, drift_steps=1, at=1111111111) is None


def test_blanks_in_a_code_do_not_matter() -> None:
    assert step_of(SECRET, " 050 471 ", drift_steps=1, at=1111111111) is not None


def test_the_uri_names_the_account_and_the_secret() -> None:
    secret = new_secret()
    uri = urlsplit(enrolment(secret, login="wang.min", issuer="一张图").uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query)["secret"] == [secret]
    assert parse_qs(uri.query)["issuer"] == ["一张图"]
    assert len({new_secret() for _ in range(20)}) == 20
