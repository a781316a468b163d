"""The page every address under /m begins as: no person in it, so that a phone may keep it and start without a network."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboard import vendor
from dashboard.text import Language, catalogue
from gis.codelists import codelist
from gis.settings import Settings

_HERE = Path(__file__).resolve().parent
STATIC = _HERE / "static"
# In the order they need each other. The service worker takes the first ones too: who sends must not depend on a page.
SHARED = ("10-store.js", "20-send.js")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".svg": "image/svg+xml"}

# Stricter than the map's: no inline script, no hash, nobody else's host; the service worker is a file of ours, MapLibre
# starts its worker from a blob.
CSP = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
        "font-src 'self'", "worker-src 'self' blob:", "manifest-src 'self'", "base-uri 'none'", "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)  # fmt: skip


class Shell:
    """Page, worker and manifest of one application, each a text with the version of all its files in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pages = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self.files = {path.name: _TYPES[path.suffix] for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES}

    @cached_property
    def version(self) -> str:
        """One word that changes when any file of the phone, a word or a library does."""
        parts = [*STATIC.iterdir(), *(_HERE / "templates").iterdir(), *(_HERE.parent / "text").glob("*.toml")]
        digest = hashlib.sha256(vendor.version(self._settings).encode())
        for path in sorted(p for p in parts if p.is_file()):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    def page(self, language: Language) -> str:
        """Return the HTML; the same for everybody who reads `language`."""
        t = catalogue(language)
        config = {
            "language": language,
            "version": self.version,
            "vendor": vendor.version(self._settings),
            "words": t.under("phone"),
            "items": _items(language),
            # What a village's name on the map need not say: it is a village.
            "committees": ["居民委员会", "村民委员会", "居委会", "村委会"],
        }
        # "</" would end the element; inside JSON it may be written "<\/".
        safe = json.dumps(config, ensure_ascii=False).replace("</", "<\\/")
        return self._pages.get_template("shell.html").render(
            t=t, language="zh-CN" if language == "zh" else "en", version=self.version, vendor=vendor.version(self._settings),
            config=safe, scripts=self._scripts(), manifest="/m/manifest.webmanifest" + ("?lang=en" if language == "en" else ""),
        )  # fmt: skip

    def worker(self) -> str:
        """Return the service worker with the list of what to keep, small things first."""
        v, lib = self.version, vendor.version(self._settings)
        own = [f"/m/a/{name}?v={v}" for name in self.files if not name.endswith(".png")]
        # A style sheet cannot know the version of the typeface, so that is kept under its plain address.
        libraries = [f"/vendor/idb.js?v={lib}", "/vendor/inter-latin.woff2"]
        heavy = [f"/vendor/{name}?v={lib}" for name in ("maplibre-gl.js", "maplibre-gl.css")]
        return self._pages.get_template("sw.js").render(
            version=v,
            needed=json.dumps(["/m", "/m?lang=en", *own, *libraries]),
            heavy=json.dumps(heavy),
            imports=json.dumps([f"/vendor/idb.js?v={lib}", *(f"/m/a/{name}?v={v}" for name in SHARED)]),
        )

    def manifest(self, language: Language) -> dict[str, object]:
        """Return what a phone needs to put the page on its home screen."""
        t = catalogue(language)
        start = "/m" + ("?lang=en" if language == "en" else "")
        return {
            "id": "/m", "name": t("phone.name"), "short_name": t("phone.short_name"), "description": t("phone.about"),
            "lang": "zh-CN" if language == "zh" else "en", "start_url": start, "scope": "/m", "display": "standalone",
            "orientation": "portrait", "background_color": "#F4F5F2", "theme_color": "#F4F5F2",
            "icons": [
                {"src": f"/m/a/icon-192.png?v={self.version}", "sizes": "192x192", "type": "image/png", "purpose": "any"},
                {"src": f"/m/a/icon-512.png?v={self.version}", "sizes": "512x512", "type": "image/png", "purpose": "any"},
                {"src": f"/m/a/icon-maskable-512.png?v={self.version}", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
            ],
            "shortcuts": [
                {"name": t("phone.tab.report"), "url": "/m/report"},
                {"name": t("phone.tab.mine"), "url": "/m/mine"},
            ],
        }  # fmt: skip

    def _scripts(self) -> list[str]:
        return [name for name, kind in self.files.items() if kind == "text/javascript"]


def _items(language: Language) -> list[dict[str, str]]:
    """The items a report can be of, with their category and how soon they are answered; the commonest know their weight."""
    english, t = language == "en", catalogue(language)
    classes = codelist("deadline_class")
    return [
        {
            "code": code, "name": (english and row.get("name_en")) or row["name"], "category": t(f"phone.category.c{row['category_code']}"), "weight": row["weight"],
            "unit": classes[row["deadline"]]["unit"], "amount": classes[row["deadline"]]["amount"],
        }
        for code, row in codelist("incident_item").items()
    ]  # fmt: skip
