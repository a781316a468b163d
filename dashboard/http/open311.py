"""Open311 GeoReport v2 at `/open311/v2/`: other systems and phones list services, hand reports in, and ask what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.reports import Threads
from dashboard.http.spark import TYPES, written
from gis.access.principal import Principal
from gis.cases.engine import Cases
from gis.cases.open311 import Open311
from gis.cases.open311_asked import asked_of, report_of, take
from gis.errors import BadRequest, Forbidden, NotFound, OnemapError, TooLarge
from gis.settings import Settings

BASE = "/open311/v2"
_SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
_MOST_BYTES = 64_000  # 4,000 characters in percent signs are 36,000 bytes
_MOST_FIELDS = 200
_FORM = "application/x-www-form-urlencoded"

# key, address → partner; blocking
PartnerOf = Callable[[str, str | None], Principal | None]
Said = tuple[str, Any, int]
Handler = Callable[[Request], Awaitable[Said]]


def router(cases: Cases, service: Open311, partner_of: PartnerOf, settings: Settings) -> APIRouter:
    """Return the routes.

    Parameters
    ----------
    partner_of : callable
        Whose a key is, asked at every request that brings one: a revoked key is out at once.
    """
    routes = APIRouter()
    threads = Threads()
    base = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")

    async def discovery(request: Request) -> Said:
        rules = service.rules
        endpoint = {
            "specification": _SPECIFICATION, "url": f"{base}{BASE}", "changeset": rules.changeset,
            "type": "production" if settings.production else "test", "formats": ["text/xml", "application/json"],
        }  # fmt: skip
        said = {"changeset": rules.changeset, "contact": rules.contact, "key_service": rules.key_service}
        return "discovery", said | {"endpoints": [endpoint]}, 200

    async def services(request: Request) -> Said:
        return "services", service.services(), 200

    async def definition(request: Request) -> Said:
        return "service_definition", service.definition(request.path_params["code"]), 200

    async def requests(request: Request) -> Said:
        query = _gathered(request.query_params.multi_items())
        asked = asked_of(query)
        partner = await _partner(request, query)
        return "service_requests", await threads.run(partial(service.requests, asked, partner=partner)), 200

    async def one(request: Request) -> Said:
        query = _gathered(request.query_params.multi_items())
        partner = await _partner(request, query)
        number = request.path_params["number"]
        return "service_requests", await threads.run(partial(service.request, number, partner=partner)), 200

    async def token(request: Request) -> Said:
        raise NotFound("没有这个 token。", next_step="本系统不发 token：提交后立即返回 service_request_id。")

    async def post(request: Request) -> Said:
        form = _gathered(await _read_form(request))
        query = _gathered(request.query_params.multi_items())
        partner = await _partner(request, form if form.get("api_key") else query)
        if partner is None:
            raise Forbidden("没有 api_key。", next_step="把对接密钥放在表单的 api_key 里。")
        if not partner.may("incident.report"):
            raise Forbidden("这把密钥不能上报。", next_step="请联系县里的安全管理员。")
        report = report_of(form, service=service, partner=partner)
        key = request.headers.get("idempotency-key")
        receipt = await threads.run(partial(take, cases, report, partner=partner, key=key))
        notice = f"{receipt.state_name}。{receipt.due_words}"
        made = {"service_request_id": receipt.case_no, "service_notice": notice, "account_id": None}
        return "service_requests", [made], 200 if receipt.repeated else 201

    async def nothing(request: Request) -> Said:
        raise NotFound("没有这个地址。", next_step="地址见 /open311/v2/discovery.json，格式只有 json 和 xml。")

    async def _partner(request: Request, given: dict[str, list[str]]) -> Principal | None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        keys = set(filter(None, (k.strip() for k in given.get("api_key", ()))))
        if not keys and kind.lower() == "bearer":
            keys = {key.strip()}
        if not keys:
            return None
        address = request.client.host if request.client else None
        known = await threads.run(partial(partner_of, keys.pop(), address)) if len(keys) == 1 else None
        if known is None:
            raise Forbidden("api_key 不对，或已经作废。", next_step="请联系县里的安全管理员。")
        return known

    for path, handler, method in (
        ("discovery.{form}", discovery, "GET"), ("services.{form}", services, "GET"), ("services/{code}.{form}", definition, "GET"),
        ("requests.{form}", requests, "GET"), ("requests.{form}", post, "POST"), ("requests/{number}.{form}", one, "GET"),
        ("tokens/{token}.{form}", token, "GET"),
    ):  # fmt: skip
        routes.add_route(f"{BASE}/{path}", _spoken(handler), methods=[method], include_in_schema=False)
    routes.add_route("/open311/{rest:path}", _spoken(nothing), methods=["GET"], include_in_schema=False)
    return routes


def _spoken(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Answer in the format of the address; errors as the specification has them: an array of code and description."""

    async def route(request: Request) -> Response:
        form = request.path_params.get("form", "json")
        try:
            if form not in TYPES:
                form = "json"
                raise NotFound("没有这种格式。", next_step="只有 json 和 xml。")
            root, content, status = await handler(request)
        except OnemapError as error:
            return _refused(error, form)
        return Response(written(root, content, form), status_code=status, headers={"content-type": TYPES[form]})

    return route


def _refused(error: OnemapError, form: str) -> Response:
    """404, 403 and 400, and 503 when the fault is ours: a client should try that again, and not another report."""
    status = error.status if error.status in (403, 404) else 503 if error.status >= 500 else 400
    faults = getattr(error, "faults", None)
    said = [f"{fault}。" for fault in faults.values()] if faults else [str(error)]
    content = [{"code": status, "description": one} for one in said]
    response = Response(written("errors", content, form), status_code=status, headers={"content-type": TYPES[form]})
    if isinstance(error, TooLarge):
        response.headers["Connection"] = "close"
    return response


async def _read_form(request: Request) -> list[tuple[str, str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadRequest(f"Content-Type 要是 {_FORM}。", next_step="照片不能从这里交，链接写在 media_url 里。")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise TooLarge("内容太长。", next_step="请缩短后再提交。")
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, encoding="utf-8", errors="strict"
        )
    except ValueError as e:
        raise BadRequest("表单读不了。", next_step="按 UTF-8 编码成 application/x-www-form-urlencoded。") from e


def _gathered(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name. PostgreSQL knows no NUL, and no text of ours a lone surrogate."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise BadRequest(f"参数 {name[:40]} 里有不能保存的字符。", next_step="请改掉后再提交。")
        found.setdefault(name, []).append(value)
    return found
