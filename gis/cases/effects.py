"""What the engine knows how to do beside moving a case: one function an effect of the vocabulary (definition.Effect)."""

from __future__ import annotations

from collections.abc import Callable

from gis.cases import wording
from gis.cases.callback import choose
from gis.cases.change import Change, Desk
from gis.cases.parts import of_whom, split
from gis.cases.routing import first_level, route, unit_of
from gis.errors import BadRequest, NotFound


def _clock_start(change: Change, desk: Desk) -> None:
    code = change.now("deadline_class") or desk.clocks.class_of(change.process, change.now("item_code"))
    if code is None:
        raise BadRequest("还不知道办理期限。", next_step="请先选事项。")
    started = desk.clocks.start(
        change.process, code=code, start=change.at, hours=change.case["office_hours"] or change.process.deadline.hours,
        began=change.process.deadline.began,
    )  # fmt: skip
    change.columns |= started.columns | {"done_at": None, "swept": "on_track"}
    change.told.append(started.said)


def _clock_pause(change: Change, desk: Desk) -> None:
    paused = desk.clocks.pause(change.case, at=change.at, reason=change.note)
    change.columns |= paused.columns


def _clock_resume(change: Change, desk: Desk) -> None:
    if change.case["clock"] or change.case["due_at"]:
        resumed = desk.clocks.resume(change.case, at=change.at)
        change.columns |= resumed.columns | {"done_at": None, "swept": "on_track"}
        change.told.append(resumed.said)


def _clock_stop(change: Change, desk: Desk) -> None:
    """The due date stays as it is, to be compared with; if the case comes back, the time between does not count."""
    if change.case["done_at"] is None:
        change.columns["done_at"] = change.at
    if (change.case["clock"] or change.case["due_at"]) and change.case["clock_state"] == "runs":
        stopped = desk.clocks.pause(change.case, at=change.at, reason="等上报人确认")
        change.columns["clock"] = stopped.columns["clock"]
        change.columns["clock"].obj["words"] = (change.case["clock"] or {}).get(
            "words", stopped.columns["clock"].obj["words"][:1]
        )


def _clock_extend(change: Change, desk: Desk) -> None:
    extended = desk.clocks.extend(change.process, change.case, days=int(change.answers["extend_days"]))
    change.columns |= extended.columns | {"swept": "on_track"}
    change.told.append(extended.said)


def _classify(change: Change, desk: Desk) -> None:
    item = change.answers.get("item") or change.case["item_code"]
    if item is None and change.process.items is not None:
        raise BadRequest("还没有选事项。", next_step="请先选事项再受理。")
    placed = change.case["grid_code"] is not None
    before, after = (
        first_level(desk.lists, change.process.items, i, placed=placed) for i in (change.case["item_code"], item)
    )
    # Another item may lie elsewhere; not when somebody moved the case up already, or takes it on themselves.
    if change.case["level"] in (None, before) and "take" not in change.transition.effects:
        change.columns["level"] = after
    change.columns["item_code"] = item
    change.columns["deadline_class"] = change.answers.get("deadline_class") or desk.clocks.class_of(
        change.process, item
    )


def _accept(change: Change, _: Desk) -> None:
    if change.case["accepted_at"] is None:
        change.columns["accepted_at"] = change.at


def _respond(change: Change, _: Desk) -> None:
    if change.case["responded_at"] is None:
        change.columns["responded_at"] = change.at


def _route(change: Change, desk: Desk) -> None:
    found = route(desk, change, level=change.now("level") or 1)
    change.columns |= {"unit": found.unit, "assignee_id": found.account_id}
    if found.unit_name or found.name:
        change.told.append(f"按清单交{found.unit_name or ''}{found.name or ''}")


def _assign(change: Change, desk: Desk) -> None:
    unit = change.answers.get("unit") or change.case["unit"]
    if unit and unit_of(desk, unit) is None:
        raise BadRequest("没有这个责任单位。", next_step="请重新选择。")
    person = change.answers.get("person")
    if person is None and unit is not None:
        found = route(desk, change, level=change.now("level") or 1, unit=unit)
        person = found.account_id
    change.columns |= {"unit": unit, "assignee_id": None if person is None else int(person)}


def _take(change: Change, _: Desk) -> None:
    if change.account_id is not None:
        change.columns["assignee_id"] = change.account_id


def _split(change: Change, desk: Desk) -> None:
    if change.case["has_extent"] and not change.case["parts"]:
        change.parts = split(desk.conn, change.case["case_id"])
        if len(change.parts) > 1:
            names = "、".join(p["name"] for p in change.parts)
            change.told.append(f"跨 {len(change.parts)} 个村：{names}；{change.parts[0]['name']}牵头")


def _part_done(change: Change, _: Desk) -> None:
    if not change.case["parts"]:
        raise BadRequest("这件办件没有分到几个村。", next_step="办完后请直接反馈结果。")
    mine = of_whom(change.case["part_villages"], change.actor.principal)
    if not mine:
        raise BadRequest("这件办件没有您村的部分。", next_step="请让牵头村处理。")
    change.parts_done = mine


def _level_up(change: Change, _: Desk) -> None:
    level = change.case["level"] or 3
    if level <= 1:
        raise BadRequest("已经在县一级，不能再升级。", next_step="可以督办，或改派。")
    # A grid has no office: its case goes to the village, 村 → 乡镇 → 县.
    change.columns["level"] = min(level - 1, 3) if level < 4 else 3
    change.told.append(f"升到{wording.LEVELS[change.columns['level']]}级")


def _level_county(change: Change, _: Desk) -> None:
    change.columns["level"] = 1


def _supervise(change: Change, _: Desk) -> None:
    change.columns["supervised_at"] = change.at


def _merge(change: Change, desk: Desk) -> None:
    """Both rows are held in the order of their numbers, so that two mergers at once cannot wait for each other."""
    into = str(change.answers.get("into") or "").strip().upper()
    if into == change.case["case_no"]:
        raise BadRequest("不能并入自己。", next_step="请选另一件。")
    both = desk.conn.execute(desk.sql["lock_two"], {"numbers": [change.case["case_no"], into]}).fetchall()
    other = next((r for r in both if r["case_no"] == into), None)
    if other is None:
        raise NotFound("没有要并入的办件，或它不归您管。", next_step="请核对编号。")
    if other["ended_at"] is not None or other["process"] != change.case["process"]:
        raise BadRequest("要并入的办件已经结束，或不是同一类。", next_step="请选一件在办的。")
    change.columns["merged_into"] = other["case_id"]
    change.merged_with = other
    change.told.append(f"并入 {into}")


def _sample_callback(change: Change, desk: Desk) -> None:
    chosen = choose(desk, change)
    if chosen is not None:
        change.callbacks.append(chosen)


def _callback_answer(change: Change, _: Desk) -> None:
    change.callback_answer = {"agrees": bool(change.answers.get("agrees")), "note": change.note or None}


def _rate(change: Change, _: Desk) -> None:
    if change.answers.get("rating") is not None:
        change.columns["rating"] = int(change.answers["rating"])


def _reopen(change: Change, _: Desk) -> None:
    change.columns |= {
        "reopened": change.case["reopened"] + 1, "closed_at": None, "ended_at": None, "done_at": None, "rating": None,
        "handled_level": None, "swept": "on_track",
    }  # fmt: skip


def _close(change: Change, _: Desk) -> None:
    change.columns |= {"closed_at": change.at, "handled_level": change.now("level")}
    if change.now("done_at") is None:
        change.columns["done_at"] = change.at


def _end(change: Change, _: Desk) -> None:
    if change.now("ended_at") is None:
        change.columns["ended_at"] = change.at


def _nothing(change: Change, _: Desk) -> None:
    """ask_reporter: the notice to the reporter is the transition's `notify`; the state asks for the answer."""


_KNOWN: dict[str, Callable[[Change, Desk], None]] = {
    "clock.start": _clock_start, "clock.pause": _clock_pause, "clock.resume": _clock_resume, "clock.stop": _clock_stop,
    "clock.extend": _clock_extend, "classify": _classify, "route": _route, "assign": _assign, "take": _take, "split": _split,
    "part.done": _part_done, "level.up": _level_up, "level.county": _level_county, "supervise": _supervise, "merge": _merge,
    "ask_reporter": _nothing, "sample_callback": _sample_callback, "callback.answer": _callback_answer, "rate": _rate,
    "reopen": _reopen, "accept": _accept, "respond": _respond, "close": _close, "end": _end,
}  # fmt: skip


def apply(change: Change, desk: Desk) -> None:
    """Work out everything the transition does, in the order it is written.

    Raises
    ------
    BadRequest, NotFound
        What stands in the way; nothing has been written yet.
    """
    for effect in change.transition.effects:
        _KNOWN[effect](change, desk)
    state = change.target
    change.columns.setdefault("clock_state", state.clock)
    if state.ends and change.now("ended_at") is None:
        change.columns["ended_at"] = change.at
    if (
        change.process.items is not None
        and (item := change.columns.get("item_code"))
        and item not in desk.lists.rows(change.process.items)
    ):
        raise BadRequest(f"没有事项 {str(item)[:20]}。", next_step="请重新选择。")
