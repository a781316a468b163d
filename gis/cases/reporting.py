"""Taking a report: checked, numbered, its first event, its photos, its answer and its audit row in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import shapely
from psycopg import Connection
from psycopg.types.json import Jsonb

from gis.access.audit import record
from gis.access.crypt import Keys
from gis.access.masking import mask_name, mask_phone
from gis.access.principal import Principal, current
from gis.access.roles import Roles
from gis.cases import effects, follow, place, wording
from gis.cases.catalogue import Processes
from gis.cases.change import COLUMNS, Change, Desk
from gis.cases.clocks import Clocks, Running
from gis.cases.definition import Effect, Process, Transition
from gis.cases.forms import validate
from gis.cases.machine import Actor, may_report
from gis.cases.model import ActorKind, Receipt, Report, Upload
from gis.cases.parts import split, write_parts
from gis.cases.routing import Duties, first_level
from gis.clock import now
from gis.errors import BadInput, BadRequest, Conflict, Forbidden, StorageFull
from gis.store.pool import Pool
from gis.store.queries import load_queries

_OLDEST = timedelta(days=14)  # a phone may have been out of reach that long; older clocks are wrong
_LONGEST = {
    "title": 120,
    "detail": 4000,
    "reporter_name": 40,
    "reporter_phone": 30,
    "reporter_address": 200,
    "external_ref": 120,
}
_MOST_PHOTOS = 9
# What a process may set of a case that begins (on_report).
_AT_ONCE = frozenset(
    {
        "item_code",
        "deadline_class",
        "due_at",
        "warn_at",
        "clock",
        "clock_state",
        "unit",
        "assignee_id",
        "accepted_at",
        "level",
    }
)


@dataclass(frozen=True)
class _Ready:
    """A report that passed every check that needs no store."""

    report: Report
    process: Process
    title: str
    place: place.Place | None
    extent: str | None
    answers: dict[str, Any]
    secrets: dict[str, tuple[str, str]]
    reported_at: datetime
    digest: bytes


class Reporting:
    """Takes reports.

    Parameters
    ----------
    pool : Pool
        Where they are written, as whoever reports.
    clocks, duties : Clocks, Duties
        Deadlines by item, and who gets what; for processes whose cases begin at work.
    keys : Keys
        Seal the reporter and make the code.
    """

    def __init__(
        self, pool: Pool, *, processes: Processes, clocks: Clocks, duties: Duties, roles: Roles, keys: Keys
    ) -> None:
        self._pool = pool
        self._lists = processes.lists
        self._clocks = clocks
        self._duties = duties
        self._roles = roles
        self._keys = keys
        self._sql = load_queries("cases")

    def report(self, report: Report, process: Process, *, principal: Principal | None) -> Receipt:
        """Take one report; durable when this returns.

        Raises
        ------
        BadRequest, BadInput
            What is wrong with it; nothing was stored.
        Forbidden
            When this kind of person may not report this process.
        Conflict
            When another report was sent under the same key.
        """
        actor = self._actor(principal)
        if not may_report(process, actor):
            raise Forbidden(
                f"{'没有登录，' if principal is None else '您的角色'}不能提交{process.name}。",
                next_step="请登录后再试。" if principal is None else "需要时请联系本县的安全管理员。",
            )
        ready = self._checked(report, process, principal)
        code = follow.code_of(self._keys, report.key)
        held = None if principal else follow.hash_of(code)
        try:
            with self._pool.writing(principal=principal, follow=held) as conn:
                known, ids = self._claim(conn, ready)
                if known is not None:
                    return _again(known, code)
                return self._write(conn, ready, ids, code, actor)
        except psycopg.errors.UniqueViolation as e:
            if (e.diag.constraint_name or "").startswith("case_file_external"):
                raise Conflict("这个编号的事件已经报过了。", next_step="用原来的编号查询进度。") from e
            raise Conflict("这次提交和另一次冲突了。", next_step="请再提交一次。") from e
        except psycopg.errors.InsufficientPrivilege as e:
            raise Forbidden("这里不能上报。", next_step="请确认账号有上报权限和责任区域。") from e
        except psycopg.errors.CheckViolation as e:
            raise BadInput("上报的内容不合要求，没有保存。", next_step="核对位置和日期后再提交。") from e

    def _actor(self, principal: Principal | None) -> Actor:
        """Whoever reports is the reporter; a signed-in person is also where their scope is."""
        if principal is None:
            return Actor("reporter", None, frozenset({"reporter"}))
        role = self._roles.of(principal.role)
        kind: ActorKind = "partner" if principal.role == "partner" else "account"
        return Actor(kind, principal, frozenset({"reporter", "place"}), role.level if role else None)

    def _checked(self, report: Report, process: Process, principal: Principal | None) -> _Ready:
        follow.clean_key(report.key)
        for name, longest in _LONGEST.items():
            text = getattr(report, name)
            if text is not None and (not isinstance(text, str) or len(text) > longest or "\x00" in text):
                raise BadRequest(
                    f"{wording.FIELDS[name]}太长或有不能保存的字符，最多 {longest} 字。", next_step="请缩短后再提交。"
                )
        if len(report.photos) > _MOST_PHOTOS:
            raise BadRequest(f"照片最多 {_MOST_PHOTOS} 张。", next_step="请去掉几张再提交。")
        item = self._item(process, report.item_code)
        title = report.title.strip() or report.detail.strip()[:30] or (item or {}).get("name", "")
        if not title:
            raise BadRequest("没有说是什么事。", next_step="写一句话，或选一个事项。")
        if principal is None and report.channel != "public":
            raise Forbidden("没有登录，只能作为群众上报。", next_step="请登录后再上报。")
        if report.channel not in self._lists.rows("incident_channel"):
            raise BadRequest(
                f"没有来源 {report.channel[:20]}。", next_step="来源代码见 data/codelists/incident_channel.csv。"
            )
        accuracy = report.accuracy_m
        if accuracy is not None and not 0 <= accuracy <= 100_000:
            raise BadRequest("位置精度不对。", next_step="重新定位。")
        lies = place.position(report.lonlat, report.source_crs)
        drawn = place.extent(report.extent)
        if lies is None and drawn is not None:
            inner = shapely.point_on_surface(drawn)  # on a line: a point of the line
            lies = place.Place(float(inner.x), float(inner.y), "EPSG:4490")
        if (
            lies is None
            and process.needs_place
            and principal is None
            and not report.photos
            and not report.detail.strip()
        ):
            raise BadRequest("既没有位置，也没有照片或说明。", next_step="请定位、拍照，或写明地点。")
        answers, secrets = validate(process.report, report.answers, lists=self._lists, items=process.items)
        today = now()
        at = report.reported_at
        if at is None or at.tzinfo is None or not today - _OLDEST <= at <= today:
            at = today
        return _Ready(
            report=report, process=process, title=title, place=lies, extent=None if drawn is None else shapely.to_wkt(drawn, rounding_precision=9),
            answers=answers, secrets=secrets, reported_at=at, digest=digest_of(report),
        )  # fmt: skip

    def _item(self, process: Process, code: str | None) -> dict[str, str] | None:
        if code is None or process.items is None:
            return None
        listed = self._lists.rows(process.items)
        if code not in listed:
            raise BadRequest(f"没有事项 {code[:20]}。", next_step="请重新选择事项，或不选。")
        return listed[code]

    def _claim(self, conn: Connection[Any], ready: _Ready) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Hold the key, and ask everything there is to ask, in one message: an earlier answer, numbers, the place."""
        named = {"key": ready.report.key, "digest": ready.digest}
        with conn.pipeline():
            conn.execute(self._sql["claim"], named)
            earlier = conn.execute(self._sql["submission"], named)
            ids = conn.execute(self._sql["next_case"])
            inside = conn.execute(place.inside_query(), {"geom": ready.place.ewkt}) if ready.place else None
        known = earlier.fetchone()
        if known is not None and known["is_same"] is not None:
            if not known["is_same"]:
                raise BadInput(
                    "这个提交凭据已经用过，内容却不一样，没有保存。", next_step="新的上报请换一个新的 Idempotency-Key。"
                )
            return known["answer"], {}
        lies = inside.fetchone() if inside is not None else None
        place.require_inside(lies)
        return None, {**(ids.fetchone() or {}), **(lies or {})}

    def _write(self, conn: Connection[Any], ready: _Ready, ids: Mapping[str, Any], code: str, actor: Actor) -> Receipt:
        """Everything at once, in one message; the number of the day and the audit head are held from here to the commit."""
        report, process, case_id, principal = ready.report, ready.process, ids["case_id"], actor.principal
        state = process.state_of(process.initial)
        running = self._begun(conn, ready, ids, actor)
        words = {
            "state": state.id, "state_name": state.public_name, "due_words": running.said,
            "due_at": None if running.due_at is None else running.due_at.isoformat(),
        }  # fmt: skip
        secrets = [
            {"case_id": case_id, "revision": 0, "field": field, "masked": masked,
             "value": self._keys.encrypt(clear, table="personal.case_secret", row=f"{case_id}/0", field=field)}
            for field, (clear, masked) in ready.secrets.items()
        ]  # fmt: skip
        holder = current.set(principal) if principal is not None else None
        try:
            with conn.pipeline():
                conn.execute(self._sql["report"], self._row(ready, case_id, state.id, principal) | running.columns)
                conn.execute(self._sql["reporter"], self._reporter(report, case_id, code))
                event = {
                    "event_id": ids["event_id"], "case_id": case_id, "revision": 0, "transition": "report", "from_state": None,
                    "to_state": state.id, "actor_kind": actor.kind, "account_id": principal.account_id if principal else None,
                    "actor_name": principal.display_name if principal else "上报人", "note": None, "data": Jsonb(ready.answers),
                    "due_before": None, "due_after": running.due_at, "is_public": True,
                }  # fmt: skip
                conn.execute(self._sql["event"], event)
                for secret in secrets:
                    conn.execute(self._sql["secret"], secret)
                write_photos(conn, report.photos, case_id=case_id, event_id=ids["event_id"], is_public=False)
                if ready.extent is not None and "split" in process.on_report:
                    write_parts(conn, split(conn, case_id))
                kept = {"key": report.key, "digest": ready.digest, "case_id": case_id, "answer": json.dumps(words)}
                conn.execute(self._sql["submission_keep"], kept)
                number = conn.execute(self._sql["number_of"], {"case_id": case_id})
                record(conn, action="case.report", object_kind="case", object_id=case_id,
                       detail={"process": process.process, "channel": report.channel, "photos": len(report.photos)})  # fmt: skip
        except psycopg.errors.DiskFull as e:
            raise StorageFull("服务器的磁盘满了，没有保存。", next_step="请过一会儿再提交；手机上的内容还在。") from e
        finally:
            if holder is not None:
                current.reset(holder)
        found = number.fetchone()
        assert found is not None
        return Receipt(
            case_no=found["case_no"], follow_code=code, state=state.id, state_name=state.public_name, due_at=running.due_at,
            due_words=running.said,
        )  # fmt: skip

    def _begun(self, conn: Connection[Any], ready: _Ready, ids: Mapping[str, Any], actor: Actor) -> Running:
        """The clock of the new case, and what its process does with it at once (on_report): a task begins assigned."""
        process, item = ready.process, ready.report.item_code
        item = item or ready.answers.get("item")
        begun = self._clocks.at_report(process, item_code=item, start=now(), state=process.state_of(process.initial))
        at_once: list[Effect] = [e for e in process.on_report if e != "split"]  # split needs the row; it follows
        columns = {"item_code": item, "unit": None, "assignee_id": None, "accepted_at": None, **begun.columns}
        if not at_once:
            return Running(columns, begun.due_at, begun.said)
        case = dict.fromkeys(COLUMNS) | columns | {
            "case_id": ids["case_id"], "state": process.initial, "clock": None, "clock_state": "waits", "due_at": None, "reopened": 0,
            "grid_code": ids.get("grid_code"), "village_code": ids.get("village_code"), "township_code": ids.get("township_code"),
            "level": self._level(ready), "reported_at": now(), "office_hours": None, "has_extent": False, "parts": 0,
            "reporter_id": actor.principal.account_id if actor.principal else None,
        }  # fmt: skip
        step = Transition(
            id="report",
            name="上报",
            name_en="Report",
            source=[process.initial],
            who=process.who_reports,
            effects=at_once,
        )
        change = Change(case, process, step, actor, ready.answers | ({"item": item} if item else {}), {}, "", now())
        effects.apply(change, Desk(conn, self._clocks, self._duties, load_queries("cases"), self._lists))
        kept = {k: v for k, v in change.columns.items() if k in _AT_ONCE}
        said = next((t for t in change.told if "→" in t), begun.said)
        return Running(columns | kept, kept.get("due_at", begun.due_at), said)

    def _level(self, ready: _Ready) -> int:
        item = ready.report.item_code or ready.answers.get("item")
        return first_level(self._lists, ready.process.items, item, placed=ready.place is not None)

    def _row(self, ready: _Ready, case_id: int, state: str, principal: Principal | None) -> dict[str, Any]:
        report, process = ready.report, ready.process
        day = now().date()
        return {
            "case_id": case_id, "prefix": process.prefix, "day": day, "process": process.process, "version": process.version,
            "state": state, "channel": report.channel, "title": ready.title,
            "detail": report.detail.strip() or None, "data": Jsonb(ready.answers), "reported_at": ready.reported_at,
            "level": self._level(ready), "reporter_id": principal.account_id if principal else None,
            "asset_kind": report.asset[0] if report.asset else None, "asset_id": report.asset[1] if report.asset else None,
            "source_crs": ready.place.source_crs if ready.place else None, "accuracy_m": report.accuracy_m,
            "external_ref": report.external_ref or None, "swept": "on_track", "geom": ready.place.ewkt if ready.place else None,
            "extent": None if ready.extent is None else f"SRID=4490;{ready.extent}",
        }  # fmt: skip

    def _reporter(self, report: Report, case_id: int, code: str) -> dict[str, Any]:
        fields = {"name": report.reporter_name, "phone": report.reporter_phone, "address": report.reporter_address}
        clear = {field: (text or "").strip() or None for field, text in fields.items()}
        sealed = {
            field: None
            if text is None
            else self._keys.encrypt(text, table="personal.reporter", row=case_id, field=field)
            for field, text in clear.items()
        }
        return {
            "case_id": case_id, "follow": follow.hash_of(code), **sealed, "name_masked": mask_name(clear["name"]),
            "phone_masked": mask_phone(clear["phone"]), "address_masked": _first_half(clear["address"]),
            "phone_key": self._keys.lookup(clear["phone"], field="phone"),
        }  # fmt: skip


def write_photos(
    conn: Connection[Any], photos: tuple[Upload, ...], *, case_id: int, event_id: int, is_public: bool
) -> None:
    """One row a photo, and one job that re-encodes them."""
    queries = load_queries("cases")
    for photo in photos:
        values = asdict(photo) | {"case_id": case_id, "event_id": event_id, "is_public": is_public}
        values["geom"] = None if photo.lonlat is None else f"SRID=4490;POINT({photo.lonlat[0]!r} {photo.lonlat[1]!r})"
        conn.execute(queries["photo"], values)
    if photos:
        conn.execute(queries["defer"], {"task": "photo.encode", "args": Jsonb({"case_id": case_id})})


def digest_of(sent: Report | Any) -> bytes:
    """SHA-256 of everything that was sent, photos by their hashes: the same key with another digest is another report."""
    plain = asdict(sent)
    plain.pop("key", None)
    text = json.dumps(
        plain, ensure_ascii=False, sort_keys=True, default=lambda v: v.hex() if isinstance(v, bytes) else str(v)
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _again(answer: dict[str, Any], code: str) -> Receipt:
    due = answer.get("due_at")
    return Receipt(
        case_no=answer["case_no"], follow_code=code, state=answer["state"], state_name=answer.get("state_name", ""),
        due_at=None if due is None else datetime.fromisoformat(due), due_words=answer["due_words"], repeated=True,
    )  # fmt: skip


def _first_half(text: str | None) -> str | None:
    return None if text is None else text[: len(text) // 2] + "*" * (len(text) - len(text) // 2)
