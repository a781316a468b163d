"""The report per unit as a file: the figures of the page, with every numerator and denominator, safe to open in a spreadsheet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
from defusedcsv import csv
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dashboard.callbacks.desk_report import Report, period
from dashboard.headers import current_language
from dashboard.http.answers import said
from dashboard.text import Catalogue, catalogue
from gis.access.principal import current
from gis.errors import OnemapError

COLUMNS = (
    "unit", "unit_name", "reported", "accepted", "replied", "closed", "due", "on_time", "breached", "reopened", "rated", "satisfied",
    "response_p50_min", "response_p90_min",
)  # fmt: skip


def router(report: Report) -> APIRouter:
    """Return the route ``/desk/reports.csv``."""
    routes = APIRouter()

    async def answer(request: Request) -> Response:
        _, start, end = period(dict(request.query_params))
        principal, t = request.state.principal, catalogue(current_language.get())

        def read() -> Sequence[Mapping[str, Any]]:
            holder = current.set(principal)
            try:
                return report.lines(start, end)
            finally:
                current.reset(holder)

        try:
            lines = await anyio.to_thread.run_sync(read)
        except OnemapError as e:
            return said(e.status, type(e).__name__, e.message, e.next_step)
        return Response(
            written(t, lines), media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="units-{start}-{end}.csv"', "Cache-Control": "no-store"},
        )  # fmt: skip

    routes.add_api_route("/desk/reports.csv", answer, methods=["GET"], include_in_schema=False)
    return routes


def written(t: Catalogue, lines: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the file: UTF-8 with a mark that makes a spreadsheet read Chinese, cells that look like formulas neutralised."""
    text = io.StringIO()
    sheet = csv.writer(text)
    sheet.writerow([t(f"desk.csv.{name}") for name in COLUMNS])
    for line in lines:
        sheet.writerow(["" if line.get(name) is None else round(v, 1) if isinstance(v := line[name], float) else v for name in COLUMNS]
                       if not line.get("sum") else [t("desk.report.sum"), "", *(line.get(name, "") if line.get(name) is not None else "" for name in COLUMNS[2:])])  # fmt: skip
    return text.getvalue().encode("utf-8-sig")
