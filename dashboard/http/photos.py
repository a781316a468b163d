"""`GET /api/photos/{photo_id}`: a re-encoded photo, to whoever may see its case; to a reporter by code what is public of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.http.jsons import failed
from dashboard.http.reports import Threads
from gis.access.principal import Principal
from gis.cases import follow
from gis.cases.photos import Photos
from gis.errors import NotFound, OnemapError
from gis.store.pool import Pool
from gis.store.queries import load_queries

_ABSENT = NotFound("没有这张照片。", next_step="刷新页面再试。")
_HEADERS = {
    # Ours to keep for a while, nobody else's; asked about again, because a right to see it can end.
    "Cache-Control": "private, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
}


def router(pool: Pool, photos: Photos) -> APIRouter:
    """Return the route."""
    routes = APIRouter()
    threads = Threads()

    def find(photo_id: int, principal: Principal | None, code: str | None, thumb: bool) -> Path:
        held = follow.hash_of(code) if code else None
        if held is None and principal is None:
            raise _ABSENT
        with pool.reading(principal=principal, follow=held) as conn:
            row = conn.execute(load_queries("cases_reading")["photo"], {"photo_id": photo_id}).fetchone()
        if row is None or (held is not None and not (row["is_public"] or row["transition"] == "report")):
            raise _ABSENT
        if row["state"] == "received":
            raise NotFound("照片还在处理，马上就好。", next_step="几秒后刷新。")
        if row["state"] != "ready":
            raise NotFound("这张照片打不开，没有可显示的内容。", next_step="请上传的人重新拍一张。")
        path = photos.ready_file(bytes(row["sha256"]), thumb=thumb)
        if not path.is_file():
            raise NotFound("照片文件不见了。", next_step="请系统管理员从备份恢复 var/photos。")
        return path

    async def photo(request: Request) -> Response:
        asked = request.path_params["photo_id"]
        thumb = request.query_params.get("size") == "thumb"
        try:
            call = partial(find, asked, request.state.principal, request.query_params.get("follow"), thumb)
            path: Path = await threads.run(call)
        except OnemapError as error:
            return failed(error)
        return FileResponse(path, media_type="image/jpeg", headers={**_HEADERS, "ETag": f'"{path.stem}"'})

    routes.add_route("/api/photos/{photo_id:int}", photo, methods=["GET"], include_in_schema=False)
    return routes
