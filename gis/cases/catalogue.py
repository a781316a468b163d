"""All processes: today's from data/processes/*.toml, checked, and every version ever published from the store."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row
from pydantic import ValidationError

from gis.cases.calendar import Calendar
from gis.cases.checking import Knowledge, faults_of
from gis.cases.deadline import Classes
from gis.cases.definition import Process
from gis.cases.lists import Lists
from gis.errors import DefinitionError, NotFound
from gis.store.queries import load_queries

_ERRORS = {
    "missing": "没有写",
    "extra_forbidden": "不认识这个字段",
    "literal_error": "只能是 {expected}",
    "string_pattern_mismatch": "写法不对，要符合 {pattern}",
    "string_type": "要是文字",
    "int_parsing": "要是整数",
    "bool_type": "要是 true 或 false",
    "bool_parsing": "要是 true 或 false",
    "list_type": "要是列表",
    "too_short": "至少要有 {min_length} 项",
}


class Processes:
    """The processes (流程) of this installation.

    Attributes
    ----------
    current_by_id : today's version of each, in the order of their files' names.
    lists : code lists the forms choose from.
    classes, calendars : deadline classes, and the calendars that processes name.
    """

    def __init__(self, processes: dict[str, Process], knowledge: Knowledge) -> None:
        self.current_by_id = processes
        self.lists: Lists = knowledge.lists
        self.classes: Classes = knowledge.classes
        self.calendars: dict[str, Calendar] = knowledge.calendars
        self._known = {(p.process, p.version): p for p in processes.values()}

    @classmethod
    def load(cls, data: Path) -> Processes:
        """Read every definition of the data folder.

        Raises
        ------
        DefinitionError
            With every fault of every file.
        """
        knowledge = Knowledge.load(data)
        processes: dict[str, Process] = {}
        faults: list[str] = []
        for path in sorted((data / "processes").glob("*.toml")):
            process, wrong = read(path, knowledge)
            faults += [f"data/processes/{path.name} {fault}" for fault in wrong]
            if process is None:
                continue
            for other in processes.values():
                if other.prefix == process.prefix:
                    faults.append(f"data/processes/{path.name} 编号前缀 {process.prefix} 已由“{other.name}”使用")
            processes[process.process] = process
        if faults:
            raise DefinitionError("流程定义有误：\n" + "\n".join(faults), next_step="改好这些文件再启动。")
        return cls(processes, knowledge)

    def current(self, process: str) -> Process:
        """Today's version; `NotFound` when there is no such process."""
        try:
            return self.current_by_id[process]
        except KeyError:
            raise NotFound(
                "没有这种办件。", next_step=f"可选：{'、'.join(p.name for p in self.current_by_id.values())}。"
            ) from None

    def of(self, conn: Connection[Any], process: str, version: int) -> Process:
        """The version a running case began with; asked of the store once.

        Raises
        ------
        NotFound
            When that version was never published here.
        """
        known = self._known.get((process, version))
        if known is not None:
            return known
        with conn.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(load_queries("processes")["definition"], (process, version)).fetchone()
        if row is None:
            raise NotFound(
                f"库里没有流程 {process} 第 {version} 版的定义。", next_step="运行 ./onemap process list 查看。"
            )
        found = Process.model_validate(row[0])
        self._known[(process, version)] = found
        return found


def read(path: Path, knowledge: Knowledge) -> tuple[Process | None, list[str]]:
    """Return the process of one file and the sentences on what is wrong with it; None when it does not even parse."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        return None, [f"读不出来：{e}"]
    try:
        process = Process.model_validate(raw)
    except ValidationError as e:
        return None, [f"{_place(error['loc'], raw)}：{_sentence(error)}" for error in e.errors()]
    faults = faults_of(process, knowledge)
    if process.process != path.stem:
        faults.insert(0, f"process = {process.process!r} 与文件名不同")
    return process, faults


def digest(process: Process) -> str:
    """SHA-256 of everything a definition says; comments and order of keys do not count."""
    return hashlib.sha256(_canonical(process).encode()).hexdigest()


def publish(conn: Connection[Any], processes: Processes) -> list[str]:
    """Keep every version in the store (role owner, at every start); returns what was published, in words.

    Raises
    ------
    DefinitionError
        When a file changed without a new version number although cases run by that version.
    """
    queries = load_queries("processes")
    conn.execute(queries["publish_lock"])
    with conn.cursor(row_factory=tuple_row) as cursor:
        standing = {(row[0], row[1]): row[2] for row in cursor.execute(queries["published"]).fetchall()}
        said: list[str] = []
        for process in processes.current_by_id.values():
            key, fingerprint = (process.process, process.version), digest(process)
            if standing.get(key) == fingerprint:
                continue
            if key not in standing:
                cursor.execute(queries["publish_new"], (*key, process.name, _canonical(process), fingerprint))
            else:
                used = cursor.execute(queries["in_use"], key).fetchone()
                if used and used[0]:
                    newest = max(version for name, version in standing if name == process.process)
                    raise DefinitionError(
                        f"流程“{process.name}”第 {process.version} 版已有办件在用，定义却改了。",
                        next_step=f"把 data/processes/{process.process}.toml 的 version 改成 {newest + 1}：在办的按老办法办完，新来的按新办法。",
                    )
                cursor.execute(
                    queries["publish_again"],
                    {"process": key[0], "version": key[1], "name": process.name, "definition": _canonical(process), "digest": fingerprint},
                )  # fmt: skip
            said.append(f"{process.name} 第 {process.version} 版")
    return said


def _canonical(process: Process) -> str:
    return json.dumps(process.model_dump(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _place(loc: tuple[int | str, ...], raw: Any) -> str:
    """Return where in the file an error lies: state[3]（handling）.clock."""
    words, at = "", raw
    for step in loc:
        try:
            at = at[step]
        except (KeyError, IndexError, TypeError):
            at = None
        name = at.get("id") if isinstance(at, dict) else None
        words += f"第 {step + 1} 项" + (f"（{name}）" if name else "") if isinstance(step, int) else f" {step} "
    return words.strip() or "整个文件"


def _sentence(error: Any) -> str:
    known = _ERRORS.get(error["type"])
    if known is None:
        return str(error["msg"])
    try:
        return known.format(**error.get("ctx", {}))
    except KeyError:
        return str(error["msg"])
