"""Processes (流程), for the system administrator and dispatchers: versions, running cases, the picture, who may take which step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from psycopg import Connection
from psycopg.rows import class_row
from starlette.requests import Request
from starlette.responses import Response

from dashboard.http.admin.office import Office
from dashboard.http.answers import said
from gis.cases import diagram, machine
from gis.cases.catalogue import Processes, digest
from gis.cases.deadline import Classes
from gis.cases.definition import Process, Transition
from gis.errors import NotFound, OnemapError, SetupProblem
from gis.store.queries import load_queries

CLOCKS = {"waits": "还没开始计时", "runs": "计时", "paused": "停表", "stopped": "已停表"}
_RELATIONS = {
    "place": "管这个地方的人", "assignee": "责任人", "unit": "责任单位", "head": "单位负责人", "reporter": "上报人",
    "other_grid": "回访人", "system": "系统",
}  # fmt: skip
_STAGES = {"before": "处理前", "after": "处理后", "evidence": "取证", "confirm": "确认"}
# The picture comes alone: nothing in it may load or run anything.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Standing:
    """One published version and the cases that run by it."""

    process: str
    version: int
    name: str
    published_at: datetime
    cases: int
    open: int


def add_routes(routes: APIRouter, office: Office) -> None:
    """Add ``/admin/processes``, ``/admin/processes/{name}`` and ``/api/processes/{name}/diagram.svg``."""
    processes = Processes.load(office.settings.data)

    async def chosen(request: Request) -> Process:
        """The process of the address; `?version=` asks for an older one."""
        name, asked = str(request.path_params["name"]), request.query_params.get("version", "")
        process = processes.current(name)
        if asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked) != process.version:
            return await office.ask(processes.of, name, int(asked))
        return process

    async def show_all(request: Request) -> Response:
        standing = await office.ask(read_standing)
        known = {(s.process, s.version) for s in standing}
        waiting = [p for p in processes.current_by_id.values() if (p.process, p.version) not in known]
        return office.page(
            request, "admin_processes.html", standing=standing, waiting=waiting, current=processes.current_by_id,
            classes=list(processes.classes.by_code.values()), length=lambda c: c.length,
        )  # fmt: skip

    async def show_one(request: Request) -> Response:
        try:
            process = await chosen(request)
        except NotFound as error:
            return office.page(request, "admin_absent.html", error=error, home="/admin/processes")
        missing: SetupProblem | None = None
        try:
            await office.thread(diagram.svg, process)
        except SetupProblem as e:
            missing = e
        standing = [s for s in await office.ask(read_standing) if s.process == process.process]
        return office.page(
            request, "admin_process.html", process=process, standing=standing, missing=missing, clocks=CLOCKS,
            is_current=process.version == processes.current(process.process).version, mark=digest(process)[:12],
            states={s.id: s for s in process.state}, limits=limits(process, processes.classes),
            steps=[step_line(t, process, office) for t in process.transition],
            told=lambda relations: "、".join(_RELATIONS[r] for r in relations),
            step_name=lambda t: process.transition_of(t).name,
        )  # fmt: skip

    async def picture(request: Request) -> Response:
        try:
            drawing = await office.thread(diagram.svg, await chosen(request))
        except OnemapError as error:
            status = 503 if isinstance(error, SetupProblem) else error.status
            return said(status, type(error).__name__, error.message, error.next_step)
        return Response(
            drawing, media_type="image/svg+xml",
            headers={"Content-Security-Policy": _PICTURE_POLICY, "Cache-Control": "private, max-age=300"},
        )  # fmt: skip

    routes.add_route("/admin/processes", show_all, methods=["GET"], include_in_schema=False)
    routes.add_route("/admin/processes/{name}", show_one, methods=["GET"], include_in_schema=False)
    routes.add_route("/api/processes/{name}/diagram.svg", picture, methods=["GET"], include_in_schema=False)


def read_standing(conn: Connection[Any]) -> list[Standing]:
    """Every published version, newest first within a process."""
    with conn.cursor(row_factory=class_row(Standing)) as cursor:
        return cursor.execute(load_queries("processes")["versions"]).fetchall()


def limits(process: Process, classes: Classes) -> dict[str, str]:
    """How long a case may stay in a state, by state; nothing where there is no limit."""
    return {s.id: classes.of(s.within).length for s in process.state if s.within}


def step_line(step: Transition, process: Process, office: Office) -> dict[str, Any]:
    """A step as the table shows it."""
    names = {s.id: s.name for s in process.state}
    roles = {role.id: role.name for role in office.roles.by_id.values()}
    asked = [f.name + ("" if f.required else "（可不填）") for f in step.form]
    asked += ["原因"] if step.reason else []
    asked += [f"{_STAGES[e.stage]}照片 {e.at_least} 张" for e in step.evidence]
    return {
        "name": step.name,
        "id": step.id,
        "source": "、".join(names[s] for s in step.source),
        "to": names[step.to] if step.to else "不变",
        "who": [machine.who_in_words(w, roles=roles, permissions=office.roles.sentences) for w in step.who],
        "asked": "、".join(asked),
        "told": "、".join(_RELATIONS[r] for r in step.notify),
        "public": step.public,
    }
