"""Taking an import of cases back: what it added goes with its lines of history, unless somebody here has worked on it."""

from __future__ import annotations

from psycopg import Connection

from gis.access import audit
from gis.errors import BadRequest
from gis.store.queries import load_queries


def undo_cases(conn: Connection, load_id: int) -> dict[str, int]:
    """Remove the cases a load added, in the caller's transaction; the load is marked undone already.

    Cases of earlier loads that this one updated stay as it left them: what they were before is not kept twice.

    Raises
    ------
    BadRequest
        Somebody has taken a step on one of them, or photos, call-backs or other cases stand on them.
    """
    queries, bound = load_queries("imports_cases"), {"load_id": load_id}
    row = conn.execute(queries["later"], bound).fetchone()
    assert row is not None
    handled, hung, joined = row
    if handled:
        raise BadRequest(
            f"这批有 {handled:,} 件在本系统里已有人办理，撤销会把他们的办理记录一起删掉，没有撤销。",
            next_step="有错的改正源数据后再导入一次（会更新，不会重复）；本地已办理的以本地为准。",
        )
    if hung or joined:
        raise BadRequest(
            f"这批办件上有 {hung:,} 份照片、回访或分办，另有 {joined:,} 件并入了它们，没有撤销。",
            next_step="改正源数据后再导入一次（会更新，不会重复）。",
        )
    stay = conn.execute(queries["updated_by"], bound | {"note": f"%，批次 {load_id}"}).fetchone()
    gone = conn.execute(queries["undo"], bound).fetchone()
    assert gone is not None
    assert stay is not None
    audit.record(conn, action="case.import_undone", object_kind="load", object_id=load_id, detail={"cases": gone[0]})
    return {"办件": gone[0], "经过": gone[1], "上报人": gone[2], "只更新过、保留现值的办件": stay[0]}
