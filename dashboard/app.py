"""The web application put together: FastAPI in front, Dash behind it, one pool, every route and callback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dash import Dash
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse

from dashboard import health, vendor
from dashboard.callbacks.offload import Callbacks
from dashboard.callbacks.place import register as register_place
from dashboard.callbacks.search import register as register_search
from dashboard.headers import Outermost, policy
from dashboard.http import tiles
from dashboard.http.gate import Gate
from dashboard.http.protect import PREFIXES, protect
from dashboard.index import Index
from dashboard.pages import PAGES, layout
from gis.divisions.cards import Things
from gis.divisions.reading import Divisions
from gis.divisions.search import Search
from gis.settings import Settings
from gis.store.pool import Pool

_FOLDER = Path(__file__).resolve().parent
# What other routes answer; anything else is a 404 of ours, because Dash would answer its index page to it.
_EXACT = frozenset({"/healthz", "/_dash-layout", "/_dash-dependencies", "/_dash-update-component"})
_PREFIXES = ("/_dash-component-suites/", "/assets/", "/vendor/", "/tiles/", *PREFIXES)


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


def create_app(settings: Settings) -> FastAPI:
    """Compose the web application. No I/O but reading definition files; the store is reached when it starts.

    Parameters
    ----------
    settings : Settings
        Where the store is, and the key of 天地图 if there is one.

    Returns
    -------
    FastAPI
        Serve it with one worker (`dashboard.serve`).
    """
    pool = Pool(settings)
    divisions = Divisions(pool)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        try:
            yield
        finally:
            pool.close()

    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    server.include_router(health.router(divisions))
    server.include_router(vendor.router(settings))
    server.include_router(tiles.router(settings))
    server.add_api_route("/tiles/{rest:path}", _no_tile, include_in_schema=False)
    protection = protect(settings)
    server.include_router(protection.router)

    index = Index(settings)
    app = OnemapDash(
        index, name="onemap", server=server, backend="fastapi", assets_folder=str(_FOLDER / "assets"), use_async=False,
        compress=False, title="onemap", update_title="", pages_folder="", use_pages=False,
    )  # fmt: skip
    app.layout = lambda: layout(settings)
    callbacks = Callbacks(app)
    register_place(callbacks, divisions, Things(pool))
    register_search(callbacks, Search(pool))
    # Without this the first request of a deep link would find no assets yet.
    app._setup_server()

    # Added after Dash, so these stand in front of its own; the last one added is outermost.
    server.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    csp = policy(script_hashes=app.csp_hashes(), tianditu=settings.tianditu_key is not None)
    server.add_middleware(Outermost, csp=csp, pages=frozenset(PAGES) | _EXACT, elsewhere=_PREFIXES)
    server.add_middleware(Gate, **protection.options(settings, csp=csp))
    server.state.pool = pool
    server.state.dash = app
    server.state.protection = protection
    return server
