"""Administration pages, written by the server: accounts, roles and scopes, sessions and devices, the audit trail.

Each of the three administrators sees their part and none of the county's data. Who may open which page stands in
data/access/routes.toml; what a change needs is asked again by the database.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboard.http.admin import accounts, audit, processes, scopes, sessions
from dashboard.http.admin.office import Office, first_page


def router(office: Office) -> APIRouter:
    """Return all routes under ``/admin``."""
    routes = APIRouter()

    async def start(request: Request) -> Response:
        return RedirectResponse(first_page(request.state.principal), status_code=303)

    routes.add_route("/admin", start, methods=["GET"], include_in_schema=False)
    for part in (accounts, scopes, sessions, audit, processes):
        part.add_routes(routes, office)
    return routes
