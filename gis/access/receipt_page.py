"""What is printed and handed out: the notice board's sheet, and the offline page that checks a slip against it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from html import escape
from pathlib import Path

from gis.access.receipt import Receipt, Slip

_PLACE = re.compile(r"\{\{([a-z]+)\}\}")
_NOT_YET = '<p class="warn">本月还没有结束，这个码还会变，不要张贴。</p>'


def board_page(data: Path, receipt: Receipt, *, printed: datetime) -> str:
    """The sheet for the notice board (HTML, A4)."""
    values = {
        "month": escape(receipt.month), "county": escape(receipt.county), "code": receipt.code, "rows": f"{receipt.rows:,}",
        "first": str(receipt.first_seq), "last": str(receipt.last_seq), "root": receipt.root.hex(),
        "printed": f"{printed:%Y-%m-%d %H:%M}", "warning": "" if receipt.complete else _NOT_YET,
    }  # fmt: skip
    return _fill(data / "receipt" / "board.html", values)


def check_page(data: Path, slip: Slip | None = None) -> str:
    """The self-contained page that checks a slip offline; with a slip, its text is filled in. Holds no code: that is on the board."""
    return _fill(data / "receipt" / "check.html", {"slip": escape(slip_text(slip)) if slip else ""})


def slip_text(slip: Slip) -> str:
    """The slip as text to copy (JSON)."""
    return json.dumps(slip.as_dict(), ensure_ascii=False)


def _fill(path: Path, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda m: values[m[1]], path.read_text(encoding="utf-8"))
