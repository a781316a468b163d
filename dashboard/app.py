"""The web application put together: FastAPI in front, Dash behind it, one pool, every route and callback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from dash import Dash
from dash.backends._fastapi import reset_current_request, set_current_request
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from dashboard import health, vendor
from dashboard.callbacks.desk import register as register_desk
from dashboard.callbacks.desk_leaving import Leaving
from dashboard.callbacks.desk_office import register as register_office
from dashboard.callbacks.desk_report import Report
from dashboard.callbacks.desk_shown import Desk
from dashboard.callbacks.offload import Callbacks
from dashboard.callbacks.place import register as register_place
from dashboard.callbacks.search import register as register_search
from dashboard.callbacks.whereabouts import register as register_whereabouts
from dashboard.headers import Outermost, policy
from dashboard.http import cases as case_routes
from dashboard.http import open311, planned, tiles, unit_report
from dashboard.http import photos as photo_routes
from dashboard.http import reports as report_routes
from dashboard.http import suggest as suggest_routes
from dashboard.http.gate import Gate
from dashboard.http.protect import PREFIXES, protect
from dashboard.index import Index
from dashboard.pages import PAGES, every_id, layout
from dashboard.phone import routes as phone
from gis.access.crypt import load_keys
from gis.cases.engine import open_cases
from gis.cases.open311 import Open311, Rules
from gis.cases.photos import Photos
from gis.cases.suggest import Suggest
from gis.divisions.cards import Things
from gis.divisions.choices import Choices
from gis.divisions.reading import Divisions
from gis.divisions.search import Search
from gis.jobs import training
from gis.jobs.worker import Worker
from gis.settings import Settings
from gis.store.pool import Pool
from gis.store.provenance import Provenance
from gis.tiles.service import TileService

_FOLDER = Path(__file__).resolve().parent
# What other routes answer; anything else is a 404 of ours, because Dash would answer its index page to it.
_EXACT = frozenset({"/healthz", "/_dash-layout", "/_dash-dependencies", "/_dash-update-component", *phone.EXACT})
_PREFIXES = (
    "/_dash-component-suites/",
    "/assets/",
    "/vendor/",
    "/tiles/",
    "/desk/",
    "/open311/",
    *PREFIXES,
    *phone.PREFIXES,
)


class OnemapDash(Dash):
    """Dash with an index page of our own: libraries in order, words and layers for the script, language by request."""

    def __init__(self, index: Index, **options: object) -> None:
        self._index = index
        super().__init__(**options)

    def _config(self) -> dict[str, object]:
        """Return what the page is told about Dash, without its websocket: nothing here uses it, so no worker is started."""
        config: dict[str, object] = super()._config()
        config.pop("websocket", None)
        return config

    def interpolate_index(self, **parts: str) -> str:
        """Return the page Dash starts from."""
        return self._index.page(**parts)


async def _no_tile(rest: str) -> JSONResponse:
    return JSONResponse({"error": "NotFound", "message": f"没有瓦片 {rest[:80]}。"}, status_code=404)


def create_app(settings: Settings, *, worker: bool = False) -> FastAPI:
    """Compose the web application. No I/O but reading definition files; the store is reached when it starts.

    Parameters
    ----------
    settings : Settings
        Where the store is, and the key of 天地图 if there is one.
    worker : bool
        Whether jobs are worked off in this process too.

    Returns
    -------
    FastAPI
        Serve it with one worker (`dashboard.serve`).
    """
    pool = Pool(settings)
    case_pool = Pool(settings, size=8)  # of its own: a slow figure must not keep a report waiting
    jobs = Worker(settings, more=training.tasks(settings)) if worker else None
    suggest = Suggest(settings)
    divisions = Divisions(pool)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        case_pool.open()
        try:
            async with jobs.beside() if jobs else nullcontext():
                yield
        finally:
            case_pool.close()
            pool.close()

    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    server.include_router(health.router(divisions))
    server.include_router(vendor.router(settings))
    tile_service = TileService(settings)
    server.include_router(tiles.router(settings, service=tile_service))
    server.include_router(phone.router(settings, pool=pool, service=tile_service))
    server.add_api_route("/tiles/{rest:path}", _no_tile, include_in_schema=False)
    cases = open_cases(settings, pool=case_pool, keys=load_keys(settings))
    incoming = Photos(settings.photo_folder)
    server.include_router(report_routes.router(cases, incoming))
    server.include_router(case_routes.router(cases, incoming))
    server.include_router(photo_routes.router(case_pool, incoming))
    server.include_router(suggest_routes.router(suggest))
    report = Report(cases)
    server.include_router(unit_report.router(report))  # before /desk/{case_no}
    coming = planned.read_planned(settings.data)
    server.include_router(planned.router(coming))
    protection = protect(settings)
    server.include_router(protection.router)
    service = Open311(case_pool, processes=cases.processes, rules=Rules.load(settings.data))
    server.include_router(open311.router(cases, service, protection.partner_of, settings))

    index = Index(settings)
    app = OnemapDash(
        index, name="onemap", server=server, backend="fastapi", assets_folder=str(_FOLDER / "assets"), use_async=False,
        compress=False, title="onemap", update_title="", pages_folder="", use_pages=False,
    )  # fmt: skip
    app.validation_layout = every_id(settings)
    app.layout = lambda: layout(settings)

    async def page(request: Request) -> HTMLResponse:
        token = set_current_request(request)  # Dash does so itself for "/" and for no other page
        try:
            return HTMLResponse(app.index())
        finally:
            reset_current_request(token)

    for address in PAGES.keys() - {"/"}:  # Dash itself answers "/"
        server.add_api_route(address, page, methods=["GET"], include_in_schema=False)
    callbacks = Callbacks(app)
    register_place(callbacks, divisions, Things(pool))
    register_search(callbacks, Search(pool))
    register_whereabouts(callbacks, divisions)
    register_desk(callbacks, Desk(cases, Choices(pool), suggest=suggest, generated=Provenance(pool).generated))
    register_office(callbacks, report, Leaving(cases))
    # Without this the first request of a deep link would find no assets yet.
    app._setup_server()

    # Added after Dash, so these stand in front of its own; the last one added is outermost.
    server.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    csp = policy(script_hashes=app.csp_hashes(), tianditu=settings.tianditu_key is not None)
    server.add_middleware(
        Outermost, csp=csp, pages=frozenset(PAGES) | _EXACT | {p.address for p in coming}, elsewhere=_PREFIXES
    )
    server.add_middleware(Gate, **protection.options(settings, csp=csp))
    server.state.pool = pool
    server.state.dash = app
    server.state.protection = protection
    server.state.cases = cases
    server.state.photos = incoming
    return server
