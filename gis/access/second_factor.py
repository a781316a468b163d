"""Second factor (第二因素, TOTP, RFC 6238): a secret in the person's phone, six digits that work once."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

import pyotp

_STEP_S = 30


@dataclass(frozen=True)
class Enrolment:
    """What the page of the first set-up shows: the ``otpauth://`` URI (as a QR code) and the secret to type in by hand."""

    uri: str
    secret: str


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def enrolment(secret: str, *, login: str, issuer: str) -> Enrolment:
    """The set-up of one secret."""
    return Enrolment(uri=pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer), secret=secret)


def step_of(
    secret: str, code: str, *, drift_steps: int, last_step: int | None = None, at: float | None = None
) -> int | None:
    """The 30-second step a code belongs to, or None when it belongs to none that may still be used.

    Parameters
    ----------
    drift_steps : int
        Steps the phone's clock may be off, either way.
    last_step : int or None
        Last step used; that one and earlier ones no longer work.
    at : float or None
        Seconds since 1970 (UTC); None: now.
    """
    digits = "".join(code.split())
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return None
    totp = pyotp.TOTP(secret)
    now = int((time.time() if at is None else at) // _STEP_S)
    found = None
    for step in range(now - drift_steps, now + drift_steps + 1):  # all of them: the time taken tells nothing
        matches = hmac.compare_digest(totp.at(step * _STEP_S), digits)
        if matches and (last_step is None or step > last_step):
            found = step
    return found
