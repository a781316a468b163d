"""A step of a case: one transaction with everything in it, and the store itself deciding between two people at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from gis.access.audit import record
from gis.access.crypt import Keys
from gis.access.principal import Principal, current
from gis.access.roles import Roles
from gis.cases import effects, follow, wording
from gis.cases.catalogue import Processes
from gis.cases.change import COLUMNS, Change, Desk
from gis.cases.clocks import Clocks
from gis.cases.definition import Process, Relation, State, Transition
from gis.cases.machine import Actor, check
from gis.cases.model import ActorKind, Taken
from gis.cases.notice import actor_name, of_transition
from gis.cases.parts import require_done, write_parts
from gis.cases.reporting import digest_of, write_photos
from gis.cases.routing import Duties
from gis.clock import now
from gis.errors import BadInput, BadRequest, Conflict, Forbidden, NotFound, StorageFull
from gis.store.pool import Pool
from gis.store.queries import load_queries

_MOST_PHOTOS = 9
_NOTE = 1000
_TIMES = frozenset(
    {"accepted_at", "responded_at", "due_at", "warn_at", "done_at", "closed_at", "ended_at", "supervised_at"}
)
ABSENT = NotFound("没有这件办件。", next_step="请核对编号；别的乡镇的办件在这里看不到。")


class Acting:
    """Takes steps.

    Parameters
    ----------
    pool : Pool
        Role app for people; role job for what the system does by itself.
    """

    def __init__(
        self, pool: Pool, *, processes: Processes, clocks: Clocks, duties: Duties, roles: Roles, keys: Keys
    ) -> None:
        self._pool = pool
        self._processes = processes
        self._clocks = clocks
        self._duties = duties
        self._roles = roles
        self._keys = keys
        self._sql = load_queries("cases")

    def act(
        self, taken: Taken, *, principal: Principal | None = None, held: bytes | None = None, key: str | None = None,
        system: bool = False,
    ) -> str:  # fmt: skip
        """Take one step; returns the case's number.

        Parameters
        ----------
        held : SHA-256 of a follow code: the reporter acts.
        key : the sender's own key: the same step under the same key is taken once and answered alike.
        system : the system acts (role job).

        Raises
        ------
        NotFound, Forbidden, BadRequest
            What stands in the way.
        Conflict
            Somebody else was quicker; says who did what when.
        """
        _sound(taken)
        try:
            with self._pool.writing(principal=principal, follow=held) as conn:
                if key is not None and self._claimed(conn, taken, key):
                    return taken.case_no
                case = self._load(conn, taken.case_no)
                process = self._processes.of(conn, case["process"], case["process_version"])
                actor = self._actor(case, principal=principal, held=held, system=system)
                if case["revision"] != taken.revision:
                    raise self._late(conn, case, process)
                if taken.transition == "undo":
                    self._undo(conn, case, process, actor)
                else:
                    self._take(conn, taken, case, process, actor)
                if key is not None:
                    kept = {"key": key, "digest": digest_of(taken), "case_id": case["case_id"]}
                    conn.execute(
                        self._sql["submission_keep_step"], kept | {"answer": Jsonb({"case_no": taken.case_no})}
                    )
                holder = current.set(principal)
                try:
                    record(
                        conn, action=f"case.{taken.transition}", object_kind="case", object_id=case["case_id"],
                        reason=taken.note or None,
                        detail={"case_no": case["case_no"], "from": case["state"], "revision": case["revision"] + 1},
                    )  # fmt: skip
                finally:
                    current.reset(holder)
                return str(case["case_no"])
        except psycopg.errors.UniqueViolation as e:
            if e.diag.constraint_name != "case_event_case_id_revision_key":
                raise Conflict("这次提交和另一次冲突了。", next_step="请再提交一次。") from e
            with self._pool.reading(principal=principal, follow=held) as conn:
                case = self._load(conn, taken.case_no)
                process = self._processes.of(conn, case["process"], case["process_version"])
                raise self._late(conn, case, process) from e
        except psycopg.errors.InsufficientPrivilege as e:
            raise Forbidden("这一步不归您办。", next_step="需要时请联系派单人或本县的安全管理员。") from e
        except psycopg.errors.CheckViolation as e:
            raise BadRequest("填写的内容不合要求，没有保存。", next_step="核对后再提交。") from e

    def _claimed(self, conn: Connection[Any], taken: Taken, key: str) -> bool:
        """Whether this very step was taken under this key before."""
        named = {"key": follow.clean_key(key), "digest": digest_of(taken)}
        conn.execute(self._sql["claim"], named)
        known = conn.execute(self._sql["submission"], named).fetchone()
        if known is None or known["is_same"] is None:
            return False
        if not known["is_same"]:
            raise BadInput("这个提交凭据已经用过，内容却不一样，没有执行。", next_step="请换一个新的 Idempotency-Key。")
        return True

    def _load(self, conn: Connection[Any], case_no: str) -> dict[str, Any]:
        case: dict[str, Any] | None = conn.execute(self._sql["load"], {"case_no": case_no}).fetchone()
        if case is None:
            raise ABSENT
        return case

    def actor(self, case: Mapping[str, Any], *, principal: Principal | None, held: bytes | None) -> Actor:
        """Who asks, and how they are related to the case."""
        return self._actor(case, principal=principal, held=held, system=False)

    def _actor(
        self, case: Mapping[str, Any], *, principal: Principal | None, held: bytes | None, system: bool
    ) -> Actor:
        if system:
            return Actor(kind="system", principal=None, relations=frozenset({"system"}), level=None)
        if principal is None:
            related: frozenset[Relation] = frozenset({"reporter"}) if held else frozenset()
            return Actor(kind="reporter", principal=None, relations=related, level=None)
        role = self._roles.of(principal.role)
        kind: ActorKind = "partner" if principal.role == "partner" else "account"
        return Actor(
            kind=kind, principal=principal, relations=relations(case, principal), level=role.level if role else None
        )

    def _late(self, conn: Connection[Any], case: Mapping[str, Any], process: Process) -> Conflict:
        event = conn.execute(self._sql["last_event"], {"case_id": case["case_id"]}).fetchone()
        step = step_name(process, event["transition"]) if event else ""
        return Conflict(
            wording.somebody_was_quicker(event, step=step),
            next_step="看过现在的情况，需要的话再操作一次。",
            standing=case["case_no"],
        )

    def _take(self, conn: Connection[Any], taken: Taken, case: dict[str, Any], process: Process, actor: Actor) -> None:
        checked = check(
            process, case["state"], taken.transition, actor, taken.answers, taken.note,
            Counter(photo.stage for photo in taken.photos), deadline_class=case["deadline_class"], lists=self._processes.lists,
        )  # fmt: skip
        change = Change(
            case=case, process=process, transition=checked.transition, actor=actor, answers=checked.answers,
            secrets=checked.secrets, note=checked.note, at=now(),
        )  # fmt: skip
        require_done(change)
        desk = Desk(conn=conn, clocks=self._clocks, duties=self._duties, sql=self._sql, lists=self._processes.lists)
        effects.apply(change, desk)
        if wrong := set(change.columns) - COLUMNS:
            raise AssertionError(f"effects may not write {wrong}")
        notices = of_transition(change, desk)
        before = {k: _plain(case[k]) for k in change.columns} if change.transition.undo_minutes else {}
        hidden = {"_before": before | {"data": case["data"]}} if change.transition.undo_minutes else {}
        told = {"_told": change.told} if change.told else {}
        public = change.transition.public
        self._write(
            conn, case, state=change.target, transition=taken.transition, actor=actor, name=actor_name(change), note=change.note,
            answers=change.answers | hidden | told, public=public, columns=change.columns, data=change.answers, change=change,
            notices=notices, photos=taken,
        )  # fmt: skip

    def _write(
        self, conn: Connection[Any], case: Mapping[str, Any], *, state: State, transition: str, actor: Actor, name: str, note: str,
        answers: dict[str, Any], public: bool, columns: dict[str, Any], data: dict[str, Any] | None, change: Change | None,
        notices: list[dict[str, Any]], photos: Taken | None,
    ) -> None:  # fmt: skip
        """Everything in one message. The event first: UNIQUE (case, revision) decides between two people at once."""
        case_id, revision = case["case_id"], case["revision"] + 1
        found = conn.execute(self._sql["next_event"]).fetchone()
        assert found is not None
        event_id = found["event_id"]
        try:
            with conn.pipeline():
                event = {
                    "event_id": event_id, "case_id": case_id, "revision": revision, "transition": transition,
                    "from_state": case["state"], "to_state": state.id, "actor_kind": actor.kind,
                    "account_id": actor.principal.account_id if actor.principal else None, "actor_name": name, "note": note or None,
                    "data": Jsonb(answers), "due_before": case["due_at"], "due_after": columns.get("due_at", case["due_at"]),
                    "is_public": public,
                }  # fmt: skip
                conn.execute(self._sql["event"], event)
                if change is not None:
                    for field, (clear, masked) in change.secrets.items():
                        sealed = self._keys.encrypt(
                            clear, table="personal.case_secret", row=f"{case_id}/{revision}", field=field
                        )
                        kept = {
                            "case_id": case_id,
                            "revision": revision,
                            "field": field,
                            "value": sealed,
                            "masked": masked,
                        }
                        conn.execute(self._sql["secret"], kept)
                    write_parts(conn, change.parts)
                    for asked in change.callbacks:
                        conn.execute(self._sql["callback"], asked)
                    if change.merged_with is not None:
                        self._tell_other(conn, change, name)
                if photos is not None:
                    write_photos(conn, photos.photos, case_id=case_id, event_id=event_id, is_public=public)
                for told in notices:
                    conn.execute(self._sql["notice"], told)
                if change is not None and change.parts_done:
                    done = {
                        "case_id": case_id,
                        "now": change.at,
                        "note": change.note or None,
                        "villages": change.parts_done,
                    }
                    conn.execute(self._sql["part_done"], done)
                updated = conn.execute(
                    _update(tuple(sorted(columns)), with_data=data is not None),
                    columns
                    | {"_case_id": case_id, "_seen": case["revision"], "_state": state.id, "_data": Jsonb(data or {})},
                )
                # Last: the call-back answered is what let its asker see the case at all.
                if change is not None and change.callback_answer is not None:
                    answer = change.callback_answer | {"case_id": case_id, "now": change.at}
                    conn.execute(self._sql["callback_answer"], answer)
        except psycopg.errors.DiskFull as e:
            raise StorageFull("服务器的磁盘满了，没有保存。", next_step="请过一会儿再试。") from e
        if updated.rowcount != 1:
            raise Forbidden("这一步不归您办。", next_step="需要时请联系派单人。")

    def _tell_other(self, conn: Connection[Any], change: Change, name: str) -> None:
        """The other case of a merger has it in its history too."""
        other = change.merged_with
        assert other is not None
        found = conn.execute(self._sql["next_event"]).fetchone()
        assert found is not None
        event = {
            "event_id": found["event_id"], "case_id": other["case_id"], "revision": other["revision"] + 1, "transition": "merged_in",
            "from_state": other["state"], "to_state": other["state"], "actor_kind": change.actor.kind, "account_id": change.account_id,
            "actor_name": name, "note": f"{change.case['case_no']} 并入本件", "data": Jsonb({}), "due_before": other["due_at"],
            "due_after": other["due_at"], "is_public": False,
        }  # fmt: skip
        conn.execute(self._sql["event"], event)
        conn.execute(
            _update((), with_data=False),
            {"_case_id": other["case_id"], "_seen": other["revision"], "_state": other["state"], "_data": Jsonb({})},
        )

    def _undo(self, conn: Connection[Any], case: dict[str, Any], process: Process, actor: Actor) -> None:
        """Take back the last step: one's own, within its minutes, and only while nothing came after it."""
        event = conn.execute(self._sql["last_event"], {"case_id": case["case_id"]}).fetchone()
        step = undoable(process, event, actor.principal)
        if event is None or step is None:
            raise BadRequest("现在不能撤回。", next_step="只能撤回自己刚做的一步；过了时间请用改派、重开等步骤。")
        before = dict(event["data"]["_before"])
        data = before.pop("data")
        columns = {k: _typed(k, v) for k, v in before.items()}
        notices = [
            {"case_id": case["case_id"], "to_account": row["to_account"], "kind": "undo",
             "words": wording.of_case(f"刚才的“{step.name}”已撤回", case)}
            for row in conn.execute(
                "SELECT DISTINCT to_account FROM onemap.case_notice WHERE case_id = %s AND kind = %s AND made_at >= %s",
                [case["case_id"], step.id, event["at"] - timedelta(seconds=5)],
            ).fetchall()
        ]  # fmt: skip
        self._write(
            conn, case, state=process.state_of(event["from_state"]), transition="undo", actor=actor,
            name=actor.principal.display_name if actor.principal else "上报人", note=f"撤回“{step.name}”", answers={},
            public=step.public, columns=columns, data=None, change=None, notices=notices, photos=None,
        )  # fmt: skip
        conn.execute("UPDATE onemap.case_file SET data = %s WHERE case_id = %s", [Jsonb(data), case["case_id"]])


def relations(case: Mapping[str, Any], principal: Principal) -> frozenset[Relation]:
    """How a signed-in person is related to a case."""
    me = principal.account_id
    codes = {case["grid_code"], case["village_code"], case["township_code"], *case["part_villages"]} - {None}
    here = any(len(s) == 6 or any(c.startswith(s) for c in codes) for s in principal.scope)
    unit = case["my_unit"] is not None and case["my_unit"] in (case["unit"], case["unit_name"])
    held: dict[Relation, bool] = {
        "place": here, "assignee": case["assignee_id"] == me, "unit": unit, "head": case["head_id"] == me,
        "reporter": case["reporter_id"] == me, "other_grid": bool(case["asks_me"]),
    }  # fmt: skip
    return frozenset(relation for relation, holds in held.items() if holds)


def undoable(process: Process, event: Mapping[str, Any] | None, principal: Principal | None) -> Transition | None:
    """The step a person may take back now, None: none."""
    if (
        event is None
        or principal is None
        or event["account_id"] != principal.account_id
        or "_before" not in (event["data"] or {})
    ):
        return None
    step = next((t for t in process.transition if t.id == event["transition"]), None)
    if step is None or now() - event["at"] > timedelta(minutes=step.undo_minutes):
        return None
    return step


def step_name(process: Process, transition: str) -> str:
    """What a step is called."""
    own = {
        "report": "上报",
        "undo": "撤回",
        "merged_in": "并入",
        "handover": "移交",
        "import": "导入",
        "swept": "到期提醒",
    }
    named = next((t.name for t in process.transition if t.id == transition), None)
    return named or own.get(transition, transition)


def _update(columns: tuple[str, ...], *, with_data: bool) -> sql.Composed:
    """The update of a case: these columns of ours, and only while nobody else changed it."""
    sets: list[sql.Composable] = [sql.SQL("state = %(_state)s"), sql.SQL("revision = revision + 1")]
    sets += [sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder(c)) for c in columns]
    if with_data:
        sets.append(sql.SQL("data = data || %(_data)s"))
    return sql.SQL("UPDATE onemap.case_file SET {} WHERE case_id = %(_case_id)s AND revision = %(_seen)s").format(
        sql.SQL(", ").join(sets)
    )


def _sound(taken: Taken) -> None:
    if len(taken.note) > _NOTE or "\x00" in taken.note:
        raise BadRequest(f"说明太长或有不能保存的字符，最多 {_NOTE} 字。", next_step="请缩短后再提交。")
    if len(taken.photos) > _MOST_PHOTOS:
        raise BadRequest(f"照片最多 {_MOST_PHOTOS} 张。", next_step="请去掉几张再提交。")
    if "\\u0000" in json.dumps(taken.answers):
        raise BadRequest("内容里有不能保存的字符。", next_step="请改掉后再提交。")


def _plain(value: Any) -> Any:
    """A column as JSON keeps it."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value


def _typed(column: str, value: Any) -> Any:
    """The column as the store takes it."""
    if column in _TIMES and value is not None:
        return datetime.fromisoformat(value)
    return Jsonb(value) if column == "clock" and value is not None else value
