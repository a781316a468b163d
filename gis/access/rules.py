"""The rules of access as data/rules/access.toml states them: passwords, waits, sessions, reveals."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from gis.errors import DefinitionError

_FILE = "rules/access.toml"
_FIELD = ("village", "grid")


@dataclass(frozen=True)
class PasswordRules:
    """What a password must be, and how it is hashed (argon2id)."""

    shortest: int
    longest: int
    classes: int
    memory_kib: int
    passes: int
    lanes: int
    at_once: int


@dataclass(frozen=True)
class LockoutRules:
    """Seconds to wait after the n-th failure: of one address at one account, at one account, of one address."""

    pair_steps_s: list[int]
    login_steps_s: list[int]
    address_steps_s: list[int]
    memory: timedelta


@dataclass(frozen=True)
class AccessRules:
    """All of data/rules/access.toml.

    Attributes
    ----------
    idle, absolute, step : timedelta
        A session ends after this long without a request; at the latest after; a half-open sign-in after.
    idle_field : timedelta
        Instead of `idle` for roles of a village or a grid, who work outside with a phone in the pocket.
    wall_idle, pairing : timedelta
        A display's token ends after this long without a request; a pairing code after.
    drift_steps : int
        Steps of 30 s a second factor's clock may be off, either way.
    shown : timedelta
        How long a revealed value stays on screen.
    shortest_reason : int
        Characters a reason needs.
    reveals_per_day : int
        Of one account.
    """

    password: PasswordRules
    lockout: LockoutRules
    idle: timedelta
    idle_field: timedelta
    absolute: timedelta
    step: timedelta
    wall_idle: timedelta
    pairing: timedelta
    drift_steps: int
    shown: timedelta
    shortest_reason: int
    reveals_per_day: int

    @classmethod
    def load(cls, data: Path) -> AccessRules:
        """Read and check the file.

        Raises
        ------
        DefinitionError
            When a figure is missing, has no unit or source, or makes no sense.
        """
        try:
            raw = tomllib.loads((data / _FILE).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as e:
            raise DefinitionError(f"data/{_FILE} 读不出来：{e}") from e
        faults: list[str] = []

        def value(section: str, name: str, kind: type) -> Any:
            entry = raw.get(section, {}).get(name)
            if not isinstance(entry, dict) or not entry.get("unit") or not entry.get("source"):
                faults.append(f"[{section}] {name} 要有 value、unit、source")
                return kind()
            found: Any = entry.get("value")
            right_kind = isinstance(found, kind) and not isinstance(found, bool)
            if not right_kind or (kind is int and int(found) <= 0):
                faults.append(f"[{section}] {name} 的值不对：{found!r}")
                return kind()
            return found

        def steps(name: str) -> list[int]:
            found = value("lockout", name, list)
            rising = bool(found) and all(type(s) is int for s in found) and found[0] >= 0 and found == sorted(found)
            if not rising or found[-1] > 3600:
                faults.append(f"[lockout] {name} 应为由小到大的秒数，最长 3600")
            return list(found)

        password = PasswordRules(
            **{name: value("password", name, int) for name in ("shortest", "longest", "classes")},
            **{name: value("argon2", name, int) for name in ("memory_kib", "passes", "lanes", "at_once")},
        )
        if not 1 <= password.classes <= 4 or password.shortest > password.longest:
            faults.append("[password] 的长度或类别数不对")
        lockout = LockoutRules(
            pair_steps_s=steps("pair_steps_s"),
            login_steps_s=steps("login_steps_s"),
            address_steps_s=steps("address_steps_s"),
            memory=timedelta(hours=value("lockout", "memory_h", int)),
        )
        rules = cls(
            password=password,
            lockout=lockout,
            idle=timedelta(minutes=value("session", "idle_min", int)),
            idle_field=timedelta(minutes=value("session", "idle_field_min", int)),
            absolute=timedelta(hours=value("session", "absolute_h", int)),
            step=timedelta(minutes=value("session", "step_min", int)),
            wall_idle=timedelta(days=value("wall", "idle_days", int)),
            pairing=timedelta(minutes=value("wall", "pairing_min", int)),
            drift_steps=value("second_factor", "drift_steps", int),
            shown=timedelta(seconds=value("reveal", "shown_s", int)),
            shortest_reason=value("reveal", "shortest_reason", int),
            reveals_per_day=value("reveal", "per_day", int),
        )
        if not faults and not rules.idle <= rules.idle_field <= rules.absolute:
            faults.append("[session] idle_min ≤ idle_field_min ≤ absolute_h 不成立")
        if faults:
            raise DefinitionError(f"data/{_FILE}：{'；'.join(faults)}。")
        return rules

    def idle_of(self, level: str | None) -> timedelta:
        """How long a session may lie still, by the level of its role (data/roles.toml); the short one when that is unknown."""
        return self.idle_field if level in _FIELD else self.idle
