"""Forms of the pages the server writes: small, plain, without files."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from gis.errors import BadRequest, TooLarge

_BYTES = 16_000
_FIELDS = 40


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, each once, spaces at the ends cut off except in passwords.

    Raises
    ------
    TooLarge, BadRequest
        When it is larger than any form of ours, or not one.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequest("表单格式不对。", next_step="请回到页面重新填写。")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BYTES:
            raise TooLarge("填写的内容太长。", next_step="请缩短后再提交。")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError as e:
        raise BadRequest("表单格式不对。", next_step="请回到页面重新填写。") from e
    # PostgreSQL knows no NUL in text.
    if any("\x00" in value for _, value in fields):
        raise BadRequest("内容里有不能保存的字符。", next_step="请改掉后再提交。")
    return {name: value if name in SECRETS else value.strip() for name, value in fields}


SECRETS = frozenset({"password", "old", "repeat"})
