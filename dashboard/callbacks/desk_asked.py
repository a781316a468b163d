"""What the desk's address asks for, read from what the browser sends: known names only, everything else dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from dashboard.components.desk.queue import SORTS, VIEWS

_MOST = 40  # choices of one field
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_ORDERS = {sign + name for name in SORTS.values() for sign in ("", "-")}


@dataclass(frozen=True)
class Asked:
    """One view of the queue.

    Attributes
    ----------
    view : one of `VIEWS`, the open ones unless said; states, items: codes; channel, unit: one; at: division code.
    who : account that has it; text: words in the title, or a case number.
    start, end : days of report, both included.
    sort : name of an order, ``-`` in front when it falls; None: what is due first.
    board : the board instead of the table; more: the state whose column was asked for more.
    """

    view: str = "open"
    process: str = "incident"
    states: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    channel: str | None = None
    at: str | None = None
    unit: str | None = None
    who: int | None = None
    who_name: str = ""
    text: str = ""
    start: date | None = None
    end: date | None = None
    sort: str | None = None
    page: int = 1
    board: bool = False
    more: str | None = None
    seq: int = 0

    @property
    def filtered(self) -> bool:
        """Whether anything beside the view narrows the list."""
        return any(
            (self.states, self.items, self.channel, self.at, self.unit, self.who, self.text, self.start, self.end)
        )


def parse(sent: Any) -> Asked:
    """Read what the browser sent; what makes no sense counts as not asked for."""
    a = sent if isinstance(sent, dict) else {}
    view = a.get("view")
    sort = a.get("sort")
    return Asked(
        view=view if view in VIEWS else "open",
        process=_code(a.get("process")) or "incident",
        states=_codes(a.get("state")), items=_codes(a.get("item")), channel=_code(a.get("channel")),
        at=at if (at := _code(a.get("at"))) and re.fullmatch(r"[0-9]{6}([0-9]{3}){0,3}", at) else None,
        unit=_code(a.get("unit")), who=_number(a.get("who"), most=2**53), who_name=_text(a.get("whoname"), 40),
        text=_text(a.get("text"), 60), start=day(a.get("from")), end=day(a.get("to")),
        sort=sort if isinstance(sort, str) and sort in _ORDERS else None,
        page=_number(a.get("page"), most=1_000_000) or 1, board=a.get("show") == "board", more=_code(a.get("more")),
        seq=_number(a.get("seq"), most=2**53) or 0,
    )  # fmt: skip


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _codes(value: Any) -> tuple[str, ...]:
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(dict.fromkeys(code for code in map(_code, listed[:_MOST]) if code))


def _number(value: Any, *, most: int) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number <= most else None


def _text(value: Any, longest: int) -> str:
    return "".join(c for c in value if c.isprintable()).strip()[:longest] if isinstance(value, str) else ""


def day(value: Any) -> date | None:
    """Read an ISO date; anything else is None."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
