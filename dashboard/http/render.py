"""The pages the server writes itself (login, administration, receipts): Jinja2, everything escaped, no inline script."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).resolve().parent.parent / "templates"
_CHINA = ZoneInfo("Asia/Shanghai")
_WEEKDAYS = "一二三四五六日"


@cache
def environment() -> Environment:
    """Read the templates' folder once a process."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = moment
    made.filters["query"] = query
    made.globals["version"] = sha256(b"".join(p.read_bytes() for p in sorted(FOLDER.glob("sheet.*")))).hexdigest()[:10]
    return made


def render(template: str, **values: object) -> str:
    """Return one page."""
    return environment().get_template(template).render(**values)


def query(fields: dict[str, object]) -> str:
    """Return the part of an address after ``?``, empty fields left out."""
    return urlencode({name: value for name, value in fields.items() if value not in ("", None)})


def moment(at: datetime | None) -> str:
    """Return a time as people here write it: 今年 11月22日 周日 10:42, with the year when it is another; None → 从未."""
    if at is None:
        return "从未"
    local = at.astimezone(_CHINA)
    year = "" if local.year == datetime.now(_CHINA).year else f"{local.year}年"
    return f"{year}{local.month}月{local.day}日 周{_WEEKDAYS[local.weekday()]} {local:%H:%M}"
