"""`/healthz`: is this process alive and does its store answer; touches nothing heavy."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter
from starlette.responses import JSONResponse

from gis.divisions.reading import Divisions
from gis.errors import StoreUnavailable


def router(divisions: Divisions) -> APIRouter:
    """Return the route ``/healthz``: always 200 while the process lives; the body says how the store is."""
    routes = APIRouter()

    def database() -> str:
        try:
            return "ok" if divisions.answers() else "unavailable"
        except StoreUnavailable:
            return "unavailable"

    @routes.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        state = await anyio.to_thread.run_sync(database)
        body = {"status": "ok" if state == "ok" else "degraded", "database": state}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    return routes
