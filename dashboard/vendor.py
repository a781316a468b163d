"""Browser libraries installed at set-up, served from this machine: these files and no others."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, JSONResponse, Response

from gis.settings import Settings

# name in the address → file under var/node/node_modules
FILES: dict[str, str] = {
    "maplibre-gl.js": "maplibre-gl/dist/maplibre-gl.js",
    "maplibre-gl.css": "maplibre-gl/dist/maplibre-gl.css",
    "leaflet-maplibre-gl.js": "@maplibre/maplibre-gl-leaflet/leaflet-maplibre-gl.js",
    "idb.js": "idb/build/umd.js",
    "inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2"}


def folder(settings: Settings) -> Path:
    """Where npm put the libraries."""
    return settings.var / "node" / "node_modules"


def missing(settings: Settings) -> list[str]:
    """Names of the libraries that are not installed."""
    return [name for name, path in FILES.items() if not (folder(settings) / path).is_file()]


def version(settings: Settings) -> str:
    """One word that changes when package.json's pins do; it goes into the address of each file."""
    pins = json.loads((settings.root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return "-".join(str(pins[name]) for name in sorted(pins))


def router(settings: Settings) -> APIRouter:
    """Return the route ``/vendor/{name}``."""
    routes = APIRouter()
    root = folder(settings)

    @routes.get("/vendor/{name:path}", include_in_schema=False)
    async def vendor(name: str, v: str | None = None) -> Response:
        if name not in FILES:
            return JSONResponse({"error": "没有这个文件"}, status_code=404)
        path = root / FILES[name]
        if not path.is_file():
            return JSONResponse({"error": "前端组件没有装好，请运行 ./onemap up"}, status_code=503)
        versioned = {"x-onemap-versioned": "1"} if v else {}
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=versioned)

    return routes
