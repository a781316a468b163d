"""Pages that are planned and not built (data/planned.toml): each says so, and leads to the map."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboard.headers import current_language
from dashboard.http.render import render
from dashboard.text import catalogue
from gis.errors import DefinitionError

_FILE = "planned.toml"


class Planned(BaseModel):
    """One page to come: its address, its name, and one honest sentence, in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    address: str = Field(pattern=r"^/[a-z][a-z/-]*$")
    name: str
    name_en: str
    says: str
    says_en: str


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid")
    page: list[Planned] = []


def read_planned(data: Path) -> tuple[Planned, ...]:
    """Read and check the list.

    Raises
    ------
    DefinitionError
        When it does not parse or lacks something.
    """
    try:
        listed = _List.model_validate(tomllib.loads((data / _FILE).read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as e:
        raise DefinitionError(f"{_FILE} 读不了：{e}", next_step="改正后再启动。") from e
    return tuple(listed.page)


def router(pages: Sequence[Planned]) -> APIRouter:
    """Return a route for each: 404, because there is nothing yet, in words a person understands."""
    routes = APIRouter()
    for page in pages:
        routes.add_route(page.address, _shown(page), methods=["GET"], include_in_schema=False)
    return routes


def _shown(page: Planned) -> Callable[[Request], HTMLResponse]:
    def show(request: Request) -> HTMLResponse:
        t = catalogue(current_language.get())
        english = t.language == "en"
        body = render(
            "planned.html",
            language="en" if english else "zh-CN",
            app=t("app.name"),
            title=t("planned.head", name=page.name_en if english else page.name),
            says=page.says_en if english else page.says,
            to_map=t("planned.map"),
            home="/?lang=en" if english else "/",
        )
        return HTMLResponse(body, status_code=404)

    return show
