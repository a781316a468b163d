"""What Open311 clients send, turned into ours: filters of a list, a posted request, and the key under which it counts once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from gis.access.principal import Principal
from gis.cases.engine import Cases
from gis.cases.forms import FaultyAnswers
from gis.cases.model import Receipt, Report
from gis.cases.open311 import MOST, Asked, Open311, filled
from gis.cases.reporting import digest_of
from gis.clock import ZONE, now
from gis.errors import BadRequest
from gis.store.queries import load_queries

_SPAN = timedelta(days=90)
_SAME = timedelta(minutes=10)  # the same words again within it are the same report
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,40}")
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{0,15})?")
_ATTRIBUTE = re.compile(r"attribute\[([A-Za-z0-9_]{1,40})\](\[\])?")
_HEADER_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_LONGEST = 4000  # of description, address and link together: what a case's detail holds
_TEXTS = (
    "api_key", "jurisdiction_id", "service_code", "lat", "long", "address_string", "address_id", "email", "device_id", "account_id",
    "first_name", "last_name", "phone", "description", "media_url",
)  # fmt: skip

Sent = Mapping[str, Sequence[str]]


def asked_of(query: Sent) -> Asked:
    """Read the filters of GET requests.

    Raises
    ------
    FaultyAnswers
        With every parameter that makes no sense.
    """
    faults: dict[str, str] = {}
    numbers, codes, statuses = (
        filled(query.get(name, ())) for name in ("service_request_id", "service_code", "status")
    )
    if numbers is not None:
        if len(numbers) > MOST:
            faults["service_request_id"] = f"service_request_id 最多 {MOST} 个"
        elif not all(_NUMBER.fullmatch(n) for n in numbers):
            faults["service_request_id"] = "service_request_id 不对"
    if statuses is not None and not set(statuses) <= {"open", "closed"}:
        faults["status"] = "status 只有 open 和 closed"
    limits: dict[str, datetime | None] = {}
    for name, at in (("start_date", time.min), ("end_date", time.max)):
        given = [v for v in query.get(name, ()) if v.strip()]
        try:
            limits[name] = _moment(given[0].strip(), at) if given else None
        except (ValueError, OverflowError):
            faults[name] = f"{name} 要写成 2026-01-01T00:00:00Z 这样，带时区"
    if faults:
        raise FaultyAnswers(faults)
    since, until = limits["start_date"], limits["end_date"]
    try:
        if since is None:
            until = until or now()
            since = until - _SPAN
        elif until is None:
            until = since + _SPAN
        if until < since:
            raise FaultyAnswers({"end_date": "end_date 早于 start_date"})
        if until - since > _SPAN:
            raise FaultyAnswers({"end_date": "start_date 到 end_date 最多 90 天"})
    except OverflowError:
        raise FaultyAnswers({"start_date": "日期超出范围"}) from None
    return Asked(since, until, numbers, codes, statuses)


def _moment(text: str, at: time) -> datetime:
    """A W3C moment; a bare day is the county's, from its first or to its last second. A lost ``+`` came as a space."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return datetime.combine(date.fromisoformat(text), at, tzinfo=ZONE)
    found = datetime.fromisoformat(re.sub(r" ([0-9]{2}:[0-9]{2})$", r"+\1", text))
    if found.tzinfo is None or not 1900 <= found.year <= 9000:
        raise ValueError(text)
    return found


def report_of(form: Sent, *, service: Open311, partner: Principal) -> Report:
    """Read a posted request; its `key` is empty.

    The person's name, telephone and e-mail are the reporter's, sealed by the engine; device and account numbers of theirs are
    not kept. A link is kept as words: nothing is fetched from anywhere.

    Raises
    ------
    FaultyAnswers
        With everything that is missing or makes no sense.
    NotFound
        When there is no such service.
    """
    one = {name: _single(form, name) for name in _TEXTS}
    faults: dict[str, str] = {}
    if not one["service_code"]:
        faults["service_code"] = "没有 service_code"
    lonlat = None
    if one["lat"] or one["long"]:
        if _DEGREES.fullmatch(one["lat"]) and _DEGREES.fullmatch(one["long"]):
            lonlat = (float(one["long"]), float(one["lat"]))
        else:
            faults["lat"] = "lat 和 long 要成对，都是十进制的度（WGS84）"
    elif not one["address_string"]:
        faults["lat"] = (
            "不认识 address_id，请写 lat 和 long" if one["address_id"] else "没有 lat 和 long，也没有 address_string"
        )
    link = one["media_url"]
    if link and not _is_link(link):
        faults["media_url"] = "media_url 不是 http 地址，或超过 500 字"
    detail = "\n".join(
        filter(None, (one["description"], one["address_string"] and f"地点：{one['address_string']}",
                      link and f"媒体链接（未下载）：{link}"))
    )  # fmt: skip
    if len(detail) > _LONGEST:
        faults["description"] = f"description、address_string、media_url 合起来最多 {_LONGEST} 字"
    if faults:
        raise FaultyAnswers(faults)
    service.known(one["service_code"])
    return Report(
        key="", title="", process=service.process.process, detail=detail, item_code=one["service_code"],
        channel=service.rules.channel_of(partner.login), lonlat=lonlat, source_crs="EPSG:4326" if lonlat else None,
        answers=_attributes(form), reporter_name=_name(one["last_name"], one["first_name"]) or None,
        reporter_phone=one["phone"] or None, reporter_address=f"电子邮箱 {one['email']}" if one["email"] else None,
    )  # fmt: skip


def take(cases: Cases, report: Report, *, partner: Principal, key: str | None) -> Receipt:
    """Hand it in, once: under the client's own key, or by its words when it has none.

    Without a key a repetition within ten minutes (at most twenty) is the same report; GeoReport clients know no keys and try
    again when an answer is lost.
    """
    if key:
        if not _HEADER_KEY.fullmatch(key):
            raise BadRequest("Idempotency-Key 不对。", next_step="用一个 UUID，每次上报换一个新的。")
        return cases.report(replace(report, key=_named(partner, "key", key)), principal=partner)
    digest = digest_of(report)
    window = int(now().timestamp() // _SAME.total_seconds())
    before, this = (_named(partner, str(n), digest.hex()) for n in (window - 1, window))
    with cases.pool.reading(principal=partner) as conn:
        known = conn.execute(load_queries("open311")["submitted"], {"key": before, "digest": digest}).fetchone()
    again = known is not None and known["is_same"] is not None
    return cases.report(replace(report, key=before if again else this), principal=partner)


def _named(partner: Principal, *parts: str) -> str:
    return "o311_" + sha256("\n".join([str(partner.account_id), *parts]).encode()).hexdigest()[:48]


def _single(form: Sent, name: str) -> str:
    given = set(form.get(name, ()))
    if len(given) > 1:
        raise FaultyAnswers({name: f"{name} 写了两次"})
    return next(iter(given), "").strip()


def _attributes(form: Sent) -> dict[str, Any]:
    """``attribute[code]=value``, ``attribute[code][]=value`` several times."""
    found: dict[str, Any] = {}
    for name, values in form.items():
        if not name.startswith("attribute"):
            continue
        match = _ATTRIBUTE.fullmatch(name)
        if match is None:
            raise FaultyAnswers({name[:40]: f"参数 {name[:40]} 不对，应为 attribute[代码]"})
        if not match[2] and len(values) > 1:
            raise FaultyAnswers({name[:40]: f"{name[:40]} 写了两次"})
        found[match[1]] = list(values) if match[2] else values[0]
    return found


def _name(last: str, first: str) -> str:
    """A Chinese name has no space and the family's first."""
    plain = all(ord(c) > 0x2E7F for c in last + first)
    return f"{last}{first}" if plain else f"{first} {last}".strip()


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= 500 and text.isprintable()
