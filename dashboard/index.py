"""The page Dash starts from: libraries in the order they need each other, and what the script must know at once."""

from __future__ import annotations

import json
import re

from dashboard import vendor
from dashboard.headers import current_language, current_page
from dashboard.text import catalogue
from gis.codelists import codelist
from gis.settings import Settings

_LOADING = re.compile(r'<div class="_dash-loading">.*?</div>', re.DOTALL)
# Files of assets/ by number: 20-59 are the map's page, 80-89 the desk's, the others everybody's.
_MAP_ONLY = re.compile(r'<script src="/assets/[2-5][0-9]-[^"]*"></script>\s*')
_DESK_ONLY = re.compile(r'<script src="/assets/8[0-9]-[^"]*"></script>\s*')

# Leaflet comes with dash-leaflet, inside {scripts}; the bridge to MapLibre needs both before the renderer starts.
_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="theme-color" content="#FFFFFF">
<title>{title}</title>
<link rel="icon" href="/assets/mark.svg" type="image/svg+xml">
<link rel="preload" href="/vendor/inter-latin.woff2?v={version}" as="font" type="font/woff2" crossorigin>
<style>
@font-face {{font-family:"Inter Variable";font-weight:100 900;font-display:block;
src:url("/vendor/inter-latin.woff2?v={version}") format("woff2");
unicode-range:U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+2000-206F,U+20AC,U+2122,U+2191,U+2193,U+2212}}
@font-face {{font-family:"Inter Variable";font-weight:100 900;font-display:swap;
src:url("/vendor/inter-latin-ext.woff2?v={version}") format("woff2");unicode-range:U+0100-02BA,U+1E00-1E9F,U+2C60-2C7F}}
</style>
<link rel="stylesheet" href="/vendor/maplibre-gl.css?v={version}">
<script src="/vendor/maplibre-gl.js?v={version}"></script>
{css}
</head>
<body>
{app_entry}
<noscript>{noscript}</noscript>
<script id="onemap-config" type="application/json">{settings}</script>
<footer>
{config}
{scripts}
<script src="/vendor/leaflet-maplibre-gl.js?v={version}"></script>
{renderer}
</footer>
</body>
</html>"""


class Index:
    """Builds the page of one application."""

    def __init__(self, settings: Settings) -> None:
        self._version = vendor.version(settings)
        self._tianditu = settings.tianditu_key

    def page(self, **parts: str) -> str:
        """Return the HTML, in the language of the request."""
        t, desk = catalogue(current_language.get()), current_page.get().startswith("/desk")
        parts["scripts"] = (_MAP_ONLY if desk else _DESK_ONLY).sub("", parts["scripts"])
        settings = {
            "language": t.language,
            "words": t.under("error") | t.under("map") | {k: t("card." + k) for k in ("copied", "copy")},
            **({"desk": t.under("desk.script")} if desk else {}),
            "landColors": {code: row.get("color") or "#E3E3DE" for code, row in codelist("land_class").items()},
            "tianditu": self._tianditu,
        }
        # "</" would end the element; inside JSON it may be written "<\/".
        safe = json.dumps(settings, ensure_ascii=False).replace("</", "<\\/")
        return _PAGE.format(
            language="zh-CN" if t.language == "zh" else "en", title=t("desk.title") if desk else t("app.name"), version=self._version, settings=safe,
            noscript=t("app.noscript"), app_entry=_frame(parts["app_entry"], t("desk.loading") if desk else t("app.loading"), desk=desk),
            **{k: parts[k] for k in ("css", "config", "scripts", "renderer")},
        )  # fmt: skip


def _frame(entry: str, words: str, *, desk: bool) -> str:
    """Put the page's empty frame where Dash says Loading: what comes, comes into its place."""
    kind = "frame frame-desk" if desk else "frame"
    frame = f'<div class="{kind}" aria-hidden="true"><b></b><i></i><span>{words}</span><i></i></div>'
    return _LOADING.sub(f'<div class="_dash-loading">{frame}</div>', entry)
